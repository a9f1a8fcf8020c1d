"""Measuring a checkpoint: its answers on labelled rows, as facts that anyone can compute again.

    load the rows -> answer through the pipeline -> measure, as the task's recipe does -> write

The rows go through the same pipeline that users call, windows of long texts included. Rows that the checkpoint was
trained on are counted, and refused where they are most of them.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ..cards.facts import MOST_RESAMPLES, EvaluationFacts
from ..pipelines.errors import UsageError
from ..pipelines.factory import pipeline
from ..pipelines.tasks import TASKS, find_task, in_languages
from .environment import command
from .evaluation_record import read_subject, write_evaluation
from .evaluation_rows import choose_rows, training_notes
from .label_matching import parse_label_map
from .measuring import Conditions, Progress, evaluation_facts, measure_split
from .problems import REGRESSION, SEGMENTATION, SINGLE_LABEL, problem_of


def evaluate(
    checkpoint: str | Path,
    *,
    dataset: Any,
    task: str | None = None,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    config: str | None = None,
    label_map: Mapping[str, str] | str | None = None,
    output: str | Path | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    fast: bool = False,
    bad_rows: Literal["raise", "skip"] = "raise",
    seed: int = 0,
    bootstrap: int = 1000,
    limit: int | None = None,
    text_unit: str | None = None,
    allow_training_rows: bool = False,
    trust_remote_code: bool = False,
    progress: Progress | None = None,
) -> EvaluationFacts:
    """The metrics of a checkpoint on one split of a data set, with 95 % intervals, baselines and worst mistakes.

    Beside a checkpoint of your own they are kept in its ``run.json`` (an earlier evaluation of the same rows is
    replaced), with ``confusion.png``, ``reliability.png`` and ``mistakes.jsonl`` in ``evaluation/<data>-<split>``. For
    a checkpoint of the Hub, an embedded one or one in a read-only folder, give ``output``.

    Args:
        checkpoint: folder, Hub id with ``@revision``, embedded name, or a task's name for its default checkpoint.
        dataset: whatever `load_data` reads: file, folder, Hub id, list of dicts, frame …
        task: name or alias; default: what the checkpoint says, else text-classification.
        split: name, or slice such as ``train[:100]``; default: test, else validation, else the only one.
        columns: the task's name of a column -> the data set's.
        config: of a Hub data set.
        label_map: the data set's label -> the checkpoint's, where they differ; also as ``0=negative,1=positive``.
        output: folder for pictures, mistakes and ``evaluation.json``.
        batch_size: texts a batch; default: automatic.
        device: ``cpu``, ``cuda`` …; default: the best there is.
        dtype: ``float32``, ``bfloat16``, ``float16`` or ``auto``.
        fast: bfloat16 where the hardware has units for it.
        bad_rows: whether a row that cannot be used stops the evaluation or is left out and counted.
        seed: of the bootstrap and of the choice of rows for ``limit``.
        bootstrap: resamples for the intervals; 0 leaves them out.
        limit: rows at most.
        text_unit: what a row of plain text is, ``lines``, ``documents`` or ``blocks`` of one text, for tasks that only
            read text; default: as in training, else the task's own.
        allow_training_rows: measure even where the checkpoint was trained on most of these rows.
        trust_remote_code: run the code that a checkpoint of others brings along.
        progress: called while rows are answered.

    Raises:
        UsageError: names or values that cannot be, or rows most of which the checkpoint was trained on.
        DataError: the data cannot be read, or its labels are not the checkpoint's.
        WeightsError: the checkpoint cannot be loaded.
    """
    label_map = parse_label_map(label_map) if isinstance(label_map, str) else dict(label_map or {})
    _check_numbers(limit, bootstrap)
    task_name, is_default = _find_task_name(checkpoint, task)
    row = find_task(task_name)
    recipe = row.load_recipe()
    pipe = pipeline(
        task_name,
        None if is_default else checkpoint,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        fast=fast,
        trust_remote_code=trust_remote_code,
    )
    subject = read_subject(checkpoint, pipe, row, is_default=is_default)
    row = in_languages(row, pipe.languages)
    reading = {"columns": columns, "config": config, "bad_rows": bad_rows, "seed": seed, "max_rows": limit}
    if subject.problem_type in (SINGLE_LABEL, REGRESSION):
        reading["problem_type"] = subject.problem_type
    asked = [run.settings["text_unit"] for run in subject.runs if run.settings.get("text_unit") is not None]
    reading["text_unit"] = text_unit or next(iter(asked), None)
    if problem_of(row) == SEGMENTATION:  # in a mask a class is a number; its name is what training called it
        named = [run.settings["label_names"] for run in subject.runs if run.settings.get("label_names")]
        reading["label_names"] = next(iter(named), None)
    chosen = choose_rows(
        dataset,
        row,
        split,
        subject.runs,
        subject.training_keys,
        reading,
        name=subject.name,
        allow_training_rows=allow_training_rows,
    )
    data, data_facts = chosen.data, chosen.data.report.facts()
    conditions = Conditions(
        labels=subject.labels,
        problem_type=subject.problem_type or data.problem_type,
        bootstrap=bootstrap,
        seed=seed,
        label_map=label_map,
        training=subject.training_split,
        progress=progress,
    )
    changed = {
        "task": task,
        "split": split,
        "columns": columns,
        "config": config,
        "label_map": label_map or None,
        "limit": limit,
        "text_unit": text_unit,
        "dtype": dtype,
        "fast": fast or None,
        "bad_rows": None if bad_rows == "raise" else bad_rows,
        "seed": seed or None,
        "bootstrap": None if bootstrap == 1000 else bootstrap,
        "allow_training_rows": allow_training_rows or None,
    }
    start = time.perf_counter()
    measured = measure_split(recipe, pipe, data, chosen.role, conditions)
    notes = training_notes(chosen)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    seconds = time.perf_counter() - start
    facts = evaluation_facts(
        measured,
        conditions,
        chosen.split,
        data=replace(data_facts, splits=(chosen.split,)),
        checkpoint=subject.name,
        weights_sha256=subject.weights_sha256,
        protocol={
            "bad_rows": bad_rows,
            "dtype": subject.dtype,
            "label_map": dict(label_map),
            "limit": limit,
            "revision": subject.revision,
            "weights_sha256": dict(subject.weights),
        },
        device=subject.device,
        seconds=round(seconds, 3),
        command=command(("quintet", "evaluate", str(checkpoint)), {"dataset": data_facts.name} | changed),
        notes=(*data.report.notices, *notes),
        training_rows=chosen.trained_on,
    )
    # run.json is about one task; `verify` would measure these rows by it
    is_its_task = all(run.task == row.name for run in subject.runs)
    keep = is_its_task and not chosen.is_mostly_training
    write_evaluation(facts, subject, output, measured.draw, keep=keep)
    return facts


def _find_task_name(checkpoint: str | Path, task: str | None) -> tuple[str, bool]:
    """The task, and whether ``checkpoint`` is its name and so means the default checkpoint."""
    if isinstance(checkpoint, str) and _is_task(checkpoint) and not Path(checkpoint).is_dir():
        return checkpoint, True
    return task or _stated_task(Path(checkpoint)) or "text-classification", False


def _stated_task(folder: Path) -> str | None:
    """The task in the config of a local folder, if it is one of ours."""
    try:
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("task")
    except (OSError, ValueError, AttributeError):  # loading the checkpoint says what is wrong with the file
        return None
    return stated if _is_task(stated) else None


def _is_task(name: Any) -> bool:
    return any(name in (row.name, *row.aliases) for row in TASKS)


def _check_numbers(limit: int | None, bootstrap: int) -> None:
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}, expected 1 row or more")
    if not 0 <= bootstrap <= MOST_RESAMPLES:
        raise UsageError(f"--bootstrap is {bootstrap}, expected 0 to {MOST_RESAMPLES:,} resamples")
