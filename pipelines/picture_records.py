"""The rows of every form of data in `picture_layouts`, by one name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .box_layouts import COCO, VOC, YOLO
from .coco_format import read_coco
from .errors import DataError
from .mask_folders import read_mask_folder
from .picture_arrays import read_cifar, read_idx
from .picture_layouts import CAPTIONS, CIFAR, IDX, MASKS, METADATA, STRAY, VIDEO
from .picture_lists import read_captions, read_metadata
from .record_rows import BadRow, Rows
from .video_files import read_video_file
from .voc_format import read_voc
from .yolo_format import read_yolo

_READERS = {
    IDX: read_idx,
    CIFAR: read_cifar,
    MASKS: read_mask_folder,
    METADATA: read_metadata,
    CAPTIONS: read_captions,
    COCO: read_coco,
    VOC: read_voc,
    YOLO: read_yolo,
}


def read_picture_data(path: Path, format: str, label: str | None, columns: Sequence[str] | None = None) -> Rows:
    """The rows of a file or folder in one of `picture_layouts.LAYOUTS`, of a video, or of a stray file, which is bad.

    Raises:
        DataError: it is broken as a whole, cannot be read, or has no column of a name in ``columns``.
    """
    try:
        if format == STRAY:
            what = "a folder in" if path.is_dir() else "a file of another kind in"
            reason = f"it is {what} the class folder '{label}'; take it away, or give it the ending of what it is"
            yield BadRow(path.name, 1, reason, "")
        elif format == VIDEO:
            yield from read_video_file(path, label, columns)
        else:
            yield from _READERS[format](path, columns)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror or error}); may it be read?") from error
