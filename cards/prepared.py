"""What is ready to be published, and the error for what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..pipelines.errors import PublishError
from .publish_plan import LocalFile


@dataclass(frozen=True)
class Prepared:
    """What is ready to be published: files by their path in the repository."""

    files: tuple[LocalFile, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def require_ready(name: str, problems: Sequence[str]) -> None:
    """Nothing, if there are no problems.

    Args:
        name: of the checkpoint or data set.
        problems: one sentence each.

    Raises:
        PublishError: lists them.
    """
    problems = [problem if problem.endswith(".") else f"{problem}." for problem in problems]
    if len(problems) == 1:
        raise PublishError(f"'{name}' is not ready to be published: {problems[0]} Nothing was changed.")
    if problems:
        listed = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
        raise PublishError(
            f"'{name}' is not ready to be published; nothing was changed, {len(problems)} things to correct:{listed}"
        )
