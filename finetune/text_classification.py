"""Training for text classification: one label, several labels, or a number for a text or a pair of texts.

Preprocessing is the pipeline's own, with truncation; measuring goes through the pipeline too, so that a metric during
training is the metric of what a user would get.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from .distillation import distillation_losses
from .label_answers import measure_labels
from .measuring import Conditions, Measured
from .metrics import classification_metrics
from .problems import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .text_export import calibrated
from .text_inputs import inputs_of, inputs_of_split
from .text_models import StartingPoint, starting_point
from .text_recipe import NOT_INPUTS, TextRecipe, gathered
from .text_teacher import rows_with_teacher
from .training_data import SplitRows

if TYPE_CHECKING:
    from ..cards.facts import CalibrationFacts
    from ..pipelines.tasks import Task
    from .data import TaskData


class TextClassificationRecipe(TextRecipe):
    """The text classification part of training; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, tokenizer and resolved settings.
        rows: to train on, with the columns text, label and perhaps text_pair, teacher and altered.
        labels: class names in the order of the logits; None for regression.
        problem_type: as in transformers' config.
        validation: split with the same columns; None where there is nothing to measure on.
        class_weights: float32 (classes,) by which rows weigh (for several labels: the present ones); None for 1.
    """

    def __init__(
        self,
        task: Task,
        start: StartingPoint,
        rows: TrainingRows,
        *,
        labels: Sequence[str] | None,
        problem_type: str,
        validation: Any = None,
        class_weights: torch.Tensor | None = None,
    ) -> None:
        super().__init__(
            task,
            start,
            rows,
            labels=labels,
            problem_type=problem_type,
            validation=validation,
            directions=known_metrics(labels, problem_type),
        )
        self.class_weights = class_weights
        self.loss_of_guessing = _loss_of_guessing(labels, problem_type)

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> TextClassificationRecipe:
        """The recipe at its beginning: model and tokenizer made, the teacher's logits computed."""
        start = starting_point(settings, data, prepared)
        rows: TrainingRows = SplitRows(data.splits["train"])
        if settings.teacher:
            rows = rows_with_teacher(rows, start, data, prepared)
        weights = None
        if settings.class_weights == "balanced" and data.labels:
            counts = count_labels((batch["label"] for batch in data.splits["train"].iter(10_000)), len(data.labels))
            weights = balanced_weights(counts, len(data.splits["train"]), data.problem_type)
        return cls(
            task,
            start,
            rows,
            labels=data.labels,
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
            class_weights=weights,
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Token ids (int32, cut to the tokenizer's ``max_length``), target, and what a teacher adds where given."""
        encoded = self.pipeline.preprocess(list(inputs_of(rows)), truncation=True)
        features = []
        for index, windows in enumerate(encoded):
            sample = {name: np.asarray(values, dtype=np.int32) for name, values in windows[0].items()}
            sample["target"] = rows["label"][index]
            for name in ("teacher", "altered"):
                if name in rows:
                    sample[name] = rows[name][index]
            features.append(sample)
        return features

    def collate(self, features: Sequence[Features]) -> Batch:
        """Padded ids (batch, length) and targets (batch,) or (batch, classes)."""
        batch = self.padded(features)
        dtype = torch.int64 if self.problem_type == SINGLE_LABEL else torch.float32
        batch["targets"] = torch.tensor([sample["target"] for sample in features], dtype=dtype)
        if "teacher" in features[0]:
            batch["teacher"] = torch.from_numpy(np.stack([sample["teacher"] for sample in features]))
            # (batch,): 1 for a text that was altered, whose label only the teacher knows
            batch["altered"] = torch.tensor([float(sample.get("altered", False)) for sample in features])
        return batch

    def count(self, batch: Batch) -> float:
        """Rows; with class weights on single labels the sum of the rows' weights, as in torch's weighted mean."""
        if self.class_weights is None or self.problem_type != SINGLE_LABEL:
            return float(len(batch["targets"]))
        weights = self.class_weights[batch["targets"]]
        if "altered" in batch:
            weights = torch.where(batch["altered"] > 0, 1.0, weights)
        return float(weights.sum())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Cross-entropy against labels, mixed with the distance from the teacher's logits where there is a teacher.

        An altered text may mean something else than the text whose label it has, so there the teacher counts alone, and
        its answer is what the accuracy compares with.
        """
        inputs = {name: tensor for name, tensor in batch.items() if name not in NOT_INPUTS}
        logits, targets = model(**inputs).logits.float(), batch["targets"]
        losses = self._label_losses(logits, targets)
        if "teacher" in batch:
            share = self.settings.teacher_weight + (1 - self.settings.teacher_weight) * batch["altered"]
            losses = (1 - share) * losses + share * distillation_losses(logits, batch["teacher"], self.settings)
        metrics = {}
        if self.problem_type == SINGLE_LABEL:
            if "teacher" in batch:
                targets = torch.where(batch["altered"] > 0, batch["teacher"].argmax(-1), targets)
            metrics["accuracy"] = (logits.argmax(-1) == targets).sum()
        return BatchLoss(losses.sum(), metrics)

    def _label_losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(batch,) distances of the logits (batch, classes) from the targets."""
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        smoothing = self.settings.label_smoothing or 0.0
        if self.problem_type == SINGLE_LABEL:
            return functional.cross_entropy(logits, targets, weights, label_smoothing=smoothing, reduction="none")
        if self.problem_type == MULTI_LABEL:
            smoothed = targets * (1 - smoothing) + smoothing / 2
            losses = functional.binary_cross_entropy_with_logits(logits, smoothed, pos_weight=weights, reduction="none")
            return losses.mean(-1)
        return functional.mse_loss(logits.squeeze(-1), targets, reduction="none")

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Loss and metrics on validation, of the probabilities that the pipeline would give."""
        pipeline = self.pipeline_of(model)
        own = islice(inputs_of_split(self.validation), rank, None, world_size)
        probabilities = [pipeline.merge(output) for output in pipeline.outputs(own)]
        probabilities = gathered(probabilities, len(self.validation), world_size)
        stacked = np.stack(probabilities)
        targets = np.asarray(self.validation["label"][:])
        scores = classification_metrics(stacked, targets, self.labels, self.problem_type, bootstrap=0)
        return {"loss": self._validation_loss(stacked, targets)} | {fact.name: fact.value for fact in scores.metrics}

    def calibrate(self) -> CalibrationFacts | None:
        """Folds the temperature that fits validation into the last layer; single labels only."""
        if self.problem_type != SINGLE_LABEL or self.validation is None or not self.labels:
            return None
        return calibrated(self.model, self.tokenizer, self.validation, self.labels)

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the probabilities that ``pipe`` gives, against labels matched by name."""
        return measure_labels(pipe, data, role, conditions)

    def _validation_loss(self, probabilities: np.ndarray, targets: np.ndarray) -> float:
        """Mean loss against the labels of merged probabilities, which are all that windows of a long text share."""
        tiny = 1e-12
        if self.problem_type == SINGLE_LABEL:
            return float(-np.log(np.maximum(probabilities[np.arange(len(targets)), targets], tiny)).mean())
        if self.problem_type == MULTI_LABEL:
            right = np.where(targets >= 0.5, probabilities, 1 - probabilities)
            return float(-np.log(np.maximum(right, tiny)).mean())
        return float(np.square(probabilities.reshape(-1) - targets).mean())


def _loss_of_guessing(labels: Sequence[str] | None, problem_type: str) -> float:
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
