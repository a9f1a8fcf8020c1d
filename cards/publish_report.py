"""What publishing tells: the plan before it, and the report after it."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, Literal

from .hub_records import Head, Kind
from .publish_plan import Plan
from .publish_target import Target


@dataclass(frozen=True)
class PublishReport:
    """What publishing did.

    Attributes:
        repository: Hub id.
        kind: of repository.
        status: ``published``; ``unchanged`` where everything was there already; ``planned`` for a dry run.
        url: page of what was published.
        plan: which files, and what happened to each.
        commit: that holds it; None for a dry run.
        pull_request: page of the pull request, if it is one.
        created: whether the repository is new.
        fetched: files that were fetched again and compared; of all others the Hub's hashes were.
        notices: what a person should know; one sentence each.
    """

    repository: str
    kind: Kind
    status: Literal["published", "unchanged", "planned"]
    url: str
    plan: Plan
    commit: str | None = None
    pull_request: str | None = None
    created: bool = False
    fetched: int = 0
    notices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {**vars(self), "plan": self.plan.to_json(), "notices": list(self.notices)}


def describe(plan: Plan, target: Target, head: Head | None) -> str:
    """The plan for people, a line a file."""
    where = "a new repository" if head is None and plan.is_compared else "the repository"
    lines = [f"To {where} '{target.repository}': {_many(plan.changes, 'change')}, {size_text(plan.upload_bytes)}"]
    if not plan.is_compared:
        lines = [f"To '{target.repository}', as if it were new: {files_text(plan.files)}"]
    marks = {"new": "+", "changed": "~", "deleted": "-"}
    lines += [f"  {marks[file.change]} {_shown(file.path)} ({size_text(file.size)})" for file in plan.changes]
    same = [file for file in plan.files if file.change == "same"]
    if same:
        lines.append(f"  = {files_text(same)} there already")
    if plan.kept:
        shown = ", ".join(map(_shown, plan.kept[:5])) + (" …" if len(plan.kept) > 5 else "")
        lines.append(f"  {files_text(plan.kept)} of the repository not touched: {shown}")
    lines += [f"  not published: {_shown(path)} ({reason})" for path, reason in plan.left_out.items()]
    return "\n".join(lines)


def files_text(files: Sized) -> str:
    """How many files, for people."""
    return _many(files, "file")


def _many(items: Sized, word: str) -> str:
    return f"{len(items)} {word}{'' if len(items) == 1 else 's'}"


def _shown(path: str) -> str:
    """A path on one line, whatever it holds."""
    return path if path.isprintable() else ascii(path)


def size_text(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
