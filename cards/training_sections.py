"""The training on a card: its data with splits and labels, settings, course, machine and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .facts import DataFacts, HardwareFacts, RunFacts, SplitFacts, TrainingFacts
from .markdown import block, code, count, decimal, duration, folded, listed, number_of, plain, share, size, table
from .phrases import MOST_CLASSES, capital, data_sentence, metric_phrase, row_count
from .picture_usage import noun

CURVES = "curves.png"
"""File of the picture of loss and metric over the steps."""

COUNTED_WITHIN = {"tagging": "tag of words", "detection": "class of objects"}
"""Kind of problem -> what has the labels, where several are in a row."""


def training_data(facts: RunFacts) -> str:
    """Name, revision, splits with rules, seeds and fingerprints, and labels of what it was trained on."""
    data = facts.data
    if data is None:
        return ""
    parts = ["## Training data", data_sentence(data)]
    if data.splits:
        rows = [
            (
                plain(split.name),
                plain(split.rule),
                "" if split.seed is None else str(split.seed),
                count(split.rows),
                "" if split.duplicates is None else count(split.duplicates),
                code(split.fingerprint),
            )
            for split in data.splits
        ]
        heads = ("split", "rule", "seed", "rows", f"repeated {noun(facts)}s", "sha256 of the contents")
        parts.append(table(heads, rows, left=2))
    histogram = _label_table(data, COUNTED_WITHIN.get(facts.problem_type or ""))
    if histogram:
        parts.append(histogram)
    known = [split for split in data.splits if split.label_mean is not None]
    means = [f"{plain(split.name)} {decimal(split.label_mean or 0.0)}" for split in known]
    if means:
        parts.append(f"Mean of the numbers: {listed(means)}.")
    for what, name in (
        ("Questions without an answer", "unanswered"),
        ("Questions with an answer that was not where `answer_start` says, and is nearby", "moved_answers"),
    ):
        counted = [f"{count(number)} of {plain(each.name)}" for each in data.splits if (number := getattr(each, name))]
        parts += [f"{what}: {listed(counted)}."] if counted else []
    if data.leakage:
        shared = {plain(pair.replace("/", " and ")): texts for pair, texts in data.leakage.items() if texts}
        both = [f"{count(texts)} in {pair}" for pair, texts in shared.items()]
        what = noun(facts)
        found = f"{capital(what)}s that are in two splits: {', '.join(both)}."
        parts.append(found if both else f"No {what} is in two splits.")
    if data.rejected_rows:
        parts.append(f"Left out: {row_count(data.rejected_rows)} that could not be used.")
    return "\n\n".join(parts)


def training(facts: RunFacts) -> str:
    """How it was trained: command, changed settings, all of them folded, course, machine and cost."""
    parts = []
    if facts.command:
        parts.append("Repeated by")
        parts.append(block(facts.command, "bash"))
    changed = [(code(name), code(_value(facts.settings.get(name)))) for name in facts.changed_settings]
    if changed:
        parts += ["Settings that differ from the defaults:", table(("setting", "value"), changed, left=2)]
    if facts.settings:
        every = [(code(name), code(_value(value))) for name, value in sorted(facts.settings.items())]
        parts.append(folded("All settings", table(("setting", "value"), every, left=2)))
    if facts.training is not None:
        parts.append(table(("training", ""), _course(facts, facts.training), left=2))
        parts += [f"{capital(plain(note))}." for note in facts.training.notes]
    if CURVES in facts.pictures:
        metric = facts.training.metric if facts.training is not None else None
        what = f"loss and {metric_phrase(metric)}" if metric else "loss"
        parts.append(f"![{capital(what)} over the steps]({CURVES})")
    return "\n\n".join(["## Training", *parts]) if parts else ""


def _label_table(data: DataFacts, counted: str | None) -> str:
    """Labels by split; ``counted`` is what has them where several are in a row."""
    splits = [split for split in data.splits if split.label_histogram]
    labels = list(dict.fromkeys(label for split in splits for label in split.label_histogram))
    if not labels:
        return ""
    by_word = counted is not None
    rows = [(code(label), *(_label_count(split, label, by_word=by_word) for split in splits)) for label in labels]
    made = table((counted or "label", *(plain(split.name) for split in splits)), rows)
    return made if len(labels) <= MOST_CLASSES else folded(f"{len(labels)} labels", made)


def _label_count(split: SplitFacts, label: str, *, by_word: bool) -> str:
    rows = split.label_histogram.get(label, 0)
    total = sum(split.label_histogram.values()) if by_word else split.rows
    return f"{count(rows)} ({share(rows, max(total, 1))})"


def _course(facts: RunFacts, run: TrainingFacts) -> list[tuple[str, str]]:
    """The rows of the table of the training; those that are unknown are left out."""
    best = None
    if run.best_step is not None:
        best = f"step {count(run.best_step)}"
        if run.metric and run.best_metric is not None:
            best += f", {metric_phrase(run.metric)} {decimal(run.best_metric)} on validation"
    processes = f"{run.processes} process{'es' if run.processes > 1 else ''}"
    threads = f" of {number_of(run.threads, 'thread')}" if run.threads else ""
    rows: list[tuple[str, str | None]] = [
        ("steps", f"{count(run.steps)} ({run.epochs:g} epoch{'' if run.epochs == 1 else 's'})"),
        ("kept", best),
        ("ended by", run.stopped_by),
        ("training loss, last epoch", None if run.train_loss is None else decimal(run.train_loss)),
        ("time", None if run.seconds is None else duration(run.seconds)),
        ("samples a second", None if run.samples_per_second is None else f"{run.samples_per_second:,.0f}"),
        ("peak memory", None if run.peak_memory_bytes is None else size(run.peak_memory_bytes)),
        ("peak accelerator memory", None if run.peak_gpu_memory_bytes is None else size(run.peak_gpu_memory_bytes)),
        ("energy", None if run.energy_watt_hours is None else f"{run.energy_watt_hours:,.1f} Wh"),
        ("hardware", _machine(facts.hardware)),
        ("run as", f"{processes}{threads}" + (f" on {run.device}" if run.device else "")),
        ("number format", run.precision),
        ("taken up again", None if not run.resumes else number_of(run.resumes, "time")),
        ("seed", None if facts.seed is None else str(facts.seed)),
    ]
    return [(name, value) for name, value in rows if value]


def _machine(hardware: HardwareFacts | None) -> str | None:
    if hardware is None:
        return None
    parts = [
        *hardware.gpus,
        hardware.cpu,
        None if hardware.cores is None else number_of(hardware.cores, "core"),
        None if hardware.memory_gib is None else f"{hardware.memory_gib:g} GiB",
        "bfloat16 units" if hardware.bf16_units else None,
    ]
    return ", ".join(part for part in parts if part) or None


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_value(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or "none"
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
