"""How good answers are, with how sure we can be: metrics by scikit-learn and scipy, intervals by bootstrap.

    single_label_classification   accuracy, macro precision/recall/F1, calibration error, log loss; of two classes AUROC
                                  and the F1 of each, called ``f1:`` and its label
    multi_label_classification    micro and macro F1, precision, recall, subset accuracy; a label is given from 0.5 on
    regression                    mean squared and absolute error, R2, Pearson's and Spearman's correlation

The first metric of each list is the one by which checkpoints are compared by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics as sklearn_metrics

from ..cards.facts import ClassFact, MetricFact
from ..pipelines.errors import DataError, ShapeError, WeightsError
from . import bootstrap as resampling
from .problems import MULTI_LABEL, REGRESSION, SINGLE_LABEL

MULTI_LABEL_THRESHOLD = 0.5
UNDEFINED: dict[str, Any] = {"zero_division": 0.0}  # the precision of a class that was never predicted, in macro means
MOST_NAMED = 3  # classes that a note names; more are counted
LONGEST_LABEL = 60  # characters of a label within a sentence
LOWER_IS_BETTER = frozenset({"ece", "log_loss", "mse", "mae"})


@dataclass(frozen=True)
class Scores:
    """Metrics of one set of answers.

    Attributes:
        metrics: over all rows, the main one first; what is undefined is left out.
        per_class: in the order of the class ids; empty for regression.
        confusion: counts, row = true class, column = predicted class; None unless single-label.
        notes: what was left out and why, one sentence each.
    """

    metrics: tuple[MetricFact, ...]
    per_class: tuple[ClassFact, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    notes: tuple[str, ...] = ()

    def value(self, name: str) -> float | None:
        """The value of the metric called ``name``; None where it is undefined."""
        return next((metric.value for metric in self.metrics if metric.name == name), None)


def classification_metrics(
    probabilities: np.ndarray,
    labels: np.ndarray | Sequence,
    names: Sequence[str] | None,
    problem_type: str = SINGLE_LABEL,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Scores:
    """Metrics with 95 % bootstrap percentile intervals; regression, too, so that callers need not choose.

    Args:
        probabilities: (rows, classes) in [0, 1]; for regression the predicted numbers, (rows,) or (rows, 1).
        labels: class ids (rows,); for multi-label 0 or 1 (rows, classes); for regression numbers (rows,).
        names: class names in id order; not used for regression.
        problem_type: as in transformers' config.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.

    Raises:
        DataError: no rows, or a label that is no class.
        ShapeError: the shapes of probabilities, labels and names do not fit.
        WeightsError: a probability is not a finite number.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    labels = np.asarray(labels)
    _check_rows(probabilities, labels)
    if problem_type == REGRESSION:
        return _regression(probabilities, labels, bootstrap, seed)
    if names is None or probabilities.ndim != 2 or probabilities.shape[1] != len(names):
        raise ShapeError(
            f"probabilities have the shape {probabilities.shape}, expected (rows, classes) with "
            f"{'names of the classes' if names is None else f'{len(names)} classes'}"
        )
    if problem_type == MULTI_LABEL:
        return _multi_label(probabilities, labels, tuple(names), bootstrap, seed)
    return _single_label(probabilities, labels, tuple(names), bootstrap, seed)


def class_f1(label: str) -> str:
    """The name of the F1 of one class, where there are two; that of ``equivalent`` is what MRPC is usually measured by.

    >>> class_f1("equivalent")
    'f1:equivalent'
    """
    return f"f1:{label}"


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """How far confidence and accuracy lie apart, in [0, 1]: Guo et al. 2017, equation 3, 15 equal-width bins.

    Args:
        probabilities: (rows, classes), rows summing to 1.
        labels: class ids (rows,).
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    confidence = probabilities.max(1)
    gaps = (probabilities.argmax(1) == labels) - confidence
    sums = np.bincount(resampling.confidence_bins(confidence), weights=gaps, minlength=resampling.ECE_BINS)
    return float(np.abs(sums).sum() / len(confidence))


def _single_label(
    probabilities: np.ndarray, labels: np.ndarray, names: tuple[str, ...], resamples: int, seed: int
) -> Scores:
    _check_class_ids(labels, names)
    labels = labels.astype(np.int64)
    _check_sums(probabilities)
    probabilities = probabilities / probabilities.sum(1, keepdims=True)  # float32 sums to 1 only within 1e-6
    predicted = probabilities.argmax(1)
    ids = np.arange(len(names))
    confusion = sklearn_metrics.confusion_matrix(labels, predicted, labels=ids)
    means = sklearn_metrics.precision_recall_fscore_support(labels, predicted, average="macro", **UNDEFINED)
    values = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "macro_f1": means[2],
        "macro_precision": means[0],
        "macro_recall": means[1],
    }
    statistics = resampling.single_label_statistics(probabilities, labels)
    ends = dict(resampling.intervals(statistics, len(labels), resamples=resamples, seed=seed))
    if len(names) == 2:
        by_class = sklearn_metrics.precision_recall_fscore_support(labels, predicted, labels=ids, **UNDEFINED)
        each = np.asarray(by_class[2])
        for index, name in enumerate(names):
            values[class_f1(name)] = each[index]
            if "class_f1" in ends:
                ends[class_f1(name)] = tuple(side[index] for side in ends["class_f1"])
    notes = []
    present = np.unique(labels)
    if len(names) == 2 and len(present) == 2:
        values["auroc"] = sklearn_metrics.roc_auc_score(labels, probabilities[:, 1])
    elif len(names) == 2:
        notes.append(f"auroc is undefined: all rows have the label {quoted(names[present[0]])}")
    values["ece"] = expected_calibration_error(probabilities, labels)
    values["log_loss"] = sklearn_metrics.log_loss(labels, probabilities, labels=ids)
    per_class, class_notes = _per_class(confusion.sum(1), confusion.sum(0), confusion.diagonal(), names, ends)
    counts = tuple(tuple(int(cell) for cell in row) for row in confusion)
    return Scores(metric_facts(values, ends), per_class, counts, (*notes, *class_notes))


def _multi_label(
    probabilities: np.ndarray, labels: np.ndarray, names: tuple[str, ...], resamples: int, seed: int
) -> Scores:
    if labels.shape != probabilities.shape:
        raise ShapeError(f"multi-label labels have the shape {labels.shape}, expected {probabilities.shape}")
    truth, predicted = labels >= 0.5, probabilities >= MULTI_LABEL_THRESHOLD
    values = {}
    for average in ("micro", "macro"):
        means = sklearn_metrics.precision_recall_fscore_support(truth, predicted, average=average, **UNDEFINED)
        values |= {f"{average}_f1": means[2], f"{average}_precision": means[0], f"{average}_recall": means[1]}
    values["subset_accuracy"] = sklearn_metrics.accuracy_score(truth, predicted)
    statistics = resampling.multi_label_statistics(predicted, truth)
    ends = resampling.intervals(statistics, len(truth), resamples=resamples, seed=seed)
    per_class, notes = _per_class(truth.sum(0), predicted.sum(0), (truth & predicted).sum(0), names, ends)
    return Scores(metric_facts(values, ends), per_class, None, notes)


def _regression(predicted: np.ndarray, labels: np.ndarray, resamples: int, seed: int) -> Scores:
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    if predicted.ndim != 1 or labels.ndim != 1:
        raise ShapeError(f"regression has the shapes {predicted.shape} and {labels.shape}, expected (rows,) for both")
    labels = labels.astype(np.float64)
    values = {
        "mse": sklearn_metrics.mean_squared_error(labels, predicted),
        "mae": sklearn_metrics.mean_absolute_error(labels, predicted),
    }
    notes = []
    if np.ptp(labels) > 0:
        values["r2"] = sklearn_metrics.r2_score(labels, predicted)
    else:
        notes.append("r2, pearson and spearman are undefined: all rows have the same label")
    if np.ptp(labels) > 0 and np.ptp(predicted) > 0:
        values["pearson"] = stats.pearsonr(labels, predicted)[0]
        values["spearman"] = stats.spearmanr(labels, predicted)[0]
    elif np.ptp(labels) > 0:
        notes.append("pearson and spearman are undefined: all rows have the same prediction")
    statistics = resampling.regression_statistics(predicted, labels)
    ends = resampling.intervals(statistics, len(labels), resamples=resamples, seed=seed)
    return Scores(metric_facts(values, ends), notes=tuple(notes))


def _per_class(
    true: np.ndarray, answered: np.ndarray, hits: np.ndarray, names: tuple[str, ...], ends: Mapping
) -> tuple[tuple[ClassFact, ...], tuple[str, ...]]:
    """The per-class table from counts (classes,), and notes about the classes with an undefined number."""
    columns = [np.asarray(counts, dtype=np.float64)[:, None] for counts in (true, answered, hits)]
    values = resampling.class_statistics(*columns)
    table = []
    for index, name in enumerate(names):
        facts = []
        for metric in ("precision", "recall", "f1"):
            value = values[f"class_{metric}"][index, 0]
            if not np.isnan(value):
                low, high = resampling.end(ends, f"class_{metric}", index)
                facts.append(MetricFact(metric, float(value), low, high))
        table.append(ClassFact(name, int(true[index]), tuple(facts)))
    unseen = [name for name, count in zip(names, true, strict=True) if not count]
    unanswered = [name for name, count in zip(names, answered, strict=True) if not count]
    return tuple(table), (
        *undefined("recall", unseen, names, "no row has this label", "no row has these labels"),
        *undefined("precision", unanswered, names, "it was never predicted", "they were never predicted"),
    )


def undefined(metric: str, labels: Sequence[str], names: Sequence[str], one: str, several: str) -> list[str]:
    """A note about the classes that have no such number: by their names, or how many of ``names``; none for none.

    >>> undefined("recall", ["b"], ["a", "b"], "no row has it", "no row has them")
    ["recall of 'b' is undefined: no row has it"]

    Args:
        metric: precision or recall.
        labels: the classes that lack it.
        names: of all classes.
        one: why, of a single class.
        several: why, of more.
    """
    if not labels:
        return []
    listed = " and ".join(map(quoted, labels))
    if len(labels) > MOST_NAMED:
        listed = f"{len(labels):,} of {len(names):,} classes"
    return [f"{metric} of {listed} is undefined: {one if len(labels) == 1 else several}"]


def quoted(label: str) -> str:
    """A label within a sentence: on one line, and not longer than one can read."""
    line = " ".join(label.split())
    return f"'{line if len(line) <= LONGEST_LABEL else f'{line[: LONGEST_LABEL - 1]}…'}'"


def metric_facts(values: Mapping[str, float], ends: Mapping) -> tuple[MetricFact, ...]:
    return tuple(
        MetricFact(name, float(value), *resampling.end(ends, name), higher_is_better=name not in LOWER_IS_BETTER)
        for name, value in values.items()
    )


def _check_rows(probabilities: np.ndarray, labels: np.ndarray) -> None:
    if not len(labels):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    if len(probabilities) != len(labels):
        raise ShapeError(f"there are {len(probabilities)} answers for {len(labels)} labels")
    finite = np.isfinite(probabilities.reshape(len(labels), -1)).all(1)
    if not finite.all():
        raise WeightsError(
            f"the checkpoint answers {int((~finite).sum())} of {len(labels)} rows with scores that are not finite "
            f"(first: row {int(finite.argmin()) + 1}); its weights are damaged or training diverged"
        )


def _check_sums(probabilities: np.ndarray) -> None:
    off = (np.abs(probabilities.sum(1) - 1) > 0.01) | (probabilities < 0).any(1)
    if off.any():
        row = int(off.argmax())
        raise ShapeError(
            f"the probabilities of row {row + 1} are {np.round(probabilities[row][:5], 4).tolist()}, "
            "expected numbers in [0, 1] that sum to 1; pass the softmax of logits"
        )


def _check_class_ids(labels: np.ndarray, names: tuple[str, ...]) -> None:
    if labels.ndim != 1:
        raise ShapeError(f"labels have the shape {labels.shape}, expected (rows,) with one class id each")
    wrong = (labels < 0) | (labels >= len(names))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"row {row + 1} has the class id {labels[row]}, expected 0 to {len(names) - 1}")
