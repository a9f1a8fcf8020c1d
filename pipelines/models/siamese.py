"""Siamese text classifiers: both texts of a pair are read by the same recurrent network, then compared.

    first text  -> recurrent layers -> u \
                                          [u, v, |u - v|, u * v] -> hidden layer -> logits
    second text -> recurrent layers -> v /

Papers: Conneau et al. 2017, "Supervised Learning of Universal Sentence Representations", section 3.1 and figure 1 (the
comparison; the fourth part beside u, v and |u - v| is the product); Mueller and Thyagarajan 2016, "Siamese Recurrent
Architectures for Learning Sentence Similarity". With ``comparison="symmetric"`` the parts u and v are left out, so that
the order of the two texts makes no difference.

Axes: batch, length (tokens of both texts), features (of the vector of one text).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .recurrent import PooledEncoder
from .shapes import check_shape, text_mask

COMPARISONS = ("full", "symmetric")


class SiameseClassifier(PooledEncoder):
    """Logits ``(batch, num_labels)`` for pairs of texts of token ids.

    Args:
        num_labels: number of classes, or of values in a regression.
        comparison: ``full`` or ``symmetric``.
        sizes: as for `PooledEncoder`; dropout also before and after the hidden layer, which has as many features as the
            vector of a text.

    Raises:
        ValueError: ``comparison`` is none of these.
    """

    def __init__(self, *, num_labels: int, comparison: str, **sizes: Any) -> None:
        super().__init__(**sizes)
        if comparison not in COMPARISONS:
            raise ValueError(f"comparison is '{comparison}', expected one of {', '.join(COMPARISONS)}.")
        self.comparison, self.padding_id = comparison, sizes["padding_id"]
        self.compare = nn.Linear((4 if comparison == "full" else 2) * self.features, self.features)
        self.classifier = nn.Linear(self.features, num_labels)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits ``(batch, num_labels)``.

        Args:
            input_ids: ``(batch, length)`` int64, the first text and behind it the second.
            attention_mask: ``(batch, length)``, 1 at the texts and 0 at the padding after them; None without padding.
            token_type_ids: ``(batch, length)``, 1 at the second text; None where no pair has one.

        Raises:
            ValueError: a tensor has other axes, or padding stands before text.
        """
        mask = text_mask(input_ids, attention_mask)  # (batch, length)
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        check_shape(types, tuple(input_ids.shape), name="token_type_ids")
        texts, masks = split_pairs(input_ids, mask, types.bool() & mask, self.padding_id)  # (2 * batch, longest text)
        u, v = self.encode(texts, masks).chunk(2)  # (batch, features) each
        parts = [(u - v).abs(), u * v]
        if self.comparison == "full":
            parts = [u, v, *parts]
        hidden = torch.tanh(self.compare(self.dropout(torch.cat(parts, dim=-1))))  # (batch, features)
        return self.classifier(self.dropout(hidden))


def split_pairs(
    input_ids: torch.Tensor, mask: torch.Tensor, is_second: torch.Tensor, padding_id: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """All first texts and then all second ones, ``(2 * batch, longest text)``, and the mask of their tokens.

    Args:
        input_ids: ``(batch, length)``, in each row the first text, then the second, then padding.
        mask: ``(batch, length)`` bool, True at both texts.
        is_second: ``(batch, length)`` bool, True at the second text.
        padding_id: stands behind shorter texts, and in the place of an empty one.

    >>> ids = torch.tensor([[5, 6, 7, 8, 0]])
    >>> texts, masks = split_pairs(ids, ids > 0, ids == 8, 0)
    >>> texts.tolist()
    [[5, 6, 7], [8, 0, 0]]
    """
    first, second = (mask & ~is_second).sum(dim=1), is_second.sum(dim=1)  # (batch,)
    starts = torch.cat([torch.zeros_like(first), first])[:, None]  # (2 * batch, 1)
    lengths = torch.cat([first, second])[:, None]
    places = torch.arange(max(1, int(lengths.max())), device=input_ids.device)[None, :]  # (1, longest)
    masks = places < lengths
    texts = input_ids.repeat(2, 1).gather(1, (starts + places).clamp(max=input_ids.shape[1] - 1))
    return texts.masked_fill(~masks, padding_id), masks
