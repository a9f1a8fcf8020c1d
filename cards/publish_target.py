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
        if re.fullmatch(r"[0-9a-f]{7,40}", self.branch) or not re.fullmatch(r"[\w./-]+", self.branch):
            raise UsageError(f"--revision '{self.branch}' is no name of a branch; give one, such as v2.")
        if not self.message.strip():
            raise UsageError("--message is empty; give the commit a title, or leave it out.")


def check_repository(repository: str) -> None:
    """Nothing, if it can be a Hub id.

    Raises:
        UsageError: it cannot; the message has one that can.
    """
    if "://" in repository:
        path = repository.partition("://")[2].partition("/")[2].removeprefix("datasets/")
        raise UsageError(f"repository '{repository}' is a URL; give the id in it: {'/'.join(path.split('/')[:2])}.")
    if (
        _REPOSITORY.fullmatch(repository)
        and len(repository) <= _LONGEST_ID
        and not re.search(r"--|\.\.|[-.]$|[-.]/|\.git$", repository)
    ):
        return
    owner, _, name = repository.rpartition("/")
    if not owner and re.fullmatch(r"[\w.-]+", name):
        raise UsageError(f"repository '{repository}' has no owner; give owner/name, such as me/{name}.")
    parts = [re.sub(r"[^\w.-]+|--+|\.\.+", "-", part, flags=re.ASCII).strip("-.") for part in (owner or "me", name)]
    better = "/".join(re.sub(r"/", "-", part) or "me" for part in parts)[:_LONGEST_ID]
    raise UsageError(
        f"repository '{repository}' is no name that the Hub takes: owner/name of letters, digits, '-', '_' and '.', at "
        f"most {_LONGEST_ID} characters; for instance {better}."
    )
