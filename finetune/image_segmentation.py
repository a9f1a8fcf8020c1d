"""Training for semantic segmentation: the class of each pixel of a picture.

Pictures go through the pipeline's own preparation and masks with them, by the nearest pixel. Measuring is at the size
of the picture itself, through the pipeline.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ..pipelines.image_masks import UNLABELLED, read_mask
from .class_map_answers import judged, measure_class_maps
from .image_augmentation import PictureBatch, augment_pictures
from .image_models import ImageStart, image_start
from .image_recipe import ImageRecipe
from .measuring import Conditions, Measured
from .model_recipe import gathered
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .segmentation_metrics import DIRECTIONS, segmentation_metrics
from .settings import FinetuneSettings
from .training_data import SplitRows

if TYPE_CHECKING:
    from ..pipelines.tasks import Task
    from .data import TaskData
    from .data.mask_targets import MaskClasses


class ImageSegmentationRecipe(ImageRecipe):
    """The segmentation part of training; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, image processor and resolved settings.
        rows: to train on, with the columns image and mask.
        classes: of the masks.
        problem_type: ``segmentation``.
        validation: split with the same columns; None where there is nothing to measure on.
    """

    unused_settings = (
        "teacher",
        "augment",
        "embeddings_from",
        "max_length",
        "vocab_size",
        "class_weights",
        "problem_type",
        "lora",
        "freeze",
    )
    has_places = True

    def __init__(
        self,
        task: Task,
        start: ImageStart,
        rows: TrainingRows,
        *,
        classes: MaskClasses,
        problem_type: str,
        validation: Any = None,
    ) -> None:
        super().__init__(
            task,
            start,
            rows,
            labels=classes.labels,
            problem_type=problem_type,
            validation=validation,
            directions=DIRECTIONS,
        )
        self.classes = classes
        self.loss_of_guessing = math.log(len(classes.labels))

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> ImageSegmentationRecipe:
        """The recipe at its beginning: model made, size, mean and deviation of the pictures measured."""
        if data.mask_classes is None:
            raise TypeError("the data of a task with masks has classes")  # by `load_data`
        return cls(
            task,
            image_start(settings, data, keeps_shape=True),
            SplitRows(data.splits["train"]),
            classes=data.mask_classes,
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Pixels (uint8) and the class of each (uint8, 255 where there is none), at the size that the network reads."""
        features = []
        for pixels, mask in zip(self.pixels_of(rows["image"]), rows["mask"], strict=True):
            features.append(
                {"pixels": pixels, "classes": _resized(self.classes.ids[read_mask(mask)], pixels.shape[1:])}
            )
        return features

    def collate(self, features: Sequence[Features]) -> Batch:
        """Varied, normalised pixels (batch, channels, height, width) and targets (batch, height, width)."""
        pixels = self.stacked(features)
        masks = torch.from_numpy(np.stack([sample["classes"] for sample in features]))
        if self.is_varied:
            pictures = PictureBatch(pixels, np.asarray([sample["row"] for sample in features]), masks=masks)
            varied = augment_pictures(
                self.augmentation, pictures, seed=self.settings.seed, epoch=features[0]["epoch"], fill=self.fill
            )
            pixels = varied.pictures
            masks = masks if varied.masks is None else varied.masks
        return {"pixel_values": self.images.scaled(pixels), "targets": masks.long()}

    def count(self, batch: Batch) -> float:
        """Pixels that have a class."""
        return float((batch["targets"] != UNLABELLED).sum())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Cross-entropy of the classes of all labelled pixels."""
        logits, targets = model(pixel_values=batch["pixel_values"]).logits.float(), batch["targets"]
        if logits.shape[2:] != targets.shape[1:]:  # SegFormer and others answer at a quarter of the size
            logits = functional.interpolate(logits, size=targets.shape[1:], mode="bilinear", align_corners=False)
        total = functional.cross_entropy(
            logits,
            targets,
            ignore_index=UNLABELLED,
            label_smoothing=self.settings.label_smoothing or 0.0,
            reduction="sum",
        )
        is_labelled = targets != UNLABELLED
        right = ((logits.argmax(1) == targets) & is_labelled).flatten(1).sum(1)
        return BatchLoss(total, {"pixel_accuracy": (right / is_labelled.flatten(1).sum(1).clamp(min=1)).sum()})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Metrics on validation, of the answers that the pipeline would give."""
        same = np.arange(256, dtype=np.uint8)
        pipe = self.pipeline_of(model)
        own = list(judged(pipe, self.validation, same, self.classes, first=rank, step=world_size))
        counts, losses = zip(*gathered(own, len(self.validation), world_size), strict=True)
        scores = segmentation_metrics(counts, self.classes.labels, bootstrap=0)
        loss = sum(losses) / max(1, sum(int(each.sum()) for each in counts))
        return {"loss": loss} | {fact.name: fact.value for fact in scores.metrics}

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the classes that ``pipe`` gives to all pixels, classes matched by name."""
        return measure_class_maps(pipe, data, role, conditions)


def _resized(classes: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Class ids (height, width) brought to another ``shape`` by the nearest pixel."""
    if classes.shape == tuple(shape):
        return classes
    from PIL import Image

    return np.array(Image.fromarray(classes).resize((shape[1], shape[0]), resample=Image.Resampling.NEAREST))
