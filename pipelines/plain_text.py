"""Rows out of a plain text file: its lines, the texts between its blank lines, or all of it in pieces.

A piece (`blocks`) ends where a word of a tokenizer ends, too: behind a line break, else before a space. So the tokens
of the pieces, one after another, are those of the whole text, but for texts without lines and spaces.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from .record_rows import BadRow, Record, Rows, chosen, invalid_byte, not_utf8, shown

BLOCK_CHARACTERS = 2048
"""Characters of a piece at least; at most twice as many, where the text is not all spaces."""

_READ_CHARACTERS = 1 << 16

_LINE_END = re.compile(r"\n(?=\S)")
_WORD_END = re.compile(r"(?<=\S)(?=[^\S\r\n]\S)")
_WORD = re.compile(r"\S")


def read_plain_text(text: io.TextIOWrapper, source: str, columns: Sequence[str] | None, unit: str) -> Rows:
    """A row ``{"text": …}`` for each ``unit``, one of `record_files.TEXT_UNITS`, read in a stream.

    Lines are numbered as in the file, blank ones included; documents and blocks are counted from 1.

    Args:
        text: opened with ``newline=""``.
        source: base name of the file.
        columns: those wanted; None for all.
        unit: what a row is.

    Raises:
        DataError: one of ``columns`` is not ``text``.
    """
    units = {"lines": _lines, "documents": _documents, "blocks": _blocks}
    for number, found in units[unit](text):
        if (byte := invalid_byte(found)) is not None:
            yield BadRow(source, number, not_utf8(byte, None), shown(found))
        else:
            yield Record(chosen({"text": found}, columns, source), source, number)


def _lines(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """Each line that is not blank; a blank one is no text."""
    text.reconfigure(newline=None)
    for number, line in enumerate(text, 1):
        if line.strip():
            yield number, line.rstrip("\n")


def _documents(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """The lines between blank ones, with the line breaks between them."""
    text.reconfigure(newline=None)
    lines: list[str] = []
    number = 0
    for line in text:
        if line.strip():
            lines.append(line)
        elif lines:
            number += 1
            yield number, "".join(lines).rstrip("\n")
            lines = []
    if lines:
        yield number + 1, "".join(lines).rstrip("\n")


def _blocks(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """The whole text in pieces, none of them blank: every cut is made before a character that is no space."""
    buffer, number, is_whole = "", 0, False
    while not is_whole:
        more = text.read(_READ_CHARACTERS)
        buffer, is_whole = buffer + more, not more
        start = 0
        while (end := _cut(buffer, start, is_whole)) is not None:
            number += 1
            yield number, buffer[start:end]
            start = end
        buffer = buffer[start:]
    if buffer.strip():
        yield number + 1, buffer


def _cut(buffer: str, start: int, is_whole: bool) -> int | None:
    """Where the piece that begins at ``start`` ends; None where more has to be read, or it ends with the text."""
    first, last = start + BLOCK_CHARACTERS, start + 2 * BLOCK_CHARACTERS
    if len(buffer) <= last if is_whole else len(buffer) < last + 2:  # what is behind a cut is looked at, too
        return None
    if word := _WORD.search(buffer, start):
        first, last = max(first, word.end()), max(last, word.end())  # a text may begin with many spaces
        for border in (_LINE_END, _WORD_END):
            if match := border.search(buffer, first, last + 2):
                return match.end()
    following = _WORD.search(buffer, last)
    return None if word is None or following is None else following.start()
