"""Lowered precision: products in bfloat16, attention in float32 on CPUs without AMX, weights and gradients float32."""

from __future__ import annotations

import pytest
import torch
from quintet.finetune.precision import lowered_precision
from torch.nn import functional


@pytest.fixture(params=[False, True], ids=["without AMX", "with AMX"])
def has_amx(request, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": request.param})
    return request.param


def attention_inputs():
    torch.manual_seed(0)
    return [torch.randn(2, 2, 5, 8, requires_grad=True) for _ in range(3)]


def test_products_are_bfloat16_and_gradients_float32(has_amx):
    layer, inputs = torch.nn.Linear(4, 3), torch.randn(2, 4)
    with lowered_precision(torch.device("cpu")):
        output = layer(inputs)
    output.sum().backward()
    assert output.dtype == torch.bfloat16 and layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_attention_is_exact_without_amx_units(has_amx, mask):
    query, key, value = attention_inputs()
    where = torch.ones(5, 5).tril().bool()
    given = {None: None, "bool": where, "float": torch.zeros(5, 5).masked_fill(~where, -torch.inf)}[mask]
    expected = functional.scaled_dot_product_attention(query, key, value, attn_mask=given)
    with lowered_precision(torch.device("cpu")):
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=given)
        halves = functional.scaled_dot_product_attention(
            query.bfloat16(), key.bfloat16(), value=value.bfloat16(), attn_mask=given
        )
    assert (found.dtype == torch.float32) is not has_amx
    assert torch.equal(found, expected) is not has_amx
    assert halves.dtype == torch.bfloat16
    assert torch.allclose(halves.float(), expected, atol=0.05)


def test_attention_outside_is_left_alone():
    query, key, value = (each.bfloat16() for each in attention_inputs())
    with lowered_precision(torch.device("cpu")):
        pass
    assert functional.scaled_dot_product_attention(query, key, value).dtype == torch.bfloat16


def test_autocast_is_back_after_attention(has_amx):
    query, key, value = attention_inputs()
    with lowered_precision(torch.device("cpu")):
        functional.scaled_dot_product_attention(query, key, value)
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
