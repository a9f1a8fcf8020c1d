"""What the recipes for pictures share: pixels kept as bytes, batches of one shape, export with the image processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..pipelines.checkpoints import from_model
from ..pipelines.image_inputs import read_picture
from ..pipelines.saving import save_checkpoint
from .image_augmentation import Augmentation, check_augmentation, parse_augmentation
from .image_models import ImageStart
from .model_recipe import ModelRecipe
from .recipe import Features, TrainingRows
from .settings import FinetuneSettings

if TYPE_CHECKING:
    from ..pipelines.tasks import Task

PATCH = 16 * 16
"""Pixels that count as one unit of length: a picture is as long as a ViT with patches of 16 makes it."""


def augmentation_of(settings: FinetuneSettings) -> Augmentation:
    """How ``settings`` vary pictures.

    Raises:
        UsageError: an operation does not exist, or has no such strength.
    """
    return parse_augmentation(",".join(settings.augmentation) or "none")


class ImageRecipe(ModelRecipe):
    """The part of a recipe for pictures that does not depend on what is learnt; arguments as for `ModelRecipe`."""

    has_places = False
    """Whether boxes or masks go with the pictures."""

    def __init__(
        self,
        task: Task,
        start: ImageStart,
        rows: TrainingRows,
        *,
        labels: Sequence[str] | None,
        problem_type: str,
        validation: Any,
        directions: Mapping[str, bool],
    ) -> None:
        self.images = start.images
        self.augmentation = augmentation_of(start.settings)
        self.is_varied = self.augmentation != Augmentation()
        mean = start.images.mean
        self.fill = min(1.0, max(0.0, sum(mean) / len(mean)))
        """What stands beside a picture that was moved: its mean, which is 0 for the network."""
        super().__init__(
            task,
            start,
            rows,
            labels=labels,
            problem_type=problem_type,
            validation=validation,
            directions=directions,
        )

    @classmethod
    def check(cls, settings: FinetuneSettings) -> None:
        """As `ModelRecipe.check`; pictures can be varied as asked.

        Raises:
            UsageError: they cannot.
            MissingExtraError: kornia is not installed.
        """
        super().check(settings)
        check_augmentation(augmentation_of(settings), has_places=cls.has_places)

    def vary(self, features: Sequence[Features], epoch: int, rows: np.ndarray) -> Sequence[Features]:
        """The same samples with the row and the epoch that their variation is drawn from."""
        if not self.is_varied:
            return features
        return [{**sample, "row": int(row), "epoch": epoch} for sample, row in zip(features, rows, strict=True)]

    def pipeline_of(self, model: Any) -> Any:
        """The task's pipeline around a model with the recipe's image processor."""
        return self.task.load_pipeline().from_checkpoint(from_model(model, None, images=self.images))

    def pixels_of(self, cells: Sequence[Any]) -> list[np.ndarray]:
        """Pictures as large as the network reads them, by the pipeline's steps: uint8 (channels, height, width)."""
        return [self.images.pixels(read_picture(cell)) for cell in cells]

    def length(self, features: Features) -> int:
        """Patches of 16 x 16 pixels."""
        return max(1, int(np.prod(features["pixels"].shape[-2:])) // PATCH)

    def stacked(self, features: Sequence[Features]) -> torch.Tensor:
        """The pixels of samples, uint8 (batch, channels, height, width)."""
        return torch.from_numpy(np.stack([sample["pixels"] for sample in features]))

    def export(self, output: Path) -> None:
        """Writes weights, configuration and image processor to ``output``."""
        save_checkpoint(
            self.model,
            None,
            output,
            images=self.images,
            dtype=self.settings.export_dtype,
            labels=self.labels,
            task=self.task.name,
        )
