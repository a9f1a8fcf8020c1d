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

from .errors import DataError
from .object_rows import Marked, object_row
from .record_files import PICTURE_ENDINGS, split_of
from .record_rows import BadRow, Record, Rows, shown

IMAGES, LABELS = "images", "labels"
_NAME_LISTS = ("classes.txt", "obj.names", "classes.names")


def yolo_folders(folder: Path) -> dict[str | None, tuple[Path, Path]]:
    """Split -> the folders of its pictures and of its texts; the split is None where the folder has no splits."""
    pairs: dict[str | None, tuple[Path, Path]] = {}
    if not folder.is_dir():
        return pairs
    for inner in sorted(place for place in folder.iterdir() if place.is_dir()):
        split = split_of(inner.name)
        if split and (inner / IMAGES).is_dir() and (inner / LABELS).is_dir():
            pairs[split] = (inner / IMAGES, inner / LABELS)
    images, labels = folder / IMAGES, folder / LABELS
    if pairs or not images.is_dir() or not labels.is_dir():
        return pairs
    for inner in sorted(place for place in images.iterdir() if place.is_dir()):
        if split := split_of(inner.name):
            pairs[split] = (inner, labels / inner.name)
    return pairs or {None: (images, labels)}


def read_yolo(folder: str | Path, split: str | None = None, columns: Sequence[str] | None = None) -> Rows:
    """The pictures of a folder with their objects, in the order of their names.

    Args:
        folder: with ``images`` and ``labels``, or with folders of splits.
        split: ``train``, ``validation`` or ``test``; None where the folder has no splits.
        columns: those wanted; None for all.

    Raises:
        DataError: there are no such folders or no pictures, the file with the names cannot be read, or there is no
            column of a name in ``columns``.
    """
    folder = Path(folder)
    pairs = yolo_folders(folder)
    if split not in pairs:
        found = ", ".join(str(name) for name in pairs if name) or "none"
        wanted = f"pictures and labels of {split}" if split else "folders 'images' and 'labels'"
        raise DataError(f"folder '{folder.name}' has no {wanted} (splits found: {found})")
    images, labels = pairs[split]
    names = class_names(folder)
    pictures = {file.stem: file for file in sorted(images.iterdir()) if file.suffix.lower() in PICTURE_ENDINGS}
    if not pictures:
        raise DataError(f"folder '{images.name}' of '{folder.name}' holds no pictures")
    row = 0
    for row, (stem, picture) in enumerate(pictures.items(), 1):
        yield _row(picture, labels / f"{stem}.txt", names, row, columns)
    texts = sorted(labels.glob("*.txt")) if labels.is_dir() else []
    without = [file for file in texts if file.stem not in pictures and file.name not in _NAME_LISTS]
    for number, file in enumerate(without, row + 1):
        yield BadRow(file.name, number, f"there is no picture '{file.stem}' in folder '{images.name}'", file.name)


def class_names(folder: Path) -> dict[int, str] | None:
    """Class id -> name; None where no file says them.

    Raises:
        DataError: the file cannot be read.
    """
    for file in [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("*.yml"))]:
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
    for place in (folder, folder / LABELS):
        for name in _NAME_LISTS:
            if (place / name).is_file():
                lines = (place / name).read_text(encoding="utf-8-sig").splitlines()
                return dict(enumerate(line.strip() for line in lines if line.strip()))
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
