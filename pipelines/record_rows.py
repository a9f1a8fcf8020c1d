"""A row of a file, a row that cannot be read, and what the readers of all formats say about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import DataError, unknown_name


@dataclass(frozen=True, slots=True)
class Record:
    """One row.

    Attributes:
        values: column name -> value; text for csv, tsv and txt, JSON or Arrow values elsewhere.
        source: base name of the file.
        row: number of the data row in it, counted from 1; blank lines of a table are not counted.
    """

    values: dict[str, Any]
    source: str
    row: int

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.source}, row {self.row}"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read; ``reason`` says why, ``raw`` is its beginning as it stands in the file."""

    source: str
    row: int
    reason: str
    raw: str

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.source}, row {self.row}"


Rows = Iterator[Record | BadRow]


def invalid_byte(text: str) -> int | None:
    """The first byte of ``text`` that was not UTF-8; None if it is clean."""
    if text.isascii():
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return ord(text[error.start]) - 0xDC00  # surrogateescape writes byte b as U+DC00 + b
    return None


def not_utf8(byte: int, column: str | None) -> str:
    """What is wrong with a row that holds ``byte``, with the way out; ``column`` where it is known."""
    where = f"column '{column}' holds" if column else "it holds"
    return (
        f"{where} the byte 0x{byte:02x}, which is not UTF-8; save the file as UTF-8, for instance with "
        "iconv -f GB18030 -t UTF-8 (Chinese) or iconv -f WINDOWS-1252 -t UTF-8 (Western Europe)"
    )


def shown(raw: str, length: int = 500) -> str:
    """The beginning of a broken row, with invalid bytes replaced so that it can be printed."""
    return raw[:length].encode("utf-8", "replace").decode("utf-8").rstrip("\r\n")


def chosen(values: dict[str, Any], columns: Sequence[str] | None, source: str) -> dict[str, Any]:
    """Those of ``values`` that are wanted; all of them where ``columns`` is None.

    Raises:
        DataError: one of them is not there.
    """
    if columns is None:
        return values
    check_columns(columns, list(values), source)
    return {name: values[name] for name in columns}


def check_columns(columns: Sequence[str], found: Sequence[str], source: str) -> None:
    """Nothing, if all ``columns`` were found.

    Raises:
        DataError: one was not.
    """
    for name in columns:
        if name not in found:
            raise DataError(f"{source}: {unknown_name('column', name, found)} (found: {', '.join(found)})")
