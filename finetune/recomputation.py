"""Measuring again what a checkpoint's facts say: the same rows by the recorded rule, the same protocol, the same code.

The steps are those of `evaluation.evaluate`; nothing is written.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cards.facts import DataFacts, EvaluationFacts, RunFacts, SplitFacts
from ..pipelines.errors import DataError, UsageError
from ..pipelines.tasks import Task, find_task
from .evaluation_record import Subject
from .evaluation_rows import ChosenRows, choose_rows, split_facts, training_notes
from .measuring import BY_CONTENT, IN_TURN, ROWS, Conditions, Progress, evaluation_facts, measure_split
from .problems import REGRESSION, SINGLE_LABEL
from .settings import FinetuneSettings
from .training_data import load_task_data

if TYPE_CHECKING:
    from ..pipelines import Pipeline

DATA_SETTINGS = (
    *("columns", "dataset_config", "train_split", "validation_split", "test_split", "validation_fraction"),
    *("test_fraction", "problem_type", "label_names", "bad_rows", "max_rows", "seed", "text_unit"),
)
"""Settings of a training run that say which rows each split has."""


def recorded_data(run: RunFacts, evaluation: EvaluationFacts) -> DataFacts | None:
    """The data set that an evaluation was made on: its own, or that of the run; None where neither is recorded."""
    return evaluation.data or run.data


def find_rows(
    dataset: Any, run: RunFacts, evaluation: EvaluationFacts, subject: Subject, task: Task
) -> tuple[ChosenRows, DataFacts]:
    """The rows of ``dataset`` that the evaluation's record speaks of, and the facts of the data set as it is now.

    Args:
        dataset: as for `load_data`; a data set of the Hub is read at the recorded revision.
        run: facts of the checkpoint.
        evaluation: one of ``run.evaluations``.
        subject: the checkpoint.
        task: its row.

    Raises:
        DataError: the data cannot be read, or has no such split.
        UsageError: what is recorded cannot be, or ``dataset`` is of a kind that cannot be read.
    """
    record = recorded_data(run, evaluation)
    revision = record.revision if record is not None and isinstance(dataset, str) and dataset == record.name else None
    if evaluation.data is None:
        chosen = _cut_like_training(dataset, run, evaluation, task, revision)
    else:
        chosen = _cut_like_evaluation(dataset, evaluation, evaluation.data, subject, task, revision)
    return chosen, chosen.data.report.facts()


def describe_difference(recorded: SplitFacts, found: SplitFacts) -> str:
    """In what a split differs from its record, as a part of a sentence; empty where it is the same."""
    differences = []
    if recorded.rows != found.rows:
        differences.append(f"{found.rows:,} rows instead of {recorded.rows:,}")
    labels = {**recorded.label_histogram, **found.label_histogram}
    for label in labels:
        before, now = recorded.label_histogram.get(label, 0), found.label_histogram.get(label, 0)
        if before != now:
            differences.append(f"{now:,} rows of the label '{label}' instead of {before:,}")
    for percent, before in recorded.length_percentiles.items():
        now = found.length_percentiles.get(percent)
        if before != now:
            differences.append(f"{now or 0:g} characters instead of {before:g} at {percent} % of the lengths")
    if recorded.duplicates is not None and recorded.duplicates != found.duplicates:
        differences.append(f"{found.duplicates} repeated texts instead of {recorded.duplicates}")
    before, now = recorded.label_mean, found.label_mean  # older facts have none
    if before is not None and (now is None or not math.isclose(before, now, rel_tol=1e-9, abs_tol=1e-12)):
        differences.append(f"the mean of the numbers is {'none' if now is None else f'{now:g}'} instead of {before:g}")
    if recorded.fingerprint == found.fingerprint:
        return "; ".join(differences)
    return "; ".join(differences) or "as many rows, labels and lengths, but other texts or labels"


def measure_again(
    pipe: Pipeline,
    subject: Subject,
    chosen: ChosenRows,
    evaluation: EvaluationFacts,
    progress: Progress | None = None,
) -> EvaluationFacts:
    """The evaluation that ``evaluation`` describes, made now.

    Args:
        pipe: of the checkpoint, in the recorded number format.
        subject: the checkpoint.
        chosen: its rows, by `find_rows`.
        evaluation: the record.
        progress: called with rows answered and rows in all.

    Raises:
        DataError: the labels are not those of the checkpoint.
        UsageError: the protocol says what cannot be.
    """
    protocol = evaluation.protocol
    if protocol.get(ROWS, BY_CONTENT) not in (BY_CONTENT, IN_TURN):
        raise UsageError(
            f"the protocol in run.json has {ROWS} {protocol[ROWS]!r}, expected '{BY_CONTENT}', '{IN_TURN}' or nothing"
        )
    conditions = Conditions(
        labels=subject.labels,
        problem_type=subject.problem_type,
        bootstrap=protocol.get("bootstrap", 1000),
        seed=protocol.get("seed", 0),
        label_map=dict(protocol.get("label_map") or {}),
        training=subject.training_split,
        progress=progress,
    )
    recipe = find_task(subject.described.task).load_recipe()
    if ROWS in protocol:
        measured = measure_split(recipe, pipe, chosen.data, chosen.role, conditions)
    else:  # of an earlier version
        measured = recipe.measure(pipe, chosen.data, chosen.role, conditions)
    return evaluation_facts(
        measured,
        conditions,
        chosen.split,
        data_name=evaluation.data_name,
        protocol=protocol,
        notes=() if evaluation.data is None else (*chosen.data.report.notices, *training_notes(chosen)),
        weights_sha256=subject.weights_sha256,
    )


def _cut_like_training(
    dataset: Any, run: RunFacts, evaluation: EvaluationFacts, task: Task, revision: str | None
) -> ChosenRows:
    """The splits as training made them, of which evaluations without a data set of their own are."""
    is_name = isinstance(dataset, str | Path)
    name = str(dataset) if is_name else "memory"
    given = {key: run.settings[key] for key in DATA_SETTINGS if run.settings.get(key) is not None}
    settings = FinetuneSettings(
        task=str(run.settings.get("task") or task.name),  # translation_en_to_de says which column is which
        model="recorded",
        output="recorded",
        dataset=f"{name}@{revision}" if revision else name,
        **given,
    )
    data = load_task_data(settings, task, None if is_name else dataset, rejected=None)
    return ChosenRows(data, evaluation.split, split_facts(data.report.facts(), evaluation.split))


def _cut_like_evaluation(
    dataset: Any,
    evaluation: EvaluationFacts,
    record: DataFacts,
    subject: Subject,
    task: Task,
    revision: str | None,
) -> ChosenRows:
    protocol = evaluation.protocol
    reading: dict[str, Any] = {
        "columns": dict(record.columns) or None,
        "config": record.config,
        "bad_rows": protocol.get("bad_rows", "raise"),
        "seed": protocol.get("seed", 0),
        "max_rows": protocol.get("limit"),
        "revision": revision,
        "text_unit": record.text_unit,
    }
    if subject.problem_type in (SINGLE_LABEL, REGRESSION):
        reading["problem_type"] = subject.problem_type

    def choose(split: str | None) -> ChosenRows:
        return choose_rows(
            dataset,
            task,
            split,
            subject.runs,
            subject.training_keys,
            reading,
            name=subject.name,
            allow_training_rows=True,
        )

    try:
        return choose(evaluation.split)
    except DataError as error:
        # A single file has no split of that name: its rows were taken as the ones to evaluate, and recorded as `test`.
        try:
            return choose(None)
        except DataError:
            raise error from None
