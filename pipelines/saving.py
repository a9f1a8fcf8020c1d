"""Checkpoints written to disk: whole or not at all, loadable by Quintet and by plain transformers."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .checkpoint_sources import CONFIG_FILE
from .checkpoints import DTYPES, Checkpoint
from .errors import UsageError, WeightsError
from .image_processor import ImageProcessor
from .models.building import NETWORK_PREFIX, adapter_classes
from .models.families import own_family
from .models.family import LABELLED_HEADS
from .tokenization import TextTokenizer
from .transformers_loading import label_names, quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


LABELLED_CLASSES = tuple(head.removeprefix("AutoModel") for head in LABELLED_HEADS)
"""How the classes of models end whose heads tell classes apart."""


def save_checkpoint(
    model: Checkpoint | PreTrainedModel,
    tokenizer: TextTokenizer | None,
    folder: str | Path,
    *,
    images: ImageProcessor | None = None,
    labels: Sequence[str] | None = None,
    task: str | None = None,
    dtype: str = "float32",
) -> list[str]:
    """The names of the files written: config.json, model.safetensors, the tokenizer's, and our own families' code.

    Everything is written beside the folder's files first and moved at the end, config.json last; a failure leaves what
    was there. In a new folder all files appear at once. Files of other names stay.

    Args:
        model: a checkpoint or a live model; peft's additions must have been merged.
        tokenizer: what the model was trained with; None for one that reads no texts.
        images: what prepares its pictures; None for one that reads none.
        folder: made if it does not exist.
        labels: names of the classes in the order of their ids; None keeps the model's.
        task: the task that it was trained for; None keeps the model's, if it has one.
        dtype: number format of the weight file: float32, float16 or bfloat16. It is computed with float32 in any case.

    Raises:
        UsageError: ``dtype`` is none of these, or ``labels`` are not as many as the model has.
        WeightsError: the folder cannot be written to.
    """
    if dtype not in DTYPES:
        raise UsageError(f"dtype is '{dtype}', expected one of {', '.join(DTYPES)}.")
    folder = Path(folder)
    live = _live_model(model) if isinstance(model, Checkpoint) else model
    if labels is not None and len(labels) != live.config.num_labels:
        raise UsageError(
            f"{len(labels)} labels were given for a model with {live.config.num_labels}; name each class once."
        )
    known_task = model.config.task if isinstance(model, Checkpoint) else getattr(live.config, "task", None)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, since only within one file system a move is all or nothing.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            written = Path(temporary) / "checkpoint"
            _write(live, tokenizer, images, written, labels=labels, task=task or known_task, dtype=DTYPES[dtype])
            names = sorted(path.name for path in written.iterdir())
            _move(written, folder)
    except OSError as error:
        raise WeightsError(
            f"the checkpoint cannot be written to folder '{folder.name}' ({error.strerror or error}); what was "
            "there is untouched. Choose a folder that is writable and has room."
        ) from error
    return names


def _write(
    model: PreTrainedModel,
    tokenizer: TextTokenizer | None,
    images: ImageProcessor | None,
    folder: Path,
    *,
    labels: Sequence[str] | None,
    task: str | None,
    dtype: torch.dtype,
) -> None:
    with quiet_transformers():
        model.save_pretrained(folder, state_dict=_portable(model.state_dict(), dtype))
    if tokenizer is not None:
        tokenizer.save(folder)
    if images is not None:
        images.save(folder, task)
    path = folder / CONFIG_FILE
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if labels is not None or has_labelled_head(model):
        names = labels or label_names(model.config)
        config["id2label"] = {str(index): name for index, name in enumerate(names)}
        config["label2id"] = {name: index for index, name in enumerate(names)}
        config["problem_type"] = model.config.problem_type
    # Said of fp16 files too: transformers would otherwise compute in fp16.
    config["dtype"] = "float32"
    if tokenizer is not None and not model.can_generate():  # else it would be how much to write
        # transformers counts max_length among the settings of text generation and does not keep it.
        config["max_length"] = tokenizer.max_length
    config["task"] = task
    config.pop("_name_or_path", None)
    kept = {key: value for key, value in config.items() if value is not None}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def has_labelled_head(model: PreTrainedModel) -> bool:
    """Whether a model tells classes apart, whose names its configuration holds; other heads get names all the same."""
    return type(model).__name__.endswith(LABELLED_CLASSES)


def _portable(state: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Copies of the weights on the CPU, each in memory of its own, floats as ``dtype``; shared weights stay shared.

    On CUDA torch keeps the weights of a recurrent layer as views of one buffer, which safetensors refuses.
    """
    copies: dict[tuple[Any, ...], torch.Tensor] = {}
    portable = {}
    for key, tensor in state.items():
        identity = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)
        if identity not in copies:
            target = dtype if tensor.is_floating_point() else tensor.dtype
            copies[identity] = tensor.detach().to("cpu", target, copy=True).contiguous()
        portable[key] = copies[identity]
    return portable


def _move(source: Path, target: Path) -> None:
    # safetensors writes files that only their owner may read; weights are as public as the files beside them
    mode = (source / CONFIG_FILE).stat().st_mode
    for path in source.iterdir():
        if path.is_file():
            path.chmod(mode)
    if not target.exists():
        os.replace(source, target)
        return
    for path in sorted(source.iterdir(), key=lambda path: path.name == CONFIG_FILE):
        if (target / path.name).is_dir():
            shutil.rmtree(target / path.name)
        os.replace(path, target / path.name)


def _live_model(checkpoint: Checkpoint) -> PreTrainedModel:
    """The checkpoint's model as transformers knows it, with the weights that it has now."""
    if not checkpoint.light:
        return checkpoint.model  # type: ignore[return-value]
    family = own_family(checkpoint.config.raw)
    if family is None:
        raise WeightsError(f"checkpoint '{checkpoint.name}' is of no family that this version of Quintet knows.")
    config_class, adapter_class = adapter_classes(family)
    model = adapter_class(config_class.from_dict(dict(checkpoint.config.raw)))
    weights = {f"{NETWORK_PREFIX}{key}": tensor for key, tensor in checkpoint.model.state_dict().items()}
    model.load_state_dict(weights)
    return model
