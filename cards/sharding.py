"""Weights in several files, named and indexed as transformers does it, where one file is larger than a Hub takes.

Tensors are copied as bytes from the one file to the others, so that no more than a buffer is in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .facts import FILE_NAME as FACTS_FILE
from .facts import read_facts, write_facts

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

SHARD_BYTES = 50_000_000_000
"""Of one file at most: what transformers writes by default, and the largest file that the Hub takes."""

_BUFFER = 1 << 24


@dataclass(frozen=True)
class Shard:
    """One of several weight files: its name, its header, and which bytes of the whole file's data follow it."""

    name: str
    header: bytes
    spans: tuple[tuple[int, int], ...]
    tensors: tuple[str, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.header) + sum(stop - start for start, stop in self.spans)


def plan_shards(weights: Path, limit: int | None = None) -> list[Shard]:
    """The files that a safetensors file is to be split into, from its header alone; none if it is small enough.

    Args:
        weights: the file.
        limit: bytes of one file at most; a tensor larger than it has a file for itself.
    """
    limit = limit or SHARD_BYTES
    if weights.stat().st_size <= limit:
        return []
    entries, metadata, _ = _read_header(weights)
    groups: list[list[str]] = []
    filling: list[str] = []
    filled = 0
    for name in sorted(entries, key=lambda key: entries[key]["data_offsets"][0]):
        start, stop = entries[name]["data_offsets"]
        if stop - start > limit:
            groups.append([name])
            continue
        if filled + stop - start > limit:
            groups.append(filling)
            filling, filled = [], 0
        filling.append(name)
        filled += stop - start
    groups += [filling] if filling else []
    total = len(groups)
    return [
        _shard(f"model-{number:05d}-of-{total:05d}.safetensors", names, entries, metadata)
        for number, names in enumerate(groups, 1)
    ]


def index_bytes(shards: list[Shard]) -> bytes:
    """The contents of the index, which says in which file each tensor is."""
    total = sum(stop - start for shard in shards for start, stop in shard.spans)
    weight_map = {tensor: shard.name for shard in shards for tensor in shard.tensors}
    document = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def split_weights(folder: Path, shards: list[Shard]) -> None:
    """Puts ``shards`` and their index in the place of ``model.safetensors``, and says so in ``run.json``.

    The whole file goes last: an interruption leaves a folder that loads.

    Raises:
        OSError: there is no room for a copy.
    """
    weights = folder / WEIGHTS_FILE
    *_, data_start = _read_header(weights)
    mode = weights.stat().st_mode
    with tempfile.TemporaryDirectory(prefix=".shards-", dir=folder) as temporary:
        for shard in shards:
            with weights.open("rb") as source, (Path(temporary) / shard.name).open("wb") as target:
                target.write(shard.header)
                for start, stop in shard.spans:
                    _copy(source, target, data_start + start, stop - start)
        (Path(temporary) / INDEX_FILE).write_bytes(index_bytes(shards))
        for path in sorted(Path(temporary).iterdir(), key=lambda path: path.name == INDEX_FILE):
            path.chmod(mode)
            os.replace(path, folder / path.name)
    if (folder / FACTS_FILE).is_file():
        _update_facts(folder, sum(shard.size for shard in shards))
    weights.unlink()


def _update_facts(folder: Path, weights_bytes: int) -> None:
    """Says in ``run.json`` that the weights are in several files."""
    from ..pipelines.integrity import answering_files

    facts = read_facts(folder)
    hashes = {name: digest for name, digest in answering_files(folder).items() if name != WEIGHTS_FILE}
    facts = replace(
        facts,
        weights_sha256=None,
        weights_bytes=weights_bytes,
        files_sha256=hashes if facts.files_sha256 else {},
        evaluations=tuple(replace(each, weights_sha256=None) for each in facts.evaluations),
    )
    write_facts(facts, folder)


def _shard(name: str, tensors: list[str], entries: Mapping[str, Any], metadata: Mapping[str, str]) -> Shard:
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    spans, at = [], 0
    for tensor in tensors:
        start, stop = entries[tensor]["data_offsets"]
        header[tensor] = {**entries[tensor], "data_offsets": [at, at + stop - start]}
        at += stop - start
        spans.append((start, stop))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at multiples of eight, as in files of the library
    return Shard(name, len(text).to_bytes(8, "little") + text, tuple(spans), tuple(tensors))


def _read_header(weights: Path) -> tuple[dict[str, Any], dict[str, str], int]:
    """The entries of the tensors, the metadata, and where the data begin."""
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
    metadata = entries.pop("__metadata__", {})
    return entries, metadata, 8 + length


def _copy(source: Any, target: Any, start: int, length: int) -> None:
    source.seek(start)
    while length:
        piece = source.read(min(length, _BUFFER))
        if not piece:
            raise OSError(f"{WEIGHTS_FILE} is cut off; fetch or save the checkpoint again")
        target.write(piece)
        length -= len(piece)


def has_room(folder: Path, shards: list[Shard]) -> bool:
    """Whether the disk has room for the parts beside the whole."""
    return shutil.disk_usage(folder).free > sum(shard.size for shard in shards)
