"""The finished parts of a file run, kept on disk so that a run that was killed goes on where it stopped.

    reviews-out.csv            the output, which appears whole, at the end
    .reviews-out.csv.parts/    while the run goes on: one folder for what is run, in it one file for every 1000 answers
        4f6c…/00000.jsonl

A part holds answers only, one JSON line a row: the rows are in the input still. It is written under another name and
renamed, so it is there whole or not at all. The folder's name is a fingerprint of input, checkpoint and options: where
one of them has changed, nothing old is reused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError
from .record_files import is_url

if TYPE_CHECKING:
    from .checkpoints import Checkpoint

PART_ROWS = 1000
"""Answers a part: a few seconds of work for a large model, which is what a killed run loses."""

_EDGE_BYTES = 1 << 20  # of each end of a file; with its size and time of change this tells files apart


class RunParts:
    """The parts of one run.

    Args:
        output: the file that the run makes.
        fingerprint: of everything that the answers depend on.
    """

    def __init__(self, output: Path, fingerprint: str) -> None:
        self._parent = output.with_name(f".{output.name}.parts")
        self._folder = self._parent / fingerprint[:16]

    def prepare(self) -> int:
        """Makes the folder, drops parts of other runs, and returns the number of rows whose answers are there.

        Raises:
            DataError: the output's folder is not there or cannot be written to.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"the folder of the output '{self._parent.name[1:-6]}' cannot be written to ({error.strerror}); "
                "choose another --output."
            ) from error
        for other in self._parent.iterdir():
            if other != self._folder:
                shutil.rmtree(other)
        for partial in self._folder.glob("*.partial"):
            partial.unlink()
        return sum(1 for part in self._finished() for _ in part.open(encoding="utf-8"))

    def add(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Writes the next part."""
        path = self._path(len(self._finished()))
        partial = path.with_suffix(".partial")
        with partial.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)

    def answers(self) -> Iterator[dict[str, Any]]:
        """The answers of all parts, in order."""
        for part in self._finished():
            with part.open(encoding="utf-8") as stream:
                yield from map(json.loads, stream)

    def remove(self) -> None:
        """Drops all parts, once the output is there."""
        shutil.rmtree(self._parent)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.jsonl"

    def _finished(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))


def fingerprint(digests: Sequence[str], options: Mapping[str, Any]) -> str:
    """sha256 over what the answers of a run depend on.

    Args:
        digests: of the input's files and of the checkpoint.
        options: everything else, as JSON values or things with a distinct ``str``.
    """
    content = json.dumps([PART_ROWS, list(digests), dict(options)], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def checkpoint_digest(checkpoint: Checkpoint) -> str:
    """A digest that changes when a checkpoint does: of its files, or of the weights of one that is in memory only."""
    digest = hashlib.sha256(f"{checkpoint.name} {next(checkpoint.model.parameters()).dtype}".encode())
    if checkpoint.folder is not None:
        for path in sorted(checkpoint.folder.iterdir()):
            if path.suffix in (".json", ".safetensors", ".bin", ".txt", ".model"):
                digest.update(file_digest(path).encode())
        return digest.hexdigest()
    import torch

    for name, tensor in sorted(checkpoint.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else b"")
    return digest.hexdigest()


def file_digest(path: str | Path) -> str:
    """A digest that changes when a file does: its name, size, time of change, and the bytes at both ends."""
    digest = hashlib.sha256(os.path.basename(str(path)).encode())
    if not is_url(path):
        status = os.stat(path)
        digest.update(f" {status.st_size} {status.st_mtime_ns} ".encode())
        with open(path, "rb") as stream:
            digest.update(stream.read(_EDGE_BYTES))
            stream.seek(max(0, status.st_size - _EDGE_BYTES))
            digest.update(stream.read())
    return digest.hexdigest()
