"""The words that a tagger over bytes knows: those of its training texts, most frequent first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..pipelines.models.bilstm_crf import FIRST_BYTE, LONGEST_WORD, SPACE, word_keys
from ..pipelines.tokenization import TextTokenizer


@dataclass(frozen=True)
class KnownWords:
    """Words of the training texts; those that differ in the case of Latin letters or in digits only are one.

    Attributes:
        words: the most frequent way in which each is written.
        keys: ``(words,)`` int64, by which the network finds them.
        is_rare: ``(words,)`` bool: seen once.
    """

    words: tuple[str, ...]
    keys: torch.Tensor
    is_rare: torch.Tensor

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]], tokenizer: TextTokenizer, most: int) -> KnownWords:
        """The words of ``texts``, each a list of words; ``most`` of them at most, the most frequent ones.

        Args:
            texts: read once, in a stream.
            tokenizer: of the kind ``byte-words``.
            most: how many.
        """
        written: Counter[bytes] = Counter()
        for block in _blocks(texts):
            for encoded in tokenizer.encode(block, is_split=True):
                written.update(_words(encoded.input_ids))
        ordered = sorted(written.items(), key=lambda item: (-item[1], item[0]))
        keys = _keys([word for word, _ in ordered]).tolist()
        counts: dict[int, int] = {}
        first: dict[int, bytes] = {}
        for key, (word, count) in zip(keys, ordered, strict=True):
            counts[key] = counts.get(key, 0) + count
            first.setdefault(key, word)
        kept = sorted(counts, key=lambda key: (-counts[key], first[key]))[:most]
        return cls(
            tuple(first[key].decode("utf-8", "replace") for key in kept),
            torch.tensor(kept, dtype=torch.int64),
            torch.tensor([counts[key] == 1 for key in kept], dtype=torch.bool),
        )


def learn_words(model: Any, known: KnownWords) -> dict[str, int]:
    """Puts ``known`` into the table of ``model``; the row of each word."""
    rows = model.network.words.learn(known.keys, known.is_rare).tolist()
    return dict(zip(known.words, rows, strict=True))


def _blocks(texts: Iterable[Sequence[str]], size: int = 1000) -> Iterator[list[Sequence[str]]]:
    block: list[Sequence[str]] = []
    for text in texts:
        block.append(text)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _words(input_ids: Sequence[int]) -> Iterator[bytes]:
    """The words of a text, cut to what the network looks at."""
    word = bytearray()
    for token in input_ids:
        if token == SPACE:
            if word:
                yield bytes(word)
            word = bytearray()
        elif token >= FIRST_BYTE and len(word) < LONGEST_WORD - 1:  # the space counts among the network's bytes
            word.append(token - FIRST_BYTE)
    if word:
        yield bytes(word)


def _keys(words: Sequence[bytes]) -> torch.Tensor:
    """(words,) int64."""
    tokens = torch.zeros(len(words), LONGEST_WORD, dtype=torch.int64)
    for row, word in enumerate(words):
        tokens[row, : len(word)] = torch.frombuffer(bytearray(word), dtype=torch.uint8).long() + FIRST_BYTE
    return word_keys(tokens, tokens >= FIRST_BYTE)
