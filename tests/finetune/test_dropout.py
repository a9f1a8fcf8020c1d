"""The fast dropout is a dropout."""

import pytest
import torch
from quintet.finetune.dropout import FastDropout, random_numbers, speed_up_dropout


def test_it_zeroes_the_given_share_and_keeps_the_mean():
    torch.manual_seed(0)
    inputs = torch.ones(300, 1001, requires_grad=True)
    layer = FastDropout(0.3).train()
    outputs = layer(inputs)
    outputs.sum().backward()
    assert float((outputs == 0).float().mean()) == pytest.approx(0.3, abs=0.003)
    assert set(outputs.detach().unique().tolist()) == {0.0, pytest.approx(1 / 0.7)}
    assert torch.equal(inputs.grad, outputs)  # the same numbers are dropped on the way back


def test_the_random_numbers_are_uniform_and_neighbours_independent():
    torch.manual_seed(1)
    numbers = random_numbers(torch.empty(400_003)).double() / 2**15
    assert float(numbers.mean()) == pytest.approx(0.0, abs=0.004) and float(numbers.var()) == pytest.approx(
        1 / 3, abs=0.003
    )
    for distance in (1, 2, 3, 4):
        assert abs(float((numbers[:-distance] * numbers[distance:]).mean())) < 0.003


@pytest.mark.parametrize("probability, dtype", [(0.1, torch.float32), (0.5, torch.bfloat16), (1.0, torch.float32)])
def test_it_keeps_shape_and_type_and_does_nothing_in_evaluation(probability, dtype):
    layer, inputs = FastDropout(probability), torch.randn(3, 5, 7).to(dtype)
    assert layer.train()(inputs).dtype == dtype and layer(inputs).shape == inputs.shape
    assert layer.eval()(inputs) is inputs


def test_the_same_seed_drops_the_same_and_torch_decides():
    layer, inputs = FastDropout(0.5).train(), torch.ones(64)
    torch.manual_seed(3)
    first = layer(inputs)
    second = layer(inputs)
    torch.manual_seed(3)
    assert torch.equal(layer(inputs), first) and not torch.equal(first, second)


def test_models_keep_their_weights_and_probabilities():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.2), torch.nn.AlphaDropout(0.1))
    names = set(model.state_dict())
    speed_up_dropout(model)
    assert isinstance(model[1], FastDropout) and model[1].p == 0.2 and type(model[2]) is torch.nn.AlphaDropout
    assert set(model.state_dict()) == names
