"""BiLSTM-CNN-CRF: tags for the words of a text, out of their letters, their neighbours and the tags beside them.

    bytes -> convolution and maximum over each word  ┐
    word  -> vector of a word that training has seen ┴-> LSTM in both directions -> scores -> best sequence of tags

Papers: Lample et al. 2016, "Neural Architectures for Named Entity Recognition" (LSTM, CRF, words seen once become
unknown); Ma and Hovy 2016, "End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF" (the convolution over
characters, section 2.1). Here the characters are bytes of UTF-8, so that no letter of any language is unknown. Checked
in tests/pipelines/models/test_bilstm_crf.py against torch.nn.LSTM and a loop over the words.

The tokens are bytes: token id = `FIRST_BYTE` + byte, with a space before every word, as the tokenizer that is trained
for this family gives them. A known word is found by a hash of its bytes, so that the network needs nothing but token
ids, and loads wherever those can be made.

Axes: batch, length (tokens, that is bytes), words (of a text), count (words of all texts), span (bytes of a word).
"""

from __future__ import annotations

import torch
from torch import nn

from .crf import ConditionalRandomField
from .recurrent import RecurrentLayer
from .shapes import IGNORED, check_shape, text_mask

FIRST_BYTE = 4
"""Token id of byte 0; the ids before are special tokens."""

SPACE = FIRST_BYTE + ord(" ")
"""Token id of the space that stands before every word."""

LONGEST_WORD = 32
"""Bytes of a word that are looked at, the space before it included; behind them are the tails of addresses."""

_FACTOR = 1_000_003  # odd, so that its powers never vanish among 64 bits


class WordTable(nn.Module):
    """Which row of the word vectors a word has: keys ``(count,)`` to rows ``(count,)``; 0 is that of all unknown words.

    Args:
        words: known words at most; places for which no word was learnt are never found.
    """

    keys: torch.Tensor  # (words,) int64, ascending
    is_rare: torch.Tensor  # (words,) bool: seen once in training

    def __init__(self, words: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.full((words,), torch.iinfo(torch.int64).max))
        self.register_buffer("is_rare", torch.zeros(words, dtype=torch.bool))

    def learn(self, keys: torch.Tensor, is_rare: torch.Tensor) -> torch.Tensor:
        """Takes the keys ``(known,)`` of the words of the training texts; the row of each, ``(known,)``.

        Raises:
            ValueError: there are more than the table has rows, or two with the same key.
        """
        order = keys.argsort()
        if len(keys) > len(self.keys) or bool((keys[order][1:] == keys[order][:-1]).any()):
            raise ValueError(f"{len(keys)} keys for a table of {len(self.keys)}, or two of them are the same.")
        self.keys[: len(keys)] = keys[order]
        self.is_rare[: len(keys)] = is_rare[order]
        return order.argsort() + 1

    def forward(self, keys: torch.Tensor) -> torch.Tensor:
        places = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)  # (count,)
        is_known = self.keys[places] == keys
        if self.training:
            # Lample et al., section 4.2: this trains the vector of words that were never seen.
            is_known &= ~(self.is_rare[places] & (torch.rand(len(places), device=places.device) < 0.5))
        return torch.where(is_known, places + 1, 0)


class WordVectors(nn.Embedding):
    """Rows ``(count,)`` to vectors ``(count, size)``, uniform and of variance 1 / size at first (Ma and Hovy, 3.1)."""

    def reset_parameters(self) -> None:
        """Draws the vectors anew."""
        bound = (3 / self.embedding_dim) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)


class BiLstmCrfTagger(nn.Module):
    """Scores ``(batch, length, num_labels)``: those of a word at every byte of it.

    Args:
        vocab_size: number of token ids, `FIRST_BYTE` + 256.
        num_labels: number of tags.
        words: known words at most.
        word_size: numbers in the vector of a word.
        byte_size: numbers in the vector of a byte.
        filters: features that the convolution over bytes gives.
        hidden_size: features of one direction of the LSTM.
        layers: LSTM layers on top of each other.
        dropout: probability in [0, 1) with which a feature is left out in training: of words, and of the LSTM.
        padding_id: token id of the padding.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        num_labels: int,
        words: int,
        word_size: int,
        byte_size: int,
        filters: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        padding_id: int,
    ) -> None:
        super().__init__()
        if vocab_size != FIRST_BYTE + 256:
            raise ValueError(f"vocab_size is {vocab_size}, expected {FIRST_BYTE + 256}: a token for each byte.")
        self.bytes = nn.Embedding(vocab_size, byte_size, padding_idx=padding_id)
        self.convolution = nn.Conv1d(byte_size, filters, kernel_size=3, padding=1)
        self.words = WordTable(words)
        self.embedding = WordVectors(words + 1, word_size)
        inputs = [word_size + filters] + [2 * hidden_size] * (layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer("lstm", size, hidden_size, bidirectional=True) for size in inputs)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * hidden_size, num_labels)
        self.crf = ConditionalRandomField(num_labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Scores ``(batch, length, num_labels)``, before the tags beside them are looked at.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.

        Raises:
            ValueError: a tensor has other axes, or padding stands before text.
        """
        mask = text_mask(input_ids, attention_mask)  # (batch, length)
        places = WordPlaces(input_ids, mask)
        shapes = self.convolution(self.bytes(input_ids).transpose(1, 2)).transpose(1, 2)  # (batch, length, filters)
        of_words = places.of_words(shapes)  # (count, span, filters)
        of_words = of_words.masked_fill(~places.is_byte[:, :, None], -torch.inf)
        vectors = self.embedding(self.words(places.keys(input_ids)))  # (count, word_size)
        features = torch.cat([vectors, of_words.amax(1)], dim=-1)  # (count, word_size + filters)
        hidden = places.by_text(features)  # (batch, words, word_size + filters)
        for layer in self.layers:
            hidden = layer(self.dropout(hidden), places.counts)  # (batch, words, 2 * hidden)
        scores = self.classifier(self.dropout(hidden))  # (batch, words, num_labels)
        return scores.gather(1, places.word_of_byte[:, :, None].expand(-1, -1, scores.shape[2]))

    def losses(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Minus the log-likelihood of the tags of each text, float32 ``(batch,)``.

        Args:
            scores: ``(batch, length, num_labels)``, by `forward`.
            targets: ``(batch, length)`` int64 tags at one byte of each word, `IGNORED` elsewhere.
        """
        check_shape(targets, tuple(scores.shape[:2]), name="targets")
        keep = targets != IGNORED
        order = (~keep).to(torch.uint8).argsort(dim=1, stable=True)[:, : max(1, int(keep.sum(1).max()))]
        mask = keep.gather(1, order)  # (batch, words)
        mask[:, 0] = True  # a text without any word: its loss is a constant, and its gradient is taken out below
        at_words = scores.gather(1, order[:, :, None].expand(-1, -1, scores.shape[2]))
        losses = self.crf.losses(at_words, targets.gather(1, order).clamp(min=0), mask)
        return losses * keep.any(1)

    def decode(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The best sequence of tags for words, ``(batch, words)``; see `ConditionalRandomField.decode`."""
        return self.crf.decode(scores, mask)

    def marginals(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The probability of each tag, ``(batch, words, num_labels)``; see `ConditionalRandomField.marginals`."""
        return self.crf.marginals(scores, mask)


class WordPlaces:
    """Where the words of a batch of texts stand, told by the spaces before them.

    Args:
        input_ids: ``(batch, length)``.
        mask: ``(batch, length)`` bool, True at the text.
        starts: ``(batch, length)`` bool, where words begin; None for at the spaces.

    Attributes:
        counts: words of each text, ``(batch,)`` int64; 1 at least.
        word_of_byte: for each byte its word's number in its text, ``(batch, length)``.
        is_byte: ``(count, span)`` bool: which of a word's places are bytes of it.
    """

    def __init__(self, input_ids: torch.Tensor, mask: torch.Tensor, starts: torch.Tensor | None = None) -> None:
        starts = (input_ids == SPACE if starts is None else starts) & mask
        starts[:, 0] = True  # a window may begin within a word
        self.counts = starts.sum(1)  # (batch,)
        self.word_of_byte = starts.cumsum(1) - 1  # (batch, length)
        self._text, first = starts.nonzero(as_tuple=True)  # (count,) each
        self._number = self.word_of_byte[self._text, first]  # (count,)
        lengths = mask.sum(1)[self._text] - first  # (count,): to the end of the text
        same = self._text[1:] == self._text[:-1]
        lengths[:-1] = torch.where(same, first[1:] - first[:-1], lengths[:-1])
        span = torch.arange(min(int(lengths.max()), LONGEST_WORD), device=input_ids.device)
        self.is_byte = span < lengths[:, None]  # (count, span)
        self._places = (first[:, None] + span).clamp(max=input_ids.shape[1] - 1)  # (count, span)

    def of_words(self, values: torch.Tensor) -> torch.Tensor:
        """``values`` (batch, length, …) by words: ``(count, span, …)``."""
        return values[self._text[:, None], self._places]

    def by_text(self, values: torch.Tensor) -> torch.Tensor:
        """``values`` (count, features) by texts: ``(batch, words, features)``, zero behind a text's last word."""
        padded = values.new_zeros(len(self.counts), int(self.counts.max()), values.shape[1])
        return padded.index_put((self._text, self._number), values)

    def keys(self, input_ids: torch.Tensor) -> torch.Tensor:
        """The key of each word, ``(count,)`` int64."""
        return word_keys(self.of_words(input_ids), self.is_byte)


def word_keys(tokens: torch.Tensor, is_byte: torch.Tensor) -> torch.Tensor:
    """A number for each word, the same for words that differ in the case of Latin letters or in their digits only.

    Among 64 bits two of 20,000 words have the same number with a probability of 1e-11.

    Args:
        tokens: ``(count, span)`` token ids.
        is_byte: ``(count, span)`` bool: which of them belong to the word; a space among them does not count.
    """
    byte = tokens - FIRST_BYTE
    byte = torch.where((byte >= ord("A")) & (byte <= ord("Z")), byte + 32, byte)
    byte = torch.where((byte >= ord("0")) & (byte <= ord("9")), ord("0"), byte)
    counts = is_byte & (tokens != SPACE)
    place = (counts.cumsum(1) - 1).clamp(min=0)  # so that it does not matter whether the space is there
    powers = torch.full((tokens.shape[1],), _FACTOR, device=tokens.device).cumprod(0)  # int64, wrapping around
    return ((byte + 1) * powers[place]).masked_fill(~counts, 0).sum(1)
