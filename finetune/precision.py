"""bfloat16 products in training, with attention kept in float32 where the CPU computes it faster so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode


@contextlib.contextmanager
def lowered_precision(device: torch.device) -> Iterator[None]:
    """While open, matrix products on ``device`` are computed in bfloat16; weights and sums stay float32.

    torch's attention for CPUs has no bfloat16 products without AMX units: on an AMD EPYC with AVX512-BF16 it took,
    forward and backward, 1.1 to 7 times as long as in float32, most for short texts (docs/performance.md).
    """
    is_slow = device.type == "cpu" and not torch.cpu.get_capabilities().get("amx_bf16")
    with torch.autocast(device.type, torch.bfloat16), _FloatAttention() if is_slow else contextlib.nullcontext():
        yield


class _FloatAttention(TorchFunctionMode):
    """While open, attention is computed in float32 and given in the number format of its queries."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **kwargs)
        names = ("query", "key", "value")
        given = dict(zip((*names, "attn_mask", "dropout_p", "is_causal"), args, strict=False)) | kwargs
        number_format = given["query"].dtype
        for name in names:
            given[name] = given[name].float()
        mask = given.get("attn_mask")
        if mask is not None and mask.dtype != torch.bool:
            given["attn_mask"] = mask.float()
        with torch.autocast("cpu", enabled=False):
            return func(**given).to(number_format)
