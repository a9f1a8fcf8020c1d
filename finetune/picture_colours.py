"""The colours of augmented pictures: jitter, RandAugment's operations on pixels, and erased rectangles.

Brightness, contrast, saturation and hue are linear in the red, green and blue of a pixel, so whatever is drawn of them
becomes one 3 x 3 matrix and one offset for each picture. The operations that are not linear are kornia's, each for the
pictures that drew it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from ..pipelines.errors import UsageError
from .image_augmentation import UNLABELLED, Augmentation
from .picture_values import as_floats, like
from .randaugment import DrawnOperations, drawn_operations
from .row_draws import RowDraws

_GREY = np.array([0.299, 0.587, 0.114])  # brightness of red, green and blue: ITU-R BT.601
# Luminance and two differences of colour, as in NTSC television: a turn in the plane of the two turns the hue.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])

_ERASED_AREA = (0.02, 0.4)  # fraction of the picture, and the ratio of height to width: Zhong et al. 2017, table 1
_ERASED_RATIO = 0.3


def recoloured(pictures: torch.Tensor, augmentation: Augmentation, draws: RowDraws) -> torch.Tensor:
    """Pictures (batch, channels, height, width) with other colours: ``colour`` and ``hue``, then ``randaugment``.

    Raises:
        UsageError: there are operations on colours, and values outside [0, 1].
    """
    if not (augmentation.colour or augmentation.hue or augmentation.randaugment):
        return pictures
    _check_range(pictures)
    if augmentation.colour or augmentation.hue:
        brightness, contrast, saturation = draws.between(
            "colour", 3, 1 - augmentation.colour, 1 + augmentation.colour
        ).T
        turns = draws.between("hue", 1, -augmentation.hue, augmentation.hue)[:, 0]
        pictures = _jittered(pictures, brightness, contrast, saturation, turns)
    if augmentation.randaugment:
        for operations in drawn_operations(augmentation.randaugment, draws):
            brightness, contrast, saturation = (
                1 + operations.of(name) for name in ("brightness", "contrast", "colour")
            )
            pictures = _jittered(pictures, brightness, contrast, saturation, np.zeros(len(draws.rows)))
            for name, change in _CHANGES.items():
                pictures = _changed(pictures, operations, name, change)
    return pictures


def erased(
    pictures: torch.Tensor, masks: torch.Tensor | None, probability: float, draws: RowDraws
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Pictures with a rectangle in one colour, which is drawn, and masks that are `UNLABELLED` there.

    Area and shape of the rectangle are those of Zhong et al. 2017, Random Erasing; one that would reach over the edge
    ends there.

    Raises:
        UsageError: the pictures have values outside [0, 1].
    """
    places = np.flatnonzero(draws.uniform("erase", 1)[:, 0] < probability)
    if not places.size:
        return pictures, masks
    _check_range(pictures)
    channels, height, width = pictures.shape[1:]
    numbers = draws.uniform("erased rectangle", 4 + 3)[places]
    area = (_ERASED_AREA[0] + (_ERASED_AREA[1] - _ERASED_AREA[0]) * numbers[:, 0]) * height * width
    ratio = np.exp((2 * numbers[:, 1] - 1) * math.log(1 / _ERASED_RATIO))
    rows = np.clip(np.rint(np.sqrt(area * ratio)), 1, height)
    columns = np.clip(np.rint(np.sqrt(area / ratio)), 1, width)
    top, left = np.floor(numbers[:, 2] * (height - rows + 1)), np.floor(numbers[:, 3] * (width - columns + 1))
    y, x = np.arange(height), np.arange(width)
    in_rows = (y >= top[:, None]) & (y < (top + rows)[:, None])
    in_columns = (x >= left[:, None]) & (x < (left + columns)[:, None])
    is_erased = torch.from_numpy(in_rows[:, :, None] & in_columns[:, None, :]).to(pictures.device)
    colours = torch.from_numpy(numbers[:, 4 : 4 + channels]).float().to(pictures.device)[:, :, None, None]
    at = torch.from_numpy(places).to(pictures.device)
    pictures = pictures.clone()
    pictures[at] = torch.where(is_erased[:, None], like(pictures, colours), pictures[at])
    if masks is not None:
        masks = masks.clone()
        masks[at] = masks[at].masked_fill(is_erased, UNLABELLED)
    return pictures, masks


def _check_range(pictures: torch.Tensor) -> None:
    if not pictures.is_floating_point() or not pictures.numel():
        return
    low, high = (value.item() for value in torch.aminmax(pictures))
    if not (low >= 0 and high <= 1):
        raise UsageError(
            f"pictures have values from {low:.3g} to {high:.3g}, but a change of colours needs them in [0, 1]; "
            "augment before they are normalised"
        )


# --- what is linear -----------------------------------------------------------------------------------------------


def _jittered(
    pictures: torch.Tensor, brightness: np.ndarray, contrast: np.ndarray, saturation: np.ndarray, turns: np.ndarray
) -> torch.Tensor:
    """Pictures with factors (batch,) for brightness, contrast and saturation, and hues turned by ``turns`` full turns.

    Contrast is about the mean grey of the picture. Grey pictures have neither saturation nor hue.
    """
    channels = pictures.shape[1]
    is_changed = (brightness != 1) | (contrast != 1)
    if channels == 3:
        is_changed |= (saturation != 1) | (turns != 0)
    places = np.flatnonzero(is_changed)
    if not places.size:
        return pictures
    at = torch.from_numpy(places).to(pictures.device)
    values = as_floats(pictures[at])
    weights = _GREY if channels == 3 else np.ones(1)
    # exact in float64, so that the mean is the same whatever else is in the batch
    means = (values.mean(dim=(2, 3), dtype=torch.float64).cpu().numpy() * weights).sum(1)
    matrices = _colour_matrices(saturation[places], turns[places]) if channels == 3 else np.ones((len(places), 1, 1))
    matrices = matrices * (brightness * contrast)[places][:, None, None]
    offsets = (brightness * (1 - contrast))[places] * means
    result = _applied(values, torch.from_numpy(matrices).to(values), torch.from_numpy(offsets).to(values))
    pictures = pictures.clone()
    pictures[at] = like(pictures, result)
    return pictures


def _colour_matrices(saturation: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """(batch, 3, 3): what becomes of red, green and blue; grey stays as it is."""
    grey = np.broadcast_to(_GREY, (3, 3))
    matrices = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * grey
    if turns.any():
        turned = np.zeros((len(turns), 3, 3))
        cosine, sine = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
        turned[:, 0, 0] = 1
        turned[:, 1, 1] = turned[:, 2, 2] = cosine
        turned[:, 1, 2], turned[:, 2, 1] = -sine, sine
        matrices = np.linalg.inv(_TO_YIQ) @ turned @ _TO_YIQ @ matrices
    return matrices


def _applied(values: torch.Tensor, matrices: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """matrices @ values + offsets for each pixel, clipped to [0, 1].

    Not by `torch.bmm`, whose rounding depends on how many pictures there are.
    """
    result = torch.empty_like(values)
    for channel in range(values.shape[1]):
        total = result[:, channel]
        torch.mul(values[:, 0], matrices[:, channel, 0, None, None], out=total)
        for source in range(1, values.shape[1]):
            total.addcmul_(values[:, source], matrices[:, channel, source, None, None])
    return result.add_(offsets[:, None, None, None]).clamp_(0, 1)


# --- what is not --------------------------------------------------------------------------------------------------


def _changed(
    pictures: torch.Tensor,
    operations: DrawnOperations,
    name: str,
    change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    places = np.flatnonzero(operations.has(name))
    if not places.size:
        return pictures
    at = torch.from_numpy(places).to(pictures.device)
    values = as_floats(pictures[at])
    strengths = torch.from_numpy(operations.strengths[places]).to(values)
    pictures = pictures.clone()
    pictures[at] = like(pictures, change(values, strengths))
    return pictures


def _autocontrast(values: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    # each channel stretched to [0, 1]; one that is all the same stays as it is, which kornia's would make black
    from kornia.enhance import normalize_min_max

    is_flat = values.amax((2, 3), keepdim=True) == values.amin((2, 3), keepdim=True)
    return torch.where(is_flat, values, normalize_min_max(values))


def _equalize(values: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    from kornia.enhance import equalize

    return equalize(values)


def _posterize(values: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    from kornia.enhance import posterize

    return posterize(values, 8 - strengths.round().to(torch.int64))


def _solarize(values: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    from kornia.enhance import solarize

    return solarize(values, 1 - strengths)


def _sharpen(values: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    from kornia.enhance import sharpness

    if min(values.shape[2:]) < 3:  # its kernel is 3 x 3, and it refuses what is smaller
        return values
    # torch convolves a single channel in another way when it is alone in the batch, which rounds differently
    channels = values.shape[1]
    return sharpness(values.expand(-1, 3, -1, -1), 1 + strengths)[:, :channels]


_CHANGES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "solarize": _solarize,
    "sharpness": _sharpen,
}
