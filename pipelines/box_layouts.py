"""Data of pictures with boxes: what it looks like on disk.

    instances_train2017.json, or any file with lists of images, annotations and categories      `coco`
    Annotations/*.xml + JPEGImages/ + ImageSets/Main/train.txt, or XML files beside pictures    `voc`
    images/train/ + labels/train/, train/images/ + train/labels/, or images/ + labels/          `yolo`

Nothing is read here but folder listings, and of JSON and XML files the beginning and the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

COCO, VOC, YOLO = "coco", "voc", "yolo"
BOX_LAYOUTS = (COCO, VOC, YOLO)

ANNOTATIONS, PICTURES = "Annotations", ("JPEGImages", "images", "Images")
LISTS = Path("ImageSets", "Main")
VOC_LISTS = ("train.txt", "val.txt", "test.txt")
IMAGES, LABELS = "images", "labels"

_HEAD = 1 << 16  # bytes in which the first list of a file, or what stands before it, has begun
_YEAR = re.compile(r"(train|val|test)\d{4}")  # instances_val2017.json
_COCO_FOLDERS = ("annotations", "annotation")


def box_layouts(folder: Path) -> list[tuple[Path, str, str]]:
    """What in a folder holds pictures with boxes: file or folder, its form of `BOX_LAYOUTS`, words for its split."""
    marked = coco_files(folder)
    if marked:
        return [(path, COCO, coco_split(path) or path.name) for path in marked]
    if is_voc(folder):
        lists = [folder / LISTS / name for name in VOC_LISTS if (folder / LISTS / name).is_file()]
        return [(path, VOC, path.stem) for path in lists] or [(folder, VOC, "")]
    return [(images, YOLO, name) for name, images, _ in yolo_folders(folder)]


def coco_files(folder: Path) -> list[Path]:
    """COCO's files of boxes in a folder or its ``annotations/``; of several kinds there those of whole objects."""
    places = [folder, *(folder / name for name in _COCO_FOLDERS)]
    found = [file for place in places for file in sorted(place.glob("*.json")) if is_coco(file)]
    return [file for file in found if file.name.startswith("instances")] or found


def is_coco(path: Path) -> bool:
    """Whether a JSON file begins or ends as one of COCO's boxes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            if head.lstrip()[:1] != b"{":
                return False
            stream.seek(max(0, path.stat().st_size - _HEAD))
            both = head + stream.read()
    except OSError:
        return False
    return b'"file_name"' in both and b'"categories"' in both and b'"images"' in both and b'"bbox"' in both


def coco_split(path: Path) -> str | None:
    """The split of a file that is named as COCO's own are: ``validation`` of instances_val2017.json."""
    year = _YEAR.search(path.name)
    return {"val": "validation"}.get(year[1], year[1]) if year else None


def coco_folders(path: Path) -> list[Path]:
    """Where the pictures of a file may be: instances_val2017.json in annotations/ has them in val2017/ beside that."""
    folder, around = path.parent, path.parent.parent
    part = re.sub(r"^_?(instances|annotations|labels|result)?[_.-]*", "", path.name.split(".")[0])
    places = [folder, folder / IMAGES, around, around / IMAGES]
    if part:
        places += [folder / part, folder / IMAGES / part, around / part, around / IMAGES / part]
    return [place for place in places if place.is_dir()]


def is_voc(folder: Path) -> bool:
    """Whether a folder has the XML files of VOC, itself or in ``Annotations``."""
    first = min(xml_files(folder), default=None)
    if first is None:
        return False
    with first.open("rb") as stream:
        return b"<annotation" in stream.read(_HEAD)


def xml_files(folder: Path) -> Iterator[Path]:
    """The XML files of a folder, of ``Annotations`` in it where there is such a folder."""
    place = folder / ANNOTATIONS if (folder / ANNOTATIONS).is_dir() else folder
    return (file for file in place.iterdir() if file.suffix.lower() == ".xml" and not file.name.startswith("."))


def voc_folder(path: Path) -> Path:
    """The folder of ``Annotations`` that a list of pictures belongs to; a folder itself."""
    return path if path.is_dir() else path.parents[len(LISTS.parts)]


def yolo_folders(folder: Path) -> list[tuple[str, Path, Path]]:
    """The name of each split in a folder, the folder of its pictures and that of its texts; the name may be empty."""
    inner = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    found = [(place.name, place / IMAGES, place / LABELS) for place in inner]
    images, labels = folder / IMAGES, folder / LABELS
    if images.is_dir() and labels.is_dir():
        found += [(place.name, place, labels / place.name) for place in sorted(images.iterdir()) if place.is_dir()]
        found.append(("", images, labels))
    return [(name, pictures, texts) for name, pictures, texts in found if pictures.is_dir() and _has_texts(texts)]


def yolo_labels(images: Path) -> Path:
    """The folder of the texts that belong to a folder of pictures."""
    if images.name == IMAGES:
        return images.parent / LABELS
    return images.parent.parent / LABELS / images.name


def box_files(path: Path, format: str) -> Sequence[Path]:
    """Every file that the rows of a file or folder in one of `BOX_LAYOUTS` may come from."""
    if format == COCO:
        beside = [file for place in coco_folders(path) for file in sorted(place.iterdir()) if file.is_file()]
        return list(dict.fromkeys([path, *beside]))
    if format == VOC:
        folder = voc_folder(path)
        pictures = [place for name in PICTURES if (place := folder / name).is_dir()] or [folder]
        beside = [file for place in pictures for file in sorted(place.iterdir()) if file.is_file()]
        return list(dict.fromkeys([*([path] if path.is_file() else []), *sorted(xml_files(folder)), *beside]))
    folders = [path, yolo_labels(path)]
    files = [file for place in folders for file in sorted(place.iterdir()) if file.is_file()]
    return [*files, *yolo_name_files(path)]


def yolo_name_files(images: Path) -> list[Path]:
    """The files that may name the classes of a folder of pictures, the likeliest first."""
    above = list(images.parents)[:2]
    places = [*above, *(place / LABELS for place in above)]
    found = [file for place in places for file in (*sorted(place.glob("*.yaml")), *sorted(place.glob("*.yml")))]
    lists = ("classes.txt", "obj.names", "classes.names")
    return [*found, *(place / name for place in places for name in lists if (place / name).is_file())]


def _has_texts(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix == ".txt" for file in folder.iterdir())
