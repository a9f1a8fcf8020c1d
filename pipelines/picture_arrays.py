"""Pictures kept as plain numbers, one after the other: the idx files of MNIST, and CIFAR-10 and CIFAR-100.

Formats: idx (LeCun, http://yann.lecun.com/exdb/mnist), CIFAR (Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html).
Each picture comes out as the bytes of a PNG file, which every reader of pictures takes.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from .errors import DataError
from .picture_layouts import labels_file
from .plain_pickle import load_plain
from .record_rows import Record, Rows, chosen

_IDX_TYPES = {1: "labels", 3: "pictures"}  # number of axes -> what a file of bytes with as many is
_BLOCK = 500  # pictures that are in memory at a time
_SIDE = 32  # of the pictures of CIFAR, in pixels
_PIXELS = 3 * _SIDE * _SIDE


def png_bytes(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG file of ``pixels``, uint8, (height, width) or (height, width, 3)."""
    height, width = pixels.shape[:2]
    kind = 2 if pixels.ndim == 3 else 0  # colour or grey
    lines = np.zeros((height, 1 + pixels[0].size), dtype=np.uint8)  # each begins with its filter: 0, none
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def read_idx(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """A row for each picture of an idx file: ``image``, and ``label``, a number, where the file of labels is beside it.

    Raises:
        DataError: a file is no idx file, is cut off, or there are not as many labels as pictures.
    """
    labels = labels_file(path)
    values = None if labels is None else np.frombuffer(_idx_body(labels, 1)[1], dtype=np.uint8)
    with _opened(path) as stream:
        shape = _idx_shape(stream, path.name, 3)
        if values is not None and labels is not None and len(values) != shape[0]:
            raise DataError(
                f"{path.name} holds {shape[0]} pictures, but {labels.name} {len(values)} labels; expected as many. "
                "Are they of the same split?"
            )
        size = shape[1] * shape[2]
        for start in range(0, shape[0], _BLOCK):
            count = min(_BLOCK, shape[0] - start)
            block = _exactly(stream, count * size, path.name, f"after {start} of {shape[0]} pictures")
            pictures = np.frombuffer(block, dtype=np.uint8).reshape(count, *shape[1:])
            for row, pixels in enumerate(pictures, start + 1):
                cells: dict[str, Any] = {"image": _cell(pixels, path, row)}
                if values is not None:
                    cells["label"] = int(values[row - 1])
                yield Record(chosen(cells, columns, path.name), path.name, row)


def read_cifar(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """A row for each picture of a batch of CIFAR: ``image`` and ``label``, of CIFAR-100 also ``coarse_label``.

    Labels are names where the file with these is beside the batch, otherwise numbers.

    Raises:
        DataError: it is no whole batch, or a label has no name.
    """
    is_binary = path.suffix == ".bin"
    pixels, labels = _binary_batch(path) if is_binary else _pickled_batch(path)
    names = _binary_names(path) if is_binary else _pickled_names(path)
    for row, each in enumerate(pixels, 1):
        cells: dict[str, Any] = {"image": _cell(each.reshape(3, _SIDE, _SIDE).transpose(1, 2, 0), path, row)}
        for column, of_rows in labels.items():
            index = int(of_rows[row - 1])
            if column in names and not 0 <= index < len(names[column]):
                last = len(names[column]) - 1
                raise DataError(f"{path.name}, row {row}: label {index} has no name; there are names for 0 to {last}")
            cells[column] = names[column][index] if column in names else index
        yield Record(chosen(cells, columns, path.name), path.name, row)


def _cell(pixels: np.ndarray, path: Path, row: int) -> dict[str, Any]:
    name = path.name.removesuffix(".gz").removesuffix(".bin").removesuffix("-idx3-ubyte").removesuffix(".idx3-ubyte")
    return {"bytes": png_bytes(pixels), "path": f"{name}-{row}.png"}


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb"))


def _exactly(stream: BinaryIO, count: int, source: str, where: str) -> bytes:
    try:
        block = stream.read(count)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{source} cannot be read to its end ({error}, {where}); is it whole?") from error
    if len(block) < count:
        raise DataError(f"{source} ends too early, {where}; is it whole?")
    return block


# --- idx ----------------------------------------------------------------------------------------------------------


def _idx_shape(stream: BinaryIO, source: str, axes: int) -> tuple[int, ...]:
    """Lengths of the axes: two zero bytes, the type (8: bytes), the number of axes, then each length in four bytes."""
    start = _exactly(stream, 4, source, "in its first bytes")
    if start[:3] != b"\x00\x00\x08" or start[3] != axes:
        raise DataError(
            f"{source} begins with {start.hex(' ')}, which is no idx file of {_IDX_TYPES[axes]}; expected 00 00 08 "
            f"{axes:02x}. Is it the file that its name says?"
        )
    return struct.unpack(f">{axes}I", _exactly(stream, 4 * axes, source, "in its header"))


def _idx_body(path: Path, axes: int) -> tuple[tuple[int, ...], bytes]:
    with _opened(path) as stream:
        shape = _idx_shape(stream, path.name, axes)
        count = int(np.prod(shape))
        return shape, _exactly(stream, count, path.name, f"before {count} labels were read")


# --- CIFAR --------------------------------------------------------------------------------------------------------


def _binary_batch(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Pixels (rows, 3072) and labels: of CIFAR-10 a byte before each picture, of CIFAR-100 two, the coarse first."""
    heads = ["coarse_label", "label"] if path.name in ("train.bin", "test.bin") else ["label"]
    row = len(heads) + _PIXELS
    raw = path.read_bytes()
    if not raw or len(raw) % row:
        raise DataError(
            f"{path.name} has {len(raw)} bytes, which is no whole number of pictures of {row} bytes; is it whole?"
        )
    rows = np.frombuffer(raw, dtype=np.uint8).reshape(-1, row)
    return rows[:, len(heads) :], {name: rows[:, place] for place, name in reversed(list(enumerate(heads)))}


def _binary_names(path: Path) -> dict[str, list[str]]:
    is_100 = path.name in ("train.bin", "test.bin")
    files = {"label": "fine_label_names.txt", "coarse_label": "coarse_label_names.txt"} if is_100 else {}
    files = files or {"label": "batches.meta.txt"}
    return {
        column: path.with_name(name).read_text(encoding="utf-8").split()
        for column, name in files.items()
        if path.with_name(name).is_file()
    }


def _pickled_batch(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    batch = load_plain(path)
    data = batch.get("data") if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _PIXELS:
        raise DataError(f"{path.name} is no batch of CIFAR; expected 'data' with rows of {_PIXELS} bytes")
    names = {"labels": "label", "fine_labels": "label", "coarse_labels": "coarse_label"}
    labels = {ours: batch[theirs] for theirs, ours in names.items() if theirs in batch}
    for name, values in labels.items():
        is_right = isinstance(values, list) and all(isinstance(value, int) for value in values)
        if not is_right or len(values) != len(data):
            raise DataError(f"{path.name} has no {name} for each of its {len(data)} pictures; is it whole?")
    if "label" not in labels:
        raise DataError(f"{path.name} is no batch of CIFAR; expected 'labels' or 'fine_labels'")
    return data, labels


def _pickled_names(path: Path) -> dict[str, list[str]]:
    file = next((path.with_name(name) for name in ("batches.meta", "meta") if path.with_name(name).is_file()), None)
    if file is None:
        return {}
    found = load_plain(file)
    names = {"label_names": "label", "fine_label_names": "label", "coarse_label_names": "coarse_label"}
    return {ours: found[theirs] for theirs, ours in names.items() if isinstance(found, dict) and theirs in found}
