"""Pictures and their masks in two folders, as rows with ``image`` and ``mask``, a grey PNG of class indices.

    images/a.jpg   masks/a.png      the same name but for the ending; a mask's may also end in _mask, _label or _L

A mask holds indices (grey, or with a palette), or colours that a table beside the folders names (`mask_classes`). Masks
with nothing but 0 and 255 hold two classes, outside and inside. In what comes out 255 is what nobody labelled.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .errors import DataError, InputError
from .image_inputs import picture_size
from .mask_classes import UNLABELLED, MaskClasses, read_mask_classes
from .picture_arrays import png_bytes
from .picture_layouts import class_table_file, is_picture_name, mask_folder
from .record_rows import BadRow, Record, Rows, chosen

if TYPE_CHECKING:
    from PIL import Image

_SUFFIXES = ("_mask", "_masks", "_label", "_labels", "_l", "_gt")
_LOSSY = {"JPEG", "MPO"}
_LOOKED_AT = 20  # masks from which it is seen whether all of them hold only 0 and 255
_UNKNOWN = 254  # marks what no class has, while a mask is translated; `mask_classes.MOST_CLASSES` leaves it free
_GREY_MODES = ("L", "P", "1", "I", "I;16", "I;16B", "I;16L")


class _WrongMask(Exception):
    """Why a mask cannot be used."""


def read_mask_folder(pictures: Path, columns: Sequence[str] | None = None) -> Rows:
    """A row for each picture in the folder ``pictures``, with its mask.

    Bad rows are pictures without a mask, masks without a picture, files that are no pictures, masks of another size
    than their picture, lossy ones, and those with an index or colour that no class has.

    Raises:
        DataError: there is no folder with masks, the table of classes is none, or masks are in colours without one.
    """
    masks = mask_folder(pictures)
    if masks is None:
        raise DataError(f"beside folder '{pictures.name}' there is none with masks; expected for instance 'masks'")
    classes = classes_of_masks(pictures)
    names = _by_stem(masks)
    is_binary = (classes is None or len(classes.names) == 2) and _is_binary(list(names.values())[:_LOOKED_AT])
    used = set()
    for path in sorted(entry for entry in pictures.iterdir() if not entry.name.startswith(".")):
        if not path.is_file() or not is_picture_name(path.name):
            yield BadRow(path.name, 1, "it lies among the pictures and is none; take it away", "")
            continue
        mask = names.get(path.stem.lower())
        if mask is None:
            reason = f"there is no mask for it in folder '{masks.name}'; expected {path.stem}.png"
            yield BadRow(path.name, 1, reason, "")
            continue
        used.add(mask)
        raw = path.read_bytes()
        try:
            size = picture_size(raw, path.name)
            indices = _indices(mask, size, classes, is_binary=is_binary)
        except InputError as error:
            yield BadRow(path.name, 1, error.reason.removesuffix("."), "")
            continue
        except _WrongMask as error:
            yield BadRow(path.name, 1, f"its mask {mask.name} {error}", "")
            continue
        values = {
            "image": {"bytes": raw, "path": str(path)},
            "mask": {"bytes": png_bytes(indices), "path": str(mask)},
        }
        yield Record(chosen(values, columns, path.name), path.name, 1)
    for mask in sorted(set(names.values()) - used):
        yield BadRow(mask.name, 1, f"there is no picture for this mask in folder '{pictures.name}'", "")


def classes_of_masks(pictures: Path) -> MaskClasses | None:
    """The classes of the masks beside the folder ``pictures``; None where no table names them.

    Raises:
        DataError: the table is none.
    """
    table = class_table_file(pictures)
    return None if table is None else read_mask_classes(table)


def _by_stem(masks: Path) -> dict[str, Path]:
    """The masks in a folder by the stems, in small letters, that their pictures may have."""
    whole = {path.stem.lower(): path for path in sorted(masks.iterdir()) if is_picture_name(path.name)}
    parts = {
        stem.removesuffix(suffix): path for stem, path in whole.items() for suffix in _SUFFIXES if stem.endswith(suffix)
    }
    return parts | whole


def _is_binary(masks: Sequence[Path]) -> bool:
    """Whether none of some masks holds anything but 0 and 255, and one of them 255."""
    found: set[int] = set()
    for path in masks:
        try:
            values = np.asarray(_opened(path))
        except _WrongMask:
            continue  # told of when its row is read
        if values.dtype == bool:
            return False
        found.update(np.unique(values).tolist())
    return 255 in found and found <= {0, 255}


def _opened(path: Path) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        mask = Image.open(io.BytesIO(path.read_bytes()))
        if mask.format in _LOSSY:
            raise _WrongMask("is a JPEG, which does not keep indices as they are; save masks as PNG")
        mask.load()
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise _WrongMask("is no picture that can be decoded; expected a PNG") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise _WrongMask(f"cannot be decoded ({error}); is it whole?") from error
    return mask


def _indices(path: Path, size: tuple[int, int], classes: MaskClasses | None, *, is_binary: bool) -> np.ndarray:
    """(height, width) uint8: the class of each pixel of a mask; ``size`` is the (width, height) of its picture."""
    mask = _opened(path)
    if mask.size != size:
        raise _WrongMask(
            f"is {mask.width} x {mask.height} pixels, but the picture {size[0]} x {size[1]}; expected the same size"
        )
    if mask.mode in _GREY_MODES:
        # numpy gives the indices of a palette, not its colours
        return _of_indices(np.asarray(mask).astype(np.int64), classes, is_binary=is_binary)
    colours = np.asarray(mask.convert("RGB")).astype(np.int64)
    if classes is not None and classes.of_colour:
        return _of_colours(colours, classes)
    if (colours != colours[..., :1]).any():
        raise DataError(
            f"mask {path.name} is in colours, and no table says which class a colour is; expected classes.txt beside "
            "the folders, with a line such as 'road 128 64 128' for each class"
        )
    return _of_indices(colours[..., 0], classes, is_binary=is_binary)


def _of_indices(values: np.ndarray, classes: MaskClasses | None, *, is_binary: bool) -> np.ndarray:
    if is_binary:
        values = np.where(values == 255, 1, values)
    if classes is None:
        if values.max() > UNLABELLED:
            raise _WrongMask(f"has the index {values.max()}; expected 0 to 254, or 255 for what is not labelled")
        return values.astype(np.uint8)
    table = np.full(max(int(values.max()), *classes.of_index) + 1, _UNKNOWN, dtype=np.uint8)
    table[list(classes.of_index)] = list(classes.of_index.values())
    result = table[values]
    if (is_unknown := result == _UNKNOWN).any():
        index = int(values[is_unknown][0])
        known = ", ".join(map(str, sorted(set(classes.of_index) - {UNLABELLED})[:30]))
        raise _WrongMask(
            f"has {int((values == index).sum())} pixels of index {index}, which {classes.source} does not name; "
            f"expected {known}, or 255 for what is not labelled"
        )
    return result


def _of_colours(values: np.ndarray, classes: MaskClasses) -> np.ndarray:
    packed = (values[..., 0] << 16) | (values[..., 1] << 8) | values[..., 2]
    found, inverse = np.unique(packed, return_inverse=True)
    of_packed = {(red << 16) | (green << 8) | blue: index for (red, green, blue), index in classes.of_colour.items()}
    for colour in found.tolist():
        if colour not in of_packed:
            shown = f"{colour >> 16}, {colour >> 8 & 255}, {colour & 255}"
            raise _WrongMask(
                f"has {int((packed == colour).sum())} pixels of colour ({shown}), which {classes.source} does not name"
            )
    return np.array([of_packed[colour] for colour in found.tolist()], dtype=np.uint8)[inverse].reshape(packed.shape)
