"""What is ready to be published, and the error for what is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..pipelines.errors import PublishError
from .facts import FILE_NAME as FACTS_FILE
from .publish_plan import LocalFile
from .render import FILE_NAME as CARD_FILE


@dataclass(frozen=True)
class Prepared:
    """What is ready to be published.

    Attributes:
        files: by their path in the repository.
        left_out: path -> why it is not published.
        notices: what a person should know; one sentence each.
        written: file of the owner's folder -> what `keep` puts there once it is published, such as a new card.
    """

    files: tuple[LocalFile, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    written: Mapping[Path, Path] = field(default_factory=dict)


def require_ready(name: str, problems: Sequence[str], outcome: str = "Nothing was changed.") -> None:
    """Nothing, if there are no problems.

    Args:
        name: of the checkpoint or data set.
        problems: one sentence each.
        outcome: what became of the folder, as a sentence.

    Raises:
        PublishError: lists them.
    """
    problems = [problem if problem.endswith(".") else f"{problem}." for problem in problems]
    if len(problems) == 1:
        raise PublishError(f"'{name}' is not ready to be published: {problems[0]} {outcome}")
    if problems:
        listed = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
        outcome = outcome[:1].lower() + outcome[1:].rstrip(".")
        raise PublishError(
            f"'{name}' is not ready to be published; {outcome}, {len(problems)} things to correct:{listed}"
        )


def keep(prepared: Prepared) -> list[str]:
    """Puts what was written for the publication into the owner's folder; a sentence if that cannot be."""
    last = (FACTS_FILE, CARD_FILE)  # a card speaks of the facts, and both of the pictures
    for path in sorted(prepared.written, key=lambda path: last.index(path.name) if path.name in last else -1):
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            shutil.copyfile(prepared.written[path], temporary)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            told = f"it was published with a new {path.name}, which cannot be written into the folder"
            return [f"{told} ({error.strerror}), so the one there is as it was."]
    return []
