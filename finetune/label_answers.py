"""Measuring classification: probabilities of all rows against their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipelines.errors import DataError
from ..pipelines.image_inputs import picture_name
from .baselines import constant_baseline
from .label_matching import matched_labels
from .measuring import Conditions, Measured, Progress
from .metrics import classification_metrics
from .mistakes import most_confident_mistakes
from .plots import reliability_diagram
from .text_inputs import inputs_of_split

if TYPE_CHECKING:
    from datasets import Dataset

    from .data import TaskData

PROTOCOL = {"long_texts": "windows, mean of probabilities weighted by length"}


def measure_labels(pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How good the answers of ``pipe`` are on the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    rows = data.splits[role]
    labels = matched_labels(
        np.asarray(rows["label"][:]),
        data.labels,
        data.problem_type,
        conditions.labels,
        conditions.problem_type,
        conditions.label_map,
    )
    probabilities, notes = answer(pipe, rows, conditions.progress)
    if "image" in rows.column_names:
        measured = measure_probabilities(probabilities, labels, conditions, _PictureNames(rows), notes=notes)
        return replace(measured, protocol={})  # no picture is read in windows
    pairs = rows["text_pair"] if "text_pair" in rows.column_names else None
    return measure_probabilities(probabilities, labels, conditions, rows["text"], pairs, notes)


class _PictureNames(Sequence[str]):
    """What each row's picture is called; read one at a time, since only those of mistakes are wanted."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return picture_name(self.rows[row]["image"]) or f"picture {row + 1}"


def measure_probabilities(
    probabilities: np.ndarray,
    labels: np.ndarray | Sequence,
    conditions: Conditions,
    texts: Sequence[str],
    text_pairs: Sequence[str | None] | None = None,
    notes: Sequence[str] = (),
) -> Measured:
    """The same of answers that were already computed.

    Args:
        probabilities: (rows, classes) in [0, 1]; for regression the predicted numbers, (rows,) or (rows, 1).
        labels: class ids (rows,), 0 or 1 (rows, classes), or numbers (rows,).
        conditions: class names, kind of problem, and how it is measured.
        texts: the inputs, for the mistakes.
        text_pairs: the second texts of pairs.
        notes: sentences to keep before those about the metrics.

    Raises:
        DataError: no rows, or a label that is no class.
        ShapeError: shapes that do not fit.
        WeightsError: an answer is not finite.
    """
    names, problem_type, labels = conditions.labels, conditions.problem_type, np.asarray(labels)
    bootstrap, seed = conditions.bootstrap, conditions.seed
    scores = classification_metrics(probabilities, labels, names, problem_type, bootstrap=bootstrap, seed=seed)
    baseline = constant_baseline(
        labels, names, problem_type, training=conditions.training, bootstrap=bootstrap, seed=seed
    )

    def draw(folder: Path, where: str) -> None:
        error = scores.value("ece")
        title = f"{where}: calibration error {error:.3f}" if error is not None else where
        reliability_diagram(probabilities, labels, folder / "reliability.png", title=title)

    return Measured(
        count=len(labels),
        metrics=scores.metrics,
        problem_type=problem_type,
        labels=names,
        per_class=scores.per_class,
        confusion=scores.confusion,
        baselines=(baseline,),
        mistakes=most_confident_mistakes(
            probabilities, labels, names, problem_type, texts, text_pairs, count=conditions.mistakes
        ),
        notes=(*notes, *scores.notes),
        protocol=PROTOCOL,
        draw=draw if scores.confusion is not None else None,
    )


def answer(pipe: Any, rows: Dataset, progress: Progress | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Probabilities of all rows, float64 (rows, classes), and notes about how they came about.

    Args:
        pipe: a pipeline with ``outputs`` and ``merge``.
        rows: with the columns text and perhaps text_pair.
        progress: called with rows answered and rows in all.
    """
    total, windowed, parts = len(rows), 0, []
    for output in pipe.outputs(inputs_of_split(rows)):
        windowed += len(output.windows) > 1
        parts.append(np.asarray(pipe.merge(output), dtype=np.float64).reshape(-1))
        if progress is not None:
            progress(len(parts), total)
    if not parts:
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    return np.stack(parts), windows_note(windowed, total)


def windows_note(windowed: int, total: int) -> tuple[str, ...]:
    """A sentence about the rows that were read in windows; none where there are none."""
    if not windowed:
        return ()
    return (f"{windowed} of {total} rows were longer than the model takes and were read in windows",)
