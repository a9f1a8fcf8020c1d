"""The loss of next tokens, computed for the tokens there are and not for the padding, in few passes over their scores.

A batch of sentences has a score for each of some thousand tokens at each place, which is much of the memory that a
small network reads and writes. So the padding is left out before the scores are computed, and the loss makes its
gradient in the place of the probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class TokenScores:
    """Makes a model compute the scores of chosen places only.

    Args:
        model: an encoder-decoder or a language model; of our own families with ``network.scores``, else with output
            embeddings, before which its last layer ends.
    """

    def __init__(self, model: Any) -> None:
        network = getattr(model, "network", None)
        self.head: nn.Module | None = getattr(network, "scores", None) or model.get_output_embeddings()
        self._places: torch.Tensor | None = None
        if self.head is not None:
            self.head.register_forward_pre_hook(self._pack)

    @contextmanager
    def at(self, places: torch.Tensor) -> Iterator[None]:
        """While open, the model gives scores ``(1, count, vocab)`` of the places that are True, ``(batch, steps)``."""
        self._places = places
        try:
            yield
        finally:
            self._places = None

    def chosen(self, logits: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """The scores ``(count, vocab)`` of ``places``, of what the model gave while `at` was open."""
        return logits.flatten(0, 1) if self.head is not None else logits[places]

    def _pack(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._places is None:
            return None
        return (inputs[0][self._places][None], *inputs[1:])


def token_losses(logits: torch.Tensor, wanted: torch.Tensor, smoothing: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The cross-entropy of each token, float32 ``(count,)``, and whether it has the best score, bool ``(count,)``.

    Args:
        logits: ``(count, vocab)``.
        wanted: the right tokens, int64 ``(count,)``.
        smoothing: share of the target that is spread over all tokens (Szegedy et al. 2016, section 7).
    """
    return _TokenLosses.apply(logits, wanted, smoothing)  # type: ignore[return-value]


class _TokenLosses(torch.autograd.Function):
    """log(sum(exp(x))) - (1 - smoothing) * x[wanted] - smoothing * mean(x), with its gradient made in place."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, wanted: torch.Tensor, smoothing: float) -> tuple[torch.Tensor, ...]:
        scores = logits.detach().to(torch.float32, copy=True)
        scores -= scores.amax(1, keepdim=True)
        right = scores.gather(1, wanted[:, None]).squeeze(1)
        mean = scores.mean(1) if smoothing else torch.zeros_like(right)
        total = scores.exp_().sum(1)
        ctx.save_for_backward(scores, total, wanted)
        ctx.smoothing, ctx.dtype = smoothing, logits.dtype
        is_best = right == 0
        ctx.mark_non_differentiable(is_best)
        return total.log() - (1 - smoothing) * right - smoothing * mean, is_best

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[torch.Tensor, None, None]:
        (losses, _), (scores, total, wanted) = gradients, ctx.saved_tensors
        result = scores.mul_((losses / total)[:, None])  # the loss is used once, so its probabilities may go
        if ctx.smoothing:
            result -= (losses * (ctx.smoothing / scores.shape[1]))[:, None]
        result.scatter_add_(1, wanted[:, None], (losses * (ctx.smoothing - 1))[:, None])
        return result.to(ctx.dtype), None, None
