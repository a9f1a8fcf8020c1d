"""Training for object detection: boxes and classes of the objects in a picture.

Pictures go through the pipeline's own preparation, and their boxes with them. Measuring is in pixels of the picture
itself, through the pipeline. A network of our own and one of transformers are trained by the same call: both take boxes
as fractions of the picture, and compute their loss themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..pipelines.errors import UsageError
from ..pipelines.image_inputs import read_picture
from ..pipelines.models.boxes import corners_to_centres
from ..pipelines.models.detection_backbone import STRIDES
from ..pipelines.models.families import is_family
from ..pipelines.models.shapes import IGNORED
from .data.object_targets import CATEGORIES, read_objects
from .detection_answers import answers_of, measure_objects, true_boxes
from .detection_metrics import DIRECTIONS, detection_metrics
from .image_augmentation import Objects, PictureBatch, augment_pictures
from .image_models import ImageStart, image_start
from .image_recipe import ImageRecipe
from .measuring import Conditions, Measured
from .model_recipe import gathered
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .training_data import SplitRows

if TYPE_CHECKING:
    from ..pipelines.tasks import Task
    from .data import TaskData


class ObjectDetectionRecipe(ImageRecipe):
    """The detection part of training; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, image processor and resolved settings.
        rows: to train on, with the columns image, objects and categories.
        labels: class names in the order of their ids.
        problem_type: ``detection``.
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
        "label_smoothing",
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
        labels: Sequence[str],
        problem_type: str,
        validation: Any = None,
    ) -> None:
        super().__init__(
            task,
            start,
            rows,
            labels=labels,
            problem_type=problem_type,
            validation=validation,
            directions=DIRECTIONS,
        )
        self.counts_pictures = getattr(start.model, "counts_pictures", False)

    @classmethod
    def check(cls, settings: FinetuneSettings) -> None:
        """As `ImageRecipe.check`; the sides of pictures can be halved five times, as our own networks do.

        Raises:
            UsageError: they cannot.
        """
        super().check(settings)
        coarsest, size = STRIDES[-1], settings.image_size
        if is_family(settings.model) and size is not None and size % coarsest:
            near = max(coarsest, round(size / coarsest) * coarsest)
            raise UsageError(
                f"--image-size {size} is no multiple of {coarsest} pixels, which {settings.model} needs; give "
                f"--image-size {near}"
            )

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> ObjectDetectionRecipe:
        """The recipe at its beginning: model made, mean and deviation of the pictures measured."""
        return cls(
            task,
            image_start(settings, data),
            SplitRows(data.splits["train"]),
            labels=data.labels or (),
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Pixels (uint8), boxes of x, y, width, height in them (float32, objects x 4), and their classes (int64)."""
        features = []
        for cell, value, labels in zip(rows["image"], rows["objects"], rows[CATEGORIES], strict=True):
            picture = read_picture(cell)
            pixels = self.images.pixels(picture)
            scale = np.array([pixels.shape[2] / picture.width, pixels.shape[1] / picture.height] * 2)
            boxes = np.asarray(read_objects(value)[0], dtype=np.float64).reshape(-1, 4) * scale
            features.append(
                {"pixels": pixels, "boxes": boxes.astype(np.float32), "labels": np.asarray(labels, dtype=np.int64)}
            )
        return features

    def collate(self, features: Sequence[Features]) -> Batch:
        """Varied, normalised pixels (batch, channels, height, width), and the objects, padded.

        ``boxes`` are centre x, centre y, width and height as fractions (batch, objects, 4), ``class_labels`` class ids
        (batch, objects), -100 at the padding.
        """
        pixels = self.stacked(features)
        objects = [Objects(torch.from_numpy(one["boxes"]), torch.from_numpy(one["labels"])) for one in features]
        if self.is_varied:
            pictures = PictureBatch(pixels, np.asarray([one["row"] for one in features]), objects=objects)
            varied = augment_pictures(
                self.augmentation, pictures, seed=self.settings.seed, epoch=features[0]["epoch"], fill=self.fill
            )
            pixels = varied.pictures
            objects = objects if varied.objects is None else list(varied.objects)
        height, width = pixels.shape[2:]
        most = max(1, *(len(one.categories) for one in objects))
        boxes = torch.zeros(len(objects), most, 4)
        labels = torch.full((len(objects), most), IGNORED)
        scale = torch.tensor([width, height, width, height])
        for row, one in enumerate(objects):
            corners = torch.cat([one.boxes[:, :2], one.boxes[:, :2] + one.boxes[:, 2:]], 1)
            boxes[row, : len(corners)] = corners_to_centres((corners / scale).clamp(0, 1))
            labels[row, : len(corners)] = one.categories
        # A box of which nothing is left within the picture teaches nothing.
        labels = labels.masked_fill((boxes[..., 2:] <= 0).any(-1), IGNORED)
        return {"pixel_values": self.images.scaled(pixels), "boxes": boxes, "class_labels": labels}

    def count(self, batch: Batch) -> float:
        """Objects; pictures where the network's loss is a sum over these. A batch without objects counts as one."""
        if self.counts_pictures:
            return float(len(batch["class_labels"]))
        return float(max(1, int((batch["class_labels"] != IGNORED).sum())))

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """The network's own loss, summed over what `count` counts."""
        objects = [
            {"boxes": boxes[labels != IGNORED], "class_labels": labels[labels != IGNORED]}
            for boxes, labels in zip(batch["boxes"], batch["class_labels"], strict=True)
        ]
        outputs = model(pixel_values=batch["pixel_values"], labels=objects)
        return BatchLoss(outputs.loss.float() * self.count(batch), {})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Metrics on validation, of the answers that the pipeline would give."""
        own = list(answers_of(self.pipeline_of(model), self.validation, first=rank, step=world_size))
        answers = gathered(own, len(self.validation), world_size)
        true = true_boxes(self.validation, list(range(len(self.labels or ()))))
        return {
            fact.name: fact.value for fact in detection_metrics(answers, true, self.labels or (), bootstrap=0).metrics
        }

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the objects that ``pipe`` finds, classes matched by name."""
        return measure_objects(pipe, data, role, conditions)
