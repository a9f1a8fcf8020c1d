"""Frozen dataclasses to JSON and back, with the types checked and every error naming the file and the key."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import numbers
import os
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Facts = TypeVar("Facts")

DEEPEST = 40
"""Levels of lists and objects within each other; facts have nine."""


class FactsError(ValueError):
    """Facts cannot be read or written; the message names file and key."""


def to_json(value: Any, *, key: str = "") -> Any:
    """``value`` as plain dicts, lists and scalars; tuples become lists, numpy numbers become Python's.

    Args:
        value: a dataclass of facts, or what such a class may hold.
        key: where ``value`` stands, for messages.

    Raises:
        FactsError: a number is NaN or infinite, a key is no string, or a value cannot be said in JSON.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise FactsError(f"the fact '{key}' is {float(value)}; facts hold finite numbers only, so leave it out")
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_json(getattr(value, field.name), key=_join(key, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise FactsError(f"the fact '{key}' has the key {name!r}; keys of facts are strings")
        return {name: to_json(item, key=_join(key, name)) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [to_json(item, key=f"{key}[{index}]") for index, item in enumerate(value)]
    raise FactsError(
        f"the fact '{key}' is a {type(value).__name__}; facts hold text, numbers, booleans, lists and mappings of these"
    )


def from_json(cls: type[Facts], data: Any, source: str = "facts", *, schema: int | None = None) -> Facts:
    """An instance of the dataclass ``cls`` from what `to_json` made of it.

    Args:
        cls: a frozen dataclass of scalars, Literals, other such dataclasses, tuples and mappings of these.
        data: parsed JSON.
        source: base name of the file it was read from, for messages.
        schema: number of the layout that this version reads; checked against the key ``schema`` where there is one.

    Raises:
        FactsError: a newer layout, an unknown or missing key, or a value of another type.
    """
    if not isinstance(data, Mapping):
        raise FactsError(f"{source} holds a {_kind(data)}, not an object with facts")
    found = data.get("schema")
    if schema is not None and isinstance(found, int) and found > schema:
        raise FactsError(
            f"{source} has schema {found}, this version reads up to schema {schema}; "
            "update it with: python -m pip install -U quintet"
        )
    suffix = "" if schema is None else f" (schema {schema})"
    return _dataclass(cls, data, "", source + suffix)


def read_json(path: str | Path, file_name: str) -> tuple[Any, str]:
    """What ``path`` (a file, or a folder with ``file_name`` in it) holds, and the file's base name.

    Raises:
        FactsError: no such file, unreadable, or not JSON.
    """
    file = _file(path, file_name)
    try:
        text = file.read_text(encoding="utf-8")
        data = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_of_64_bits)
        _check_depth(data)
        return data, file.name
    except FileNotFoundError:
        raise FactsError(
            f"there is no {file.name} in '{file.parent.name or '.'}'; "
            "it is written by `quintet finetune` and `quintet evaluate`"
        ) from None
    except OSError as error:
        raise FactsError(f"{file.name} cannot be read: {error.strerror or error}") from error
    except RecursionError:
        raise FactsError(
            f"{file.name} is nested too deeply to be facts; write it again with `quintet evaluate`"
        ) from None
    except ValueError as error:  # broken JSON, or bytes that are not UTF-8
        raise FactsError(f"{file.name} is not valid JSON: {error}; write it again with `quintet evaluate`") from error


def write_json(data: Any, path: str | Path, file_name: str) -> None:
    """Writes ``data`` to ``path`` (a file, or a folder) with sorted keys; whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    file = _file(path, file_name)
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())  # without it a crash can leave the new name on an empty file
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:60]} is larger than any number")
    return number


def _of_64_bits(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(f"{text[:60]} has more than 64 bits")
    return number


def _check_depth(data: Any) -> None:
    """Nothing, if lists and objects stand in each other no deeper than `DEEPEST`; what reads them is recursive."""
    level = [data]
    for _ in range(DEEPEST):
        level = [item for each in level for item in _items(each)]
        if not level:
            return
    raise RecursionError


def _items(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _file(path: str | Path, file_name: str) -> Path:
    path = Path(path)
    return path / file_name if path.is_dir() else path


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _dataclass(cls: type[Facts], data: Any, key: str, source: str) -> Facts:
    if not isinstance(data, Mapping):
        raise _mismatch(key, "an object", data, source)
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            fix = f"did you mean '{near[0]}'?" if near else f"{cls.__name__} has: {', '.join(sorted(fields))}"
            raise FactsError(f"{source}: unknown key '{_join(key, name)}'; {fix}")
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], _join(key, name), source)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise FactsError(f"{source}: the key '{_join(key, name)}' is missing")
    return cls(**values)


def _value(hint: Any, value: Any, key: str, source: str) -> Any:
    """``value`` as the annotation ``hint`` wants it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        if len(options) == 1:
            return _value(options[0], value, key, source)
        for option in options:
            try:
                return _value(option, value, key, source)
            except FactsError:
                continue
        raise _mismatch(key, " or ".join(option.__name__ for option in options), value, source)
    if origin is Literal:
        if value not in arguments:
            raise FactsError(f"{source}: '{key}' is {value!r}, expected one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _mismatch(key, "a list", value, source)
        return tuple(_value(arguments[0], item, f"{key}[{index}]", source) for index, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _mismatch(key, "an object", value, source)
        return {name: _value(arguments[1], item, _join(key, name), source) for name, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, value, key, source)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise FactsError(f"{source}: '{key}' is {value}; facts hold finite numbers only")
        return float(value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    names = {str: "text", int: "an integer", float: "a number", bool: "true or false"}
    raise _mismatch(key, names.get(hint, hint.__name__), value, source)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object"}
    return kinds.get(type(value), type(value).__name__)


def _mismatch(key: str, expected: str, value: Any, source: str) -> FactsError:
    return FactsError(f"{source}: '{key}' should be {expected}, it is {_kind(value)}: {str(value)[:60]!r}")
