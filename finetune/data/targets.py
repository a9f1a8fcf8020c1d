"""What a task is to find out, row by row: the name by which it goes into the row's digest, or why it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from .cells import Wanted, as_text
from .labels import LabelColumn, LabelTable, LabelValueError, RowLabels, looks_multi_hot
from .mask_targets import MaskTargets
from .object_targets import ObjectTargets
from .rows import RawRows

Target = tuple[str | None, str | None]
"""The name of a row's target, and why the row cannot be used; one of them is None, or both where there is no target."""


UNANSWERED, MOVED = 1, 2
"""Marks of a question: that has no answer; of whose answers one does not stand at its ``answer_start``."""


class Targets(Protocol):
    """The targets of the rows of a split.

    Attributes:
        marks: of questions for each row that was read `UNANSWERED`, `MOVED` or 0; None where nothing is asked.
    """

    marks: bytearray | None

    def read(self, block: Any) -> Iterator[Target]:
        """The target of each row of an Arrow table."""
        ...

    def labels(self, rows: int) -> RowLabels:
        """The labels of all ``rows`` rows that were read."""
        ...


def targets_of(rows: RawRows, table: LabelTable, wanted: Wanted) -> Targets:
    """What reads the targets of ``rows``; labels, tags and classes of objects are added to ``table``."""
    if wanted.labels is not None and wanted.kinds[wanted.labels] == "objects":
        names = {"picture": wanted.inputs[0], "objects": wanted.labels, "theirs": wanted.columns[wanted.labels]}
        return ObjectTargets(table, rows.class_names, **names)
    if wanted.labels is not None:
        return _Labels(rows, table, wanted)
    if wanted.target is not None and wanted.kinds[wanted.target] == "mask":
        return MaskTargets(wanted)
    return _Texts(wanted)


class _Labels:
    """Labels and tags."""

    def __init__(self, rows: RawRows, table: LabelTable, wanted: Wanted) -> None:
        self._rows, self._table, self._wanted = rows, table, wanted
        self._name = wanted.labels or ""
        self._words = next((name for name in wanted.inputs if wanted.kinds[name] == "tokens"), None)
        self._column: LabelColumn | None = None
        self.marks: bytearray | None = None

    def read(self, block: Any) -> Iterator[Target]:
        found: list[Any] = block.column(self._name).to_pylist()
        theirs = self._wanted.columns[self._name]
        column = self._column = self._column or self._start(block, found)
        words = block.column(self._words).to_pylist() if column.is_tags and self._words else None
        for index, label in enumerate(found):
            try:
                name = column.add(label)
            except LabelValueError as error:
                yield None, f"column '{theirs}' holds {error}"
                continue
            if name is None:
                yield None, f"column '{theirs}' is missing or empty"
            elif words is not None and words[index] is not None and len(words[index]) != len(label):
                yield name, f"column '{theirs}' holds {len(label)} tags for {len(words[index])} words; each needs one"
            else:
                yield name, None

    def labels(self, rows: int) -> RowLabels:
        return (self._column or LabelColumn(self._table, self._rows.class_names)).finish()

    def _start(self, block: Any, found: list[Any]) -> LabelColumn:
        import pyarrow

        is_multi = pyarrow.types.is_nested(block.schema.field(self._name).type)
        is_tags = self._wanted.kinds[self._name] == "tags"
        is_hot = is_multi and not is_tags and self._rows.class_names is None and looks_multi_hot(found)
        return LabelColumn(self._table, self._rows.class_names, is_multi=is_multi, is_multi_hot=is_hot, is_tags=is_tags)


class _Texts:
    """Texts to be written, answers to be found in the last text that is read, or no target at all."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._name = wanted, wanted.target
        self.marks: bytearray | None = bytearray() if "answers" in wanted.kinds.values() else None

    def read(self, block: Any) -> Iterator[Target]:
        if self._name is None:
            for _ in range(block.num_rows):
                yield None, None
            return
        kind, theirs = self._wanted.kinds[self._name], self._wanted.columns[self._name]
        contexts = block.column(self._wanted.inputs[-1]).to_pylist() if kind == "answers" else None
        for index, value in enumerate(block.column(self._name).to_pylist()):
            text = as_text(kind, value)
            if self.marks is not None and contexts is not None:
                self.marks.append(_mark(value, contexts[index] or ""))
            if not text or text.isspace():
                yield None, f"column '{theirs}' is missing or empty"
            elif contexts is not None and (absent := _absent(value["text"], contexts[index] or "")) is not None:
                reason = f"holds the answer '{absent[:40]}', which is not in the context"
                if not absent.strip():
                    reason = "holds an empty answer; of a question without an answer both lists are empty"
                yield text, f"column '{theirs}' {reason}"
            else:
                yield text, None

    def labels(self, rows: int) -> RowLabels:
        return RowLabels(np.zeros(rows, np.int32))


def _mark(answers: Mapping[str, Sequence[Any]] | None, context: str) -> int:
    """`UNANSWERED`, `MOVED` or 0 for the answers to a question."""
    if answers is None:
        return 0
    places = zip(answers["text"], answers["answer_start"], strict=True)
    is_moved = any(start < 0 or not context.startswith(text, start) for text, start in places)
    return MOVED if is_moved else 0 if answers["text"] else UNANSWERED


def _absent(answers: list[str], context: str) -> str | None:
    """The first answer that is not in ``context``; None where all are."""
    return next((answer for answer in answers if not answer.strip() or answer not in context), None)
