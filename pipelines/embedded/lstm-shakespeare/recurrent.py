"""Recurrent networks over texts: Elman's network (rnn), LSTM and GRU, in one or both directions, of any depth.

    token ids -> word vectors -> recurrent layers -> a vector for each token
                                                  -> one vector (last, max, mean or attention) -> logits

The networks for pairs of texts are in siamese.py. Papers: Elman 1990, "Finding Structure in Time"; Hochreiter and
Schmidhuber 1997, "Long Short-Term Memory"; Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder"
(GRU); Conneau et al. 2017, "Supervised Learning of Universal Sentence Representations" (maximum over both directions,
the default). Checked against torch.nn.LSTM, GRU and RNN run on packed sequences, and against the cells' equations, in
tests/pipelines/models/test_recurrent.py.

Axes: batch, length (tokens), hidden (features of one direction), directions (1 or 2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .embedding import WordEmbedding
from .pooling import AttentionPooling, max_pool, mean_pool
from .shapes import text_mask


class ElmanCell(nn.RNN):
    """torch's RNN whose recurrent matrix begins orthogonal.

    Nothing but this matrix carries the gradient back through time, and a random one shrinks or blows it up (Saxe et al.
    2014, "Exact solutions to the nonlinear dynamics of learning"). Gated cells have a path of their own.
    """

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        super().reset_parameters()
        nn.init.orthogonal_(self.get_parameter("weight_hh_l0"))


class LongShortTermCell(nn.LSTM):
    """torch's LSTM whose forget gate begins open, with a bias of 1.

    Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures", section 5: it closes the gap
    between LSTM and GRU. Torch orders the gates i, f, g, o and adds two biases; the second one's part is zero.
    """

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        super().reset_parameters()
        forget_gate = slice(self.hidden_size, 2 * self.hidden_size)
        with torch.no_grad():
            self.get_parameter("bias_ih_l0")[forget_gate] = 1.0
            self.get_parameter("bias_hh_l0")[forget_gate] = 0.0


CELLS = {"rnn": ElmanCell, "lstm": LongShortTermCell, "gru": nn.GRU}
POOLINGS = ("last", "max", "mean", "attention")


class RecurrentLayer(nn.Module):
    """One layer in one or both directions: ``(batch, length, input)`` to ``(batch, length, directions * hidden)``.

    Padding stands after the text, so reading forwards it can touch nothing. Backwards, each text is reversed within its
    own length. That takes the place of packed sequences, which on a CPU keep torch from its fused LSTM: a training
    step with them took 1.6 to 4.6 times as long, with bf16 4.6 to 7.7 times (docs/models.md).
    """

    def __init__(self, cell: str, input_size: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        self.forwards = CELLS[cell](input_size, hidden_size, batch_first=True)
        self.backwards = CELLS[cell](input_size, hidden_size, batch_first=True) if bidirectional else None

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        forwards, _ = self.forwards(inputs)  # (batch, length, hidden)
        if self.backwards is None:
            return forwards
        order = reversing_order(lengths, inputs.shape[1])
        backwards, _ = self.backwards(reorder(inputs, order))  # (batch, length, hidden), last token first
        return torch.cat([forwards, reorder(backwards, order)], dim=-1)  # (batch, length, 2 * hidden)


class RecurrentEncoder(nn.Module):
    """A vector ``(batch, length, features)`` for each token; features are ``directions * hidden_size``.

    Args:
        vocab_size: number of token ids.
        cell: ``rnn``, ``lstm`` or ``gru``.
        embedding_size: numbers in a word vector.
        hidden_size: features of one direction.
        layers: recurrent layers on top of each other.
        bidirectional: whether each layer also reads backwards.
        dropout: probability in [0, 1) with which a feature is left out in training: of word vectors, and between
            layers.
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
        bidirectional: bool,
        dropout: float,
        padding_id: int,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell is '{cell}', expected one of {', '.join(CELLS)}.")
        self.hidden_size = hidden_size
        self.features = hidden_size * (2 if bidirectional else 1)
        inputs = [embedding_size] + [self.features] * (layers - 1)
        self.embedding = WordEmbedding(vocab_size, embedding_size, padding_id)
        self.layers = nn.ModuleList(RecurrentLayer(cell, size, hidden_size, bidirectional) for size in inputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """The vectors of the tokens; what stands at the padding is no text's.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.

        Raises:
            ValueError: a tensor has other axes, or padding stands before text.
        """
        return self.read(input_ids, text_mask(input_ids, attention_mask))

    def read(self, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The vectors of the tokens, ``(batch, length, features)``; ``mask`` as `text_mask` gives it."""
        lengths = mask.sum(dim=1)  # (batch,)
        hidden = self.embedding(input_ids)  # (batch, length, embedding)
        for layer in self.layers:
            hidden = layer(self.dropout(hidden), lengths)  # (batch, length, features)
        return hidden


class PooledEncoder(RecurrentEncoder):
    """A `RecurrentEncoder` that also makes one vector ``(batch, features)`` out of those of the tokens.

    Args:
        pooling: how: ``last`` (each direction's state after its last token), ``max`` or ``mean`` over the tokens, or
            ``attention`` (learned weights).
        sizes: as for `RecurrentEncoder`.

    Raises:
        ValueError: ``pooling`` is none of these.
    """

    def __init__(self, *, pooling: str, **sizes: Any) -> None:
        super().__init__(**sizes)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is '{pooling}', expected one of {', '.join(POOLINGS)}.")
        self.pooling = pooling
        self.attention = AttentionPooling(self.features) if pooling == "attention" else None

    def encode(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """One vector for each text, ``(batch, features)``; arguments and errors as in ``forward``."""
        mask = text_mask(input_ids, attention_mask)  # (batch, length)
        hidden = self.read(input_ids, mask)  # (batch, length, features)
        if self.attention is not None:
            return self.attention(hidden, mask)
        if self.pooling == "max":
            return max_pool(hidden, mask)
        if self.pooling == "mean":
            return mean_pool(hidden, mask)
        # The backward direction ends at the first token.
        rows = torch.arange(len(hidden), device=hidden.device)
        last = mask.sum(dim=1) - 1
        return torch.cat([hidden[rows, last, : self.hidden_size], hidden[:, 0, self.hidden_size :]], dim=-1)


class RecurrentClassifier(PooledEncoder):
    """Logits ``(batch, num_labels)`` for texts of token ids.

    Args:
        num_labels: number of classes, or of values in a regression.
        sizes: as for `PooledEncoder`; dropout also before the classifier.
    """

    def __init__(self, *, num_labels: int, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.classifier = nn.Linear(self.features, num_labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits ``(batch, num_labels)``; arguments and errors as in `RecurrentEncoder.forward`."""
        return self.classifier(self.dropout(self.encode(input_ids, attention_mask)))


def reversing_order(lengths: torch.Tensor, length: int) -> torch.Tensor:
    """For each place the place to read from so that each text stands reversed and padding stays, ``(batch, length)``.

    >>> reversing_order(torch.tensor([3, 2]), 4).tolist()
    [[2, 1, 0, 3], [1, 0, 2, 3]]
    """
    places = torch.arange(length, device=lengths.device)[None, :]  # (1, length)
    reversed_places = lengths[:, None] - 1 - places  # (batch, length), negative at the padding
    return torch.where(reversed_places >= 0, reversed_places, places)


def reorder(hidden: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """``hidden`` (batch, length, features) with the tokens of each text read in ``order`` (batch, length)."""
    return hidden.gather(1, order[:, :, None].expand_as(hidden))
