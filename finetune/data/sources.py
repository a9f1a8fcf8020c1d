"""What the user named, as a source: its kind, its name for the record, and the rows of each of its splits."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...pipelines.errors import DataError, UsageError
from ...pipelines.parallel_texts import language_of
from ...pipelines.record_files import find_parallel, given_name, no_other_side, split_of
from ...pipelines.records import DataFile, file_format, find_files, is_url
from ...pipelines.tasks import Task
from .arrow_files import FileRows
from .hub import (
    assert_splits,
    is_saved_folder,
    load_from_folder,
    load_from_hub,
    parse_hub_name,
    resolved_revision,
)
from .rows import DatasetRows, MemoryRows, RowSource

if TYPE_CHECKING:
    pass

Kind = Literal["local", "hub", "url", "memory"]

DOCUMENTS = "documents"

BLOCKS = "blocks"
"""Of `record_files.TEXT_UNITS` the one whose rows are one long text, so that their order means something."""


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        name: Hub id, or base name of the file or folder; never a path.
        kind: where it is.
        splits: name -> rows.
        is_named: whether the splits have names of their own; a single file or list is one split called ``train``.
        revision: commit on the Hub, or what was asked for.
        config: configuration on the Hub.
        licence: as the data set states it.
        notices: what a person should know, one sentence each.
    """

    name: str
    kind: Kind
    splits: Mapping[str, RowSource]
    is_named: bool = True
    revision: str | None = None
    config: str | None = None
    licence: str | None = None
    notices: tuple[str, ...] = field(default=())


def open_sources(dataset: Any, *, config: str | None = None, revision: str | None = None) -> list[Source]:
    """The sources that ``dataset`` stands for; several in one string are separated by commas.

    Raises:
        UsageError: ``dataset`` is of a kind that cannot be read.
        DataError: there is no such file, folder or Hub data set, or it holds no data.
    """
    if isinstance(dataset, Path):
        return [_open_text(str(dataset), config, revision)]
    if not isinstance(dataset, str):
        return [_open_object(dataset)]
    if not dataset.strip():
        raise UsageError("the data set has no name; give a file, a folder, a Hub id or a URL")
    if "," not in dataset or os.path.exists(os.path.expanduser(dataset)):
        return [_open_text(dataset, config, revision)]
    names = [name.strip() for name in dataset.split(",") if name.strip()]
    if all(map(language_of, names)):
        return [_parallel_source(names)]
    if len(names) > 1 and all(_is_file(name) for name in names):
        return [_source_of_files([file for name in names for file in _named_by_split(find_files(name))], names)]
    return [_open_text(name, config, revision) for name in names]


def _open_text(text: str, config: str | None, revision: str | None) -> Source:
    path = Path(text).expanduser()
    if path.is_dir() and is_saved_folder(path):
        return replace(_source_of_dataset(load_from_folder(path), path.name), kind="local")
    if path.exists() or glob.has_magic(text) or is_url(text):
        return _source_of_files(find_files(text), [text])
    hub = parse_hub_name(text, config, revision)
    if hub is None or file_format(text) or text.startswith((".", "~", "/")):
        find_files(text)  # there is none: raises with the near names
    if hub is None:
        raise DataError(f"'{text}' is no file, folder, Hub id or URL")
    try:
        loaded = load_from_hub(hub)
    except DataError as error:
        near = _near_here(text)
        raise DataError(f"{error}{f' (here: did you mean {near}?)' if near else ''}") from error
    first = next(iter(loaded.values()))
    return Source(
        hub.id,
        "hub",
        {str(name): DatasetRows(split, str(name)) for name, split in loaded.items()},
        revision=resolved_revision(first) or hub.revision,
        config=hub.config,
        licence=first.info.license or None,
    )


def of_documents(
    task: Task, sources: Sequence[Source], asked: str | None, columns: Mapping[str, str] | None
) -> tuple[Task, str | None]:
    """``task`` as one that only reads text, where it is to make its rows of the documents of ``sources``.

    Args:
        task: its row says whether it can.
        sources: by `open_sources`.
        asked: one of `TEXT_UNITS`; of plain text documents need not be asked for.
        columns: the task's name of a column -> theirs, as far as given.

    Returns:
        The task, and what a row of plain text is to be; None where the rows have more than a text already.
    """
    rows = [rows for source in sources for rows in source.splits.values()]
    is_plain = all(isinstance(each, FileRows) and each.is_plain_text for each in rows)
    if not task.learns_from_documents or asked not in (None, DOCUMENTS) or not (asked or is_plain):
        return task, asked
    more = task.columns[1]
    if more.name in (columns or {}) or {more.name, *more.synonyms} & set(rows[0].sample().names):
        return task, None
    return replace(task, columns=task.columns[:1]), DOCUMENTS


def in_text_units(sources: Sequence[Source], task: Task, asked: str | None) -> tuple[list[Source], str | None]:
    """``sources`` with their plain text cut into rows for ``task``, and what a row then is.

    Args:
        sources: by `open_sources`.
        task: its row says what a row is by default.
        asked: one of `TEXT_UNITS`; of data that has rows already, ``blocks`` says that they follow each other as the
            pieces of one text do.

    Returns:
        The sources, and one of `TEXT_UNITS`; None where the task does more than read one text.

    Raises:
        UsageError: it does, and something was asked for.
    """
    if task.target is not None or len(task.columns) > 1:
        if asked is not None:
            instead = f", or give {DOCUMENTS}" if task.learns_from_documents else ""
            raise UsageError(
                f"--text-unit {asked} means nothing to {task.name}; leave it out{instead}. It is for tasks that only "
                "read text"
            )
        return list(sources), None
    files = [rows for source in sources for rows in source.splits.values() if isinstance(rows, FileRows)]
    is_plain = len(files) == sum(len(source.splits) for source in sources) and all(rows.is_plain_text for rows in files)
    unit = asked or (task.text_unit if is_plain else "documents")
    cut = [
        replace(
            source,
            splits={
                name: rows.in_units(unit) if isinstance(rows, FileRows) else rows
                for name, rows in source.splits.items()
            },
        )
        for source in sources
    ]
    return cut, unit if is_plain or unit == BLOCKS else "documents"


def _near_here(text: str) -> str | None:
    """A name in the current folder that ``text`` may be a misspelling of."""
    import difflib

    names = [name for name in os.listdir() if not name.startswith(".")] if "/" not in text else []
    return next(iter(difflib.get_close_matches(text, names, n=1, cutoff=0.7)), None)


def _is_file(name: str) -> bool:
    return is_url(name) or Path(name).expanduser().is_file()


def _parallel_source(names: Sequence[str]) -> Source:
    """Files that each hold one language of the same texts.

    Raises:
        DataError: one is not there, or has no other side.
    """
    for name in names:
        find_files(name)  # one that is not there: raises with the near names
    files = find_parallel(Path(name).expanduser() for name in names)
    for name in names:
        if not any(str(Path(name).expanduser()) == path for file in files for _, path in file.parallel):
            raise DataError(no_other_side(name))
    return _source_of_files(files, names)


def _named_by_split(files: Sequence[DataFile]) -> list[DataFile]:
    return [replace(file, split=file.split or split_of(file.name)) for file in files]


def _source_of_files(files: Sequence[DataFile], names: Sequence[str]) -> Source:
    kind: Kind = "url" if any(is_url(file.path) for file in files) else "local"
    name = ",".join(map(given_name, names))
    if len(files) == 1:
        # One file is one split, whatever its name; the name only says what to call it.
        split = files[0].split or split_of(files[0].name) or "train"
        return Source(name, kind, {split: FileRows(files, files[0].name)}, is_named=False)
    by_split: dict[str, list[DataFile]] = {}
    for file in files:
        by_split.setdefault(file.split or "", []).append(file)
    unnamed = by_split.pop("", [])
    if not by_split:
        return Source(name, kind, {"train": FileRows(unnamed, name)}, is_named=False)
    notices = ()
    if unnamed:
        listed = ", ".join(file.name for file in unnamed[:5]) + (", …" if len(unnamed) > 5 else "")
        notices = (f"{listed} of {name} belong to no split by their names and were left out",)
    order = sorted(by_split, key=["train", "validation", "test"].index)
    splits = {split: FileRows(by_split[split], f"{name} ({split})") for split in order}
    return Source(name, kind, splits, notices=notices)


def _open_object(data: Any) -> Source:
    if type(data).__module__.partition(".")[0] == "datasets":
        return _source_of_dataset(data, "the data set given")
    if isinstance(data, Mapping) and data and not _is_column(next(iter(data.values()))):
        splits = {str(name): _rows_of_split(str(name), rows) for name, rows in data.items()}
        return Source("rows given", "memory", splits)
    return Source("rows given", "memory", {"train": _rows_of_split("train", data)}, is_named=False)


def _is_column(value: Any) -> bool:
    """Whether a value of a mapping is a column of values rather than a split of rows."""
    is_plain = isinstance(value, list | tuple) and bool(value)
    return is_plain and not isinstance(value[0], Mapping)


def _source_of_dataset(data: Any, name: str) -> Source:
    import datasets

    if isinstance(data, datasets.Dataset):
        split = str(data.split) if data.split is not None and "[" not in str(data.split) else "train"
        return Source(
            name, "memory", {split: DatasetRows(data, split)}, is_named=False, licence=data.info.license or None
        )
    assert_splits(data, name)
    splits = {str(split): DatasetRows(rows, str(split)) for split, rows in data.items()}
    return Source(name, "memory", splits)


def _rows_of_split(name: str, data: Any) -> RowSource:
    kind = type(data).__module__.partition(".")[0]
    if kind == "datasets":
        import datasets

        if isinstance(data, datasets.DatasetDict):
            raise DataError(
                f"split '{name}' is a whole DatasetDict with the splits {', '.join(map(str, data))}; expected the "
                f"rows of one split. Pass dataset['{next(iter(data), 'train')}']"
            )
        if isinstance(data, datasets.Dataset):
            return DatasetRows(data, name)
        assert_splits(data, f"split '{name}'")
    if kind in ("pandas", "polars"):
        columns = {str(column): data[column].to_list() for column in data.columns}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    elif isinstance(data, Mapping):
        lengths = {column: len(values) for column, values in data.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the columns given have different lengths ({lengths}); expected a value for each row")
        rows = [dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)]
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        rows = list(data)
    else:
        raise UsageError(
            f"a data set cannot be of type {type(data).__name__}; expected a path, a Hub id, a list of dicts, a pandas "
            "or polars frame, a datasets.Dataset or a DatasetDict"
        )
    if not rows:
        raise DataError(f"the list given for '{name}' is empty; expected rows such as {{'text': …, 'label': …}}")
    wrong = next((position for position, row in enumerate(rows, 1) if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise DataError(
            f"row {wrong} of the list given is a {type(rows[wrong - 1]).__name__}; "
            "expected a dict such as {'text': …, 'label': …}"
        )
    return MemoryRows(rows)
