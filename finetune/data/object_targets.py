"""Objects with boxes as what is to be found out: how data sets write them, and whether a row's can be used.

{"bbox": [[x, y, width, height], …], "category": [0, …]}   as datasets and our own readers have them
[{"bbox": [x, y, width, height], "category": 0}, …]        as JSON often has them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...pipelines.errors import InputError
from ...pipelines.image_inputs import picture_bytes, picture_size
from ...pipelines.object_rows import box_fault
from .labels import SEPARATOR, LabelColumn, LabelTable, LabelValueError, RowLabels, canonical_label

CATEGORIES = "categories"
"""The column with the class ids of a row's objects."""

BOX_NAMES = ("bbox", "bboxes", "boxes")
CATEGORY_NAMES = ("category", "categories", "category_id", "label", "labels", "class", "name")
"""What data sets call them, tried in this order."""

_EXPECTED = "expected objects: {'bbox': [[x, y, width, height], ...], 'category': [...]}"


def read_objects(value: Any) -> tuple[list[list[float]], list[str]]:
    """Boxes of x, y, width, height, and the names (or ids, as text) of their classes.

    >>> read_objects([{"bbox": [1, 2, 3, 4], "label": 7}])
    ([[1.0, 2.0, 3.0, 4.0]], ['7'])

    Raises:
        LabelValueError: they are written in another way.
    """
    if isinstance(value, Mapping):
        boxes, categories = _named(value, BOX_NAMES), _named(value, CATEGORY_NAMES)
    elif isinstance(value, list | tuple) and all(isinstance(one, Mapping) for one in value):
        boxes, categories = ([_named(one, names) for one in value] for names in (BOX_NAMES, CATEGORY_NAMES))
    else:
        raise LabelValueError(f"the {type(value).__name__} {str(value)[:40]}; {_EXPECTED}")
    names = canonical_label(list(categories))
    if not isinstance(names, list) or len(boxes) != len(names):
        raise LabelValueError(f"{len(boxes)} boxes and {len(categories)} classes; each box needs one")
    return [_four(box) for box in boxes], names


def category_feature(features: Mapping[str, Any]) -> Any:
    """What datasets says of the classes among the features of objects; None where it says nothing."""
    name = next((name for name in CATEGORY_NAMES if name in features), None)
    found = None if name is None else features[name]
    return getattr(found, "feature", found)


class ObjectTargets:
    """The objects of the rows of a split, see `targets.Targets`.

    Args:
        table: that the names of classes are added to.
        class_names: names by raw id, where the data states them.
        picture: the column with the pictures, ours.
        objects: the column with the objects, ours.
        theirs: the same, as the data set calls it.
    """

    marks = None  # of answers only

    def __init__(
        self, table: LabelTable, class_names: tuple[str, ...] | None, *, picture: str, objects: str, theirs: str
    ) -> None:
        self._column = LabelColumn(table, class_names, is_multi=True, keeps_order=True)
        self._picture, self._objects, self._theirs = picture, objects, theirs

    def read(self, block: Any) -> Iterator[tuple[str | None, str | None]]:
        """The objects of each row as text, the same whatever file they come from, or why they cannot be used."""
        pictures, objects = (block.column(name).to_pylist() for name in (self._picture, self._objects))
        for picture, value in zip(pictures, objects, strict=True):
            wrong = f"column '{self._theirs}' is missing or empty" if value is None else None
            boxes, categories = [], []
            try:
                if value is not None:
                    boxes, categories = read_objects(value)
            except LabelValueError as error:
                wrong = f"column '{self._theirs}' holds {error}"
            names: Sequence[str] = ()
            try:
                joined = self._column.add(categories)  # of every row, also of one that cannot be used
                names = joined.split(SEPARATOR) if joined else ()
            except LabelValueError as error:
                wrong = f"column '{self._theirs}' holds {error}"
            if wrong is None and picture is not None:
                wrong = self._fault(picture, boxes, names)
            yield None if wrong else _text(boxes, names), wrong

    def labels(self, rows: int) -> RowLabels:
        """The class of each object."""
        return self._column.finish()

    def _fault(self, picture: Mapping[str, Any], boxes: Sequence[Sequence[float]], names: Sequence[str]) -> str | None:
        try:
            width, height = picture_size(picture_bytes(picture), "the picture")
        except InputError as error:
            return f"the picture cannot be used: {error.reason.removesuffix('.')}"
        for number, (box, name) in enumerate(zip(boxes, names, strict=True), 1):
            if wrong := box_fault(box, width, height):
                return f"object {number} ('{name}') in column '{self._theirs}' {wrong}"
        return None


def _text(boxes: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    rows = (f"{' '.join(f'{number:.2f}' for number in box)} {name}" for box, name in zip(boxes, names, strict=True))
    return "\n".join(rows)


def _named(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    found = next((value[name] for name in names if value.get(name) is not None), None)
    if found is None:
        raise LabelValueError(f"objects without '{names[0]}' (found: {', '.join(map(str, value))}); {_EXPECTED}")
    return found


def _four(box: Any) -> list[float]:
    try:
        numbers = [float(number) for number in box]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise LabelValueError(f"the box {str(box)[:60]}; expected x, y, width and height in pixels")
    return numbers
