"""Random numbers that belong to rows: the same for a row whatever batch, process or resumed run it comes in.

A number is a hash of (seed, epoch, row, what it is for, its place), so there is no state that would have to be saved,
and a new kind of draw leaves the others as they are. The hash is the finaliser of SplitMix64 (Steele et al. 2014, Fast
Splittable Pseudorandom Number Generators, section 5), once for each part of the key.
"""

from __future__ import annotations

import zlib

import numpy as np

_MASK = (1 << 64) - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio, odd: the step of SplitMix64


class RowDraws:
    """The random numbers of some rows in one epoch.

    Args:
        seed: of the run.
        epoch: counted from 0.
        rows: (batch,) row numbers in the data set, integers.
    """

    def __init__(self, seed: int, epoch: int, rows: np.ndarray) -> None:
        self.rows = np.asarray(rows, dtype=np.int64)
        start = _mixed(np.array([seed & _MASK], dtype=np.uint64))
        start = _mixed(start ^ np.array([epoch & _MASK], dtype=np.uint64))
        self._keys = _mixed(start ^ self.rows.astype(np.uint64))  # (batch,)

    def uniform(self, purpose: str, count: int) -> np.ndarray:
        """(batch, count) float64 in [0, 1), ``count`` independent numbers for each row.

        Args:
            purpose: what they are for; draws for different purposes are independent.
            count: numbers for each row; the first ones stay the same when more are asked for.
        """
        keys = _mixed(self._keys ^ np.uint64(zlib.crc32(purpose.encode())))
        places = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
        return (_mixed(keys[:, None] + places) >> np.uint64(11)) * 2.0**-53  # the upper 53 bits fill a float64

    def between(self, purpose: str, count: int, low: float, high: float) -> np.ndarray:
        """(batch, count) float64 in [low, high)."""
        return low + (high - low) * self.uniform(purpose, count)

    def others(self, purpose: str, count: int) -> np.ndarray:
        """(batch, count) int64: places in this batch of other rows, with repetition; its own in a batch of one.

        They depend on which rows are in the batch, but not on their order.
        """
        size = len(self.rows)
        order = np.argsort(self.rows, kind="stable")
        position = np.empty(size, dtype=np.int64)
        position[order] = np.arange(size)
        steps = 1 + np.floor(self.uniform(purpose, count) * (size - 1)).astype(np.int64)
        return order[(position[:, None] + steps) % size]


def _mixed(keys: np.ndarray) -> np.ndarray:
    """Keys (uint64, wrapping around) with every bit depending on every bit of what they were."""
    keys = keys + _GOLDEN
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
