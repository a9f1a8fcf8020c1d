"""Measuring question answering: the best answer to each question against those that are right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cards.facts import BaselineFact, MistakeFact
from ..pipelines.errors import DataError
from .label_answers import windows_note
from .measuring import Conditions, Measured
from .mistakes import shorten
from .span_metrics import Reading, metrics_of, span_metrics, span_scores

if TYPE_CHECKING:
    from .data import TaskData

NO_ANSWER = "no answer"

NEAR = 10
"""Words on each side of a span that the rule "words of the question" looks at."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


def questions_of(rows: Any) -> Iterator[dict[str, str]]:
    """The questions of a split of `datasets` with their contexts, lazily, as the pipeline takes them."""
    for block in rows.iter(batch_size=1000):
        for question, context in zip(block["question"], block["context"], strict=True):
            yield {"question": question, "context": context}


def measure_spans(pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How good the answers of ``pipe`` are on the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    rows = data.splits[role]
    reading = Reading.of(rows)
    references = [list(answers["text"]) for answers in rows["answers"]]
    answers, notes = _answers(pipe, rows, reading, conditions)
    pairs = [span_scores(answer["answer"], right, reading) for answer, right in zip(answers, references, strict=True)]
    scores = metrics_of(
        pairs, [bool(right) for right in references], bootstrap=conditions.bootstrap, seed=conditions.seed
    )
    baselines = [
        BaselineFact(
            name,
            span_metrics(given, references, reading, bootstrap=conditions.bootstrap, seed=conditions.seed).metrics,
            description,
        )
        for name, given, description in _baselines(data, role, reading)
    ]
    return Measured(
        count=len(rows),
        metrics=scores.metrics,
        problem_type=conditions.problem_type,
        baselines=tuple(baselines),
        mistakes=_mistakes(rows["question"], references, answers, [f1 for _, f1 in pairs], conditions.mistakes),
        notes=(*notes, *scores.notes),
        protocol={
            "long_texts": "windows; the answer with the highest score of all",
            "unit": "characters" if reading.by_character else "words, as SQuAD's official script counts them",
            **reading.options,
        },
    )


def _answers(
    pipe: Any, rows: Any, reading: Reading, conditions: Conditions
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """The best answer to each question, and notes about how they came about."""
    total, windowed, answers = len(rows), 0, []
    settings = pipe.read_options(dict(reading.options))
    for output in pipe.outputs(questions_of(rows), **reading.options):
        windowed += len(output.windows) > 1
        answers.append(pipe.postprocess(output, settings))
        if conditions.progress is not None:
            conditions.progress(len(answers), total)
    if not answers:
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    return answers, windows_note(windowed, total)


def _baselines(data: TaskData, role: str, reading: Reading) -> Iterator[tuple[str, list[str], str]]:
    """Name, answers and description of each free rule."""
    rows, training = data.splits[role], data.splits.get("train")
    contexts = rows["context"]
    yield (
        "first sentence",
        [_SENTENCE_END.split(context.strip(), maxsplit=1)[0] for context in contexts],
        "answers the first sentence of the context",
    )
    lengths = _answer_lengths(rows if training is None else training, reading)
    if lengths:
        words = max(1, round(median(lengths)))
        source = "of the evaluated rows themselves" if training is None else "of the training split"
        unit = ("character" if reading.by_character else "word") + ("s" if words > 1 else "")
        yield (
            "words of the question",
            [_nearest_span(row["question"], row["context"], words, reading) for row in questions_of(rows)],
            f"answers {words} {unit}, the median length {source}, where most words of the question stand around them",
        )
    if reading.has_null:
        yield NO_ANSWER, [""] * len(rows), "answers no question"


def _answer_lengths(rows: Any, reading: Reading) -> list[int]:
    """Words of the first answer to each question that has one."""
    return [len(reading.words(answers["text"][0])) for answers in rows["answers"] if len(answers["text"])]


def _nearest_span(question: str, context: str, words: int, reading: Reading) -> str:
    """The first of the spans of ``words`` words around which most words of the question stand."""
    pattern = r"\w" if reading.by_character else r"\w+"
    places = [match.span() for match in re.finditer(pattern, context)]
    if not places:
        return context
    asked = {match[0].lower() for match in re.finditer(pattern, question)}
    hits = np.array([context[start:end].lower() in asked for start, end in places])
    before = np.concatenate([[0], np.cumsum(hits)])  # (words + 1,): words of the question before each place
    length = min(words, len(places))
    firsts = np.arange(len(places) - length + 1)
    around = before[np.minimum(firsts + length + NEAR, len(places))] - before[np.maximum(firsts - NEAR, 0)]
    inside = before[firsts + length] - before[firsts]
    best = int(np.argmax(around - 2 * inside))  # a span of words of the question answers nothing
    return context[places[best][0] : places[best + length - 1][1]]


def _mistakes(
    questions: Sequence[str],
    references: Sequence[Sequence[str]],
    answers: Sequence[Mapping[str, Any]],
    f1: Sequence[float],
    count: int,
) -> tuple[MistakeFact, ...]:
    """The answers that share least with the right ones; of those that share as much the surest first."""
    wrong = [row for row, value in enumerate(f1) if value < 1]
    worst = sorted(wrong, key=lambda row: (f1[row], -answers[row]["score"]))[:count]
    return tuple(
        MistakeFact(
            row + 1,
            shorten(questions[row]),
            shorten(" / ".join(dict.fromkeys(references[row])) or NO_ANSWER),
            shorten(answers[row]["answer"] or NO_ANSWER),
            float(answers[row]["score"]),
        )
        for row in worst
    )
