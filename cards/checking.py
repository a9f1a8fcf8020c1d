"""What is wrong with a card: what the Hub would refuse, pictures that are not there, and numbers that nobody measured.

Without network: the Hub's rules are on its servers and change; here are the known ones. Numbers are looked for by
number_sources.py.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .facts import RunFacts
from .languages import is_language, unknown_language
from .metadata import LICENCES, PIPELINE_TAGS, REPOSITORY, as_list, is_number
from .number_sources import FIX, source_problems
from .render import read_readme

_PICTURE = re.compile(r"!\[[^\]\n]*\]\(([^)\s]+)[^)\n]*\)")


def check_card(text: str, facts: RunFacts | None, folder: Path | None = None) -> list[str]:
    """Every problem of a card, one sentence each; an empty list where there is none.

    Args:
        text: the README.md.
        facts: that the numbers must be in; None where there are none, so that every result lacks its source.
        folder: in which the pictures must be; None does not look.
    """
    refused = hub_problems(text)
    readme = read_readme(text)
    if readme.problem:  # nobody knows what else of it is front matter
        return refused
    if readme.damage:  # nor what is a person's own
        return [*refused, readme.damage]
    pictures = [*stray_pictures(text), *missing_pictures(text, folder)] if folder is not None else []
    return [*refused, *source_problems(text, facts), *pictures]


def hub_problems(text: str) -> list[str]:
    """What keeps a card from any Hub, whoever wrote it, one sentence each.

    Args:
        text: the README.md.
    """
    readme = read_readme(text)
    if readme.problem:
        return [f"the front matter is no YAML: {readme.problem}"]
    if readme.metadata is None:
        return ["there is no front matter (--- at the top), so the Hub knows neither task nor licence; " + FIX]
    return list(_refused(readme.metadata))


def stray_pictures(text: str) -> list[str]:
    """A sentence for each picture that a card names by a path out of the checkpoint, and so of this machine."""
    names = [target.replace("\\", "/").rpartition("/")[2] for target in _pictures(text) if _leads_out(target)]
    advice = "is named by a path that leads out of the checkpoint; put it into the folder"
    return [f"the picture '{name}' {advice}" for name in names]


def missing_pictures(text: str, folder: Path) -> list[str]:
    """A sentence for each picture that a card names and ``folder`` does not have."""
    return [
        f"the picture '{target}' is not in the folder; {FIX}"
        for target in _pictures(text)
        if not _leads_out(target) and not (folder / target).is_file()
    ]


def _pictures(text: str) -> list[str]:
    """The pictures of a card that are no URLs, each once."""
    targets = dict.fromkeys(_PICTURE.findall(text))
    return [target for target in targets if "://" not in target and not target.startswith("data:")]


def _leads_out(target: str) -> bool:
    return target.startswith(("/", "~")) or "\\" in target or ".." in Path(target).parts


# ------------------------------------------------------------------------------- what the Hub refuses


def _refused(values: Mapping[str, Any]) -> Iterator[str]:
    """What the Hub would answer 400 to."""
    for licence in as_list(values.get("license")):
        if licence not in LICENCES:
            yield f"license {licence!r} is not one that the Hub has; choose one by `quintet card --license`"
    if values.get("license") == "other" and not (values.get("license_name") and values.get("license_link")):
        yield "license 'other' has no license_name and license_link; `quintet card --license-name … --license-link …`"
    for code in as_list(values.get("language")):
        if not is_language(code):
            yield unknown_language(code)
    for base in as_list(values.get("base_model")):
        if not isinstance(base, str) or not REPOSITORY.fullmatch(base):
            yield f"base_model {_short(base)} is no Hub id; the Hub refuses paths, so name a repository or leave it out"
    for name in as_list(values.get("datasets")):
        if not isinstance(name, str) or not REPOSITORY.fullmatch(name):
            yield f"datasets has {_short(name)}, which is no Hub id; leave local data sets out"
    for key in ("tags", "metrics"):
        for value in as_list(values.get(key)):
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
        elif not is_number(metric.get("value")):
            yield f"{at}.metrics[{k}].value is {_short(metric.get('value'))}, expected a finite number; {FIX}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
