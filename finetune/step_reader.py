"""Reads the steps of a plan: fetches and encodes a chunk of rows at a time, one chunk ahead of training.

Encoding many rows at once is what fast tokenizers are fast at; doing it in a thread hides it behind the forward and
backward passes. Features are kept in memory for the next epoch up to `CACHE_BYTES`, so that small data is encoded once
and memory stays flat for large data.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .plan import Plan, micro_batches, share_of_process
from .recipe import Batch, Features, Recipe, TrainingRows

CACHE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Step:
    """One optimizer step.

    Attributes:
        number: counted from 0.
        epoch: counted from 0.
        rows: numbers of all rows of the step, over all processes.
        parts: this process's batches, one forward and backward pass each; never none, so that all processes take part
            in exchanging gradients.
        count: what this process adds to the divisor of the loss; 0 where the step has fewer rows than processes, and
            the one part is there for company only.
    """

    number: int
    epoch: int
    rows: np.ndarray
    parts: Sequence[Batch]
    count: float


class StepReader:
    """Iterates over the steps of ``plan``, from any of them on.

    Args:
        recipe: encodes and pads.
        rows: of the training split.
        plan: which rows a step has.
        accumulation: parts of a step at least.
        batch_tokens: padded size of a part at most, as the recipe measures length.
        batch_pairs: of a part at most samples times the square of their length, which is what attention's scores
            take; None for no limit.
        rank: of this process.
        world_size: number of processes; each computes its share of every step.
    """

    def __init__(
        self,
        recipe: Recipe,
        rows: TrainingRows,
        plan: Plan,
        *,
        accumulation: int,
        batch_tokens: int,
        batch_pairs: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.recipe, self.rows, self.plan = recipe, rows, plan
        self.accumulation, self.batch_tokens, self.batch_pairs = accumulation, batch_tokens, batch_pairs
        self.rank, self.world_size = rank, world_size
        self._cache: dict[int, Features] = {}
        self._cache_room = CACHE_BYTES

    def steps(self, first: int) -> Iterator[Step]:
        """The steps from number ``first`` to the last."""
        chunks = self._chunks(first)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
            ahead: Future[Sequence[Features]] | None = None
            try:
                for index, (start, epoch, chunk) in enumerate(chunks):
                    encoded = (ahead or reader.submit(self._encode, epoch, chunk)).result()
                    following = chunks[index + 1] if index + 1 < len(chunks) else None
                    ahead = reader.submit(self._encode, *following[1:]) if following else None
                    yield from self._steps_of_chunk(encoded, start, epoch, chunk, first)
            finally:
                if ahead is not None:
                    ahead.cancel()

    def _chunks(self, first: int) -> list[tuple[int, int, int]]:
        """(number of the first step, epoch, chunk) of each chunk that has steps from ``first`` on."""
        chunks, step = [], first - self.plan.position(first)[2]
        while step < self.plan.total_steps:
            epoch, chunk, _ = self.plan.position(step)
            chunks.append((step, epoch, chunk))
            step = min(step + self.plan.steps_per_chunk, (epoch + 1) * self.plan.steps_per_epoch)
        return chunks

    def _steps_of_chunk(
        self, encoded: Sequence[Features], start: int, epoch: int, chunk: int, first: int
    ) -> Iterator[Step]:
        numbers = self.plan.chunk_rows(epoch, chunk)
        lengths = np.asarray([self.recipe.length(features) for features in encoded])
        for number, positions in enumerate(self.plan.chunk_steps(epoch, chunk, lengths), start):
            if first <= number < self.plan.total_steps:
                share = share_of_process(positions, self.rank, self.world_size)
                own = share if len(share) else positions[:1]
                cut = [slice(0, len(own))]
                if self.recipe.is_divisible:
                    cut = micro_batches(lengths[own], self.accumulation, self.batch_tokens, self.batch_pairs)
                parts = [self.recipe.collate([encoded[position] for position in own[part]]) for part in cut]
                count = sum(self.recipe.count(part) for part in parts) if len(share) else 0.0
                yield Step(number, epoch, numbers[positions], parts, count)

    def _encode(self, epoch: int, chunk: int) -> Sequence[Features]:
        numbers = self.plan.chunk_rows(epoch, chunk)
        missing = np.asarray([number for number in numbers if int(number) not in self._cache], dtype=np.int64)
        fresh: dict[int, Features] = {}
        if len(missing):
            encoded = self.recipe.features(self.rows.fetch(missing))
            fresh = {int(number): features for number, features in zip(missing, encoded, strict=True)}
            for number, features in fresh.items():
                size = _size(features)
                if size <= self._cache_room:
                    self._cache[number] = features
                    self._cache_room -= size
        features = [fresh.get(int(number)) or self._cache[int(number)] for number in numbers]
        return self.recipe.vary(features, epoch, numbers)


def _size(features: Features) -> int:
    """Bytes that ``features`` take in memory, near enough for a limit; 200 are its dictionary and its place in ours."""
    return 200 + sum(sys.getsizeof(value) for value in features.values())
