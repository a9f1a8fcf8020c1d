"""``pipeline()``: a task's pipeline with a checkpoint, ready to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint_sources import embedded_names, find_checkpoint, read_config
from .devices import find_device
from .errors import UsageError, unknown_name
from .tasks import TASKS, Task, find_task, task_options

if TYPE_CHECKING:
    import torch

    from .base import OnError, Pipeline
    from .checkpoints import Checkpoint

# The ending of an embedded checkpoint's name says which script it is for; the one without an entry takes the rest.
SCRIPTS = {"zh": "han"}


def pipeline(
    task: str | Path | None = None,
    model: Any = None,
    *,
    device: int | str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    batch_size: int | None = None,
    on_error: OnError = "raise",
    fast: bool = False,
    revision: str | None = None,
    trust_remote_code: bool = False,
    tokenizer: Any = None,
    image_processor: Any = None,
    **options: Any,
) -> Pipeline:
    """A pipeline for ``task``, with the calls and answers of ``transformers.pipeline``.

    Args:
        task: a name or alias from the table that ``quintet tasks`` prints, for instance ``sentiment``; or a checkpoint
            as for ``model``, which then says its task itself: ``pipeline("me/reviews")``.
        model: an embedded checkpoint's name, a folder, a Hub id (``name`` or ``name@revision``), or a loaded model of
            transformers; None takes the task's embedded default.
        device: ``cpu``, ``cuda:0`` …; a number is a graphics card and -1 the CPU; None takes the accelerator if there
            is one.
        dtype: ``float32`` (None: exact), ``bfloat16``, ``float16``, or ``auto`` for the checkpoint's own.
        batch_size: samples per batch; None packs batches by their size in tokens, which is faster.
        on_error: ``raise``, or ``record`` to get ``{"error": "why"}`` in place of a bad input's answer.
        fast: computes in bfloat16 where device and model gain by it: the device computes bfloat16 products natively,
            and the model is no recurrent one on a CPU. With a MiniLM 99.8 % of 600 labels stayed the same.
        revision: commit, tag or branch of a Hub checkpoint.
        trust_remote_code: lets a checkpoint run the code that it brings.
        tokenizer: of a loaded model; a folder or Hub id, or a tokenizer of transformers.
        image_processor: the same of a model that reads pictures.
        options: what the task's calls take, for all calls: ``top_k``, ``neutral`` …

    Raises:
        UnknownNameError: there is no such task or option.
        UsageError: an argument has a value it cannot have.
        WeightsError: the checkpoint cannot be loaded.
    """
    options = task_options(str(task)) | options
    row, model, revision = _choose_task(task, model, revision)
    check_options(row, options)
    from .checkpoints import load_checkpoint
    from .packed_linear import pack_linear_layers

    place = find_device(device)
    kind = _choose_dtype(dtype, fast)

    def load(name: Any) -> Checkpoint:
        checkpoint = load_checkpoint(
            name,
            task=row.name,
            device=place,
            dtype=kind,
            revision=revision,
            trust_remote_code=trust_remote_code,
            tokenizer=tokenizer,
            image_processor=image_processor,
        )
        if isinstance(name, str | Path):  # a live model is its owner's
            pack_linear_layers(checkpoint.model)
        return checkpoint

    settings: dict[str, Any] = {"batch_size": batch_size, "on_error": on_error, **options}
    if model is None:
        first, others = default_checkpoints(row)
        if others:
            settings["others"] = {script: lambda name=name: load(name) for script, name in others.items()}
        model = first
    pipeline_class = row.load_pipeline()
    return pipeline_class(load(model), **settings)


def check_options(task: Task, options: Collection[str], caller: Callable[..., Any] | None = None) -> None:
    """Checks names of options before anything is loaded.

    Args:
        task: whose pipeline gets them.
        options: their names.
        caller: a function that passes what it does not know itself on to `pipeline`.

    Raises:
        UnknownNameError: one of them means nothing to the task; the message lists the arguments that do, those of
            ``caller`` and `pipeline` too.
    """
    if not options:
        return
    known = {*_parameters(pipeline), *(_parameters(caller) if caller else ()), *task.load_pipeline().option_names}
    for name in options:
        if name not in known:
            raise unknown_name("option", name, known, hint="docs/pipelines.md describes them.")


def _parameters(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.VAR_KEYWORD]


def default_checkpoints(task: Task) -> tuple[str, dict[str, str]]:
    """The embedded checkpoint of a task for most texts, and those for texts in other scripts, by script."""
    by_script = {SCRIPTS.get(name.rpartition("-")[2], ""): name for name in task.default}
    if not by_script:
        raise UsageError(f"the task {task.name} has no default checkpoint; give one with model=.")
    first = by_script.pop("", None) or by_script.pop(next(iter(by_script)))
    return first, by_script


def _choose_task(task: Any, model: Any, revision: str | None) -> tuple[Task, Any, str | None]:
    """The task and the checkpoint meant, by a task's name, a checkpoint, or both; None for the task's default.

    Third is the revision that is still to be looked up: none where the checkpoint is named with its commit.
    """
    if task is not None and (model is not None or not _is_checkpoint(task)):
        return find_task(task), model, revision
    model = model if task is None else task
    if model is None:
        raise UsageError(
            "pipeline() needs a task, for instance pipeline('sentiment'), or a checkpoint that says its own; "
            "`quintet tasks` lists the tasks."
        )
    if not isinstance(model, str | Path):
        name, config = type(model).__name__, getattr(model, "config", None)
        raw = config.to_dict() if config is not None else {}
    else:
        place = find_checkpoint(model, revision=revision)
        name, raw = place.name, read_config(place)
        if place.repository is not None:
            model, revision = f"{place.repository}@{place.revision}", None  # the commit whose configuration was read
    stated = raw.get("task")
    if stated is None:
        endings = {ending: row.name for row in reversed(TASKS) for ending in row.architectures}
        classes = [str(each) for each in raw.get("architectures") or ()]
        stated = next((row for ending, row in endings.items() if any(each.endswith(ending) for each in classes)), None)
    if stated is None:
        raise UsageError(
            f"checkpoint '{name}' does not say which task it is for; name the task, for instance "
            f"pipeline('sentiment', model='{name}'); `quintet tasks` lists them."
        )
    return find_task(str(stated)), model, revision


def _is_checkpoint(text: Any) -> bool:
    """Whether what was given as the task is a checkpoint, and no misspelt task."""
    if not isinstance(text, str):
        return isinstance(text, Path)
    if any(text in (row.name, *row.aliases) for row in TASKS) or task_options(text):
        return False
    return "/" in text or "@" in text or text in embedded_names() or Path(text).is_dir()


def _choose_dtype(dtype: Any, fast: bool) -> str:
    if dtype is None:
        return "fast" if fast else "float32"
    name = str(dtype).removeprefix("torch.")
    if name not in ("float32", "bfloat16", "float16", "auto"):
        raise UsageError(f"dtype is {dtype!r}; expected float32, bfloat16, float16 or auto.")
    if fast and name != "bfloat16":
        raise UsageError(f"fast=True chooses the dtype, but dtype={name!r} was given; leave one of them out.")
    return name
