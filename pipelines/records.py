"""Rows of files, folders, globs and URLs, one at a time, each knowing where it came from.

    for record in read_records("reviews.csv"):
        print(record.place, record.values["review"])          # reviews.csv, row 1 …

Needs only the standard library (pyarrow for parquet and arrow, fsspec for URLs), so that running over a file is as
quick to start as running over a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from .errors import DataError
from .parallel_texts import read_parallel
from .picture_layouts import LAYOUTS, STRAY, VIDEO
from .record_files import FORMATS, IMAGE, DataFile, file_format, find_files, is_url
from .record_formats import read_file, read_picture_file, read_text
from .record_rows import BadRow, Record
from .record_writers import WRITABLE, RowWriter, open_writer

__all__ = [
    "FORMATS",
    "WRITABLE",
    "BadRow",
    "DataFile",
    "Record",
    "RowWriter",
    "file_format",
    "find_files",
    "is_url",
    "open_writer",
    "read_data_file",
    "read_records",
]


def read_records(
    source: str | Path,
    *,
    columns: Sequence[str] | None = None,
    on_bad_row: Literal["raise", "yield"] = "raise",
) -> Iterator[Record | BadRow]:
    """The rows of ``source``, in order; nothing is read ahead but a line or a batch.

    csv and tsv come as text, with the delimiter guessed where the one that the ending names gives a single column; a
    byte order mark is dropped. txt gives a row ``{"text": line}`` for each line that is not blank. A folder of class
    folders gives a row ``{"text": contents, "label": folder}`` for each of its text files, and
    ``{"image": {"bytes": …, "path": …}, "label": folder}`` for each of its pictures.

    Args:
        source: a csv, tsv, json, jsonl, parquet, arrow or txt file (also ``.gz``), a glob, a folder, or a URL.
        columns: names of the columns wanted; None for all.
        on_bad_row: what a ragged, undecodable or broken row does: end the reading with an error, or come out as a
            `BadRow` in its place.

    Raises:
        DataError: there is no such source, a file is empty or no data, a column is not there, or (with ``raise``) a row
            is bad; the message names file and row, and the column where there is one.
    """
    for file in find_files(source):
        for row in read_data_file(file, columns=columns):
            if isinstance(row, BadRow) and on_bad_row == "raise":
                raise DataError(f"{row.place}: {row.reason}")
            yield row


def read_data_file(file: DataFile, *, columns: Sequence[str] | None = None) -> Iterator[Record | BadRow]:
    """The rows of one file that `find_files` found; bad rows come out in their places.

    Raises:
        DataError: as for `read_records`.
    """
    if file.parallel:
        with ExitStack() as streams:
            opened = {
                language: (part.name, streams.enter_context(part.open())) for language, part in file.parts.items()
            }
            try:
                yield from read_parallel(opened, file.name, columns)
            except (OSError, EOFError) as error:
                raise DataError(f"{file.name} cannot be read to their ends ({error}); are they whole?") from error
        return
    if file.format in (*LAYOUTS, VIDEO, STRAY):
        from .picture_records import read_picture_data  # which needs numpy

        yield from read_picture_data(Path(file.path), file.format, file.label, columns)
        return
    with file.open() as stream:
        try:
            if file.format == IMAGE:
                yield from read_picture_file(stream, file.name, file.path, file.label, columns)
            elif file.label is not None:
                yield from read_text(stream, file.name, file.label, columns)
            else:
                yield from read_file(stream, file.name, file.format, columns, text_unit=file.text_unit)
        except (OSError, EOFError, UnicodeError) as error:  # a truncated .gz, a lost connection, broken UTF-16
            raise DataError(f"{file.name} cannot be read to its end ({error}); is it whole?") from error
