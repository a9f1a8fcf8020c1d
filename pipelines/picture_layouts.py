"""Data of pictures and videos that is more than a table or one file a picture: what it looks like on disk.

    train-images-idx3-ubyte.gz + train-labels-idx1-ubyte.gz        MNIST and its relatives: `idx`
    data_batch_1.bin, data_batch_1, train.bin, train               CIFAR-10 and CIFAR-100, binary or pickled: `cifar`
    images/a.jpg + masks/a.png, classes.json                       a mask beside each picture: `masks`
    metadata.csv beside pictures that it names                     as datasets' imagefolder has it: `metadata`
    captions.csv, Flickr8k.token.txt, captions_val2017.json        texts about each picture: `captions`
    instances_val2017.json, Annotations/*.xml, images/ + labels/   boxes in each picture: see `box_layouts`

Nothing is read here but folder listings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .box_layouts import BOX_LAYOUTS, COCO, box_files, coco_split, is_coco

IDX, CIFAR, MASKS, METADATA, CAPTIONS = "idx", "cifar", "masks", "metadata", "captions"
VIDEO = "video"
"""The format of a file that is one video, a row of its own."""
STRAY = "stray"
"""The format of a file in a class folder that is no row: it is counted as a bad one."""

LAYOUTS = (IDX, CIFAR, MASKS, METADATA, CAPTIONS, *BOX_LAYOUTS)

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif")
VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg")

CLASS_TABLES = (
    "classes.json",
    "classes.txt",
    "classes.csv",
    "class_dict.csv",
    "label_colors.txt",
    "colours.csv",
    "colors.csv",
    "id2label.json",
)
"""Files that say which class an index or a colour of a mask is."""

_PICTURE_FOLDERS = {"images", "image", "imgs", "img", "pictures", "photos"}
_MASK_FOLDERS = {"masks", "mask", "labels", "label", "annotations", "segmentation", "segmentations", "labelmaps"}
_LISTING_FOLDERS = {"annotations", "captions", "text", "texts", "flickr8k_text"}  # lists of pictures that are elsewhere
_NO_STRAYS = {"thumbs.db", "desktop.ini"}  # what file managers leave in folders of pictures
_DEPTH = 3  # folders below that of a list in which its pictures are looked for

_IDX = re.compile(r"(?:^|[-_.])images[-.]idx3-ubyte(?:\.gz)?$", re.IGNORECASE)
_CIFAR_BATCH = re.compile(r"^(data_batch_\d+|test_batch)(\.bin)?$")
_CIFAR_WHOLE = re.compile(r"^(train|test)(\.bin)?$")
_CAPTIONS = re.compile(r"(?:^|[-_. ])captions?(?=[-_. ]).*\.(csv|tsv|txt|json|jsonl)$", re.IGNORECASE)
# Flickr8k.token.txt and results_20130124.token, but not the same with words in their basic forms
_TOKENS = re.compile(r"(?<!\.lemma)\.token(\.txt)?$", re.IGNORECASE)
_YEAR = re.compile(r"(train|val|test)\d{4}")  # captions_val2017.json of COCO
_METADATA = re.compile(r"^metadata\.(csv|jsonl|parquet)$")


def is_picture_name(name: str) -> bool:
    """Whether a file name has the ending of a picture."""
    return name.lower().endswith(PICTURE_ENDINGS) and not name.startswith(".")


def is_stray(path: Path, format: str) -> bool:
    """Whether what lies among the pictures (format ``image``) or videos of a class is none, and worth telling."""
    if path.name.startswith(".") or path.name.lower() in _NO_STRAYS:
        return False
    endings = VIDEO_ENDINGS if format == VIDEO else PICTURE_ENDINGS
    return not (path.name.lower().endswith(endings) and path.is_file())


def file_layout(path: Path) -> tuple[str, str | None] | None:
    """Which of `LAYOUTS` a file begins, and its split where its name says so in a way of its own; None for others."""
    name = path.name
    if _IDX.search(name):
        return IDX, "test" if name.lower().startswith("t10k") else None
    if _CIFAR_BATCH.match(name) or (_CIFAR_WHOLE.match(name) and _is_cifar_100(path)):
        return CIFAR, "test" if name.startswith("test") else "train"
    if _METADATA.match(name) and next(_pictures_below(path.parent, _DEPTH), None):
        return METADATA, None
    if name.endswith(".json") and is_coco(path):
        return COCO, coco_split(path)
    is_list = _TOKENS.search(name) or _CAPTIONS.search(name)
    if is_list and next(_pictures_below(pictures_folder(path), _DEPTH), None):
        year = _YEAR.search(name)
        return CAPTIONS, {"val": "validation"}.get(year[1], year[1]) if year else None
    return None


def caption_lists(entries: list[Path]) -> list[Path]:
    """The lists of captions in those folders among ``entries`` that hold lists, such as COCO's ``annotations/``."""
    folders = [entry for entry in entries if entry.is_dir() and entry.name.lower() in _LISTING_FOLDERS]
    listed = (path for folder in folders for path in sorted(folder.iterdir()) if path.is_file())
    return [path for path in listed if (file_layout(path) or ("", None))[0] == CAPTIONS]


def mask_layouts(entries: list[Path]) -> list[tuple[Path, str | None]]:
    """The folders of pictures among ``entries`` beside which there are masks, each with its split where it is named so.

    Either ``images/`` and ``masks/``, or ``images/train/`` and ``masks/train/``.
    """
    folders = [entry for entry in entries if entry.is_dir() and entry.name.lower() in _PICTURE_FOLDERS]
    found = []
    for folder in folders:
        inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        if any(is_picture_name(entry.name) for entry in inside) and mask_folder(folder):
            found.append((folder, None))
            continue
        found += [(entry, entry.name) for entry in inside if entry.is_dir() and mask_folder(entry)]
    return found


def mask_folder(pictures: Path) -> Path | None:
    """The folder with the masks of those in the folder ``pictures``; None where there is none."""
    for above, below in ((pictures.parent, Path()), (pictures.parent.parent, Path(pictures.name))):
        if below != Path() and pictures.parent.name.lower() not in _PICTURE_FOLDERS:
            continue
        for entry in sorted(above.iterdir()):
            folder = entry / below
            if entry.name.lower() in _MASK_FOLDERS and folder.is_dir() and any(map(_is_picture, folder.iterdir())):
                return folder
    return None


def class_table_file(pictures: Path) -> Path | None:
    """The file that names the classes of masks, in one of the three folders above ``pictures``; None for none."""
    for folder in list(pictures.parents)[:3]:
        for name in CLASS_TABLES:
            if (folder / name).is_file():
                return folder / name
    return None


def labels_file(images: Path) -> Path | None:
    """The idx file with the labels of the pictures in the idx file ``images``; None where there is none."""
    name = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    candidates = (images.with_name(f"{name}{ending}") for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def pictures_folder(listing: Path) -> Path:
    """The folder below which the pictures are that a list names: its own, or the one above where it is in a folder of
    lists, such as ``annotations/``, or has no pictures in its own."""
    folder = listing.parent
    if folder.name.lower() not in _LISTING_FOLDERS and next(_pictures_below(folder, _DEPTH), None):
        return folder
    return folder.parent if folder.name.lower() in _LISTING_FOLDERS else folder


def pictures_by_name(folder: Path) -> dict[str, Path]:
    """The pictures below ``folder``, by path from it and by base name where only one has that."""
    found: dict[str, Path] = {}
    of_base: dict[str, list[Path]] = {}
    for path in _pictures_below(folder, _DEPTH):
        found[path.relative_to(folder).as_posix()] = path
        of_base.setdefault(path.name, []).append(path)
    return {name: paths[0] for name, paths in of_base.items() if len(paths) == 1} | found


def layout_files(path: Path, format: str) -> list[Path]:
    """Every file that the rows of a file or folder in one of `LAYOUTS` come from, sorted."""
    if format == IDX:
        return [path, *filter(None, [labels_file(path)])]
    if format == CIFAR:
        return [path, *sorted(path.with_name(name) for name in CIFAR_NAMES if path.with_name(name).is_file())]
    if format in (METADATA, CAPTIONS):
        folder = path.parent if format == METADATA else pictures_folder(path)
        return [path, *_pictures_below(folder, _DEPTH)]
    if format in BOX_LAYOUTS:
        return list(box_files(path, format))
    if format == STRAY:
        return []
    if format == MASKS:
        folders = [path, *filter(None, [mask_folder(path)])]
        pictures = [entry for folder in folders for entry in sorted(folder.iterdir()) if entry.is_file()]
        return [*pictures, *filter(None, [class_table_file(path)])]
    return [path]


def layout_name(path: Path) -> str:
    """What data with masks is called: the name of the folder that holds those of pictures and masks."""
    while path.name.lower() in _PICTURE_FOLDERS or path.parent.name.lower() in _PICTURE_FOLDERS:
        path = path.parent
    return path.name


CIFAR_NAMES = ("batches.meta", "batches.meta.txt", "meta", "fine_label_names.txt", "coarse_label_names.txt")
"""Files with the names of CIFAR's classes, beside its batches."""


def _is_cifar_100(path: Path) -> bool:
    beside = "fine_label_names.txt" if path.suffix == ".bin" else "meta"
    return path.is_file() and path.with_name(beside).is_file()


def _is_picture(path: Path) -> bool:
    return is_picture_name(path.name)


def _pictures_below(folder: Path, depth: int) -> Iterator[Path]:
    """The pictures in ``folder`` and down to ``depth`` folders below it, sorted."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # no such folder, or one that may not be looked into
        return
    for entry in entries:
        if entry.is_file() and is_picture_name(entry.name):
            yield Path(entry.path)
        elif depth and entry.is_dir() and not entry.name.startswith("."):
            yield from _pictures_below(Path(entry.path), depth - 1)
