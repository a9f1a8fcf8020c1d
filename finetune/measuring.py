"""What the answers of a checkpoint on a split are worth: the part of it that is the same for every task.

A task's recipe gives a `Measured`; `evaluation_facts` makes the facts of it that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cards.facts import (
    BaselineFact,
    ClassFact,
    DataFacts,
    EvaluationFacts,
    HardwareFacts,
    MetricFact,
    MistakeFact,
    SplitFacts,
)
from .environment import hardware, versions

if TYPE_CHECKING:
    from .data import TaskData
    from .recipe import TaskRecipe

ROWS = "rows"
BY_CONTENT, IN_TURN = "by content", "in turn"
"""The entry ``rows`` of a protocol: in which order the rows were measured and resampled, in that of their contents or
as the pieces of one text. Without it, in that of the file."""

TOLERANCES = {"float32": 1e-4}
"""How far a recomputed metric may lie off; float32 scores agree to 1e-5 between machines."""

REDUCED_TOLERANCE = 1e-2
"""The same for bfloat16 and float16: their products depend on the hardware."""

Progress = Callable[[int, int], None]
"""Called with the rows answered so far and the rows in all."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How a split is measured.

    Attributes:
        labels: names of the checkpoint's classes in id order; empty where it has none.
        problem_type: the checkpoint's kind of problem, as in `TaskData`.
        bootstrap: resamples for the intervals; 0 leaves them out.
        seed: of the resamples, and of whatever else is drawn.
        label_map: the data set's label -> the checkpoint's, where they differ.
        training: facts of the split that it was trained on, from which baselines learn; None where not known.
        mistakes: how many of the worst answers to keep.
        progress: called while rows are answered.
    """

    labels: tuple[str, ...]
    problem_type: str
    bootstrap: int = 1000
    seed: int = 0
    label_map: Mapping[str, str] = field(default_factory=dict)
    training: SplitFacts | None = None
    mistakes: int = 20
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a recipe found out about the answers on a split; the fields are those of `EvaluationFacts`.

    Attributes:
        protocol: settings of the task that change the numbers.
        draw: draws further pictures into a folder, given words for their titles: ``reviews.csv, test``.
    """

    count: int
    metrics: tuple[MetricFact, ...]
    problem_type: str
    labels: tuple[str, ...] = ()
    per_class: tuple[ClassFact, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    baselines: tuple[BaselineFact, ...] = ()
    mistakes: tuple[MistakeFact, ...] = ()
    notes: tuple[str, ...] = ()
    protocol: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Path, str], None] | None = None


def measure_split(recipe: type[TaskRecipe], pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """What the answers of ``pipe`` are worth on the split ``role`` of ``data``, whatever order its rows are in.

    Resamples draw rows by their positions, so the rows are measured in the order of their contents. The same rows then
    give the same intervals from a shuffled file. Mistakes keep their positions in the split. Only pieces of one text
    are measured as they follow each other.

    Args:
        recipe: the task's, which measures.
        pipe: of the checkpoint.
        data: with the split.
        role: key of the split in ``data.splits``.
        conditions: how it is measured.

    Raises:
        DataError: the split has no rows, or labels that the checkpoint does not have.
        WeightsError: an answer is not finite.
    """
    order = data.content_order[role]
    measured = recipe.measure(pipe, data.by_content(role), role, conditions)
    mistakes = tuple(replace(mistake, row=int(order[mistake.row - 1]) + 1) for mistake in measured.mistakes)
    rows = IN_TURN if data.is_one_text else BY_CONTENT
    return replace(measured, mistakes=mistakes, protocol={**measured.protocol, ROWS: rows})


def evaluation_facts(
    measured: Measured,
    conditions: Conditions,
    split: SplitFacts,
    *,
    data: DataFacts | None = None,
    data_name: str | None = None,
    protocol: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    hardware_facts: HardwareFacts | None = None,
    **facts: Any,
) -> EvaluationFacts:
    """The facts that are kept of a measurement.

    Args:
        measured: by the recipe.
        conditions: that it was measured under.
        split: facts of the split.
        data: facts of its data set; leave it out where it is the data set of the run.
        data_name: base name of the data set where ``data`` is left out.
        protocol: more settings that change the numbers; ``dtype`` sets the tolerance.
        notes: sentences to keep before those of the recipe.
        hardware_facts: where it ran; default: this machine.
        facts: other fields of `EvaluationFacts`.
    """
    general = {"bootstrap": conditions.bootstrap, "seed": conditions.seed, "dtype": "float32"}
    settings = {**general, **measured.protocol, **(protocol or {})}
    return EvaluationFacts(
        split=split.name,
        count=measured.count,
        data_name=data_name or (data.name if data is not None else ""),
        fingerprint=split.fingerprint,
        metrics=measured.metrics,
        per_class=measured.per_class,
        confusion=measured.confusion,
        labels=measured.labels,
        problem_type=measured.problem_type,
        protocol=settings,
        baselines=measured.baselines,
        mistakes=measured.mistakes,
        tolerance=TOLERANCES.get(str(settings["dtype"]), REDUCED_TOLERANCE),
        notes=(*notes, *measured.notes),
        data=data,
        hardware=hardware_facts or hardware(),
        versions=versions(),
        **facts,
    )
