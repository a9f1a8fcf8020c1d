"""From a vector for each token to one vector for the text, padding left out."""

from __future__ import annotations

import torch
from torch import nn


def max_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The largest value of each feature over the text, ``(batch, features)``.

    Args:
        hidden: ``(batch, length, features)``.
        mask: ``(batch, length)`` bool, True at the text, at least one in each row.
    """
    return hidden.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)


def mean_pool(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of each feature over the text, ``(batch, features)``; arguments as in ``max_pool``."""
    # masked_fill, not multiplication: what stands at the padding may be infinite.
    total = hidden.masked_fill(~mask[:, :, None], 0.0).sum(dim=1)  # (batch, features)
    return total / mask.sum(dim=1, keepdim=True)


class AttentionPooling(nn.Module):
    """A weighted mean over the text, the weights learned: ``(batch, length, features)`` to ``(batch, features)``.

    Yang et al. 2016, "Hierarchical Attention Networks for Document Classification", equations 5 to 7.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.projection = nn.Linear(features, features)
        self.score = nn.Linear(features, 1, bias=False)  # u_w, the "what is informative" vector

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scores = self.score(torch.tanh(self.projection(hidden))).squeeze(-1)  # (batch, length)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=1)  # (batch, length)
        return (hidden * weights[:, :, None]).sum(dim=1)
