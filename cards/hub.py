"""The Hub, as publishing and verification see it: what is asked of an account and of its repositories.

A commit whose answer was lost is never repeated blindly: the repository tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

import httpx2
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, errors
from huggingface_hub.hf_api import RepoFile

from ..pipelines.errors import HubError
from .hub_client import HubClient
from .hub_errors import FAILURES, causes, explain
from .hub_records import Account, Head, Kind, Landed, read_account, read_file

UNANSWERED = frozenset({None, 408, 502, 504})
"""Statuses after which nobody knows whether the request was carried out; None where no answer came."""


class Hub(HubClient):
    """A Hub with a token, and what it is asked to do; every call that fails for good is a `HubError`."""

    def account(self) -> Account:
        """Whom the token belongs to.

        Raises:
            HubError: the Hub does not know it, or cannot be asked.
        """
        return self.repeat("check the token", lambda: read_account(self.api.whoami()))

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
            files = [read_file(entry) for entry in entries if isinstance(entry, RepoFile)]
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
                waits = problem.is_transient and self.wait(problem, pause, start)
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
