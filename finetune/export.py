"""From final weights to a measured checkpoint: calibrated, written, read back, and measured as a user would have it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cards.facts import CalibrationFacts, EvaluationFacts
from ..pipelines.checkpoints import load_checkpoint
from ..pipelines.integrity import sha256
from ..pipelines.tasks import find_task
from ..pipelines.weights import WEIGHTS_FILE
from .calibration import fit_temperature, fold_temperature
from .environment import command
from .evaluation_rows import split_facts
from .measuring import Conditions, evaluation_facts, measure_split
from .metrics import expected_calibration_error
from .run_identity import public_settings
from .settings import FinetuneSettings
from .text_inputs import inputs_of_split
from .training_keys import TrainingKeys

if TYPE_CHECKING:
    from .data import TaskData

FEWEST_ROWS = 50
"""Validation rows that a temperature is fitted on at least; on a handful of rows it is noise."""


def calibrated(pipeline: Any, validation: Any, labels: Sequence[str]) -> CalibrationFacts | None:
    """Divides the logits of a pipeline's model, in place, by the temperature that suits ``validation`` best.

    Args:
        pipeline: around the model with its final weights; it tells classes apart.
        validation: split with single labels.
        labels: class names.

    Returns:
        What it changed; None where there are too few rows or the last layer could not be found, and the model is as
        before.
    """
    if len(validation) < FEWEST_ROWS:
        return None
    targets = np.asarray(validation["label"][:])
    logits, probabilities = [], []
    for output in pipeline.outputs(inputs_of_split(validation)):
        # of a long text the windows' mean: a temperature acts on each window alike
        logits.append(np.average(np.stack(output.windows), axis=0, weights=output.lengths))
        probabilities.append(pipeline.merge(output))
    temperature = fit_temperature(np.stack(logits), targets)
    if not fold_temperature(pipeline.model, temperature, len(labels), batch=_few(pipeline, validation)):
        return None
    after = [pipeline.merge(output) for output in pipeline.outputs(inputs_of_split(validation))]
    return CalibrationFacts(
        temperature=temperature,
        ece_before=expected_calibration_error(np.stack(probabilities), targets),
        ece_after=expected_calibration_error(np.stack(after), targets),
        split="validation",
        count=len(targets),
    )


def _few(pipeline: Any, validation: Any) -> dict[str, Any] | None:
    """Two pictures as the model reads them, to see what a change of its weights does; None for texts: any tokens do."""
    if "image" not in validation.column_names:
        return None
    windows = pipeline.samples(list(validation[:2]["image"]), pipeline.options)
    batch = pipeline.batch([windows[0][0]])
    return {name: tensor.to(pipeline.device) for name, tensor in batch.items()}


def measured_export(output: Path, data: TaskData, settings: FinetuneSettings, task: str) -> tuple[EvaluationFacts, ...]:
    """The metrics of the checkpoint in ``output`` on validation and test, as far as there are, in this order.

    Args:
        output: a checkpoint folder.
        data: what it was trained on.
        settings: of the run; those about the data go into the command that repeats the measurement.
        task: the task's name.
    """
    row = find_task(task)
    checkpoint = load_checkpoint(output, task=task, device=settings.device, dtype="float32")
    pipeline = row.load_pipeline().from_checkpoint(checkpoint)
    public = public_settings(settings)
    reading = {"dataset": public.dataset, "columns": public.columns or None, "config": public.dataset_config}
    reading["text_unit"] = public.text_unit
    facts, evaluations = data.report.facts(), []
    conditions = Conditions(
        labels=tuple(data.labels or ()), problem_type=data.problem_type, training=split_facts(facts, "train")
    )
    for name in ("validation", "test"):
        if not len(data.splits.get(name, ())):
            continue
        started = time.perf_counter()
        measured = measure_split(row.load_recipe(), pipeline, data, name, conditions)
        evaluations.append(
            evaluation_facts(
                measured,
                conditions,
                split_facts(facts, name),
                data_name=facts.name,
                checkpoint=output.resolve().name,
                weights_sha256=weights_sha256(output),
                device=next(checkpoint.model.parameters()).device.type,
                seconds=round(time.perf_counter() - started, 3),
                command=command(("quintet", "evaluate", str(output)), reading | {"split": name}),
                training_rows=TrainingKeys.of(data.text_keys["train"]).count(data.text_keys[name]),
            )
        )
    return tuple(evaluations)


def weights_sha256(folder: Path) -> str | None:
    """The hash of a checkpoint's weight file; None where its weights are in several."""
    file = folder / WEIGHTS_FILE
    return sha256(file) if file.is_file() else None
