"""The residual networks of He et al. 2015, section 4.2: weights counted, both shortcuts against a written-out block.

The whole network's logits are compared in tests/pipelines/test_conversion.py.
"""

import pytest
import torch
from quintet.pipelines.models.resnet_cifar import PUBLISHED_DEPTHS, CifarResNet, ResidualBlock
from torch.nn import functional


def network(depth, *, shortcut="A", width=16, channels=3):
    return CifarResNet(channels=channels, num_labels=10, depth=depth, width=width, shortcut=shortcut)


# Table 6 in millions: 0.27, 0.46, 0.66, 0.85, 1.7. Option B adds two 1 x 1 convolutions and their norms.
@pytest.mark.parametrize(
    ("depth", "expected"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_parameter_counts_of_the_paper(depth, expected):
    with torch.device("meta"):
        plain, projected = network(depth), network(depth, shortcut="B")
    assert sum(weight.numel() for weight in plain.parameters()) == expected
    added = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert sum(weight.numel() for weight in projected.parameters()) == expected + added
    layers = sum(isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) for module in plain.modules())
    assert layers == depth


def test_every_published_depth_is_a_family():
    from quintet.pipelines.models import find_family

    rows = [find_family(f"resnet-{depth}", "image-classification") for depth in PUBLISHED_DEPTHS]
    assert [row.fixed["depth"] for row in rows] == list(PUBLISHED_DEPTHS)
    assert {(row.sizes["width"], row.sizes["shortcut"]) for row in rows} == {(16, "A")}


def drawn(block):
    """The block with norms that do something."""
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
    return block.eval()


def changed(block, maps):
    """What the two convolutions of a block make of its input, by the formula of batch norm."""

    def norm(layer, values):
        scaled = (values - layer.running_mean[:, None, None]) / (layer.running_var[:, None, None] + layer.eps).sqrt()
        return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]

    inner = norm(block.first_norm, functional.conv2d(maps, block.first.weight, stride=block.stride, padding=1))
    return norm(block.second_norm, functional.conv2d(inner.clamp(min=0), block.second.weight, padding=1))


@pytest.mark.parametrize("side", [7, 8])
def test_option_a_takes_every_second_pixel_and_adds_maps_of_zeros(side):
    torch.manual_seed(0)
    block = drawn(ResidualBlock(2, 4, 2, "A"))
    maps = torch.randn(3, 2, side, side)
    half = (side + 1) // 2
    past = torch.zeros(3, 4, half, half)
    for row in range(half):
        for column in range(half):
            past[:, 1:3, row, column] = maps[:, :, 2 * row, 2 * column]
    torch.testing.assert_close(block(maps), (changed(block, maps) + past).clamp(min=0), rtol=1e-4, atol=1e-5)
    assert block.projection is None


def test_option_b_projects_where_the_axes_change_and_nowhere_else():
    torch.manual_seed(0)
    block = drawn(ResidualBlock(2, 4, 2, "B"))
    maps = torch.randn(3, 2, 8, 8)
    weight = block.projection[0].weight[:, :, 0, 0]
    past = block.projection[1](torch.einsum("oi,bihw->bohw", weight, maps[:, :, ::2, ::2]))
    torch.testing.assert_close(block(maps), (changed(block, maps) + past).clamp(min=0), rtol=1e-4, atol=1e-5)
    same = drawn(ResidualBlock(4, 4, 1, "B"))
    maps = torch.randn(3, 4, 8, 8)
    torch.testing.assert_close(same(maps), (changed(same, maps) + maps).clamp(min=0), rtol=1e-4, atol=1e-5)
    assert same.projection is None


@pytest.mark.parametrize("side", [1, 28, 33])
def test_pictures_of_any_size(side):
    assert network(8, width=2, channels=1)(torch.randn(2, 1, side, side + 3)).shape == (2, 10)


@pytest.mark.parametrize("depth", [2, 18, 51])
def test_depths_that_are_not_6n_plus_2_are_refused(depth):
    with pytest.raises(ValueError, match=rf"depth is {depth}, expected 6n \+ 2: 8, 14, or as published 20, 32, 44"):
        network(depth)


def test_an_unknown_shortcut_is_refused():
    with pytest.raises(ValueError, match="shortcut is 'C', expected A or B"):
        network(20, shortcut="C")
