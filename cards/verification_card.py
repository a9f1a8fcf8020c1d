"""What `verify` compares of a card beside the numbers in its index: can it be read, its text, and its front matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..pipelines.errors import DataError
from .card_lines import changed_blocks, nearest, rendered_lines, repository_shown, written_lines
from .comparison import CardNumber, changed_lines, owners
from .existing_card import read_text
from .facts import EvaluationFacts, RunFacts
from .metadata import as_list, chosen_on, metadata, results, shown_evaluations, widget
from .number_sources import excerpt, results_without_source
from .published import Check, Published
from .render import FILE_NAME as CARD_FILE
from .render import Readme, read_readme

MOST_TOLD = 3
"""Differences that a sentence tells; more are counted."""

SAME_FOR_ALL = ("library_name", "pipeline_tag", "base_model", "base_model_relation", "metrics")
"""Keys of the front matter that say something about the checkpoint and that its owner has no other word for."""


NEVER_LEFT_OUT = ("pipeline_tag", "model-index")
"""Keys of the front matter by which the Hub shows what the checkpoint is for, and its results."""


def read_published_card(folder: Path, run: RunFacts) -> tuple[Readme | None, list[Check]]:
    """The card of a checkpoint, None where there is none that can be read, and what there is to say about that.

    A checkpoint that never had a card need not have one. One of which ``run.json`` keeps what `quintet card` ran for
    it had one.
    """
    path = folder / CARD_FILE
    if not path.exists() and not path.is_symlink():
        if run.usages or run.examples or run.repository:
            return None, [Check("card", "differs", f"there is no {CARD_FILE}, and run.json was written with one")]
        return None, [Check("card", "not checked", f"there is no {CARD_FILE}; `quintet card` writes it")]
    try:
        if not path.is_file():
            raise DataError(f"{CARD_FILE} is no file")
        readme = read_readme(read_text(path))
    except DataError as error:
        return None, [Check("card", "differs", f"it cannot be read: {error}")]
    if readme.problem:
        return readme, [Check("card", "differs", f"its front matter cannot be read: {readme.problem}")]
    return readme, []


def in_order_of_card(run: RunFacts) -> list[EvaluationFacts]:
    """All evaluations, those in the index of results first, in its order."""
    return sorted(shown_evaluations(run), key=lambda one: chosen_on(run, one))


def check_card_text(readme: Readme, run: RunFacts, found: Published, numbers: list[CardNumber]) -> list[Check]:
    """What a card says but for the values in its index of results, against what the facts give.

    Between its marks, a card of this version of Quintet has the lines that the facts give, in their order and no
    others; its front matter likewise. Of a card that another version wrote only the numbers are compared. The owner's
    own words are hers, and a text without marks is all hers: there, results must be in the facts.

    Args:
        readme: the card.
        run: the facts.
        found: where they were found.
        numbers: what the index of results has.
    """
    wrong = list(_unreadable_entries((readme.metadata or {}).get("model-index")))
    if readme.damage:
        wrong.append(readme.damage)
    unproven = list(dict.fromkeys(results_without_source(readme, run)))
    if readme.card is None:
        wrong += [f"the text says {number}, which is not in run.json" for number in unproven]
        if wrong:
            return [Check("card", "differs", _told(wrong))]
        detail = f"{CARD_FILE} was not written by Quintet; its index of results is compared, and no other result is new"
        return [Check("card", "not checked", detail)]
    checks = []
    written, given = written_lines(readme.card), _nearest_rendering(readme, run, found)
    if _is_of_this_version(run):
        wrong += [*_changed_text(written, given), *_changed_front_matter(readme.metadata or {}, run, numbers)]
        others: list[str] = []
    else:
        wrong += _changed_numbers(written, given, readme.metadata or {}, run)
        others = [line for block in changed_blocks(written, given) for line in (block.written or block.given)]
    if wrong:
        checks.append(Check("card", "differs", _told(wrong)))
    elif others:
        detail = (
            f"another version of Quintet wrote it; its numbers are those of run.json, and {len(others)} lines are "
            f"others than this version writes, such as '{excerpt(others[0], '')}'"
        )
        checks.append(Check("card", "not checked", detail))
    else:
        checks.append(Check("card", "equal", "its text is what run.json gives"))
    if unproven:
        detail = f"{', '.join(unproven[:MOST_TOLD])} in the owner's own words cannot be computed again"
        checks.append(Check("own words", "not checked", detail))
    return checks


def _unreadable_entries(index: Any) -> Iterator[str]:
    """A sentence for each part of an index of results that is not of its shape, so that numbers in it go unseen."""
    if index is None:
        return
    at = "model-index"
    if not isinstance(index, list):
        yield f"{at} is {_short(index)}, expected a list of models"
        return
    for model in index:
        listed = model.get("results") if isinstance(model, Mapping) else None
        if not isinstance(listed, list):
            yield f"{at} has {_short(model)}, expected a model with a list of results"
            continue
        for result in listed:
            metrics = result.get("metrics") if isinstance(result, Mapping) else None
            if not isinstance(metrics, list) or not all(isinstance(each, Mapping) for each in metrics):
                yield f"{at} has {_short(result)}, expected a result with a list of metrics"


def _is_of_this_version(run: RunFacts) -> bool:
    """Whether this version of Quintet wrote the facts, or may have, and so the card."""
    from ..finetune.environment import versions

    stated = {one.versions.get("quintet") for one in (run, *run.evaluations)} - {None}
    return not stated or versions()["quintet"] in stated


def _nearest_rendering(readme: Readme, run: RunFacts, found: Published) -> list[str]:
    """The lines of the card that the facts give, for the repository that it was written for.

    A copy of a repository has the card of the original, so either name may stand in it.
    """
    names = {found.repository, run.repository, None if found.repository else repository_shown(readme, run)}
    renderings = [rendered_lines(run, name) for name in names]
    written = set(written_lines(readme.card or ""))
    return max(renderings, key=lambda lines: len(written.intersection(lines)))


def _changed_text(written: list[str], given: list[str]) -> Iterator[str]:
    """A sentence for each line that the facts do not give in this place, and for each that they give beside these."""
    for block in changed_blocks(written, given):
        missing = list(block.given)
        for line in block.written:
            near = nearest(line, missing) if len(missing) <= MOST_TOLD * len(given) else ""
            if near:
                missing.remove(near)
                yield f"the text says '{excerpt(line, near)}' where the facts give '{excerpt(near, line)}'"
            else:
                yield f"the text says '{excerpt(line, '')}', which the facts do not give there"
        yield from (f"the text leaves out '{excerpt(line, '')}'" for line in missing)


def _changed_numbers(written: list[str], given: list[str], values: Mapping[str, Any], run: RunFacts) -> Iterator[str]:
    """A sentence for each line with a number that the facts do not give, in whatever layout."""
    changed = changed_lines("\n".join(written), "\n".join(given))
    answers = [values.get("widget"), metadata(run).get("widget")]
    changed += changed_lines(*(yaml.safe_dump(each, allow_unicode=True) for each in answers))
    for line, near in changed:
        meant = f" where the facts give '{excerpt(near.strip(), line)}'" if near else ""
        yield f"the text says '{excerpt(line.strip(), near)}'{meant}"


def _changed_front_matter(values: Mapping[str, Any], run: RunFacts, numbers: list[CardNumber]) -> Iterator[str]:
    """A sentence for each entry of the front matter, but for values of metrics, that the facts give otherwise."""
    given = metadata(run)
    yield from (f"the front matter leaves out {key}" for key in NEVER_LEFT_OUT if key in given and key not in values)
    for key in SAME_FOR_ALL:
        if key in values and (key in given or key != "base_model") and values[key] != given.get(key):
            yield f"the front matter has {key} {_short(values[key])}, the facts give {_short(given.get(key))}"
    yield from _changed_widget(values.get("widget"), run)
    missing = [name for name in given.get("datasets", ()) if name not in as_list(values.get("datasets"))]
    if missing and "datasets" in values:
        yield f"the front matter has datasets {_short(values['datasets'])}, the facts give {_short(given['datasets'])}"
    yield from _changed_index(values, run, numbers)


def _changed_widget(shown: Any, run: RunFacts) -> Iterator[str]:
    """The same of the examples with their answers; older cards have all answers of each."""
    if shown is None or shown in (widget(run), widget(run, None)):
        return
    texts = [yaml.safe_dump(each, allow_unicode=True).splitlines() for each in (shown, widget(run))]
    yield from _changed_text(*([line.strip() for line in lines] for lines in texts))


def _changed_index(values: Mapping[str, Any], run: RunFacts, numbers: list[CardNumber]) -> Iterator[str]:
    """The same of the index of results, for each result of which it is known what it is about."""
    evaluations, given = in_order_of_card(run), results(run)
    models = [model for model in as_list(values.get("model-index")) if isinstance(model, Mapping)]
    stated = [one for model in models for one in as_list(model.get("results")) if isinstance(one, Mapping)]
    owner = {number.result: one for number, one in zip(numbers, owners(numbers, evaluations), strict=True)}
    for place, result in enumerate(stated):
        index = owner.get(place)
        if index is None:  # its numbers have no source, which is told of each of them
            continue
        if index >= len(given):
            yield f"model-index has the split {evaluations[index].split}, whose rows chose the weights"
            continue
        expected = given[index]
        for key in {**result, **expected}:
            if key != "metrics" and result.get(key) != expected.get(key):
                yield f"model-index has {key} {_short(result.get(key))}, the facts give {_short(expected.get(key))}"
        known = {metric["name"]: metric for metric in expected["metrics"]}
        types = {metric["type"] for metric in expected["metrics"]}  # of any other the number is told to have no source
        for metric in as_list(result.get("metrics")):
            meant = known.get(str(metric.get("name"))) if isinstance(metric, Mapping) else None
            if meant is not None and {**metric, "value": 0} != {**meant, "value": 0}:
                yield f"model-index has {_short(metric)}, the facts give {_short(meant)}"
            elif meant is None and isinstance(metric, Mapping) and metric.get("type") in types and "name" in metric:
                yield f"model-index has the metric {_short(metric['name'])}, which the facts do not give"


def _told(sentences: list[str]) -> str:
    more = f" and {len(sentences) - MOST_TOLD} more" if len(sentences) > MOST_TOLD else ""
    return "; ".join(sentences[:MOST_TOLD]) + more


def _short(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= 150 else text[:149] + "…"
