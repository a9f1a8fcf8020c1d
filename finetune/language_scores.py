"""Measuring language models: every token of a split foretold, beside rules that only count tokens."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cards.facts import BaselineFact, MistakeFact
from ..pipelines.errors import DataError
from .language_metrics import language_metrics
from .measuring import Conditions, Measured
from .mistakes import shorten
from .next_tokens import Foretold, Reading, add_up, foretold, windows_of

if TYPE_CHECKING:
    from .data import TaskData

SHOWN_TOKENS = 40
"""Tokens before a mistake that are shown."""

BASELINE_TOKENS = 20_000_000
"""Tokens of the training split that are counted, at most."""


def measure_language(pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How well ``pipe`` foretells the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    rows, checkpoint = data.splits[role], pipe.checkpoint
    if not len(rows):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    characters = np.fromiter((len(text) for text in rows["text"]), np.int64, len(rows))
    surest = _Surest(conditions.mistakes)
    answers = foretold(checkpoint, windows_of(checkpoint, rows["text"], is_one_text=data.is_one_text))
    sums = add_up(surest.watch(answers), len(rows), conditions.progress)
    reading = Reading.of(checkpoint)
    return Measured(
        count=len(rows),
        metrics=language_metrics(sums, characters, bootstrap=conditions.bootstrap, seed=conditions.seed),
        problem_type=conditions.problem_type,
        baselines=tuple(_baselines(pipe, data, role, sums, characters)),
        mistakes=surest.facts(pipe.tokenizer),
        protocol={
            "text_unit": data.text_unit,
            "tokens_read_at_once": reading.window,
            "tokens_before_each": reading.context,
        },
    )


class _Surest:
    """The wrong guesses with the highest probability."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[tuple[float, int, int, np.ndarray, int]] = []  # probability, minus the order, row, ids, guess

    def watch(self, answers: Iterable[Foretold]) -> Iterator[Foretold]:
        """``answers``, looked at on the way."""
        order = itertools.count()
        for part in answers:
            wrong = np.flatnonzero(part.guesses != part.tokens)
            likely = wrong[np.argsort(-part.confidences[wrong], kind="stable")][: self._count]
            for place in likely.tolist():
                end = part.window.context + 1 + place  # of the token in the window's ids
                ids = part.window.ids[max(0, end - SHOWN_TOKENS) : end + 1]
                entry = (
                    float(part.confidences[place]),
                    -next(order),
                    int(part.window.rows[place]),
                    ids,
                    int(part.guesses[place]),
                )
                heapq.heappush(self._kept, entry)
                if len(self._kept) > self._count:
                    heapq.heappop(self._kept)
            yield part

    def facts(self, tokenizer: Any) -> tuple[MistakeFact, ...]:
        """Them as facts, the surest first: what stood before, what came, and what was expected."""

        def text(ids: Iterable[int]) -> str:
            return tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_spaces=False)

        return tuple(
            MistakeFact(
                row + 1, shorten(text(ids[:-1].tolist())), repr(text(ids[-1:].tolist())), repr(text([guess])), sure
            )
            for sure, _, row, ids, guess in sorted(self._kept, key=lambda kept: kept[:2], reverse=True)
        )


def _baselines(
    pipe: Any, data: TaskData, role: str, sums: np.ndarray, characters: np.ndarray
) -> Iterator[BaselineFact]:
    """What rules reach that read no text: all tokens alike, and each as frequent as in the training split."""
    checkpoint = pipe.checkpoint
    vocabulary = checkpoint.tokenizer.vocab_size
    alike = sums.copy()
    alike[:, 0] = sums[:, 1] * math.log(vocabulary)
    yield BaselineFact(
        "all tokens alike",
        language_metrics(alike, characters, bootstrap=0, leave_out=("accuracy",)),
        f"gives each of the {vocabulary:,} tokens the same probability",
    )
    is_known = "train" in data.splits and role != "train"
    texts = data.splits["train" if is_known else role]["text"]
    counts = np.ones(vocabulary)  # one more of each, so that none is impossible
    counted = 0
    for window in windows_of(checkpoint, texts, is_one_text=data.is_one_text):
        tokens = window.ids[window.context + 1 :]
        counts += np.bincount(tokens, minlength=vocabulary)
        counted += len(tokens)
        if counted >= BASELINE_TOKENS:
            break
    losses, frequent = -np.log(counts / counts.sum()), int(counts.argmax())
    by_count = np.zeros_like(sums)
    for window in windows_of(checkpoint, data.splits[role]["text"], is_one_text=data.is_one_text):
        tokens = window.ids[window.context + 1 :]
        of_token = np.stack([losses[tokens], np.ones(len(tokens)), tokens == frequent], axis=1)
        np.add.at(by_count, window.rows, of_token)
    source = "training split" if is_known else "evaluated rows themselves (no training split is recorded)"
    yield BaselineFact(
        "token frequencies",
        language_metrics(by_count, characters, bootstrap=0),
        f"gives each token the probability that it has in the {source}, whatever stands before it",
    )
