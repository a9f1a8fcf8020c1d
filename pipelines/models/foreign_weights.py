"""Weights that other libraries wrote: which family they are of, and all of them under our keys or none.

foreign_layouts.py maps the keys. What is missing, what is too much and what has another shape is found before anything
is loaded, and is told together. Checked in tests/pipelines/test_conversion.py by equal logits against the foreign
networks, written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from ..errors import WeightsError, unknown_name
from .foreign_layouts import (
    RESNET_BLOCKS,
    ForeignModel,
    State,
    read_alexnet,
    read_cifar_resnet,
    read_resnet,
    read_vgg,
    read_vit,
)
from .resnet_cifar import PUBLISHED_DEPTHS

COUNTER = "num_batches_tracked"
"""How many batches a norm has seen: files older than torch 0.4.1 lack it, and it changes no answer."""


@dataclass(frozen=True)
class ForeignFamily:
    """A family whose foreign weights can be read.

    Attributes:
        name: as in the table of families.
        layouts: whose keys are known.
        read: a state dictionary and the heads, where the user gave them, to what it becomes.
    """

    name: str
    layouts: str
    read: Callable[[State, int | None], ForeignModel]


FOREIGN_FAMILIES: tuple[ForeignFamily, ...] = (
    ForeignFamily("alexnet", "torchvision", read_alexnet),
    *(ForeignFamily(f"vgg{depth}", "torchvision", partial(read_vgg, depth)) for depth in (11, 13, 16, 19)),
    *(ForeignFamily(f"resnet-{depth}", "torchvision, timm", partial(read_resnet, depth)) for depth in RESNET_BLOCKS),
    *(
        ForeignFamily(f"resnet-{depth}", "akamaster, chenyaofo", partial(read_cifar_resnet, depth))
        for depth in PUBLISHED_DEPTHS
    ),
    ForeignFamily("vit", "timm", read_vit),
)


def find_foreign_family(name: str) -> ForeignFamily:
    """The row of `FOREIGN_FAMILIES` with this name.

    Raises:
        UnknownNameError: there is none.
    """
    for row in FOREIGN_FAMILIES:
        if row.name == name:
            return row
    raise unknown_name("family of foreign weights", name, [row.name for row in FOREIGN_FAMILIES])


def recognise(state: State) -> ForeignFamily | None:
    """The family whose keys these are, all of them and no others; None where there is none."""
    for row in FOREIGN_FAMILIES:
        keys = row.read(state, 1).keys  # which do not depend on the heads
        if _missing(keys, state) == [] and set(state) <= set(keys):
            return row
    return None


def translate(
    state: State, keys: Mapping[str, tuple[str, ...]], shapes: Mapping[str, torch.Size], *, name: str, family: str
) -> dict[str, torch.Tensor]:
    """The weights under our keys, floats as float32.

    Args:
        state: theirs.
        keys: their key -> ours, as in ``ForeignModel``.
        shapes: our key -> shape that the model expects.
        name: how errors call the file.
        family: how errors call the model.

    Raises:
        WeightsError: keys are missing, unexpected or of another shape; all of them are listed.
    """
    wrong = []
    for key, ours in keys.items():
        shape = tuple(shapes[ours[0]])
        expected = shape if len(ours) == 1 else (len(ours) * shape[0], *shape[1:])
        if key in state and tuple(state[key].shape) != expected:
            wrong.append(f"{key} is {tuple(state[key].shape)}, expected {expected}")
    kinds = {"missing": _missing(keys, state), "unexpected": sorted(set(state) - set(keys)), "wrong shape": wrong}
    misfit = "; ".join(f"{kind} {', '.join(entries)}" for kind, entries in kinds.items() if entries)
    if misfit:
        other = recognise(state)
        advice = f"convert it as {other.name}" if other and other.name != family else "check which model wrote it"
        raise WeightsError(f"the weights of '{name}' do not fit {family}: {misfit}; {advice}.")
    translated = {}
    for key, ours in keys.items():
        given = state.get(key, torch.zeros((), dtype=torch.int64))  # only counters may be absent
        tensor = given.float() if given.is_floating_point() else given
        parts = tensor.chunk(len(ours)) if len(ours) > 1 else [tensor]
        translated |= dict(zip(ours, parts, strict=True))
    return translated


def _missing(keys: Mapping[str, tuple[str, ...]], state: State) -> list[str]:
    return [key for key in keys if key not in state and not key.endswith(COUNTER)]
