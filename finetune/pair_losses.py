"""What vectors of texts learn from pairs: one loss for each kind of target.

    cosine       scored pairs: the squared distance of the cosine from the score (Reimers and Gurevych 2019, section 3)
    contrastive  labelled pairs: equal ones come near, different ones stay a margin apart (Hadsell et al. 2006, eq. 4)
    in-batch     pairs that belong together: a text picks its partner out of all second texts of the batch (Henderson et
                 al. 2017, "Efficient Natural Language Response Suggestion", section 4.4)

All vectors have the length 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

MARGIN = 0.5
"""Cosine distance that different texts need not exceed."""

SCALE = 20.0
"""Cosines times this are the logits of the choice: between 1 and -1 they could not tell one text of many apart."""


def cosine_losses(firsts: torch.Tensor, seconds: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(batch,) squared distances of the cosines of the rows of two (batch, hidden) from ``targets`` in [0, 1]."""
    return torch.square((firsts * seconds).sum(-1) - targets)


def contrastive_losses(firsts: torch.Tensor, seconds: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(batch,) squared cosine distances of equal texts, and of different ones what lacks in the margin, squared.

    Args:
        firsts: (batch, hidden).
        seconds: (batch, hidden).
        targets: (batch,), 1 for equal texts and 0 for different ones.
    """
    distances = 1 - (firsts * seconds).sum(-1)
    return targets * distances**2 + (1 - targets) * functional.relu(MARGIN - distances) ** 2


def in_batch_losses(
    firsts: torch.Tensor,
    seconds: torch.Tensor,
    keys: torch.Tensor,
    own: torch.Tensor,
    first_keys: torch.Tensor,
    second_keys: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(batch,) cross-entropies of picking the partner, and whether it was picked.

    A second text that the partner equals, or that some row pairs with the same first text, is no wrong answer and left
    out; one that stands there several times counts once.

    Args:
        firsts: (batch, hidden) of the first texts.
        seconds: (candidates, hidden) of the second texts of all processes.
        keys: (batch,) int64, equal for equal first texts.
        own: (batch,) int64, the place of each row's partner among the candidates.
        first_keys: (candidates,) int64, of the first text that each candidate was paired with.
        second_keys: (candidates,) int64, equal for equal candidates.
    """
    logits = SCALE * firsts @ seconds.T  # (batch, candidates)
    is_own = functional.one_hot(own, len(seconds)).bool()
    is_right = (second_keys[None] == second_keys[own][:, None]) | (first_keys[None] == keys[:, None])
    is_repeated = torch.tril(second_keys[:, None] == second_keys[None], diagonal=-1).any(1)  # (candidates,)
    logits = logits.masked_fill((is_right | is_repeated[None]) & ~is_own, -torch.inf)
    return functional.cross_entropy(logits, own, reduction="none"), logits.argmax(-1) == own


class _Gather(torch.autograd.Function):
    """Rows of all processes, one after the other; the gradient of each row goes back to the process that it is of."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, counts: list[int]) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.counts = counts
        padded = rows.new_zeros(max(counts), *rows.shape[1:])  # all processes have to send as much
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        torch.distributed.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradients[0].contiguous()
        torch.distributed.all_reduce(total)
        start = sum(ctx.counts[: torch.distributed.get_rank()])
        return total[start : start + ctx.counts[torch.distributed.get_rank()]], None


def of_all_processes(*tensors: torch.Tensor) -> tuple[int, list[torch.Tensor]]:
    """The row of this process's first one, and ``tensors`` (rows, …) of equal length with the rows of all processes."""
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() == 1:
        return 0, list(tensors)
    sizes: list[int] = [0] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(sizes, len(tensors[0]))
    gathered: list[Any] = [_Gather.apply(tensor, sizes) for tensor in tensors]
    return sum(sizes[: torch.distributed.get_rank()]), gathered
