"""From facts to a whole README.md: front matter, body, and whatever a person wrote. The same facts give the same bytes.

front matter
what stood before the card                                    (a person's)
<!-- quintet card … -->
title, summary
<!-- own words … -->  …  <!-- /own words -->                  (a person's)
results, usage, data, training, limits, citation, versions
<!-- /quintet card -->
what stood behind it                                          (a person's)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from . import limit_sections, result_sections, sections, training_sections
from .facts import RunFacts
from .markdown import plain
from .marks import CARD_END, CARD_START, WORDS_END, WORDS_START, cut_at_card, cut_at_words
from .metadata import COMPUTED_KEYS, OWN_TAGS, front_matter, metadata
from .writing_usage import samples

FILE_NAME = "README.md"

DECIDED_BY_FACTS = frozenset(COMPUTED_KEYS) - {"base_model", "base_model_relation", "datasets", "tags"}
"""Keys of the front matter that a person changes by changing the facts: licence and language by `quintet card`."""

MOST_VALUES = 100_000
"""Values in a front matter at most; a card with a thousand classes has a tenth of it."""

ADDED_UP = ("datasets", "tags")
"""Lists of the front matter to which a person may add."""

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Readme:
    """A README.md taken apart.

    Attributes:
        metadata: its front matter; None where that is missing or no YAML mapping.
        problem: what is wrong with the front matter; empty where it can be read, or where there is none.
        damage: what is wrong with the marks, so that nobody can tell what a person wrote; else empty.
        card: what stands between the marks of the card; None where there is no whole pair.
        own_words: what stands between the marks of own words.
        before: a person's text above the card; the whole text but its front matter where there is no card.
        after: a person's text below the card.
    """

    metadata: Mapping[str, Any] | None = None
    problem: str = ""
    damage: str = ""
    card: str | None = None
    own_words: str = ""
    before: str = ""
    after: str = ""

    @property
    def extra(self) -> dict[str, Any]:
        """What the front matter has that facts do not decide."""
        values = {key: value for key, value in (self.metadata or {}).items() if key not in DECIDED_BY_FACTS}
        if isinstance(values.get("tags"), list):
            values["tags"] = [tag for tag in values["tags"] if tag not in OWN_TAGS]
        return values


def render(
    facts: RunFacts,
    *,
    repository: str | None = None,
    own_words: str = "",
    extra: Mapping[str, Any] | None = None,
    before: str = "",
    after: str = "",
) -> str:
    """The whole README.md of a checkpoint, ending in a newline.

    Args:
        facts: what is known; what is not known is not in the card.
        repository: Hub id that stands for the checkpoint in the snippets; default: ``facts.repository``, else the
            checkpoint's name.
        own_words: Markdown of the owner, put below the summary.
        extra: further values of the front matter. Tags and data sets are added to those of the facts; of the other keys
            those count about which the facts say nothing; results and what follows from them are the facts' alone.
        before: Markdown above the card.
        after: Markdown below the card.
    """
    name = repository or facts.repository or facts.checkpoint_name
    values = merged(metadata(facts, repository), extra or {})
    words = own_words.strip("\n")
    body = [
        CARD_START,
        f"# {plain(name.rpartition('/')[2])}",
        sections.summary(facts),
        f"{WORDS_START}\n{words}\n{WORDS_END}" if words else f"{WORDS_START}\n{WORDS_END}",
        result_sections.results(facts, name),
        sections.usage(facts, name),
        samples(facts),
        training_sections.training_data(facts),
        training_sections.training(facts),
        limit_sections.limits(facts),
        sections.citation(facts),
        sections.versions(facts),
        CARD_END,
    ]
    parts = [before.strip("\n"), *body, after.strip("\n")]
    return front_matter(values) + "\n" + "\n\n".join(part for part in parts if part) + "\n"


def merged(computed: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The front matter of a card with a person's values in it, in the order of `COMPUTED_KEYS`, then of ``extra``."""
    values = dict(computed)
    for key, value in extra.items():
        if key in DECIDED_BY_FACTS:
            continue
        if key in ADDED_UP:
            given = value if isinstance(value, list) else [value]
            values[key] = [*values.get(key, []), *(each for each in given if each not in values.get(key, []))]
        else:
            values.setdefault(key, value)
    order = [key for key in COMPUTED_KEYS if key in values]
    return {key: values[key] for key in [*order, *(key for key in values if key not in order)]}


def read_readme(text: str) -> Readme:
    """A README.md taken apart, whoever wrote it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    values, problem, rest = _read_front_matter(text)
    found = cut_at_card(rest)
    if found.inside is None:
        return Readme(values, problem, found.damage, before=rest.strip("\n"))
    words = cut_at_words(found.inside)
    return Readme(
        values,
        problem,
        words.damage,
        card=found.inside,
        own_words=(words.inside or "").strip("\n"),
        before=found.before.strip("\n"),
        after=found.after.strip("\n"),
    )


def _read_front_matter(text: str) -> tuple[Mapping[str, Any] | None, str, str]:
    """Values, what is wrong with them, and the text below them."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return None, "", text
    rest = text[found.end() :]
    try:
        values = yaml.load(found[1], _FrontMatter)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 2}: " if mark is not None else ""
        return None, f"{place}{getattr(error, 'problem', None) or error}", rest
    except (ValueError, RecursionError) as error:  # a date that is none, a number without end, lists in lists
        return None, "it is nested too deeply" if isinstance(error, RecursionError) else str(error), rest
    if values is None:
        return {}, "", rest
    if not isinstance(values, dict):
        return None, f"it is a {type(values).__name__}, expected keys with values", rest
    if _has_more_than(MOST_VALUES, values):
        return None, f"it has more than {MOST_VALUES:,} values", rest
    return values, "", rest


class _FrontMatter(yaml.SafeLoader):
    """Reads a front matter, in which no key may stand twice: YAML keeps the last one, and people read the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' stands there twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _has_more_than(most: int, values: Any) -> bool:
    """Whether there are more values, each counted wherever it stands: YAML may repeat one without end by its name."""
    waiting, seen = [values], 0
    while waiting and seen <= most:
        value = waiting.pop()
        seen += 1
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return seen > most
