"""What is wrong with a card: what the Hub would refuse, and numbers that nobody measured. Without network.

The Hub's rules are on its servers and change; here are the known ones. Within the marks of a card every line with a
number must be the one that the facts give. In a person's own words, a number that reads like a result (a decimal
fraction, or per cent) must be one of the facts.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .facts import DataFacts, RunFacts, to_json
from .languages import is_language
from .metadata import LICENCES, PIPELINE_TAGS, REPOSITORY, indexed_evaluations, metadata, results
from .render import CARD_START, Readme, read_readme, render

FIX = "`quintet card` writes it again"

_PICTURE = re.compile(r"!\[[^\]\n]*\]\(([^)\s]+)[^)\n]*\)")
# A result, as people write one: 0.88, .88, 88.0 %, 88 %. Not part of a version, a date, a name or an address.
_PERCENT = r"\s*(%|percent\b|per cent\b)"
_RESULT = re.compile(rf"(?<![\w.,/:@^-])(?:(\d*\.\d+)(?:{_PERCENT})?|(\d+){_PERCENT})(?![\w-]|\.\d)")
_METRIC = re.compile(
    r"(?i)\b(?:accura\w+|auc|auroc|bleu|correlation|error|f1|loss|mae|mse|precision|r2|r²|recall|rouge|score\w*)\b"
)
_NOT_PROSE = re.compile(r"```.*?^```|`[^`\n]*`|<!--.*?-->|\]\([^)\n]*\)|https?://\S+", re.DOTALL | re.MULTILINE)


def check_card(text: str, facts: RunFacts | None, folder: Path | None = None) -> list[str]:
    """Every problem of a card, one sentence each; an empty list where there is none.

    Args:
        text: the README.md.
        facts: that the numbers must be in; None where there are none, so that every result lacks its source.
        folder: in which the pictures must be; None does not look.
    """
    readme = read_readme(text)
    if readme.problem:
        return [f"the front matter is no YAML: {readme.problem}"]
    if readme.metadata is None:
        problems = ["there is no front matter (--- at the top), so the Hub knows neither task nor licence; " + FIX]
    else:
        problems = [*_refused(readme.metadata), *_index_without_source(readme.metadata, facts)]
    problems += _lines_without_source(readme, facts)
    problems += _words_without_source(readme, facts)
    if folder is not None:
        problems += _missing_pictures(text, folder)
    return problems


# ------------------------------------------------------------------------------- what the Hub refuses


def _refused(values: Mapping[str, Any]) -> Iterator[str]:
    """What the Hub would answer 400 to."""
    for licence in _listed(values.get("license")):
        if licence not in LICENCES:
            yield f"license {licence!r} is not one that the Hub has; choose one by `quintet card --license`"
    if values.get("license") == "other" and not (values.get("license_name") and values.get("license_link")):
        yield "license 'other' has no license_name and license_link; `quintet card --license-name … --license-link …`"
    for code in _listed(values.get("language")):
        if not is_language(code):
            reason = "YAML reads an unquoted no as False: write 'no'" if code is False else "expected such as en or zh"
            yield f"language {code!r} is no code of ISO 639; {reason}"
    for base in _listed(values.get("base_model")):
        if not isinstance(base, str) or not REPOSITORY.fullmatch(base):
            yield f"base_model {_short(base)} is no Hub id; the Hub refuses paths, so name a repository or leave it out"
    for name in _listed(values.get("datasets")):
        if not isinstance(name, str) or not REPOSITORY.fullmatch(name):
            yield f"datasets has {_short(name)}, which is no Hub id; leave local data sets out"
    for key in ("tags", "metrics"):
        for value in _listed(values.get(key)):
            if not isinstance(value, str):
                yield f"{key} has {value!r}, expected text; put it in quotes"
    for key in ("pipeline_tag", "library_name", "license_name", "license_link"):
        if not isinstance(values.get(key), str | None):
            yield f"{key} is {_short(values[key])}, expected text"
    tag = values.get("pipeline_tag")
    if isinstance(tag, str) and tag not in PIPELINE_TAGS:
        near = difflib.get_close_matches(tag, PIPELINE_TAGS, n=1)
        yield f"pipeline_tag {tag!r} is no task of the Hub" + (f"; did you mean {near[0]}?" if near else "")
    if "model-index" in values:
        yield from _bad_index(values["model-index"])


def _bad_index(index: Any) -> Iterator[str]:
    if not isinstance(index, list) or not index:
        yield f"model-index is {_short(index)}, expected a list of models; {FIX}"
        return
    for i, model in enumerate(index):
        at = f"model-index[{i}]"
        if not isinstance(model, Mapping):
            yield f"{at} is {_short(model)}, expected name and results; {FIX}"
            continue
        if not isinstance(model.get("name"), str):
            yield f"{at}.name is missing or no text; {FIX}"
        if not isinstance(model.get("results"), list):
            yield f"{at}.results is {_short(model.get('results'))}, expected a list; {FIX}"
            continue
        for j, result in enumerate(model["results"]):
            yield from _bad_result(result, f"{at}.results[{j}]")


def _bad_result(result: Any, at: str) -> Iterator[str]:
    if not isinstance(result, Mapping):
        yield f"{at} is {_short(result)}, expected task, dataset and metrics; {FIX}"
        return
    for part, key in (("task", "type"), ("dataset", "type"), ("dataset", "name")):
        holder = result.get(part)
        value = holder.get(key) if isinstance(holder, Mapping) else None
        if not isinstance(value, str) or not value:
            yield f"{at}.{part}.{key} is missing or no text; {FIX}"
    metrics = result.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        yield f"{at}.metrics is {_short(metrics)}, expected a list of metrics; {FIX}"
        return
    for k, metric in enumerate(metrics):
        if not isinstance(metric, Mapping) or not isinstance(metric.get("type"), str):
            yield f"{at}.metrics[{k}].type is missing or no text; {FIX}"
        elif not _is_number(metric.get("value")):
            yield f"{at}.metrics[{k}].value is {_short(metric.get('value'))}, expected a finite number; {FIX}"


# ---------------------------------------------------------------------------- numbers without a source


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
    widget = metadata(facts).get("widget") if facts is not None else None
    scores = [score for example in widget or () for score in _scores(example)]
    for example in _listed(values.get("widget")):
        strange = [score for score in _scores(example) if score not in scores]
        if strange:
            yield f"widget: the score {strange[0]} is not in run.json; {FIX}"


def _index_values(index: Any) -> Iterator[tuple[tuple[str, str, str], float]]:
    """(data set, split, metric) and value of each number of a model index, as far as it has the right shape."""
    for model in _listed(index):
        for result in _listed(_get(model, "results")):
            dataset = _get(result, "dataset")
            for metric in _listed(_get(result, "metrics")):
                if _is_number(_get(metric, "value")):
                    name = _get(metric, "name") or _get(metric, "type")
                    yield (str(_get(dataset, "name")), str(_get(dataset, "split") or ""), str(name)), metric["value"]


def _scores(example: Any) -> list[Any]:
    return [score for each in _listed(_get(example, "output")) if (score := _get(each, "score")) is not None]


def _lines_without_source(readme: Readme, facts: RunFacts | None) -> Iterator[str]:
    """Lines with numbers between the marks of the card that the facts do not give."""
    if readme.card is None:
        return
    found = _without_words(readme.card, readme.own_words)
    if facts is None:
        if any(_has_digit(line) for line in found):
            yield "the card was written by Quintet, and the run.json that its numbers come from is not beside it"
        return
    repository = _repository(readme, facts)
    fresh = read_readme(render(facts, repository=repository, own_words=readme.own_words)).card or ""
    expected = _without_words(fresh, readme.own_words)
    matcher = difflib.SequenceMatcher(None, expected, found, autojunk=False)
    for kind, old_start, old_end, start, end in matcher.get_opcodes():
        if kind not in ("replace", "insert"):
            continue
        for line in found[start:end]:
            if not _has_digit(line):
                continue
            near = difflib.get_close_matches(line, expected[old_start:old_end], n=1, cutoff=0.5)
            meant = f"run.json gives '{_excerpt(near[0], line)}'" if near else "run.json does not give it"
            yield f"'{_excerpt(line, near[0] if near else '')}': {meant}; {FIX}"


def _repository(readme: Readme, facts: RunFacts) -> str | None:
    """The Hub id that a card was written for: the facts', or the one in its first snippet."""
    if facts.repository is not None:
        return None
    found = re.search(r'model="([^"]+)"', readme.card or "")
    return found[1] if found and REPOSITORY.fullmatch(found[1]) and found[1] != facts.checkpoint_name else None


def _words_without_source(readme: Readme, facts: RunFacts | None) -> Iterator[str]:
    """Results in a person's text that are not in the facts."""
    values = None
    for text in (readme.before, readme.own_words, readme.after):
        for found in _RESULT.finditer(_NOT_PROSE.sub(" ", text)):
            if not _is_result(found):
                continue
            if values is None:
                values = _citable(facts)
            if not _is_among(found, values):
                source = "run.json" if facts is not None else "a run.json, which there is none of"
                yield f"the number {found[0].strip()} in your own words is not in {source}; leave it out or measure it"


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


def _missing_pictures(text: str, folder: Path) -> Iterator[str]:
    for target in dict.fromkeys(_PICTURE.findall(text)):
        if "://" in target or target.startswith("data:"):
            continue
        if target.startswith(("/", "~")) or "\\" in target or ".." in Path(target).parts:
            name = target.replace("\\", "/").rpartition("/")[2]
            yield f"the picture '{name}' is named by a path that leads out of the checkpoint; put it into the folder"
        elif not (folder / target).is_file():
            yield f"the picture '{target}' is not in the folder; {FIX}"


# -------------------------------------------------------------------------------------------- helpers


def _without_words(card: str, words: str) -> list[str]:
    """Lines of a card without a person's own."""
    lines = (card.replace(words, "", 1) if words else card).splitlines()
    return [line.strip() for line in lines if line.strip() and line.strip() != CARD_START]


def _has_digit(line: str) -> bool:
    return any(letter.isdigit() for letter in line)


def _excerpt(line: str, other: str) -> str:
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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
