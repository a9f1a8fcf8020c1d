"""Pickle files that hold nothing but numbers, texts, lists, dicts and numpy arrays, read without running their code.

A pickle is a program that may call any function it can import. This reader imports nothing: the few names by which
numpy arrays are written stand for functions of this file, and every other name ends the reading.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from .errors import DataError


def load_plain(path: Path) -> Any:
    """What a pickle file holds; byte texts, as Python 2 wrote them, become str.

    Raises:
        DataError: it is no pickle, is cut off, or wants anything but plain values and numpy arrays of numbers.
    """
    raw = path.read_bytes()
    try:
        # the arrays of Python 2 are written as texts, which "bytes" leaves as they are
        return _as_texts(_PlainUnpickler(io.BytesIO(raw), path.name).load())
    except DataError:
        raise
    except _BROKEN as error:
        raise DataError(f"{path.name} is no whole pickle file ({error}); is it the file that its name says?") from error


# What broken bytes make the unpickler raise, which follows them wherever they lead.
_BROKEN = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, source: str) -> None:
        super().__init__(stream, encoding="bytes")
        self._source = source

    def find_class(self, module: str, name: str) -> _Known:
        known = _KNOWN.get((module.replace("numpy._core", "numpy.core"), name))
        if known is None:
            self._refuse(f"{module}.{name}")
        return _Known(known)

    def persistent_load(self, pid: Any) -> Any:
        self._refuse("an object kept elsewhere")

    def _refuse(self, what: str) -> NoReturn:
        raise DataError(
            f"{self._source} wants {what}, which is not loaded: of pickle files only numbers, texts, lists, dicts and "
            "numpy arrays are read, since anything else can run code. Save the data in another form, such as parquet"
        )


class _Known:
    """A function that a pickle may call, and nothing else that pickles do to what they have found."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        raise ValueError("a function is no data")


class _Array:
    """Stands for an array until its state is there."""

    array: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, raw = state  # version, shape, dtype, order, contents
        self.fill(raw, kind, shape, "F" if is_fortran else "C")

    def fill(self, raw: Any, kind: Any, shape: Any, order: Literal["C", "F"]) -> None:
        if not isinstance(kind, _Kind) or not isinstance(raw, bytes | bytearray):
            raise ValueError("an array of objects")
        self.array = np.frombuffer(raw, dtype=kind.dtype).reshape(shape, order=order)


class _Kind:
    """Stands for a dtype of numbers."""

    def __init__(self, code: str | bytes) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        self.dtype = np.dtype(text)
        if self.dtype.kind not in "biuf":
            raise ValueError(f"an array of {text}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder("<" if order == "<" else ">") if order in "<>" else self.dtype


def _new_array(*_: Any) -> _Array:
    return _Array()


def _from_buffer(raw: Any, kind: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.fill(raw, kind, shape, "F" if order in ("F", b"F") else "C")
    return array


def _new_kind(code: Any, *_: Any) -> _Kind:
    return _Kind(code)


def _encoded(text: str, encoding: Any) -> bytes:
    """Bytes, as protocols 0 to 2 of Python 3 write them: a text that holds each byte as a letter."""
    return text.encode("latin1")


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy", "ndarray"): _new_array,  # an argument of the former
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,  # protocol 5
    ("numpy", "dtype"): _new_kind,
    ("_codecs", "encode"): _encoded,
}


def _as_texts(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, dict):
        return {_as_texts(key): _as_texts(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_texts(item) for item in value]
    return value
