"""What costs nothing: the answers of a rule that never looks at the input, measured like the model's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cards.facts import BaselineFact, SplitFacts
from .metrics import classification_metrics, quoted
from .problems import MULTI_LABEL, REGRESSION

LEFT_OUT = frozenset({"ece", "log_loss", "auroc", "pearson", "spearman"})
"""Metrics that say nothing about a constant answer."""


def constant_baseline(
    labels: np.ndarray,
    names: Sequence[str],
    problem_type: str,
    *,
    training: SplitFacts | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> BaselineFact:
    """The same answer for every row: the most frequent label, or for regression the mean.

    It is learned from the training split where that is known, as any model is; else from the rows themselves, which
    flatters it. The description says which.

    Args:
        labels: class ids (rows,), 0 or 1 (rows, classes), or numbers (rows,).
        names: class names in id order; empty for regression.
        problem_type: as in transformers' config.
        training: facts of the training split.
        bootstrap: number of resamples.
        seed: of the resamples.
    """
    if problem_type == REGRESSION:
        known = training is not None and training.label_mean is not None
        mean = training.label_mean if training is not None and training.label_mean is not None else labels.mean()
        answers = np.full(len(labels), float(mean))
        name, answer, needed = "mean", f"answers {float(mean):.4g}, the mean", "its mean"
    else:
        histogram = dict(training.label_histogram) if training is not None else {}
        # counts of labels that the checkpoint does not have tell nothing about it
        counts = np.array([histogram.get(label, 0) for label in names])
        known = counts.sum() > 0
        if not known:
            counts = labels.sum(0) if problem_type == MULTI_LABEL else np.bincount(labels, minlength=len(names))
        majority = int(counts.argmax())
        answers = np.zeros((len(labels), len(names)))
        answers[:, majority] = 1
        name, needed = "majority class", "any of these labels"
        answer = f"answers {quoted(names[majority])}, the most frequent label"
    scores = classification_metrics(answers, labels, names, problem_type, bootstrap=bootstrap, seed=seed)
    source = "of the training split"
    if not known:
        split = "no training split is recorded"
        missing = split if training is None else f"the training split is recorded without {needed}"
        source = f"of the evaluated rows themselves ({missing})"
    kept = tuple(metric for metric in scores.metrics if metric.name not in LEFT_OUT)
    return BaselineFact(name, kept, f"{answer} {source}")
