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

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from .box_layouts import ANNOTATIONS, PICTURES, voc_folder, xml_files
from .errors import DataError
from .object_rows import Marked, numbers, object_row
from .picture_layouts import PICTURE_ENDINGS
from .record_rows import BadRow, Record, Rows, shown

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(path: str | Path, columns: Sequence[str] | None = None) -> Rows:
    """The pictures of a folder with their objects, in the order of their names or of a list; a row is an XML file.

    Args:
        path: a folder, of ``Annotations`` or of pictures and XML files; or a list in its ``ImageSets/Main``, such as
            ``train.txt``.
        columns: those wanted; None for all.

    Raises:
        DataError: there are no XML files, or there is no column of a name in ``columns``.
    """
    path = Path(path)
    folder = voc_folder(path)
    if path.is_dir():
        files = sorted(xml_files(folder))
    else:
        names = (line.split() for line in path.read_text(encoding="utf-8-sig").splitlines())
        files = [folder / ANNOTATIONS / f"{words[0]}.xml" for words in names if words]
    if not files:
        raise DataError(f"'{path.name}' holds no pictures in VOC's form; expected Annotations/*.xml")
    for row, file in enumerate(files, 1):
        yield _row(file, folder, row, columns)


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
