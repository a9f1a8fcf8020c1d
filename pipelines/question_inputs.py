"""What the question answering pipeline accepts: a question with its context, and the many ways to write several.

The forms are those of ``transformers.QuestionAnsweringPipeline`` in version 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import InputError, UsageError
from .text_inputs import checked_text

EXAMPLE = 'expected {"question": "…", "context": "…"}'


class QuestionInput(NamedTuple):
    """A question, and the text in which its answer stands."""

    question: str
    context: str


def read_question(item: Any) -> QuestionInput:
    """The question and context that ``item`` stands for.

    Args:
        item: a dict with question and context, whose other keys are not looked at (a row of a data set has more); or an
            object with ``question_text`` and ``context_text``, as ``SquadExample`` of transformers 4.

    Raises:
        InputError: it is anything else, or one of the two is no text, or empty.
    """
    if hasattr(item, "question_text") and hasattr(item, "context_text"):
        item = {"question": item.question_text, "context": item.context_text}
    if not isinstance(item, Mapping):
        raise InputError(f"{EXAMPLE}, got {_kind(item)}; a question is answered from a context.")
    if type(item).__name__ in ("DatasetDict", "IterableDatasetDict"):
        raise InputError(
            f"expected questions with contexts, got a whole {type(item).__name__} with the splits "
            f"{', '.join(map(repr, item))}; give one split, for instance dataset['test']."
        )
    missing = [key for key in QuestionInput._fields if key not in item]
    if missing:
        found = ", ".join(repr(key) for key in item) or "no keys"
        raise InputError(f"{EXAMPLE}, got a dict with {found}; '{missing[0]}' is missing.")
    for key in QuestionInput._fields:
        if isinstance(item[key], list | tuple):
            raise InputError(
                f"expected a text as '{key}', got a {type(item[key]).__name__} of {len(item[key])}; "
                "give a dict for each question."
            )
    question = checked_text(item["question"], "a text as 'question'")
    context = checked_text(item["context"], "a text as 'context'")
    if not question.strip():
        raise InputError("the question is empty, or blank; leave it out.")
    if not context.strip():
        raise InputError("the context is empty, or blank, so there is no answer in it; leave the question out.")
    return QuestionInput(question, context)


def gather_inputs(inputs: tuple[Any, ...], question: Any, context: Any) -> Any:
    """What a call was given, in one form: one input, a list of them, or any other iterable.

    Args:
        inputs: what stood in the call without a name: nothing, inputs in one of these forms, several inputs, or the
            texts of one question and its context.
        question: a text, or a list of them; None if not given.
        context: a text, which is then that of all questions, or a list of them, one for each question.

    Raises:
        UsageError: both ways, or neither, were used, or there are not as many contexts as questions.
    """
    if inputs and (question is not None or context is not None):
        raise UsageError("inputs were given with question= or context= beside them; use one of the two ways.")
    if len(inputs) == 2 and all(isinstance(text, str) for text in inputs):
        return {"question": inputs[0], "context": inputs[1]}
    if not inputs:
        if question is None and context is None:
            raise UsageError('nothing to answer: give question="…" and context="…", or a dict with both, or a list.')
        return _paired(question, context)
    given = inputs[0] if len(inputs) == 1 else list(inputs)
    if hasattr(given, "iloc") and hasattr(given, "columns"):  # iterating over a data frame gives its column names
        raise UsageError(
            "expected questions with contexts, got a whole data frame; give its rows: frame.to_dict('records')."
        )
    if isinstance(given, Mapping) and any(_is_listing(given.get(key)) for key in ("question", "context")):
        given = _paired(given.get("question"), given.get("context"))
    # A list of one is answered like its one input, as in transformers.
    return given[0] if isinstance(given, list | tuple) and len(given) == 1 else given


def _paired(question: Any, context: Any) -> Any:
    """The inputs that a question, or several, and a context, or several, make.

    Raises:
        UsageError: there are not as many contexts as questions.
    """
    if not _is_listing(question) and not _is_listing(context):
        return {"question": question, "context": context}
    if not _is_listing(question):
        question = [question] * len(context)
    elif not _is_listing(context):
        context = [context] * len(question)
    if len(question) != len(context):
        raise UsageError(
            f"question has {len(question)} texts and context has {len(context)}; expected as many, or one context "
            "for all questions."
        )
    pairs = [{"question": one, "context": other} for one, other in zip(question, context, strict=True)]
    return pairs[0] if len(pairs) == 1 else pairs


def _is_listing(value: Any) -> bool:
    """Whether it is several texts: a list, a column of a data set …"""
    is_text = isinstance(value, str | bytes | bytearray | Mapping)
    return not is_text and hasattr(value, "__len__") and hasattr(value, "__iter__")


def _kind(item: Any) -> str:
    if item is None:
        return "None"
    if isinstance(item, str):
        return "a text alone"
    return f"a {type(item).__name__} of {len(item)}" if isinstance(item, list | tuple) else type(item).__name__
