"""What the recipes for texts share: length in tokens, padding, export with the tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..pipelines.checkpoints import from_model
from ..pipelines.models.shapes import IGNORED
from ..pipelines.saving import save_checkpoint
from .model_recipe import ModelRecipe, gathered
from .recipe import Batch, Features, TrainingRows
from .text_models import TextStart

if TYPE_CHECKING:
    from ..pipelines.tasks import Task

__all__ = ["NOT_INPUTS", "TextRecipe", "gathered"]

NOT_INPUTS = frozenset({"target", "targets", "teacher", "altered", "is_start"})
"""Features and parts of a batch that are not for the model."""


class TextRecipe(ModelRecipe):
    """The part of a recipe for texts that does not depend on what is learnt; arguments as for `ModelRecipe`."""

    def __init__(
        self,
        task: Task,
        start: TextStart,
        rows: TrainingRows,
        *,
        labels: Sequence[str] | None,
        problem_type: str,
        validation: Any,
        directions: Mapping[str, bool],
    ) -> None:
        self.tokenizer = start.tokenizer
        super().__init__(
            task,
            start,
            rows,
            labels=labels,
            problem_type=problem_type,
            validation=validation,
            directions=directions,
        )

    def pipeline_of(self, model: Any) -> Any:
        """The task's pipeline around a model with the recipe's tokenizer."""
        return self.task.load_pipeline().from_checkpoint(from_model(model, self.tokenizer))

    def length(self, features: Features) -> int:
        """Tokens, special ones included."""
        return len(features["input_ids"])

    def padded(self, features: Sequence[Features]) -> Batch:
        """What the model reads of ``features``, padded, each (batch, length).

        Where no text is padded there is no ``attention_mask``, and attention takes a faster way.
        """
        batch: Batch = self.tokenizer.pad(
            [{name: sample[name] for name in sample if name not in NOT_INPUTS} for sample in features]
        )
        if bool(batch["attention_mask"].all()):
            del batch["attention_mask"]
        return batch

    def padded_targets(self, features: Sequence[Features], shape: torch.Size) -> torch.Tensor:
        """What each token is to be told by, where `padded` puts the token; int64 of its ``shape`` (batch, length)."""
        targets = torch.full(shape, IGNORED, dtype=torch.int64)
        for row, sample in enumerate(features):
            count = len(sample["target"])
            start = shape[1] - count if self.tokenizer.padding_side == "left" else 0
            targets[row, start : start + count] = torch.from_numpy(sample["target"])
        return targets

    def export(self, output: Path) -> None:
        """Writes weights, configuration and tokenizer to ``output``."""
        save_checkpoint(
            self.model,
            self.tokenizer,
            output,
            dtype=self.settings.export_dtype,
            labels=self.labels,
            task=self.task.name,
        )

    def facts(self, output: Path) -> Mapping[str, Any]:
        """What is known about the model in ``output``."""
        return {**super().facts(output), "max_length": self.tokenizer.max_length}
