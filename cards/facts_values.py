"""Values in facts that their types leave open: the protocol of an evaluation, and answers to examples.

Facts are read from whoever published them. What they say is to be done again must be something that can be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .facts_io import FactsError

if TYPE_CHECKING:
    from .facts import RunFacts

MOST_RESAMPLES = 100_000
"""Resamples of a bootstrap at most: a hundred times the usual number, minutes for ten thousand rows."""

LARGEST_SEED = 2**63 - 1

Rule = tuple[Callable[[Any], bool], str]


def _whole(least: int, most: int) -> Rule:
    expected = f"a whole number from {least:,}" + (f" to {most:,}" if most < LARGEST_SEED else "")
    return lambda value: type(value) is int and least <= value <= most, expected


def _or_none(rule: Rule) -> Rule:
    return lambda value: value is None or rule[0](value), f"{rule[1]}, or null"


_TEXT: Rule = (lambda value: isinstance(value, str), "text")
_TEXTS: Rule = (
    lambda value: isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values()),
    "an object of texts",
)
_BAD_ROWS: Rule = (lambda value: value in ("raise", "skip"), "raise or skip")

PROTOCOL: Mapping[str, Rule] = {
    "bootstrap": _whole(0, MOST_RESAMPLES),
    "seed": _whole(0, LARGEST_SEED),
    "dtype": _TEXT,
    "label_map": _or_none(_TEXTS),
    "limit": _or_none(_whole(1, LARGEST_SEED)),
    "bad_rows": _BAD_ROWS,
    "rows": _TEXT,
}
"""What is read of a protocol -> what it may be; other entries are for people."""

ANSWERS: Mapping[str, Rule] = {
    "score": (lambda value: isinstance(value, int | float) and not isinstance(value, bool), "a number"),
    "label": _TEXT,
}
"""The same of an answer to an example."""


def check_values(facts: RunFacts, source: str) -> RunFacts:
    """``facts``, if they can be worked with.

    Args:
        facts: with the types that they should have.
        source: base name of the file they were read from, for messages.

    Raises:
        FactsError: a value is none that can be; the message names the key.
    """
    for key, (name, value), rules in _entries(facts):
        is_right, expected = rules.get(name, (lambda _: True, ""))
        if not is_right(value):
            raise FactsError(f"{source}: '{key}.{name}' is {repr(value)[:60]}, expected {expected}")
    return facts


def _entries(facts: RunFacts) -> Iterator[tuple[str, tuple[str, Any], Mapping[str, Rule]]]:
    """Where an entry stands, the entry, and the rules for it."""
    for number, evaluation in enumerate(facts.evaluations):
        for item in evaluation.protocol.items():
            yield f"evaluations[{number}].protocol", item, PROTOCOL
    for number, example in enumerate(facts.examples):
        for place, output in enumerate(example.outputs):
            for item in output.items():
                yield f"examples[{number}].outputs[{place}]", item, ANSWERS
