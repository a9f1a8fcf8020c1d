"""Rows as they come from a source, before labels are understood.

A `RowSource` can show a sample cheaply (enough to find the columns) and read the columns that are wanted. Rows given in
Python become an Arrow table in memory; rows of a `datasets.Dataset` stay where they are; rows of files are in
`arrow_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ...pipelines.errors import DataError
from ...pipelines.nested_columns import nested_names, stored_column, value_at
from ...pipelines.records import BadRow, Record
from .cells import PICTURE_KINDS, Wanted, arrow_type, cell, expected, holds
from .labels import LabelValueError, canonical_label
from .object_targets import category_feature

if TYPE_CHECKING:
    import datasets
    import pyarrow

SAMPLE_ROWS = 1000
"""Rows that are looked at to find out which column is which."""

BLOCK_ROWS = 2000
"""Rows that are in memory at a time while reading."""

_BLOCK_CHARACTERS = 8_000_000  # a block is closed earlier if it holds this much text, for rows may be books


@dataclass(frozen=True)
class Sample:
    """A look at the first rows.

    Attributes:
        values: column name -> the values of the first rows, raw.
        class_names: column name -> its class names, where the data states them (`datasets.ClassLabel`).
    """

    values: Mapping[str, Sequence[Any]]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The columns; in the place of one that holds texts by name, such as translations, those in it."""
        return [name for column, cells in self.values.items() for name in _names_in(column, cells)]

    def cells(self, name: str) -> Sequence[Any]:
        """The values of the first rows in the column ``name``."""
        stored = stored_column(name, list(self.values))
        found = self.values[stored]
        return found if stored == name else [value_at({stored: cell}, name) for cell in found]


@dataclass(frozen=True)
class RawRows:
    """Rows of one split with the task's columns.

    Attributes:
        dataset: the task's columns, labels as they were found.
        blocks: starts over and gives the same rows as Arrow tables, a few at a time.
        place: row index (from 0) -> where it came from, for messages.
        rejected: rows that could not be read at all and are not in ``dataset``.
        class_names: of the labels or tags, where the data states them.
    """

    dataset: datasets.Dataset
    blocks: Callable[[], Iterator[pyarrow.Table | pyarrow.RecordBatch]]
    place: Callable[[int], tuple[str, int]]
    rejected: Sequence[BadRow] = ()
    class_names: tuple[str, ...] | None = None


class RowSource(Protocol):
    """Rows of one split of one source."""

    def sample(self) -> Sample:
        """A look at the first rows."""
        ...

    def read(self, wanted: Wanted, *, skip_bad: bool) -> RawRows:
        """All rows with the columns that are wanted.

        Raises:
            DataError: a row cannot be read and ``skip_bad`` is False, or a column holds something else.
        """
        ...


def _names_in(column: str, cells: Sequence[Any]) -> list[str]:
    return nested_names(column, next((cell for cell in cells if cell is not None), None)) or [column]


def bad_row_error(place: str, reason: str) -> DataError:
    """The error for a bad row, with the way out."""
    return DataError(f"{place}: {reason}. Correct the row, or skip such rows with --bad-rows skip")


def table_columns(record: Record, wanted: Wanted, *, is_list: bool) -> list[Any] | BadRow:
    """The values of the task's columns, ready for Arrow."""
    row: list[Any] = []
    for name, theirs in wanted.columns.items():
        value = value_at(record.values, theirs)
        try:
            row.append(cell(wanted.kinds[name], value, is_list=is_list))
        except LabelValueError as error:
            return BadRow(record.source, record.row, f"column '{theirs}' holds {error}", str(value)[:500])
    return row


def holds_lists(values: Iterable[Any]) -> bool:
    """Whether labels come as lists (multi-label) among ``values``."""
    return any(isinstance(canonical, list) for canonical in map(_safe_label, values))


def _safe_label(value: Any) -> Any:
    try:
        return canonical_label(value)
    except LabelValueError:
        return None  # reported with its place when the row is read


def arrow_schema(wanted: Wanted, *, is_list: bool) -> pyarrow.Schema:
    """The schema of a table with the task's columns, labels as they were found."""
    import pyarrow

    return pyarrow.schema([(name, arrow_type(wanted.kinds[name], is_list=is_list)) for name in wanted.columns])


def label_lists(sample: Iterable[Mapping[str, Any]], wanted: Wanted) -> bool:
    """Whether the labels among rows come as lists."""
    theirs = wanted.columns.get("label")
    return theirs is not None and holds_lists(row.get(theirs) for row in sample)


class BlockBuilder:
    """Collects rows and gives them back as record batches of `BLOCK_ROWS` rows or `_BLOCK_CHARACTERS` characters."""

    def __init__(self, schema: pyarrow.Schema) -> None:
        self.schema = schema
        self._rows: list[Sequence[Any]] = []
        self._characters = 0

    def add(self, row: Sequence[Any]) -> pyarrow.RecordBatch | None:
        """Takes a row; gives a batch when one is full."""
        self._rows.append(row)
        self._characters += _length(row[0])
        if len(self._rows) == BLOCK_ROWS or self._characters > _BLOCK_CHARACTERS:
            return self.finish()
        return None

    def finish(self) -> pyarrow.RecordBatch | None:
        """What is left, if anything."""
        import pyarrow

        if not self._rows:
            return None
        columns = zip(*self._rows, strict=True)
        arrays = [pyarrow.array(values, type=kind.type) for values, kind in zip(columns, self.schema, strict=True)]
        self._rows, self._characters = [], 0
        return pyarrow.RecordBatch.from_arrays(arrays, schema=self.schema)


def _length(value: Any) -> int:
    """Characters of a text, or of words; bytes of a picture."""
    if isinstance(value, Mapping):
        return len(value.get("bytes") or b"")
    return sum(map(len, value)) if isinstance(value, list) else len(value or "")


class MemoryRows:
    """Rows given in Python, as a list of mappings."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = rows

    def sample(self) -> Sample:
        """A look at the first rows."""
        return sample_of(self.rows[:SAMPLE_ROWS])

    def read(self, wanted: Wanted, *, skip_bad: bool) -> RawRows:
        """All rows, as an Arrow table in memory."""
        import datasets
        import pyarrow

        is_list = label_lists(self.rows[:SAMPLE_ROWS], wanted)
        builder = BlockBuilder(arrow_schema(wanted, is_list=is_list))
        batches, rejected, kept = [], [], []
        for number, values in enumerate(self.rows, 1):
            row = table_columns(Record(dict(values), "the rows given", number), wanted, is_list=is_list)
            if isinstance(row, BadRow):
                if not skip_bad:
                    raise bad_row_error(f"row {number}", row.reason)
                rejected.append(row)
                continue
            kept.append(number)
            batches.append(builder.add(row))
        table = pyarrow.Table.from_batches([b for b in [*batches, builder.finish()] if b], schema=builder.schema)
        dataset = datasets.Dataset(table)
        return RawRows(dataset, lambda: _blocks(dataset), lambda index: ("the rows given", kept[index]), rejected)


class DatasetRows:
    """Rows of a `datasets.Dataset`, which stay where they are."""

    def __init__(self, dataset: datasets.Dataset, name: str) -> None:
        self.dataset, self.name = dataset, name

    def sample(self) -> Sample:
        """A look at the first rows; nothing but text, numbers and lists is looked into."""
        first: Any = self.dataset.with_format("arrow")[:SAMPLE_ROWS]  # arrow: images and audio stay undecoded
        values = {name: first.column(name).to_pylist() for name in self.dataset.column_names}
        return Sample(values, class_names_of(self.dataset.features))

    def read(self, wanted: Wanted, *, skip_bad: bool) -> RawRows:
        """A view of all rows with the columns renamed."""
        import datasets

        columns = wanted.columns
        dataset = self.dataset.with_format(None)
        for name, theirs in columns.items():
            if wanted.kinds[name] in PICTURE_KINDS and theirs in dataset.column_names:
                dataset = dataset.cast_column(theirs, datasets.Image(decode=False))  # also of a column with paths
        if not {*columns.values()} <= {*dataset.column_names}:
            dataset = dataset.flatten()  # texts by name become columns, named as we name them
        for name, theirs in columns.items():
            found = dataset.features.arrow_schema.field(theirs).type
            if not holds(wanted.kinds[name], found):
                raise DataError(
                    f"column '{theirs}' of {self.name} holds {found}; expected {expected(wanted.kinds[name])}. "
                    f"Name another one with --columns {name}=…"
                )
        dataset = dataset.select_columns(list(columns.values()))
        dataset = dataset.rename_columns({theirs: f"quintet {name}" for name, theirs in columns.items()})
        dataset = dataset.rename_columns({f"quintet {name}": name for name in columns})  # twice: names may be swapped
        class_names = class_names_of(self.dataset.features).get(columns.get(wanted.labels or "", ""))
        return RawRows(
            dataset, lambda: _blocks(dataset), lambda index: (f"split '{self.name}'", index + 1), (), class_names
        )


def _blocks(dataset: datasets.Dataset) -> Iterator[Any]:
    return dataset.with_format("arrow").iter(batch_size=BLOCK_ROWS)


def class_names_of(features: datasets.Features) -> dict[str, tuple[str, ...]]:
    """Column -> class names, of columns of `datasets.ClassLabel`, lists of these, and objects with such classes."""
    import datasets

    inner = {name: getattr(kind, "feature", kind) for name, kind in features.items()}
    inner = {name: category_feature(kind) if isinstance(kind, Mapping) else kind for name, kind in inner.items()}
    return {name: tuple(kind.names) for name, kind in inner.items() if isinstance(kind, datasets.ClassLabel)}


def sample_of(rows: Sequence[Mapping[str, Any]]) -> Sample:
    """The sample of rows given as mappings; a row may lack a column."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Sample({name: [row.get(name) for row in rows] for name in names})
