"""What ``run`` is given, as rows: texts, the rows of files, or the lines of standard input."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DataError, InputError, unknown_name
from .image_inputs import beside, picture_name
from .nested_columns import MARK, nested_names, value_at
from .record_files import DataFile, file_format, find_files, is_url
from .record_formats import read_file
from .record_rows import BadRow, Record
from .records import read_data_file
from .tasks import Column, Task

READ_KINDS = ("text", "tokens", "image")
"""Kinds of columns that a pipeline is given."""


@dataclass(frozen=True, slots=True)
class InputRow:
    """One row of the input.

    Attributes:
        values: its columns, as they go into the result.
        item: what the pipeline is given; an InputError for a row that cannot be read.
        file: base name of the file it is from, or ``standard input``; None for texts.
        row: its number there, counted from 1.
    """

    values: dict[str, Any]
    item: Any
    file: str | None = None
    row: int | None = None

    @property
    def place(self) -> str | None:
        """Where it stands, for instance ``reviews.csv, row 7``; None for texts."""
        return None if self.file is None else f"{self.file}, row {self.row}"


@dataclass(frozen=True)
class RunInputs:
    """The rows of a run.

    Attributes:
        rows: gives them from the beginning, as often as it is called, unless it ``is_stream``.
        files: where they come from, where all of them come from files; empty otherwise.
        is_stream: whether they are gone once read: standard input, an iterator.
    """

    rows: Callable[[], Iterator[InputRow]]
    files: Sequence[DataFile] = ()
    is_stream: bool = False


def find_inputs(inputs: Any, task: Task, columns: Mapping[str, str] | None, *, as_text: bool) -> RunInputs:
    """The rows that ``inputs`` stands for.

    Args:
        inputs: a text; ``-`` for standard input (lines of text, or of JSON for a task that reads two texts); a file,
            folder, glob or URL; a list of texts and files; or any iterable of what the task's pipeline takes.
        task: names the columns wanted.
        columns: the task's column -> the file's; columns not named are found by the names that the task knows.
        as_text: takes texts for texts even where a file has that name.

    Raises:
        DataError: there is no such file, or it is none that can be read.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    elif not isinstance(inputs, list | tuple):
        return RunInputs(lambda: map(_item_row, inputs), is_stream=True)
    if len(inputs) == 1 and inputs[0] == "-" and not as_text:
        # A line is one text; a task that reads two of them takes rows.
        format = "txt" if len(_needed(task)) == 1 else "jsonl"
        return RunInputs(
            lambda: _rows_of(read_file(sys.stdin.buffer, "standard input", format), task, columns),
            is_stream=True,
        )
    if not as_text and any(is_file(item) for item in inputs):
        return _mixed(inputs, task, columns)
    return RunInputs(lambda: map(_item_row, inputs))


def is_file(item: Any) -> bool:
    """Whether an argument means a file: a path that exists or is given as a Path, a URL or glob of data files."""
    if isinstance(item, Path):
        return True
    if not isinstance(item, str) or len(item) > 4096 or "\n" in item or "\0" in item:
        return False
    if file_format(item) is not None and not any(character.isspace() for character in item):
        return True  # also where it does not exist: the error says so, and names the files that do
    return bool(item.strip()) and not is_url(item) and Path(item).exists()


def _mixed(inputs: Sequence[Any], task: Task, columns: Mapping[str, str] | None) -> RunInputs:
    """Files and texts, in the order given."""
    files = {index: find_files(item) for index, item in enumerate(inputs) if is_file(item)}

    def rows() -> Iterator[InputRow]:
        for index, item in enumerate(inputs):
            if index not in files:
                yield _item_row(item)
            for file in files.get(index, ()):
                folder = None if is_url(file.path) else Path(file.path).parent
                yield from _rows_of(read_data_file(file), task, columns, folder)

    # With texts among the files the run is short, typed by hand, and not worth resuming.
    listed = [file for of_item in files.values() for file in of_item]
    return RunInputs(rows, listed if len(files) == len(inputs) else ())


def _item_row(item: Any) -> InputRow:
    if isinstance(item, Mapping) and not _is_picture(item):
        return InputRow(dict(item), item)
    if isinstance(item, str):
        return InputRow({"text": item}, item)
    name = picture_name(item)
    return InputRow({"image": name} if name else {}, item)


def _rows_of(
    records: Iterable[Record | BadRow], task: Task, columns: Mapping[str, str] | None, folder: Path | None = None
) -> Iterator[InputRow]:
    """The rows of one file, in ``folder``. Its columns are found in its first good row."""
    found: dict[Column, str] | None = None
    for record in records:
        if isinstance(record, BadRow):
            yield InputRow({}, InputError(record.reason, source=record.place), record.source, record.row)
            continue
        if found is None:
            pictures = [column for column, cell in record.values.items() if _is_picture(cell)]
            names = [
                name
                for column, cell in record.values.items()
                for name in (None if column in pictures else nested_names(column, cell)) or [column]
            ]
            found = find_read_columns(names, task, columns, source=record.source)
        item = _item(record, found, folder)
        # In the results a picture goes by its name; its bytes stay where they are.
        shown = {name: picture_name(cell) if _is_picture(cell) else cell for name, cell in record.values.items()}
        yield InputRow(shown, item, record.source, record.row)


def _is_picture(cell: Any) -> bool:
    return isinstance(cell, Mapping) and {"bytes", "path"} == cell.keys()


def _item(record: Record, columns: Mapping[Column, str], folder: Path | None) -> Any:
    """What the pipeline is given for a row: its one input, or a dict of the task's columns where there are several."""
    item = {}
    for column, theirs in columns.items():
        value = value_at(record.values, theirs)
        if value is None or value == "":
            wanted = "a picture" if column.kind == "image" else "a text"
            return InputError(f"column '{theirs}' is empty, expected {wanted}.", source=record.place)
        item[column.name] = beside(value, folder) if column.kind == "image" else value
    return next(iter(item.values())) if len(item) == 1 else item


def find_read_columns(
    names: Sequence[str], task: Task, given: Mapping[str, str] | None, *, source: str
) -> dict[Column, str]:
    """The task's column with texts or pictures -> the file's, for each that the file has.

    A column is found by the task's own word for it, then by the task's synonyms, without regard to case; of a file with
    one column that one is the text, where the task needs only one. An optional column is looked for only where none was
    given.

    Raises:
        UnknownNameError: ``given`` names a column that the task does not have.
        DataError: a column is not there; the message lists those that are.
    """
    given = dict(given or {})
    for name in given:
        if name not in {column.name for column in task.columns}:
            raise unknown_name(f"column of {task.name}", name, [column.name for column in task.columns])
    found: dict[Column, str] = {}
    for column in _read_columns(task):
        if column.name in given:
            theirs = given[column.name] if given[column.name] in names else _by_name(names, [given[column.name]])
            if theirs is None:
                raise _missing(given[column.name], column, names, source)
            found[column] = theirs
            continue
        if not column.required and given:
            continue
        theirs = _by_name(names, [column.name, *column.synonyms])
        if theirs is None and column.required:
            if len(names) > 1 or len(_needed(task)) > 1:
                raise _missing(column.name, column, names, source)
            theirs = names[0]
        if theirs is not None:
            found[column] = theirs
    return found


def _read_columns(task: Task) -> list[Column]:
    """The columns that the task's pipeline reads."""
    return [column for column in task.columns if column.kind in READ_KINDS and column.role == "input"]


def _needed(task: Task) -> list[Column]:
    """Those of them that it cannot do without."""
    return [column for column in _read_columns(task) if column.required]


def _by_name(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    by_case = {name.rpartition(MARK)[2].casefold(): name for name in reversed(names)}  # of translation.en also en
    by_case |= {name.casefold(): name for name in reversed(names)}
    return next((by_case[name] for name in wanted if name in by_case), None)


def _missing(name: str, column: Column, names: Sequence[str], source: str) -> DataError:
    shown = ", ".join(itertools.islice(names, 20)) + (f", … ({len(names)} columns)" if len(names) > 20 else "")
    near = difflib.get_close_matches(name, names, n=1)
    suggestion = near[0] if near else names[0]
    return DataError(f"{source}: no column '{name}'; found: {shown}. Use --columns {column.name}={suggestion}")
