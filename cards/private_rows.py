"""Private names in the rows of a data set, read as they stand in its files: every column, used or not."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .private_names import HOME_PATH, in_bytes, in_data, own_secrets, told


def private_rows(name: str, path: Path) -> tuple[list[str], list[str]]:
    """What stands in the way of publishing a file of rows, and what a person should know; one sentence each.

    A path into a home that is not on this machine may be what the data is about, so it stops nothing.

    Args:
        name: path in the repository.
        path: of the file, in one of the formats that data may have.
    """
    from ..pipelines.record_files import DataFile, file_format

    file = DataFile(str(path), file_format(path) or "txt")
    is_table = file.format in ("parquet", "arrow")
    found = list(_of_table(file) if is_table else _of_lines(file))
    if is_table and not found:  # it has notes beside its rows
        found = list(in_bytes(path))
    homes = [place for place, what in found if what == HOME_PATH]
    notices = [f"{name}{place}: it has {HOME_PATH}; take it out if it is yours." for place in homes[:3]]
    notices += [f"{name} has {len(homes) - 3} more of these."] if len(homes) > 3 else []
    return told(name, ((place, what) for place, what in found if what != HOME_PATH)), notices


def _of_lines(file: Any) -> Iterator[tuple[str, str]]:
    """The place and what is there, for each private name in a text file, zipped or not."""
    with file.open() as stream:
        is_utf16 = stream.read(2) in (b"\xff\xfe", b"\xfe\xff")
    secrets = own_secrets()
    with (
        file.open() as stream,
        io.TextIOWrapper(stream, encoding="utf-16" if is_utf16 else "utf-8", errors="replace", newline="\n") as lines,
    ):
        for number, line in enumerate(lines, 1):
            what = in_data(line, secrets)
            if what:
                yield f", line {number}", what


def _of_table(file: Any) -> Iterator[tuple[str, str]]:
    """As `_of_lines`, of a parquet or arrow file."""
    from ..pipelines.records import Record, read_data_file

    secrets = own_secrets()
    for record in read_data_file(file):
        if not isinstance(record, Record):
            continue
        for column, value in record.values.items():
            what = next((found for text in _texts(value) if (found := in_data(text, secrets))), None)
            if what:
                yield f", row {record.row}, column '{column}'", what


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
