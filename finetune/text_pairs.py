"""Pairs of texts and what is known of each: a score, whether they belong together, or that they do.

One place where training and measuring of vectors look at the target of a data set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..pipelines.errors import DataError
from .problems import MATCHING, REGRESSION, SINGLE_LABEL

if TYPE_CHECKING:
    from .data import TaskData

Kind = Literal["scored", "labelled", "matching"]

_ALIKE = frozenset(
    {"1", "true", "yes", "same", "equal", "equivalent", "duplicate", "paraphrase", "similar", "match", "positive"}
    | {"related", "relevant", "entailment"}
)
_DIFFERENT = frozenset(
    {"0", "-1", "false", "no", "none", "different", "distinct", "negative", "neutral", "contradiction"}
)
_NEGATION = re.compile(r"(?:not|non|no|un|in|dis)[ _-]?(?=.)")


@dataclass(frozen=True)
class TextPairs:
    """The pairs of a split.

    Attributes:
        texts: the first ones.
        partners: the second ones.
        kind: ``scored``, ``labelled``, or ``matching`` where all belong together.
        targets: float64 (rows,): scores as they are in the data, 1 and 0, or 1.
        labels: of labelled pairs the names of the label of different texts and of that of equal ones.
    """

    texts: Sequence[str]
    partners: Sequence[str]
    kind: Kind
    targets: np.ndarray
    labels: tuple[str, str] | None = None

    def __len__(self) -> int:
        return len(self.texts)


def read_pairs(data: TaskData, role: str, label_map: Mapping[str, str] | None = None) -> TextPairs:
    """The pairs of the split ``role``, whose columns are named in the order first text, second text, target.

    Labels that are more than two numbers are scores.

    Raises:
        DataError: the split has no rows; labels are other than two, or do not say which of them means equal.
    """
    rows = data.splits[role]
    if not len(rows):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    first, second, *target = rows.column_names
    texts, partners = rows[first], rows[second]
    if data.problem_type == MATCHING or not target:
        return TextPairs(texts, partners, "matching", np.ones(len(rows)))
    values: Any = np.asarray(rows[target[0]][:])
    if data.problem_type == REGRESSION:
        return TextPairs(texts, partners, "scored", values.astype(np.float64))
    renamed: dict[str, str] = dict(label_map or {})
    names: tuple[str, ...] = tuple(renamed.get(name) or name for name in data.labels or ())
    if data.problem_type == SINGLE_LABEL and len(names) > 2 and all(map(_is_number, names)):
        return TextPairs(texts, partners, "scored", np.array([float(name) for name in names])[values])
    if data.problem_type != SINGLE_LABEL or len(names) != 2:
        shown = ", ".join(f"'{name}'" for name in names[:10])
        raise DataError(
            f"column '{target[0]}' has the labels {shown}; expected numbers, or two labels of which one means that the "
            f"texts belong together. Name another column with --columns {target[0]}=…"
        )
    alike = _alike(names, target[0])
    targets = (values == alike).astype(np.float64)
    return TextPairs(texts, partners, "labelled", targets, (names[1 - alike], names[alike]))


def _alike(names: Sequence[str], column: str) -> int:
    """Which of two labels means that the texts belong together.

    Raises:
        DataError: neither, or both.
    """
    words = [name.strip().casefold() for name in names]
    positive = [
        word in _ALIKE or other in _DIFFERENT or _NEGATION.sub("", other, count=1) == word
        for word, other in zip(words, reversed(words), strict=True)
    ]
    if positive[0] == positive[1]:
        raise DataError(
            f"column '{column}' has the labels '{names[0]}' and '{names[1]}', which do not say which one means that "
            "the texts belong together; call it 1 and the other 0"
        )
    return positive.index(True)


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False
