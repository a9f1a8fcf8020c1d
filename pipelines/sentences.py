"""Texts longer than an encoder takes, in pieces that end where sentences do, and their answers joined again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# A sentence ends behind its marks and closing quotes where white space follows, behind full-width marks in any case,
# and at the end of a line. What stands between two sentences belongs to the first.
_END = re.compile(r"""[.!?…]+["'”’»)\]]*\s+|[。！？｡]+[”’」』）]*\s*|\n\s*""")

# Scripts that put no space between sentences: kana, Han, full-width forms.
_UNSPACED = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60]")

Measure = Callable[[Sequence[str]], list[int]]
"""The number of tokens of each text as the model would see it, special tokens included."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each with the white space behind it; joined they are the text.

    >>> split_sentences('He said "No." Then he left.')
    ['He said "No." ', 'Then he left.']
    >>> split_sentences("很好。很差！")
    ['很好。', '很差！']
    """
    sentences, start = [], 0
    for end in _END.finditer(text):
        sentences.append(text[start : end.end()])
        start = end.end()
    return [sentence for sentence in (*sentences, text[start:]) if sentence]


def split_to_fit(text: str, measure: Measure, limit: int) -> list[str]:
    """The text in pieces of whole sentences, each as long as ``limit`` allows; joined they are the text.

    A sentence that alone is too long is cut in halves, at white space where there is some.

    Args:
        text: any text.
        measure: counts tokens.
        limit: the most tokens of a piece.

    Raises:
        ValueError: not even one character fits.
    """
    empty = measure([""])[0]
    sentences = split_sentences(text)
    pieces: list[list[str]] = []
    room = 0
    for sentence, length in zip(sentences, measure(sentences), strict=True):
        if not pieces or length - empty > room:
            pieces.append([])
            room = limit - empty
        pieces[-1].append(sentence)
        room -= length - empty
    joined = ["".join(piece) for piece in pieces]
    fitted: list[str] = []
    for piece, length in zip(joined, measure(joined), strict=True):
        # Sentences read alone may have fewer tokens than read together, and one may be too long by itself.
        fitted += [piece] if length <= limit else _halves(piece, measure, limit)
    return fitted


def join_texts(texts: Sequence[str], sources: Sequence[str]) -> str:
    """The answers to the pieces of a text as one text.

    Between two of them stand the line breaks that stood behind the first one's source, else a space, and nothing
    between scripts that use none.

    >>> join_texts(["Good.", "Bad."], ["很好。", "很差。"])
    'Good. Bad.'
    """
    joined = texts[0]
    for text, before in zip(texts[1:], sources, strict=False):
        space = before[len(before.rstrip()) :]
        if "\n" not in space:
            is_unspaced = bool(_UNSPACED.match(joined[-1:]) and _UNSPACED.match(text[:1]))
            space = "" if is_unspaced or not joined or not text else " "
        joined += space + text
    return joined


def _halves(text: str, measure: Measure, limit: int) -> list[str]:
    if len(text) < 2:
        raise ValueError("not even one character fits")
    sentences = split_sentences(text)
    middle = len("".join(sentences[: len(sentences) // 2]))
    if not middle:
        spaces = [place.end() for place in re.finditer(r"\s+", text) if 0 < place.end() < len(text)]
        middle = min(spaces, key=lambda place: abs(place - len(text) // 2), default=len(text) // 2)
    parts = [text[:middle], text[middle:]]
    halves: list[str] = []
    for part, length in zip(parts, measure(parts), strict=True):
        halves += [part] if length <= limit else _halves(part, measure, limit)
    return halves
