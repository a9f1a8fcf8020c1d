"""Options of a call over those of its pipeline, and the checks that several tasks share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from .base import CALL_OPTIONS
from .errors import UsageError, unknown_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Options = TypeVar("Options", bound=DataclassInstance)


def merge_options(options: Options, given: Mapping[str, Any], names: Sequence[str]) -> Options:
    """The settings of a call: ``options`` with what was ``given`` in their place.

    Args:
        options: a frozen dataclass with the settings so far.
        given: names and values of the call.
        names: what a call may set.

    Raises:
        UnknownNameError: a name is none of ``names``.
        UsageError: the dataclass refuses a value.
    """
    check_names(given, names)
    return replace(options, **given)


def check_names(given: Iterable[str], names: Sequence[str]) -> None:
    """Nothing, if a call may set all that was ``given``.

    Raises:
        UnknownNameError: a name is none of ``names``; the message suggests the nearest ones.
    """
    for name in given:
        if name not in names:
            raise unknown_name("option", name, (*names, *CALL_OPTIONS), hint="docs/pipelines.md describes them.")


def check_count(name: str, value: Any) -> None:
    """Nothing, if ``value`` is a whole number from 1.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{name} is {value!r}; expected a whole number from 1.")


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """Nothing, if ``value`` is one of ``choices``.

    Raises:
        UsageError: it is not.
    """
    if value not in choices:
        raise UsageError(f"{name} is {value!r}; expected one of {', '.join(map(str, choices))}.")
