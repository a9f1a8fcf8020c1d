"""How well a language model foretells texts, token by token: what it is measured by, in training and after it.

Every token of a text is foretold once, from what stands before it. A text longer than the model reads is read in
windows that overlap, so that a token has at least `Reading.context` tokens before it, or all there are. The pieces of
one text are read as that text, across their borders. Sums are in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..pipelines.batching import Batcher, BatchLimits, Sample
from ..pipelines.checkpoints import Checkpoint
from ..pipelines.errors import InputError, WeightsError
from .running_text import frame_of

LONGEST = 4096
"""Tokens of a window at most; of a recurrent network every window, whose state could go on for ever."""

RECURRENT_CONTEXT = 512
"""Tokens that a recurrent network reads before the first one that counts in a window."""

TEXTS_AT_ONCE = 256

LOGITS_AT_ONCE = 1 << 25
"""Numbers that a batch may give, 128 MB in float32."""


@dataclass(frozen=True)
class Reading:
    """How long texts are read.

    Attributes:
        window: tokens of a window at most.
        context: tokens of a window that are there to be read only, save in a text's first window.
    """

    window: int
    context: int

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Reading:
        """As the network has it: half a window of context, or less where a state carries what was read."""
        limit = checkpoint.tokenizer.max_length
        if limit is None:
            return cls(LONGEST, RECURRENT_CONTEXT)
        window = min(limit, LONGEST)
        return cls(window, window // 2)


@dataclass(frozen=True)
class Window:
    """A part of a text.

    Attributes:
        ids: int64 (tokens + 1,): what is read, and the token after it.
        context: how many of the tokens after the first are not counted here.
        rows: int64 (tokens - context,): the row that each counted token belongs to.
    """

    ids: np.ndarray
    context: int
    rows: np.ndarray


@dataclass(frozen=True)
class Foretold:
    """What the model made of the counted tokens of a window, each array ``(counted,)``.

    Attributes:
        window: the window.
        losses: float32, minus the natural logarithm of each token's probability.
        guesses: int64, the most probable token in its place.
        confidences: float32, the probability of the guess.
    """

    window: Window
    losses: np.ndarray
    guesses: np.ndarray
    confidences: np.ndarray

    @property
    def tokens(self) -> np.ndarray:
        """The counted tokens themselves, int64 (counted,)."""
        return self.window.ids[self.window.context + 1 :]


def windows_of(checkpoint: Checkpoint, texts: Iterable[str], *, is_one_text: bool) -> Iterator[Window]:
    """The windows of ``texts``, in their order, encoded a few texts at a time.

    Args:
        checkpoint: whose tokenizer encodes and whose network sets the size.
        texts: rows of a split.
        is_one_text: whether they are the pieces of one text.
    """
    reading, (before, behind) = Reading.of(checkpoint), frame_of(checkpoint.tokenizer)
    encoded = _encoded(checkpoint, texts)
    if is_one_text:
        parts = ((np.asarray(ids, dtype=np.int64), np.full(len(ids), row)) for row, ids in encoded)
        start = (np.asarray(before, dtype=np.int64), np.zeros(len(before), dtype=np.int64))
        yield from _cut(itertools.chain([start], parts), reading)
        return
    for row, ids in encoded:
        framed = np.asarray([*before, *ids, *behind], dtype=np.int64)
        yield from _cut([(framed, np.full(len(framed), row))], reading)


def _encoded(checkpoint: Checkpoint, texts: Iterable[str]) -> Iterator[tuple[int, list[int]]]:
    """Number and token ids of each text, without special tokens."""
    tokenizer = checkpoint.tokenizer
    prefix, _, suffix = tokenizer.special_counts[False]
    stream, row = iter(texts), 0
    while block := list(itertools.islice(stream, TEXTS_AT_ONCE)):
        for encoded in tokenizer.encode(block):
            yield row, encoded.input_ids[prefix : len(encoded) - suffix]
            row += 1


def _cut(parts: Iterable[tuple[np.ndarray, np.ndarray]], reading: Reading) -> Iterator[Window]:
    """Windows over ids and rows that come in parts; each begins so many tokens before what is left to count."""
    ids, rows = np.zeros(0, np.int64), np.zeros(0, np.int64)
    context = 0
    for more, owners in parts:
        ids, rows = np.concatenate([ids, more]), np.concatenate([rows, owners])
        while len(ids) > reading.window:
            end = reading.window + 1
            yield Window(ids[:end], context, rows[context + 1 : end])
            step = reading.window - reading.context
            ids, rows, context = ids[step:], rows[step:], reading.context
    if len(ids) > context + 1:
        yield Window(ids, context, rows[context + 1 :])


def foretold(checkpoint: Checkpoint, windows: Iterable[Window]) -> Iterator[Foretold]:
    """What the model makes of each window, in their order.

    Raises:
        WeightsError: the model's output is not finite, or it fails.
    """
    vocabulary = checkpoint.tokenizer.vocab_size
    limits = BatchLimits(budget=max(1, LOGITS_AT_ONCE // vocabulary), overhead=1024)

    def prepare(items: Sequence[Window]) -> list[list[Sample]]:
        return [[Sample(window, len(window.ids) - 1)] for window in items]

    batcher = Batcher(prepare, lambda samples: _forward(checkpoint, samples), limits, lambda window: len(window.ids))
    for outcome in batcher.stream(windows):
        if isinstance(outcome, InputError):
            raise WeightsError(f"checkpoint '{checkpoint.name}' cannot read the texts: {outcome.reason}") from outcome
        yield outcome[0]


def _forward(checkpoint: Checkpoint, samples: Sequence[Sample]) -> list[Foretold]:
    windows: list[Window] = [sample.features for sample in samples]
    width = max(len(window.ids) for window in windows)
    ids = torch.full((len(windows), width), checkpoint.tokenizer.pad_id)
    for row, window in enumerate(windows):
        ids[row, : len(window.ids)] = torch.from_numpy(window.ids)
    batch = {"input_ids": ids[:, :-1]}
    if len({len(window.ids) for window in windows}) > 1:  # without padding attention takes a faster way
        lengths = torch.tensor([len(window.ids) - 1 for window in windows])
        batch["attention_mask"] = (torch.arange(width - 1) < lengths[:, None]).long()
    logits = checkpoint.logits(batch)
    found = []
    for window, scores in zip(windows, logits, strict=True):
        counted = scores[window.context : len(window.ids) - 1].float()  # (counted, vocab)
        targets = torch.from_numpy(window.ids[window.context + 1 :]).to(counted.device)
        total = counted.logsumexp(-1)
        losses = total - counted.gather(1, targets[:, None])[:, 0]
        if not bool(losses.isfinite().all()):
            raise InputError("the model's output is not finite (nan or infinite); try dtype='float32'.")
        best, guesses = counted.max(-1)
        confidences = (best - total).exp()
        found.append(Foretold(window, losses.cpu().numpy(), guesses.cpu().numpy(), confidences.cpu().numpy()))
    return found


def add_up(foretold: Iterable[Foretold], rows: int, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """Sums over the tokens of each row, float64 (rows, 3): losses in nats, tokens, and tokens guessed right."""
    sums = np.zeros((rows, 3))
    for part in foretold:
        of_token = np.stack([part.losses, np.ones(len(part.losses)), part.guesses == part.tokens], axis=1)
        np.add.at(sums, part.window.rows, of_token.astype(np.float64))
        if progress is not None and len(part.window.rows):
            progress(int(part.window.rows[-1]) + 1, rows)
    return sums
