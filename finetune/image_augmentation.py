"""Pictures changed at random while training, with their boxes and masks: which operations, how strong, in what order.

    augmentation = parse_augmentation("flip,crop,colour=0.2")
    changed = augment_pictures(augmentation, batch, seed=0, epoch=3)

What happens to a picture follows from (seed, epoch, row number) alone (`row_draws`), whatever batch it comes in; only
the partners of mixup, cutmix and mosaic are other rows of the same step. The order is fixed: operations on colours
first, on the whole picture; then everything geometric as one map, so that pixels are interpolated once
(`picture_geometry`); then the erased rectangle; then what joins several pictures (`picture_mixing`). Boxes and masks go
with their picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipelines.errors import MissingExtraError, ShapeError, UsageError, unknown_name
from .row_draws import RowDraws

if TYPE_CHECKING:
    import torch


def _operation(usual: float, largest: float, meaning: str) -> Any:
    return field(default=0.0, metadata={"usual": usual, "largest": largest, "meaning": meaning})


@dataclass(frozen=True)
class Augmentation:
    """The strength of each operation; 0 leaves it out. In text ``flip,crop=0.25``: a name alone has its usual one."""

    flip: float = _operation(0.5, 1.0, "probability of a mirror image, left for right")
    crop: float = _operation(0.125, 1.0, "padding before a window of the same size is cut out, fraction of the side")
    shift: float = _operation(0.0625, 1.0, "farthest shift, fraction of the side")
    scale: float = _operation(0.1, 0.9, "largest change of size, fraction")
    rotate: float = _operation(15.0, 180.0, "largest angle, degrees")
    colour: float = _operation(0.4, 1.0, "largest change of brightness, contrast and saturation, fraction")
    hue: float = _operation(0.05, 0.5, "farthest turn of the hues, full turns")
    erase: float = _operation(0.5, 1.0, "probability that a rectangle is erased (Zhong et al. 2017)")
    randaugment: float = _operation(9.0, 30.0, "magnitude of two operations drawn out of 14 (Cubuk et al. 2019)")
    mixup: float = _operation(0.2, 10.0, "alpha of the share of the other picture (Zhang et al. 2017)")
    cutmix: float = _operation(1.0, 10.0, "alpha of the area cut out of the other picture (Yun et al. 2019)")
    mosaic: float = _operation(0.5, 1.0, "probability that four pictures become one (Bochkovskiy et al. 2020)")

    def __post_init__(self) -> None:
        """Raises UsageError where a strength is outside its range."""
        for each in fields(self):
            strength, largest = getattr(self, each.name), each.metadata["largest"]
            if not 0 <= strength <= largest:
                raise UsageError(
                    f"--augmentation {each.name}={strength:g} is out of range; expected a number from 0 to {largest:g} "
                    f"({each.metadata['meaning']})"
                )

    def __str__(self) -> str:
        """The text that `parse_augmentation` reads; ``none`` without operations."""
        named = {each.name: (getattr(self, each.name), each.metadata["usual"]) for each in fields(self)}
        parts = [
            name if strength == usual else f"{name}={strength:g}"
            for name, (strength, usual) in named.items()
            if strength
        ]
        return ",".join(parts) or "none"

    @property
    def mixes_labels(self) -> bool:
        """Whether a picture can have a share of the label of another one."""
        return bool(self.mixup or self.cutmix)


MEANINGS: Mapping[str, str] = {
    each.name: f"{each.metadata['meaning']}; usually {each.metadata['usual']:g}" for each in fields(Augmentation)
}
"""Name of each operation -> what the number after it means, for help and documents."""


def parse_augmentation(text: str) -> Augmentation:
    """The description that a text such as ``flip,crop,colour=0.2`` or ``randaugment`` stands for; ``none`` for nothing.

    Raises:
        UsageError: an operation does not exist, is named twice, or its strength is no number or out of range.
    """
    usual = {each.name: each.metadata["usual"] for each in fields(Augmentation)}
    strengths: dict[str, float] = {}
    for part in (part.strip() for part in text.split(",")):
        name, has_strength, strength = (piece.strip() for piece in part.partition("="))
        if name == "none" and text.strip() == "none":
            return Augmentation()
        if name not in usual:
            raise unknown_name(
                "operation of --augmentation", name, [*usual, "none"], hint="Use for instance flip,crop."
            )
        if name in strengths:
            raise UsageError(f"--augmentation {text} names {name} twice; leave one of them out")
        try:
            strengths[name] = float(strength) if has_strength else usual[name]
        except ValueError as error:
            raise UsageError(
                f"--augmentation {part} is no strength; expected a number ({MEANINGS[name]}), as in "
                f"{name}={usual[name]:g}"
            ) from error
    return Augmentation(**strengths)


@dataclass(frozen=True)
class Objects:
    """The objects of one picture.

    Attributes:
        boxes: (objects, 4) float32: x and y of the upper left corner, width, height, in pixels of the batch's pictures.
        categories: (objects,) int64.
    """

    boxes: torch.Tensor
    categories: torch.Tensor


@dataclass(frozen=True)
class PictureBatch:
    """Pictures of one size, and what goes with them.

    Attributes:
        pictures: (batch, channels, height, width), uint8, or floating in [0, 1]; 1 or 3 channels.
        rows: (batch,) their row numbers in the data set.
        objects: of each picture, for detection.
        masks: (batch, height, width) class indices of any integer type, for segmentation; `UNLABELLED` where unknown.
    """

    pictures: torch.Tensor
    rows: np.ndarray
    objects: Sequence[Objects] | None = None
    masks: torch.Tensor | None = None


@dataclass(frozen=True)
class AugmentedBatch:
    """The changed pictures, of the same shape and type as they were given.

    Attributes:
        pictures: (batch, channels, height, width).
        objects: of each picture, clipped to it; those of which too little is left are gone.
        masks: (batch, height, width); `UNLABELLED` where nothing of the picture is.
        partners: (batch,) int64: place in the batch of the picture that was mixed in; None without mixup and cutmix.
        shares: (batch,) float32 in [0, 1]: weight of the picture's own label, the rest is its partner's.
    """

    pictures: torch.Tensor
    objects: tuple[Objects, ...] | None = None
    masks: torch.Tensor | None = None
    partners: torch.Tensor | None = None
    shares: torch.Tensor | None = None


UNLABELLED = 255
"""The index in a mask of pixels whose class is not known."""


def augment_pictures(
    augmentation: Augmentation, batch: PictureBatch, *, seed: int, epoch: int, fill: float = 0.0
) -> AugmentedBatch:
    """The pictures of a step, changed as ``augmentation`` says.

    Args:
        augmentation: which operations, how strong.
        batch: the pictures; they are not changed in place.
        seed: of the run.
        epoch: counted from 0.
        fill: value of pixels that no pixel of the picture falls on, in [0, 1], 0 for black, 1 for white.

    Raises:
        MissingExtraError: kornia is not installed.
        ShapeError: the parts of the batch do not fit each other.
        UsageError: mixup or cutmix for objects or masks, mosaic without objects or masks, or a change of colours for
            pictures with values outside [0, 1].
    """
    check_augmentation(augmentation, has_places=batch.objects is not None or batch.masks is not None)
    _check(batch)
    from . import picture_colours, picture_geometry, picture_mixing

    draws = RowDraws(seed, epoch, np.asarray(batch.rows))
    objects = None if batch.objects is None else tuple(batch.objects)
    pictures = picture_colours.recoloured(batch.pictures, augmentation, draws)
    matrices = picture_geometry.drawn_matrices(augmentation, draws, (pictures.shape[2], pictures.shape[3]))
    pictures, objects, masks = picture_geometry.warped(pictures, objects, batch.masks, matrices, fill=fill)
    if augmentation.erase:
        pictures, masks = picture_colours.erased(pictures, masks, augmentation.erase, draws)
    if augmentation.mosaic:
        pictures, objects, masks = picture_mixing.mosaics(pictures, objects, masks, augmentation.mosaic, draws)
    if not augmentation.mixes_labels:
        return AugmentedBatch(pictures, objects, masks)
    pictures, partners, shares = picture_mixing.mixed(pictures, augmentation.mixup, augmentation.cutmix, draws)
    return AugmentedBatch(pictures, objects, masks, partners, shares)


def check_augmentation(augmentation: Augmentation, *, has_places: bool) -> None:
    """Nothing, if ``augmentation`` can be done here; ``has_places`` where objects or masks go with the pictures.

    Raises:
        MissingExtraError: kornia is not installed.
        UsageError: an operation means nothing for these pictures.
    """
    if has_places and augmentation.mixes_labels:
        name = "mixup" if augmentation.mixup else "cutmix"
        raise UsageError(
            f"--augmentation {name} mixes the labels of whole pictures, but these have boxes or masks; use mosaic "
            "instead"
        )
    if augmentation.mosaic and not has_places:
        raise UsageError(
            "--augmentation mosaic joins pictures with boxes or masks, but these have one label each; use cutmix "
            "instead"
        )
    if augmentation != Augmentation() and find_spec("kornia") is None:
        raise MissingExtraError("kornia", "vision", "--augmentation")


def _check(batch: PictureBatch) -> None:
    shape = tuple(batch.pictures.shape)
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise ShapeError(f"pictures of shape {shape}; expected (batch, channels, height, width) with 1 or 3 channels")
    if not (batch.pictures.is_floating_point() or str(batch.pictures.dtype) == "torch.uint8"):
        raise ShapeError(f"pictures of type {batch.pictures.dtype}; expected uint8, or floating in [0, 1]")
    if len(batch.rows) != shape[0]:
        raise ShapeError(f"{len(batch.rows)} row numbers for {shape[0]} pictures; expected one for each")
    if batch.objects is not None and len(batch.objects) != shape[0]:
        raise ShapeError(
            f"objects of {len(batch.objects)} pictures for {shape[0]} pictures; expected one entry for each"
        )
    if batch.masks is not None and tuple(batch.masks.shape) != (shape[0], *shape[2:]):
        raise ShapeError(
            f"masks of shape {tuple(batch.masks.shape)} for pictures of shape {shape}; expected the same size"
        )
