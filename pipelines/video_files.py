"""One video file as a row: ``video``, by its path, since copies of videos would fill the disk, and ``label``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .errors import MissingExtraError
from .record_rows import BadRow, Record, Rows, chosen


def read_video_file(path: Path, label: str | None, columns: Sequence[str] | None = None) -> Rows:
    """The row of a video, ``{"video": {"bytes": None, "path": …}, "label": …}``; a bad one where it has no frame.

    Only the first frame is decoded.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    reason = video_fault(path)
    if reason is not None:
        yield BadRow(path.name, 1, reason, "")
        return
    values: dict[str, Any] = {"video": {"bytes": None, "path": str(path)}}
    yield Record(chosen(values | ({} if label is None else {"label": label}), columns, path.name), path.name, 1)


def video_fault(path: Path) -> str | None:
    """Why a file is no video with frames; None for one that is.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    if find_spec("av") is None:
        raise MissingExtraError("av", "video", "reading videos")
    import av
    from av.error import FFmpegError

    if path.stat().st_size == 0:
        return "it is empty (0 bytes); expected a video"
    try:
        with av.open(str(path)) as container:
            if not container.streams.video or next(container.decode(video=0), None) is None:
                return "it has no frames; expected a video"
    except (FFmpegError, ValueError) as error:
        return f"it is no video that can be decoded ({error}); expected MP4, MKV, WebM, AVI or the like"
    return None
