"""Texts and lists of words as tokens that know where they stand; for tasks that answer for each token or word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .encodings import Encoded
from .errors import InputError, UsageError
from .text_inputs import checked_text
from .windows import split_text

if TYPE_CHECKING:
    from .tokenization import TextTokenizer


class WordsInput(NamedTuple):
    """One input of a task that answers per token.

    Attributes:
        text: the text; of a list of words None.
        words: the words; of a text None.
        offsets: characters (start, stop) of each token, special ones included, in place of the tokenizer's.
    """

    text: str | None
    words: Sequence[str] | None = None
    offsets: Sequence[tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class TokenText:
    """A text, or a list of words, and its tokens; arrays have a row for each token that is not a special one.

    Attributes:
        text: the text; of a list of words these joined by the delimiter.
        ids: token ids, int64 ``(tokens,)``.
        spans: first character in ``text`` and the one after the last, int64 ``(tokens, 2)``; None where the tokenizer
            does not tell.
        words: number of the word, int64 ``(tokens,)``, as it was given or as the tokenizer splits the text; None where
            the tokenizer does not tell.
        num_words: how many words were given; None for a text.
        types: token type ids ``(tokens,)``; None for a model that does not read them.
        before: the special tokens before the text.
        after: those after it.
    """

    text: str
    ids: np.ndarray
    spans: np.ndarray | None
    words: np.ndarray | None
    num_words: int | None
    types: np.ndarray | None
    before: Encoded
    after: Encoded

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def num_special(self) -> int:
        """How many special tokens stand around the text."""
        return len(self.before) + len(self.after)

    def part(self, start: int, stop: int) -> TokenText:
        """The tokens from ``start`` to before ``stop``, of the same text."""
        if (start, stop) == (0, len(self)):
            return self
        kept = slice(start, stop)
        return replace(
            self,
            ids=self.ids[kept],
            spans=None if self.spans is None else self.spans[kept],
            words=None if self.words is None else self.words[kept],
            types=None if self.types is None else self.types[kept],
        )

    def word_starts(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the tokens with which words begin, and the numbers of these words: int64 ``(words,)`` each.

        A word that has no token is not among them.

        Raises:
            UsageError: the tokenizer does not tell words.
        """
        if self.words is None:
            raise UsageError(
                "this tokenizer does not say which words its tokens belong to; use a checkpoint with a fast tokenizer "
                "(tokenizer.json)."
            )
        places = np.flatnonzero(np.diff(self.words, prepend=-1))
        return places, self.words[places]

    def encoded(self, start: int, stop: int) -> Encoded:
        """What the model reads of a window: the tokens from ``start`` to before ``stop`` between the special ones."""
        before, after = self.before, self.after
        ids = [*before.input_ids, *self.ids[start:stop].tolist(), *after.input_ids]
        if self.types is None:
            return Encoded(ids)
        types = (before.token_type_ids or (), self.types[start:stop].tolist(), after.token_type_ids or ())
        return Encoded(ids, list(chain.from_iterable(types)))


def read_words_input(item: Any) -> WordsInput:
    """The text or list of words that ``item`` stands for.

    Args:
        item: a text, a list of words, or ``{"tokens": either, "offset_mapping": …}``.

    Raises:
        InputError: it is anything else, or holds text that is not valid Unicode.
    """
    if not isinstance(item, Mapping):
        return _read_words(item)
    given = [key for key in ("tokens", "text") if key in item]
    if len(given) != 1 or not item.keys() <= {*given, "offset_mapping"}:
        keys = ", ".join(map(repr, item)) or "no keys"
        raise InputError(
            f"expected a text, a list of words, or a dict with one of them as 'tokens', got a dict with {keys}; of a "
            "data set give the column with the texts or words, for instance dataset['tokens']."
        )
    return _read_words(item[given[0]])._replace(offsets=item.get("offset_mapping"))


def read_token_texts(
    inputs: Sequence[WordsInput], tokenizer: TextTokenizer, *, delimiter: str = " "
) -> list[TokenText]:
    """The tokens of each input, not cut.

    A long text is tokenized in pieces cut at white space, since some tokenizers take time that grows faster than the
    text; the tokens are those of the whole text.

    Args:
        inputs: texts and lists of words.
        tokenizer: one that exists in Python only gives no spans and no words, and takes no lists of words.
        delimiter: what stands between the words of a list in its text.

    Raises:
        InputError: ``offsets`` of an input are not as many as its tokens.
        UsageError: a list of words, and the tokenizer exists in Python only.
    """
    results: list[TokenText | None] = [None] * len(inputs)
    for is_split in (False, True):
        places = [place for place, given in enumerate(inputs) if (given.words is not None) == is_split]
        if not places:
            continue
        is_fast = tokenizer.backend is not None
        pieces = [_pieces(inputs[place], is_fast) for place in places]
        flat: list[Any] = [piece for of_text in pieces for piece in of_text]
        encoded = iter(tokenizer.encode(flat, aligned=is_fast or is_split, is_split=is_split))
        before, _, after = tokenizer.special_counts[False]
        for place, of_text in zip(places, pieces, strict=True):
            parts = [(next(encoded), piece) for piece in of_text]
            results[place] = _joined(inputs[place], parts, before, after, delimiter)
    return [result for result in results if result is not None]


def _read_words(item: Any) -> WordsInput:
    if not isinstance(item, list | tuple):
        return WordsInput(checked_text(item, "a text or a list of words"))
    for number, word in enumerate(item):
        if not isinstance(word, str):
            shown = "nothing" if word is None else f"{type(word).__name__} {word!r:.40}"
            raise InputError(f"expected a text, or a list of words, but word {number} of the list is {shown}.")
    checked_text(" ".join(item), "a list of words")
    return WordsInput(None, item)


def _pieces(given: WordsInput, is_fast: bool) -> list[Any]:
    """A text in pieces that are tokenized one by one; a list of words as it is."""
    if given.text is None:
        return [list(given.words or ())]
    # Without spans the pieces could not be put together again; such tokenizers read a text from left to right anyway.
    return split_text(given.text) if is_fast else [given.text]


def _joined(
    given: WordsInput, parts: Sequence[tuple[Encoded, Any]], before: int, after: int, delimiter: str
) -> TokenText:
    """One text out of the encodings of its pieces."""
    first = parts[0][0]
    ids, types, spans, words = [], [], [], []
    characters = num_words = 0
    for encoded, piece in parts:
        inside = slice(before, len(encoded) - after)
        ids.append(np.array(encoded.input_ids[inside], dtype=np.int64))
        if encoded.token_type_ids is not None:
            types.append(np.array(encoded.token_type_ids[inside], dtype=np.int64))
        if encoded.alignment is not None:
            offsets = np.array(encoded.alignment.offsets[inside], dtype=np.int64).reshape(-1, 2)
            spans.append(offsets + characters)
            numbers = np.array(encoded.alignment.words[inside], dtype=np.int64)
            words.append(numbers + num_words)
            num_words += numbers.max(initial=-1) + 1
        characters += len(piece)
    is_aligned = first.alignment is not None
    result = TokenText(
        text=given.text if given.text is not None else delimiter.join(given.words or ()),
        ids=_concatenated(ids),
        spans=_concatenated(spans) if is_aligned else None,
        words=_concatenated(words) if is_aligned else None,
        num_words=None if given.words is None else len(given.words),
        types=None if first.token_type_ids is None else _concatenated(types),
        before=first.take(range(before), None),
        after=first.take(range(len(first) - after, len(first)), None),
    )
    if given.offsets is not None:
        result = replace(
            result, spans=_given_spans(given.offsets, len(result) + before + after)[before:][: len(result)]
        )
    if given.words is not None and result.spans is not None and result.words is not None:
        starts = np.array(list(accumulate((len(word) + len(delimiter) for word in given.words), initial=0)))
        result = replace(result, spans=result.spans + starts[result.words][:, None])
    return result


def _concatenated(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _given_spans(offsets: Any, count: int) -> np.ndarray:
    try:
        spans = np.array(offsets, dtype=np.int64)
    except (TypeError, ValueError):
        spans = np.empty(0)
    if spans.shape != (count, 2):
        raise InputError(
            f"offset_mapping has the shape {spans.shape}, expected a pair (start, stop) for each of {count} tokens, "
            "special ones included."
        )
    return spans
