"""COCO's files of boxes: one JSON object with lists of pictures, of boxes and of classes, as rows of one picture each.

    {"images": [{"id": 1, "file_name": "cat.jpg", "width": 640, "height": 480}],
     "annotations": [{"image_id": 1, "category_id": 17, "bbox": [x, y, width, height]}],
     "categories": [{"id": 17, "name": "cat"}]}

The layout of Lin et al. 2014, "Microsoft COCO". The pictures are beside the file or in the folders that COCO itself,
Roboflow, CVAT and Label Studio put them in. Boxes around crowds (``iscrowd``) are no single objects, and left out.
A row's other columns are image_id, width and height. The whole file is in memory, since its lists belong together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .box_layouts import coco_folders
from .errors import DataError
from .object_rows import Marked, numbers, object_row
from .record_rows import BadRow, Rows, shown


def read_coco(path: str | Path, columns: Sequence[str] | None = None) -> Rows:
    """The pictures of a file with their objects, in the order of its list ``images``.

    Args:
        path: of the JSON file.
        columns: those wanted; None for all.

    Raises:
        DataError: the file is no JSON or lacks a list, or there is no column of a name in ``columns``.
    """
    path = Path(path)
    source = path.name
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{source} cannot be read ({error.strerror}); check that it exists and may be read") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source} is not JSON ({error})") from error
    lists = {name: _list(document, name, source) for name in ("images", "annotations", "categories")}
    names = {one.get("id"): str(one.get("name")) for one in lists["categories"] if isinstance(one, Mapping)}
    by_picture: dict[Any, list[Any]] = {}
    for one in lists["annotations"]:
        by_picture.setdefault(one.get("image_id") if isinstance(one, Mapping) else None, []).append(one)
    folders = coco_folders(path)
    row = 0
    for row, picture in enumerate(lists["images"], 1):
        if not isinstance(picture, Mapping) or not isinstance(picture.get("file_name"), str):
            yield BadRow(source, row, "it is no picture with 'id' and 'file_name'", _raw(picture))
            continue
        objects = _objects(by_picture.pop(picture.get("id"), ()), names)
        if isinstance(objects, str):
            yield BadRow(source, row, objects, _raw(picture))
            continue
        file = _picture_file(picture["file_name"], folders)
        stated = numbers((picture.get("width"), picture.get("height")), 2)
        yield object_row(
            file,
            objects,
            source=source,
            row=row,
            stated=None if stated is None else (int(stated[0]), int(stated[1])),
            values={"image_id": picture.get("id")},
            columns=columns,
        )
    # Boxes of pictures that the file does not list: a row for each such picture, after the others.
    for number, (image_id, left) in enumerate(by_picture.items(), row + 1):
        reason = f"it marks {len(left)} objects in a picture with the id {image_id!r}, which 'images' does not list"
        yield BadRow(source, number, reason, _raw(left[0]))


def _list(document: Any, name: str, source: str) -> list[Any]:
    found = document.get(name) if isinstance(document, Mapping) else None
    if not isinstance(found, list):
        raise DataError(f"{source} has no list '{name}'; expected COCO's 'images', 'annotations' and 'categories'")
    return found


def _objects(annotations: Sequence[Any], names: Mapping[Any, str]) -> list[Marked] | str:
    """The objects of a picture; in their place a sentence that says what is wrong with one."""
    found = []
    for number, one in enumerate(annotations, 1):
        if not isinstance(one, Mapping):
            return f"object {number} is no object with 'bbox' and 'category_id'"
        if one.get("iscrowd"):
            continue
        box = numbers(one.get("bbox") or (), 4)
        if box is None:
            return f"object {number} has the box {str(one.get('bbox'))[:60]}; expected [x, y, width, height]"
        if one.get("category_id") not in names:
            known = ", ".join(f"{key} {name}" for key, name in list(names.items())[:8])
            more = ", …" if len(names) > 8 else ""
            return f"object {number} has the class id {one.get('category_id')!r}; 'categories' lists {known}{more}"
        found.append(Marked((box[0], box[1], box[2], box[3]), names[one["category_id"]]))
    return found


def _picture_file(name: str, folders: Sequence[Path]) -> Path:
    """The file of a picture; where there is none, the one that should be beside the JSON file.

    A path that leads out of the folders (``../``) is not followed.
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    for tail in (parts, parts[-1:]):
        for folder in folders:
            if (file := folder.joinpath(*tail)).is_file():
                return file
    return folders[0].joinpath(*parts)


def _raw(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False))
