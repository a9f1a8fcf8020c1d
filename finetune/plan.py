"""The order in which rows are trained on: optimizer steps of rows of similar length, drawn from (seed, epoch).

Padding is the main waste of training on text: in random batches of short texts every second token is padding. So an
epoch is a random order cut into chunks of up to 64 steps; a chunk is sorted by length, cut into steps, and the
steps are shuffled. Lengths are needed a chunk at a time only, so nothing is tokenized ahead of that and memory does
not grow with the data, save for four bytes a row for the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

CHUNK_ROWS = 4096
"""Rows that are sorted together at most, in 8 to 64 steps: more rows leave less padding, fewer steps more chance."""


@dataclass(frozen=True)
class Plan:
    """Which rows each optimizer step trains on.

    Attributes:
        num_rows: rows of the training split.
        batch_size: rows of a step, over all processes; the last chunk of an epoch has one step with the remainder.
        total_steps: steps of the whole run.
        seed: of the run.
    """

    num_rows: int
    batch_size: int
    total_steps: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of one pass over all rows."""
        return -(-self.num_rows // self.batch_size)

    @property
    def steps_per_chunk(self) -> int:
        """Optimizer steps that are sorted together."""
        return min(64, max(8, CHUNK_ROWS // self.batch_size))

    def position(self, step: int) -> tuple[int, int, int]:
        """(epoch, chunk of the epoch, step of the chunk) of the step with that number, all counted from 0."""
        epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
        return epoch, *divmod(step_of_epoch, self.steps_per_chunk)

    def chunk_rows(self, epoch: int, chunk: int) -> np.ndarray:
        """Row numbers of a chunk, int64 (rows,), in random order."""
        size = self.steps_per_chunk * self.batch_size
        return _epoch_order(self.num_rows, self.seed, epoch)[chunk * size : (chunk + 1) * size].astype(np.int64)

    def chunk_steps(self, epoch: int, chunk: int, lengths: np.ndarray) -> list[np.ndarray]:
        """The steps of a chunk: positions within `chunk_rows`, each step sorted from long to short.

        Args:
            epoch: counted from 0.
            chunk: counted from 0.
            lengths: of the rows of the chunk, int (rows,), in the order of `chunk_rows`.
        """
        longest_first = np.argsort(-lengths, kind="stable")
        steps = [longest_first[start : start + self.batch_size] for start in range(0, len(lengths), self.batch_size)]
        order = np.random.default_rng([self.seed, epoch, chunk + 1]).permutation(len(steps))
        return [steps[index] for index in order]


@lru_cache(maxsize=2)  # the end of an epoch reads ahead into the next one
def _epoch_order(num_rows: int, seed: int, epoch: int) -> np.ndarray:
    dtype = np.int32 if num_rows < 2**31 else np.int64
    order = np.arange(num_rows, dtype=dtype)
    np.random.default_rng([seed, epoch, 0]).shuffle(order)
    return order


def share_of_process(step: Sequence[int] | np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """What the process ``rank`` computes of a step: every ``world_size``-th sample, so that lengths are even."""
    return np.asarray(step)[rank::world_size]


def micro_batches(
    lengths: np.ndarray, accumulation: int, batch_tokens: int, batch_pairs: int | None = None
) -> list[slice]:
    """Cuts samples, sorted from long to short, into parts that are computed one after the other.

    Args:
        lengths: of the samples, int (samples,), descending.
        accumulation: number of parts at least, as far as there are samples.
        batch_tokens: largest product of samples and longest length in a part; one sample may exceed it.
        batch_pairs: largest product of samples and the square of the longest length, likewise; None for no such limit.
    """
    parts = []
    for positions in np.array_split(np.arange(len(lengths)), min(accumulation, max(1, len(lengths)))):
        start = int(positions[0]) if len(positions) else 0
        end = start + len(positions)
        while start < end:
            longest = max(1, int(lengths[start]))
            size = batch_tokens // longest
            if batch_pairs is not None:
                size = min(size, batch_pairs // longest**2)
            size = max(1, size)
            parts.append(slice(start, min(end, start + size)))
            start += size
    return parts
