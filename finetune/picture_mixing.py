"""Several pictures of a step in one: mixup, cutmix, and mosaics of four.

The other pictures are rows of the same step, drawn from (seed, epoch, row number) and the row numbers in the step.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import interpolate

from .image_augmentation import Objects
from .picture_geometry import clipped_objects
from .picture_values import as_floats, like
from .row_draws import RowDraws

_CENTRE = (0.25, 0.75)  # where the four pictures of a mosaic meet, fraction of the side


def mixed(
    pictures: torch.Tensor, mixup: float, cutmix: float, draws: RowDraws
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Each picture mixed with another one of the batch.

    By mixup (Zhang et al. 2017, section 2) as a weighted mean, by cutmix (Yun et al. 2019, section 3.1) with a
    rectangle of the other one; where both have an alpha, each picture gets the one or the other, as likely.

    Args:
        pictures: (batch, channels, height, width), uint8 or floating.
        mixup: alpha of the Beta distribution of the shares; 0 for no mixup.
        cutmix: likewise for the areas.
        draws: of the rows.

    Returns:
        The pictures; (batch,) int64, the place of each one's partner; (batch,) float32, the share of its own label.
    """
    from scipy.special import betaincinv

    partners = draws.others("partner", 1)[:, 0]
    is_cut = draws.uniform("mixup or cutmix", 1)[:, 0] < 0.5 if mixup and cutmix else np.full(len(partners), cutmix > 0)
    alpha = np.where(is_cut, cutmix, mixup)
    # the inverse of the distribution function makes the share of one uniform number
    shares = betaincinv(alpha, alpha, draws.uniform("share", 1)[:, 0])
    device = pictures.device
    others = pictures[torch.from_numpy(partners).to(device)]
    result = pictures.clone()
    if (places := np.flatnonzero(~is_cut)).size:
        at = torch.from_numpy(places).to(device)
        share = torch.from_numpy(shares[places]).float().to(device)[:, None, None, None]
        result[at] = like(pictures, torch.lerp(as_floats(others[at]), as_floats(pictures[at]), share))
    if (places := np.flatnonzero(is_cut)).size:
        at = torch.from_numpy(places).to(device)
        size = (pictures.shape[2], pictures.shape[3])
        is_inside = _rectangles(shares[places], draws.uniform("cutmix", 2)[places], size)
        shares[places] = 1 - is_inside.mean(axis=(1, 2))  # what is really left of it, for a rectangle ends at the edge
        inside = torch.from_numpy(is_inside).to(device)[:, None]
        result[at] = torch.where(inside, others[at], pictures[at])
    return result, torch.from_numpy(partners).to(device), torch.from_numpy(shares).float().to(device)


def _rectangles(shares: np.ndarray, centres: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(batch, height, width) bool: a rectangle of 1 - share of the area around each centre (x, y) in [0, 1)."""
    height, width = size
    half = np.sqrt(1 - shares)[:, None] / 2
    edges = []
    for length, centre in ((height, centres[:, 1:]), (width, centres[:, :1])):
        low, high = np.rint((centre - half) * length), np.rint((centre + half) * length)
        places = np.arange(length)
        edges.append((places >= low) & (places < high))
    return edges[0][:, :, None] & edges[1][:, None, :]


def mosaics(
    pictures: torch.Tensor,
    objects: tuple[Objects, ...] | None,
    masks: torch.Tensor | None,
    probability: float,
    draws: RowDraws,
) -> tuple[torch.Tensor, tuple[Objects, ...] | None, torch.Tensor | None]:
    """With ``probability`` a picture and three others, each in one quarter around a point that is drawn.

    As in YOLOv4 (Bochkovskiy et al. 2020, section 3.4). Each picture is made smaller by at most what makes it just
    cover its quarter, and has its inner corner at the point, so that objects come in other sizes and surroundings.
    """
    height, width = pictures.shape[2:]
    numbers = draws.uniform("mosaic", 1 + 2 + 4)
    partners = draws.others("mosaic", 3)
    new_pictures = pictures.clone()
    new_masks = None if masks is None else masks.clone()
    new_objects = None if objects is None else list(objects)
    for place in np.flatnonzero(numbers[:, 0] < probability):
        across, down = _CENTRE[0] + (_CENTRE[1] - _CENTRE[0]) * numbers[place, 1:3]
        centre_x = int(np.clip(round(across * width), 1, max(1, width - 1)))
        centre_y = int(np.clip(round(down * height), 1, max(1, height - 1)))
        found: list[Objects] = []
        for quarter, source in enumerate((place, *partners[place])):
            window = (
                (0, centre_x)[quarter % 2],
                (0, centre_y)[quarter // 2],
                (centre_x, width)[quarter % 2],
                (centre_y, height)[quarter // 2],
            )
            if window[0] == window[2] or window[1] == window[3]:
                continue  # a picture one pixel wide has only one column
            crop = _crop(window, quarter, numbers[place, 3 + quarter], (height, width))
            left, top, right, bottom = window
            size = (bottom - top, right - left)
            part = pictures[source, :, crop[1] : crop[3], crop[0] : crop[2]]
            new_pictures[place, :, top:bottom, left:right] = like(pictures, _resized(as_floats(part), size))
            if new_masks is not None and masks is not None:
                part = masks[source, crop[1] : crop[3], crop[0] : crop[2]]
                new_masks[place, top:bottom, left:right] = _nearest(part, size)
            if objects is not None:
                found.append(_placed(objects[source], window, crop))
        if new_objects is not None:
            new_objects[place] = _joined(found)
    return new_pictures, None if new_objects is None else tuple(new_objects), new_masks


def _crop(
    window: tuple[int, int, int, int], quarter: int, number: float, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The part (left, top, right, bottom) of a picture of (height, width) ``size`` that is shown in ``window``.

    It reaches to the corner that lies at the mosaic's centre, and is the larger the more the picture is made smaller.
    """
    height, width = size
    wide, high = window[2] - window[0], window[3] - window[1]
    smallest = max(wide / width, high / height)
    factor = smallest + (1 - smallest) * number
    crop_wide = min(width, max(1, round(wide / factor)))
    crop_high = min(height, max(1, round(high / factor)))
    left = width - crop_wide if quarter % 2 == 0 else 0
    top = height - crop_high if quarter // 2 == 0 else 0
    return left, top, left + crop_wide, top + crop_high


def _resized(part: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A part (channels, height, width) of a floating picture in another (height, width), smoothed before thinning."""
    if tuple(part.shape[1:]) == size:
        return part
    return interpolate(part[None], size, mode="bilinear", antialias=True)[0]


def _nearest(part: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A part (height, width) of a mask in another size: of each new pixel the class at its centre."""
    rows, columns = (
        ((torch.arange(new, device=part.device) + 0.5) * (old / new)).long()
        for old, new in zip(part.shape, size, strict=True)
    )
    return part[rows[:, None], columns]


def _placed(objects: Objects, window: tuple[int, int, int, int], crop: tuple[int, int, int, int]) -> Objects:
    """Objects of a picture whose part ``crop`` is shown in ``window``, clipped to it."""
    across = (window[2] - window[0]) / (crop[2] - crop[0])
    down = (window[3] - window[1]) / (crop[3] - crop[1])
    scale = objects.boxes.new_tensor([across, down, across, down])
    move = objects.boxes.new_tensor([window[0] - crop[0] * across, window[1] - crop[1] * down, 0, 0])
    return clipped_objects(Objects(objects.boxes * scale + move, objects.categories), window)


def _joined(parts: list[Objects]) -> Objects:
    return Objects(torch.cat([part.boxes for part in parts]), torch.cat([part.categories for part in parts]))
