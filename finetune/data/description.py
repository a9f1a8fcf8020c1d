"""`describe_data`: what training would see of a data set, and the same as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...pipelines.tasks import Task, find_task, in_languages, task_options
from ..problems import DETECTION, TAGGING
from .loading import load_data
from .report import DataReport, SplitReport

if TYPE_CHECKING:
    from rich.console import Console

_UNITS = {
    "lines": "each a line",
    "documents": "each a text of its own",
    "blocks": "consecutive pieces of one text",
}

_SHOWN_LABELS = 20  # rows of the histogram
_SHOWN_REJECTED = 5
_SHOWN_CHARACTERS = 200  # of a sample


def describe_data(dataset: Any, *, task: str | Task = "text-classification", **options: Any) -> DataReport:
    """What `load_data` finds in ``dataset``; bad rows are counted and listed instead of ending it.

    What training would refuse, such as a single class, is listed under ``problems``.

    Args:
        dataset: as for `load_data`.
        task: says which columns are read; a row of the table of tasks, its name or an alias.
        options: of `load_data`; ``bad_rows`` is ``skip`` unless given.

    Raises:
        UsageError, DataError: as for `load_data`.
    """
    row = in_languages(find_task(task), task_options(task)) if isinstance(task, str) else task
    return load_data(dataset, task=row, **{"bad_rows": "skip", "list_problems": True, **options}).report


def print_report(report: DataReport, console: Console) -> None:
    """Prints the report as tables: columns, splits, labels, leakage, bad rows, problems, notices, samples."""
    from rich.markup import escape
    from rich.table import Table

    where = report.name
    where += f":{report.config}" if report.config else ""
    where += f"@{report.revision[:12]}" if report.revision else ""
    mapping = ", ".join(f"{ours} ← {theirs}" for ours, theirs in report.columns.items())
    console.print(f"[bold]{escape(where)}[/bold] ({report.kind}), {report.problem_type.replace('_', ' ')}")
    console.print(f"columns: {escape(mapping)}   [dim](found: {escape(', '.join(report.found_columns))})[/dim]")

    if report.text_unit is not None:
        console.print(f"rows: {_UNITS[report.text_unit]}")

    splits = Table("split", box=None, header_style="bold")
    reads_pictures = find_task(report.task).reads_pictures
    unit, what = ("pixels", "pictures") if reads_pictures else ("characters", "texts")
    for heading in ("rows", "duplicates", f"{unit}: shortest", "median", "95 %", "longest"):
        splits.add_column(heading, justify="right")
    splits.add_column("fingerprint")
    splits.add_column("rule")
    for split in report.splits:
        lengths = [f"{split.length_percentiles[percent]:,.0f}" for percent in ("0", "50", "95", "100")]
        rule = split.rule if split.seed is None else f"{split.rule} (seed {split.seed})"
        counts = [f"{split.rows:,}", f"{split.duplicates:,}"]
        splits.add_row(split.name, *counts, *lengths, split.fingerprint[:12], escape(rule))
    console.print(splits)

    if report.labels is not None:
        is_counted_within = report.problem_type in (TAGGING, DETECTION)
        console.print(_histogram(report.labels, report.splits, by_word=is_counted_within))
    for pair, count in report.leakage.items():
        if count:
            first, second = pair.split("/")
            console.print(f"[yellow]leakage: {count:,} {what} are in both {first} and {second}[/yellow]")
    if report.rejected_rows:
        rows = "1 bad row" if report.rejected_rows == 1 else f"{report.rejected_rows:,} bad rows"
        console.print(f"[yellow]{rows}; training stops at the first one unless --bad-rows skip is given:[/yellow]")
        for row in report.rejected[:_SHOWN_REJECTED]:
            console.print(f"  {escape(row.place)}: {escape(row.reason)}")
    for problem in report.problems:
        console.print(f"[red]training would refuse: {escape(problem)}[/red]")
    for notice in report.notices:
        console.print(f"[yellow]note: {escape(notice)}[/yellow]")

    *inputs, target = report.columns
    samples = Table(target, *inputs, title="samples", title_justify="left", box=None, header_style="bold")
    for sample in report.samples:
        samples.add_row(*(escape(_shown(sample[name])) for name in (target, *inputs)))
    console.print(samples)


def _histogram(labels: tuple[str, ...], splits: tuple[SplitReport, ...], *, by_word: bool) -> Any:
    """Rows (or words, or objects) per label and split, with a bar for the first split."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("label", box=None, header_style="bold")
    for split in splits:
        table.add_column(split.name, justify="right")
    table.add_column(f"share of {splits[0].name}")
    largest = max(splits[0].label_histogram.values(), default=0) or 1
    total = sum(splits[0].label_histogram.values()) if by_word else splits[0].rows
    for label in labels[:_SHOWN_LABELS]:
        count = splits[0].label_histogram[label]
        bar = "█" * round(20 * count / largest)
        share = f"{bar} {count / max(1, total):.1%}"
        table.add_row(escape(label), *(f"{split.label_histogram[label]:,}" for split in splits), share)
    if len(labels) > _SHOWN_LABELS:
        table.add_row(f"… {len(labels) - _SHOWN_LABELS} more", *("" for _ in splits), "")
    return table


def _shown(value: Any) -> str:
    """A cell of a sample on one line, cut with a mark."""
    if isinstance(value, Mapping):  # answers
        value = " | ".join(value["text"])
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS] + "…"
