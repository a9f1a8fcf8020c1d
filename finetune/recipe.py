"""What the training loop asks of a task: the protocol that ``finetune/<task>.py`` fills in.

The loop knows only this protocol. A recipe owns its model and may own several optimizers, which is all that training a
pair of networks against each other needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

if TYPE_CHECKING:
    from ..cards.facts import CalibrationFacts, EvaluationFacts
    from ..pipelines.tasks import Task
    from .data import TaskData
    from .measuring import Conditions, Measured
    from .settings import FinetuneSettings

Features = dict[str, Any]
"""The model input of one sample before padding, with its target; never tensors on a device."""

Batch = dict[str, torch.Tensor]
"""Padded features of several samples."""


class BatchLoss(NamedTuple):
    """What one forward pass gave.

    Attributes:
        total: loss summed (not averaged) over the batch, float32 scalar with a graph.
        metrics: sums over the samples of the batch, without a graph; divided by the samples they become metrics of the
            step in ``log.jsonl``, for instance the number of right answers under ``accuracy``.
    """

    total: torch.Tensor
    metrics: Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class ParameterGroup:
    """Weights that share a learning rate and a weight decay.

    Attributes:
        parameters: the trainable ones only.
        learning_rate: the largest, after warm-up.
        weight_decay: decoupled.
    """

    parameters: Sequence[torch.nn.Parameter]
    learning_rate: float
    weight_decay: float = field(default=0.0)


class TrainingRows(Protocol):
    """The rows to train on, fetched by their numbers."""

    def __len__(self) -> int: ...

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """The columns of the rows ``indices`` (int64, any order), one entry a row and column."""
        ...


class Recipe(Protocol):
    """One task's part of the loop.

    Attributes:
        metric: name of the metric by which the best checkpoint is kept.
        higher_is_better: its direction.
        has_validation: whether there are rows to measure on; without them the last weights are kept.
        is_divisible: whether the loss of a batch is the sum of its rows' losses; otherwise each process computes its
            share of a step in one part, however large.
    """

    metric: str
    higher_is_better: bool
    has_validation: bool
    is_divisible: bool

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Rows as model input, by the pipeline's own preprocessing; encoded many at a time."""
        ...

    def vary(self, features: Sequence[Features], epoch: int, rows: np.ndarray) -> Sequence[Features]:
        """What of the samples is drawn anew in every epoch, by nothing but the run's seed and what is given here.

        Args:
            features: as `features` made them; not to be changed, since they are kept for the next epoch.
            epoch: counted from 0.
            rows: numbers of the samples' rows, int64 (samples,).
        """
        ...

    def length(self, features: Features) -> int:
        """Size of a sample by which batches are grouped and limited: tokens, for text."""
        ...

    def collate(self, features: Sequence[Features]) -> Batch:
        """Features as one padded batch on the CPU."""
        ...

    def count(self, batch: Batch) -> float:
        """What the summed loss of ``batch`` is divided by, once added up over all parts and processes of a step."""
        ...

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """The summed loss that the optimizer called ``optimizer`` lowers."""
        ...

    def optimizers(self, model: torch.nn.Module) -> Mapping[str, Sequence[ParameterGroup]]:
        """The weights of each optimizer, by name; the loop steps them in this order."""
        ...

    def evaluate(self, model: torch.nn.Module, rank: int, world_size: int) -> Mapping[str, float]:
        """Metrics on the validation split; every process calls it, with its share of the rows to do."""
        ...


class TaskRecipe(Recipe, Protocol):
    """One task's part of the whole of training; the class is named in the task's row.

    Attributes:
        model: trained in place.
        rows: to train on.
        settings: with every value that the model decides filled in.
        loss_of_guessing: loss of an answer that knows nothing, for telling whether training diverged; 0 where there is
            no such number.
    """

    model: torch.nn.Module
    rows: TrainingRows
    settings: FinetuneSettings
    loss_of_guessing: float

    @classmethod
    def check(cls, settings: FinetuneSettings) -> None:
        """Whether what ``settings`` name can be found; called before anything slow.

        Raises:
            QuintetError: it cannot.
        """
        ...

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> TaskRecipe:
        """The recipe with its model; what took time to prepare is kept in the folder ``prepared`` for a resumed run."""
        ...

    def conclude(self, weights: Mapping[str, torch.Tensor] | None, output: Path) -> None:
        """Gives the model its final weights: ``weights`` (None keeps those it has), with additions merged."""
        ...

    def calibrate(self) -> CalibrationFacts | None:
        """Changes the final weights so that probabilities are honest; None where that cannot be done."""
        ...

    def export(self, output: Path) -> None:
        """Writes the checkpoint to ``output``."""
        ...

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """How good the answers of the pipeline ``pipe`` are on the split ``role`` of ``data``.

        Raises:
            DataError: the split has no rows, or labels that the checkpoint does not have.
            WeightsError: an answer is not finite.
        """
        ...

    def evaluate_export(self, output: Path, data: TaskData) -> tuple[EvaluationFacts, ...]:
        """Metrics of the checkpoint in ``output``, read back, on every split that it was not trained on."""
        ...

    def facts(self, output: Path) -> Mapping[str, Any]:
        """What the recipe knows for `RunFacts`: family, base model, labels, parameters, hash of the weights …"""
        ...
