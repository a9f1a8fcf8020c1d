"""The lines of a README.md that tell what Quintet wrote from what its owner did.

Each stands at the beginning of a line of its own, once. Where that is not so, nobody can tell whose a text is, so
nothing is written: what stands between damaged marks may be the only copy of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CARD_START = "<!-- quintet card: written from run.json by `quintet card`; edit only between the marks of own words -->"
CARD_END = "<!-- /quintet card -->"
WORDS_START = "<!-- own words: what stands between these two lines is kept when the card is written again -->"
WORDS_END = "<!-- /own words -->"

# What follows the name differs between versions of Quintet.
_START = r"^<!-- {}\b[^\n]*-->[ \t]*(?:\n|\Z)"
_END = r"^<!-- /{} -->[ \t]*(?:\n|\Z)"
_ANY = re.compile(r"^(?=<!-- /?(?:quintet card|own words)\b)", re.MULTILINE)
_LINE_END = re.compile("\r\n?")


@dataclass(frozen=True)
class Marked:
    """A text cut at a pair of marks.

    Attributes:
        inside: what stands between them; None where there is no whole pair.
        before: what stands above; the whole text where there is no whole pair.
        after: what stands below.
        damage: why there is no whole pair although there are marks, as a sentence; else empty.
    """

    inside: str | None
    before: str
    after: str = ""
    damage: str = ""


def cut_at_card(text: str) -> Marked:
    """``text`` at the marks of the card; without any it has none."""
    return _cut(text, "quintet card", "the card")


def cut_at_words(card: str) -> Marked:
    """The inside of a card at the marks of own words, which every card has: without them it is damaged."""
    marked = _cut(card, "own words", "own words")
    if marked.inside is None and not marked.damage:
        return Marked(None, card, damage=_damage("own words", "own words", 0, 0))
    return marked


def mark_in(text: str) -> str | None:
    """The first line of ``text`` that would be taken for a mark; None where there is none."""
    found = _ANY.search(text)
    return text[found.start() :].partition("\n")[0] if found else None


def without_marks(text: str) -> str:
    """``text`` with a space before each line that would be taken for a mark, and plain ends of lines."""
    return _ANY.sub(" ", _LINE_END.sub("\n", text))


def _cut(text: str, mark: str, what: str) -> Marked:
    starts, ends = (
        list(re.finditer(pattern.format(mark), text, re.MULTILINE | re.DOTALL)) for pattern in (_START, _END)
    )
    if not starts and not ends:
        return Marked(None, text)
    if len(starts) == len(ends) == 1 and starts[0].end() <= ends[0].start():
        start, end = starts[0], ends[0]
        return Marked(text[start.end() : end.start()], text[: start.start()], text[end.end() :])
    return Marked(None, text, damage=_damage(mark, what, len(starts), len(ends)))


def _damage(mark: str, what: str, starts: int, ends: int) -> str:
    return (
        f"the marks of {what} are damaged: {starts} at the beginning and {ends} at the end were found, expected one "
        f"line '<!-- {mark} … -->' and below it one line '<!-- /{mark} -->'; repair them, and put a space before a "
        "line that only quotes one"
    )
