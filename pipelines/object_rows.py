"""A row of a picture and the objects in it, as the readers of all formats of boxes make it, or what is wrong with it.

    {"image": {"bytes": …, "path": …}, "objects": {"bbox": [[x, y, width, height], …], "category": ["cat", …]}}

Boxes are in pixels of the picture as it is seen, with its EXIF data followed. A box may stand out of its picture by a
pixel, since some formats count from 1 and some round, and is cut off; any other box that is not within is wrong, and
with it the row, for nobody can tell what was meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import InputError
from .image_inputs import picture_size
from .record_rows import BadRow, Record, chosen, shown

TOLERANCE = 1.0
"""Pixels by which a box may stand out."""


@dataclass(frozen=True)
class Marked:
    """One object, as a file marks it.

    Attributes:
        box: x, y, width, height.
        category: its class.
        is_fraction: whether ``box`` is in fractions of the picture's sides, with x and y of its middle, as in YOLO's
            files.
    """

    box: tuple[float, float, float, float]
    category: str
    is_fraction: bool = False

    def pixels(self, width: int, height: int) -> list[float]:
        """x, y, width, height in pixels of a picture of this size."""
        x, y, wide, high = self.box
        if not self.is_fraction:
            return [x, y, wide, high]
        return [(x - wide / 2) * width, (y - high / 2) * height, wide * width, high * height]


def object_row(
    picture: Path,
    objects: Sequence[Marked],
    *,
    source: str,
    row: int,
    stated: tuple[int, int] | None = None,
    values: Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
) -> Record | BadRow:
    """The row of a picture, or what is wrong with it.

    Args:
        picture: its file.
        objects: in it.
        source: base name of the file that marks them.
        row: number of the row in it, counted from 1.
        stated: width and height in pixels that the file says; None where it says nothing.
        values: more columns.
        columns: those wanted; None for all.

    Raises:
        DataError: there is no column of a name in ``columns``.
    """
    try:
        raw = picture.read_bytes()
    except OSError:
        folder = f"folder '{picture.parent.name}'" if picture.parent.name else "the current folder"
        return BadRow(source, row, f"there is no picture '{picture.name}' in {folder}", picture.name)
    try:
        width, height = picture_size(raw, picture.name)
    except InputError as error:
        return BadRow(source, row, str(error).removesuffix("."), picture.name)
    if stated is not None and stated != (width, height):
        reason = (
            f"the boxes are for {stated[0]} x {stated[1]} pixels, and '{picture.name}' has {width} x {height} (as its "
            "EXIF data turns it); mark it again, or write its true size"
        )
        return BadRow(source, row, reason, picture.name)
    boxes = []
    for number, one in enumerate(objects, 1):
        box = one.pixels(width, height)
        if wrong := box_fault(box, width, height):
            return BadRow(source, row, f"object {number} ('{one.category}') {wrong}", shown(f"{picture.name} {box}"))
        boxes.append(cut(box, width, height))
    found = {
        "image": {"bytes": raw, "path": str(picture)},
        "objects": {"bbox": boxes, "category": [one.category for one in objects]},
        "width": width,
        "height": height,
    }
    return Record(chosen({**found, **(values or {})}, columns, source), source, row)


def box_fault(box: Sequence[float], width: int, height: int) -> str | None:
    """What is wrong with a box of x, y, width, height in a picture of this size; None if nothing is.

    >>> box_fault([10, 10, 0, 5], 100, 100)
    'has the box [10, 10, 0, 5] (x, y, width, height), which has no area'
    """
    x, y, wide, high = box
    written = f"has the box [{', '.join(f'{number:g}' for number in box)}] (x, y, width, height), which"
    if not all(map(math.isfinite, box)):
        return f"{written} is not of numbers"
    if wide <= 0 or high <= 0:
        return f"{written} has no area"
    if min(x, y) < -TOLERANCE or x + wide > width + TOLERANCE or y + high > height + TOLERANCE:
        return f"{written} is not within the picture of {width} x {height} pixels"
    if x >= width or y >= height or x + wide <= 0 or y + high <= 0:
        return f"{written} has no area within the picture of {width} x {height} pixels"
    return None


def cut(box: Sequence[float], width: int, height: int) -> list[float]:
    """A box of x, y, width, height without what stands out of a picture of this size."""
    x, y, wide, high = box
    left, top = max(x, 0.0), max(y, 0.0)
    return [left, top, min(x + wide, width) - left, min(y + high, height) - top]


def numbers(values: Iterable[Any], count: int) -> tuple[float, ...] | None:
    """``values`` as ``count`` numbers; None if they are not."""
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count else None
