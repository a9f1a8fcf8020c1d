"""Recurrent language models: an LSTM or GRU that tells what token comes next, from all that it read before.

    token ids -> token vectors -> recurrent layers -> logits of the next token, after each token

Zaremba et al. 2014, "Recurrent Neural Network Regularization", is the network; from Merity et al. 2017, "Regularizing
and Optimizing LSTM Language Models", come the dropout that leaves out the same features all through a text (section
4.3, after Gal and Ghahramani 2016) and the output that shares the token vectors (section 4.5, after Press and Wolf
2017). What was read is kept in a state of fixed size, so that writing costs the same for every token. Checked against
torch.nn.LSTM and GRU in tests/pipelines/models/test_language_model.py.

Axes: batch, length (tokens), hidden (features of a layer).
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from .embedding import WordEmbedding
from .recurrent import LongShortTermCell
from .shapes import check_shape

CELLS = {"lstm": LongShortTermCell, "gru": nn.GRU}

State = tuple["torch.Tensor | tuple[torch.Tensor, torch.Tensor] | None", ...]
"""What each layer keeps: ``(1, batch, hidden)``, of an LSTM two of these; None before the first token."""


class RecurrentLanguageModel(nn.Module):
    """Logits ``(batch, length, vocab)`` of the token after each token.

    Args:
        vocab_size: number of token ids.
        cell: ``lstm`` or ``gru``.
        embedding_size: numbers in a token's vector.
        hidden_size: features of a layer; with ``tied`` the last layer has ``embedding_size``.
        layers: recurrent layers on top of each other.
        dropout: probability in [0, 1) with which a feature is left out in training, all through a text: of token
            vectors, between layers, and before the logits.
        tied: whether the logits are computed from the token vectors, which saves the weights of an output layer.
        padding_id: token id of the padding.

    Raises:
        ValueError: ``cell`` is none of these.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        cell: str,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        tied: bool,
        padding_id: int,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell is '{cell}', expected one of {', '.join(CELLS)}.")
        sizes = [embedding_size, *[hidden_size] * (layers - 1), embedding_size if tied else hidden_size]
        # Variance 1. Zaremba et al. begin within 0.1; with Adam in place of their large steps, such vectors leave the
        # gates of the layers above without a signal: 120 steps on characters came to a loss of 2.68 rather than 2.39
        # with 1.0, and larger ones learn faster still.
        self.embedding = WordEmbedding(vocab_size, embedding_size, padding_id, bound=3**0.5)
        self.layers = nn.ModuleList(
            CELLS[cell](before, after, batch_first=True) for before, after in itertools.pairwise(sizes)
        )
        self.dropout = LockedDropout(dropout)
        self.output = None if tied else nn.Linear(hidden_size, vocab_size)
        self.bias = nn.Parameter(torch.zeros(vocab_size)) if tied else None

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits ``(batch, length, vocab)``; padding behind a text touches nothing of it.

        Args:
            input_ids: ``(batch, length)`` int64.

        Raises:
            ValueError: ``input_ids`` has other axes.
        """
        return self.logits(self.read(input_ids, self.start(len(input_ids)))[0])

    def read(self, input_ids: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Features ``(batch, length, hidden)`` of the last layer after each token, and the state after the last one.

        Args:
            input_ids: ``(batch, length)`` int64.
            state: after what was read before.

        Raises:
            ValueError: ``input_ids`` has other axes.
        """
        check_shape(input_ids, ("batch", "length"), name="input_ids")
        hidden = self.dropout(self.embedding(input_ids))  # (batch, length, embedding)
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            hidden, kept = layer(hidden, before)  # (batch, length, hidden)
            hidden = self.dropout(hidden)
            after.append(kept)
        return hidden, tuple(after)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits ``(…, vocab)`` for features ``(…, hidden)`` of the last layer."""
        if self.output is not None:
            return self.output(features)
        return functional.linear(features, self.embedding.weight, self.bias)

    def start(self, batch: int) -> State:
        """The state before the first token; it is the same for any number of texts."""
        return (None,) * len(self.layers)

    def step(self, input_ids: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Logits ``(batch, vocab)`` of the token after ``input_ids`` ``(batch, length)``, and the state after them."""
        features, state = self.read(input_ids, state)
        return self.logits(features[:, -1]), state


class LockedDropout(nn.Module):
    """Leaves out features of ``(batch, length, hidden)``, of a text the same ones at every token (Merity et al. 2017).

    Args:
        probability: with which a feature is left out in training, in [0, 1); the others are scaled up.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.probability:
            return hidden
        kept = torch.ones_like(hidden[:, :1])  # (batch, 1, hidden)
        return hidden * functional.dropout(kept, self.probability)
