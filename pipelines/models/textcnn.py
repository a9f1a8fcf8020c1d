"""The convolutional text classifier of Kim 2014, "Convolutional Neural Networks for Sentence Classification".

    token ids -> word vectors -> convolutions of several widths, each followed by its maximum over the text -> logits

Kim's sizes (section 3.1): vectors of 300 numbers, widths 3, 4 and 5 with 100 filters each, dropout 0.5. This is his
CNN-rand, or with given vectors CNN-non-static.

Axes: batch, length (tokens), embedding, filters.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .embedding import WordEmbedding
from .pooling import max_pool
from .shapes import text_mask


class TextConvolutionClassifier(nn.Module):
    """Logits ``(batch, num_labels)`` for texts of token ids.

    Args:
        vocab_size: number of token ids.
        num_labels: number of classes, or of values in a regression.
        embedding_size: numbers in a word vector.
        filters: features of each width.
        kernel_sizes: the widths, in tokens.
        dropout: probability in [0, 1) with which a feature is left out before the classifier in training.
        padding_id: token id of the padding.

    Raises:
        ValueError: ``kernel_sizes`` is empty or has a width below 1.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        num_labels: int,
        embedding_size: int,
        filters: int,
        kernel_sizes: Sequence[int],
        dropout: float,
        padding_id: int,
    ) -> None:
        super().__init__()
        if not kernel_sizes or min(kernel_sizes) < 1:
            raise ValueError(f"kernel_sizes is {tuple(kernel_sizes)}, expected one or more widths of at least 1 token.")
        self.embedding = WordEmbedding(vocab_size, embedding_size, padding_id)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding_size, filters, width) for width in kernel_sizes)
        self.widest = max(kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(filters * len(kernel_sizes), num_labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits ``(batch, num_labels)``.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.

        Raises:
            ValueError: a tensor has other axes, or padding stands before text.
        """
        mask = text_mask(input_ids, attention_mask)  # (batch, length)
        lengths = mask.sum(dim=1)  # (batch,)
        # Zeros at the padding whatever its id, and enough of them that the widest filter fits once.
        words = self.embedding(input_ids).masked_fill(~mask[:, :, None], 0.0)  # (batch, length, embedding)
        words = functional.pad(words, (0, 0, 0, max(0, self.widest - words.shape[1])))
        features = [self._strongest(convolution, words.transpose(1, 2), lengths) for convolution in self.convolutions]
        return self.classifier(self.dropout(torch.cat(features, dim=1)))  # (batch, num_labels)

    @staticmethod
    def _strongest(convolution: nn.Module, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The strongest answer of each filter anywhere in the text, ``(batch, filters)``.

        Args:
            convolution: a ``Conv1d``.
            words: ``(batch, embedding, length)``, zero at the padding.
            lengths: tokens of each text, ``(batch,)``.
        """
        answers = functional.relu(convolution(words))  # (batch, filters, places)
        # A filter of width k reads tokens p to p + k - 1: the places that lie within a text of n tokens are 0 to n - k.
        # A text shorter than the filter is read once, from its beginning.
        last_places = (lengths - (words.shape[2] - answers.shape[2] + 1)).clamp(min=0)  # (batch,)
        inside = torch.arange(answers.shape[2], device=words.device) <= last_places[:, None]  # (batch, places)
        return max_pool(answers.transpose(1, 2), inside)
