"""Linear layers with their weights laid out for oneDNN: the same numbers, the same state."""

from __future__ import annotations

import copy

import pytest
import torch
from quintet.pipelines import packed_linear
from quintet.pipelines.packed_linear import PackedLinear, pack_linear_layers
from torch import nn


@pytest.fixture
def layers():
    """A layer worth packing between two that are not."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 192), nn.GELU(), nn.Linear(192, 256), nn.Linear(256, 3)).eval()


@pytest.mark.parametrize("shape", [(1, 16), (7, 16), (2, 5, 16), (0, 16)])
def test_the_numbers_stay_the_same(layers, shape):
    inputs = torch.randn(shape)
    with torch.inference_mode():
        before = layers(inputs)
        pack_linear_layers(layers)
        after = layers(inputs)
    assert type(layers[2]) is PackedLinear and type(layers[0]) is type(layers[3]) is nn.Linear
    assert torch.allclose(before, after, rtol=1e-5, atol=1e-6)


def test_the_laid_out_weight_is_what_inference_uses_and_training_does_not(layers):
    inputs = torch.randn(4, 192)
    pack_linear_layers(layers)
    layer = layers[2]
    with torch.no_grad():
        expected = layer(inputs)
        layer.weight.zero_()  # behind its back: only the copy still holds the old numbers
        assert torch.equal(layer(inputs), expected)
    assert torch.equal(layer(inputs), layer.bias.expand(4, 256))


def test_state_names_and_weights_stay(layers):
    before = {name: weight.clone() for name, weight in layers.state_dict().items()}
    pack_linear_layers(layers)
    assert layers.state_dict().keys() == before.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in layers.state_dict().items())


@pytest.mark.parametrize("change", ["dtype", "state"])
def test_a_weight_that_changes_gives_the_copy_up(layers, change):
    pack_linear_layers(layers)
    if change == "dtype":
        layers.double()
    else:
        layers.load_state_dict({name: torch.zeros_like(weight) for name, weight in layers.state_dict().items()})
    assert layers[2].packed is None
    with torch.inference_mode():
        inputs = torch.randn(2, 192, dtype=layers[2].weight.dtype)
        assert torch.equal(layers[2](inputs), nn.functional.linear(inputs, layers[2].weight, layers[2].bias))


def test_a_copy_of_the_model_computes_the_same(layers):
    pack_linear_layers(layers)
    other = copy.deepcopy(layers)
    inputs = torch.randn(3, 16)
    with torch.inference_mode():
        assert torch.allclose(layers(inputs), other(inputs), rtol=1e-5, atol=1e-6)


def test_the_layer_of_gpt2_is_packed_too():
    from transformers.pytorch_utils import Conv1D

    torch.manual_seed(0)
    layer = Conv1D(256, 192).eval()
    inputs = torch.randn(2, 3, 192)
    with torch.inference_mode():
        before = layer(inputs)
        pack_linear_layers(layer)
        assert layer.packed is not None
        assert torch.allclose(layer(inputs), before, rtol=1e-5, atol=1e-6)


def test_no_more_is_laid_out_than_there_is_room_for(layers, monkeypatch):
    monkeypatch.setattr(packed_linear, "MOST_BYTES", 100_000)
    pack_linear_layers(layers)
    assert not any(isinstance(layer, PackedLinear) for layer in layers)


def test_without_the_operators_nothing_changes(layers, monkeypatch):
    monkeypatch.setattr(packed_linear, "_is_known", lambda: False)
    pack_linear_layers(layers)
    assert not any(isinstance(layer, PackedLinear) for layer in layers)
