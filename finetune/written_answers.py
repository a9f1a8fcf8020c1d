"""Measuring what is written for a text: translations, summaries, and whatever else a text is rewritten to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cards.facts import BaselineFact, MistakeFact
from ..pipelines.errors import DataError
from .measuring import Conditions, Measured
from .mistakes import shorten
from .writing_metrics import Scorer, chrf_of_rows

if TYPE_CHECKING:
    from datasets import Dataset

    from .data import TaskData

FreeRule = tuple[str, Callable[[str], str], str]
"""Name, the answer to a text, and description of a rule that costs nothing."""

DECODING = ("num_beams", "length_penalty", "early_stopping", "do_sample", "no_repeat_ngram_size", "repetition_penalty")
"""Options of writing that change the numbers; those that are set go into the protocol."""


def measure_texts(
    pipe: Any,
    data: TaskData,
    role: str,
    conditions: Conditions,
    *,
    scorer: Scorer,
    rules: Sequence[FreeRule],
    protocol: Mapping[str, Any],
) -> Measured:
    """How good the texts of ``pipe`` are on the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`.

    Args:
        pipe: rewrites texts.
        data: with the columns text and target.
        role: key of the split.
        conditions: how it is measured.
        scorer: gives the metrics.
        rules: free answers to compare with.
        protocol: how the scorer counts.

    Raises:
        DataError: the split has no rows.
    """
    rows = data.splits[role]
    wanted: list[str] = rows["target"][:]
    answers = write_all(pipe, rows, conditions)

    def scored(texts: Sequence[str]) -> Any:
        return scorer(texts, wanted, bootstrap=conditions.bootstrap, seed=conditions.seed)

    scores = scored(answers)
    return Measured(
        count=len(rows),
        metrics=scores.metrics,
        problem_type=conditions.problem_type,
        baselines=tuple(
            BaselineFact(name, scored([rule(text) for text in rows["text"]]).metrics, description)
            for name, rule, description in rules
        ),
        mistakes=farthest(rows["text"], wanted, answers, conditions.mistakes),
        notes=scores.notes,
        protocol={**protocol, **decoding_of(pipe)},
    )


def write_all(pipe: Any, rows: Dataset, conditions: Conditions | None = None, **options: Any) -> list[str]:
    """What ``pipe`` writes for each of ``rows``.

    Args:
        pipe: rewrites texts.
        rows: with the column text.
        conditions: whose ``progress`` is told; None tells nobody.
        options: of the pipeline's call.

    Raises:
        DataError: there are no rows.
    """
    texts, answers = rows["text"], []
    if not pipe.reads_pieces:
        options = {"truncation": True, **options}
    for answer in pipe(iter(texts), **options):
        answers.append(next(iter(answer[0].values())))
        if conditions is not None and conditions.progress is not None:
            conditions.progress(len(answers), len(rows))
    if not answers:
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    return answers


def decoding_of(pipe: Any) -> dict[str, Any]:
    """How ``pipe`` writes, as far as it changes the answers."""
    plan = pipe.options.plan
    chosen = {name: plan.parameters[name] for name in DECODING if plan.parameters.get(name) is not None}
    return {
        "long_texts": "in pieces of whole sentences" if pipe.reads_pieces else "cut to what the model takes",
        **chosen,
        **plan.lengths,
    }


def farthest(
    texts: Sequence[str], wanted: Sequence[str], answers: Sequence[str], count: int
) -> tuple[MistakeFact, ...]:
    """The rows whose answer has the lowest chrF, lowest first; what is exactly right is none of them."""
    likeness = chrf_of_rows(answers, wanted)
    wrong = [row for row, (answer, right) in enumerate(zip(answers, wanted, strict=True)) if answer != right]
    worst = sorted(wrong, key=lambda row: likeness[row])[:count]
    return tuple(
        MistakeFact(
            row + 1,
            shorten(texts[row]),
            shorten(wanted[row]),
            shorten(answers[row]),
            float(np.round(1 - likeness[row] / 100, 6)),
        )
        for row in worst
    )
