"""The arguments of `card` are looked at before anything is read, run or written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..pipelines.errors import UsageError
from .metadata import REPOSITORY


def check_checkpoint(checkpoint: Any) -> None:
    """Nothing, if it can name a checkpoint.

    Raises:
        UsageError: it is neither text nor a path.
    """
    if not isinstance(checkpoint, str | os.PathLike):
        raise UsageError(f"checkpoint is of type {type(checkpoint).__name__}, expected its folder as text or a Path")


def check_repository_id(repository: Any) -> None:
    """Nothing, if it is a Hub id, or None.

    Raises:
        UsageError: it is not.
    """
    if repository is not None and not (isinstance(repository, str) and REPOSITORY.fullmatch(repository)):
        raise UsageError(f"repository '{repository}' is no Hub id; expected one such as me/reviews")


def check_examples(examples: Any) -> None:
    """Nothing, if they are a list of texts and of dicts with a ``text`` or an ``image``, or None.

    Raises:
        UsageError: they are not; the message shows the first that is wrong.
    """
    if examples is None:
        return
    if not isinstance(examples, list | tuple):
        raise UsageError(f"examples are of type {type(examples).__name__}, expected a list of texts")
    for number, example in enumerate(examples):
        is_named = isinstance(example, Mapping) and {"text", "image"} & example.keys()
        values = list(example.values()) if is_named else [example]
        if not all(isinstance(value, str) for value in values):
            shown = repr(example)[:60]
            raise UsageError(f"examples[{number}] is {shown}, expected a text, or a dict such as {{'text': …}}")
        if any("\ud800" <= letter <= "\udfff" for value in values for letter in value):
            raise UsageError(f"examples[{number}] holds half of a letter (a lone surrogate); leave it out")


def check_beside_check(given: Mapping[str, bool]) -> None:
    """Nothing, if no option for writing was given together with ``--check``.

    Args:
        given: option -> whether it was.

    Raises:
        UsageError: one was.
    """
    names = [name for name, is_given in given.items() if is_given]
    if names:
        raise UsageError(f"--check writes nothing, so it cannot take {' and '.join(names)}; leave out one or the other")
