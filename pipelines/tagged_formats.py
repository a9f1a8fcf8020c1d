"""Texts with a tag for each word, as CoNLL's shared tasks and Universal Dependencies write them: a word a line.

    EU      B-ORG            the columns of a line stand apart by tabs or spaces; the first is the word, the last its
    rejects O                tag; an empty line ends a text; -DOCSTART- begins a document and is no text

A text is a row: ``tokens`` and ``tags``, both lists, and lists of the columns between, ``pos`` and ``chunk`` where
there are as many as in CoNLL-2003. Of CoNLL-U (ten columns) ``tags`` are the universal parts of speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .record_rows import BadRow, Record, Rows, chosen, invalid_byte, not_utf8, shown

DOCUMENT = "-DOCSTART-"

_BETWEEN = {3: ("pos",), 4: ("pos", "chunk")}
_UNIVERSAL = ("id", "tokens", "lemmas", "tags", "xpos", "features", "heads", "relations", "dependencies", "misc")


def read_tagged_lines(lines: Iterable[str], source: str, columns: Sequence[str] | None, *, universal: bool) -> Rows:
    """The texts of a file, each with the number of its first line.

    Args:
        lines: of the file.
        source: base name of the file.
        columns: those wanted; None for all.
        universal: whether it is CoNLL-U.

    Raises:
        DataError: there is no column of a name in ``columns``.
    """
    for first, text in _texts(lines, universal=universal):
        raw = "\n".join(text)
        if (byte := invalid_byte(raw)) is not None:
            yield BadRow(source, first, not_utf8(byte, None), shown(raw))
            continue
        rows = [line.split("\t") if "\t" in line else line.split() for line in text]
        if universal:
            # 1-2 stands for two words written as one, 1.1 for a word that is not written.
            rows = [row for row in rows if row[0].isdigit()]
        widths = {len(row) for row in rows}
        if not rows:
            continue
        if len(widths) > 1 or min(widths) < 2 or (universal and widths != {len(_UNIVERSAL)}):
            yield BadRow(source, first, _uneven(rows, universal=universal), shown(raw))
            continue
        names = _UNIVERSAL if universal else _names(len(rows[0]))
        values: dict[str, Any] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        yield Record(chosen(values, columns, source), source, first)


def _texts(lines: Iterable[str], *, universal: bool) -> Iterator[tuple[int, list[str]]]:
    """Each text as its lines, with the number of the first."""
    text: list[str] = []
    first = 0
    for number, line in enumerate(lines, 1):
        line = line.rstrip("\r\n")
        if not line.strip():
            if text:
                yield first, text
            text = []
        elif not (line.startswith(DOCUMENT) or (universal and line.startswith("#"))):
            first = first if text else number
            text.append(line)
    if text:
        yield first, text


def _names(width: int) -> tuple[str, ...]:
    between = _BETWEEN.get(width, tuple(f"column{place}" for place in range(2, width)))
    return ("tokens", *between, "tags")


def _uneven(rows: Sequence[Sequence[str]], *, universal: bool) -> str:
    width = len(_UNIVERSAL) if universal else max(2, len(rows[0]))
    place, row = next((place, row) for place, row in enumerate(rows, 1) if len(row) != width)
    return (
        f"line {place} of the text has {len(row)} columns where {width} were expected ('{' '.join(row)[:60]}'); each "
        "line needs a word and its tag, and an empty line ends a text"
    )
