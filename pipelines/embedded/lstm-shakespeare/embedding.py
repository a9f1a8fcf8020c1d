"""The table of word vectors that every text network begins with."""

from __future__ import annotations

import torch
from torch import nn


class WordEmbedding(nn.Embedding):
    """Token ids ``(batch, length)`` to vectors ``(batch, length, size)``; the padding token's vector is zero.

    Torch's own start, N(0, 1), is made for no network in particular: it saturates gates. The vectors begin uniform in
    [-bound, bound] instead.

    Args:
        vocab_size: number of token ids.
        size: numbers in a vector.
        padding_id: the token whose vector is zero and stays so.
        bound: 0.25 is Kim's (2014, section 3.2) for words without a pretrained vector.
    """

    def __init__(self, vocab_size: int, size: int, padding_id: int, bound: float = 0.25) -> None:
        self.bound = bound  # before nn.Embedding's own __init__, which calls reset_parameters
        super().__init__(vocab_size, size, padding_idx=padding_id)

    def reset_parameters(self) -> None:
        """Draws all vectors anew."""
        nn.init.uniform_(self.weight, -self.bound, self.bound)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx].zero_()
