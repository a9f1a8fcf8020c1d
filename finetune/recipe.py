"""What the training loop asks of a task: the protocol that ``finetune/<task>.py`` fills in.

The loop knows only this protocol. A recipe owns its model and may own several optimizers, which is all that training a
pair of networks against each other needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

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
    """One task's part of training.

    Attributes:
        metric: name of the metric by which the best checkpoint is kept.
        higher_is_better: its direction.
    """

    metric: str
    higher_is_better: bool

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Rows as model input, by the pipeline's own preprocessing; encoded many at a time."""
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
