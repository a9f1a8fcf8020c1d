"""Numbers of a card that nobody measured: each is looked for in the facts. Without network.

Within the marks of a card every line with a number must be the one that the facts give. In a person's own words, a
number that reads like a result (a decimal fraction, or per cent) must be one of the facts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .card_lines import changed_blocks, nearest, rendered_lines, repository_shown, written_lines
from .facts import DataFacts, RunFacts, to_json
from .metadata import as_list, indexed_evaluations, is_number, results, widget
from .render import Readme, read_readme

FIX = "`quintet card` writes it again"
"""How most problems of a card end: what the owner is to do."""

# A result, as people write one: 0.88, .88, 88.0 %, 88 %. Not part of a version, a date, a name or an address.
_PERCENT = r"\s*(%|percent\b|per cent\b)"
_RESULT = re.compile(rf"(?<![\w.,/:@^-])(?:(\d*\.\d+)(?:{_PERCENT})?|(\d+){_PERCENT})(?![\w-]|\.\d)")
_METRIC = re.compile(
    r"(?i)\b(?:accura\w+|auc|auroc|bleu|correlation|error|f1|loss|mae|mse|precision|r2|r²|recall|rouge|score\w*)\b"
)
_NOT_PROSE = re.compile(r"```.*?^```|`[^`\n]*`|<!--.*?-->|\]\([^)\n]*\)|https?://\S+", re.DOTALL | re.MULTILINE)


def source_problems(text: str, facts: RunFacts | None) -> list[str]:
    """Every number of a card that has no source in the facts, one sentence each.

    Args:
        text: the README.md.
        facts: that the numbers must be in; None where there are none, so that every result lacks its source.
    """
    readme = read_readme(text)
    return [
        *_index_without_source(readme.metadata or {}, facts),
        *_lines_without_source(readme, facts),
        *_words_without_source(readme, facts),
    ]


def _index_without_source(values: Mapping[str, Any], facts: RunFacts | None) -> Iterator[str]:
    """Values of the model index and of the widget that the facts do not have."""
    known: dict[tuple[str, str, str], list[float]] = {}
    if facts is not None:
        for evaluation, result in zip(indexed_evaluations(facts), results(facts), strict=True):
            for metric in result["metrics"]:
                key = (result["dataset"]["name"], evaluation.split, metric["name"])
                known.setdefault(key, []).append(metric["value"])
    for key, value in _index_values(values.get("model-index")):
        where = f"model-index: {key[2]} on {key[0]}{f', {key[1]}' if key[1] else ''} is {value}"
        if facts is None:
            yield f"{where}, and there is no run.json that it comes from; `quintet evaluate` measures"
        elif key not in known:
            yield f"{where}, which run.json does not have; {FIX}"
        elif not any(math.isclose(value, measured, rel_tol=1e-9) for measured in known[key]):
            yield f"{where}, run.json has {' and '.join(map(str, known[key]))}; {FIX}"
    answers = widget(facts, most=None) if facts is not None else []
    scores = [score for example in answers for score in _scores(example)]
    for example in as_list(values.get("widget")):
        strange = [score for score in _scores(example) if score not in scores]
        if strange:
            yield f"widget: the score {strange[0]} is not in run.json; {FIX}"


def _index_values(index: Any) -> Iterator[tuple[tuple[str, str, str], float]]:
    """(data set, split, metric) and value of each number of a model index, as far as it has the right shape."""
    for model in as_list(index):
        for result in as_list(_get(model, "results")):
            dataset = _get(result, "dataset")
            for metric in as_list(_get(result, "metrics")):
                if is_number(_get(metric, "value")):
                    name = _get(metric, "name") or _get(metric, "type")
                    yield (str(_get(dataset, "name")), str(_get(dataset, "split") or ""), str(name)), metric["value"]


def _scores(example: Any) -> list[Any]:
    return [score for each in as_list(_get(example, "output")) if (score := _get(each, "score")) is not None]


def _lines_without_source(readme: Readme, facts: RunFacts | None) -> Iterator[str]:
    """Lines with numbers between the marks of the card that the facts do not give."""
    if readme.card is None:
        return
    found = written_lines(readme.card)
    if facts is None:
        if any(_has_digit(line) for line in found):
            yield "the card was written by Quintet, and the run.json that its numbers come from is not beside it"
        return
    for block in changed_blocks(found, rendered_lines(facts, repository_shown(readme, facts))):
        for line in filter(_has_digit, block.written):
            near = nearest(line, block.given)
            meant = f"run.json gives '{excerpt(near, line)}'" if near else "run.json does not give it"
            yield f"'{excerpt(line, near)}': {meant}; {FIX}"


def _words_without_source(readme: Readme, facts: RunFacts | None) -> Iterator[str]:
    """Results in a person's text that are not in the facts."""
    source = "run.json" if facts is not None else "a run.json, which there is none of"
    for number in results_without_source(readme, facts):
        yield f"the number {number} in your own words is not in {source}; leave it out or measure it"


def results_without_source(readme: Readme, facts: RunFacts | None) -> Iterator[str]:
    """Numbers as they stand in a person's text that read like results and are not in the facts."""
    values = None
    for text in (readme.before, readme.own_words, readme.after):
        for found in _RESULT.finditer(_NOT_PROSE.sub(" ", text)):
            if not _is_result(found):
                continue
            if values is None:
                values = _citable(facts)
            if not _is_among(found, values):
                yield found[0].strip()


def _is_result(found: re.Match[str]) -> bool:
    """Whether a number reads like one: per cent, a fraction, or a larger decimal in a line about a metric.

    ``Python 3.11`` is none, ``F1 of 88.3`` is one.
    """
    if found[2] or found[4] or float(found[1]) <= 1:
        return True
    start = found.string.rfind("\n", 0, found.start()) + 1
    end = found.string.find("\n", found.end())
    return _METRIC.search(found.string[start : end if end >= 0 else None]) is not None


def _citable(facts: RunFacts | None) -> list[float]:
    """Numbers that a person may state: all of the facts but the scores of single texts, and shares of the data."""
    if facts is None:
        return []
    evaluations = tuple(replace(one, mistakes=()) for one in facts.evaluations)
    told = replace(facts, examples=(), usages=(), evaluations=evaluations)
    return sorted({*_numbers(to_json(told)), *_shares(facts)})


def _is_among(found: re.Match[str], values: Sequence[float]) -> bool:
    """Whether the number written is one of ``values``, rounded as it is written."""
    text = found[1] or found[3]
    places = len(text.partition(".")[2])
    number = float(text)
    allowed = 0.5 * 10**-places * (1 + 1e-9)
    is_percent = bool(found[2] or found[4])
    scaled = [100 * value for value in values]
    return any(abs(number - value) <= allowed for value in (scaled if is_percent else [*values, *scaled]))


def _shares(facts: RunFacts) -> Iterator[float]:
    """Shares of labels and of splits."""
    for data in (facts.data, *(one.data for one in facts.evaluations)):
        if data is not None:
            yield from _shares_of(data)


def _shares_of(data: DataFacts) -> Iterator[float]:
    total = sum(split.rows for split in data.splits)
    for split in data.splits:
        if split.rows:
            yield split.rows / total
            yield from (rows / split.rows for rows in split.label_histogram.values())


def _has_digit(line: str) -> bool:
    return any(letter.isdigit() for letter in line)


def excerpt(line: str, other: str) -> str:
    """At most 100 letters of ``line``, around where it begins to differ from ``other``."""
    if len(line) <= 100:
        return line
    same = next((at for at, (one, two) in enumerate(zip(line, other, strict=False)) if one != two), 0)
    start = max(0, min(same - 40, len(line) - 100))
    return ("…" if start else "") + line[start : start + 100] + ("…" if start + 100 < len(line) else "")


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item)


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None
