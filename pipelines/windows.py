"""Text that is longer than a model takes: read in overlapping windows, whose answers are merged into one.

The rule, for every task that gives one answer for a text: neighbouring windows share an eighth of their tokens, so that
a sentence cut by one window stands whole in the next; the answer is the mean of the windows' answers, each weighted by
its number of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .encodings import Encoded, window_starts
from .errors import InputError, UsageError
from .tokenization import TextTokenizer

OVERLAP = 8
"""Neighbouring windows share one token in so many."""

PIECE_CHARACTERS = 200_000
"""A longer text is tokenized in pieces of about that many characters, cut at white space.

Some tokenizers take time or memory that grows faster than the text; a piece's end is also the end of a window.
"""

LONGEST_WORD = 1000
"""Characters before a piece's end among which white space is looked for; Chinese and Thai text may have none."""


def shared_tokens(max_length: int) -> int:
    """How many tokens neighbouring windows of ``max_length`` tokens share.

    >>> shared_tokens(512)
    64
    """
    return max_length // OVERLAP


def split_text(text: str, characters: int = PIECE_CHARACTERS) -> list[str]:
    """The text in pieces of at most ``characters``, each cut before its last white space, or anywhere if none is near.

    >>> split_text("one two three", 9)
    ['one two', ' three']
    >>> split_text("onetwothree", 4)
    ['onet', 'woth', 'ree']
    """
    pieces, start = [], 0
    while len(text) - start > characters:
        end = start + characters
        nearest = range(end, max(start, end - LONGEST_WORD), -1)
        cut = next((place for place in nearest if text[place].isspace()), end)
        pieces.append(text[start:cut])
        start = cut
    pieces.append(text[start:])
    return pieces


def counted_windows(
    tokenizer: TextTokenizer, encoded: Encoded, max_length: int, stride: int
) -> list[tuple[Encoded, slice]]:
    """The windows of one text, each with those of its tokens that count, so that each token of the text counts once.

    Of the tokens that two windows share, the first half counts in the first one, where more of what follows is
    read with them than in the second one of what comes before. Special tokens count in the first and the last window.

    Args:
        tokenizer: which encoded the text.
        encoded: the text.
        max_length: the most tokens of a window, special tokens included.
        stride: how many tokens neighbouring windows share.
    """
    windows = tokenizer.windows(encoded, max_length, stride)
    if len(windows) == 1:
        return [(windows[0], slice(0, len(encoded)))]
    prefix, _, suffix = tokenizer.special_counts[False]
    room = max_length - prefix - suffix
    starts = window_starts(len(encoded) - prefix - suffix, room, stride)
    edges = [prefix + (earlier + room + later) // 2 for earlier, later in pairwise(starts)]
    firsts = [0, *(edge - start for edge, start in zip(edges, starts[1:], strict=True))]
    lasts = [*(edge - start for edge, start in zip(edges, starts[:-1], strict=True)), max_length]
    return [(window, slice(*ends)) for window, *ends in zip(windows, firsts, lasts, strict=True)]


def merge_windows(answers: Sequence[np.ndarray], lengths: Sequence[int]) -> np.ndarray:
    """The mean of the windows' answers, each weighted by its length; float32, of the shape of one answer.

    >>> merge_windows([np.array([1.0, 0.0]), np.array([0.0, 1.0])], [30, 10]).tolist()
    [0.75, 0.25]
    """
    if len(answers) == 1:
        return answers[0]
    return np.average(np.stack(answers), axis=0, weights=lengths).astype(np.float32)


def encode_as_asked(tokenizer: TextTokenizer, texts: Sequence[str], arguments: Mapping[str, Any]) -> list[Encoded]:
    """The texts as ids, encoded by transformers with ``arguments`` of its tokenizers; padding is left out.

    Raises:
        UsageError: the tokenizer does not take these arguments.
    """
    kept = {name: value for name, value in arguments.items() if name not in ("padding", "return_tensors")}
    try:
        batch = tokenizer.as_transformers(list(texts), **kept)
    except Exception as error:  # tokenizers raises plain Exception
        raise UsageError(f"the tokenizer does not take the arguments {kept!r}: {error}") from error
    types = batch.get("token_type_ids") or [None] * len(texts)
    return [Encoded(ids, row) for ids, row in zip(batch["input_ids"], types, strict=True)]


def encode_cut(
    tokenizer: TextTokenizer, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int, strategy: str
) -> list[Encoded]:
    """The texts as ids, cut to ``max_length`` tokens, special ones included.

    Args:
        tokenizer: a tokenizer of transformers cuts for itself; for our own ones of a pair the longer text is cut.
        texts: the texts, or the first ones of pairs.
        pairs: the second ones; None if they stand alone.
        max_length: the most tokens.
        strategy: ``longest_first``, ``only_first`` or ``only_second``, as in transformers.

    Raises:
        InputError: the text that is to be cut is shorter than what there is too much.
    """
    if tokenizer.transformers_tokenizer is None:
        return [tokenizer.windows(encoded, max_length, 0)[0] for encoded in tokenizer.encode(texts, pairs)]
    second = None if pairs is None else list(pairs)
    cut = {"truncation": strategy, "max_length": max_length}
    try:
        batch = tokenizer.transformers_tokenizer(text=list(texts), text_pair=second, **cut)
    except Exception as error:  # tokenizers raises plain Exception
        raise InputError(
            f"it cannot be cut to {max_length} tokens by truncation='{strategy}', for the other text of the pair alone "
            "is longer; shorten that one."
        ) from error
    types = batch.get("token_type_ids") or [None] * len(texts)
    return [Encoded(ids, row) for ids, row in zip(batch["input_ids"], types, strict=True)]
