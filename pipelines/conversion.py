"""`quintet convert`: weights that another library wrote, made a checkpoint folder that Quintet and transformers load.

A state dictionary holds no labels and does not say how pictures were prepared. Labels are given or stay numbered; size,
mean and deviation are given, or those with which the library trains such models, and are returned so that they
can be shown.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from .errors import UsageError, WeightsError
from .image_processor import ImageProcessor, PictureSettings
from .models.foreign_layouts import ForeignModel
from .models.foreign_weights import FOREIGN_FAMILIES, find_foreign_family, recognise, translate
from .saving import save_checkpoint
from .weights import check_weight_file, read_weights, refused_pickle

TASK = "image-classification"

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Under which of these a training script keeps the weights, beside epoch, optimizer and the like."""

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every key."""


@dataclass(frozen=True)
class Conversion:
    """What was converted, and how its pictures will be prepared.

    Attributes:
        family: as in the table of families.
        files: names of the files written.
        parameters: how many numbers the weights are.
        labels: names of the classes in the order of their ids.
        image_size: pixels of the sides of the square that a picture is brought to.
        mean: of each channel, of values in [0, 1].
        std: of each channel.
        are_statistics_given: whether mean and deviation were given; else they are the library's usual ones.
    """

    family: str
    files: tuple[str, ...]
    parameters: int
    labels: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    are_statistics_given: bool


def convert(
    source: str | Path | Mapping[str, Any],
    folder: str | Path,
    *,
    family: str | None = None,
    labels: Sequence[str] | None = None,
    image_size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    heads: int | None = None,
) -> Conversion:
    """Writes foreign weights as a checkpoint for image classification; nothing is written unless all of them fit.

    Args:
        source: a file (safetensors, or a pickle of nothing but tensors), a folder with one, or the mapping itself.
        folder: where the checkpoint goes; made if it does not exist.
        family: one of ``foreign_families()``; None finds it out by the keys.
        labels: names of the classes in the order of their ids; None numbers them, as transformers does.
        image_size: pixels of the sides of a picture; None takes what such models are usually given. The size of a ViT
            is fixed by its weights.
        mean: of each channel, of values in [0, 1], that the model was trained with; None takes the library's usual one.
        std: of each channel, likewise; given with ``mean``.
        heads: of a ViT of unpublished size; no tensor shows them.

    Raises:
        UsageError: an argument is wrong, or does not go with the weights.
        WeightsError: the file cannot be read, is of no family that is known, or its keys do not fit; all that do not
            are listed.
    """
    state, name = _read_state(source)
    row = find_foreign_family(family) if family is not None else recognise(state)
    if row is None:
        known = ", ".join(foreign_families())
        raise WeightsError(
            f"'{name}' has {len(state)} tensors ({', '.join(sorted(state)[:3])}, …), whose keys are those of no family "
            f"that can be converted; name the one it is meant to be, to see what does not fit: {known}."
        )
    foreign = row.read(state, heads)
    if heads is not None and "num_attention_heads" not in foreign.fields:
        raise UsageError(f"heads is {heads}, and '{name}' is a {row.name}, which has none; leave it out.")
    names = _labels(labels, foreign.num_labels, name)
    size, statistics = _pictures(foreign, image_size, mean, std)
    model = _empty_model(foreign, names)
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    weights = translate(state, foreign.keys, shapes, name=name, family=row.name)
    model.load_state_dict(weights, assign=True)  # in place of the tensors without memory
    files = save_checkpoint(model, None, folder, images=_processor(foreign, size, statistics), labels=names, task=TASK)
    return Conversion(
        family=row.name,
        files=tuple(files),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        labels=names,
        image_size=size,
        mean=statistics[0],
        std=statistics[1],
        are_statistics_given=mean is not None,
    )


def foreign_families() -> tuple[str, ...]:
    """Names of the families whose foreign weights can be converted."""
    return tuple(row.name for row in FOREIGN_FAMILIES)


def _read_state(source: str | Path | Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], str]:
    """The tensors by their keys, wrappers and prefixes taken off, and how errors call them."""
    if isinstance(source, Mapping):
        return _unwrap(source, "the mapping"), "the mapping"
    path = Path(source)
    name = path.name
    if path.is_dir():
        return _unwrap(read_weights(path, name=name), name), name
    if not path.is_file():
        raise UsageError(f"there is no file '{name}' to convert; give a .safetensors or .pth file, or their folder.")
    if path.suffix == ".safetensors":
        check_weight_file(path, name=name)
        try:
            return _unwrap(load_file(path), name), name
        except SafetensorError as error:
            raise WeightsError(f"{name} is broken ({error}); fetch it again.") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise refused_pickle(path.name, name=name) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{name} is neither safetensors nor written by torch.save, or it is cut off ({error}); fetch it again."
        ) from error
    return _unwrap(content, name), name


def _unwrap(content: Any, name: str) -> dict[str, torch.Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(key, str) and isinstance(tensor, torch.Tensor) for key, tensor in content.items())
    ):
        raise WeightsError(
            f"'{name}' is no mapping of names to tensors, nor has one under {', '.join(WRAPPERS)}; save the model's "
            "state_dict()."
        )
    state = dict(content)
    for prefix in PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state


def _labels(labels: Sequence[str] | None, count: int, name: str) -> tuple[str, ...]:
    if labels is None:
        return tuple(f"LABEL_{index}" for index in range(count))
    if len(labels) != count or len(set(labels)) != count:
        raise UsageError(
            f"{len(labels)} labels ({len(set(labels))} different ones) were given, and '{name}' tells {count} classes "
            "apart; name each class once, in the order of their ids."
        )
    return tuple(labels)


def _pictures(
    foreign: ForeignModel, image_size: int | None, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[int, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Size, and mean and deviation of each channel."""
    is_own = "channels" in foreign.fields
    if foreign.channels != 3 and not (is_own and foreign.channels == 1):
        raise UsageError(
            f"the weights are for pictures of {foreign.channels} channels, expected {'1 or 3' if is_own else '3'}."
        )
    if "image_size" in foreign.fields and image_size not in (None, foreign.image_size):
        raise UsageError(f"image_size is {image_size}, and the weights are for {foreign.image_size}; leave it out.")
    if image_size is not None and image_size < 1:
        raise UsageError(f"image_size is {image_size}, expected a number of pixels.")
    if mean is None and std is None:
        if foreign.channels != 3:
            raise UsageError("the weights are for grey pictures, whose mean and deviation vary; pass mean= and std=.")
        return image_size or foreign.image_size, foreign.statistics
    if mean is None or std is None or not len(mean) == len(std) == foreign.channels or min(std) <= 0:
        raise UsageError(
            f"mean is {mean} and std is {std}, expected {foreign.channels} numbers each, one a channel, std above 0."
        )
    return image_size or foreign.image_size, (tuple(map(float, mean)), tuple(map(float, std)))


def _empty_model(foreign: ForeignModel, labels: tuple[str, ...]) -> Any:
    """The model that a state dictionary becomes, its tensors without memory."""
    fields = {
        **foreign.fields,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": "single_label_classification",
    }
    with torch.device("meta"):
        return _load(foreign.model)(_load(foreign.config)(**fields)).eval()


def _processor(
    foreign: ForeignModel, size: int, statistics: tuple[tuple[float, ...], tuple[float, ...]]
) -> ImageProcessor:
    """What prepares the pictures: as transformers' own ResNets and ViTs have it; ours are given the whole picture."""
    if "channels" in foreign.fields:
        return ImageProcessor(PictureSettings(size, size, foreign.channels, *statistics))
    from PIL.Image import Resampling
    from transformers import ConvNextImageProcessorPil, ViTImageProcessorPil

    numbers: dict[str, Any] = {"image_mean": list(statistics[0]), "image_std": list(statistics[1])}
    if "patch_size" in foreign.fields:
        square = {"height": size, "width": size}
        return ImageProcessor(None, ViTImageProcessorPil(size=square, resample=Resampling.BICUBIC, **numbers))
    # The middle 7/8 of the picture, as torchvision evaluates: 224 of 256 pixels.
    numbers |= {"crop_pct": 7 / 8, "resample": Resampling.BILINEAR}
    return ImageProcessor(None, ConvNextImageProcessorPil(size={"shortest_edge": size}, **numbers))


def _load(dotted: str) -> Any:
    """``module:Class`` of the folder of models, or of transformers."""
    module, _, name = dotted.partition(":")
    path = module if module == "transformers" else f".models.{module}"
    return getattr(importlib.import_module(path, __package__), name)
