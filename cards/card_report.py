"""What became of a card, as `quintet card` tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .facts import RunFacts


@dataclass(frozen=True)
class CardReport:
    """What became of a card.

    Attributes:
        name: of the checkpoint; never a path.
        path: of the README.md.
        text: its content.
        facts: what the card is written from, or compared with; None where there are none.
        written: whether the file was written; False for a check.
        problems: what the Hub would refuse, and numbers without a source; one sentence each.
        notes: what the owner may want to do; one sentence each.
    """

    name: str
    path: Path
    text: str
    facts: RunFacts | None
    written: bool
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """How many problems there are, in a line."""
        many = "no problem" if not self.problems else f"{len(self.problems)} problem{'s'[: len(self.problems) - 1]}"
        return f"{many} in the card of {self.name}"

    def to_json(self) -> dict[str, Any]:
        """For programs; without text and facts, which are in the files."""
        return {
            "checkpoint": self.name,
            "card": str(self.path),
            "written": self.written,
            "problems": list(self.problems),
            "notes": list(self.notes),
        }
