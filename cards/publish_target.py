"""Where to publish: names and options that cannot be are told before anything else is done."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..pipelines.errors import UsageError
from .hub_records import MAIN, Kind

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LONGEST_ID = 96


@dataclass(frozen=True)
class Target:
    """Where to publish.

    Attributes:
        repository: Hub id.
        kind: of repository.
        private: whether a new repository is to be.
        create_pr: whether to propose the commit instead of making it.
        branch: where the commit goes.
        message: its title.
    """

    repository: str
    kind: Kind
    private: bool
    create_pr: bool
    branch: str
    message: str

    def __post_init__(self) -> None:
        check_repository(self.repository)
        if self.create_pr and self.branch != MAIN:
            raise UsageError(
                f"--create-pr and --revision {self.branch} were given, but a pull request is to the main branch; leave "
                "one of them out."
            )
        if not _is_branch(self.branch):
            short = self.branch.removeprefix("refs/heads/")
            better = short if short != self.branch and _is_branch(short) else "v2"
            raise UsageError(f"--revision '{self.branch}' is no name of a branch; give one, such as {better}.")
        if not self.message.strip():
            raise UsageError("--message is empty; give the commit a title, or leave it out.")


def check_repository(repository: str) -> None:
    """Nothing, if it can be a Hub id.

    Raises:
        UsageError: it cannot; the message has one that can.
    """
    if _is_repository(repository):
        return
    if "://" in repository:
        parts = [part for part in re.split(r"[/?#]", repository.partition("://")[2])[1:] if part]
        found = "/".join(parts[1:3] if parts[:1] in (["datasets"], ["models"]) else parts[:2])
        if _is_repository(found):
            raise UsageError(f"repository '{repository}' is a URL; give the id in it: {found}.")
        raise UsageError(f"repository '{repository}' is a URL without an id; give owner/name, such as me/reviews.")
    if re.fullmatch(r"[\w.-]+", repository):
        better = nearest_repository(repository)
        raise UsageError(f"repository '{repository}' has no owner; give owner/name, such as {better}.")
    raise UsageError(
        f"repository '{repository}' is no name that the Hub takes: owner/name of letters, digits, '-', '_' and '.', at "
        f"most {_LONGEST_ID} characters; for instance {nearest_repository(repository)}."
    )


def _is_repository(name: str) -> bool:
    return (
        _REPOSITORY.fullmatch(name) is not None
        and len(name) <= _LONGEST_ID
        and not re.search(r"--|\.\.|[-.]$|[-.]/|\.git$", name)
    )


def nearest_repository(name: str) -> str:
    """A name that the Hub takes, as near to ``name`` as can be."""
    owner, _, last = name.rpartition("/")
    owner, last = (_cleaned(part) for part in (owner, last))
    better = f"{owner or 'me'}/{_cleaned(last[: _LONGEST_ID - len(owner or 'me') - 1])}"
    return better if _is_repository(better) else "me/reviews"


def _cleaned(part: str) -> str:
    part = re.sub(r"[^\w.-]+|--+|\.\.+", "-", part, flags=re.ASCII).strip("-._")
    return part.removesuffix(".git").rstrip("-._")


def _is_branch(name: str) -> bool:
    """Whether git takes ``name`` for a branch (git check-ref-format), and nobody could take it for something else."""
    is_taken = name == "HEAD" or name.startswith("refs/") or re.fullmatch(r"[0-9a-f]{7,40}", name)
    parts = name.split("/")
    return (
        not is_taken
        and re.fullmatch(r"[\w./-]+", name) is not None
        and ".." not in name
        and not name.startswith("-")
        and all(part and not part.startswith(".") and not part.endswith((".", ".lock")) for part in parts)
    )
