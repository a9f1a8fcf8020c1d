"""How good masks are: intersection over union and Dice coefficient of the classes, over all pixels of a split.

    mean_iou              mean over the classes of intersection / union (Everingham et al. 2010, section 4.4)
    mean_dice             mean over the classes of 2 intersection / (pixels + answered pixels), which is their F1
    pixel_accuracy        share of the labelled pixels with the right class
    mean_class_accuracy   mean over the classes of the share of their pixels that were found

Pixels that nobody labelled count for nothing. Means are over the classes that occur, in the masks or in the answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cards.facts import ClassFact, MetricFact
from ..pipelines.errors import DataError
from . import bootstrap as resampling
from .metrics import Scores, undefined

DIRECTIONS = {"mean_iou": True, "mean_dice": True, "pixel_accuracy": True, "mean_class_accuracy": True, "loss": False}
"""Metrics, the main one first -> whether higher is better."""


def pixel_counts(answers: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """How many pixels of each class got which answer, int64 (classes, classes), row = true class.

    Args:
        answers: class ids (height, width).
        truth: class ids of the same shape; what is no class id is not counted.
        classes: number of classes.
    """
    is_labelled = truth < classes
    pairs = truth[is_labelled].astype(np.int64) * classes + answers[is_labelled]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def segmentation_metrics(
    counts: Sequence[np.ndarray], names: Sequence[str], *, bootstrap: int = 1000, seed: int = 0
) -> Scores:
    """Metrics with 95 % bootstrap percentile intervals; whole pictures are drawn.

    Args:
        counts: of each picture, as `pixel_counts` gives them.
        names: of the classes, in id order.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.

    Raises:
        DataError: there are no pictures, or none of their pixels is labelled.
    """
    if not len(counts):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    total = np.sum(counts, axis=0)
    if not total.sum():
        raise DataError("no pixel of the split is labelled, so nothing can be measured; choose another with --split")
    true, answered, hits = (
        np.stack(parts, axis=1).astype(np.float64) for parts in zip(*map(_sums, counts), strict=True)
    )

    def statistics(drawn: resampling.Counts) -> dict[str, np.ndarray]:
        return _statistics(true @ drawn, answered @ drawn, hits @ drawn)

    values = statistics(np.ones((len(counts), 1)))
    ends = resampling.intervals(statistics, len(counts), resamples=bootstrap, seed=seed)
    facts = tuple(
        MetricFact(name, float(values[name][0]), *resampling.end(ends, name)) for name in DIRECTIONS if name != "loss"
    )
    rows = []
    for index, label in enumerate(names):
        metrics = tuple(
            MetricFact(
                metric, float(values[f"class_{metric}"][index, 0]), *resampling.end(ends, f"class_{metric}", index)
            )
            for metric in ("iou", "dice", "recall")
            if not np.isnan(values[f"class_{metric}"][index, 0])
        )
        rows.append(ClassFact(label, int(total[index].sum()), metrics))
    unseen = [label for label, row in zip(names, total, strict=True) if not row.sum()]
    notes = undefined("recall", unseen, names, "no pixel has it", "no pixel has one of them")
    confusion = tuple(tuple(int(cell) for cell in row) for row in total)
    return Scores(facts, tuple(rows), confusion, tuple(notes))


def _sums(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of each class, pixels that were answered with it, and pixels for which both hold; each (classes,)."""
    return counts.sum(1), counts.sum(0), np.diagonal(counts)


def _statistics(true: np.ndarray, answered: np.ndarray, hits: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of counts (classes, resamples): means (resamples,), and those of each class, NaN where undefined."""
    per_class = {
        "iou": resampling.ratio(hits, true + answered - hits),
        "dice": resampling.ratio(2 * hits, true + answered),
        "recall": resampling.ratio(hits, true),
    }
    occurring, there = true + answered > 0, true > 0
    return {
        "mean_iou": _mean(per_class["iou"], occurring),
        "mean_dice": _mean(per_class["dice"], occurring),
        "mean_class_accuracy": _mean(per_class["recall"], there),
        "pixel_accuracy": resampling.ratio(hits.sum(0), true.sum(0)),
        **{f"class_{name}": values for name, values in per_class.items()},
    }


def _mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return resampling.ratio((np.nan_to_num(values) * kept).sum(0), kept.sum(0))
