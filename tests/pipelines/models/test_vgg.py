"""VGG: the published weights counted, its small form, its start. The logits: tests/pipelines/test_conversion.py."""

import pytest
import torch
from quintet.pipelines.models import find_family
from quintet.pipelines.models.vgg import BLOCKS, PUBLISHED, SMALL, Vgg


def network(depth, *, batch_norm=False, channels=3, num_labels=10, **sizes):
    return Vgg(depth=depth, batch_norm=batch_norm, channels=channels, num_labels=num_labels, dropout=0.5, **sizes)


# Table 2 of the paper in millions: 133, 133, 138, 144. A batch norm adds two numbers a filter.
@pytest.mark.parametrize(
    ("depth", "plain", "filters"),
    [(11, 132_863_336, 2752), (13, 133_047_848, 2944), (16, 138_357_544, 4224), (19, 143_667_240, 5504)],
)
def test_parameter_counts_of_the_paper(depth, plain, filters):
    for batch_norm, expected in ((False, plain), (True, plain + 2 * filters)):
        with torch.device("meta"):
            model = network(depth, batch_norm=batch_norm, num_labels=1000, **PUBLISHED)
        assert sum(weight.numel() for weight in model.parameters()) == expected


@pytest.mark.parametrize("depth", BLOCKS)
def test_depth_counts_the_layers_with_weights(depth):
    model = network(depth, width=1, pooled_size=1, hidden_size=2)
    assert sum(isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) for module in model.modules()) == depth


@pytest.mark.parametrize("depth", BLOCKS)
def test_the_rows_of_the_families_are_the_small_form(depth):
    row = find_family(f"vgg{depth}", "image-classification")
    assert {**row.sizes, **row.fixed} == {**SMALL, "depth": depth, "batch_norm": True, "dropout": 0.5}


@pytest.mark.parametrize("side", [8, 28, 32])
def test_the_small_form_reads_small_pictures(side):
    model = network(9, batch_norm=True, channels=1, **{**SMALL, "width": 2})
    assert model(torch.randn(2, 1, side, side)).shape == (2, 10)
    assert model.features[:-1](torch.randn(2, 1, side, side)).shape[2:] == (side // 8, side // 8)


def test_pictures_too_small_are_refused():
    with pytest.raises(ValueError, match="pictures of 31 x 40 pixels, expected at least 32 on each side; enlarge them"):
        network(11, width=1, pooled_size=1, hidden_size=2)(torch.randn(1, 3, 31, 40))


def test_a_depth_that_is_not_published_is_refused():
    with pytest.raises(ValueError, match="depth is 12, expected one of 9, 11, 13, 16, 19"):
        network(12, **SMALL)


def test_a_signal_keeps_its_size_through_sixteen_convolutions():
    torch.manual_seed(0)
    model = network(19, width=16, pooled_size=1, hidden_size=8)
    pictures = torch.randn(4, 3, 64, 64)
    sizes = []
    for layer in model.features:
        pictures = layer(pictures)
        if isinstance(layer, torch.nn.Conv2d):
            sizes.append(pictures.std().item())
    # With torch's own start the last is some thousandth of the first.
    assert len(sizes) == 16 and 0.3 < sizes[-1] / sizes[0] < 10
