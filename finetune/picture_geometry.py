"""Where the pixels of augmented pictures go: every geometric operation as one affine map, warped once.

Coordinates are those of boxes: x to the right and y downwards in pixels, (0, 0) the upper left corner of the picture,
so that the centre of the first pixel is (0.5, 0.5). A map takes places of the given picture to places of the new one.

Maps that only mirror and move by whole pixels are done by picking pixels, which is exact and leaves uint8 alone; kornia
interpolates the others; pictures whose map changes nothing are not touched.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from .image_augmentation import UNLABELLED, Augmentation, Objects
from .picture_values import as_floats, like
from .randaugment import drawn_operations
from .row_draws import RowDraws

LEAST_LEFT = 0.2
"""Share of a box's area that must be left inside the picture, or its object is dropped."""

_LEAST_SIDE = 1.0  # pixels that must be left of either side of a box


def drawn_matrices(augmentation: Augmentation, draws: RowDraws, size: tuple[int, int]) -> np.ndarray:
    """(batch, 3, 3) float64: the map of each picture; ``size`` is (height, width) in pixels.

    Mirrored, then turned, scaled, sheared and moved about the centre, then cropped.
    """
    height, width = size
    batch = len(draws.rows)
    linear = np.broadcast_to(np.eye(2), (batch, 2, 2)).copy()
    offset = np.zeros((batch, 2))
    if augmentation.flip:
        is_mirrored = draws.uniform("flip", 1)[:, 0] < augmentation.flip
        linear[is_mirrored, 0, 0] = -1
    angle, shear = np.zeros(batch), np.zeros((batch, 2))
    if augmentation.rotate:
        angle += draws.between("rotate", 1, -augmentation.rotate, augmentation.rotate)[:, 0]
    if augmentation.shift:
        offset += draws.between("shift", 2, -1, 1) * augmentation.shift * (width, height)
    if augmentation.randaugment:
        for operations in drawn_operations(augmentation.randaugment, draws):
            angle += operations.of("rotate")
            shear += np.stack([operations.of("shear-x"), operations.of("shear-y")], axis=1)
            offset += np.stack([operations.of("translate-x"), operations.of("translate-y")], axis=1) * (width, height)
    if shear.any():
        sheared = np.broadcast_to(np.eye(2), (batch, 2, 2)).copy()
        sheared[:, 0, 1], sheared[:, 1, 0] = shear[:, 0], shear[:, 1]
        linear = sheared @ linear
    if angle.any():
        cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        linear = np.stack([np.stack([cosine, -sine], 1), np.stack([sine, cosine], 1)], axis=1) @ linear
    if augmentation.scale:
        # as often smaller as larger: the logarithm is uniform
        largest = math.log1p(augmentation.scale)
        linear = linear * np.exp(draws.between("scale", 1, -largest, largest))[:, :, None]
    if augmentation.crop:
        # a window at each place of the padded picture is as likely as any other
        padding = np.rint(np.array([width, height]) * augmentation.crop)
        offset += np.floor(draws.uniform("crop", 2) * (2 * padding + 1)) - padding
    centre = np.array([width / 2, height / 2])
    matrices = np.zeros((batch, 3, 3))
    matrices[:, :2, :2] = linear
    # Moves are by whole pixels, so that without a turn or a scale nothing needs to be interpolated.
    matrices[:, :2, 2] = centre - linear @ centre + np.rint(offset)
    matrices[:, 2, 2] = 1
    return matrices


def warped(
    pictures: torch.Tensor,
    objects: tuple[Objects, ...] | None,
    masks: torch.Tensor | None,
    matrices: np.ndarray,
    *,
    fill: float = 0.0,
) -> tuple[torch.Tensor, tuple[Objects, ...] | None, torch.Tensor | None]:
    """Pictures, objects and masks after their maps.

    Args:
        pictures: (batch, channels, height, width), uint8 or floating.
        objects: of each picture.
        masks: (batch, height, width), integers.
        matrices: (batch, 3, 3).
        fill: value in [0, 1] of pixels that no pixel of the picture falls on; masks get `UNLABELLED`.
    """
    is_changed = (matrices != np.eye(3)).any(axis=(1, 2))
    if not is_changed.any():
        return pictures, objects, masks
    # mirrored or not, and moved by whole pixels: picked, not interpolated
    is_picked = (
        (np.abs(matrices[:, 0, 0]) == 1)
        & (matrices[:, 1, 1] == 1)
        & (matrices[:, 0, 1] == 0)
        & (matrices[:, 1, 0] == 0)
        & (matrices[:, :2, 2] % 1 == 0).all(axis=1)
    )
    result = pictures.clone()
    if (places := np.flatnonzero(is_changed & is_picked)).size:
        at = torch.from_numpy(places).to(pictures.device)
        value = fill if pictures.is_floating_point() else round(fill * 255)
        result[at] = _picked(pictures[at], matrices[places], value)
    if (places := np.flatnonzero(is_changed & ~is_picked)).size:
        at = torch.from_numpy(places).to(pictures.device)
        given = pictures if len(places) == len(pictures) else pictures[at]
        result[at] = like(pictures, _interpolated(as_floats(given), matrices[places], fill))
    if masks is not None:
        places = np.flatnonzero(is_changed)
        at = torch.from_numpy(places).to(masks.device)
        masks = masks.clone()
        masks[at] = _picked(masks[at][:, None], matrices[places], UNLABELLED)[:, 0]
    if objects is not None:
        size = (pictures.shape[2], pictures.shape[3])
        objects = tuple(
            moved_objects(each, matrix, size) if changed else each
            for each, matrix, changed in zip(objects, matrices, is_changed, strict=True)
        )
    return result, objects, masks


def moved_objects(objects: Objects, matrix: np.ndarray, size: tuple[int, int]) -> Objects:
    """Objects with boxes around their boxes' corners after the map (3, 3), clipped to (height, width) ``size``.

    Those of which less than `LEAST_LEFT` of the area, or less than a pixel of a side, is inside are left out.
    """
    x, y, width, height = objects.boxes.to(torch.float64).unbind(1)  # (objects,) each
    corners = torch.stack(
        [torch.stack([x + right * width, y + lower * height], 1) for right in (0, 1) for lower in (0, 1)], dim=1
    )  # (objects, 4, 2)
    linear = torch.from_numpy(matrix[:2, :2]).to(corners)
    corners = corners @ linear.T + torch.from_numpy(matrix[:2, 2]).to(corners)
    return clipped_objects(
        Objects(torch.cat([corners.amin(1), corners.amax(1) - corners.amin(1)], dim=1), objects.categories),
        (0, 0, size[1], size[0]),
    )


def clipped_objects(objects: Objects, window: tuple[float, float, float, float]) -> Objects:
    """Objects with the part of their boxes inside ``window`` (left, top, right, bottom), where enough is left."""
    left, top, right, bottom = window
    x, y, width, height = objects.boxes.unbind(1)  # (objects,) each
    area = width * height
    low = torch.stack([x.clamp(left, right), y.clamp(top, bottom)], dim=1)
    high = torch.stack([(x + width).clamp(left, right), (y + height).clamp(top, bottom)], dim=1)
    sides = high - low
    is_kept = (sides >= _LEAST_SIDE).all(1) & (sides.prod(1) >= LEAST_LEFT * area)
    kept = torch.cat([low, sides], dim=1)[is_kept].to(torch.float32)
    return Objects(kept, objects.categories[is_kept])


def _picked(planes: torch.Tensor, matrices: np.ndarray, fill: float) -> torch.Tensor:
    """``planes`` (batch, channels, height, width) with each pixel that of the given one which its centre comes from."""
    batch, channels, height, width = planes.shape
    inverse = np.linalg.inv(matrices)
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5

    def source(axis: int) -> torch.Tensor:  # (batch, height, width), or 1 where a coordinate does not matter
        along_x = inverse[:, axis, 0, None, None] * x if inverse[:, axis, 0].any() else 0.0
        along_y = inverse[:, axis, 1, None, None] * y[:, None] if inverse[:, axis, 1].any() else 0.0
        found = np.floor(along_x + along_y + inverse[:, axis, 2, None, None]).astype(np.int64)
        return torch.from_numpy(found).to(planes.device)

    column, row = source(0), source(1)
    is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)  # (batch, height, width)
    index = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    index = index.expand(batch, height, width).reshape(batch, 1, height * width).expand(batch, channels, -1)
    found = planes.reshape(batch, channels, height * width).gather(2, index).view(planes.shape)
    return found.masked_fill_(~is_inside[:, None], fill)


def _interpolated(pictures: torch.Tensor, matrices: np.ndarray, fill: float) -> torch.Tensor:
    """Floating pictures warped by kornia, bilinearly; what is outside counts as ``fill``."""
    from kornia.geometry.transform import warp_affine

    # kornia's coordinates are 0 at the centre of the first pixel, not at its corner
    to_corner, to_centre = np.eye(3), np.eye(3)
    to_corner[:2, 2], to_centre[:2, 2] = 0.5, -0.5
    maps = torch.from_numpy((to_centre @ matrices @ to_corner)[:, :2]).to(pictures)
    size = (pictures.shape[2], pictures.shape[3])
    moved = pictures - fill if fill else pictures  # so that what is outside may count as 0
    found = warp_affine(moved, maps, size, mode="bilinear", padding_mode="zeros", align_corners=True)
    return found + fill if fill else found
