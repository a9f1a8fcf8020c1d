"""Texts as token ids on the disk, one behind the other: tokenized once, read by number, resumed from.

A network that learns from running text reads pieces of texts, so that where a row begins is known only once all are
tokenized. Memory holds one number a text, whatever the texts.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..pipelines.tokenization import TextTokenizer

IDS_FILE, STARTS_FILE, WORDS_FILE = "ids.bin", "starts.npy", "words.bin"
DONE_FILE = "done.json"

TEXTS_AT_ONCE = 1000


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of texts, without special tokens around them.

    Attributes:
        ids: int32 (tokens,), of all texts, on the disk.
        starts: int64 (texts + 1,): where in ``ids`` each text begins, and where the last one ends.
        is_start: bool (tokens,), on the disk: whether a word begins with the token; None where it was not asked for.
    """

    ids: np.ndarray
    starts: np.ndarray
    is_start: np.ndarray | None = None

    @classmethod
    def of(
        cls, texts: Iterable[str], tokenizer: TextTokenizer, folder: Path, *, with_words: bool = False
    ) -> TokenizedTexts:
        """The tokenized texts kept in ``folder``; they are written there first where they are not.

        Args:
            texts: read once, in a stream, unless they are there already.
            tokenizer: encodes them.
            folder: made if it does not exist.
            with_words: whether to tell where words begin.
        """
        if not (folder / DONE_FILE).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            count = _write(texts, tokenizer, folder, with_words=with_words)
            (folder / DONE_FILE).write_text(json.dumps({"tokens": count}) + "\n", encoding="utf-8")
        starts = np.load(folder / STARTS_FILE)
        return cls(
            _read(folder / IDS_FILE, np.dtype(np.int32)),
            starts,
            _read(folder / WORDS_FILE, np.dtype(np.bool_)) if with_words else None,
        )

    def pieces(self, room: int) -> np.ndarray:
        """(start, stop) in ``ids`` of pieces of at most ``room`` tokens, int64 (pieces, 2).

        A text without tokens has none. Others are cut into as few pieces as can be, of the same size but for one token,
        so that none is a scrap.
        """
        lengths = np.diff(self.starts)
        counts = -(-lengths // room)  # pieces of each text
        of_text = np.repeat(np.arange(len(lengths)), counts)
        number = np.arange(len(of_text)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = self.starts[:-1][of_text]
        return np.stack(
            [
                first + number * lengths[of_text] // counts[of_text],
                first + (number + 1) * lengths[of_text] // counts[of_text],
            ],
            axis=1,
        )


def even_cuts(length: int, room: int | None) -> list[tuple[int, int]]:
    """(start, stop) of the pieces of one text of ``length`` tokens, as `TokenizedTexts.pieces` cuts; None never cuts.

    >>> even_cuts(10, 4)
    [(0, 3), (3, 6), (6, 10)]
    """
    count = -(-length // (room or max(1, length)))
    return [(number * length // count, (number + 1) * length // count) for number in range(count)]


def _write(texts: Iterable[str], tokenizer: TextTokenizer, folder: Path, *, with_words: bool) -> int:
    """Writes the files; returns the number of tokens."""
    prefix, _, suffix = tokenizer.special_counts[False]
    starts = [0]
    with (folder / IDS_FILE).open("wb") as ids_file, (folder / WORDS_FILE).open("wb") as words_file:
        for block in _blocks(texts, TEXTS_AT_ONCE):
            for encoded in tokenizer.encode(block, aligned=with_words):
                stop = len(encoded) - suffix
                ids_file.write(np.asarray(encoded.input_ids[prefix:stop], dtype=np.int32).tobytes())
                starts.append(starts[-1] + stop - prefix)
                if encoded.alignment is not None:
                    words_file.write(word_starts(encoded.alignment.words[prefix:stop]).tobytes())
    np.save(folder / STARTS_FILE, np.asarray(starts, dtype=np.int64))
    return starts[-1]


def word_starts(words: Sequence[int | None]) -> np.ndarray:
    """Whether each token begins a word, bool (tokens,), from the numbers of their words; None is a word by itself."""
    return np.asarray(
        [index == 0 or word is None or word != words[index - 1] for index, word in enumerate(words)], dtype=np.bool_
    )


def _blocks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    stream = iter(texts)
    while block := list(itertools.islice(stream, size)):
        yield block


def _read(path: Path, dtype: np.dtype) -> np.ndarray:
    """The numbers of a file, left on the disk; a file without any cannot be mapped."""
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.zeros(0, dtype)
