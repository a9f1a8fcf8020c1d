"""Labels: raw values to names, names to ids that are the same in all splits.

Names are compared, never counted: two data sets with two labels each need not mean the same two. Every raw label
becomes a name first (``1``, ``1.0`` and ``"1"`` are the name ``"1"``), the names of all splits are brought together,
and only then are ids given.
"""

from __future__ import annotations

import math
import numbers
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...pipelines.errors import DataError
from ..problems import ProblemType
from .tags import tag_order, to_iob2

MISSING = -1
"""Provisional id of a row without a label."""

SEPARATOR = "\x1f"
"""Stands between the names of several labels of a row."""

_COUNTED_ROWS = 65_536  # rows looked at together

_STRATUM_ROWS = 20  # rows of a stratum of numbers at least

_MANY_LABELS = 10_000  # different values after which names are no longer collected: these are numbers, or no labels


class LabelValueError(ValueError):
    """A value of a label or text column is of a kind that cannot be used; the message says what it is."""


def canonical_label(value: Any) -> str | list[str] | None:
    """The name of a raw label; a list of names for a list; None for a missing label.

    >>> canonical_label(1), canonical_label(1.0), canonical_label(" good "), canonical_label(3.5)
    ('1', '1', 'good', '3.5')
    >>> canonical_label(["joy", "anger"]), canonical_label(float("nan")), canonical_label("")
    (['joy', 'anger'], None, None)

    Raises:
        LabelValueError: the value is neither text, number, boolean nor a list of these.
    """
    if isinstance(value, str):
        return _canonical_text(value.strip()) or None
    if value is None:
        return None
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        value = value.tolist()
    if isinstance(value, list | tuple):
        names = [canonical_label(item) for item in value]
        if any(name is None or isinstance(name, list) for name in names):
            raise LabelValueError("a list with a missing label or a list inside")
        return [name for name in names if isinstance(name, str)]
    if isinstance(value, bool | numbers.Integral):
        return str(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        if math.isnan(number):
            return None
        return str(int(number)) if number.is_integer() else repr(number)
    raise LabelValueError(f"the {type(value).__name__} {str(value)[:40]}; expected a label")


def _canonical_text(text: str) -> str:
    """Numbers with a point as Python writes them, so that csv and parquet give the same names; other text as it is."""
    whole, point, fraction = text.removeprefix("-").partition(".")
    if point and whole.isascii() and whole.isdigit() and fraction.isascii() and fraction.isdigit():
        number = float(text)
        return str(int(number)) if number.is_integer() else repr(number)
    return text


@dataclass
class RowLabels:
    """The labels of the rows of a split.

    Attributes:
        ids: (labels,) int32 provisional ids; one a row unless ``offsets`` is given. `MISSING` for none.
        offsets: (rows + 1,) int64 for multi-label: row i has ``ids[offsets[i]:offsets[i + 1]]``.
        values: (rows,) float64; the labels as numbers, NaN where they are none. None where the names by id tell.
    """

    ids: np.ndarray
    offsets: np.ndarray | None = None
    values: np.ndarray | None = None

    @classmethod
    def concatenate(cls, parts: Sequence[RowLabels], names: Sequence[str]) -> RowLabels:
        """The labels of several pieces of a split, one after the other; ``names`` are those by provisional id."""
        if len(parts) == 1:
            return parts[0]
        offsets = None
        if any(part.offsets is not None for part in parts):
            counts = [np.ones(len(p.ids), np.int64) if p.offsets is None else np.diff(p.offsets) for p in parts]
            offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
        values = None
        if any(part.values is not None for part in parts):
            values = np.concatenate([part.numbers(names) for part in parts])
        return cls(np.concatenate([part.ids for part in parts]), offsets, values)

    def __len__(self) -> int:
        return len(self.ids) if self.offsets is None else len(self.offsets) - 1

    def counts(self, rows: np.ndarray, size: int) -> np.ndarray:
        """(size,) how many of ``rows`` have each id."""
        if self.offsets is not None:
            return np.bincount(self.ids[self._flat(rows)], minlength=size)
        total = np.zeros(size + 1, np.int64)
        for start in range(0, len(rows), _COUNTED_ROWS):  # bincount would copy all of them as int64
            total += np.bincount(self.ids[rows[start : start + _COUNTED_ROWS]] + 1, minlength=size + 1)
        return total[1:]

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """(rows,) float64; the labels as numbers, NaN where they are none. ``names`` are those by provisional id."""
        if self.values is not None:
            return self.values
        return np.array([*map(number_of, names), math.nan])[self.ids]  # a missing label's id -1 finds the last, NaN

    def _flat(self, rows: np.ndarray) -> np.ndarray:
        chosen = np.zeros(len(self), dtype=bool)
        chosen[rows] = True
        return np.repeat(chosen, np.diff(self.offsets if self.offsets is not None else np.arange(len(self) + 1)))

    def strata(self, problem_type: ProblemType, names: Sequence[str]) -> np.ndarray:
        """(rows,) integers; rows of one stratum should be spread over splits in equal shares.

        Single-label: the class. Multi-label and tags: the rarest label of the row, as in the first step of iterative
        stratification (Sechidis et al. 2011). Regression: the tenth of the values by rank, or less fine for few rows.
        Problems without labels: one stratum.
        """
        if problem_type == "regression":
            ranks = np.argsort(np.argsort(self.numbers(names), kind="stable"), kind="stable")
            return ranks * min(10, 1 + len(ranks) // _STRATUM_ROWS) // max(1, len(ranks))
        if self.offsets is None:
            return self.ids
        frequency = np.bincount(self.ids, minlength=1)
        spans = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        rarest = (min(self.ids[a:b], key=lambda i: (frequency[i], i), default=MISSING) for a, b in spans)
        return np.fromiter(rarest, np.int64, len(self))


@dataclass
class LabelTable:
    """Gives every label name a provisional id in the order of first appearance, over all splits and sources.

    Attributes:
        ids: name -> provisional id.
        declared: the class names that each source states, in its order.
        is_numeric: whether all labels are numbers so far.
        has_fractions: whether one of them is not whole.
        is_multi: whether labels come as lists.
        repaired_tags: tags that stood where their scheme does not allow it.
    """

    ids: dict[str, int] = field(default_factory=dict)
    declared: list[tuple[str, ...]] = field(default_factory=list)
    is_numeric: bool = True
    has_fractions: bool = False
    is_multi: bool = False
    has_too_many: bool = False
    repaired_tags: int = 0

    @property
    def names(self) -> list[str]:
        """The names by provisional id."""
        return list(self.ids)

    def id_of(self, name: str) -> int:
        """The provisional id of a name; past `_MANY_LABELS` names new ones all get the next id."""
        known = self.ids.get(name)
        if known is not None:
            return known
        if len(self.ids) >= _MANY_LABELS:
            self.has_too_many = True
            return _MANY_LABELS
        self.ids[name] = len(self.ids)
        return self.ids[name]

    def note(self, number: float) -> None:
        """Takes notice of a label as a number, NaN for one that is none."""
        self.is_numeric &= not math.isnan(number)
        self.has_fractions |= not math.isnan(number) and not number.is_integer()


def number_of(name: str) -> float:
    """The name of a label as a number, NaN where it is none."""
    try:
        number = float(name)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) and name.isascii() and "_" not in name else math.nan


class LabelColumn:
    """Reads the raw labels of one split into `RowLabels`, a value at a time.

    That takes 4 bytes a row; with more than `_MANY_LABELS` names, which may be numbers without end, 12 bytes.

    Args:
        table: shared by all splits and sources.
        class_names: names by raw id, where the data states them.
        is_multi: labels are lists.
        is_multi_hot: these are lists of zeros and ones, one for each class.
        is_tags: they are a tag for each word.
        keeps_order: they are the class of each object, of which several may have the same.
    """

    def __init__(
        self,
        table: LabelTable,
        class_names: tuple[str, ...] | None,
        *,
        is_multi: bool = False,
        is_multi_hot: bool = False,
        is_tags: bool = False,
        keeps_order: bool = False,
    ) -> None:
        self.table, self.class_names, self.is_multi, self.is_multi_hot = table, class_names, is_multi, is_multi_hot
        self.is_tags, self.keeps_order = is_tags, keeps_order
        table.is_multi |= is_multi
        self._ids, self._offsets = array("i"), array("q", [0])
        self._values: array[float] | None = None
        self._width: int | None = None
        self._seen: dict[Any, tuple[str, int]] = {}
        if class_names and class_names not in table.declared:
            table.declared.append(class_names)

    def add(self, value: Any) -> str | None:
        """Takes the label of the next row and gives its name (of a list the names, joined); None if missing.

        Raises:
            LabelValueError: the value is no label; the row counts as taken, without a label.
        """
        if not self.is_multi and (known := self._seen.get(value)) is not None:
            self._append(*known)
            return known[0]
        try:
            label = self._named(canonical_label(value))
        except LabelValueError:
            self._append_missing()
            raise
        if label is None:
            self._append_missing()
            return None
        if isinstance(label, list) and self.keeps_order and None in label:
            self._append_missing()
            raise LabelValueError("an object of no class (-1)")
        if isinstance(label, list) and (self.is_tags or self.keeps_order):
            if self.is_tags:
                label, repaired = to_iob2(label)
                self.table.repaired_tags += repaired
            self._ids.extend(map(self.table.id_of, label))
            self._offsets.append(len(self._ids))
            return SEPARATOR.join(label) or None
        if isinstance(label, list):
            self._ids.extend(self.table.id_of(name) for name in dict.fromkeys(label))
            self._offsets.append(len(self._ids))
            return SEPARATOR.join(sorted(set(label)))
        found = self.table.id_of(label)
        self.table.note(number_of(label))
        if len(self._seen) < _MANY_LABELS:
            self._seen[value] = (label, found)
        self._append(label, found)
        return label

    def _append(self, label: str, found: int) -> None:
        if found == _MANY_LABELS and self._values is None:
            self._values = array("d", RowLabels(np.array(self._ids, np.int32)).numbers(self.table.names))
        self._ids.append(found)
        if self._values is not None:
            self._values.append(number_of(label))

    def _append_missing(self) -> None:
        if self.is_multi:
            self._offsets.append(len(self._ids))
        else:
            self._append("", MISSING)

    def _named(self, label: str | list[str] | None) -> str | list[str] | None:
        if self.is_multi_hot and isinstance(label, list):
            self._width = self._width or len(label)
            if len(label) != self._width or not set(label) <= {"0", "1"}:
                raise LabelValueError(f"no list of {self._width} zeros and ones like the rows before it")
            label = [str(position) for position, mark in enumerate(label) if mark == "1"]
        if self.class_names is None or label is None:
            return label
        return [self._class_name(i) for i in label] if isinstance(label, list) else self._class_name(label)

    def _class_name(self, label: str) -> Any:
        names = self.class_names or ()
        if label == "-1":  # how public data sets write that the label is kept secret
            return None
        if not label.isdigit() or int(label) >= len(names):
            raise LabelValueError(f"the class id {label}, but there are {len(names)} classes ({', '.join(names)})")
        return names[int(label)]

    def finish(self) -> RowLabels:
        """The labels of all rows taken."""
        ids = np.frombuffer(self._ids, np.int32) if self._ids else np.zeros(0, np.int32)
        values = np.frombuffer(self._values, np.float64) if self._values else None
        return RowLabels(ids, np.frombuffer(self._offsets, np.int64) if self.is_multi else None, values)


def looks_multi_hot(values: Iterable[Any]) -> bool:
    """Whether list labels are zeros and ones of one length (two at least) rather than lists of names or ids."""
    lists = [[canonical_label(item) for item in label] for label in values if isinstance(label, list)]
    widths = {len(label) for label in lists}
    return len(widths) == 1 and widths.pop() >= 2 and all(set(label) <= {"0", "1"} for label in lists)


@dataclass(frozen=True)
class LabelPlan:
    """What the labels are, once all have been seen.

    Attributes:
        problem_type: as in transformers' config.
        labels: names in id order; None for regression.
        final_ids: (provisional ids,) int64; provisional id -> id in ``labels``.
        notices: what a person should know, one sentence each.
    """

    problem_type: ProblemType
    labels: tuple[str, ...] | None
    final_ids: np.ndarray
    notices: tuple[str, ...] = ()


def plan_labels(
    table: LabelTable,
    *,
    column: str,
    target: str = "label",
    label_names: Sequence[str] | None = None,
    problem_type: ProblemType | None = None,
) -> LabelPlan:
    """What the labels in ``table`` are and in which order their ids go.

    Without ``label_names``: the order that the data states (`datasets.ClassLabel`), else whole numbers by value, else
    names by alphabet. Labels that are all numbers, one of them with a fraction, are regression; so are scores that are
    more than two numbers.

    Args:
        column: name of the label column, for messages.
        target: the task's word for it.
        label_names: the names that the ids must have, in order. Names of the data are matched by name, then without
            regard to case; if all of them are whole numbers, they are taken for ids.
        problem_type: decides what the labels would not tell by themselves.

    Raises:
        DataError: the data has a label that ``label_names`` lacks, numbers are needed but there are names, or there are
            so many different values that they are no classes.
    """
    if problem_type is None and not label_names:
        has_scores = table.has_fractions or (target == "score" and len(table.names) > 2)
        is_regression = table.is_numeric and has_scores and not table.is_multi
        problem_type = "regression" if is_regression else None
    if problem_type == "regression":
        if not table.is_numeric or table.is_multi:
            wrong = next((name for name in table.names if not _is_number(name)), "a list")
            raise DataError(f"column '{column}' holds '{wrong}'; regression expects numbers")
        return LabelPlan("regression", None, np.zeros(0, np.int64))
    if problem_type not in ("tagging", "detection"):
        problem_type = "multi_label_classification" if table.is_multi else problem_type or "single_label_classification"
    if table.has_too_many:
        raise DataError(
            f"column '{column}' holds more than {_MANY_LABELS:,} different values, such as '{table.names[-1]}'; "
            f"expected a few classes. Name the right column with --columns {target}=…"
        )
    if label_names:
        mapping, notices = match_labels(table.names, label_names)
        labels = tuple(label_names)
    else:
        labels = _ordered(table)
        if problem_type == "tagging" and not table.declared:
            labels = tuple(sorted(labels, key=tag_order))
        mapping = {name: index for index, name in enumerate(labels)}
        notices = _look_alikes(labels)
    if table.repaired_tags:
        notices = [
            *notices,
            f"{table.repaired_tags} tags go on with an entity that never began, and were read as its beginning",
        ]
    final_ids = np.array([mapping[name] for name in table.names], dtype=np.int64)
    return LabelPlan(problem_type, labels, final_ids, tuple(notices))


def _ordered(table: LabelTable) -> tuple[str, ...]:
    if table.declared:
        stated = dict.fromkeys(name for names in table.declared for name in names)
        return tuple(dict.fromkeys([*stated, *sorted(table.names)]))
    if table.names and all(_is_number(name) for name in table.names):
        return tuple(sorted(table.names, key=float))
    return tuple(sorted(table.names))


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def _look_alikes(labels: Sequence[str]) -> list[str]:
    folded: dict[str, str] = {}
    notices = []
    for label in labels:
        if (other := folded.setdefault(label.casefold(), label)) != label:
            notices.append(f"the labels '{other}' and '{label}' differ in case only and are two classes")
    return notices


def match_labels(found: Sequence[str], wanted: Sequence[str]) -> tuple[Mapping[str, int], list[str]]:
    """``found`` name -> position in ``wanted``, and what had to be assumed for that.

    Raises:
        DataError: a name in ``found`` is none of ``wanted``; the message lists both sides.
    """
    position = {name: index for index, name in enumerate(wanted)}
    if all(name in position for name in found):
        return position, []
    folded = {name.casefold(): index for index, name in enumerate(wanted)}
    if len(folded) == len(wanted) and all(name.casefold() in folded for name in found):
        return {name: folded[name.casefold()] for name in found}, ["labels were matched without regard to case"]
    if all(name.isascii() and name.isdigit() and int(name) < len(wanted) for name in found):
        pairs = ", ".join(f"{name} = {wanted[int(name)]}" for name in sorted(found, key=int))
        return {name: int(name) for name in found}, [f"the data numbers its labels; they were taken for ids: {pairs}"]
    unknown = sorted(name for name in found if name not in position)
    raise DataError(
        f"the data has labels that are not among the expected ones: {_shortened(unknown)} "
        f"(in the data: {_shortened(sorted(found))}; expected: {_shortened(wanted)}). Rename them in the data, or use "
        "another data set"
    )


def _shortened(names: Sequence[str], limit: int = 20) -> str:
    return ", ".join(names[:limit]) + (f", … ({len(names)})" if len(names) > limit else "")
