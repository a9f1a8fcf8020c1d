"""How far a metric could have come out otherwise: bootstrap percentile intervals (Efron 1979), vectorised.

A resample of n rows is n draws with replacement, so it is known by how often each row was drawn. Every metric here is
computed from such counts, for many resamples at once; the values equal those of scikit-learn on the resampled rows.
Counts have the shape (rows, resamples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy import sparse

Counts = np.ndarray
Statistics = Callable[[Counts], Mapping[str, np.ndarray]]
"""Counts -> name -> (resamples,) or (classes, resamples), NaN where the metric is undefined on a resample."""

CHUNK_CELLS = 1_000_000
"""Counts held at once; 8 MB of float64 stay in the processor's cache."""

ECE_BINS = 15
"""Equal-width bins of confidence over [0, 1], as in Guo et al. 2017, section 2."""


def intervals(
    statistics: Statistics, rows: int, *, resamples: int, seed: int, level: float = 0.95
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> lower and upper end of the percentile interval, each of shape () or (classes,), NaN where undefined.

    Args:
        statistics: what to compute from the counts.
        rows: number of rows that are resampled; a single one, which says nothing of others, gives an empty result.
        resamples: how many to draw; 0 gives an empty result.
        seed: of the draws.
        level: share of resamples inside the interval, in (0, 1).
    """
    if not resamples or rows < 2:
        return {}
    parts = [statistics(counts) for counts in resampled_counts(rows, resamples, seed)]
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    ends = {}
    for name in parts[0]:
        values = np.concatenate([part[name] for part in parts], axis=-1)
        ends[name] = _quantiles(values, tails)
    return ends


def end(ends: Mapping, name: str, index: int | tuple = ()) -> tuple[float | None, float | None]:
    """Both ends of the interval of a metric, of its class ``index``; None where there is none."""
    if name not in ends:
        return None, None
    low, high = (float(side[index]) for side in ends[name])
    return (None, None) if np.isnan(low) else (low, high)


def resampled_counts(rows: int, resamples: int, seed: int) -> Iterator[Counts]:
    """Chunks of float64 counts (rows, some resamples); each column sums to ``rows``."""
    generator = np.random.default_rng(seed)
    chunk = max(1, min(resamples, CHUNK_CELLS // rows))
    for start in range(0, resamples, chunk):
        width = min(chunk, resamples - start)
        drawn = generator.integers(0, rows, size=(width, rows))
        cells = drawn * width + np.arange(width)[:, None]
        yield np.bincount(cells.ravel(), minlength=rows * width).reshape(rows, width).astype(np.float64)


def single_label_statistics(probabilities: np.ndarray, labels: np.ndarray) -> Statistics:
    """Statistics of one label a row.

    Args:
        probabilities: float64 (rows, classes).
        labels: int (rows,), class ids.
    """
    rows, classes = probabilities.shape
    predicted = probabilities.argmax(1)
    hit = predicted == labels
    confidence = probabilities.max(1)
    bins = confidence_bins(confidence)
    truth_sums = _one_hot(labels, classes)
    prediction_sums = _one_hot(predicted, classes)
    hit_sums = _one_hot(labels, classes, hit)
    gap_sums = _one_hot(bins, ECE_BINS, hit - confidence)
    losses = row_losses(probabilities, labels)
    auroc = auroc_statistic(probabilities[:, 1], labels == 1) if classes == 2 else None

    def statistics(counts: Counts) -> dict[str, np.ndarray]:
        true, answered, hits = truth_sums @ counts, prediction_sums @ counts, hit_sums @ counts
        values = class_statistics(true, answered, hits)
        values["accuracy"] = hits.sum(0) / rows
        values["ece"] = np.abs(gap_sums @ counts).sum(0) / rows
        values["log_loss"] = losses @ counts / rows
        if auroc is not None:
            values["auroc"] = auroc(counts)
        return values

    return statistics


def multi_label_statistics(predicted: np.ndarray, labels: np.ndarray) -> Statistics:
    """Statistics of any number of labels a row; both arguments are bool (rows, classes)."""
    rows = len(labels)
    truth, answers, hits = (values.T.astype(np.float64) for values in (labels, predicted, labels & predicted))
    exact = (labels == predicted).all(1).astype(np.float64)

    def statistics(counts: Counts) -> dict[str, np.ndarray]:
        true, answered, hit = truth @ counts, answers @ counts, hits @ counts
        values = class_statistics(true, answered, hit, every_class=True)
        all_true, all_answered, all_hit = true.sum(0), answered.sum(0), hit.sum(0)
        values["micro_precision"] = ratio(all_hit, all_answered, otherwise=0.0)
        values["micro_recall"] = ratio(all_hit, all_true, otherwise=0.0)
        values["micro_f1"] = ratio(2 * all_hit, all_true + all_answered, otherwise=0.0)
        values["subset_accuracy"] = exact @ counts / rows
        return values

    return statistics


def regression_statistics(predicted: np.ndarray, labels: np.ndarray) -> Statistics:
    """Statistics of one number a row; both arguments are float64 (rows,)."""
    rows = len(labels)
    errors = predicted - labels
    centred = labels - labels.mean()  # sums of squares of small numbers lose fewer digits
    rounding = 1e-12 * labels.var()  # a resample of equal labels has no variance, but rounding leaves some
    label_ranks, predicted_ranks = _rank_statistic(labels), _rank_statistic(predicted)

    def statistics(counts: Counts) -> dict[str, np.ndarray]:
        squared = errors**2 @ counts / rows
        variance = centred**2 @ counts / rows - (centred @ counts / rows) ** 2
        return {
            "mse": squared,
            "mae": np.abs(errors) @ counts / rows,
            "r2": 1 - ratio(squared, np.where(variance > rounding, variance, 0)),
            "pearson": _correlation(labels[:, None], predicted[:, None], counts),
            "spearman": _correlation(label_ranks(counts), predicted_ranks(counts), counts),
        }

    return statistics


def class_statistics(
    true: np.ndarray, answered: np.ndarray, hits: np.ndarray, *, every_class: bool = False
) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each class (classes, resamples), NaN where undefined, and their macro means.

    The means are scikit-learn's with ``zero_division=0``: over the classes that occur among truth or answers (with
    ``every_class``, over all), an undefined precision or recall counting as 0.

    Args:
        true: rows whose label is the class, (classes, resamples).
        answered: rows for which the class was the answer.
        hits: rows for which both hold.
    """
    per_class = {
        "precision": ratio(hits, answered),
        "recall": ratio(hits, true),
        "f1": ratio(2 * hits, true + answered),
    }
    occurring = np.full(true.shape, True) if every_class else true + answered > 0
    means = {
        f"macro_{name}": (np.nan_to_num(values) * occurring).sum(0) / occurring.sum(0)
        for name, values in per_class.items()
    }
    return {**{f"class_{name}": values for name, values in per_class.items()}, **means}


def auroc_statistic(scores: np.ndarray, positive: np.ndarray) -> Callable[[Counts], np.ndarray]:
    """Area under the ROC curve: how often a positive row scores above a negative one, ties counting half.

    Args:
        scores: (rows,).
        positive: bool (rows,).
    """
    order = np.argsort(scores, kind="stable")
    ties = _group_starts(scores[order])
    is_positive = positive[order][:, None]

    def statistic(counts: Counts) -> np.ndarray:
        drawn = counts[order]
        positives = np.add.reduceat(drawn * is_positive, ties, axis=0)
        negatives = np.add.reduceat(drawn * ~is_positive, ties, axis=0)
        below = np.cumsum(negatives, axis=0) - negatives
        won = (positives * (below + negatives / 2)).sum(0)
        return ratio(won, positives.sum(0) * negatives.sum(0))

    return statistic


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """Index in [0, 15) of the bin of each confidence in [0, 1]; bins are closed on the right, as in Guo et al. 2017."""
    return np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)


def row_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each row, float64 (rows,), clipped as scikit-learn's ``log_loss`` does."""
    epsilon = np.finfo(np.float64).eps
    return -np.log(np.clip(probabilities[np.arange(len(labels)), labels], epsilon, 1 - epsilon))


def _rank_statistic(values: np.ndarray) -> Callable[[Counts], np.ndarray]:
    """Mean ranks (rows, resamples) that the values have within each resample; equal values share theirs."""
    order = np.argsort(values, kind="stable")
    starts = _group_starts(values[order])
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff([*starts, len(values)]))

    def statistic(counts: Counts) -> np.ndarray:
        sizes = np.add.reduceat(counts[order], starts, axis=0)
        return (np.cumsum(sizes, axis=0) - (sizes - 1) / 2)[group]

    return statistic


def _correlation(left: np.ndarray, right: np.ndarray, counts: Counts) -> np.ndarray:
    """Pearson's correlation in each resample, (resamples,); NaN where a side is constant."""
    total = counts.sum(0)
    rounding = 1e-24 * left.var() * right.var() * total**2
    left = left - (left * counts).sum(0) / total
    right = right - (right * counts).sum(0) / total
    left_square, right_square = (left**2 * counts).sum(0), (right**2 * counts).sum(0)
    squares = left_square * right_square
    return ratio((left * right * counts).sum(0), np.sqrt(np.where(squares > rounding, squares, 0)))


def _group_starts(ordered: np.ndarray) -> np.ndarray:
    """Positions at which a new value begins in an ordered array."""
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _one_hot(ids: np.ndarray, size: int, values: np.ndarray | None = None) -> sparse.csr_array:
    """Sparse (size, rows) with ``values`` (default 1) of each row at its id: times counts, it sums by id."""
    rows = len(ids)
    data = np.ones(rows) if values is None else values.astype(np.float64)
    return sparse.csr_array((data, (ids, np.arange(rows))), shape=(size, rows))


def ratio(above: np.ndarray, below: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """``above / below``, and ``otherwise`` where ``below`` is 0."""
    return np.divide(above, below, out=np.full(np.shape(below), otherwise), where=below > 0)


def _quantiles(values: np.ndarray, tails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends over the last axis, from the resamples on which the metric is defined."""
    flat = values.reshape(-1, values.shape[-1])
    ends = np.full((2, len(flat)), np.nan)
    for index, row in enumerate(flat):
        defined = row[~np.isnan(row)]
        if len(defined):
            ends[:, index] = np.quantile(defined, tails)
    low, high = ends.reshape(2, *values.shape[:-1])
    return low, high
