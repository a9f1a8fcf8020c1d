"""``log.jsonl``: one line per optimizer step; measurements on validation stand in the line of the step before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

FILE_NAME = "log.jsonl"


class StepLog:
    """Appends to a log; a resumed run first cuts off what was written after its state was saved.

    Args:
        folder: the output folder.
        start: bytes to keep of a log that is there.
    """

    def __init__(self, folder: Path, start: int = 0) -> None:
        self.path = folder / FILE_NAME
        self.path.touch()
        with self.path.open("r+b") as file:
            file.truncate(start)
        self._file: TextIO = self.path.open("a", encoding="utf-8")

    def write(self, line: Mapping[str, Any]) -> int:
        """Appends ``line``; returns the length of the log in bytes."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_log(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of the log in ``folder``; nothing where there is none."""
    path = folder / FILE_NAME
    if path.exists():
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
