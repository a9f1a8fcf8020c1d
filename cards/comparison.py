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
from .metadata import is_number, metric_id, metric_title

Kind = Literal["metric", "interval", "class", "confusion", "baseline", "count"]
"""What a number is: a metric over the split, an end of its interval, one of a class, a cell, a baseline's, or rows."""

_WRITTEN = re.compile(r"-?\d+(?:[.,]\d+)*")
"""A number as cards write it: ``66,002``, ``0.8796``; a version, ``1.15.0``, is one as well."""

METRIC_PLACES = 4
"""Places to which a card rounds its metrics."""

_ENDS = (" (lower end)", " (upper end)")


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
    def is_end(self) -> bool:
        """Whether it is an end of an interval."""
        return self.name.endswith(_ENDS)

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
    """A metric in the index of results of a card's front matter, as it stands there.

    Attributes:
        data: name of its data set.
        split: name of its split.
        kind: type of the metric, by which the Hub knows it.
        name: of the metric; the type where there is none.
        value: whatever stands there.
        data_type: Hub id of the data set, or what stands in its place.
        result: position of its result in the index, counted from 0.
    """

    data: str
    split: str
    kind: str
    name: str
    value: Any
    data_type: str = ""
    result: int = 0


def is_close(stated: float, value: float, tolerance: float) -> bool:
    """Whether two numbers differ by at most ``tolerance`` times max(1, |value|)."""
    return math.isfinite(stated) and abs(stated - value) <= tolerance * max(1.0, abs(value))


def card_numbers(front_matter: Mapping[str, Any]) -> list[CardNumber]:
    """The metrics in the ``model-index`` of a card's front matter; what is no metric there is left out."""
    found = []
    models = _mappings(front_matter.get("model-index"))
    results = [result for model in models for result in _mappings(model.get("results"))]
    for number, result in enumerate(results):
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
                    data_type=str(data.get("type", "")),
                    result=number,
                )
            )
    return found


def numbers_of(evaluation: EvaluationFacts) -> dict[str, tuple[Kind, float]]:
    """Every number of an evaluation that the same rows and weights give again, by its name.

    One that is stated again under the name of another has a name of its own, which a recomputation does not have.
    """
    numbers: dict[str, tuple[Kind, float]] = {}
    for name, kind, value in _named_numbers(evaluation):
        while name in numbers:
            name += " (again)"
        numbers[name] = (kind, value)
    return numbers


def _named_numbers(evaluation: EvaluationFacts) -> Iterator[tuple[str, Kind, float]]:
    yield "rows", "count", float(evaluation.count)
    for metric in evaluation.metrics:
        yield from _with_interval(metric, metric.name, "metric")
    for row in evaluation.per_class:
        yield f"{row.label}: rows", "class", float(row.count)
        for metric in row.metrics:
            yield from _with_interval(metric, f"{row.label}: {metric.name}", "class")
    for at, counts in enumerate(evaluation.confusion or ()):
        for other, count in enumerate(counts):
            yield f"{_label(evaluation, at)} taken for {_label(evaluation, other)}", "confusion", float(count)
    for baseline in evaluation.baselines:
        for metric in baseline.metrics:
            yield from _with_interval(metric, f"{baseline.name}: {metric.name}", "baseline")


def _label(evaluation: EvaluationFacts, at: int) -> str:
    return evaluation.labels[at] if at < len(evaluation.labels) else f"class {at + 1}"


def compare_numbers(
    recorded: EvaluationFacts,
    recomputed: EvaluationFacts | None,
    on_card: Sequence[CardNumber],
    tolerance: float,
) -> list[NumberCheck]:
    """A check for each number that the record of an evaluation or the card states, each time that the card does.

    What the record does not state is not asked for: later versions of Quintet may measure more.

    Args:
        recorded: the evaluation in ``run.json``.
        recomputed: the same made again; None where it could not be.
        on_card: what the card's front matter has of this evaluation.
        tolerance: as in `NumberCheck`.
    """
    now = numbers_of(recomputed) if recomputed is not None else None
    stated: dict[str | None, list[float | None]] = {}
    for number in on_card:
        stated.setdefault(_name_in_facts(number, recorded), []).append(as_number(number.value))
    checks = []
    for name, (kind, before) in numbers_of(recorded).items():
        # What the record has and the recomputation has not is NaN, which equals nothing.
        value = None if now is None else now.get(name, (kind, math.nan))[1]
        for card in stated.get(name, [None]):
            checks.append(NumberCheck(recorded.data_name, recorded.split, name, kind, card, before, value, tolerance))
    for number in on_card:
        if _name_in_facts(number, recorded) is None:
            card = as_number(number.value)
            checks.append(NumberCheck(number.data, number.split, number.name, "metric", card, None, None, tolerance))
    return checks


def owners(numbers: Sequence[CardNumber], evaluations: Sequence[EvaluationFacts]) -> list[int | None]:
    """Which of the evaluations each number of the card is one of, by data set and split; None where it is of none.

    Of several evaluations of one split, the first result on the card is of the first of them, and so on.
    """
    found: dict[int, int | None] = {}
    for number in numbers:
        if number.result in found:
            continue
        alike = [index for index, one in enumerate(evaluations) if belongs_to(number, one)]
        free = [index for index in alike if index not in found.values()]
        found[number.result] = next(iter([*free, *alike[-1:]]), None)
    return [found[number.result] for number in numbers]


def belongs_to(number: CardNumber, evaluation: EvaluationFacts) -> bool:
    """Whether a number of the card is one of this evaluation, by split and by the data set's name or Hub id."""
    name = evaluation.data_name or "not recorded"
    return number.split == evaluation.split and name in (number.data, number.data_type)


def as_number(value: Any) -> float:
    """``value`` as it stands on a card as a number; NaN, which equals nothing, where it is none."""
    return float(value) if is_number(value) else math.nan


def changed_lines(card: str, rendered: str) -> list[tuple[str, str]]:
    """Lines of a card with numbers that its facts do not give, each with the line that they give, or an empty text.

    A line is compared with the one of the same words in its place. The layout may be that of another version of
    Quintet, so a line that stands elsewhere may be any of the same words, and of a line with other words only the
    decimals are looked at: each must be somewhere in what the facts give. A number counts as the same if it is when
    both are rounded to the places that they have in common.

    Args:
        card: what Quintet wrote of a card, without what a person did.
        rendered: the card that the facts give now.
    """
    lines, given = ([line.rstrip() for line in text.splitlines()] for text in (card, rendered))
    words, given_words = ([_WRITTEN.sub("#", line) for line in each] for each in (lines, given))
    known: dict[str, list[str]] = {}
    for line, skeleton in zip(given, given_words, strict=True):
        known.setdefault(skeleton, []).append(line)
    numbers = set(_WRITTEN.findall(rendered))
    changed = []
    for kind, start, end, at, _ in difflib.SequenceMatcher(None, words, given_words, autojunk=False).get_opcodes():
        for offset, line in enumerate(lines[start:end]):
            alike = [given[at + offset]] if kind == "equal" else known.get(words[start + offset], [])
            written = _WRITTEN.findall(line)
            if any(all(map(_is_same_written, written, _WRITTEN.findall(other))) for other in alike):
                continue
            if alike:
                changed.append((line, difflib.get_close_matches(line, alike, n=1, cutoff=0)[0]))
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


def _with_interval(metric: MetricFact, name: str, kind: Kind) -> Iterator[tuple[str, Kind, float]]:
    yield name, kind, metric.value
    ends: Kind = "interval" if kind == "metric" else kind
    for end, value in zip(_ENDS, (metric.low, metric.high), strict=True):
        if value is not None:
            yield f"{name}{end}", ends, value


def _name_in_facts(number: CardNumber, evaluation: EvaluationFacts) -> str | None:
    """The name in the facts of a metric on the card; its title tells more than its type, which several may share.

    A title of one metric with the type of another is none: people read the one, and the Hub sorts by the other.
    """
    names = [metric.name for metric in evaluation.metrics]
    of_type = [name for name in names if number.kind in (name, metric_id(name))]
    for name in names:
        if number.name in (metric_title(name), name):
            return name if name in of_type else None
    return next(iter(of_type), None)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
