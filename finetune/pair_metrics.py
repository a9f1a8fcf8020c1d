"""How well vectors of texts do, with 95 % bootstrap intervals (`bootstrap`).

    scored pairs      Spearman's and Pearson's correlation of similarity and score
    labelled pairs    average precision, AUROC; accuracy and F1 of the equal ones beyond a threshold from elsewhere
    matching pairs    recall@10, recall@1 and the mean reciprocal rank within 10 of the right text among all second ones

The first of each list is the one by which checkpoints are compared by default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

from ..pipelines.errors import WeightsError
from . import bootstrap as resampling
from .bootstrap import Counts, ratio
from .metrics import Scores, metric_facts

RECALLS = (1, 10)


def correlation_metrics(
    similarities: np.ndarray, scores: np.ndarray, *, bootstrap: int = 1000, seed: int = 0
) -> Scores:
    """Of pairs with a score; both arguments are float64 (rows,). What is undefined is left out, with a note.

    Raises:
        WeightsError: a similarity is not finite.
    """
    _check_finite(similarities)
    if len(scores) < 2 or np.ptp(scores) == 0:
        return Scores((), notes=("spearman and pearson are undefined: all rows have the same score",))
    if np.ptp(similarities) == 0:
        return Scores((), notes=("spearman and pearson are undefined: all rows have the same similarity",))
    values: dict[str, Any] = {
        "spearman": stats.spearmanr(similarities, scores)[0],
        "pearson": stats.pearsonr(similarities, scores)[0],
    }
    statistics = resampling.regression_statistics(similarities, scores)
    return Scores(metric_facts(values, resampling.intervals(statistics, len(scores), resamples=bootstrap, seed=seed)))


def label_metrics(
    similarities: np.ndarray,
    alike: np.ndarray,
    threshold: float | None = None,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Scores:
    """Of pairs with a label.

    Args:
        similarities: float64 (rows,).
        alike: bool (rows,), whether the texts belong together.
        threshold: similarity from which they are said to; None leaves accuracy and F1 out.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.

    Raises:
        WeightsError: a similarity is not finite.
    """
    _check_finite(similarities)
    values: dict[str, float] = {}
    notes = []
    if alike.any() and not alike.all():
        values["average_precision"] = float(sklearn_metrics.average_precision_score(alike, similarities))
        values["auroc"] = float(sklearn_metrics.roc_auc_score(alike, similarities))
    else:
        notes.append("average_precision and auroc are undefined: all rows have the same label")
    answers = None if threshold is None else similarities >= threshold
    if answers is not None:
        values["accuracy"] = float((answers == alike).mean())
        values["f1"] = float(sklearn_metrics.f1_score(alike, answers, zero_division=0.0))  # pyright: ignore[reportArgumentType]
    else:
        notes.append(
            "accuracy and f1 are left out: the checkpoint has no threshold, which training on labelled pairs learns"
        )
    auroc = resampling.auroc_statistic(similarities, alike)
    precision = average_precision_statistic(similarities, alike)

    def statistics(counts: Counts) -> dict[str, np.ndarray]:
        found = {"average_precision": precision(counts), "auroc": auroc(counts)}
        if answers is not None:
            hits = (answers & alike).astype(np.float64) @ counts
            wrong = (answers != alike).astype(np.float64) @ counts
            found["accuracy"] = 1 - wrong / len(alike)
            found["f1"] = ratio(2 * hits, 2 * hits + wrong, otherwise=0.0)
        return found

    ends = resampling.intervals(statistics, len(alike), resamples=bootstrap, seed=seed)
    return Scores(metric_facts(values, ends), notes=tuple(notes))


def rank_metrics(ranks: np.ndarray, *, bootstrap: int = 1000, seed: int = 0) -> Scores:
    """Of the places, from 1, that the right texts have among all; float64 (rows,), infinite for beyond the tenth."""
    per_row = {f"recall@{count}": (ranks <= count).astype(np.float64) for count in reversed(RECALLS)}
    per_row |= {f"mrr@{max(RECALLS)}": 1.0 / ranks}

    def statistics(counts: Counts) -> dict[str, np.ndarray]:
        return {name: values @ counts / len(ranks) for name, values in per_row.items()}

    ends = resampling.intervals(statistics, len(ranks), resamples=bootstrap, seed=seed)
    return Scores(metric_facts({name: float(values.mean()) for name, values in per_row.items()}, ends))


def average_precision_statistic(scores: np.ndarray, positive: np.ndarray) -> Callable[[Counts], np.ndarray]:
    """Counts (rows, resamples) -> the mean precision at each positive row, equal scores taken together (resamples,).

    As scikit-learn's ``average_precision_score`` on the resampled rows.

    Args:
        scores: (rows,).
        positive: bool (rows,).
    """
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) != 0]))
    is_positive = positive[order][:, None]

    def statistic(counts: Counts) -> np.ndarray:
        drawn = counts[order]
        positives = np.add.reduceat(drawn * is_positive, starts, axis=0)  # (groups, resamples)
        above = np.cumsum(np.add.reduceat(drawn, starts, axis=0), axis=0)
        precision = ratio(np.cumsum(positives, axis=0), above, otherwise=0.0)
        return ratio((precision * positives).sum(0), positives.sum(0))

    return statistic


def best_threshold(similarities: np.ndarray, alike: np.ndarray) -> float:
    """The similarity from which most rows are called right; half way between the two rows that it parts.

    Args:
        similarities: float64 (rows,).
        alike: bool (rows,).
    """
    order = np.argsort(similarities, kind="stable")
    ordered, is_alike = similarities[order], alike[order]
    # right[i]: rows called right where the i lowest are called different
    right = np.concatenate([[0], np.cumsum(~is_alike)]) + is_alike.sum() - np.concatenate([[0], np.cumsum(is_alike)])
    edges = np.concatenate([[ordered[0] - 2e-6], ordered, [ordered[-1] + 2e-6]])
    is_edge = np.diff(edges) > 1e-6  # equal ones cannot be parted
    best = int(np.where(is_edge, right, -1).argmax())
    return float((edges[best] + edges[best + 1]) / 2)


def _check_finite(similarities: np.ndarray) -> None:
    finite = np.isfinite(similarities)
    if not finite.all():
        raise WeightsError(
            f"the checkpoint gives vectors that are not finite (first: row {int(finite.argmin()) + 1}); its weights "
            "are damaged or training diverged"
        )
