"""What all recipes share: settings that mean something, one optimizer, export, facts about the model."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..pipelines.errors import UsageError, unknown_name
from ..pipelines.integrity import answering_files
from ..pipelines.tasks import find_task
from .export import measured_export, weights_sha256
from .lora import ADAPTER_FOLDER
from .optimization import parameter_groups
from .recipe import Features, ParameterGroup, TrainingRows
from .run_identity import public_settings
from .settings import FinetuneSettings, default_of, flag
from .starting_point import StartingPoint, check_models

if TYPE_CHECKING:
    from ..cards.facts import CalibrationFacts, EvaluationFacts
    from ..pipelines.tasks import Task
    from .data import TaskData


class ModelRecipe(ABC):
    """The part of a recipe that does not depend on what is read and learnt; see `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model and resolved settings.
        rows: to train on, with the task's columns.
        labels: class names in the order of the logits; None where there are none.
        problem_type: as in `TaskData`.
        validation: split with the same columns; None where there is nothing to measure on.
        directions: names of the metrics, the main one first → whether higher is better; ``loss`` among them.
    """

    is_divisible = True
    loss_of_guessing = 0.0
    unused_settings: tuple[str, ...] = ()
    """Settings that mean nothing to the task; given all the same, they are refused."""

    def __init__(
        self,
        task: Task,
        start: StartingPoint,
        rows: TrainingRows,
        *,
        labels: Sequence[str] | None,
        problem_type: str,
        validation: Any,
        directions: Mapping[str, bool],
    ) -> None:
        self.task, self.start_point, self.rows = task, start, rows
        self.model: Any = start.model
        self.settings = start.settings
        self.labels, self.problem_type, self.validation = labels, problem_type, validation
        self.has_validation = validation is not None and len(validation) > 0
        self.pipeline = self.pipeline_of(start.model)
        self.metric = start.settings.metric or next(iter(directions))
        if self.metric not in directions:
            raise unknown_name("metric", self.metric, directions)
        self.higher_is_better = directions[self.metric]

    @classmethod
    def check(cls, settings: FinetuneSettings) -> None:
        """Whether the settings mean something to the task, and the checkpoints that they name can be found.

        Raises:
            UsageError: a setting means nothing to it.
            QuintetError: a checkpoint cannot be found.
        """
        task = find_task(settings.task).name
        for item in dataclasses.fields(settings):
            name, meant_for = item.name, item.metadata.get("tasks")
            is_unused = name in cls.unused_settings or bool(meant_for and task not in meant_for)
            if is_unused and getattr(settings, name) != default_of(item):
                known = " and ".join(meant_for) if meant_for else "text classification"
                raise UsageError(f"{flag(name)} means nothing to {task}; leave it out. It is for {known}")
        check_models(settings)

    @abstractmethod
    def pipeline_of(self, model: Any) -> Any:
        """The task's pipeline around a model, with what prepares the recipe's inputs."""

    @abstractmethod
    def export(self, output: Path) -> None:
        """Writes weights, configuration and what prepares the inputs to ``output``."""

    def vary(self, features: Sequence[Features], epoch: int, rows: np.ndarray) -> Sequence[Features]:
        """The samples as they are: nothing about them changes from epoch to epoch."""
        return features

    def optimizers(self, model: torch.nn.Module) -> Mapping[str, Sequence[ParameterGroup]]:
        """One optimizer over all trainable weights."""
        return {"model": parameter_groups(model, self.settings)}

    def conclude(self, weights: Mapping[str, torch.Tensor] | None, output: Path) -> None:
        """Loads the final weights, and merges low-rank additions, which ``keep_adapter`` also writes to ``output``."""
        if weights is not None:
            self.model.load_state_dict(weights, strict=False)  # frozen weights are not among them
        self.model.eval()
        additions = self.start_point.additions
        if additions is not None:
            if self.settings.keep_adapter:
                additions.save(output / ADAPTER_FOLDER)
            self.model = additions.merge()

    def calibrate(self) -> CalibrationFacts | None:
        """Nothing: the scores stay as they were trained."""
        return None

    def evaluate_export(self, output: Path, data: TaskData) -> tuple[EvaluationFacts, ...]:
        """Metrics of the checkpoint in ``output`` on validation and test."""
        return measured_export(output, data, self.settings, self.task.name)

    def facts(self, output: Path) -> Mapping[str, Any]:
        """What is known about the model in ``output``."""
        start = self.start_point
        return {
            "family": start.family,
            "base_model": start.base_model,
            "base_revision": start.base_revision,
            "teacher": public_settings(self.settings).teacher,
            "problem_type": self.problem_type,
            "labels": tuple(self.labels or ()),
            "parameters": start.parameters,
            "trainable_parameters": start.trainable_parameters,
            "max_length": None,
            "weights_sha256": weights_sha256(output),
            "weights_bytes": sum(file.stat().st_size for file in output.glob("*.safetensors")),
            "files_sha256": answering_files(output),
        }


def gathered(own: list[Any], rows: int, world_size: int) -> list[Any]:
    """What every process found out about its share of ``rows``, row ``i`` being that of process ``i % world_size``."""
    if world_size == 1:
        return own
    from accelerate.utils import gather_object

    shares = gather_object([own])  # one list a process
    return [shares[row % world_size][row // world_size] for row in range(rows)]
