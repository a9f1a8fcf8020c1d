"""What a publication would change: the local files beside those of the repository, compared by their hashes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from .hub_records import Head, RemoteFile

Change = Literal["new", "changed", "same", "deleted"]


@dataclass(frozen=True)
class LocalFile:
    """A file to publish, as it was when it was looked at.

    Attributes:
        path: in the repository.
        source: on this machine.
        size: in bytes.
        time: of its last change, in nanoseconds.
    """

    path: str
    source: Path
    size: int
    time: int

    @classmethod
    def of(cls, path: str, source: Path) -> LocalFile:
        """The file as it is now."""
        state = source.stat()
        return cls(path, source, state.st_size, state.st_mtime_ns)

    @cached_property
    def sha256(self) -> str:
        """Hash of its content; read once."""
        from ..pipelines.integrity import sha256

        return sha256(self.source)

    @cached_property
    def blob_id(self) -> str:
        """Git's id of its content; read once."""
        from ..pipelines.integrity import git_blob_sha1

        return git_blob_sha1(self.source)

    @property
    def is_as_before(self) -> bool:
        """Whether nobody has written to it since it was looked at."""
        return self.source.is_file() and LocalFile.of(self.path, self.source) == self

    def equals(self, remote: RemoteFile | None) -> bool:
        """Whether the Hub has this very content."""
        if remote is None or remote.size != self.size:
            return False
        return self.sha256 == remote.sha256 if remote.sha256 else self.blob_id == remote.blob_id


@dataclass(frozen=True)
class PlannedFile:
    """A file of the repository after the publication, and what happens to it; ``size`` in bytes."""

    path: str
    size: int
    change: Change


@dataclass(frozen=True)
class Plan:
    """Everything that a publication would do.

    Attributes:
        files: by path.
        left_out: path or folder here -> why it is not published.
        kept: paths that only the repository has, and keeps.
        is_compared: whether the repository was looked at; else every file counts as new.
    """

    files: tuple[PlannedFile, ...]
    left_out: Mapping[str, str]
    kept: tuple[str, ...] = ()
    is_compared: bool = True

    @property
    def changes(self) -> tuple[PlannedFile, ...]:
        """The files that are not as they should be yet."""
        return tuple(file for file in self.files if file.change != "same")

    @property
    def upload_bytes(self) -> int:
        """Of all files to be sent."""
        return sum(file.size for file in self.files if file.change in ("new", "changed"))

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "files": [vars(file) for file in self.files],
            "left_out": dict(self.left_out),
            "kept": list(self.kept),
            "bytes": self.upload_bytes,
            "compared": self.is_compared,
        }


def make_plan(files: Iterable[LocalFile], left_out: Mapping[str, str], head: Head | None, *, is_compared: bool) -> Plan:
    """The plan for publishing ``files`` to a repository that is at ``head``, None for a new one."""
    there = dict(head.files) if head is not None else {}
    planned = []
    for file in files:
        remote = there.pop(file.path, None)
        change: Change = "new" if remote is None else "same" if file.equals(remote) else "changed"
        planned.append(PlannedFile(file.path, file.size, change))
    names = {file.path for file in planned}
    stale = sorted(path for path in there if _is_superseded(path, names))
    planned += [PlannedFile(path, there[path].size, "deleted") for path in stale]
    kept = tuple(sorted(path for path in there if path not in stale and path != ".gitattributes"))
    return Plan(tuple(sorted(planned, key=lambda file: file.path)), left_out, kept, is_compared)


def _is_superseded(path: str, published: set[str]) -> bool:
    """Whether a file that only the repository has would be taken for weights of the checkpoint that replaces it.

    Readers prefer one whole file of weights to several parts, and parts are found by their index.
    """
    name = PurePosixPath(path)
    is_weights = name.name == "model.safetensors.index.json" or (
        name.suffix == ".safetensors" and name.name.startswith("model")
    )
    return is_weights and len(name.parts) == 1 and any(file.startswith("model") for file in published)


def is_there(files: Iterable[LocalFile], deleted: Iterable[str], head: Head) -> bool:
    """Whether a repository at ``head`` has every file, and none of the deleted ones."""
    return all(file.equals(head.files.get(file.path)) for file in files) and not set(deleted) & set(head.files)
