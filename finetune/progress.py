"""What a user sees while training runs: a bar on a terminal, a line per measurement elsewhere; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from .plan import Plan
from .training_state import Position

if TYPE_CHECKING:
    from .data.report import DataReport

RATE_SECONDS = 20.0
"""The samples per second shown are those of about the last so many seconds."""


class Progress(Protocol):
    """What the loop tells about itself."""

    def start(self, plan: Plan, position: Position) -> None:
        """Training begins, or goes on, at ``position``."""
        ...

    def advance(self, line: Mapping[str, Any], position: Position) -> None:
        """A step was done; ``line`` is its line of the log."""
        ...

    def measuring(self) -> None:
        """The model is being measured on validation."""
        ...

    def stop(self) -> None:
        """Training ended."""
        ...


def announce(report: DataReport, console: Console | None = None) -> None:
    """Says, before a training begins, which columns and rows it takes and what a person should know about them.

    Args:
        report: of the data.
        console: where to; stderr by default.
    """
    console = console or Console(stderr=True)
    columns = ", ".join(f"{ours} ← {theirs}" for ours, theirs in report.columns.items())
    rows = ", ".join(f"{split.rows:,} rows of {split.name}" for split in report.splits)
    lines = [f"data: {columns}; {rows}", *(f"note: {notice}" for notice in report.notices)]
    if report.rejected_rows:
        lines.append(f"note: rows that cannot be used: {report.rejected_rows:,}; see rejected.jsonl")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


class Silence:
    """Shows nothing: for the processes beside the first, and for dry runs."""

    def start(self, plan: Plan, position: Position) -> None:
        """Shows nothing."""

    def advance(self, line: Mapping[str, Any], position: Position) -> None:
        """Shows nothing."""

    def measuring(self) -> None:
        """Shows nothing."""

    def stop(self) -> None:
        """Shows nothing."""


class ProgressBar:
    """A bar with loss, metric, samples per second and time left.

    Args:
        metric: name of the metric to show.
        console: where to; stderr by default, so that stdout stays for results.
    """

    def __init__(self, metric: str, console: Console | None = None) -> None:
        self.metric = metric
        self.console = console or Console(stderr=True)
        self._bar = Bar(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None
        self._loss: float | None = None
        self._rate: float | None = None
        self._measured = ""
        self._last = 0.0

    def start(self, plan: Plan, position: Position) -> None:
        """Shows the bar at ``position``."""
        if self.console.is_terminal:
            self._bar.start()
        self._task = self._bar.add_task("training", total=plan.total_steps, completed=position.step, facts="")
        self._last = time.monotonic()

    def advance(self, line: Mapping[str, Any], position: Position) -> None:
        """Moves the bar on; a measurement is also printed as a line of its own, which stays."""
        now = time.monotonic()
        share = min(1.0, (now - self._last) / RATE_SECONDS)
        rate = line["rows"] / max(1e-9, now - self._last)
        self._last = now
        loss = next(value for name, value in line.items() if name.startswith("loss"))
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        self._rate = rate if self._rate is None else (1 - share) * self._rate + share * rate
        measured = line.get("validation")
        if measured:
            shown = "validation loss" if self.metric == "loss" else self.metric
            self._measured = f"{shown} {measured[self.metric]:.4f}"
            losses = [f"validation loss {measured['loss']:.4f}"] if "loss" in measured else []
            facts = [*losses, self._measured]
            best = " (best so far)" if position.best_step == position.step else ""
            self.console.print(
                f"step {position.step}, epoch {line['epoch']}: loss {self._loss:.4f}, "
                f"{', '.join(dict.fromkeys(facts))}{best}",
                highlight=False,
            )
        if self._task is not None:
            facts = [f"loss {self._loss:.4f}", self._measured, f"{self._rate:.0f} samples/s"]
            text = " · ".join(fact for fact in facts if fact)
            self._bar.update(self._task, completed=position.step, description="training", facts=text)

    def measuring(self) -> None:
        """Says that the model is being measured."""
        if self._task is not None:
            self._bar.update(self._task, description="measuring")

    def stop(self) -> None:
        """Takes the bar away."""
        if self.console.is_terminal:
            self._bar.stop()
