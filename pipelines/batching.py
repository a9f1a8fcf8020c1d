"""The engine under every pipeline: a stream of inputs in, their outputs in the same order out, memory flat.

    read ahead a window of inputs -> prepare them together -> sort their samples by length -> pack batches
    -> run the model -> put the outputs back in order -> yield, then read the next window

It knows nothing of text, images or labels. A pipeline gives it two functions: ``prepare`` turns inputs into samples
(one input may give several, as a long text gives windows) and ``forward`` runs the model over a batch of samples.

Why sorted batches: padding is computed like text, and one long text in a batch of short ones multiplies the work. With
batches of like length nearly every number that the model computes belongs to a text.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .errors import InputError

WINDOW_ITEMS = 2048
"""Inputs read ahead at most: enough that sorting leaves few padded tokens, few enough to hold in memory."""

WINDOW_SIZE = 4_000_000
"""Sum of sizes (for text: characters) read ahead at most, so that long inputs do not fill the memory."""

PATIENCE = 1.0
"""Seconds of reading after which a slow source's inputs are run rather than waiting for more."""

ITEM_ERRORS = (ArithmeticError, AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What a model or a tokenizer raises over an input it cannot take: an error of that input, not of the run."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the model sees of an input, or of one window of it.

    Attributes:
        features: whatever ``forward`` takes; the engine does not look inside.
        length: its cost in the unit of the budget, for instance tokens.
        group: only samples of one group share a batch.
    """

    features: Any
    length: int
    group: Hashable = 0


Outcome = list[Any] | InputError
"""Of one input: the model's output for each of its samples, or why there is none."""


@dataclass(slots=True)
class BatchLimits:
    """How large batches are; shared by the runs of a pipeline, which lower it where memory runs out.

    Attributes:
        budget: the most that a batch may hold, as length of its longest sample × number of samples.
        overhead: what starting one more batch costs, as length that could be computed instead; padding is accepted up
            to that much in each batch.
        batch_size: number of samples per batch instead of ``budget``; None for automatic batches.
        has_warned: whether it was said that memory ran out.
    """

    budget: int
    overhead: int = 64
    batch_size: int | None = None
    has_warned: bool = False

    def is_full(self, count: int, width: int, padding: int) -> bool:
        """Whether a batch of ``count`` samples, padded to ``width``, is full; one more would make it ``padding``."""
        if self.batch_size is not None:
            return count >= self.batch_size
        return (count + 1) * width > self.budget or padding > self.overhead

    def halve(self, count: int, length: int) -> None:
        """Makes batches half as large as the one of ``count`` samples of ``length`` that did not fit."""
        if self.batch_size is None:
            self.budget = count * length // 2
        else:
            self.batch_size = count // 2
        if not self.has_warned:
            warnings.warn(
                f"a batch of {count} inputs of length {length} did not fit into memory; going on with smaller batches. "
                f"batch_size={count // 2} avoids the failed attempt.",
                stacklevel=2,
            )
            self.has_warned = True
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class Batcher:
    """Runs a model over a stream of inputs in length-sorted batches.

    Args:
        prepare: inputs -> the samples of each. May raise InputError, or any of `ITEM_ERRORS`, for one bad input among
            them; the engine finds out which.
        forward: samples of one group -> one output for each, in order; an InputError in place of an unusable one.
        limits: how large batches are.
        size: the memory that an input takes while it waits, in the unit of `WINDOW_SIZE`.
    """

    def __init__(
        self,
        prepare: Callable[[Sequence[Any]], Sequence[Sequence[Sample]]],
        forward: Callable[[Sequence[Sample]], Sequence[Any]],
        limits: BatchLimits,
        size: Callable[[Any], int] = lambda item: 1,
    ) -> None:
        self._prepare, self._forward, self._limits, self._size = prepare, forward, limits, size

    def stream(self, inputs: Iterable[Any]) -> Iterator[Outcome]:
        """The outcome of each input, in order; inputs are read a window at a time.

        An input that is an InputError already (a row that could not be read) is its own outcome. If the source raises,
        the outcomes of what it gave before come first.
        """
        position = 0
        for window in read_ahead(inputs, self._size):
            for outcome in self._run_window(window):
                yield _placed(outcome, position) if isinstance(outcome, InputError) else outcome
                position += 1

    def _run_window(self, items: Sequence[Any]) -> list[Outcome]:
        prepared = self._prepare_all(items)
        good = [(index, samples) for index, samples in enumerate(prepared) if not isinstance(samples, InputError)]
        owners = [index for index, samples in good for _ in samples]
        outcomes: list[Outcome] = [samples if isinstance(samples, InputError) else [] for samples in prepared]
        outputs = self._run_samples([sample for _, samples in good for sample in samples])
        for owner, output in zip(owners, outputs, strict=True):
            outcome = outcomes[owner]
            if isinstance(outcome, list):
                if isinstance(output, InputError):
                    outcomes[owner] = output  # one bad window spoils its input
                else:
                    outcome.append(output)
        return outcomes

    def _prepare_all(self, items: Sequence[Any]) -> list[Sequence[Sample] | InputError]:
        """The samples of each item, or what is wrong with it."""
        prepared = iter(_halving(self._prepare, [item for item in items if not isinstance(item, InputError)]))
        return [item if isinstance(item, InputError) else next(prepared) for item in items]

    def _run_samples(self, samples: Sequence[Sample]) -> list[Any]:
        """The output of each sample, in order; an InputError where the model fails."""
        outputs: list[Any] = [None] * len(samples)
        waiting = pack(samples, range(len(samples)), self._limits)
        while waiting:
            batch = waiting.pop()
            results = self._run_batch([samples[index] for index in batch])
            if results is not None:
                for index, result in zip(batch, results, strict=True):
                    outputs[index] = result
            elif len(batch) == 1:
                outputs[batch[0]] = InputError(
                    f"it does not fit into memory even alone (length {samples[batch[0]].length}); "
                    "shorten it, or run on a device with more memory."
                )
            else:
                self._limits.halve(len(batch), max(samples[index].length for index in batch))
                left = [index for indices in (*waiting, batch) for index in indices]
                waiting = pack(samples, left, self._limits)
        return outputs

    def _run_batch(self, batch: Sequence[Sample]) -> list[Any] | None:
        """One output a sample; None if the batch does not fit into memory."""
        try:
            with torch.inference_mode():
                return _halving(self._forward, batch)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        return None


def read_ahead(inputs: Iterable[Any], size: Callable[[Any], int] = lambda item: 1) -> Iterator[list[Any]]:
    """The inputs in consecutive windows, each read only when asked for.

    A list is there already: its windows are as large as `WINDOW_ITEMS` and `WINDOW_SIZE` allow. Of any other source the
    first window holds one input, so that the first answer comes at once, and the next ones grow, as long as the source
    keeps up: a window is closed when reading it has taken `PATIENCE`. Only ``next()`` of the source itself can wait.
    """
    iterator = iter(inputs)
    count = WINDOW_ITEMS if isinstance(inputs, list | tuple) else 1
    while True:
        window: list[Any] = []
        held, started, failure = 0, time.monotonic(), None
        while len(window) < count and held < WINDOW_SIZE and (not window or time.monotonic() - started < PATIENCE):
            try:
                item = next(iterator)
            except Exception as error:  # noqa: BLE001 - raised below, after the outcomes of what came before
                failure = error
                break
            window.append(item)
            held += size(item)
        if window:
            yield window
        if isinstance(failure, StopIteration):
            return
        if failure is not None:
            raise failure
        count = min(4 * count, WINDOW_ITEMS)


def pack(samples: Sequence[Sample], indices: Iterable[int], limits: BatchLimits) -> list[list[int]]:
    """``indices`` in batches of like length: group by group, in each the shortest first.

    A batch is closed when one more sample would take its padded size over the budget, or its padding over the overhead
    (then another batch costs less); with a ``batch_size``, when it has so many samples.

    >>> samples = [Sample("", length) for length in (9, 2, 8, 2, 9)]
    >>> pack(samples, range(5), BatchLimits(budget=27, overhead=4))
    [[1, 3], [0, 4, 2]]
    """
    groups: dict[Hashable, list[int]] = {}
    for index in indices:
        groups.setdefault(samples[index].group, []).append(index)
    batches: list[list[int]] = []
    for group in groups.values():
        # Longest first: the first sample then gives the batch its width, and what does not fit is met at once.
        group.sort(key=lambda index: samples[index].length, reverse=True)
        closed: list[list[int]] = []
        width, padding = 0, 0
        for index in group:
            length = samples[index].length
            if not closed or limits.is_full(len(closed[-1]), width, padding + width - length):
                closed.append([])
                width, padding = length, 0
            closed[-1].append(index)
            padding += width - length
        batches.extend(reversed(closed))
    return batches


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that a batch did not fit into memory, of a device or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in message or "can't allocate memory" in message)


def _halving(function: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Any]:
    """``function(items)`` as a list; where it fails, the result of each half, down to the items that make it fail.

    An item that fails alone gets an InputError as its result. One bad item among n costs about 2 log2 n calls more.
    """
    if not items:
        return []
    try:
        return list(function(items))
    except InputError as error:
        if len(items) == 1:
            return [error]
    except ITEM_ERRORS as error:
        if is_out_of_memory(error):
            raise
        if len(items) == 1:
            failure = InputError(f"it makes the model fail ({type(error).__name__}: {error}).")
            failure.__cause__ = error
            return [failure]
    middle = len(items) // 2
    return [*_halving(function, items[:middle]), *_halving(function, items[middle:])]


def _placed(error: InputError, index: int) -> InputError:
    """``error`` with its index in the stream, and still with its cause."""
    placed = error.at(index, error.source)
    placed.__cause__ = error.__cause__
    return placed
