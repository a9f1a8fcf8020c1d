"""Rows into a csv, jsonl, json or parquet file, which appears under its name only when it is whole."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, cast

from .errors import DataError, UsageError

HELD_ROWS = 50_000
"""Rows that a parquet file waits for the type of a list at most."""

WRITABLE = ("csv", "tsv", "jsonl", "json", "parquet")
"""The formats that can be written."""


class RowWriter(Protocol):
    """What `open_writer` gives: takes rows until the ``with`` block ends."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends ``rows``.

        Raises:
            DataError: a row has a key that is no column of the file, or (parquet) a value of another type than the
                column has had so far.
        """
        ...

    def close(self) -> None:
        """Writes what the end of the file needs."""
        ...


@contextmanager
def open_writer(
    path: str | Path, format: str | None = None, *, columns: Sequence[str] | None = None
) -> Iterator[RowWriter]:
    """A writer of rows to ``path``; an error inside the ``with`` block leaves no file and an older one untouched.

    Args:
        path: the file to make; its folder must exist.
        format: one of `WRITABLE`; None takes the ending of ``path``.
        columns: the columns of a csv, tsv or parquet file, in order; None takes the keys of the first rows written.

    Raises:
        UsageError: ``format``, or the ending of ``path``, is none that can be written.
        OSError: the folder cannot be written to.
    """
    path = Path(path)
    format = format or path.suffix.lower().removeprefix(".").replace("ndjson", "jsonl")
    if format not in WRITABLE:
        raise UsageError(f"'{path.name}' cannot be written; expected an ending among {', '.join(WRITABLE)}")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if format == "parquet":
            writer: RowWriter = _ParquetWriter(partial, columns)
        else:
            stream = partial.open("w", encoding="utf-8", newline="")
            if format in ("csv", "tsv"):
                writer = _TableWriter(stream, "," if format == "csv" else "\t", columns)
            else:
                writer = _JsonWriter(stream, is_list=format == "json")
        try:
            yield writer
        finally:
            writer.close()
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class _TableWriter:
    """csv and tsv; lists and mappings are written as JSON, None as an empty field."""

    def __init__(self, stream: IO[str], delimiter: str, columns: Sequence[str] | None) -> None:
        self._stream = stream
        self._rows = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        self._columns: Sequence[str] | None = None
        if columns is not None:
            self._start(columns)

    def _start(self, columns: Sequence[str]) -> None:
        self._columns = list(columns)
        self._rows.writerow(self._columns)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._columns is None and rows:
            self._start(_all_keys(rows))
        for row in rows:
            columns = _checked(row, self._columns or ())
            self._rows.writerow([_cell(row.get(name)) for name in columns])

    def close(self) -> None:
        self._stream.close()


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | tuple | dict) else value


class _JsonWriter:
    """One object a line; for json the lines make one list."""

    def __init__(self, stream: IO[str], *, is_list: bool) -> None:
        self._stream, self._is_list, self._is_first = stream, is_list, True
        if is_list:
            stream.write("[")

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            line = json.dumps(dict(row), ensure_ascii=False)
            if self._is_list:
                self._stream.write(f"{'' if self._is_first else ','}\n{line}")
            else:
                self._stream.write(line + "\n")
            self._is_first = False

    def close(self) -> None:
        if self._is_list:
            self._stream.write("\n]\n")
        self._stream.close()


class _ParquetWriter:
    """A row group for each call of `write`; the types of the columns are those of the first rows.

    Where these have only empty lists in a column, rows are held back until one says what the lists hold.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None) -> None:
        self._path, self._columns = path, columns
        self._writer: Any = None  # made with the first rows, which settle the schema
        self._schema: Any = None
        self._held: list[Mapping[str, Any]] = []

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        if self._writer is None:
            self._held.extend(rows)
            names = list(self._columns) if self._columns is not None else _all_keys(self._held)
            schema = _schema_of(self._held, names)
            if len(self._held) < HELD_ROWS and any(_is_list_of_nothing(type) for type in schema.types):
                return
            self._start(schema)
            rows, self._held = self._held, []
        self._append(rows)

    def close(self) -> None:
        writer = self._writer
        if writer is None:  # without any rows: a file with the columns alone
            writer = self._start(_schema_of(self._held, list(self._columns or _all_keys(self._held))))
            self._append(self._held)
        writer.close()

    def _start(self, schema: Any) -> Any:
        import pyarrow.parquet

        self._schema = schema
        self._writer = pyarrow.parquet.ParquetWriter(self._path, schema, compression="zstd")
        return self._writer

    def _append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow

        plain = [{name: row.get(name) for name in _checked(row, self._schema.names)} for row in rows]
        try:
            if plain:
                self._writer.write_table(pyarrow.Table.from_pylist(plain, schema=self._schema))
        except pyarrow.ArrowException as error:
            raise DataError(f"rows of mixed types cannot be written to parquet ({error}); write jsonl") from error


def _is_list_of_nothing(type: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_list(type) and pyarrow.types.is_null(type.value_type)


def _schema_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    import pyarrow

    def column_type(name: str) -> Any:
        try:
            found = pyarrow.array([row.get(name) for row in rows]).type
        except pyarrow.ArrowException as error:
            raise DataError(f"column '{name}' mixes types, which parquet cannot hold ({error}); write jsonl") from error
        return pyarrow.string() if pyarrow.types.is_null(found) else found  # nothing known yet: an error text, mostly

    return pyarrow.schema([(name, column_type(name)) for name in names])


def _all_keys(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _checked(row: Mapping[str, Any], columns: Sequence[str]) -> Sequence[str]:
    if extra := [key for key in row if key not in columns]:
        raise DataError(
            f"a row has the column '{extra[0]}', which the rows before it did not have ({', '.join(columns)}); "
            "name all columns when the writer is opened"
        )
    return cast(Sequence[str], columns)
