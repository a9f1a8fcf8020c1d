"""Recurrent encoder-decoder with attention: reads a text in both directions, then writes another one token by token.

    token ids -> word vectors -> LSTM in both directions -> memory
    tokens written -> lower LSTM -> attention over the memory -> upper LSTM -> scores of the next token

Papers: Bahdanau et al. 2015, "Neural Machine Translation by Jointly Learning to Align and Translate" (attention,
section 3.1 and appendix A.1.2; the decoder's first state, A.2.2). As in Wu et al. 2016, "Google's Neural Machine
Translation System", section 3, the lowest decoder layer asks for the attention and the layer above reads what it found.
So no state waits for the attention of the step before, and the LSTMs run over whole texts at once, which is what they
are fast at. Word vectors are shared by both languages and by the output (Press and Wolf 2017). Checked in
tests/pipelines/models/test_seq2seq.py against a loop over the tokens written out by the equations.

Axes: batch, length (tokens read), steps (tokens written), hidden (features of one direction, and of the decoder).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .embedding import WordEmbedding
from .recurrent import LongShortTermCell, RecurrentLayer
from .shapes import check_shape, text_mask


class WritingState(NamedTuple):
    """What the decoder knows of a batch of texts; the first axis of each is batch.

    Attributes:
        memory: what was read, ``(batch, length, 2 * hidden)``.
        keys: what the attention compares with, ``(batch, length, hidden)``.
        mask: True at the tokens of the text, ``(batch, length)``.
        lower: state of the lower LSTM, ``(batch, 2, hidden)``: output and cell.
        upper: that of the upper one.
    """

    memory: torch.Tensor
    keys: torch.Tensor
    mask: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor


class AdditiveAttention(nn.Module):
    """Where to look: weights from ``v · tanh(W query + U key)`` (Bahdanau et al. 2015, A.1.2).

    Args:
        query_size: features of what asks.
        memory_size: features of what is looked at.
        hidden_size: features in which they are compared.
    """

    def __init__(self, query_size: int, memory_size: int, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, hidden_size, bias=False)
        self.key = nn.Linear(memory_size, hidden_size)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def forward(
        self, queries: torch.Tensor, keys: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """What is found in ``memory``, ``(batch, steps, memory_size)``.

        Args:
            queries: ``(batch, steps, query_size)``.
            keys: ``self.key(memory)``, ``(batch, length, hidden_size)``.
            memory: ``(batch, length, memory_size)``.
            mask: True where there is something to look at, ``(batch, length)``.
        """
        compared = torch.tanh(self.query(queries)[:, :, None] + keys[:, None])  # (batch, steps, length, hidden)
        scores = self.score(compared).squeeze(-1)  # (batch, steps, length)
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        return weights.to(memory.dtype) @ memory


class AttentiveSeq2Seq(nn.Module):
    """Logits ``(batch, steps, vocab)`` of what follows the tokens written so far.

    Args:
        vocab_size: number of token ids, of both texts together.
        embedding_size: numbers in a word vector.
        hidden_size: features of one direction of the encoder, and of the decoder.
        layers: layers of the encoder on top of each other.
        dropout: probability in [0, 1) with which a feature is left out in training: of word vectors, between layers,
            and before the scores.
        padding_id: token id of the padding, with which the decoder also starts.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        padding_id: int,
    ) -> None:
        super().__init__()
        memory_size = 2 * hidden_size
        self.hidden_size = hidden_size
        self.embedding = WordEmbedding(vocab_size, embedding_size, padding_id)
        inputs = [embedding_size] + [memory_size] * (layers - 1)
        self.encoder = nn.ModuleList(RecurrentLayer("lstm", size, hidden_size, bidirectional=True) for size in inputs)
        self.first_states = nn.Linear(hidden_size, 4 * hidden_size)
        self.lower = LongShortTermCell(embedding_size, hidden_size, batch_first=True)
        self.attention = AdditiveAttention(hidden_size, memory_size, hidden_size)
        self.upper = LongShortTermCell(hidden_size + memory_size, hidden_size, batch_first=True)
        self.readout = nn.Linear(hidden_size + memory_size + embedding_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.scores = TokenScores(vocab_size)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None, decoder_input_ids: torch.Tensor
    ) -> torch.Tensor:
        """Logits ``(batch, steps, vocab)`` of the token after each of ``decoder_input_ids``.

        Args:
            input_ids: the texts to read, ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.
            decoder_input_ids: what was written so far, ``(batch, steps)`` int64, the token that starts first.

        Raises:
            ValueError: a tensor has other axes, or padding stands before text.
        """
        return self.logits(self.features(decoder_input_ids, self.encode(input_ids, attention_mask))[0])

    def encode(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> WritingState:
        """The state before the first written token; arguments as for ``forward``."""
        return self.begin(self.read(input_ids, attention_mask), text_mask(input_ids, attention_mask))

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """The memory ``(batch, length, 2 * hidden)`` of the texts; arguments as for ``forward``."""
        lengths = text_mask(input_ids, attention_mask).sum(1)
        memory = self.embedding(input_ids)
        for layer in self.encoder:
            memory = layer(self.dropout(memory), lengths)
        return memory

    def begin(self, memory: torch.Tensor, mask: torch.Tensor) -> WritingState:
        """The state before the first written token, from the memory and the tokens of the text in it."""
        # The backward direction has read the whole text when it comes to the first token (A.2.2).
        first = torch.tanh(self.first_states(memory[:, 0, self.hidden_size :]))
        lower, upper = first.view(len(memory), 2, 2, self.hidden_size).unbind(1)
        return WritingState(memory, self.attention.key(memory), mask, lower, upper)

    def step(self, input_ids: torch.Tensor, state: WritingState) -> tuple[torch.Tensor, WritingState]:
        """Logits ``(batch, vocab)`` of the token after ``input_ids`` ``(batch, steps)``, and the state after them."""
        features, state = self.features(input_ids, state)
        return self.logits(features[:, -1]), state

    def reorder(self, state: WritingState, rows: torch.Tensor) -> WritingState:
        """The state of the texts ``rows`` ``(any number,)``, in this order."""
        return WritingState(*(tensor.index_select(0, rows) for tensor in state))

    def features(self, input_ids: torch.Tensor, state: WritingState) -> tuple[torch.Tensor, WritingState]:
        """What the scores are computed from, ``(batch, steps, embedding_size)``, and the state after ``input_ids``."""
        check_shape(input_ids, (len(state.memory), "steps"), name="decoder_input_ids")
        words = self.dropout(self.embedding(input_ids))  # (batch, steps, embedding)
        asked, lower = _run(self.lower, words, state.lower)  # (batch, steps, hidden)
        asked = self.dropout(asked)
        found = self.attention(asked, state.keys, state.memory, state.mask)  # (batch, steps, 2 * hidden)
        written, upper = _run(self.upper, torch.cat([asked, found], -1), state.upper)  # (batch, steps, hidden)
        features = torch.tanh(self.readout(torch.cat([self.dropout(written), found, words], -1)))
        return self.dropout(features), state._replace(lower=lower, upper=upper)

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Logits ``(…, vocab)`` of ``features`` ``(…, embedding_size)``."""
        return self.scores(features, self.embedding.weight)


class TokenScores(nn.Module):
    """How well each token's vector fits, and how frequent the token is whatever the text: ``(…, vocab)``."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def reset_parameters(self) -> None:
        """Sets all numbers to zero."""
        nn.init.zeros_(self.bias)

    def forward(self, features: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        return functional.linear(features, vectors, self.bias)


def _run(cell: nn.LSTM, inputs: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs ``(batch, steps, hidden)`` and the state ``(batch, 2, hidden)`` after them."""
    before = state.transpose(0, 1).to(inputs.dtype)[:, None]  # (2, 1, batch, hidden)
    outputs, after = cell(inputs, (before[0].contiguous(), before[1].contiguous()))
    return outputs, torch.cat(after).transpose(0, 1)
