"""Numbers of a card, of the facts and of a recomputation side by side; texts with numbers in them likewise.

Imports nothing but the facts: what is compared was computed elsewhere.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .facts import EvaluationFacts, MetricFact
from .metadata import METRIC_IDS, metric_title

Kind = Literal["metric", "interval", "class", "confusion", "baseline", "count"]
"""What a number is: a metric over the split, an end of its interval, one of a class, a cell, a baseline's, or rows."""

_WRITTEN = re.compile(r"-?\d+(?:[.,]\d+)*")
"""A number as cards write it: ``66,002``, ``0.8796``; a version, ``1.15.0``, is one as well."""

METRIC_PLACES = 4
"""Places to which a card rounds its metrics."""


@dataclass(frozen=True)
class NumberCheck:
    """One number where it is stated, and as it came out again.

    Attributes:
        data: name of the data set.
        split: name of the split.
        name: for instance ``accuracy``, ``accuracy (upper end)``, ``positive: f1``, ``majority class: accuracy``.
        kind: what it is.
        card: in the front matter of the card; None where it is not there.
        recorded: in ``run.json``; None where the card alone states it.
        recomputed: None where it was not.
        tolerance: a stated value may differ by this times max(1, |recomputed value|).
    """

    data: str
    split: str
    name: str
    kind: Kind
    card: float | None
    recorded: float | None
    recomputed: float | None
    tolerance: float

    @property
    def is_equal(self) -> bool | None:
        """Whether all that state it agree with the recomputation; without one None, or False if they differ."""
        if self.recomputed is not None:
            stated = [value for value in (self.card, self.recorded) if value is not None]
            return bool(stated) and all(is_close(value, self.recomputed, self.tolerance) for value in stated)
        if self.recorded is None:
            return False  # a number on the card of which nobody knows where it comes from
        if self.card is not None and not is_close(self.card, self.recorded, self.tolerance):
            return False
        return None


@dataclass(frozen=True)
class CardNumber:
    """A metric in the index of results of a card's front matter, as it stands there."""

    data: str
    split: str
    kind: str
    name: str
    value: Any


def is_close(stated: float, value: float, tolerance: float) -> bool:
    """Whether two numbers differ by at most ``tolerance`` times max(1, |value|)."""
    return math.isfinite(stated) and abs(stated - value) <= tolerance * max(1.0, abs(value))


def card_numbers(front_matter: Mapping[str, Any]) -> list[CardNumber]:
    """The metrics in the ``model-index`` of a card's front matter; what is no metric there is left out."""
    found = []
    for model in _mappings(front_matter.get("model-index")):
        for result in _mappings(model.get("results")):
            dataset = result.get("dataset")
            data = dataset if isinstance(dataset, Mapping) else {}
            for metric in _mappings(result.get("metrics")):
                kind = str(metric.get("type", ""))
                found.append(
                    CardNumber(
                        data=str(data.get("name", "")),
                        split=str(data.get("split", "")),
                        kind=kind,
                        name=str(metric.get("name", kind)),
                        value=metric.get("value"),
                    )
                )
    return found


def numbers_of(evaluation: EvaluationFacts) -> dict[str, tuple[Kind, float]]:
    """Every number of an evaluation that the same rows and weights give again, by its name."""
    numbers: dict[str, tuple[Kind, float]] = {"rows": ("count", float(evaluation.count))}
    for metric in evaluation.metrics:
        numbers |= _with_interval(metric, metric.name, "metric")
    for row in evaluation.per_class:
        numbers[f"{row.label}: rows"] = ("class", float(row.count))
        for metric in row.metrics:
            numbers |= _with_interval(metric, f"{row.label}: {metric.name}", "class")
    for label, counts in zip(evaluation.labels, evaluation.confusion or (), strict=False):
        for other, count in zip(evaluation.labels, counts, strict=False):
            numbers[f"{label} taken for {other}"] = ("confusion", float(count))
    for baseline in evaluation.baselines:
        for metric in baseline.metrics:
            numbers |= _with_interval(metric, f"{baseline.name}: {metric.name}", "baseline")
    return numbers


def compare_numbers(
    recorded: EvaluationFacts,
    recomputed: EvaluationFacts | None,
    on_card: Sequence[CardNumber],
    tolerance: float,
) -> list[NumberCheck]:
    """A check for each number that the record of an evaluation or the card states.

    What the record does not state is not asked for: later versions of Quintet may measure more.

    Args:
        recorded: the evaluation in ``run.json``.
        recomputed: the same made again; None where it could not be.
        on_card: what the card's front matter has of this evaluation.
        tolerance: as in `NumberCheck`.
    """
    now = numbers_of(recomputed) if recomputed is not None else None
    stated = {name: number.value for number in on_card if (name := _name_in_facts(number, recorded)) is not None}
    checks = []
    for name, (kind, before) in numbers_of(recorded).items():
        # What the record has and the recomputation has not is NaN, which equals nothing.
        value = None if now is None else now.get(name, (kind, math.nan))[1]
        card = as_number(stated[name]) if name in stated else None
        checks.append(NumberCheck(recorded.data_name, recorded.split, name, kind, card, before, value, tolerance))
    for number in on_card:
        if _name_in_facts(number, recorded) is None:
            card = as_number(number.value)
            checks.append(NumberCheck(number.data, number.split, number.name, "metric", card, None, None, tolerance))
    return checks


def belongs_to(number: CardNumber, evaluation: EvaluationFacts) -> bool:
    """Whether a number of the card is one of this evaluation, by data set and split."""
    return number.split == evaluation.split and number.data == (evaluation.data_name or "not recorded")


def as_number(value: Any) -> float:
    """``value`` as it stands on a card as a number; NaN, which equals nothing, where it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan


def changed_lines(card: str, rendered: str) -> list[tuple[str, str]]:
    """Lines of a card with numbers that its facts do not give, each with the line that they give, or an empty text.

    A line is compared with the rendered lines of the same words. The layout may be that of another version of Quintet,
    so of a line with other words only the decimals are looked at: each must be somewhere in what the facts give. A
    number counts as the same if it is when both are rounded to the places that they have in common.

    Args:
        card: what Quintet wrote of a card, without what a person did.
        rendered: the card that the facts give now.
    """
    known: dict[str, list[str]] = {}
    for line in rendered.splitlines():
        known.setdefault(_WRITTEN.sub("#", line.rstrip()), []).append(line.rstrip())
    numbers = set(_WRITTEN.findall(rendered))
    changed = []
    for line in map(str.rstrip, card.splitlines()):
        written = _WRITTEN.findall(line)
        lines = known.get(_WRITTEN.sub("#", line), [])
        if any(all(map(_is_same_written, written, _WRITTEN.findall(other))) for other in lines):
            continue
        if lines:
            changed.append((line, difflib.get_close_matches(line, lines, n=1, cutoff=0)[0]))
        elif not all(any(_is_same_written(one, other) for other in numbers) for one in written if "." in one):
            changed.append((line, ""))
    return changed


def _is_same_written(stated: str, given: str) -> bool:
    """Whether a number on a card is the one that the facts give, perhaps written to fewer or more places than today."""
    if stated == given:
        return True
    try:
        first, second = (float(text.replace(",", "")) for text in (stated, given))
    except ValueError:  # a version, 1.15.0
        return False
    places = [len(text.partition(".")[2]) for text in (stated, given)]
    if places[1] < min(places[0], METRIC_PLACES):  # a setting such as 0.5 is exact, it was not rounded
        return first == second
    return "." in stated and abs(first - second) <= 0.5 * 10.0 ** -min(places)


def _with_interval(metric: MetricFact, name: str, kind: Kind) -> Iterator[tuple[str, tuple[Kind, float]]]:
    yield name, (kind, metric.value)
    ends: Kind = "interval" if kind == "metric" else kind
    if metric.low is not None:
        yield f"{name} (lower end)", (ends, metric.low)
    if metric.high is not None:
        yield f"{name} (upper end)", (ends, metric.high)


def _name_in_facts(number: CardNumber, evaluation: EvaluationFacts) -> str | None:
    """The name in the facts of a metric on the card; its title tells more than its type, which several may share."""
    names = [metric.name for metric in evaluation.metrics]
    for name in names:
        if number.name in (metric_title(name), name):
            return name
    return next((name for name in names if number.kind in (name, METRIC_IDS.get(name))), None)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
