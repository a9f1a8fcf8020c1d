"""Training for text classification: one label, several labels, or a number for a text or a pair of texts.

Preprocessing is the pipeline's own, with truncation; measuring goes through the pipeline too, so that a metric during
training is the metric of what a user would get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .distillation import distillation_losses
from .export import calibrated
from .label_answers import measure_labels
from .label_learning import (
    class_weights_of,
    known_metrics,
    label_losses,
    label_metrics,
    loss_of_guessing,
    target_tensor,
)
from .measuring import Conditions, Measured
from .problems import SINGLE_LABEL
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .text_inputs import inputs_of
from .text_models import TextStart, starting_point
from .text_recipe import NOT_INPUTS, TextRecipe
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
        start: TextStart,
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
        self.loss_of_guessing = loss_of_guessing(labels, problem_type)

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> TextClassificationRecipe:
        """The recipe at its beginning: model and tokenizer made, the teacher's logits computed."""
        start = starting_point(settings, data, prepared)
        rows: TrainingRows = SplitRows(data.splits["train"])
        if settings.teacher:
            rows = rows_with_teacher(rows, start, data, prepared)
        return cls(
            task,
            start,
            rows,
            labels=data.labels,
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
            class_weights=class_weights_of(data, settings),
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
        batch["targets"] = target_tensor([sample["target"] for sample in features], self.problem_type)
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
        smoothing = self.settings.label_smoothing or 0.0
        losses = label_losses(logits, targets, self.problem_type, weights=self.class_weights, smoothing=smoothing)
        if "teacher" in batch:
            share = self.settings.teacher_weight + (1 - self.settings.teacher_weight) * batch["altered"]
            losses = (1 - share) * losses + share * distillation_losses(logits, batch["teacher"], self.settings)
        metrics = {}
        if self.problem_type == SINGLE_LABEL:
            if "teacher" in batch:
                targets = torch.where(batch["altered"] > 0, batch["teacher"].argmax(-1), targets)
            metrics["accuracy"] = (logits.argmax(-1) == targets).sum()
        return BatchLoss(losses.sum(), metrics)

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Loss and metrics on validation, of the probabilities that the pipeline would give."""
        pipeline = self.pipeline_of(model)
        return label_metrics(pipeline, self.validation, self.labels, self.problem_type, rank, world_size)

    def calibrate(self) -> CalibrationFacts | None:
        """Folds the temperature that fits validation into the last layer; single labels only."""
        if self.problem_type != SINGLE_LABEL or self.validation is None or not self.labels:
            return None
        return calibrated(self.pipeline_of(self.model), self.validation, self.labels)

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the probabilities that ``pipe`` gives, against labels matched by name."""
        return measure_labels(pipe, data, role, conditions)
