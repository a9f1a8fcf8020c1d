"""A text, or a pair of texts, as token ids, and how such ids are cut into windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where each token of an encoding comes from; special tokens come from nowhere.

    Attributes:
        offsets: first character and the one after the last, within its text; of a text given as words, within its word.
        words: number of the word within its text, as the tokenizer splits it or as it was given; None if special.
        owners: 0 for the first text, 1 for the second; None if special.
    """

    offsets: list[tuple[int, int]]
    words: list[int | None]
    owners: list[int | None]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One text, or one pair of texts, as token ids with special tokens, neither cut nor padded.

    Attributes:
        input_ids: the token ids.
        token_type_ids: 0 for the first text and 1 for the second; None for a model that does not read them.
        first_length: of a pair, how many tokens the first text has, special tokens not counted; None for one text.
        alignment: where the tokens come from; None unless it was asked for.
    """

    input_ids: list[int]
    token_type_ids: list[int] | None = None
    first_length: int | None = None
    alignment: Alignment | None = None

    def __len__(self) -> int:
        return len(self.input_ids)

    def features(self) -> dict[str, list[int]]:
        """The ids under the names that a model reads them by."""
        if self.token_type_ids is None:
            return {"input_ids": self.input_ids}
        return {"input_ids": self.input_ids, "token_type_ids": self.token_type_ids}

    def take(self, places: Sequence[int], first_length: int | None) -> Encoded:
        """The tokens at ``places``, in that order."""
        alignment = self.alignment
        return Encoded(
            [self.input_ids[place] for place in places],
            None if self.token_type_ids is None else [self.token_type_ids[place] for place in places],
            first_length,
            None
            if alignment is None
            else Alignment(
                [alignment.offsets[place] for place in places],
                [alignment.words[place] for place in places],
                [alignment.owners[place] for place in places],
            ),
        )


def window_starts(length: int, room: int, stride: int) -> list[int]:
    """Where windows of ``room`` tokens begin so that neighbours share at least ``stride`` and the last one is full.

    >>> window_starts(10, 4, 1)
    [0, 3, 6]
    >>> window_starts(11, 4, 1)
    [0, 3, 6, 7]
    """
    return [*range(0, length - room, room - stride), length - room]


def cut(
    encoded: Encoded,
    prefix: int,
    spans: tuple[tuple[int, int], tuple[int, int]],
    first_end: int,
    middle: int,
    suffix: int,
) -> Encoded:
    """The special tokens of ``encoded`` around two spans of its texts.

    Args:
        encoded: a text, or a pair.
        prefix: special tokens before the first text.
        spans: places (start, stop) of the tokens that stay, of the first text and of the second.
        first_end: place after the first text's last token.
        middle: special tokens between the texts.
        suffix: special tokens after the last text.
    """
    (first_start, first_stop), (second_start, second_stop) = spans
    places = [
        *range(prefix),
        *range(first_start, first_stop),
        *range(first_end, first_end + middle),
        *range(second_start, second_stop),
        *range(len(encoded) - suffix, len(encoded)),
    ]
    return encoded.take(places, None if encoded.first_length is None else first_stop - first_start)
