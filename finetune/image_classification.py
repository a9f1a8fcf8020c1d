"""Training for image classification: one label, several labels, or a number for a picture.

Decoding and preparing are the pipeline's own; measuring goes through the pipeline too, so that a metric during training
is the metric of what a user would get. Pictures are varied as `image_augmentation` says, by seed, epoch and row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .export import calibrated
from .image_augmentation import PictureBatch, augment_pictures
from .image_models import ImageStart, image_start
from .image_recipe import ImageRecipe
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
from .training_data import SplitRows

if TYPE_CHECKING:
    from ..cards.facts import CalibrationFacts
    from ..pipelines.tasks import Task
    from .data import TaskData


class ImageClassificationRecipe(ImageRecipe):
    """The image classification part of training; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, image processor and resolved settings.
        rows: to train on, with the columns image and label.
        labels: class names in the order of the logits; None for regression.
        problem_type: as in transformers' config.
        validation: split with the same columns; None where there is nothing to measure on.
        class_weights: float32 (classes,) by which rows weigh; None for 1.
    """

    unused_settings = ("teacher", "augment", "embeddings_from", "max_length", "vocab_size")

    def __init__(
        self,
        task: Task,
        start: ImageStart,
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
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> ImageClassificationRecipe:
        """The recipe at its beginning: model made, mean and deviation of the pictures measured."""
        return cls(
            task,
            image_start(settings, data),
            SplitRows(data.splits["train"]),
            labels=data.labels,
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
            class_weights=class_weights_of(data, settings),
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Pixels (uint8) and target of each row."""
        pixels = self.pixels_of(rows["image"])
        return [{"pixels": each, "target": target} for each, target in zip(pixels, rows["label"], strict=True)]

    def collate(self, features: Sequence[Features]) -> Batch:
        """Varied, normalised pixels (batch, channels, height, width) and targets (batch,) or (batch, classes).

        Of pictures that were mixed there are two targets and the share of their own, (batch,).
        """
        targets = target_tensor([sample["target"] for sample in features], self.problem_type)
        pixels = self.stacked(features)
        if not self.is_varied:
            return {"pixel_values": self.images.scaled(pixels), "targets": targets}
        pictures = PictureBatch(pixels, np.asarray([sample["row"] for sample in features]))
        varied = augment_pictures(
            self.augmentation, pictures, seed=self.settings.seed, epoch=features[0]["epoch"], fill=self.fill
        )
        batch = {"pixel_values": self.images.scaled(varied.pictures), "targets": targets}
        if varied.partners is not None and varied.shares is not None:
            batch |= {"other_targets": targets[varied.partners], "own_share": varied.shares}
        return batch

    def count(self, batch: Batch) -> float:
        """Rows; with class weights on single labels the sum of the rows' weights, as in torch's weighted mean."""
        if self.class_weights is None or self.problem_type != SINGLE_LABEL:
            return float(len(batch["targets"]))
        return float(self.class_weights[batch["targets"]].sum())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Cross-entropy against labels; of mixed pictures that of both labels, by their shares."""
        logits, targets = model(pixel_values=batch["pixel_values"]).logits.float(), batch["targets"]
        losses = self._losses(logits, targets)
        if "other_targets" in batch:
            share = batch["own_share"]
            losses = share * losses + (1 - share) * self._losses(logits, batch["other_targets"])
        metrics = {}
        if self.problem_type == SINGLE_LABEL:
            metrics["accuracy"] = (logits.argmax(-1) == targets).sum()
        return BatchLoss(losses.sum(), metrics)

    def _losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        smoothing = self.settings.label_smoothing or 0.0
        return label_losses(logits, targets, self.problem_type, weights=self.class_weights, smoothing=smoothing)

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
