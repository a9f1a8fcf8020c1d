"""``--dry-run``: what training would do, measured on three real steps; nothing is written to the output folder."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipelines.tasks import find_task
from .run_identity import command_of, plain_settings
from .settings import FinetuneSettings

if TYPE_CHECKING:
    from rich.console import Console

    from .data.report import DataReport

MEASURED_STEPS = 3


@dataclass(frozen=True)
class DryRun:
    """The plan of a training run.

    Attributes:
        data: what was found.
        parameters: number of weights.
        trainable_parameters: those that training would change.
        steps: optimizer steps.
        steps_per_epoch: of one pass over the training split.
        state_bytes: weights, gradients, optimizer moments and average; activations come on top.
        peak_memory_bytes: largest resident memory of this process over three steps.
        seconds_per_step: mean of the measured steps after the first; other steps have longer and shorter texts.
        minutes: all steps at this pace, without measuring on validation.
        settings: with every value that the model decides filled in, base names for paths.
        command: that starts the run.
    """

    data: DataReport
    parameters: int
    trainable_parameters: int
    steps: int
    steps_per_epoch: int
    state_bytes: int
    peak_memory_bytes: int
    seconds_per_step: float
    minutes: float
    settings: dict[str, Any]
    command: str

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {**values, "data": self.data.to_json()}


def dry_run(settings: FinetuneSettings, rows: Any = None) -> DryRun:
    """The plan of the run that ``settings`` describe; three steps are done and forgotten.

    Raises:
        QuintetError: whatever the run itself would raise before its fourth step.
    """
    from .environment import peak_memory
    from .processes import agreed, start_processes
    from .progress import Silence
    from .training import make_loop
    from .training_data import load_task_data

    task = find_task(settings.task)
    accelerator = start_processes(dataclasses.replace(settings, track=()))
    with tempfile.TemporaryDirectory(prefix="quintet-dry-run-") as scratch:
        with agreed():
            data = load_task_data(settings, task, rows, rejected=None)
            # a teacher would label every row first; a plan is not worth that
            without_teacher = dataclasses.replace(settings, teacher=None, augment=0, resume=False, track=())
            recipe = task.load_recipe().start(task, without_teacher, data, Path(scratch))
        seconds: list[float] = []

        class Stopwatch(Silence):
            def advance(self, line: Any, position: Any) -> None:
                seconds.append(line["seconds"])

        loop = make_loop(recipe, accelerator, None, Stopwatch())
        plan = loop.plan
        started = time.monotonic()
        loop.run(MEASURED_STEPS)
        pace = sum(seconds[1:]) / len(seconds[1:]) if len(seconds) > 1 else time.monotonic() - started
    weights = sum(weight.numel() for weight in recipe.model.parameters())
    trained = sum(weight.numel() for weight in recipe.model.parameters() if weight.requires_grad)
    moments = 2 if settings.optimizer == "adamw" else 1
    return DryRun(
        data=data.report,
        parameters=weights,
        trainable_parameters=trained,
        steps=plan.total_steps,
        steps_per_epoch=plan.steps_per_epoch,
        state_bytes=4 * (weights + trained * (1 + moments + bool(recipe.settings.ema))),
        peak_memory_bytes=peak_memory().bytes,
        seconds_per_step=pace,
        minutes=pace * plan.total_steps / 60,
        settings=plain_settings(recipe.settings),
        command=command_of(dataclasses.replace(settings, dry_run=False)),
    )


def print_dry_run(plan: DryRun, console: Console) -> None:
    """Prints ``plan`` for people."""
    from rich.table import Table

    from .data import print_report

    print_report(plan.data, console)
    table = Table(title="Training would", show_header=False, title_justify="left")
    table.add_row("train", f"{plan.trainable_parameters:,} of {plan.parameters:,} parameters")
    table.add_row("in", f"{plan.steps:,} steps, {plan.steps_per_epoch:,} an epoch")
    table.add_row("taking", f"{plan.seconds_per_step:.3f} s a step, about {plan.minutes:.1f} minutes")
    table.add_row(
        "with",
        f"{plan.state_bytes / 2**20:,.0f} MiB of weights and state; {plan.peak_memory_bytes / 2**20:,.0f} MiB in all",
    )
    table.add_row("by", plan.command)
    console.print(table)
