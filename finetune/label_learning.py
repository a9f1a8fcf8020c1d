"""Learning labels: losses, weights of classes and metrics, whatever it is that has the labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from .metrics import classification_metrics
from .model_recipe import gathered
from .problems import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from .text_inputs import inputs_of_split

if TYPE_CHECKING:
    from .data import TaskData
    from .settings import FinetuneSettings


def label_losses(
    logits: torch.Tensor,
    targets: torch.Tensor,
    problem_type: str,
    *,
    weights: torch.Tensor | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Distances (batch,) of logits from targets.

    Args:
        logits: (batch, classes) float32; (batch, 1) in a regression.
        targets: class ids (batch,), 0 or 1 (batch, classes), or numbers (batch,).
        problem_type: as in transformers' config.
        weights: (classes,) by which rows weigh (for several labels: the present ones); None for 1.
        smoothing: share of the target spread over all classes, in [0, 1).
    """
    weights = None if weights is None else weights.to(logits.device)
    if problem_type == SINGLE_LABEL:
        return functional.cross_entropy(logits, targets, weights, label_smoothing=smoothing, reduction="none")
    if problem_type == MULTI_LABEL:
        smoothed = targets * (1 - smoothing) + smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weights, reduction="none")
        return losses.mean(-1)
    return functional.mse_loss(logits.squeeze(-1), targets, reduction="none")


def target_tensor(targets: Sequence[Any], problem_type: str) -> torch.Tensor:
    """The targets of a batch: int64 (batch,) class ids, or float32 (batch,) or (batch, classes)."""
    return torch.tensor(targets, dtype=torch.int64 if problem_type == SINGLE_LABEL else torch.float32)


def label_metrics(
    pipeline: Any, validation: Any, labels: Sequence[str] | None, problem_type: str, rank: int, world_size: int
) -> Mapping[str, float]:
    """Loss and metrics on ``validation`` of the scores that ``pipeline`` gives; each process answers its share."""
    own = islice(inputs_of_split(validation), rank, None, world_size)
    answers = [pipeline.merge(output) for output in pipeline.outputs(own)]
    stacked = np.stack(gathered(answers, len(validation), world_size))
    targets = np.asarray(validation["label"][:])
    scores = classification_metrics(stacked, targets, labels, problem_type, bootstrap=0)
    loss = _validation_loss(stacked, targets, problem_type)
    return {"loss": loss} | {fact.name: fact.value for fact in scores.metrics}


def class_weights_of(data: TaskData, settings: FinetuneSettings) -> torch.Tensor | None:
    """Weights (classes,) of the training split with ``--class-weights balanced``; None without."""
    if settings.class_weights != "balanced" or not data.labels:
        return None
    split = data.splits["train"]
    counts = count_labels((batch["label"] for batch in split.select_columns(["label"]).iter(10_000)), len(data.labels))
    return balanced_weights(counts, len(split), data.problem_type)


def _validation_loss(probabilities: np.ndarray, targets: np.ndarray, problem_type: str) -> float:
    """Mean loss against the labels of merged probabilities, which are all that windows of a long text share."""
    tiny = 1e-12
    if problem_type == SINGLE_LABEL:
        return float(-np.log(np.maximum(probabilities[np.arange(len(targets)), targets], tiny)).mean())
    if problem_type == MULTI_LABEL:
        right = np.where(targets >= 0.5, probabilities, 1 - probabilities)
        return float(-np.log(np.maximum(right, tiny)).mean())
    return float(np.square(probabilities.reshape(-1) - targets).mean())


def loss_of_guessing(labels: Sequence[str] | None, problem_type: str) -> float:
    """Cross-entropy of equal probabilities; 0 for numbers, whose size nobody knows."""
    if problem_type == REGRESSION or not labels:
        return 0.0
    return math.log(len(labels) if problem_type == SINGLE_LABEL else 2)


def known_metrics(labels: Sequence[str] | None, problem_type: str) -> dict[str, bool]:
    """Names of the metrics of a kind of problem, the main one first → whether higher is better; ``loss`` among them."""
    classes = len(labels or ())
    right = np.eye(classes) if classes else np.arange(2.0)  # answers without a mistake, for which all are defined
    targets = np.arange(classes) if problem_type == SINGLE_LABEL else right
    scores = classification_metrics(right, targets, labels, problem_type, bootstrap=0)
    return {fact.name: fact.higher_is_better for fact in scores.metrics} | {"loss": False}


def balanced_weights(histogram: Sequence[int] | np.ndarray, rows: int, problem_type: str) -> torch.Tensor:
    """Weights (classes,) inversely proportional to counts; rows weigh 1 on average.

    For single labels rows / (classes × count), as in scikit-learn; for several labels absent / present.
    """
    counts = torch.as_tensor(np.asarray(histogram), dtype=torch.float32).clamp(min=1)
    return (rows - counts).clamp(min=1) / counts if problem_type == MULTI_LABEL else rows / (len(counts) * counts)


def count_labels(splits: Iterable[Any], classes: int) -> np.ndarray:
    """Rows per class, int64 (classes,), over the batches of a split with class ids or with 0 and 1 per class."""
    counts = np.zeros(classes, dtype=np.int64)
    for labels in splits:
        array = np.asarray(labels)
        counts += np.bincount(array, minlength=classes) if array.ndim == 1 else (array >= 0.5).sum(0)
    return counts
