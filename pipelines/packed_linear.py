"""Linear layers for inference on a CPU: their weights laid out once as oneDNN's matrix products read them.

torch's own ``linear`` leaves the layout to every call. On two cores of an AMD EPYC the laid out weights took 40 to 85 %
of the time for one row (the next token of a text), 25 to 46 % for eight, and 10 to 20 % less than all of it for
hundreds of rows; see docs/performance.md. The sums are the same but for their order.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .devices import has_bfloat16_units

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_WEIGHTS = 32_768
"""Smaller matrices stay as they are: a call costs more than it would gain."""

MOST_BYTES = 2 << 30
"""Bytes of laid out weights at most, since they are copies: layers beyond that stay as they are."""


class _Packed:
    """What makes a linear layer use the laid out copy of its weight, ``packed``, wherever no gradient is asked for."""

    packed: torch.Tensor | None
    bias: torch.Tensor | None

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """``(..., out_features)`` of ``(..., in_features)``."""
        if self.packed is None or torch.is_grad_enabled() or input.dtype != self.packed.dtype:
            return super().forward(input)  # type: ignore[misc]
        return torch.ops.mkldnn._linear_pointwise(input, self.packed, self.bias, "none", [], "")

    def _apply(self, *arguments: Any, **keywords: Any) -> Any:
        self.packed = None  # the weight moves, or changes its number format
        return super()._apply(*arguments, **keywords)  # type: ignore[misc]

    def _load_from_state_dict(self, *arguments: Any, **keywords: Any) -> None:
        self.packed = None
        super()._load_from_state_dict(*arguments, **keywords)  # type: ignore[misc]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"packed": None}  # neither copied nor pickled: such tensors cannot be


class PackedLinear(_Packed, nn.Linear):
    """``nn.Linear`` with a second, laid out copy of its weight."""


def pack_linear_layers(model: nn.Module) -> None:
    """Changes the linear layers of ``model`` in place to `PackedLinear` where that is of use; its state stays the same.

    Args:
        model: in evaluation mode, its weights final. Not one that somebody else holds: the classes of layers change.
    """
    if not _is_known():
        return
    left = MOST_BYTES
    for layer in _layers(model):
        size = layer.weight.numel() * layer.weight.element_size()
        if size > left or not _is_worth_it(layer.weight):
            continue
        left -= size
        is_transposed = not isinstance(layer, nn.Linear)
        weight = layer.weight.detach().t().contiguous() if is_transposed else layer.weight.detach()
        layer.__class__ = _packed_class(type(layer))
        layer.packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)


def _layers(model: nn.Module) -> Iterator[Any]:
    """The layers that may be packed: of exactly these classes, as a class of its own may compute something else."""
    for module in model.modules():
        kind = type(module)
        # GPT-2 keeps its weights the other way round: (in_features, out_features).
        if kind is nn.Linear or (kind.__name__, kind.__module__) == ("Conv1D", "transformers.pytorch_utils"):
            yield module


@functools.cache
def _packed_class(kind: type) -> type:
    return PackedLinear if kind is nn.Linear else type(f"Packed{kind.__name__}", (_Packed, kind), {})


def _is_worth_it(weight: torch.Tensor) -> bool:
    if weight.device.type != "cpu" or weight.numel() < LEAST_WEIGHTS:
        return False
    return weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and has_bfloat16_units(weight.device))


def _is_known() -> bool:
    """Whether this build of torch has oneDNN and the two operators, which are no part of its public interface."""
    names = ("_reorder_linear_weight", "_linear_pointwise")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)
