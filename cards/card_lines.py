"""The lines that Quintet wrote of a card beside those that its facts give, in their order."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .facts import RunFacts
from .marks import cut_at_words
from .metadata import REPOSITORY
from .render import Readme, read_readme, render


@dataclass(frozen=True)
class Block:
    """Lines of a card in place of which the facts give others; one of the two may be empty."""

    written: tuple[str, ...]
    given: tuple[str, ...]


def written_lines(card: str) -> list[str]:
    """The lines between the marks of a card without the owner's own words between theirs, and without empty ones."""
    words = cut_at_words(card)
    return [line.strip() for line in (words.before + words.after).splitlines() if line.strip()]


def rendered_lines(facts: RunFacts, repository: str | None) -> list[str]:
    """The same of the card that the facts give."""
    return written_lines(read_readme(render(facts, repository=repository)).card or "")


def changed_blocks(found: Sequence[str], expected: Sequence[str]) -> list[Block]:
    """Where ``found`` differs from ``expected``, in its order."""
    matcher = difflib.SequenceMatcher(None, expected, found, autojunk=False)
    return [
        Block(tuple(found[start:end]), tuple(expected[old_start:old_end]))
        for kind, old_start, old_end, start, end in matcher.get_opcodes()
        if kind != "equal"
    ]


def nearest(line: str, others: Sequence[str]) -> str:
    """The one of ``others`` that reads most like ``line``; an empty text where none does."""
    return next(iter(difflib.get_close_matches(line, others, n=1, cutoff=0.5)), "")


def repository_shown(readme: Readme, facts: RunFacts) -> str | None:
    """The Hub id that a card was written for where the facts have none: that in its first snippet."""
    if facts.repository is not None:
        return None
    found = re.search(r'model="([^"]+)"', readme.card or "")
    return found[1] if found and REPOSITORY.fullmatch(found[1]) and found[1] != facts.checkpoint_name else None
