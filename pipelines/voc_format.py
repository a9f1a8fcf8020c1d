"""PASCAL VOC's files of boxes: an XML file for each picture, as rows.

    <annotation><filename>cat.jpg</filename><size><width>640</width><height>480</height></size>
      <object><name>cat</name><bndbox><xmin>8</xmin><ymin>12</ymin><xmax>352</xmax><ymax>498</ymax></bndbox></object>
    </annotation>

The layout of Everingham et al. 2010, "The PASCAL Visual Object Classes Challenge", which labelImg, CVAT and others
write: ``Annotations/*.xml``, ``JPEGImages/``, and ``ImageSets/Main/train.txt`` with names of pictures; or pictures and
XML files beside each other. A box goes from xmin to xmax and from ymin to ymax, as these tools write it; the challenge
itself counted pixels from 1. Objects marked as difficult are objects. A row's other columns are width and height.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from .errors import DataError
from .object_rows import Marked, numbers, object_row
from .record_files import PICTURE_ENDINGS
from .record_rows import BadRow, Record, Rows, shown

ANNOTATIONS, PICTURES = "Annotations", ("JPEGImages", "images", "Images")
LISTS = Path("ImageSets", "Main")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def is_voc(folder: Path) -> bool:
    """Whether a folder has the XML files of VOC, itself or in ``Annotations``."""
    return next(_xml_files(folder), None) is not None


def voc_lists(folder: Path) -> dict[str, Path]:
    """Split -> the file with the names of its pictures: of train, validation and test those that there are."""
    files = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
    return {split: folder / LISTS / name for split, name in files.items() if (folder / LISTS / name).is_file()}


def read_voc(folder: str | Path, split: str | None = None, columns: Sequence[str] | None = None) -> Rows:
    """The pictures of a folder with their objects, in the order of their names; a row is an XML file.

    Args:
        folder: that of ``Annotations``, or of pictures and XML files.
        split: ``train``, ``validation`` or ``test``, as ``ImageSets/Main`` lists them; None for all pictures.
        columns: those wanted; None for all.

    Raises:
        DataError: there are no XML files, no list of the split, or no column of a name in ``columns``.
    """
    folder = Path(folder)
    if split is None:
        files: Iterable[Path] = sorted(_xml_files(folder))
    else:
        lists = voc_lists(folder)
        if split not in lists:
            found = ", ".join(lists) or "none"
            raise DataError(f"folder '{folder.name}' has no list of the pictures of {split} (lists found: {found})")
        names = (line.split() for line in lists[split].read_text(encoding="utf-8-sig").splitlines())
        files = [folder / ANNOTATIONS / f"{words[0]}.xml" for words in names if words]
    is_empty = True
    for row, file in enumerate(files, 1):
        is_empty = False
        yield _row(file, folder, row, columns)
    if is_empty:
        raise DataError(f"folder '{folder.name}' holds no XML file of VOC's; expected Annotations/*.xml")


def _xml_files(folder: Path) -> Iterable[Path]:
    place = folder / ANNOTATIONS if (folder / ANNOTATIONS).is_dir() else folder
    return (file for file in place.iterdir() if file.suffix.lower() == ".xml" and not file.name.startswith("."))


def _row(file: Path, folder: Path, row: int, columns: Sequence[str] | None) -> Record | BadRow:
    try:
        raw = file.read_bytes()
    except OSError as error:
        return BadRow(file.name, row, f"it cannot be read ({error.strerror})", file.name)
    if b"<!ENTITY" in raw:  # a few of them, each made of several others, fill any memory
        return BadRow(file.name, row, "it declares XML entities, which are not followed", shown(raw.decode("latin-1")))
    try:
        root = ElementTree.fromstring(raw)
    except ElementTree.ParseError as error:
        return BadRow(file.name, row, f"it is not XML ({error})", shown(raw.decode("utf-8", "replace")))
    objects = []
    for number, one in enumerate(root.iter("object"), 1):
        name = (one.findtext("name") or "").strip()
        box = numbers((one.findtext(f"bndbox/{corner}") for corner in _CORNERS), 4)
        if not name or box is None:
            reason = f"object {number} has no name, or no bndbox with xmin, ymin, xmax and ymax"
            return BadRow(file.name, row, reason, shown(ElementTree.tostring(one, "unicode")))
        x1, y1, x2, y2 = box
        objects.append(Marked((x1, y1, x2 - x1, y2 - y1), name))
    size = numbers((root.findtext("size/width"), root.findtext("size/height")), 2)
    stated = (int(size[0]), int(size[1])) if size and min(size) > 0 else None  # some tools write 0 x 0
    picture = _picture(file, (root.findtext("filename") or "").strip(), folder)
    return object_row(picture, objects, source=file.name, row=row, stated=stated, columns=columns)


def _picture(file: Path, named: str, folder: Path) -> Path:
    """The picture that an XML file is about: the one that it names, or that is named like it."""
    places = [place for name in PICTURES if (place := folder / name).is_dir()] + [file.parent, folder]
    base = named.replace("\\", "/").rsplit("/", 1)[-1]
    candidates = [base] if base else []
    candidates += [file.stem + ending for ending in PICTURE_ENDINGS] + [file.stem + ".JPG"]
    found = (place / name for name in candidates for place in places)
    return next((path for path in found if path.is_file()), places[0] / (base or f"{file.stem}.jpg"))
