"""What publishing tells: the plan before it, and the report after it."""

from __future__ import annotations

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
    lines = [f"To {where} '{target.repository}': {len(plan.changes)} changes, {size_text(plan.upload_bytes)}"]
    if not plan.is_compared:
        lines = [f"To '{target.repository}', as if it were new: {len(plan.files)} files"]
    marks = {"new": "+", "changed": "~", "deleted": "-"}
    lines += [f"  {marks[file.change]} {file.path} ({size_text(file.size)})" for file in plan.changes]
    same = len(plan.files) - len(plan.changes)
    if same:
        lines.append(f"  = {same} files are there already")
    if plan.kept:
        shown = ", ".join(plan.kept[:5]) + (" …" if len(plan.kept) > 5 else "")
        lines.append(f"  {len(plan.kept)} files of the repository stay as they are: {shown}")
    lines += [f"  not published: {path} ({reason})" for path, reason in plan.left_out.items()]
    return "\n".join(lines)


def size_text(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
