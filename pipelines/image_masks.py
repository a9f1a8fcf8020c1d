"""Masks: for each pixel of a picture the index of its class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import InputError
from .image_inputs import open_picture, picture_bytes, picture_name
from .mask_classes import UNLABELLED

__all__ = ["UNLABELLED", "read_mask"]


def read_mask(cell: Mapping[str, Any]) -> np.ndarray:
    """The class indices, uint8 (height, width), of a mask that is stored as datasets stores a picture.

    Args:
        cell: ``{"bytes": …, "path": …}`` of a picture with one number a pixel: grey, with a palette, or with three
            equal channels.

    Raises:
        InputError: it is no picture, has colours, or an index above 255.
    """
    name = picture_name(cell) or "the mask"
    values = np.asarray(open_picture(picture_bytes(cell), name))
    if values.ndim == 3 and values.shape[-1] >= 3:
        if (values[..., 0] != values[..., 1]).any() or (values[..., 0] != values[..., 2]).any():
            raise InputError(
                f"{name} has colours, expected a class index for each pixel; a table of colours beside the masks "
                "(classes.csv with name,r,g,b) says which class each is."
            )
        values = values[..., 0]
    values = values[..., 0] if values.ndim == 3 else values
    if values.max() > UNLABELLED or values.min() < 0:
        raise InputError(f"{name} has the class index {int(values.max())}, expected 0 to 255.")
    return values.astype(np.uint8)
