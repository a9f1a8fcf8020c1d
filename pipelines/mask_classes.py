"""Which class an index or a colour of a mask is: the tables that lie beside folders of masks.

    classes.json       ["sky", "road"], {"0": "sky", "1": "road"}, {"sky": [128, 128, 128], …} or a list of
                       {"name": "sky", "color": [128, 128, 128], "id": 0}
    classes.txt        a class a line: sky, 0 sky, sky 128 128 128 or 128 128 128 sky; with spaces, tabs or commas

A class called void, unlabelled or ignore is none: its pixels become 255, not labelled, and the others count without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DataError

UNLABELLED = 255
"""The index of pixels whose class is not known."""

MOST_CLASSES = 254  # indices of one byte, without 255 and one that marks what is unknown

NO_CLASS = {"void", "unlabelled", "unlabeled", "ignore", "ignored", "don't care"}
_HEADERS = {("r", "g", "b"), ("red", "green", "blue")}

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class MaskClasses:
    """The classes of masks.

    Attributes:
        names: of the classes, by their indices, without void.
        of_index: index as it stands in a mask -> index of the class; `UNLABELLED` for void.
        of_colour: likewise for red, green and blue; empty where the table has no colours.
        source: base name of the file.
    """

    names: tuple[str, ...]
    of_index: dict[int, int]
    of_colour: dict[Colour, int]
    source: str


@dataclass(frozen=True)
class _Entry:
    name: str
    index: int | None = None
    colour: Colour | None = None


def read_mask_classes(path: Path) -> MaskClasses:
    """The classes that a table beside masks names.

    Raises:
        DataError: it is no such table, or names a class, an index or a colour twice.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    entries = list(_json_entries(text, path.name) if path.suffix == ".json" else _line_entries(text))
    if not entries:
        raise DataError(f"{path.name} names no classes; expected a line for each, such as: road 128 64 128")
    indexed = [(place if entry.index is None else entry.index, entry) for place, entry in enumerate(entries)]
    counted: dict[str, list[Any]] = {
        "class": [entry.name for entry in entries],
        "index": [index for index, _ in indexed],
        "colour": [entry.colour for entry in entries if entry.colour is not None],
    }
    for what, values in counted.items():
        if twice := [value for value in values if values.count(value) > 1]:
            raise DataError(f"{path.name} has the {what} {twice[0]} twice; expected it once. Correct the file")
    ordered = sorted(indexed, key=lambda pair: pair[0])
    names = tuple(entry.name for _, entry in ordered if entry.name.casefold() not in NO_CLASS)
    if len(names) > MOST_CLASSES:
        raise DataError(f"{path.name} names {len(names)} classes; a mask can tell up to {MOST_CLASSES} apart")
    new = {name: index for index, name in enumerate(names)}
    return MaskClasses(
        names,
        {index: new.get(entry.name, UNLABELLED) for index, entry in ordered} | {UNLABELLED: UNLABELLED},
        {entry.colour: new.get(entry.name, UNLABELLED) for entry in entries if entry.colour is not None},
        path.name,
    )


def names_by_index(path: Path) -> tuple[str, ...]:
    """The names of the indices from 0 upwards that a table names, ``void`` for those of no class.

    Raises:
        DataError: it is no such table.
    """
    classes = read_mask_classes(path)
    last = max((index for index in classes.of_index if index != UNLABELLED), default=-1)
    ids = [classes.of_index.get(index, UNLABELLED) for index in range(last + 1)]
    return tuple("void" if each == UNLABELLED else classes.names[each] for each in ids)


def _json_entries(text: str, source: str) -> Iterable[_Entry]:
    wrong = DataError(
        f'{source} is no table of classes; expected for instance ["sky", "road"], {{"0": "sky"}} or '
        '{"sky": [128, 128, 128]}'
    )
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{source} is not JSON ({error})") from error
    if isinstance(table, dict) and table and all(isinstance(value, str) for value in table.values()):
        if not all(key.isdigit() for key in table):
            raise wrong
        return [_Entry(name, int(index)) for index, name in table.items()]
    if isinstance(table, dict) and table and all(isinstance(value, int) for value in table.values()):
        return [_Entry(name, index) for name, index in table.items()]  # {"sky": 0}
    items = [{"name": key, "color": value} for key, value in table.items()] if isinstance(table, dict) else table
    if not isinstance(items, list):
        raise wrong
    entries = []
    for each in items:
        item: Any = {"name": each} if isinstance(each, str) else each
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise wrong
        colour = next((item[key] for key in ("color", "colour", "rgb") if key in item), None)
        indices: list[int] = [item[key] for key in ("id", "index") if isinstance(item.get(key), int)]
        if colour is not None and not _is_colour(colour):
            raise wrong
        entries.append(
            _Entry(item["name"], indices[0] if indices else None, None if colour is None else _colour(colour))
        )
    return entries


def _line_entries(text: str) -> Iterable[_Entry]:
    for line in text.splitlines():
        line = line.strip()
        words = [word for word in re.split(r"[\s,;:]+", line) if word]
        if not words or line.startswith("#") or tuple(map(str.lower, words[-3:])) in _HEADERS:
            continue
        separated = line.replace(",", " ").replace(";", " ").replace("\t", " ").replace(":", " ")
        if len(words) > 3 and _is_colour(words[-3:]):
            # a class may have several words, and its number before them
            name = " ".join(words[:-3])
            has_index = words[0].isdigit() and len(words) > 4
            yield _Entry(
                " ".join(words[1:-3]) if has_index else name, int(words[0]) if has_index else None, _colour(words[-3:])
            )
        elif len(words) > 3 and _is_colour(words[:3]):
            yield _Entry(" ".join(words[3:]), None, _colour(words[:3]))
        elif len(words) > 1 and words[0].isdigit():
            yield _Entry(" ".join(words[1:]), int(words[0]))
        else:
            yield _Entry(" ".join(separated.split()))


def _is_colour(values: Any) -> bool:
    is_three = isinstance(values, list | tuple) and len(values) == 3
    return is_three and all(str(value).isdigit() and int(value) <= 255 for value in values)


def _colour(values: Any) -> Colour:
    red, green, blue = (int(value) for value in values)
    return red, green, blue
