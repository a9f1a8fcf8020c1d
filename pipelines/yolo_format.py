"""YOLO's files of boxes: beside the folder of pictures one of texts, a line for each object, as rows of one picture.

    images/train/cat.jpg                    labels/train/cat.txt:  15 0.481719 0.634028 0.690625 0.713278
    data.yaml:  names: {0: person, …}                              class id, then middle x, y, width, height, of 1

The layout of Redmon's darknet, as Ultralytics, Roboflow, CVAT and Label Studio write it: ``images/train`` and
``labels/train``, or ``train/images`` and ``train/labels``, or ``images`` and ``labels`` alone. Names of the classes
are in ``data.yaml`` (any ``*.yaml`` with ``names``), ``classes.txt`` or ``obj.names``; without any, their numbers are
their names. A picture without a text has no objects. A line with more than two points is an outline, whose box counts.
A row's other columns are width and height.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .box_layouts import yolo_labels, yolo_name_files
from .errors import DataError
from .object_rows import Marked, object_row
from .picture_layouts import is_picture_name
from .record_rows import BadRow, Record, Rows, shown


def read_yolo(path: str | Path, columns: Sequence[str] | None = None) -> Rows:
    """The pictures of a folder with their objects, in the order of their names.

    Args:
        path: the folder of the pictures: ``images``, or ``train`` in it.
        columns: those wanted; None for all.

    Raises:
        DataError: there are no pictures, the file with the names cannot be read, or there is no column of a name in
            ``columns``.
    """
    images = Path(path)
    labels, names = yolo_labels(images), class_names(images)
    pictures = {file.stem: file for file in sorted(images.iterdir()) if is_picture_name(file.name)}
    if not pictures:
        raise DataError(f"folder '{images.name}' of '{images.parent.name}' holds no pictures")
    row = 0
    for row, (stem, picture) in enumerate(pictures.items(), 1):
        yield _row(picture, labels / f"{stem}.txt", names, row, columns)
    texts = sorted(labels.glob("*.txt")) if labels.is_dir() else []
    without = [file for file in texts if file.stem not in pictures and file.name != "classes.txt"]
    for number, file in enumerate(without, row + 1):
        yield BadRow(file.name, number, f"there is no picture '{file.stem}' in folder '{images.name}'", file.name)


def class_names(images: Path) -> dict[int, str] | None:
    """Class id -> name, as a file near the folder ``images`` of pictures says them; None where none does.

    Raises:
        DataError: the file cannot be read.
    """
    for file in yolo_name_files(images):
        if file.suffix not in (".yaml", ".yml"):
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            return dict(enumerate(line.strip() for line in lines if line.strip()))
        import yaml

        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DataError(f"{file.name} cannot be read as YAML ({error})") from error
        names = content.get("names") if isinstance(content, Mapping) else None
        if isinstance(names, list):
            return dict(enumerate(map(str, names)))
        if isinstance(names, Mapping):
            try:
                return {int(key): str(name) for key, name in names.items()}
            except (TypeError, ValueError) as error:
                raise DataError(f"{file.name} has names that are not numbered ({error})") from error
    return None


def _row(
    picture: Path, text: Path, names: Mapping[int, str] | None, row: int, columns: Sequence[str] | None
) -> Record | BadRow:
    try:
        lines = text.read_text(encoding="utf-8-sig").splitlines() if text.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        return BadRow(text.name, row, f"it cannot be read as text ({error})", text.name)
    objects = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        marked = _marked(line.split(), names)
        if isinstance(marked, str):
            return BadRow(text.name, row, f"line {number} {marked}", shown(line))
        objects.append(marked)
    return object_row(picture, objects, source=text.name, row=row, columns=columns)


def _marked(words: Sequence[str], names: Mapping[int, str] | None) -> Marked | str:
    """The object of a line; in its place a sentence that says what is wrong with it."""
    try:
        label, values = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        return f"is '{' '.join(words)[:60]}'; expected a class id and four fractions"
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        return f"has {len(values)} numbers after the class id; expected middle x, middle y, width and height"
    if names is not None and label not in names:
        return f"has the class id {label}; the names are of {min(names)} to {max(names)}"
    if max(values) > 1.0 + 1e-2 or min(values) < -1e-2:
        return f"has the number {max(values, key=abs):g}; expected fractions of the picture, from 0 to 1"
    if len(values) > 4:
        across, down = values[::2], values[1::2]
        left, right, top, bottom = min(across), max(across), min(down), max(down)
        values = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    category = str(label) if names is None else names[label]
    return Marked((values[0], values[1], values[2], values[3]), category, is_fraction=True)
