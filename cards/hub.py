"""The Hub, as publishing and verification see it: every call ends in time, and is repeated where that is safe.

`huggingface_hub` does the talking. Left to itself it waits for ever for an answer, and repeats uploads and listings
but neither the check of the token, nor looking at a repository, making one, or committing. What it raises becomes a
`HubError`: one sentence. A commit whose answer was lost is never repeated blindly: the repository tells.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, errors, get_token
from huggingface_hub.hf_api import RepoFile

from ..pipelines.errors import HubError, PublishError
from .hub_errors import FAILURES, causes, explain

if TYPE_CHECKING:
    from collections.abc import Iterable

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each repetition of a call that failed for a reason that may pass."""

LONGEST_WAIT = 300.0
"""Seconds; where the Hub asks to wait longer, the command ends and says so."""

LONGEST_STEP = 300.0
"""Seconds after which nothing is repeated any more: a server that hangs costs a whole timeout each time."""

UNANSWERED = frozenset({None, 408, 502, 504})
"""Statuses after which nobody knows whether the request was carried out; None where no answer came."""

TIMEOUTS = {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 60.0}
"""Seconds without a sign of life after which a request has failed; long transfers give signs all the time."""

MAIN = "main"

Kind = Literal["model", "dataset"]
Result = TypeVar("Result")


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


class Hub:
    """A Hub with a token.

    Args:
        endpoint: URL; None for ``HF_ENDPOINT``, else the public Hub.
        token: None for ``HF_TOKEN`` or what ``hf auth login`` stored.
        pauses: seconds before each repetition.
        timeouts: seconds by kind, as in `TIMEOUTS`.
        announce: told what is being done and waited for.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | None = None,
        *,
        pauses: Sequence[float] | None = None,
        timeouts: Mapping[str, float] | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self.token = token or get_token()
        self.pauses = tuple(PAUSES if pauses is None else pauses)
        self.timeouts = dict(timeouts or TIMEOUTS)
        self.announce = announce or (lambda text: None)
        # False: without a token the client would look for one again
        self.api = HfApi(endpoint=self.endpoint, token=self.token or False)

    @contextlib.contextmanager
    def session(self) -> Iterator[Hub]:
        """Gives every request of the client a timeout, for the time of a block; a user's own client is kept."""
        from huggingface_hub import set_client_factory
        from huggingface_hub.utils import _http

        # There is no public way to learn the present factory, which may have proxies and certificates set.
        previous = _http._GLOBAL_CLIENT_FACTORY

        def limit(request: httpx2.Request) -> None:
            given = request.extensions.get("timeout") or {}
            request.extensions["timeout"] = {
                kind: seconds if given.get(kind) is None else given[kind] for kind, seconds in self.timeouts.items()
            }

        def with_timeouts() -> httpx2.Client:
            # Not by a timeout of the client: listings and repo_info ask for none in so many words, which goes before.
            client = previous()
            hooks = client.event_hooks
            client.event_hooks = {**hooks, "request": [*hooks["request"], limit]}
            return client

        set_client_factory(with_timeouts)
        try:
            yield self
        finally:
            set_client_factory(previous)

    def url(self, repository: str, kind: Kind, revision: str | None = None) -> str:
        """The page of a repository."""
        page = f"{self.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repository}"
        return f"{page}/tree/{revision}" if revision else page

    def repeat(self, doing: str, call: Callable[[], Result], repository: str | None = None) -> Result:
        """What ``call`` returns, which is called again after failures that may pass.

        Args:
            doing: what is asked, to stand after "to": ``create me/reviews``.
            call: safe to repeat.
            repository: Hub id that it is about.

        Raises:
            HubError: it failed for good.
        """
        start = time.monotonic()
        for pause in (*self.pauses, None):
            try:
                return call()
            except FAILURES as error:
                problem = explain(error, doing=doing, endpoint=self.endpoint, repository=repository)
                if not self._wait(problem, pause, start):
                    raise problem from error
        raise AssertionError("the last pause is None, after which nothing is repeated")

    def require_token(self) -> None:
        """Nothing, if there is a token.

        Raises:
            PublishError: there is none.
        """
        if not self.token:
            raise PublishError(
                f"no token was found for the Hub ({self.endpoint}); make one with write access at "
                f"{self.endpoint}/settings/tokens, then log in with `hf auth login` or set HF_TOKEN."
            )

    def account(self) -> Account:
        """Whom the token belongs to.

        Raises:
            HubError: the Hub does not know it, or cannot be asked.
        """
        return self.repeat("check the token", lambda: _account(self.api.whoami()))

    def head(self, repository: str, kind: Kind, revision: str | None = None) -> Head | None:
        """The repository as it is; None if there is none that the token may see.

        Args:
            repository: Hub id.
            kind: of repository.
            revision: branch, reference or commit; None for the main branch.

        Raises:
            HubError: the Hub cannot be asked, or the repository has no such revision.
        """

        def look() -> Head | None:
            try:
                info = self.api.repo_info(repository, revision=revision, repo_type=kind)
            except errors.GatedRepoError:
                raise
            except errors.RepositoryNotFoundError:
                return None
            if not info.sha:
                return Head(None, private=bool(info.private))
            entries = self.api.list_repo_tree(repository, recursive=True, revision=info.sha, repo_type=kind)
            files = [_remote_file(entry) for entry in entries if isinstance(entry, RepoFile)]
            return Head(info.sha, {file.path: file for file in files}, bool(info.private))

        return self.repeat(f"look at '{repository}'", look, repository)

    def create(self, repository: str, kind: Kind, *, private: bool) -> bool:
        """Makes a repository; whether it was this call that made it, and not someone else meanwhile.

        Raises:
            HubError: the Hub refuses it, or cannot be asked.
        """
        attempts = 0

        def make() -> None:
            nonlocal attempts
            attempts += 1
            self.api.create_repo(repository, repo_type=kind, private=private or None)

        try:
            self.repeat(f"create '{repository}'", make, repository)
        except HubError as error:
            is_lost = error.is_transient or attempts > 1
            if not (error.is_transient or error.status == 409) or self.brief().head(repository, kind) is None:
                raise
            # It is there: after an answer that was lost, by this very call.
            return is_lost
        return True

    def delete(self, repository: str, kind: Kind) -> None:
        """Deletes a repository.

        Raises:
            HubError: the Hub refuses it, or cannot be asked.
        """
        self.repeat(
            f"delete '{repository}'",
            lambda: self.api.delete_repo(repository, repo_type=kind, missing_ok=True),
            repository,
        )

    def branches(self, repository: str, kind: Kind) -> tuple[set[str], set[str]]:
        """The names of the branches and of the tags.

        Raises:
            HubError: the Hub cannot be asked.
        """

        def look() -> tuple[set[str], set[str]]:
            refs = self.api.list_repo_refs(repository, repo_type=kind)
            return {branch.name for branch in refs.branches}, {tag.name for tag in refs.tags}

        return self.repeat(f"look at the branches of '{repository}'", look, repository)

    def create_branch(self, repository: str, kind: Kind, branch: str) -> None:
        """Makes a branch from the main one; none if there is one of that name.

        Raises:
            HubError: the Hub refuses it, or cannot be asked.
        """
        self.repeat(
            f"make the branch '{branch}' of '{repository}'",
            lambda: self.api.create_branch(repository, branch=branch, repo_type=kind, exist_ok=True),
            repository,
        )

    def delete_branch(self, repository: str, kind: Kind, branch: str) -> None:
        """Deletes a branch.

        Raises:
            HubError: the Hub refuses it, or cannot be asked.
        """
        self.repeat(
            f"delete the branch '{branch}' of '{repository}'",
            lambda: self.api.delete_branch(repository, branch=branch, repo_type=kind),
            repository,
        )

    def upload(
        self, repository: str, kind: Kind, additions: Iterable[CommitOperationAdd], *, revision: str, create_pr: bool
    ) -> None:
        """Uploads the contents of large files; nothing of it is seen before a commit names them.

        The client itself repeats each request of it, so this is not repeated once more.

        Raises:
            HubError: it failed for good.
        """
        doing = f"upload to '{repository}'"
        try:
            self.api.preupload_lfs_files(
                repository,
                additions,
                repo_type=kind,
                revision=revision,
                create_pr=create_pr,
                free_memory=False,
            )
        except FAILURES as error:
            problem = explain(error, doing=doing, endpoint=self.endpoint, repository=repository)
            if problem.status in (401, 403) and not any(isinstance(each, httpx2.HTTPError) for each in causes(error)):
                problem = self._refusal_of_xet(repository, kind, revision, doing) or problem
            raise problem from error

    def _refusal_of_xet(self, repository: str, kind: Kind, revision: str, doing: str) -> HubError | None:
        """Why the Hub gives no right to upload over Xet, in its own words, which hf_xet keeps to itself."""
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = f"{self.endpoint}/api/{kind}s/{repository}/xet-write-token/{quote(revision, safe='')}"
        try:
            hf_raise_for_status(get_session().get(url, headers=build_hf_headers(token=self.token or False)))
        except httpx2.HTTPError as error:
            return explain(error, doing=doing, endpoint=self.endpoint, repository=repository)
        return None

    def commit(
        self,
        repository: str,
        kind: Kind,
        additions: Sequence[CommitOperationAdd],
        deletions: Sequence[str],
        *,
        message: str,
        parent: str | None,
        revision: str,
        create_pr: bool,
        find: Callable[[], Landed | None],
    ) -> Landed:
        """One commit with all changes, which lands whole or not at all, and once.

        Of a pull request whose answer was lost nothing is sent again: it is waited for.

        Args:
            repository: Hub id.
            kind: of repository.
            additions: uploaded before by `upload`.
            deletions: paths to delete.
            message: its title.
            parent: commit that the changes were planned against; the Hub refuses if there is a newer one.
            revision: branch.
            create_pr: whether to propose it as a pull request.
            find: looks whether the changes are on the Hub; asked whenever an answer was lost, before a repetition.

        Raises:
            HubError: it failed for good; with ``status`` None and ``is_transient`` it may yet have landed.
        """
        doing = f"commit to '{repository}'"
        operations = [*additions, *(CommitOperationDelete(path) for path in deletions)]
        start = time.monotonic()
        for pause in (*self.pauses, None):
            try:
                info = self.api.create_commit(
                    repository,
                    operations,
                    commit_message=message,
                    repo_type=kind,
                    revision=revision,
                    parent_commit=parent,
                    create_pr=create_pr,
                )
                return Landed(info.oid, info.pr_url)
            except FAILURES as error:
                problem = explain(error, doing=doing, endpoint=self.endpoint, repository=repository)
                if not problem.is_transient and problem.status != 412:
                    raise problem from error
                if create_pr and problem.status in UNANSWERED and not isinstance(error, httpx2.ConnectError):
                    # A commit to a branch that comes twice is refused, by its parent. A pull request would be there
                    # twice, so it is waited for and not sent again.
                    return self._wait_for(find, problem)
                # 412 after a lost answer: the newer commit is the one that was sent before
                waits = problem.is_transient and self._wait(problem, pause, start)
                found = find()
                if found is not None:
                    return found
                if not waits:
                    raise problem from error
        raise AssertionError("the last pause is None, after which nothing is repeated")

    def _wait_for(self, find: Callable[[], Landed | None], problem: HubError) -> Landed:
        """What ``find`` finds while as long is waited as for all repetitions; else the problem is raised."""
        for pause in self.pauses:
            self.announce(f"{problem} Looking for it in {pause:.0f} s.")
            time.sleep(pause)
            found = find()
            if found is not None:
                return found
        raise problem

    def find_pull_request(
        self, repository: str, kind: Kind, author: str, is_there: Callable[[Head], bool]
    ) -> Landed | None:
        """The open pull request of ``author`` whose files are the wanted ones, the newest first.

        Raises:
            HubError: the Hub cannot be asked.
        """

        def look() -> list[int]:
            discussions = self.api.get_repo_discussions(
                repository, repo_type=kind, author=author, discussion_type="pull_request", discussion_status="open"
            )
            mine = [found.num for found in discussions if found.is_pull_request and found.author == author]
            return sorted(mine, reverse=True)

        for number in self.repeat(f"look at the pull requests of '{repository}'", look, repository)[:5]:
            head = self.head(repository, kind, f"refs/pr/{number}")
            if head is not None and head.commit is not None and is_there(head):
                return Landed(head.commit, f"{self.url(repository, kind)}/discussions/{number}", is_found=True)
        return None

    def fetch(self, repository: str, kind: Kind, files: Sequence[str], commit: str, folder: Path) -> None:
        """Downloads files of a commit into a folder, past the cache.

        Raises:
            HubError: the Hub cannot be asked, or a file did not come.
        """

        def load() -> None:
            for file in files:
                self.api.hf_hub_download(
                    repository, file, repo_type=kind, revision=commit, local_dir=folder, force_download=True
                )

        self.repeat(f"read back from '{repository}'", load, repository)

    def brief(self) -> Hub:
        """The same Hub with one repetition only, for looking at what a failure has left."""
        return Hub(self.endpoint, self.token, pauses=self.pauses[:1], timeouts=self.timeouts, announce=self.announce)

    def _wait(self, problem: HubError, pause: float | None, start: float) -> bool:
        """Waits before a repetition of what began at ``start``; False at once if there is to be none."""
        if pause is None or not problem.is_transient or (problem.wait or 0) > LONGEST_WAIT:
            return False
        if time.monotonic() - start > LONGEST_STEP:
            return False
        # What the Hub asks for counts even where pauses are short; a second more, since it rounds down.
        seconds = pause if problem.wait is None else problem.wait + min(1.0, pause)
        self.announce(f"{problem} Trying again in {seconds:.0f} s.")
        time.sleep(seconds)
        return True


def _account(answer: Mapping[str, Any]) -> Account:
    """Reads the answer to "who am I"; a Hub that says less about the token is believed to allow it."""
    token = (answer.get("auth") or {}).get("accessToken") or {}
    organisations = {org["name"]: org.get("roleInOrg") for org in answer.get("orgs") or []}
    return Account(answer["name"], organisations, token.get("role"), _writable(token))


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


def _remote_file(entry: RepoFile) -> RemoteFile:
    return RemoteFile(entry.path, entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)
