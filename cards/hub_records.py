"""What a Hub tells, as records: accounts with their rights, repositories with their files, commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from huggingface_hub.hf_api import RepoFile

MAIN = "main"

Kind = Literal["model", "dataset"]
"""Of repository."""


@dataclass(frozen=True)
class Account:
    """Whom a token belongs to, and what it may do.

    Attributes:
        name: of the user.
        organisations: name -> role of the user in it, where the Hub says so.
        role: of the token: ``read``, ``write``, ``fineGrained`` …
        writable: users, organisations and repositories that a fine-grained token may write to; None where that is not
            limited, or not said.
    """

    name: str
    organisations: Mapping[str, str | None] = field(default_factory=dict)
    role: str | None = None
    writable: frozenset[str] | None = None

    def refusal(self, repository: str, *, create_pr: bool) -> str | None:
        """Why this token cannot publish to ``repository``, as a sentence; None where nothing speaks against it."""
        owner = repository.split("/")[0]
        tokens = "settings/tokens"
        if self.role == "read":
            return f"the token of '{self.name}' may only read; make one with write access on the Hub, at {tokens}."
        if create_pr:
            return None
        if owner != self.name and owner not in self.organisations:
            own = ", ".join([self.name, *sorted(self.organisations)])
            return (
                f"'{self.name}' has no right to write to '{owner}' (may write to: {own}); publish under one of these "
                "names, or propose the change with --create-pr."
            )
        if self.organisations.get(owner) == "read":
            return (
                f"'{self.name}' may only read in the organisation '{owner}'; ask its administrators for the right to "
                "write, or propose the change with --create-pr."
            )
        if self.writable is not None and not {owner, repository} & self.writable:
            allowed = ", ".join(sorted(self.writable)) or "nothing"
            return f"this token may write to {allowed}, but not to '{repository}'; extend it on the Hub, at {tokens}."
        return None


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository, as the Hub lists it; ``sha256`` is None for a small file, known by git's ``blob_id``."""

    path: str
    size: int
    blob_id: str
    sha256: str | None = None


@dataclass(frozen=True)
class Head:
    """A repository at one commit.

    Attributes:
        commit: its id; None where nothing was committed yet.
        files: by path.
        private: whether only its owners see it.
    """

    commit: str | None
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    private: bool = False

    @property
    def is_untouched(self) -> bool:
        """Whether it holds nothing but what the Hub itself puts into a new repository."""
        return set(self.files) <= {".gitattributes"}


@dataclass(frozen=True)
class Landed:
    """A commit that is on the Hub; ``is_found`` where its answer was lost and the repository was looked at."""

    commit: str
    pull_request: str | None = None
    is_found: bool = False


def read_account(answer: Mapping[str, Any]) -> Account:
    """Reads the answer to "who am I"; a Hub that says less about the token is believed to allow it."""
    token = (answer.get("auth") or {}).get("accessToken") or {}
    organisations = {org["name"]: org.get("roleInOrg") for org in answer.get("orgs") or []}
    return Account(answer["name"], organisations, token.get("role"), _writable(token))


def read_file(entry: RepoFile) -> RemoteFile:
    """A file of a listing."""
    return RemoteFile(entry.path, entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)


def _writable(token: Mapping[str, Any]) -> frozenset[str] | None:
    scopes = (token.get("fineGrained") or {}).get("scoped")
    if token.get("role") != "fineGrained" or not isinstance(scopes, list):
        return None
    names = [
        str(scope["entity"].get("name"))
        for scope in scopes
        if isinstance(scope.get("entity"), dict) and "repo.write" in (scope.get("permissions") or [])
    ]
    return frozenset(names)
