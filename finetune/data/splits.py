"""Splits: named, sliced (``train[:10%]``), or carved with a seed so that equal texts stay together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ...pipelines.errors import DataError, UsageError
from ...pipelines.record_files import split_of

ROLES = ("train", "validation", "test")
"""What splits are used for; the keys of `TaskData.splits`."""

_PART = re.compile(r"^\s*([\w.\-]+)\s*(?:\[\s*([^:\]]*?)\s*:\s*([^:\]]*?)\s*\])?\s*$")
_EDGE = re.compile(r"^(-?)(\d+(?:\.\d+)?)(%?)$")
_FEW_STRATA = 10  # up to so many classes each give a text to validation, however few rows there are


def parse_split(expression: str) -> list[tuple[str, str, str]]:
    """The parts of ``train[:10%]+validation``: (split, start, stop), with the edges as they were written.

    Raises:
        UsageError: it is none; the message shows what one looks like.
    """
    parts = [_PART.match(part) for part in expression.split("+")]
    if not all(parts):
        raise UsageError(f"'{expression}' is no split; expected for instance train, train[:10%] or train[100:200]")
    return [(part[1], part[2] or "", part[3] or "") for part in parts if part]


def split_names(expression: str) -> list[str]:
    """The names of the splits in ``expression``."""
    return [name for name, _, _ in parse_split(expression)]


def slice_rows(count: int, start: str, stop: str, *, expression: str) -> tuple[int, int]:
    """First row and row after the last of a slice of ``count`` rows; per cent are rounded to the nearest row.

    >>> slice_rows(200, "", "10%", expression="train[:10%]"), slice_rows(200, "-50", "", expression="train[-50:]")
    ((0, 20), (150, 200))

    Raises:
        UsageError: an edge is no number of rows or per cent, or more than 100 %.
        DataError: the slice holds no rows.
    """

    def edge(text: str, default: int) -> int:
        if not text:
            return default
        match = _EDGE.match(text)
        if not match or (match[3] and float(match[2]) > 100) or (not match[3] and "." in match[2]):
            raise UsageError(
                f"'{text}' in '{expression}' is no edge of a slice; expected rows or per cent, as in [10:90%]"
            )
        rows = round(count * float(match[2]) / 100) if match[3] else int(match[2])
        return max(0, count - rows) if match[1] else min(rows, count)

    first, last = edge(start, 0), edge(stop, count)
    if first >= last:
        raise DataError(f"'{expression}' holds no rows; the split has {count}")
    return first, last


def find_split(role: str, found: Sequence[str]) -> str | None:
    """The split in ``found`` that serves as ``role``: by its name, or as the only one with a name like it (``dev``).

    Raises:
        DataError: several could be meant (``validation_matched``, ``validation_mismatched``).
    """
    if role in found:
        return role
    meant = [name for name in found if split_of(name) == role]
    if len(meant) > 1:
        raise DataError(
            f"{' and '.join(meant)} could both be the {role} split; choose one with --{role}-split {meant[0]}"
        )
    return meant[0] if meant else None


def missing_split(name: str, found: Sequence[str], role: str, source: str) -> DataError:
    """The error for a split that is not there: those that are, and the ways out."""
    fix = f"Use --{role}-split {found[0]}"
    if role == "validation":
        fix += ", or leave it out and carve one from train with --validation-fraction 0.1"
    elif role == "test":
        fix += ", or leave it out and carve one from train with --test-fraction 0.1"
    return DataError(f"--{role}-split '{name}' is not in {source} (found: {', '.join(found)}). {fix}")


def carve(
    strata: np.ndarray, text_keys: np.ndarray, fraction: float, seed: int, *, purpose: str
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows stay and which are carved off: about ``fraction`` of every stratum, equal texts on one side.

    Texts are drawn by a hash of seed, purpose and text. So a text falls on the same side whatever the order of the rows
    and wherever it is computed, and new rows move few old ones.

    Args:
        strata: (rows,) integers, for instance classes.
        text_keys: (rows,) uint64, equal for equal texts. A text with several labels counts for its first one.
        fraction: in (0, 1).
        purpose: so that two carvings with one seed draw independently.

    Returns:
        Row numbers that stay, and those carved off, both ascending. A stratum with a single text stays whole, and of
        every other one at least one text stays and one is carved off. The last is given up where there are so many
        small strata that more than twice ``fraction`` would go: then chance decides which of them give a text.
    """
    draw = _mix(text_keys ^ _mix(np.array([seed], np.uint64) ^ np.uint64(_word(purpose))))
    strata = _first_strata(strata, draw)
    names, sizes = np.unique(strata, return_counts=True)
    least = 1 if len(names) <= max(_FEW_STRATA, 2 * fraction * len(draw)) else 0
    carved = np.zeros(len(draw), dtype=bool)
    for stratum, size in zip(names, sizes, strict=True):
        members = strata == stratum
        ordered = np.sort(draw[members])  # rows of equal texts are neighbours
        final = int(np.searchsorted(ordered, ordered[-1], side="left"))  # where the last text begins
        if not final:
            continue
        rounding = 0.5 if least else float(_mix(ordered[:1])[0]) / 2.0**64
        count = int(fraction * size + rounding)
        count = int(np.searchsorted(ordered, ordered[min(count, final)], side="left"))  # whole texts only
        if not count and least:
            count = int(np.searchsorted(ordered, ordered[0], side="right"))
        carved |= members & (draw < ordered[count])
    return np.flatnonzero(~carved), np.flatnonzero(carved)


def _first_strata(strata: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """``strata`` with that of its first row for every row of a text that has several."""
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return strata
    rows = np.flatnonzero(repeated[np.minimum(np.searchsorted(repeated, keys), len(repeated) - 1)] == keys)
    _, first, group = np.unique(keys[rows], return_index=True, return_inverse=True)
    strata = strata.copy()
    strata[rows] = strata[rows][first][group]
    return strata


def draw_rows(digests: np.ndarray, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """``count`` of ``rows``, ascending, drawn by a hash of seed and contents."""
    words = digests.view(np.uint64).reshape(-1, 2)[rows, 0]
    draw = _mix(words ^ _mix(np.array([seed], np.uint64) ^ np.uint64(_word("rows"))))
    return np.sort(rows[np.argsort(draw, kind="stable")[:count]])


def _mix(words: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014, figure 13): uint64 words to well spread uint64 words.

    Written out because numpy does not promise that its generators give the same numbers in the next version.
    """
    words = words + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    words ^= words >> np.uint64(31)
    return words


def _word(text: str) -> int:
    return int.from_bytes(text.encode()[:8].ljust(8, b"\0"), "little")


def check_disjoint(rows: Mapping[str, np.ndarray], expressions: Mapping[str, str]) -> None:
    """Checks that no row has two roles.

    Args:
        rows: role -> row numbers, counted over all splits.
        expressions: role -> the split as it was asked for.

    Raises:
        DataError: a row would be trained on and evaluated on.
    """
    for role, other in itertools.combinations(rows, 2):
        if shared := len(np.intersect1d(rows[role], rows[other])):
            raise DataError(
                f"--{role}-split '{expressions[role]}' and --{other}-split '{expressions[other]}' share {shared} rows; "
                "what is trained on must not be evaluated on. Slice them apart, as in train[:90%] and train[90%:]"
            )
