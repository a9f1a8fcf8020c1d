"""Rows of local files and URLs as an Arrow file on disk, which is mapped into memory rather than read into it.

Files are read a row at a time by `quintet.pipelines.records`, only the task's columns are kept, and the result is
written to the cache folder of datasets, under a name made from what was read: sizes, times and contents of the ends of
the files, and the columns. The same files are therefore converted once. Beside the Arrow file a small JSON file keeps
where each row came from and which rows could not be read; a pair of files is whole if the JSON file is there.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...pipelines.errors import DataError
from ...pipelines.image_inputs import beside
from ...pipelines.mask_classes import names_by_index
from ...pipelines.mask_folders import classes_of_masks
from ...pipelines.nested_columns import stored_column
from ...pipelines.picture_layouts import CLASS_TABLES, LAYOUTS, MASKS, STRAY
from ...pipelines.records import BadRow, DataFile, Record, is_url, read_data_file
from .cells import PICTURE_KINDS, Wanted
from .rows import (
    SAMPLE_ROWS,
    BlockBuilder,
    RawRows,
    Sample,
    arrow_schema,
    bad_row_error,
    class_names_of,
    holds_lists,
    sample_of,
    table_columns,
)

_LAYOUT = 2  # of the cached files; a change of what they hold needs a new number
_END_BYTES = 1 << 16  # of each end of a file that go into its identity


@dataclass(frozen=True)
class _Conversion:
    """What the JSON file keeps.

    Attributes:
        breaks: ``(index, source, row)``: from this index on rows are consecutive rows of ``source``, from ``row`` on.
        rejected: rows that could not be read.
    """

    breaks: list[tuple[int, str, int]]
    rejected: list[BadRow]


class FileRows:
    """Rows of one or several files that make one split."""

    def __init__(self, files: Sequence[DataFile], name: str) -> None:
        self.files, self.name = list(files), name

    @property
    def is_plain_text(self) -> bool:
        """Whether all of it is plain text, of which `in_units` says what a row is."""
        return all(file.format == "txt" and file.label is None for file in self.files)

    def in_units(self, text_unit: str) -> FileRows:
        """The same files with ``text_unit``, one of `record_files.TEXT_UNITS`, as a row of plain text."""
        return FileRows([replace(file, text_unit=text_unit) for file in self.files], self.name)

    def sample(self) -> Sample:
        """A look at the first rows that can be read, and the class names that parquet and arrow files state.

        Raises:
            DataError: there are no rows, or none that can be read.
        """
        bad: list[BadRow] = []
        rows = list(itertools.islice(self._readable(bad), SAMPLE_ROWS))
        if not rows and bad:
            raise DataError(f"{self.name} has no row that can be read; the first: {bad[0].place}: {bad[0].reason}")
        if not rows:
            raise DataError(f"{self.name} holds no rows; expected a header and rows, or a text a line")
        return Sample(sample_of(rows).values, _stated_classes(self.files[0]) | self._mask_classes(rows[0]))

    def _mask_classes(self, row: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Column -> class names of the columns with pictures, which are masks if a task takes them for masks."""
        pictures = [column for column, cell in row.items() if isinstance(cell, Mapping)]
        if not pictures or is_url(self.files[0].path):
            return {}
        path = Path(self.files[0].path)
        if self.files[0].format == MASKS:
            classes = classes_of_masks(path)
            names = () if classes is None else classes.names
        else:
            tables = (path.parent / name for name in CLASS_TABLES)
            table = next((each for each in tables if each.is_file()), None)
            names = () if table is None else names_by_index(table)
        return {column: names for column in pictures if names}

    def read(self, wanted: Wanted, *, skip_bad: bool) -> RawRows:
        """All rows, memory-mapped from the cache."""
        import datasets
        import pyarrow

        arrow = cache_folder() / f"{self._key(wanted)}.arrow"
        notes = arrow.with_suffix(".json")
        conversion = _read_notes(notes) if arrow.exists() else None
        if conversion is None:
            conversion = self._convert(wanted, arrow, skip_bad=skip_bad)
            with written_whole(notes) as partial:
                partial.write_text(_notes(conversion), encoding="utf-8")
        if conversion.rejected and not skip_bad:
            raise bad_row_error(conversion.rejected[0].place, conversion.rejected[0].reason)

        def blocks() -> Iterator[Any]:
            # Not through the memory map: pages of a map that were looked at count as resident memory.
            with pyarrow.OSFile(str(arrow)) as stream, pyarrow.ipc.open_stream(stream) as reader:
                yield from reader

        class_names = _stated_classes(self.files[0]).get(wanted.columns.get(wanted.labels or "", ""))
        dataset = datasets.Dataset.from_file(str(arrow))
        return RawRows(dataset, blocks, lambda index: _place(conversion, index), conversion.rejected, class_names)

    def _convert(self, wanted: Wanted, arrow: Path, *, skip_bad: bool) -> _Conversion:
        import pyarrow

        is_list = "label" in wanted.columns and holds_lists(self.sample().values.get(wanted.columns["label"], ()))
        builder = BlockBuilder(arrow_schema(wanted, is_list=is_list))
        conversion = _Conversion([], [])
        index, expected = 0, ("", 0)
        with (
            written_whole(arrow) as partial,
            pyarrow.OSFile(str(partial), "wb") as stream,
            pyarrow.ipc.new_stream(stream, builder.schema) as writer,
        ):
            for record in self._records(wanted):
                row = record if isinstance(record, BadRow) else table_columns(record, wanted, is_list=is_list)
                if isinstance(row, BadRow):
                    if not skip_bad:
                        raise bad_row_error(row.place, row.reason)
                    conversion.rejected.append(row)
                    continue
                if expected != (record.source, record.row):
                    conversion.breaks.append((index, record.source, record.row))
                expected = (record.source, record.row + 1)
                index += 1
                if batch := builder.add(row):
                    writer.write_batch(batch)
            if batch := builder.finish():
                writer.write_batch(batch)
        return conversion

    def _readable(self, bad: list[BadRow]) -> Iterator[Mapping[str, Any]]:
        """The rows that can be read; of the others the first is put into ``bad``."""
        for file in self.files:
            for row in read_data_file(file):
                if not isinstance(row, BadRow):
                    yield row.values
                elif not bad:
                    bad.append(row)

    def _records(self, wanted: Wanted) -> Iterator[Any]:
        stored = self._stored(wanted)
        pictures = [theirs for name, theirs in wanted.columns.items() if wanted.kinds[name] in PICTURE_KINDS]
        for file in self.files:
            folder = None if is_url(file.path) else Path(file.path).parent
            for record in read_data_file(file, columns=stored):
                if pictures and isinstance(record, Record):
                    record.values.update({name: beside(record.values[name], folder) for name in pictures})
                yield record

    def _stored(self, wanted: Wanted) -> list[str]:
        """The columns of the files in which the wanted ones stand."""
        names = list(self.sample().values)
        return list(dict.fromkeys(stored_column(theirs, names) for theirs in wanted.columns.values()))

    def _key(self, wanted: Wanted) -> str:
        parts = [
            _LAYOUT,
            dict(wanted.columns),
            dict(wanted.kinds),
            [[file.label, file.text_unit, *_identity(file)] for file in self.files],
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _identity(file: DataFile) -> list[Any]:
    """What changes when the contents of the file change."""
    if file.parallel:
        return [[language, *_identity(part)] for language, part in file.parts.items()]
    if file.format in (*LAYOUTS, STRAY):
        known = [(path, os.stat(path)) for path in file.paths]
        return [file.path, [[os.path.basename(path), facts.st_size, facts.st_mtime_ns] for path, facts in known]]
    if is_url(file.path):
        import fsspec

        filesystem, path = fsspec.url_to_fs(file.path)
        try:
            info = filesystem.info(path)
        except OSError as error:
            raise DataError(f"{file.path} cannot be reached ({error}); check the address and the network") from error
        marks = [str(info[name]) for name in ("ETag", "mtime", "LastModified", "updated") if info.get(name)]
        # A server that states neither version nor time is read anew each time.
        return [file.path, info.get("size"), *(marks or [time.time_ns()])]
    path = Path(file.path)
    facts = path.stat()
    with path.open("rb") as stream:
        ends = hashlib.sha256(stream.read(_END_BYTES))
        stream.seek(max(0, facts.st_size - _END_BYTES))
        ends.update(stream.read(_END_BYTES))
    return [file.name, facts.st_size, facts.st_mtime_ns, ends.hexdigest()]


def _stated_classes(file: DataFile) -> dict[str, tuple[str, ...]]:
    """Column -> class names, as datasets writes them into the schema of parquet and arrow files."""
    if file.format == MASKS:
        classes = classes_of_masks(Path(file.path))
        return {} if classes is None else {"mask": classes.names}
    if file.format not in ("parquet", "arrow"):
        return {}
    import datasets
    import pyarrow.parquet

    with file.open() as stream:
        if file.format == "parquet":
            schema = pyarrow.parquet.read_schema(stream)
        else:
            is_file = stream.read(6) == b"ARROW1"
            stream.seek(0)
            schema = (pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream)(stream).schema
    return class_names_of(datasets.Features.from_arrow_schema(schema))


def _place(conversion: _Conversion, index: int) -> tuple[str, int]:
    start, source, row = conversion.breaks[bisect.bisect(conversion.breaks, index, key=lambda found: found[0]) - 1]
    return source, row + index - start


def cache_folder() -> Path:
    """Where converted rows are kept: ``quintet`` in the cache folder of datasets."""
    import datasets.config

    return Path(datasets.config.HF_DATASETS_CACHE) / "quintet"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends without an error, and is removed otherwise.

    Raises:
        DataError: the cache folder cannot be written to, or the disk is full.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise DataError(
            f"the cache folder {path.parent} cannot be written to ({error.strerror or error}); make room there, or "
            "choose another folder with the environment variable HF_DATASETS_CACHE"
        ) from error
    finally:
        with suppress(OSError):  # where it could not be made it cannot be removed either; the reason is on its way
            partial.unlink()


def _notes(conversion: _Conversion) -> str:
    return json.dumps({"breaks": conversion.breaks, "rejected": [asdict(row) for row in conversion.rejected]})


def _read_notes(path: Path) -> _Conversion | None:
    """The conversion that was done before; None where none was, or it was cut off."""
    try:
        notes = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    breaks = [(index, source, row) for index, source, row in notes["breaks"]]
    return _Conversion(breaks, [BadRow(**row) for row in notes["rejected"]])
