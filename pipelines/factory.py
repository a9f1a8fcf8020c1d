"""``pipeline()``: a task's pipeline with a checkpoint, ready to be called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .tasks import Task, find_task

if TYPE_CHECKING:
    import torch

    from .base import OnError, Pipeline
    from .checkpoints import Checkpoint

# The ending of an embedded checkpoint's name says which script it is for; the one without an entry takes the rest.
SCRIPTS = {"zh": "han"}


def pipeline(
    task: str | None = None,
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
    **options: Any,
) -> Pipeline:
    """A pipeline for ``task``, with the calls and answers of ``transformers.pipeline``.

    Args:
        task: a name or alias from the table that ``quintet tasks`` prints, for instance ``sentiment``.
        model: an embedded checkpoint's name, a folder, a Hub id (``name`` or ``name@revision``), or a loaded model of
            transformers; None takes the task's embedded default.
        device: ``cpu``, ``cuda:0`` …; a number is a graphics card and -1 the CPU; None takes the accelerator if there
            is one.
        dtype: ``float32`` (None: exact), ``bfloat16``, ``float16``, or ``auto`` for the checkpoint's own.
        batch_size: samples per batch; None packs batches by their size in tokens, which is faster.
        on_error: ``raise``, or ``record`` to get ``{"error": "why"}`` in place of a bad input's answer.
        fast: computes in bfloat16 where the device has matrix units for it. With a MiniLM and 600 texts no label
            changed, and no score by more than 0.02.
        revision: commit, tag or branch of a Hub checkpoint.
        trust_remote_code: lets a checkpoint run the code that it brings.
        tokenizer: of a loaded model; a folder or Hub id, or a tokenizer of transformers.
        options: what the task's calls take, for all calls: ``top_k``, ``neutral`` …

    Raises:
        UnknownNameError: there is no such task or option.
        UsageError: an argument has a value it cannot have.
        WeightsError: the checkpoint cannot be loaded.
    """
    if task is None:
        raise UsageError("pipeline() needs a task, for instance pipeline('sentiment'); `quintet tasks` lists them.")
    row = find_task(task)
    from .checkpoints import load_checkpoint

    place = find_device(device)
    kind = _choose_dtype(dtype, fast, place)

    def load(name: Any) -> Checkpoint:
        return load_checkpoint(
            name,
            task=row.name,
            device=place,
            dtype=kind,
            revision=revision,
            trust_remote_code=trust_remote_code,
            tokenizer=tokenizer,
        )

    settings: dict[str, Any] = {"batch_size": batch_size, "on_error": on_error, **options}
    if model is None:
        first, others = default_checkpoints(row)
        if others:
            settings["others"] = {script: lambda name=name: load(name) for script, name in others.items()}
        model = first
    pipeline_class = row.load_pipeline()
    return pipeline_class(load(model), **settings)


def default_checkpoints(task: Task) -> tuple[str, dict[str, str]]:
    """The embedded checkpoint of a task for most texts, and those for texts in other scripts, by script."""
    by_script = {SCRIPTS.get(name.rpartition("-")[2], ""): name for name in task.default}
    if not by_script:
        raise UsageError(f"the task {task.name} has no default checkpoint; give one with model=.")
    first = by_script.pop("", None) or by_script.pop(next(iter(by_script)))
    return first, by_script


def find_device(device: int | str | torch.device | None) -> torch.device:
    """The device meant; for None the accelerator of this machine, else its CPU.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is None:
        return accelerator or torch.device("cpu")
    if isinstance(device, int) and (device < 0 or accelerator is None):
        return torch.device("cpu")  # as in transformers, where device=0 means: the first accelerator, if there is one
    try:
        found = (
            torch.device(accelerator.type, device) if isinstance(device, int) and accelerator else torch.device(device)
        )
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"device is {device!r}; expected cpu, a number, or for instance cuda:0.") from error
    known = {"cpu", "meta", *([accelerator.type] if accelerator else [])}
    if found.type not in known:
        raise UsageError(
            f"device is {device!r}, which this machine does not have; it has {', '.join(sorted(known - {'meta'}))}."
        )
    count = torch.accelerator.device_count() if accelerator and found.type == accelerator.type else 1
    if (found.index or 0) >= count:
        raise UsageError(f"device is {device!r}, but this machine has {count} of that kind, counted from 0.")
    return found


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether ``device`` has units for bfloat16 matrices; elsewhere bfloat16 is slower than float32."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return device.type in ("xpu", "hpu", "mps")


def _choose_dtype(dtype: Any, fast: bool, device: torch.device) -> Any:
    if dtype is None:
        return "bfloat16" if fast and has_bfloat16_units(device) else "float32"
    name = str(dtype).removeprefix("torch.")
    if name not in ("float32", "bfloat16", "float16", "auto"):
        raise UsageError(f"dtype is {dtype!r}; expected float32, bfloat16, float16 or auto.")
    if fast and name != "bfloat16":
        raise UsageError(f"fast=True chooses the dtype, but dtype={name!r} was given; leave one of them out.")
    return name
