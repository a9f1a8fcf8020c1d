"""Checkpoints: from a name to a model with its tokenizer, ready to give logits.

Checkpoints of our own families load here without transformers and without running any code that lies in their
folder. All others load through transformers' Auto classes.
"""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .checkpoint_sources import Place, find_checkpoint, public_name, read_config
from .devices import has_bfloat16_units
from .errors import UsageError, WeightsError
from .image_processor import PROCESSOR_FILE, ImageProcessor
from .models.building import NETWORK_PREFIX, build_network
from .models.families import Family, own_family
from .tasks import TASKS, Task, find_task
from .tokenization import TOKENIZER_FILE, TOKENIZER_SETTINGS_FILE, TextTokenizer
from .weights import WEIGHTS_FILE, fit_weights, read_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GENERATION_FILE = "generation_config.json"

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class CheckpointConfig:
    """What ``config.json`` says.

    Attributes:
        labels: names of the classes in the order of their ids; of a regression the names of its values.
        problem_type: as transformers names it; None where the checkpoint does not say.
        task: the task that a checkpoint of Quintet was trained for; None for others.
        model_type: the architecture, for instance ``bert`` or ``quintet-recurrent``.
        max_length: the most tokens the model takes, special tokens included; None if there is no limit.
        raw: the whole content.
    """

    labels: tuple[str, ...]
    problem_type: str | None
    task: str | None
    model_type: str
    max_length: int | None
    raw: Mapping[str, Any]


@dataclass
class Checkpoint:
    """A model with what prepares its inputs.

    Attributes:
        name: embedded name, base name of the folder, or Hub id; never a path.
        folder: where it was read from; None for a model that lives in memory only.
        config: what its ``config.json`` says.
        model: the plain network where ``light``, else a ``PreTrainedModel``.
        text_tokenizer: makes the batches of texts that the model reads; None for one that reads none.
        image_processor: makes pictures into what the model reads; None for one that reads none.
        light: whether it was loaded without transformers.
        revision: commit of the Hub repository; None for others.
        generation: where ``light``, content of ``generation_config.json``: how it writes unless asked otherwise.
        new_weights: names of the model's weights that were drawn at random, those of a new head.
    """

    name: str
    folder: Path | None
    config: CheckpointConfig
    model: torch.nn.Module
    text_tokenizer: TextTokenizer | None
    light: bool
    image_processor: ImageProcessor | None = None
    revision: str | None = None
    generation: Mapping[str, Any] = field(default_factory=dict)
    new_weights: frozenset[str] = frozenset()

    @property
    def tokenizer(self) -> TextTokenizer:
        """What makes the batches of texts that the model reads.

        Raises:
            UsageError: it reads no texts.
        """
        if self.text_tokenizer is None:
            raise UsageError(f"checkpoint '{self.name}' reads no texts; use it with `quintet run {self.config.task}`.")
        return self.text_tokenizer

    @property
    def images(self) -> ImageProcessor:
        """What makes pictures into what the model reads.

        Raises:
            UsageError: it reads no pictures.
        """
        if self.image_processor is None:
            raise UsageError(f"checkpoint '{self.name}' reads no pictures; use it for the task it was trained for.")
        return self.image_processor

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def logits(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Logits ``(batch, labels)`` on the model's device, in its number format.

        Args:
            batch: ``(batch, length)`` int64 tensors as ``tokenizer.pad`` gives them, on any device.
        """
        outputs = self.outputs(batch)
        return outputs if self.light else outputs.logits

    def outputs(self, batch: Mapping[str, torch.Tensor]) -> Any:
        """All that the model gives: the network's tensor where ``light``, else a ``ModelOutput`` of transformers.

        Args:
            batch: as for ``logits``.
        """
        moved = {key: tensor.to(self.device) for key, tensor in batch.items() if key in self._accepted}
        return self.model(**moved) if self.light else self.model(**moved, **self._switches)

    @cached_property
    def _accepted(self) -> frozenset[str]:
        """Names of what the model reads; a tokenizer may give more, token types for instance."""
        return frozenset(inspect.signature(self.model.forward).parameters)

    @cached_property
    def _switches(self) -> dict[str, bool]:
        # A decoder would otherwise keep keys and values for tokens that never come.
        return {"use_cache": False} if "use_cache" in self._accepted else {}


def load_checkpoint(
    model: str | Path | PreTrainedModel,
    *,
    task: str | None = None,
    device: str | torch.device | None = None,
    dtype: str = "float32",
    revision: str | None = None,
    trust_remote_code: bool = False,
    tokenizer: str | Path | TextTokenizer | PreTrainedTokenizerBase | None = None,
    image_processor: Any = None,
    light: bool = True,
    new_head: bool = False,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
) -> Checkpoint:
    """The checkpoint that the user means, in evaluation mode.

    Args:
        model: an embedded name, a folder, a Hub id with or without ``@revision``, or a live ``PreTrainedModel``.
        task: the task it is wanted for; a checkpoint trained for one that does not do for it is refused. None takes the
            checkpoint's own, or text classification where it does not say.
        device: where the weights go; the CPU if None.
        dtype: number format of the weights: float32, bfloat16, float16, auto for the checkpoint's own, or fast for
            bfloat16 where device and model gain by it and float32 elsewhere.
        revision: branch, tag or commit of a Hub repository.
        trust_remote_code: whether code that lies in the checkpoint may run; never needed for families of our own.
        tokenizer: another one than the checkpoint's: a name as for ``model``, or a live one.
        image_processor: another one than the checkpoint's, and that of a live model that reads pictures: a name as
            for ``model``, or one of transformers.
        light: whether a checkpoint of our own families is loaded as a plain network, without transformers.
        new_head: for training: whether a head that is missing, or is for other labels, is drawn at random.
            Loads through transformers.
        labels: with ``new_head``, the names of the classes in the order of their ids; None keeps the checkpoint's.
        problem_type: with ``new_head``, as transformers names it.

    Raises:
        UsageError: the name means nothing, or an argument is wrong.
        WeightsError: the checkpoint cannot be fetched, is damaged, does not fit its configuration, or has no trained
            head.
    """
    if not isinstance(model, (str, Path)):
        wants_texts = task is None or find_task(task).reads_texts
        return _from_live(model, tokenizer, device, _number_format(dtype, None, device), image_processor, wants_texts)
    place = find_checkpoint(model, revision=revision)
    raw = read_config(place)
    family = own_family(raw)
    number_format = _number_format(dtype, family, device)
    row = _row_for(raw, task, place.name) if not (new_head and task) else find_task(task)
    if family is None and str(raw.get("model_type", "")).startswith("quintet-"):
        raise WeightsError(
            f"checkpoint '{place.name}' is of type {raw['model_type']}, which this version of Quintet does not know; "
            "upgrade Quintet."
        )
    if family is not None:
        files = (TOKENIZER_FILE, TOKENIZER_SETTINGS_FILE) if family.reads_texts else ()
        for file in (WEIGHTS_FILE, *files, *((PROCESSOR_FILE,) if family.reads_pictures else ())):
            place.fetch(file)
        if family.rewrites:
            place.fetch(GENERATION_FILE)
        if light and not new_head and image_processor is None:
            return _load_light(place, raw, family, tokenizer, device, number_format)
    from .transformers_loading import load_image_processor, load_model, load_tokenizer

    live, new_weights = load_model(
        place,
        raw,
        row,
        dtype=number_format,
        trust_remote_code=trust_remote_code,
        new_head=new_head,
        labels=labels,
        problem_type=problem_type,
    )
    if raw.get("task") is None and task is not None and not new_head:
        # Heads of several tasks have the same names and shapes; transformers loads one in the place of the other.
        _check_accepted(row, _tasks_of_head(raw), place.name)
    images = _given_images(image_processor)
    if images is None and family is not None and family.reads_pictures:
        images = ImageProcessor.from_folder(place.folder, channels=live.config.channels, name=place.name)
    elif images is None and row.reads_pictures:
        images = ImageProcessor(None, load_image_processor(place, trust_remote_code=trust_remote_code))
    text_tokenizer = _given_tokenizer(tokenizer)
    if text_tokenizer is None and row.reads_texts:
        if family is not None:
            text_tokenizer = TextTokenizer.from_folder(place.folder, name=place.name)
        else:
            loaded = load_tokenizer(place, raw, trust_remote_code=trust_remote_code)
            text_tokenizer = TextTokenizer.from_transformers(loaded)
    checkpoint = from_model(live, text_tokenizer, images=images, name=place.name, folder=place.folder)
    checkpoint.model.to(device)
    checkpoint.revision, checkpoint.new_weights = place.revision, new_weights
    return checkpoint


def from_model(
    model: PreTrainedModel,
    tokenizer: TextTokenizer | None,
    *,
    images: ImageProcessor | None = None,
    name: str | None = None,
    folder: Path | None = None,
) -> Checkpoint:
    """A checkpoint around a live model, a model in training for instance; the model itself, not a copy.

    A padding id that its configuration lacks is set there, so that it is saved with the model.

    Args:
        model: any model of transformers, or one from ``build_model``.
        tokenizer: what it was trained with; None for one that reads no texts.
        images: what prepares its pictures; None for one that reads none.
        name: how errors call it; by default its Hub id, or the base name of the folder it was loaded from.
        folder: where it was read from, if it was.
    """
    from .transformers_loading import label_names

    config = model.config
    if tokenizer is not None:
        if getattr(config, "pad_token_id", None) is None:
            # GPT-2 and its like find a text's end by this id, and refuse batches where it is not set.
            config.pad_token_id = tokenizer.pad_id
        limits = [limit for limit in (tokenizer.max_length, position_limit(model)) if limit is not None]
        tokenizer.max_length = min(limits, default=None)
    raw = config.to_dict()
    return Checkpoint(
        name=name or public_name(str(config.name_or_path or "model")),
        folder=folder,
        config=CheckpointConfig(
            labels=label_names(config),
            problem_type=config.problem_type,
            task=raw.get("task"),
            model_type=config.model_type,
            max_length=tokenizer.max_length if tokenizer is not None else None,
            raw=raw,
        ),
        model=model,
        text_tokenizer=tokenizer,
        image_processor=images,
        light=False,
    )


def position_limit(model: PreTrainedModel) -> int | None:
    """The most tokens for which the model has positions; None if it has no such limit."""
    for name, module in model.named_modules():
        # RoBERTa and its like count positions from behind the padding id: 514 of them are enough for 512 tokens.
        if (
            name.endswith("position_embeddings")
            and isinstance(module, torch.nn.Embedding)
            and module.padding_idx is not None
        ):
            return module.num_embeddings - module.padding_idx - 1
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None


def _load_light(
    place: Place,
    raw: Mapping[str, Any],
    family: Family,
    tokenizer: Any,
    device: str | torch.device | None,
    number_format: torch.dtype | None,
) -> Checkpoint:
    config = _light_config(raw, family, place.name)
    network = build_network(family, raw, name=place.name)
    tensors = read_weights(place.folder, name=place.name)
    own = {
        key.removeprefix(NETWORK_PREFIX): tensor for key, tensor in tensors.items() if key.startswith(NETWORK_PREFIX)
    }
    foreign = {key: tensor for key, tensor in tensors.items() if not key.startswith(NETWORK_PREFIX)}
    fit_weights(network, {**own, **foreign}, name=place.name)
    network.to(device=device, dtype=number_format or DTYPES.get(str(raw.get("dtype")), torch.float32))
    text_tokenizer = images = None
    if family.reads_texts:
        text_tokenizer = _given_tokenizer(tokenizer) or TextTokenizer.from_folder(place.folder, name=place.name)
        text_tokenizer.max_length = config.max_length or text_tokenizer.max_length
    if family.reads_pictures:
        images = ImageProcessor.from_folder(place.folder, channels=raw["channels"], name=place.name)
    return Checkpoint(
        name=place.name,
        folder=place.folder,
        config=config,
        model=network.eval().requires_grad_(False),
        text_tokenizer=text_tokenizer,
        image_processor=images,
        light=True,
        revision=place.revision,
        generation=_generation_config(place),
    )


def _generation_config(place: Place) -> dict[str, Any]:
    """How the checkpoint writes unless asked otherwise; empty where it does not say.

    Raises:
        WeightsError: the file is not a JSON object.
    """
    path = place.folder / GENERATION_FILE
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(
            f"{GENERATION_FILE} of checkpoint '{place.name}' is not JSON ({error}); fetch the checkpoint again."
        ) from error
    if not isinstance(found, Mapping):
        raise WeightsError(f"{GENERATION_FILE} of checkpoint '{place.name}' is no JSON object; fetch it again.")
    return {name: value for name, value in found.items() if value is not None}


def _light_config(raw: Mapping[str, Any], family: Family, name: str) -> CheckpointConfig:
    try:
        by_id = {int(index): str(label) for index, label in raw["id2label"].items()} if family.has_labels else {}
        labels = tuple(by_id[index] for index in range(len(by_id)))
    except (KeyError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"config.json of checkpoint '{name}' has no id2label from 0 upwards, which names its labels; "
            "save or fetch the checkpoint again."
        ) from error
    return CheckpointConfig(
        labels=labels,
        problem_type=raw.get("problem_type"),
        task=raw.get("task"),
        model_type=str(raw["model_type"]),
        max_length=raw.get("max_length"),
        raw=dict(raw),
    )


def _given_tokenizer(given: Any) -> TextTokenizer | None:
    """The tokenizer that the user asked for in place of the checkpoint's; None if she did not."""
    if given is None or isinstance(given, TextTokenizer):
        return given
    if not isinstance(given, (str, Path)):
        return TextTokenizer.from_transformers(given)
    from .transformers_loading import load_tokenizer

    place = find_checkpoint(given)
    return TextTokenizer.from_transformers(load_tokenizer(place, read_config(place), trust_remote_code=False))


def _from_live(
    model: Any,
    tokenizer: Any,
    device: str | torch.device | None,
    number_format: torch.dtype | None,
    image_processor: Any,
    wants_texts: bool,
) -> Checkpoint:
    if not hasattr(model, "config") or not isinstance(model, torch.nn.Module):
        raise UsageError(
            f"model is {type(model).__name__}, expected a name, a folder, a Hub id, or a model of transformers."
        )
    source = getattr(model.config, "name_or_path", None) or None
    given = _given_tokenizer(tokenizer) or (_given_tokenizer(source) if wants_texts else None)
    if given is None and wants_texts:
        raise UsageError("a live model was given without its tokenizer; pass tokenizer= as well.")
    reads_pictures = getattr(model, "main_input_name", "") == "pixel_values"
    images = _given_images(image_processor or source) if reads_pictures else None
    if images is None and reads_pictures:
        raise UsageError("a live model was given without its image processor; pass image_processor= as well.")
    moved = model.to(device=device, dtype=number_format).eval()
    if given is not None and getattr(moved.config, "pad_token_id", None) is None:
        # It will be set, which must not show in the user's own model: the same weights under another configuration.
        moved = copy.copy(moved)
        moved.config = copy.deepcopy(moved.config)
    return from_model(moved, given, images=images)  # type: ignore[arg-type]


def _given_images(given: Any) -> ImageProcessor | None:
    """The image processor that the user gave, or that lies where her model came from; None where nothing is known."""
    if given is None or isinstance(given, ImageProcessor):
        return given
    if not isinstance(given, (str, Path)):
        return ImageProcessor(None, given)
    from .transformers_loading import load_image_processor

    return ImageProcessor(None, load_image_processor(find_checkpoint(given), trust_remote_code=False))


def _number_format(dtype: str, family: Family | None, device: str | torch.device | None) -> torch.dtype | None:
    if dtype == "fast":
        place = torch.device(device or "cpu")
        is_slower = place.type == "cpu" and family is not None and family.is_recurrent
        return torch.float32 if is_slower or not has_bfloat16_units(place) else torch.bfloat16
    if dtype != "auto" and dtype not in DTYPES:
        raise UsageError(f"dtype is '{dtype}', expected one of {', '.join(DTYPES)}, auto.")
    return DTYPES.get(dtype)


def _row_for(raw: Mapping[str, Any], task: str | None, name: str) -> Task:
    """The task that a checkpoint is loaded for.

    Raises:
        UsageError: it was trained for another one, which does not do.
    """
    trained_for = raw.get("task")
    if task is None:
        stated = [row for row in TASKS if row.name == trained_for]
        return stated[0] if stated else find_task("text-classification")
    row = find_task(task)
    if trained_for is not None:
        _check_accepted(row, [trained_for], name)
    return row


def _check_accepted(row: Task, others: Sequence[str], name: str) -> None:
    """Nothing, if a checkpoint for one of the tasks ``others`` does for the task ``row``.

    Raises:
        UsageError: it does not.
    """
    if others and row.name not in others and not {"*", *others} & set(row.accepts):
        raise UsageError(
            f"checkpoint '{name}' was trained for {others[0]}, not for {row.name}; use it with "
            f"`quintet run {others[0]}`."
        )


def _tasks_of_head(raw: Mapping[str, Any]) -> list[str]:
    """The tasks that the head of a checkpoint of transformers is for; none where that is not known."""
    classes = [str(each) for each in raw.get("architectures") or ()]
    endings = {ending for row in TASKS for ending in row.architectures}
    found = {ending for ending in endings if any(each.endswith(ending) for each in classes)}
    return [row.name for row in TASKS if found & set(row.architectures)]
