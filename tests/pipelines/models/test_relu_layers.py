"""The start of layers before a ReLU: He's variance, and a bias of zero."""

import pytest
import torch
from quintet.pipelines.models.relu_layers import ReluConvolution, ReluLinear


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (lambda: ReluConvolution(40, 50, 3), 40 * 9),
        (lambda: ReluConvolution(400, 200, 1, bias=False), 400),
        (lambda: ReluLinear(300, 200), 300),
    ],
)
def test_weights_have_the_variance_two_by_inputs(layer, inputs):
    torch.manual_seed(0)
    made = layer()
    for _ in range(2):
        assert made.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.03)
        assert made.bias is None or not made.bias.any()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.fill_(9.0)
        made.reset_parameters()
