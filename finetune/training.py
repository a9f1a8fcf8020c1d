"""Training from the first check to the facts; one paragraph a phase.

Order matters: whatever can be wrong with the command is found before anything slow begins; the tokenizer is on the
disk before the first step; the numbers are those of the exported weights, read back from the disk.
"""

from __future__ import annotations

import datetime
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..cards.facts import FILE_NAME as FACTS_FILE
from ..cards.facts import RunFacts, TrainingFacts, read_facts, write_facts
from ..pipelines.tasks import find_task
from .divergence import divergence
from .environment import hardware, peak_memory, versions
from .loop import Loop
from .output_folder import SETTINGS_FILE, open_output
from .plan import Plan
from .processes import (
    agreed,
    check_machine,
    first_then_others,
    is_distributed,
    is_first_process,
    said_once,
    start_processes,
)
from .progress import Progress, ProgressBar, Silence, announce
from .run_identity import command_of, identity, plain_settings, public_settings
from .settings import FinetuneSettings
from .step_log import read_log
from .step_reader import StepReader
from .training_data import load_task_data
from .training_keys import TrainingKeys
from .training_state import Position, StateFolder, check_same

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .data import TaskData
    from .dry_run import DryRun


def finetune(task: str, *, model: str, dataset: Any, output: str | Path, **settings: Any) -> RunFacts | DryRun:
    """Trains ``model`` on ``dataset`` and returns the facts; the checkpoint is then in the folder ``output``.

    Args:
        task: name or alias, for instance ``sentiment``.
        model: family to train from scratch (``lstm``), checkpoint folder, or Hub id with ``@revision``.
        dataset: file, folder, glob, URL or Hub id; or a list of dicts, a frame, a ``datasets`` object.
        output: folder for the checkpoint; new or empty, unless ``resume`` or ``overwrite`` is set.
        settings: the fields of `FinetuneSettings`.

    Returns:
        The facts, as they stand in ``run.json``; with ``dry_run`` the plan instead.

    Raises:
        UsageError: settings, names or folders that cannot be.
        DataError: the data set cannot be read or trained on.
        TrainingError: training cannot go on; `InterruptedTraining` when a signal stopped it.
        EndedWithFirst: in the processes beside the first, where it raises one of these.
    """
    name = str(dataset) if isinstance(dataset, str | Path) else "memory"
    given = FinetuneSettings(task=task, model=str(model), dataset=name, output=str(output), **settings)
    return finetune_with(given, None if name != "memory" else dataset)


def finetune_with(settings: FinetuneSettings, rows: Any = None) -> RunFacts | DryRun:
    """As `finetune`, from settings; ``rows`` stands in for ``settings.dataset`` where the data is in memory."""
    # Checks: names, devices and folders, before anything slow. Several processes meet first, to speak with one voice.
    accelerator = start_processes(settings) if is_distributed() else None
    output = Path(settings.output)
    with agreed():
        task = find_task(settings.task)
        recipe_class = task.load_recipe()
        recipe_class.check(settings)
        check_machine(settings)
    if settings.dry_run:
        from .dry_run import dry_run

        return dry_run(settings, rows)
    accelerator = accelerator or start_processes(settings)
    with agreed():
        if is_first_process():
            open_output(output, resume=settings.resume, overwrite=settings.overwrite)
    with agreed():
        finished = finished_run(settings, output)
    if finished:
        return finished

    # Data, model and tokenizer: the first process prepares what is kept on the disk, the others read it.
    def prepare() -> tuple[TaskData, StateFolder, Any]:
        if is_first_process():
            (output / SETTINGS_FILE).write_text(public_settings(settings).to_toml(), encoding="utf-8")
        data = load_task_data(settings, task, rows, rejected=output / "rejected.jsonl")
        state = StateFolder(output, identity(settings, data))
        if is_first_process():
            announce(data.report)
            state.claim()
        return data, state, recipe_class.start(task, settings, data, state.folder)

    data, state, recipe = first_then_others(prepare)
    given, settings = settings, recipe.settings

    # Training.
    with said_once():
        position = train(recipe, accelerator, state)

    # Export: the best weights, calibrated, written once and read back for all that follows.
    with agreed():
        if is_first_process():
            recipe.conclude(None if position.best_step is None else state.load_best(position.best_step), output)
            calibration = recipe.calibrate() if settings.calibrate else None
            recipe.export(output)
            TrainingKeys.of(data.text_keys["train"]).write(output)
            evaluations = recipe.evaluate_export(output, data)

            # Facts and pictures.
            facts = RunFacts(
                task=task.name,
                checkpoint_name=output.resolve().name,
                command=command_of(given),
                settings=plain_settings(settings),
                changed_settings=public_settings(given).changed(),
                seed=settings.seed,
                versions=versions(),
                hardware=hardware(),
                data=data.report.facts(),
                training=_training_facts(position, accelerator, recipe, output),
                calibration=calibration,
                evaluations=evaluations,
                finished=datetime.datetime.now(datetime.UTC).date().isoformat(),
                **recipe.facts(output),
            )
            draw_pictures(output, facts)
            write_facts(facts, output)
            if not settings.keep_state:
                state.remove()
    return read_facts(output)


def finished_run(settings: FinetuneSettings, output: Path) -> RunFacts | None:
    """The facts of a run that ``--resume`` finds finished; None where there is something left to do.

    Raises:
        TrainingError: it was another run.
    """
    if not settings.resume or not (output / FACTS_FILE).exists():
        return None
    facts = read_facts(output)
    before = FinetuneSettings.from_toml(output / SETTINGS_FILE)
    check_same(identity(before), identity(settings))
    return facts


HEADS = ("num_attention_heads", "n_head", "encoder_attention_heads", "num_heads", "heads")
"""What configurations call the number of heads of their attention."""


def make_plan(recipe: Any) -> Plan:
    """The plan of the run of ``recipe``, whose settings are resolved."""
    settings, rows = recipe.settings, len(recipe.rows)
    steps_per_epoch = -(-rows // settings.batch_size)
    return Plan(rows, settings.batch_size, settings.max_steps or settings.epochs * steps_per_epoch, settings.seed)


SCORES = 2**24
"""Attention scores of a layer in a part of a step, at most: 64 MB in float32, of which a layer keeps several copies.

With dropout torch has no attention on a CPU that keeps none of them: MiniLM on 16 texts of 384 tokens, 28 million
scores a layer, took 7.3 GB.
"""


def batch_pairs(model: Any, device: str) -> int | None:
    """Pairs of tokens whose scores a part of a step may hold; None where memory does not grow with them.

    Args:
        model: in training; its configuration names the heads of its attention, if it has any.
        device: cpu, or one where attention keeps no scores.
    """
    config = model.config.to_dict() if hasattr(model, "config") else {}
    heads = next((config[name] for name in HEADS if isinstance(config.get(name), int)), 0)
    return max(1, SCORES // heads) if heads and device == "cpu" else None


def make_loop(recipe: Any, accelerator: Accelerator, state: StateFolder | None, progress: Progress) -> Loop:
    """The loop over the plan of ``recipe``; without ``state`` it writes nothing."""
    plan, settings = make_plan(recipe), recipe.settings
    reader = StepReader(
        recipe,
        recipe.rows,
        plan,
        accumulation=settings.accumulation,
        batch_tokens=settings.batch_tokens,
        batch_pairs=batch_pairs(recipe.model, accelerator.device.type),
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    return Loop(recipe.model, recipe, reader, plan, settings, accelerator, state, progress)


def train(recipe: Any, accelerator: Accelerator, state: StateFolder) -> Position:
    """Trains the model of ``recipe`` in place, from the start or from the saved state."""
    if recipe.settings.track:
        config = {
            name: value if isinstance(value, str | int | float) else str(value)
            for name, value in plain_settings(recipe.settings).items()
        }
        accelerator.init_trackers("quintet", config=config)
    progress = ProgressBar(recipe.metric) if accelerator.is_main_process else Silence()
    try:
        return make_loop(recipe, accelerator, state, progress).run()
    finally:
        for tracker in accelerator.trackers:  # end_training() would also take the processes apart
            tracker.finish()


def draw_pictures(output: Path, facts: RunFacts) -> None:
    """Draws ``curves.png``, and ``confusion.png`` of the last split measured."""
    from .curves import draw_curves
    from .plots import confusion_matrix

    if facts.training and facts.training.metric:
        draw_curves(output, facts.training.metric, facts.training.best_step)
    for evaluation in facts.evaluations[-1:]:
        if evaluation.confusion is not None:
            confusion_matrix(evaluation.confusion, evaluation.labels, output / "confusion.png", title=evaluation.split)


def _training_facts(position: Position, accelerator: Accelerator, recipe: Any, output: Path) -> TrainingFacts:
    memory, lines = peak_memory(), list(read_log(output))
    last = [line for line in lines if line["epoch"] == lines[-1]["epoch"]]
    # the last step of an epoch may have fewer rows than the others
    summed = sum(line.get("loss", math.nan) * line["rows"] for line in last)
    notes = divergence(lines, recipe.loss_of_guessing, recipe.settings.learning_rate)
    for note in notes:
        warnings.warn(note, RuntimeWarning, stacklevel=3)
    return TrainingFacts(
        steps=position.step,
        epochs=round(position.samples / len(recipe.rows), 4),
        metric=recipe.metric,
        best_step=position.best_step,
        best_metric=position.best_metric,
        seconds=round(position.seconds, 3),
        samples_per_second=round(position.samples / max(position.step_seconds, 1e-9), 3),
        peak_memory_bytes=memory.bytes,
        peak_gpu_memory_bytes=memory.gpu_bytes,
        early_stopped=position.stopped_by == "early stopping",
        stopped_by=position.stopped_by,
        processes=accelerator.num_processes,
        threads=torch.get_num_threads(),
        precision=recipe.settings.precision,
        device=accelerator.device.type,
        train_loss=summed / sum(line["rows"] for line in last) if last and not math.isnan(summed) else None,
        resumes=position.resumes,
        notes=notes,
    )
