"""Token ids as text while they come: pieces that stay as they are, and strings at which a text stops."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
"""Token ids -> text."""

_WINDOW = 64
"""Tokens decoded together at most, so that a token's cost does not grow with the text."""

_OVERLAP = 16
"""Of them those that were decoded before: how a token reads depends on no token further away than that."""

_UNSETTLED = 8
"""Characters that the tidying of spaces before punctuation may still change: its longest pattern has four."""

_BYTE_TOKEN = re.compile("<0x[0-9A-Fa-f]{2}>")


class TextPieces:
    """Text of a growing list of tokens, in pieces that no later token changes.

    A character of several bytes comes when its last byte is there. Joined, the pieces are the text of all tokens.

    Args:
        decode: gives the text of tokens.
        token_text: gives a token as the vocabulary has it, by which tokens for single bytes are known.
        is_tidied: whether ``decode`` takes out spaces before punctuation, so that the last characters may change.
    """

    def __init__(self, decode: Decode, token_text: Callable[[int], str | None], *, is_tidied: bool = False) -> None:
        self._decode, self._token_text = decode, token_text
        self._unsettled = _UNSETTLED if is_tidied else 0
        self._ids: list[int] = []
        self._given = 0  # characters of the text of ``_ids`` that were given out

    def add(self, token: int) -> str:
        """The text that is settled now; often empty, at times more than the token's own."""
        self._ids.append(token)
        settled = len(self._ids)
        while settled and _BYTE_TOKEN.fullmatch(self._token_text(self._ids[settled - 1]) or ""):
            settled -= 1  # one wrong byte makes all bytes beside it unreadable
        text = self._decode(self._ids[:settled])
        if settled == len(self._ids):
            # Of a character that is not whole at most three bytes are there.
            text = text[: max(len(text.rstrip("�")), len(text) - 3)]
        piece = text[self._given : max(self._given, len(text) - self._unsettled)]
        self._given += len(piece)
        if len(self._ids) > _WINDOW and settled == len(self._ids):
            self._drop_oldest()
        return piece

    def finish(self) -> str:
        """The text that was held back."""
        text = self._decode(self._ids)
        piece, self._given = text[self._given :], len(text)
        return piece

    def _drop_oldest(self) -> None:
        text = self._decode(self._ids)
        held = len(text) - self._given
        kept = self._ids[-_OVERLAP:]
        shorter = self._decode(kept)
        if held <= len(shorter) and text.endswith(shorter[len(shorter) - held :]):
            self._ids, self._given = kept, len(shorter) - held


class StopStrings:
    """Strings at which a text ends, wherever in its tokens they stand.

    As in transformers a string counts that ends in the last token, also in its middle, and one that began in the
    prompt.

    Args:
        strings: at the first of them the text ends.
        decode: gives the text of tokens, special ones included.

    Attributes:
        reach: how many tokens before the last one may belong to a string.
    """

    def __init__(self, strings: Sequence[str], decode: Decode) -> None:
        self.strings = tuple(strings)
        self._decode = decode
        # A character may take four tokens of a byte each.
        self.reach = 4 * max(map(len, strings)) + 4

    def __repr__(self) -> str:
        return f"StopStrings{self.strings!r}"

    def is_at_end(self, ids: Sequence[int]) -> bool:
        """Whether the last token of a text completes one of the strings."""
        tail = list(ids[-self.reach - 1 :])
        after = self._decode(tail)
        before = self._decode(tail[:-1])
        same = next((place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
        settled = min(len(before), len(after)) if same is None else same
        return any(after.find(string, max(0, settled - len(string) + 1)) >= 0 for string in self.strings)

    def first_end(self, ids: Sequence[int], start: int) -> int | None:
        """How many tokens of ``ids`` there are up to the first that completes a string; from place ``start`` on."""
        ends = range(start + 1, len(ids) + 1)
        return next((end for end in ends if self.is_at_end(ids[max(0, end - self.reach - 1) : end])), None)

    def cut(self, text: str, new: Sequence[int]) -> str:
        """``text`` before the string at which it ended.

        Args:
            text: of the new tokens.
            new: the new tokens. Where their text lacks the string that ended it, it began in the prompt, and nothing
                is left of the text.
        """
        if not any(string in self._decode(new) for string in self.strings):
            return ""
        return text[: min((place for string in self.strings if (place := text.find(string)) >= 0), default=len(text))]

    def held_back(self, prompt: str, text: str) -> int:
        """How many characters at the end of ``text`` may be the beginning of a string, the prompt's end counted in."""
        seen = prompt + text
        longest = 0
        for string in self.strings:
            for length in range(min(len(string) - 1, len(seen)), longest, -1):
                if seen.endswith(string[:length]):
                    longest = length
                    break
        return min(longest, len(text))
