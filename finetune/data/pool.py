"""All rows of the splits that are needed, from all sources, numbered through, with labels understood.

Roles (train, validation, test) are then nothing but row numbers in the pool.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...pipelines.errors import DataError
from ...pipelines.image_inputs import picture_name
from ...pipelines.tasks import Task, find_task
from ..problems import LANGUAGE_MODELLING, MATCHING, ProblemType, problem_of
from .cells import Wanted, arrow_type, as_text
from .columns import find_columns
from .fingerprints import ScannedRows, scan
from .label_files import label_rows
from .labels import LabelPlan, LabelTable, plan_labels
from .mask_targets import MaskClasses
from .object_targets import CATEGORIES
from .report import RejectedRow
from .rows import RawRows, Sample
from .sources import Source

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Piece:
    """One split of one source."""

    split: str
    source: str
    raw: RawRows
    scanned: ScannedRows


@dataclass(frozen=True)
class Pool:
    """The rows, and what is known of each.

    Attributes:
        pieces: split by split, so that the rows of a split follow each other.
        scanned: of all rows.
        wanted: the columns, those of the first source.
        found_columns: all columns of the first source.
        plan: what the labels are.
        names: labels by provisional id.
        notices: what a person should know, one sentence each.
        mask_classes: of masks; None for other targets.
    """

    pieces: Sequence[Piece]
    scanned: ScannedRows
    wanted: Wanted
    found_columns: tuple[str, ...]
    plan: LabelPlan
    names: Sequence[str]
    notices: tuple[str, ...]
    mask_classes: MaskClasses | None = None

    @property
    def splits(self) -> list[str]:
        """The splits that have rows here."""
        return list(dict.fromkeys(piece.split for piece in self.pieces))

    def span(self, split: str) -> tuple[int, int]:
        """First row number of a split, and the one after its last."""
        starts = self._starts()
        numbers = [position for position, piece in enumerate(self.pieces) if piece.split == split]
        return starts[numbers[0]], starts[numbers[-1] + 1]

    def _starts(self) -> list[int]:
        return [0, *itertools.accumulate(len(piece.scanned) for piece in self.pieces)]

    def rejected(self, row: int, texts: datasets.Dataset) -> RejectedRow:
        """Why row number ``row`` cannot be used, where it came from, and how it begins in ``texts``."""
        starts = self._starts()
        position = bisect.bisect(starts, row) - 1
        source, number = self.pieces[position].raw.place(row - starts[position])
        first = self.wanted.inputs[0]
        kind, value = self.wanted.kinds[first], texts[row][first]
        raw = (picture_name(value) if kind == "image" else as_text(kind, value) or "")[:500]
        return RejectedRow(source=source, row=number, reason=self.scanned.bad[row], raw=raw)

    def unreadable(self, split: str | None = None) -> list[RejectedRow]:
        """The rows, of one split if it is given, that could not be read at all; they have no number."""
        pieces = [piece for piece in self.pieces if split in (None, piece.split)]
        bad = [row for piece in pieces for row in piece.raw.rejected]
        return [RejectedRow(source=row.source, row=row.row, reason=row.reason, raw=row.raw) for row in bad]

    def label_counts(self, rows: np.ndarray) -> np.ndarray:
        """(labels,) how many of ``rows`` have each label, in id order."""
        provisional = self.scanned.labels.counts(rows, len(self.plan.final_ids))
        counts = np.zeros(len(self.plan.labels or ()), np.int64)
        np.add.at(counts, self.plan.final_ids, provisional)
        return counts

    def dataset(self) -> datasets.Dataset:
        """All rows; labels are int64 ids (of tags a list of them), float32 numbers, or a zero or one for each label.

        Objects stay as they were found, beside a column `CATEGORIES` with the int64 ids of their classes.
        """
        import datasets

        kept = [name for name in self.wanted.columns if name != self._label_column]
        texts = [piece.raw.dataset.select_columns(kept) for piece in self.pieces]
        if any(part.features != texts[0].features for part in texts):
            texts = [part.cast(self._features()) for part in texts]
        all_texts = texts[0] if len(texts) == 1 else datasets.concatenate_datasets(texts)
        if self.wanted.labels is None:
            return all_texts
        labels = label_rows(self.scanned.labels, self.plan, self.names, column=self._label_column or CATEGORIES)
        return datasets.concatenate_datasets([all_texts, labels], axis=1)

    @property
    def _label_column(self) -> str | None:
        """The column that holds nothing but labels, in whose place their ids stand; None where there is none."""
        name = self.wanted.labels
        return None if name is None or self.wanted.kinds[name] == "objects" else name

    def _features(self) -> datasets.Features:
        """Of the columns beside the labels, where the sources have them in types of their own."""
        import datasets
        import pyarrow

        kinds = {name: kind for name, kind in self.wanted.kinds.items() if name != self._label_column}
        schema = pyarrow.schema([(name, arrow_type(kind, is_list=False)) for name, kind in kinds.items()])
        return datasets.Features.from_arrow_schema(schema)


def fill_pool(
    sources: Sequence[Source],
    wanted: Sequence[str],
    *,
    task: Task,
    columns: Mapping[str, str] | None,
    skip_bad: bool,
    label_names: Sequence[str] | None,
    problem_type: ProblemType | None,
    may_lack_labels: Sequence[str] = (),
) -> Pool:
    """Reads the splits ``wanted`` of ``sources`` and understands their columns and labels.

    Args:
        may_lack_labels: splits that are left out with a notice if they have no labels; others without are an error.

    Raises:
        DataError: a column is not there, a row cannot be read, or the labels of the sources do not go together.
    """
    table = LabelTable()
    pieces: list[Piece] = []
    notices = [notice for source in sources for notice in source.notices]
    first: tuple[Wanted, Sample] | None = None
    by_source: dict[int, Wanted] = {}
    for split in wanted:
        for number, source in enumerate(sources):
            if split not in source.splits:
                continue
            sample = source.splits[split].sample()
            if number not in by_source:
                by_source[number] = Wanted.of(task, find_columns(sample, task, columns, source=source.name))
            found = by_source[number]
            first = first or (found, sample)
            if found.columns.keys() != first[0].columns.keys():
                raise DataError(
                    f"{source.name} has the columns {', '.join(found.columns)} of the task where {sources[0].name} has "
                    f"{', '.join(first[0].columns)}; data sets that are united need the same ones"
                )
            absent = [theirs for theirs in found.columns.values() if theirs not in sample.names]
            if absent == [found.columns.get(found.target or "")] and split in may_lack_labels:
                notices.append(f"split '{split}' of {source.name} has no labels and was left out")
                continue
            if absent:
                raise DataError(
                    f"split '{split}' of {source.name} has no column '{absent[0]}'; found: {', '.join(sample.names)}. "
                    "All splits need the same columns"
                )
            raw = source.splits[split].read(found, skip_bad=skip_bad)
            scanned = scan(raw, table, wanted=found)
            if len(scanned) and found.labels is not None and not _has_labels(scanned) and split in may_lack_labels:
                notices.append(f"split '{split}' of {source.name} has no labels and was left out")
                continue
            if not len(scanned) and not raw.rejected:
                raise DataError(f"split '{split}' of {source.name} holds no rows")
            pieces.append(Piece(split, source.name, raw, scanned))
    if not pieces or first is None:
        raise DataError(
            f"no split of {', '.join(source.name for source in sources)} has labels; expected a label a row"
        )
    problem_type = problem_of(task) or problem_type
    notices += _left_out(task, first[1].names)
    if first[0].labels is None:
        without_target = MATCHING if task.target is not None else LANGUAGE_MODELLING
        plan = LabelPlan(problem_type or without_target, None, np.zeros(1, np.int64))
    else:
        column = first[0].columns[first[0].labels]
        plan = plan_labels(
            table, column=column, target=first[0].labels, label_names=label_names, problem_type=problem_type
        )
    scanned = ScannedRows.concatenate([piece.scanned for piece in pieces], table.names)
    classes = None
    if scanned.mask_indices is not None:
        column = first[0].columns[first[0].target or ""]
        classes = MaskClasses.of(scanned.mask_indices, label_names or first[1].class_names.get(column), column=column)
    found = tuple(first[1].names)
    return Pool(pieces, scanned, first[0], found, plan, table.names, (*notices, *plan.notices), classes)


def _left_out(task: Task, columns: Sequence[str]) -> list[str]:
    """A sentence where rows of a query and its document come with a label, which may say that they do not match."""
    if problem_of(task) != MATCHING:
        return []
    pairs = find_task("sentence-similarity")
    names = {pairs.target.name, *pairs.target.synonyms} if pairs.target is not None else set()
    return [
        f"column '{name}' is left out: {task.name} takes each document for one that answers its query; train "
        f"{pairs.name} on pairs with a label"
        for name in columns
        if name.casefold() in names
    ]


def _has_labels(scanned: ScannedRows) -> bool:
    return scanned.labels.offsets is not None or bool((scanned.labels.ids >= 0).any())
