"""What identifies rows by content: a fingerprint of each split, and which texts occur twice.

One pass over the rows fills arrays of fixed width, 8 bytes for the text, 16 for the whole row, 4 for the length, and
4 for the label (12 for numbers without end): 32 or 40 bytes a row. Splits, duplicates, leakage and fingerprints are
computed from these alone.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cells import Wanted, as_text, length_of
from .labels import LabelTable, RowLabels
from .mask_targets import MaskTargets
from .rows import RawRows
from .targets import targets_of

LENGTH_PERCENTILES = (0, 5, 50, 95, 99, 100)
"""Per cent at which the lengths of texts are reported."""

_PARTS = 16  # sorting copies a part of the rows at a time
_BLOCK_ROWS = 65_536


@dataclass(frozen=True)
class ScannedRows:
    """What is kept of each row.

    Attributes:
        text_keys: (rows,) uint64, equal for texts that differ in case and spacing only.
        digests: (rows,) 16 bytes each, equal for rows with equal texts and label name.
        lengths: (rows,) uint32, characters of the text (of both for a pair), or pixels of a picture's longer side.
        labels: provisional ids.
        bad: row index -> why the row cannot be used.
        mask_indices: of masks bool (256,), which class indices they hold; else None.
        context_keys: of questions (rows,) uint64, as ``text_keys``, of their contexts alone; else None.
        marks: of questions (rows,) uint8, see `targets.Targets`; else None.
    """

    text_keys: np.ndarray
    digests: np.ndarray
    lengths: np.ndarray
    labels: RowLabels
    bad: dict[int, str]
    context_keys: np.ndarray | None = None
    mask_indices: np.ndarray | None = None
    marks: np.ndarray | None = None

    @property
    def carving_keys(self) -> np.ndarray:
        """(rows,) uint64, equal for rows that stay on one side when a split is carved: questions about one context."""
        return self.text_keys if self.context_keys is None else self.context_keys

    def __len__(self) -> int:
        return len(self.text_keys)

    @classmethod
    def concatenate(cls, parts: Sequence[ScannedRows], names: Sequence[str]) -> ScannedRows:
        """The rows of several pieces of a split, one after the other; ``names`` are the labels by provisional id."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        bad = {
            int(start) + row: why for start, part in zip(starts, parts, strict=False) for row, why in part.bad.items()
        }
        masks = [part.mask_indices for part in parts if part.mask_indices is not None]
        contexts = [part.context_keys for part in parts if part.context_keys is not None]
        marks = [part.marks for part in parts if part.marks is not None]
        return cls(
            np.concatenate([part.text_keys for part in parts]),
            np.concatenate([part.digests for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            RowLabels.concatenate([part.labels for part in parts], names),
            bad,
            np.concatenate(contexts) if contexts and len(contexts) == len(parts) else None,
            np.any(masks, axis=0) if masks else None,
            np.concatenate(marks) if marks else None,
        )


def scan(rows: RawRows, table: LabelTable, *, wanted: Wanted) -> ScannedRows:
    """One pass over ``rows``: keys, digests, lengths, labels (added to ``table``) and the rows that cannot be used.

    What identifies a row by text are the columns that the task reads, two at most.
    """
    targets = targets_of(rows, table, wanted)
    first, second = wanted.inputs[0], wanted.inputs[1] if len(wanted.inputs) > 1 else None
    keys, digests, lengths, bad = array("Q"), bytearray(), array("I"), {}
    contexts = array("Q") if "answers" in wanted.kinds.values() else None
    for block in rows.blocks():
        cells = block.column(first).to_pylist()
        texts = _texts(cells, wanted.kinds[first])
        pairs = _texts(block.column(second).to_pylist(), wanted.kinds[second]) if second is not None else None
        for cell, text, pair, (name, reason) in zip(cells, texts, pairs or texts, targets.read(block), strict=True):
            other = "" if pairs is None else pair or ""
            if not text or text.isspace():
                text, reason = text or "", f"column '{wanted.columns[first]}' is missing or empty"
            elif pairs is not None and (not other or other.isspace()):
                reason = f"column '{wanted.columns[second or first]}' is missing or empty"
            if reason:
                bad[len(lengths)] = reason
            keys.append(_text_key(text, other))
            if contexts is not None:
                contexts.append(_text_key(other, ""))
            digests += _digest(text, other, name or "")
            lengths.append(length_of(wanted.kinds[first], cell, text) + len(other))
    return ScannedRows(
        np.frombuffer(keys, np.uint64) if keys else np.zeros(0, np.uint64),
        np.frombuffer(digests, "V16") if digests else np.zeros(0, "V16"),
        np.frombuffer(lengths, np.uint32) if lengths else np.zeros(0, np.uint32),
        targets.labels(len(lengths)),
        bad,
        np.frombuffer(contexts, np.uint64) if contexts else None,
        targets.seen if isinstance(targets, MaskTargets) else None,
        None if targets.marks is None else np.frombuffer(bytes(targets.marks), np.uint8),
    )


def _texts(cells: list[Any], kind: str) -> list[str | None]:
    """The texts that the cells of a column count as."""
    return cells if kind == "text" else [as_text(kind, value) for value in cells]


def _text_key(text: str, pair: str) -> int:
    """64 bits: among a million texts two different ones have the same key with a probability of 3e-8."""
    plain = " ".join(text.split()).casefold()
    if pair:
        plain += "\x1f" + " ".join(pair.split()).casefold()
    return int.from_bytes(hashlib.blake2b(plain.encode(), digest_size=8).digest(), "little")


def _digest(text: str, pair: str, label: str) -> bytes:
    # The lengths keep ("ab", "c") and ("a", "bc") apart.
    return hashlib.blake2b(f"{len(text)} {len(pair)} {text}{pair}{label}".encode(), digest_size=16).digest()


def fingerprint(digests: np.ndarray, rows: np.ndarray | None = None) -> str:
    """sha256 of the sorted digests, of all rows or of ``rows``: the same for the same rows in any order or format.

    Digests are sorted as little-endian numbers of 128 bits.
    """
    words = digests.view(np.dtype([("low", "<u8"), ("high", "<u8")]))
    total = hashlib.sha256()
    for part in _parts(words["high"], rows):
        found = words[part]
        total.update(found[np.lexsort((found["low"], found["high"]))].tobytes())
    return total.hexdigest()


def content_order(digests: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions in ``rows``, uint32, so that their digests ascend; rows of equal contents stay as they stand.

    Sorted so, the same rows stand in the same order, whatever order or format they came in.
    """
    found = digests.view(np.dtype([("low", "<u8"), ("high", "<u8")]))[rows]
    return np.lexsort((found["low"], found["high"])).astype(np.uint32)


def count_duplicates(text_keys: np.ndarray, rows: np.ndarray) -> int:
    """How many of ``rows`` have a text that an earlier one of them has."""
    return sum(len(part) - len(np.unique(text_keys[part])) for part in _parts(text_keys, rows))


def count_shared(text_keys: np.ndarray, first: np.ndarray, second: np.ndarray) -> int:
    """Different texts that are both in the rows ``first`` and the rows ``second``."""
    pairs = zip(_parts(text_keys, first), _parts(text_keys, second), strict=True)
    return sum(len(np.intersect1d(text_keys[one], text_keys[other])) for one, other in pairs)


def _parts(words: np.ndarray, rows: np.ndarray | None) -> Iterator[np.ndarray]:
    """Row numbers in `_PARTS` parts by the size of their words, smallest first: sorting then copies one part only."""
    edges = np.linspace(0, 2.0**64, _PARTS + 1)[1:-1].astype(np.uint64)
    part = np.empty(len(words) if rows is None else len(rows), np.uint8)
    for start in range(0, len(part), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        part[block] = np.searchsorted(edges, words[block] if rows is None else words[rows[block]], side="right")
    for number in range(_PARTS):
        chosen = np.flatnonzero(part == number)
        yield chosen if rows is None else rows[chosen]


def length_percentiles(lengths: np.ndarray) -> dict[str, float]:
    """Per cent -> characters, at `LENGTH_PERCENTILES`; empty for no rows."""
    if not len(lengths):
        return {}
    found = np.percentile(lengths, LENGTH_PERCENTILES, method="lower")
    return {str(percent): float(length) for percent, length in zip(LENGTH_PERCENTILES, found, strict=True)}
