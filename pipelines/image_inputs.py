"""What a pipeline for pictures accepts as one input, and the sentence that says what is wrong with anything else.

Every picture becomes a Pillow image in mode ``RGB`` or ``L`` (grey), turned as its EXIF data says. As in transformers,
transparency is dropped, and of an animation the first frame counts.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .record_files import base_name, is_url

if TYPE_CHECKING:
    from PIL import Image

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
EXPECTED = "a path, URL, PIL image, array, tensor, bytes or base64 text"

_DATA_URL = re.compile(r"data:image/[-+.\w]+;base64,", re.IGNORECASE)
_LONGEST_PATH = 4096
_TIMEOUT = 30.0  # seconds without an answer of a server


def is_single_picture(inputs: Any) -> bool:
    """Whether ``inputs`` is one picture (or a wrong input, such as None) rather than several."""
    if isinstance(inputs, str | bytes | bytearray | Path | Mapping) or hasattr(inputs, "mode"):
        return True
    if hasattr(inputs, "ndim") and hasattr(inputs, "shape"):
        return inputs.ndim < 4
    return not hasattr(inputs, "__iter__") and not (hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__"))


def read_picture(item: Any) -> Image.Image:
    """The picture that ``item`` stands for, decoded, in mode ``RGB`` or ``L``.

    Args:
        item: a path, a URL, a PIL image, the bytes of a picture file, these as base64 text or ``data:`` URL,
            ``{"bytes": …, "path": …}`` as datasets stores pictures, or an array or tensor ``(height, width)``,
            ``(height, width, channels)`` or ``(channels, height, width)`` of uint8, uint16, bool, or float in [0, 1].

    Raises:
        InputError: it is none of these, cannot be found or decoded, or is larger than Pillow's limit for pictures
            (``PIL.Image.MAX_IMAGE_PIXELS``, twice of which is refused before anything is decoded).
    """
    if hasattr(item, "mode") and hasattr(item, "convert"):
        return _plain(item, "the picture")
    if isinstance(item, Mapping):
        return _read_cell(item)
    if isinstance(item, str | Path):
        raw, name = _read_named(item)
        return decode_picture(raw, name)
    if isinstance(item, bytes | bytearray | memoryview):
        return decode_picture(bytes(item), "the picture")
    if hasattr(item, "__array__") or hasattr(item, "numpy"):
        return _from_array(item)
    if item is None:
        raise InputError(f"expected a picture ({EXPECTED}), got None; leave missing ones out.")
    raise InputError(f"expected a picture ({EXPECTED}), got {type(item).__name__}.")


def decode_picture(raw: bytes, name: str) -> Image.Image:
    """The picture in the bytes of a file.

    Args:
        raw: PNG, JPEG, WebP, GIF, TIFF … whatever Pillow reads.
        name: how errors call it.

    Raises:
        InputError: it is no picture, is cut off, or is too large.
    """
    return _plain(_open(raw, name), name)


def open_picture(raw: bytes, name: str) -> Any:
    """The Pillow image in the bytes of a file, decoded, its mode as it is: of a palette the indices.

    Raises:
        InputError: it is no picture, is cut off, or is too large.
    """
    picture = _open(raw, name)
    _load(picture, name)
    return picture


def picture_size(raw: bytes, name: str) -> tuple[int, int]:
    """(width, height) in pixels, as EXIF data turns it, of the picture in the bytes of a file, which is not decoded.

    Raises:
        InputError: it is no picture, or is too large.
    """
    picture = _open(raw, name)
    width, height = picture.size
    is_turned = picture.getexif().get(0x0112, 1) in (5, 6, 7, 8)  # the EXIF tag for the orientation
    return (height, width) if is_turned else (width, height)


def check_picture(raw: bytes, name: str) -> None:
    """Nothing, if the bytes of a file are a whole picture; of a JPEG an eighth of the size is computed.

    Raises:
        InputError: it is none, or cut off.
    """
    picture = _open(raw, name)
    picture.draft(None, (picture.width // 8 or 1, picture.height // 8 or 1))
    _load(picture, name)


def picture_bytes(cell: Mapping[str, Any]) -> bytes:
    """The bytes of a picture as datasets stores it, ``{"bytes": …, "path": …}``; if there are none, of its file.

    Raises:
        InputError: it has neither, or the file is not there.
    """
    raw = cell.get("bytes")
    if raw is not None:
        return bytes(raw)
    if cell.get("path"):
        return _read_named(str(cell["path"]))[0]
    raise InputError("the picture has neither bytes nor a path; leave it out.")


def picture_file(picture: Image.Image) -> bytes:
    """The bytes of a PNG file of ``picture``."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def picture_name(cell: Any) -> str:
    """What a picture is called in tables and messages: the base name of its file, without any folder."""
    path = cell.get("path") if isinstance(cell, Mapping) else cell
    return base_name(path) if isinstance(path, str | Path) and len(str(path)) <= _LONGEST_PATH else ""


def beside(cell: Any, folder: Path | None) -> Any:
    """A picture that a row of a file in ``folder`` names, where the file meant it; anything else as it is.

    A path that is not absolute counts from the folder, and if there is no such file there, from where we are.
    """
    path = cell.get("path") if isinstance(cell, Mapping) and cell.get("bytes") is None else cell
    if folder is None or not isinstance(path, str) or len(path) > _LONGEST_PATH or is_url(path) or "\0" in path:
        return cell
    return str(folder / path) if (folder / path).is_file() else cell


def _read_cell(item: Mapping[str, Any]) -> Image.Image:
    if "image" in item:
        return read_picture(item["image"])
    if not {"bytes", "path"} & item.keys():
        raise InputError(
            "expected a picture as {'bytes': …, 'path': …}, got a dict with "
            f"{', '.join(map(repr, item)) or 'no keys'}."
        )
    return decode_picture(picture_bytes(item), picture_name(item) or "the picture")


def _read_named(item: str | Path) -> tuple[bytes, str]:
    """The bytes that a path, URL or base64 text stands for, and a name for messages."""
    text = str(item)
    if isinstance(item, str) and (match := _DATA_URL.match(text)):
        return _from_base64(text[match.end() :]), "the picture"
    if is_url(text):
        return _fetch(text), base_name(text)
    is_path = len(text) <= _LONGEST_PATH and "\0" not in text and "\n" not in text
    path = Path(text).expanduser() if is_path else None
    try:
        if path is not None and path.is_file():
            return path.read_bytes(), path.name
    except OSError as error:
        raise InputError(f"'{base_name(text)}' cannot be read ({error.strerror}); check that it may be.") from error
    if isinstance(item, str) and len(text) > 64:
        return _from_base64(text), "the picture"
    raise InputError(f"there is no picture '{base_name(text)}'; expected {EXPECTED}.")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        shown = f"{text[:40]}…" if len(text) > 40 else text
        raise InputError(f"there is no picture '{shown}', and it is no base64 text; expected {EXPECTED}.") from error


def _fetch(url: str) -> bytes:
    from http.client import HTTPException
    from urllib.request import Request, urlopen

    try:
        if url.lower().startswith(("http://", "https://")):  # for which fsspec would need two more packages
            with urlopen(Request(url, headers={"User-Agent": "quintet"}), timeout=_TIMEOUT) as stream:
                return stream.read()
        import fsspec

        with fsspec.open(url, "rb") as stream:
            return stream.read()  # type: ignore[union-attr]
    except (OSError, ImportError, ValueError, HTTPException) as error:  # unknown protocol, missing package, no network
        raise InputError(f"{url} cannot be fetched ({error}); check the address and the network.") from error


def _open(raw: bytes, name: str) -> Any:
    from PIL import Image, UnidentifiedImageError

    if not raw:
        raise InputError(f"{name} is empty (0 bytes); expected a picture.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large, but below the limit
            return Image.open(io.BytesIO(raw))
    except UnidentifiedImageError as error:
        raise InputError(
            f"{name} is no picture that can be decoded; expected PNG, JPEG, WebP, GIF or the like."
        ) from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise InputError(
            f"{name} has more than {limit} million pixels, which is refused before it is decoded; make it smaller, or "
            "raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what broken headers of the many formats raise
        raise InputError(f"{name} cannot be decoded ({error}); is it whole?") from error


def _load(picture: Any, name: str) -> None:
    from PIL import Image

    try:
        picture.load()
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} has too many pixels; make it smaller.") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError) as error:
        raise InputError(f"{name} cannot be decoded ({error}); is it whole?") from error


def _plain(picture: Any, name: str) -> Image.Image:
    """``picture``, decoded and turned, in mode ``RGB`` or ``L``."""
    from PIL import ImageOps

    _load(picture, name)
    if not all(picture.size):
        raise InputError(f"{name} has no pixels ({picture.width} x {picture.height}); leave it out.")
    picture = ImageOps.exif_transpose(picture) or picture
    if picture.mode in ("RGB", "L"):
        return picture
    if picture.mode not in GREY_MODES:
        return picture.convert("RGB")
    return picture.convert("L") if picture.mode in ("1", "LA", "La") else _eight_bits(np.asarray(picture), name)


def _eight_bits(values: np.ndarray, name: str) -> Image.Image:
    """A grey picture of 16 bits, 32 bits or floats; Pillow itself would cut off whatever is above 255."""
    from PIL import Image

    if not np.isfinite(values).all():
        raise InputError(f"{name} has pixels that are no numbers (nan or infinite); replace them.")
    if values.dtype.kind == "f":
        scaled = values * 255.0 if values.max() <= 1.0 else values
    else:
        scaled = values / 257.0 if values.max() > 255 or values.dtype.itemsize == 2 else values
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8), mode="L")


def _from_array(item: Any) -> Image.Image:
    from PIL import Image

    array = item.detach().cpu().numpy() if hasattr(item, "detach") else np.asarray(item)
    given = f"an array of shape {tuple(array.shape)} and type {array.dtype}"
    if array.ndim == 3 and array.shape[-1] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or not array.size:
        raise InputError(
            f"expected a picture, got {given}; expected (height, width), (height, width, channels) or (channels, "
            "height, width) with 1, 3 or 4 channels."
        )
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(f"expected a picture, got {given} with pixels that are nan or infinite; replace them.")
        if array.min() < 0 or array.max() > 1:
            raise InputError(
                f"expected a picture, got {given} with values from {array.min():.4g} to {array.max():.4g}; expected "
                "floats in [0, 1], or uint8."
            )
        array = np.rint(array * 255)
    elif array.dtype == np.uint16:
        array = np.rint(array / 257)
    elif array.dtype.kind == "b":
        array = array * 255
    elif array.dtype.kind not in "ui" or array.min() < 0 or array.max() > 255:
        raise InputError(f"expected a picture, got {given}; expected uint8, uint16, bool, or float in [0, 1].")
    array = np.ascontiguousarray(array.astype(np.uint8))
    return (
        Image.fromarray(array[..., 0], mode="L")
        if array.shape[-1] == 1
        else Image.fromarray(array[..., :3], mode="RGB")
    )
