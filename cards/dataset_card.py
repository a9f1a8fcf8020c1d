"""The card of a published data set: its splits, columns and labels as they were read, nothing invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .facts import DataFacts
from .markdown import code, count, table
from .marks import CARD_END, WORDS_END, WORDS_START
from .metadata import front_matter
from .render import Readme

CARD_START = "<!-- quintet card: written by `quintet publish --dataset`; edit only between the marks of own words -->"

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Rows below which the Hub has a category of size, and its name."""


def render_dataset(
    facts: DataFacts, labels: Sequence[str] | None, repository: str, licence: Mapping[str, Any], readme: Readme
) -> str:
    """The whole README.md of a data set, ending in a newline; the same arguments give the same bytes.

    Args:
        facts: what was read.
        labels: names of the classes; None for numbers.
        repository: Hub id.
        licence: ``license``, ``license_name`` and ``license_link``.
        readme: the card so far, whose words are kept.
    """
    rows = sum(split.rows for split in facts.splits)
    size = next((name for limit, name in SIZES if rows < limit), "n>1M")
    values = {**{key: value for key, value in licence.items() if value}}
    values |= {"task_categories": ["text-classification"], "size_categories": [size], "tags": ["quintet"]}
    values |= {key: value for key, value in (readme.metadata or {}).items() if key not in values}
    words = readme.own_words.strip("\n")
    body = [
        readme.before.strip("\n"),
        CARD_START,
        f"# {repository.rpartition('/')[2]}",
        f"Labelled texts, {count(rows)} rows."
        + (f" Labels: {', '.join(code(label) for label in labels)}." if labels else " Labels are numbers."),
        f"{WORDS_START}\n{words}\n{WORDS_END}" if words else f"{WORDS_START}\n{WORDS_END}",
        "## Columns",
        table(("column", "in the files"), [(ours, code(theirs)) for ours, theirs in facts.columns.items()], left=2),
        "## Splits",
        _splits(facts),
        _histogram(facts, labels),
        _shared(facts),
        CARD_END,
        readme.after.strip("\n"),
    ]
    return front_matter(values) + "\n" + "\n\n".join(part for part in body if part) + "\n"


def _splits(facts: DataFacts) -> str:
    rows = [
        (
            split.name,
            count(split.rows),
            "" if split.duplicates is None else count(split.duplicates),
            f"{split.length_percentiles['50']:,.0f}" if "50" in split.length_percentiles else "",
            code(split.fingerprint),
        )
        for split in facts.splits
    ]
    return table(("split", "rows", "repeated texts", "median characters", "sha256 of the contents"), rows, left=1)


def _histogram(facts: DataFacts, labels: Sequence[str] | None) -> str:
    if not labels:
        return ""
    rows = [(code(label), *(count(split.label_histogram.get(label, 0)) for split in facts.splits)) for label in labels]
    return table(("label", *(f"rows of {split.name}" for split in facts.splits)), rows, left=1)


def _shared(facts: DataFacts) -> str:
    both = [f"{count(texts)} in {pair.replace('/', ' and ')}" for pair, texts in facts.leakage.items() if texts]
    return f"Texts that are in two splits: {', '.join(both)}." if both else ""
