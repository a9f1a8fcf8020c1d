"""Files that name pictures beside them: metadata as datasets' imagefolder has it, and lists of captions.

A row of metadata names its picture in the column ``file_name``; what comes out has the picture in the column ``image``
in its place. Of captions one row comes out for each picture, ``image`` and ``captions``, a list of its texts in their
order, from any of

    image,caption                          a table with or without a header, a caption a line
    name.jpg#0<tab>A dog runs.             Flickr8k.token.txt
    {"name.jpg": ["A dog runs."]}          JSON, or rows {"image": …, "caption": …} as a list or a line each
    {"images": […], "annotations": […]}    COCO
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import DataError, unknown_name
from .picture_layouts import is_picture_name, pictures_by_name, pictures_folder
from .record_formats import read_file
from .record_rows import BadRow, Record, Rows, check_columns, chosen, invalid_byte, not_utf8, shown

_PICTURE_COLUMNS = ("image", "file_name", "filename", "image_name", "file", "path", "image_path", "img", "picture")
_CAPTION_COLUMNS = ("captions", "caption", "text", "sentence", "comment", "description", "raw", "sentences")
_TOKEN = re.compile(r"^(.+?)#\d+\t(.*)$")


def read_metadata(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """The rows of ``metadata.csv``, ``.jsonl`` or ``.parquet`` with their pictures.

    At the end come, as bad rows, the pictures that no row names.

    Raises:
        DataError: the table is broken as a whole, or has no column ``file_name``.
    """
    named = pictures_by_name(path.parent)
    left = dict.fromkeys(named.values())
    number = 0
    with path.open("rb") as stream:
        for row in read_file(stream, path.name, path.suffix[1:]):
            number = row.row
            if isinstance(row, BadRow):
                yield row
                continue
            if "file_name" not in row.values:
                raise unknown_name(
                    "column of metadata", "file_name", row.values, hint=f"{path.name} must name pictures."
                )
            values = dict(row.values)
            name = values.pop("file_name")
            file = named.get(str(name).removeprefix("./"))
            if file is None:
                yield BadRow(row.source, row.row, _missing(name, path.parent), shown(str(name)))
                continue
            left.pop(file, None)
            image = {"image": {"bytes": file.read_bytes(), "path": str(file)}}
            yield Record(chosen(image | values, columns, row.source), row.source, row.row)
    for extra, file in enumerate(left, number + 1):
        yield BadRow(path.name, extra, f"no row names the picture '{file.name}'; add one, or take it away", file.name)


@dataclass
class _Captions:
    row: int
    texts: list[str] = field(default_factory=list)


def read_captions(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """The pictures that a list of captions names, each with its texts, at the place of the first of these.

    Bad rows are those whose picture is not there or whose caption is empty.

    Raises:
        DataError: it is no list of captions.
    """
    folder = pictures_folder(path)
    named = pictures_by_name(folder)
    found: dict[Path, _Captions] = {}
    for row in _caption_rows(path):
        if isinstance(row, BadRow):
            yield row
            continue
        number, name, texts = row
        file = named.get(name.removeprefix("./"))
        if file is None:
            yield BadRow(path.name, number, _missing(name, folder), shown(f"{name}\t{' '.join(texts)}"))
        elif not texts or not all(text.strip() for text in texts):
            yield BadRow(path.name, number, f"the caption of '{name}' is empty", name)
        else:
            found.setdefault(file, _Captions(number)).texts.extend(text.strip() for text in texts)
    for file, captions in found.items():
        values = {"image": {"bytes": file.read_bytes(), "path": str(file)}, "captions": captions.texts}
        yield Record(chosen(values, columns, path.name), path.name, captions.row)


def _missing(name: Any, folder: Path) -> str:
    return f"there is no picture '{name}' in folder '{folder.name}'; correct the name, or put the picture there"


_CaptionRow = tuple[int, str, list[str]]  # number, name of the picture, texts


def _caption_rows(path: Path) -> Iterator[_CaptionRow | BadRow]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if not raw.strip():
        raise DataError(f"{path.name} is empty; expected lines such as: name.jpg,A dog runs.")
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    text = raw.decode("utf-8-sig", errors="surrogateescape")
    if suffix in (".json", ".jsonl"):
        return _json_rows(raw, text, path.name, suffix[1:])
    first = next(line for line in text.splitlines() if line.strip())
    if _TOKEN.match(first):
        return _line_rows(text, path.name, lambda line: _TOKEN.match(line), "name.jpg#0, a tab and a caption")
    delimiter = max("\t,|;", key=lambda mark: (mark in first, mark == "\t", -first.find(mark)))
    start = next(csv.reader([first], delimiter=delimiter), [""])
    if start and is_picture_name(start[0].strip()):
        pattern = re.compile(rf"^([^{delimiter}]+){re.escape(delimiter)}(.*)$")
        return _line_rows(text, path.name, lambda line: pattern.match(line), "a picture and a caption")
    if delimiter == "|":  # results.csv of Flickr30k: no quotes, spaces around the marks, and captions with commas
        raw = "\n".join("\t".join(part.strip() for part in line.split("|")) for line in text.split("\n")).encode(
            "utf-8", "surrogateescape"
        )
        delimiter = "\t"
    rows = read_file(io.BytesIO(raw), path.name, "tsv" if delimiter == "\t" else "csv")
    return _table_rows(rows, path.name)


def _line_rows(text: str, source: str, match: Any, expected: str) -> Iterator[_CaptionRow | BadRow]:
    number = 0
    for line in text.split("\n"):  # splitlines would end lines at marks that captions may hold
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        number += 1
        if (byte := invalid_byte(line)) is not None:
            yield BadRow(source, number, not_utf8(byte, None), shown(line))
        elif found := match(line):
            caption = found[2].strip()
            is_quoted = len(caption) > 1 and caption[0] == caption[-1] == '"'
            yield number, found[1].strip(), [caption[1:-1].replace('""', '"') if is_quoted else caption]
        else:
            yield BadRow(source, number, f"expected {expected}, as in the first line", shown(line))


def _table_rows(rows: Iterable[Record | BadRow], source: str) -> Iterator[_CaptionRow | BadRow]:
    columns: tuple[str, str] | None = None
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        columns = columns or _columns(row.values, source)
        check_columns(columns, list(row.values), source)
        name, texts = (row.values[column] for column in columns)
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(name, str) or not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
            yield BadRow(source, row.row, "expected the name of a picture and its captions", shown(str(row.values)))
        else:
            yield row.row, name, texts


def _columns(values: Mapping[str, Any], source: str) -> tuple[str, str]:
    """The columns with the name of the picture and with the caption."""
    by_case = {name.casefold(): name for name in reversed(list(values))}
    picture = next((by_case[name] for name in _PICTURE_COLUMNS if name in by_case), None)
    caption = next((by_case[name] for name in _CAPTION_COLUMNS if name in by_case), None)
    if picture is None or caption is None:
        raise DataError(
            f"{source} has the columns {', '.join(values)}; expected one that names pictures, such as 'image', and one "
            "with texts, such as 'caption'"
        )
    return picture, caption


def _json_rows(raw: bytes, text: str, source: str, format: str) -> Iterator[_CaptionRow | BadRow]:
    if format == "json" and text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{source} is not JSON ({error})") from error
        if {"images", "annotations"} <= document.keys():
            return _coco_rows(document, source)
        if all(isinstance(texts, str | list) and is_picture_name(name) for name, texts in document.items()):
            pairs = ({"image": name, "captions": texts} for name, texts in document.items())
            return _table_rows((Record(pair, source, row) for row, pair in enumerate(pairs, 1)), source)
    return _table_rows(read_file(io.BytesIO(raw), source, format), source)


def _coco_rows(document: Mapping[str, Any], source: str) -> Iterator[_CaptionRow | BadRow]:
    names: dict[Any, str] = {}
    for image in document["images"]:
        if isinstance(image, dict) and "id" in image and isinstance(image.get("file_name"), str):
            names[image["id"]] = image["file_name"]
    left = dict(names)
    number = 0
    for number, annotation in enumerate(document["annotations"], 1):
        is_whole = isinstance(annotation, dict) and isinstance(annotation.get("caption"), str)
        if not is_whole or annotation.get("image_id") not in names:
            reason = "expected an annotation with 'caption' and the 'image_id' of one of the images"
            yield BadRow(source, number, reason, shown(str(annotation)))
            continue
        left.pop(annotation["image_id"], None)
        yield number, names[annotation["image_id"]], [annotation["caption"]]
    for extra, name in enumerate(left.values(), number + 1):
        yield BadRow(source, extra, f"the picture '{name}' has no caption", name)
