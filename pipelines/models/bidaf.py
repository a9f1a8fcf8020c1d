"""Bidirectional attention flow: where in a context the answer to a question begins and ends.

    bytes -> convolution and maximum over each word ┐
    word  -> vector of a known word                 ┴-> highway -> LSTM in both directions, of question and context
    each word of the context attends to the question, and the question to the context
    -> LSTM in both directions, two layers -> scores of the first word -> one more LSTM -> scores of the last word

Paper: Seo et al. 2017, "Bidirectional Attention Flow for Machine Comprehension"; equations are numbered as there. The
classification token stands before the words of the context as one more of them, and stands for "no answer" (as in Levy
et al. 2017, "Zero-Shot Relation Extraction via Reading Comprehension", which adds a score for it). Checked in
tests/pipelines/models/test_bidaf.py against loops over words.

Tokens are bytes, words are found by the space before them and known ones by a hash of their bytes, as in
bilstm_crf.py. A question and its context are read as the tokenizer of the kind ``byte-words`` gives a pair:
[CLS] question [SEP] context.

Axes: batch, length (tokens, that is bytes), words (of both texts), question and context (words of each, the latter
with the classification token first), count (words of all texts), features.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .bilstm_crf import FIRST_BYTE, SPACE, WordPlaces, WordTable, WordVectors
from .recurrent import RecurrentLayer
from .shapes import text_mask

SEPARATOR = 3
"""Token id of [SEP], between question and context."""

IMPOSSIBLE = -1e4
"""Score of a token at which no answer begins, or ends: no token of a context, or one within a word. bfloat16 has it."""


class Highway(nn.Module):
    """Layers that each let a part of their input through as it is (Srivastava et al. 2015); the shape stays."""

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        self.changes = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
        self.gates = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for change, gate in zip(self.changes, self.gates, strict=True):
            open_ = torch.sigmoid(gate(features))
            features = open_ * torch.relu(change(features)) + (1 - open_) * features
        return features


class AttentionFlow(nn.Module):
    """Each word of the context with what question and context say to each other about it (equations 1 to 4).

    Args:
        size: features of a word.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        # w of equation 1, three parts: for the context's word, the question's word, and their product
        self.of_context = nn.Linear(size, 1, bias=False)
        self.of_question = nn.Linear(size, 1, bias=False)
        self.of_both = nn.Parameter(torch.empty(size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the weights of the products anew; those of the two layers are theirs to draw."""
        nn.init.uniform_(self.of_both, -(len(self.of_both) ** -0.5), len(self.of_both) ** -0.5)

    def forward(self, context: torch.Tensor, question: torch.Tensor, masks: tuple[torch.Tensor, torch.Tensor]):
        """``(batch, context, 4 * size)``.

        Args:
            context: ``(batch, context, size)``.
            question: ``(batch, question, size)``.
            masks: bool ``(batch, context)`` and ``(batch, question)``, True at words.
        """
        is_context, is_question = masks
        # similarity of each two words, (batch, context, question)
        similarity = (context * self.of_both) @ question.transpose(1, 2)
        similarity = similarity + self.of_context(context) + self.of_question(question).transpose(1, 2)
        similarity = similarity.masked_fill(~is_question[:, None, :], IMPOSSIBLE)
        to_question = similarity.softmax(dim=2) @ question  # (batch, context, size)
        most = similarity.amax(dim=2).masked_fill(~is_context, IMPOSSIBLE)  # (batch, context)
        to_context = most.softmax(dim=1)[:, None, :] @ context  # (batch, 1, size): the same for all words
        return torch.cat([context, to_question, context * to_question, context * to_context], dim=2)


class BidirectionalAttentionFlow(nn.Module):
    """Scores ``(batch, length, 2)``: of the answer to begin, and to end, at each token.

    An answer begins at the first byte of a word of the context and ends at the last byte of one; both at the
    classification token mean that there is none. All other scores are `IMPOSSIBLE`.

    Args:
        vocab_size: number of token ids, `FIRST_BYTE` + 256.
        words: known words at most.
        word_size: numbers in the vector of a word.
        byte_size: numbers in the vector of a byte.
        filters: features that the convolution over bytes gives.
        kernel_size: bytes that a filter looks at; odd.
        hidden_size: features of one direction of each LSTM.
        dropout: probability in [0, 1) with which a feature is left out in training, before each layer.
        padding_id: token id of the padding.
    """

    answers_words = True
    """An answer is some whole words; training targets are widened to them."""

    def __init__(
        self,
        *,
        vocab_size: int,
        words: int,
        word_size: int,
        byte_size: int,
        filters: int,
        kernel_size: int,
        hidden_size: int,
        dropout: float,
        padding_id: int,
    ) -> None:
        super().__init__()
        if vocab_size != FIRST_BYTE + 256:
            raise ValueError(f"vocab_size is {vocab_size}, expected {FIRST_BYTE + 256}: a token for each byte.")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}, expected an odd number, so that a byte is in the middle.")
        both = 2 * hidden_size
        self.bytes = nn.Embedding(vocab_size, byte_size, padding_idx=padding_id)
        self.convolution = nn.Conv1d(byte_size, filters, kernel_size, padding=kernel_size // 2)
        self.words = WordTable(words)
        self.embedding = WordVectors(words + 1, word_size)
        self.highway = Highway(word_size + filters, layers=2)
        self.reading = RecurrentLayer("lstm", word_size + filters, hidden_size, bidirectional=True)
        self.attention = AttentionFlow(both)
        self.modelling = nn.ModuleList(
            RecurrentLayer("lstm", size, hidden_size, bidirectional=True) for size in (4 * both, both)
        )
        self.ending = RecurrentLayer("lstm", both, hidden_size, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.ModuleDict({name: nn.Linear(5 * both, 1) for name in ("start", "end")})

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Scores ``(batch, length, 2)``.

        Args:
            input_ids: ``(batch, length)`` int64: [CLS] question [SEP] context.
            attention_mask: ``(batch, length)``, 1 at the texts and 0 at the padding after them; None without padding.

        Raises:
            ValueError: a tensor has other axes, padding stands before text, or a row has no [SEP].
        """
        mask = text_mask(input_ids, attention_mask)  # (batch, length)
        places = WordPlaces(input_ids, mask, starts=_starts(input_ids))
        halves = _Halves(input_ids, mask, places)
        words = self.highway(self._words(input_ids, places))  # (count, word_size + filters)
        words = self.dropout(places.by_text(words))  # (batch, words, word_size + filters)
        question = self.reading(halves.question_of(words), halves.question_counts)  # (batch, question, 2 * hidden)
        context = self.reading(halves.context_of(words), halves.context_counts)  # (batch, context, 2 * hidden)
        # (batch, context, 8 * hidden)
        flow = self.attention(context, question, (halves.is_context, halves.is_question))
        model = flow
        for layer in self.modelling:
            model = layer(self.dropout(model), halves.context_counts)  # (batch, context, 2 * hidden)
        ending = self.ending(self.dropout(model), halves.context_counts)  # (batch, context, 2 * hidden)
        scores = [
            self.classifier[name](self.dropout(torch.cat([flow, last], dim=2)))
            for name, last in (("start", model), ("end", ending))
        ]
        return halves.at_tokens(torch.cat(scores, dim=2))

    def _words(self, input_ids: torch.Tensor, places: WordPlaces) -> torch.Tensor:
        """The features of each word by itself, ``(count, word_size + filters)``."""
        shapes = self.convolution(self.dropout(self.bytes(input_ids)).transpose(1, 2)).transpose(1, 2)
        of_words = places.of_words(torch.relu(shapes))  # (count, span, filters)
        of_words = of_words.masked_fill(~places.is_byte[:, :, None], 0)  # no more than what relu leaves
        vectors = self.embedding(self.words(places.keys(input_ids)))  # (count, word_size)
        return torch.cat([vectors, of_words.amax(1)], dim=-1)


class _Halves:
    """Which words of each text are of the question and which of the context, and which tokens begin and end them.

    Attributes:
        question_counts: words of each question, ``(batch,)``; 1 at least.
        context_counts: words of each context with the classification token, ``(batch,)``.
        is_question: ``(batch, question)`` bool, True at words.
        is_context: ``(batch, context)`` bool, True at words.
    """

    def __init__(self, input_ids: torch.Tensor, mask: torch.Tensor, places: WordPlaces) -> None:
        is_separator = (input_ids == SEPARATOR) & mask
        if not bool(is_separator.any(1).all()):
            raise ValueError("input_ids has a row without a separator, expected [CLS] question [SEP] context.")
        first = is_separator.to(torch.uint8).argmax(1, keepdim=True)  # (batch, 1)
        separator = places.word_of_byte.gather(1, first)[:, 0].clamp(min=1)  # (batch,): number of that word
        # An empty question is the separator alone.
        self.question_counts = (separator - 1).clamp(min=1)
        self.context_counts = places.counts - separator
        device = input_ids.device
        question = torch.arange(int(self.question_counts.max()), device=device)
        context = torch.arange(int(self.context_counts.max()), device=device)
        self.is_question = question < self.question_counts[:, None]
        self.is_context = context < self.context_counts[:, None]
        last = int(places.counts.max()) - 1
        # numbers of the words, (batch, question) and (batch, context); padding is some other word
        self._question = (question + 1).clamp(max=last).expand(len(input_ids), -1)
        self._context = torch.where(context == 0, 0, (separator[:, None] + context).clamp(max=last))
        number = places.word_of_byte  # (batch, length)
        is_answer = ((number == 0) | (number > separator[:, None])) & mask
        begins = torch.ones_like(mask)
        begins[:, 1:] = number[:, 1:] != number[:, :-1]
        ends = torch.ones_like(mask)
        ends[:, :-1] = begins[:, 1:] | ~mask[:, 1:]
        self._tokens = (number - separator[:, None]).clamp(min=0)  # (batch, length): number within the context
        self._allowed = torch.stack([begins & is_answer, ends & is_answer], dim=2)  # (batch, length, 2)

    def question_of(self, words: torch.Tensor) -> torch.Tensor:
        """Those of ``words`` (batch, words, features) that are of the question, ``(batch, question, features)``."""
        return words.gather(1, self._question[:, :, None].expand(-1, -1, words.shape[2]))

    def context_of(self, words: torch.Tensor) -> torch.Tensor:
        """The classification token and the words of the context, ``(batch, context, features)``."""
        return words.gather(1, self._context[:, :, None].expand(-1, -1, words.shape[2]))

    def at_tokens(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores ``(batch, context, 2)`` at the tokens that begin and end the words, ``(batch, length, 2)``."""
        tokens = self._tokens.clamp(max=scores.shape[1] - 1)
        found = scores.gather(1, tokens[:, :, None].expand(-1, -1, 2))
        return torch.where(self._allowed, found, IMPOSSIBLE)


def _starts(input_ids: torch.Tensor) -> torch.Tensor:
    """Where words begin, ``(batch, length)`` bool: at spaces, at special tokens, and behind these.

    A window may begin within a word, so that no space stands behind the separator.
    """
    is_special = input_ids < FIRST_BYTE
    return (input_ids == SPACE) | is_special | functional.pad(is_special[:, :-1], (1, 0))
