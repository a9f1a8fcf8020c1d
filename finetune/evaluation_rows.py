"""Which rows a checkpoint is measured on: the split asked for, and never those that it was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cards.facts import DataFacts, RunFacts, SplitFacts
from ..pipelines.errors import DataError, UsageError
from ..pipelines.record_files import given_name
from ..pipelines.tasks import Task
from .training_keys import TrainingKeys

if TYPE_CHECKING:
    from .data import TaskData

ROLES = ("test", "validation")
"""Splits that are evaluated when none is named; the first that is there."""

REFUSED_SHARE = 0.5
"""Share of training rows above which rows are refused; some are in most data, since short texts repeat themselves."""

SPLIT_SETTINGS = ("train_split", "validation_split", "test_split", "validation_fraction", "test_fraction")
"""Settings of a training run that say how its data was cut."""


@dataclass(frozen=True)
class ChosenRows:
    """Rows to evaluate.

    Attributes:
        data: the data set they are of.
        role: key of the split in ``data.splits``.
        split: its facts, under the name that the user gave it.
        trained_on: how many of the rows have a text that the checkpoint was trained on; None where that is not known.
        is_estimate: whether ``trained_on`` is one.
    """

    data: TaskData
    role: str
    split: SplitFacts
    trained_on: int | None = None
    is_estimate: bool = False

    @property
    def is_mostly_training(self) -> bool:
        """Whether numbers on these rows say how well it learnt by heart, rather than how good it is."""
        return (self.trained_on or 0) > REFUSED_SHARE * self.split.rows

    @property
    def trained_on_in_words(self) -> str:
        """For messages: ``3 of the 40 rows``, with ``about`` before an estimate."""
        return f"{'about ' if self.is_estimate else ''}{self.trained_on} of the {self.split.rows} rows"


def choose_rows(
    dataset: Any,
    task: Task,
    split: str | None,
    runs: Sequence[RunFacts],
    training_keys: Sequence[TrainingKeys],
    reading: Mapping[str, Any],
    *,
    name: str,
    allow_training_rows: bool,
) -> ChosenRows:
    """The rows to evaluate.

    Training on one file carves its validation rows out of it. Evaluating on the same file means these rows: it is cut
    as it was for training, which the fingerprint of the training rows proves.

    Args:
        dataset: as for `load_data`.
        task: its row.
        split: as the user named it; None for test, else validation, else the only one.
        runs: facts of the checkpoints that answer, as far as they have any.
        training_keys: of the texts that they were trained on, as far as they have any.
        reading: further arguments of `load_data`.
        name: of the checkpoint, for messages.
        allow_training_rows: whether rows that it was trained on are answered, too.

    Raises:
        DataError: there is no such split, or several and none of them to be chosen.
        UsageError: the checkpoint was trained on most of these rows, and that is not allowed.
    """
    trained, cut = _load_like_training(dataset, task, runs, reading)
    if trained is not None and not training_keys:  # a checkpoint of which only the facts were passed on
        training_keys = [TrainingKeys.of(trained.text_keys["train"])]
    held_out = [role for role in ROLES if role in trained.splits] if trained is not None else []
    if trained is not None and held_out and split in (None, *held_out):
        data, role = trained, split or held_out[0]
        limits = [limit for limit in (reading["max_rows"], cut["max_rows"]) if limit is not None]
        if min(limits, default=None) != cut["max_rows"]:
            data = _load(dataset, task, **{**reading, **cut, "max_rows": min(limits)})
        facts = split_facts(data.report.facts(), role)
    else:
        data, role = _load_split(dataset, task, split, reading)
        facts = split_facts(data.report.facts(), role)
        facts = replace(facts, name=split if split is not None else facts.name)
    counts = [count for keys in training_keys if (count := keys.count(data.text_keys[role])) is not None]
    # of several checkpoints that answer, the one that was trained on most of the rows
    chosen = ChosenRows(data, role, facts, max(counts, default=None), any(keys.is_sample for keys in training_keys))
    if chosen.is_mostly_training and not allow_training_rows:
        raise UsageError(
            f"'{name}' was trained on {chosen.trained_on_in_words} of split {facts.name} of {data.report.name}; "
            "a model is never evaluated on training rows. Give other rows with --dataset or --split, or insist with "
            "--allow-training-rows"
        )
    return chosen


def training_notes(chosen: ChosenRows) -> tuple[str, ...]:
    """A sentence about the rows that the checkpoint was trained on; none where there are none."""
    if not chosen.trained_on:
        return ()
    then = "run.json does not keep these numbers" if chosen.is_mostly_training else "the metrics may be too high"
    return (f"{chosen.trained_on_in_words} have texts that the checkpoint was trained on, so {then}",)


def split_facts(data: DataFacts, role: str) -> SplitFacts:
    """The facts of one split.

    Raises:
        DataError: the data set does not have it.
    """
    found = data.split(role)
    if found is None:
        raise DataError(f"the data set has no {role} split (found: {', '.join(split.name for split in data.splits)})")
    return found


def _load(dataset: Any, task: Task, **reading: Any) -> TaskData:
    from .data import load_data  # datasets and pyarrow take a second to import

    return load_data(dataset, task=task, **reading)


def _load_split(dataset: Any, task: Task, split: str | None, reading: Mapping[str, Any]) -> tuple[TaskData, str]:
    """The data, of which no training split is needed, and the key of the split in it."""
    if split is not None:
        try:
            return _load(dataset, task, test_split=split, need_train=False, **reading), "test"
        except DataError as error:
            missing = re.match(r"--test-split (.*\(found: .*?\))", str(error))
            if missing is None:
                raise
            raise DataError(f"--split {missing[1]}; choose one of these") from error
    data = _load(dataset, task, need_train=False, **reading)
    return data, next((role for role in ROLES if role in data.splits), None) or next(iter(data.splits))


def _load_like_training(
    dataset: Any, task: Task, runs: Sequence[RunFacts], reading: Mapping[str, Any]
) -> tuple[TaskData | None, dict[str, Any]]:
    """The data cut as one of ``runs`` cut it, and the arguments that do so; None if it was not trained on this data."""
    for run in runs:
        recorded = run.data.split("train") if run.data is not None else None
        if run.data is None or recorded is None or not _is_named(dataset, run.data.name):
            continue
        cut = {name: run.settings[name] for name in SPLIT_SETTINGS if run.settings.get(name) is not None}
        cut["max_rows"] = run.settings.get("max_rows")
        if run.seed is not None:
            cut["seed"] = run.seed
        try:
            data = _load(dataset, task, **{**reading, **cut})
        except (DataError, UsageError):
            continue  # a data set of the same name, which need not be one that could be trained on
        if split_facts(data.report.facts(), "train").fingerprint == recorded.fingerprint:
            return data, cut
    return None, {}


def _is_named(dataset: Any, name: str) -> bool:
    """Whether a data set may be the one recorded as ``name``; rows in memory have no name of their own."""
    if not isinstance(dataset, str | Path):
        return True
    return name in (given_name(dataset), str(dataset), str(dataset).partition("@")[0])
