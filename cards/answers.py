"""Whether two answers are the same: of a checkpoint to an example, then and now, and what two snippets print."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeGuard

from .comparison import is_close
from .facts import RunFacts
from .picture_usage import PICTURE_TASKS, example_picture, plain_answer
from .question_usage import question_options
from .writing_usage import sample_options

SCORE_TOLERANCE = 1e-4
"""How far a score of a stored example may lie off, times max(1, |score|): float32 agrees to 1e-5 between machines."""

PRINTED_TOLERANCE = 2e-4
"""How far two libraries may differ in a number that is printed with four places."""

WHOLE_ANSWER: Mapping[str, Mapping[str, Any]] = {
    "text-classification": {"top_k": None},
    "token-classification": {"aggregation_strategy": "simple"},
}
"""Options with which a task's pipeline answers whole: all labels, or entities rather than tokens."""

ONE_AT_A_TIME = frozenset({"fill-mask", "question-answering"})
"""Tasks whose pipeline answers a list of one input as it answers the input alone."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def answers_to(pipe: Any, inputs: Sequence[Mapping[str, Any]], facts: RunFacts | None = None) -> list[list[Any]]:
    """The whole answers of a pipeline to examples, each as a list, in the form in which facts keep them.

    Args:
        pipe: of the checkpoint.
        inputs: by the names of the task's columns.
        facts: of the checkpoint; they say how questions like those of its data are answered. None for the defaults.

    Raises:
        QuintetError: an input cannot be answered.
    """
    if pipe.task == "text-ranking":
        return [pipe(each["query"], documents=[each["document"]]) for each in inputs]
    if pipe.task in PICTURE_TASKS:
        inputs = [{**each, "image": example_picture(each["image"])} for each in inputs]
    given = [next(iter(each.values())) if len(each) == 1 else dict(each) for each in inputs]
    options = WHOLE_ANSWER.get(pipe.task, {})
    if pipe.task == "image-classification":
        options = {"top_k": len(pipe.checkpoint.config.labels)}
    if pipe.task == "text-generation":
        options = sample_options(pipe.tokenizer.max_length)
    if pipe.task == "question-answering" and facts is not None:
        options = question_options(facts)
    if pipe.task in ONE_AT_A_TIME:
        answers = [pipe(each, **options) for each in given]
    else:
        answers = pipe(given, **options) if given else []
    if pipe.task == "sentence-similarity":
        return [[pipe.as_columns(answer)] for answer in answers]
    listed = [answer if isinstance(answer, list) else [answer] for answer in answers]
    if pipe.task in PICTURE_TASKS:
        return [[plain_answer(each) for each in answer] for answer in listed]
    # of a text with several masks there is a list for each
    return [[{"candidates": each} if isinstance(each, list) else each for each in answer] for answer in listed]


def answers_alike(one: Any, other: Any, tolerance: float = SCORE_TOLERANCE) -> bool:
    """Whether two answers are the same: numbers within the tolerance, all else to the letter; see `difference`."""
    return not difference(one, other, tolerance)


def difference(answer: Any, recorded: Any, tolerance: float = SCORE_TOLERANCE) -> str:
    """In what an answer differs from a recorded one, in a few words; empty where it is the same.

    Classes with their scores are compared by their names, since equal scores have no order. Of all other answers
    (entities, spans, texts) the structure, the words and the order must be the same.

    Args:
        answer: mappings, sequences, text and numbers.
        recorded: the like.
        tolerance: a number may differ by this times max(1, |number|).
    """
    scores, before = _scores(answer), _scores(recorded)
    if scores is None or before is None:
        return _difference(answer, recorded, tolerance, "answer")
    if scores.keys() != before.keys():
        return f"the labels are {_listed(scores)}, not {_listed(before)}"
    named, named_before = ({f"score of {label}": score for label, score in each.items()} for each in (scores, before))
    return _difference(named, named_before, tolerance, "answer")


def printed_alike(one: str, other: str) -> bool:
    """Whether two outputs have the same words and, but for rounding, the same numbers."""
    numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (one, other)]
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    return all(abs(first - second) <= PRINTED_TOLERANCE for first, second in zip(*numbers, strict=True))


def _scores(answer: Any) -> dict[str, Any] | None:
    """Label -> score of classes; None for an answer that is something else."""
    if not isinstance(answer, Sequence) or isinstance(answer, str) or not answer:
        return None
    if not all(isinstance(each, Mapping) and {"label", "score"} <= set(each) for each in answer):
        return None
    scores = {str(each["label"]): each["score"] for each in answer}
    return scores if len(scores) == len(answer) else None


def _difference(one: Any, other: Any, tolerance: float, name: str) -> str:
    """As `difference`, of any part of an answer, which ``name`` names."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return f"the {name} has {_listed(one)}, not {_listed(other)}"
        parts = ((one[key], other[key], str(key)) for key in one)
    elif _is_list(one) and _is_list(other):
        if len(one) != len(other):
            return f"there are {len(one)} parts of the {name}, not {len(other)}"
        parts = ((first, second, name) for first, second in zip(one, other, strict=True))
    elif _is_number(one) and _is_number(other):
        if is_close(float(other), float(one), tolerance):
            return ""
        return f"the {name} is off by {abs(float(one) - float(other)):.2g}"
    else:
        return "" if type(one) is type(other) and one == other else f"the {name} is {_short(one)}, not {_short(other)}"
    return next(filter(None, (_difference(*part[:2], tolerance, part[2]) for part in parts)), "")


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)


def _listed(names: Mapping[str, Any]) -> str:
    return _short(", ".join(map(str, names)) or "nothing")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
