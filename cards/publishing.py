"""Publishing that cannot half happen: check, plan, one commit, read back.

    check everything offline -> look at the repository -> plan -> upload what is new -> one commit -> read back

Until the commit nothing is seen of it; a repository or branch that was made for it is removed again where it fails. A
commit whose answer was lost is looked for before it is sent again. The same command again does nothing, or the rest.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..pipelines.errors import HubError, PublishError, UsageError
from .hub import MAIN, Head, Hub, Kind, Landed
from .publish_plan import LocalFile, Plan, is_there, make_plan

READ_BACK_BYTES = 50_000_000
"""Files up to this size are fetched again after publishing; of larger ones the hash that the Hub states is compared."""

READ_BACK_TRIES = 3

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LONGEST_ID = 96

Announce = Callable[[str], None]


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


@dataclass(frozen=True)
class Prepared:
    """What is ready to be published: files by their path in the repository."""

    files: tuple[LocalFile, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def publish(
    checkpoint: str | Path,
    repository: str,
    *,
    dataset: bool = False,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    license: str | None = None,
    license_name: str | None = None,
    license_link: str | None = None,
    message: str | None = None,
    columns: Mapping[str, str] | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    announce: Announce | None = None,
) -> PublishReport:
    """Publishes a checkpoint folder, or with ``dataset`` a data set, on a Hub.

    The card is written if there is none. What would be refused, would not load or would give something away is found
    before anything is sent. Everything goes up in one commit; then it is read back and compared.

    Args:
        checkpoint: folder; with ``dataset`` a file or folder of data.
        repository: Hub id, ``me/reviews``; made if there is none.
        dataset: publish a data set, with a card.
        private: of a new repository.
        create_pr: propose the change to the main branch as a pull request.
        revision: branch to publish to; made from the main one if there is none.
        dry_run: check and plan only; nothing is written, here or there.
        license: as the Hub spells it, such as ``apache-2.0``; kept in ``run.json``. Default: the one chosen before.
        license_name: of the licence ``other``.
        license_link: URL of the licence ``other``, or the name of its file in the folder.
        message: title of the commit.
        columns: of a data set: the task's name of a column -> the data set's, where names do not tell.
        token: default: ``HF_TOKEN``, or what ``hf auth login`` stored.
        endpoint: of the Hub; default: ``HF_ENDPOINT``, or the public one.
        announce: told the plan, and what is waited for.

    Raises:
        UsageError: names or options that cannot be.
        PublishError: the checkpoint is not ready; the message lists everything that is to be corrected.
        HubError: the Hub refuses it, or cannot be reached; the message says what has changed.
    """
    from .publish_sources import prepare_checkpoint, prepare_dataset

    source = Path(checkpoint).expanduser()
    kind: Kind = "dataset" if dataset else "model"
    title = message if message is not None else f"Publish {source.resolve().name} with Quintet"
    target = Target(repository, kind, private, create_pr, revision or MAIN, title)
    licence = {"license": license, "license_name": license_name, "license_link": license_link}
    announce = announce or (lambda text: None)
    hub = Hub(endpoint, token, announce=announce)
    if columns and not dataset:
        raise UsageError("--columns is for --dataset; a checkpoint knows its columns.")
    if not dry_run:
        hub.require_token()
    with tempfile.TemporaryDirectory(prefix="quintet-publish-") as scratch:
        if dataset:
            prepared = prepare_dataset(
                source, repository, licence, columns=columns, scratch=Path(scratch), announce=announce
            )
        else:
            prepared = prepare_checkpoint(
                source, repository, licence, dry_run=dry_run, scratch=Path(scratch), announce=announce
            )
        with hub.session():
            return send(hub, target, prepared, dry_run=dry_run, announce=announce)


def send(hub: Hub, target: Target, prepared: Prepared, *, dry_run: bool, announce: Announce) -> PublishReport:
    """Brings prepared files to the Hub; see `publish`."""
    files, notices = prepared.files, list(prepared.notices)
    try:
        author, head, is_new_branch = _look(hub, target, needs_token=not dry_run)
        is_compared = True
    except HubError as error:
        if not dry_run:
            raise error.with_outcome("Nothing was changed.") from error
        notices.append(f"the repository was not looked at: {error}")
        author, head, is_new_branch, is_compared = "", None, False, False
    plan = make_plan(files, prepared.left_out, head, is_compared=is_compared)
    announce(describe(plan, target, head))
    page = hub.url(target.repository, target.kind, None if target.branch == MAIN else target.branch)

    def report(status: Any, **more: Any) -> PublishReport:
        return PublishReport(
            target.repository, target.kind, status, **{"url": page, "plan": plan, "notices": tuple(notices)} | more
        )

    if dry_run:
        return report("planned", created=is_compared and head is None)
    if head is not None and not plan.changes and not is_new_branch:
        return report("unchanged", commit=head.commit)
    deleted = [file.path for file in plan.files if file.change == "deleted"]

    def find(looking: Hub) -> Landed | None:
        if target.create_pr:
            return looking.find_pull_request(
                target.repository, target.kind, author, lambda there: is_there(files, deleted, there)
            )
        now = looking.head(target.repository, target.kind, target.branch)
        if now is None or now.commit is None or (head is not None and now.commit == head.commit):
            return None
        return Landed(now.commit, is_found=True) if is_there(files, deleted, now) else None

    if target.create_pr and (proposed := find(hub)) is not None:
        notices.append("an open pull request has all of it already.")
        return report(
            "unchanged", commit=proposed.commit, pull_request=proposed.pull_request, url=proposed.pull_request
        )
    landed = _Sending(hub, target, files, plan, head, is_new_branch, find, announce).run()
    if landed.is_found:
        notices.append("the Hub's answer to the commit was lost; the commit was found there.")
    announce("Reading back …")
    fetched, doubts = read_back(hub, target, files, landed.commit)
    notices += doubts
    return report(
        "published",
        commit=landed.commit,
        pull_request=landed.pull_request,
        created=head is None,
        fetched=fetched,
        url=landed.pull_request or page,
        notices=tuple(notices),
    )


def _look(hub: Hub, target: Target, *, needs_token: bool) -> tuple[str, Head | None, bool]:
    """The account's name, the repository as it is, and whether the branch is still to be made.

    Raises:
        PublishError: it cannot be published there.
        HubError: the Hub cannot be asked.
    """
    name = ""
    if needs_token or hub.token:
        account = hub.account()
        refusal = account.refusal(target.repository, create_pr=target.create_pr)
        if refusal:
            raise PublishError(f"cannot publish to '{target.repository}': {refusal}")
        name = account.name
    head = hub.head(target.repository, target.kind)
    if head is None:
        for flag, is_given in (("--create-pr", target.create_pr), ("--revision", target.branch != MAIN)):
            if is_given:
                raise PublishError(
                    f"{flag} needs a repository, but the Hub ({hub.endpoint}) has no '{target.repository}'; publish it "
                    f"without {flag} first."
                )
        return name, None, False
    if target.private and not head.private:
        raise PublishError(
            f"--private was given, but '{target.repository}' exists and is public; make it private in its settings on "
            "the Hub, or leave --private out."
        )
    if target.branch == MAIN:
        return name, head, False
    branches, tags = hub.branches(target.repository, target.kind)
    if target.branch in tags:
        raise UsageError(f"--revision {target.branch} is a tag of '{target.repository}'; give a branch.")
    if target.branch not in branches:
        return name, head, True
    return name, hub.head(target.repository, target.kind, target.branch), False


@dataclass
class _Sending:
    """The steps that change something on the Hub, and what undoes them."""

    hub: Hub
    target: Target
    files: tuple[LocalFile, ...]
    plan: Plan
    head: Head | None
    is_new_branch: bool
    find: Callable[[Hub], Landed | None]
    announce: Announce
    is_creating: bool = False
    has_created: bool = False
    has_branched: bool = False
    is_committing: bool = False

    def run(self) -> Landed:
        """Makes what is missing, uploads, commits; leaves nothing behind where it fails."""
        try:
            return self._send()
        except KeyboardInterrupt:
            self.announce("Interrupted: the same command again does nothing if the commit arrived, else the rest.")
            raise
        except (HubError, PublishError) as error:
            outcome = self._undo(is_lost=isinstance(error, HubError) and error.is_transient and error.status is None)
            if isinstance(error, HubError):
                raise error.with_outcome(outcome) from error
            raise type(error)(f"{error} {outcome}") from error

    def _send(self) -> Landed:
        from huggingface_hub import CommitOperationAdd

        hub, target = self.hub, self.target
        name, kind = target.repository, target.kind
        if self.head is None:
            self.announce(f"Creating {hub.url(name, kind)} …")
            self.is_creating = True
            self.has_created = hub.create(name, kind, private=target.private)
            self.is_creating = False
            self.head = hub.head(name, kind) or Head(None)
            if not self.head.is_untouched:
                self.has_created = False
                raise PublishError(f"'{name}' was made by someone else meanwhile; run the same command again.")
        if self.is_new_branch:
            hub.create_branch(name, kind, target.branch)
            self.has_branched = True
        changes = {file.path: file.change for file in self.plan.changes}
        changed = [file for file in self.files if file.path in changes]
        additions = [CommitOperationAdd(file.path, str(file.source)) for file in changed]
        deletions = [path for path, change in changes.items() if change == "deleted"]
        if not changes:  # a new branch which is as the main one
            return Landed(self.head.commit or "")
        self.announce(f"Uploading {len(additions)} files, {size_text(self.plan.upload_bytes)} …")
        hub.upload(name, kind, additions, revision=target.branch, create_pr=target.create_pr)
        moved = [file.path for file in self.files if not file.is_as_before]
        if moved:
            raise PublishError(
                f"{', '.join(moved[:5])} changed while it was being published; is a training writing to the folder? "
                "Run the same command again when it is done."
            )
        self.announce("Committing …")
        self.is_committing = True
        return hub.commit(
            name,
            kind,
            additions,
            deletions,
            message=target.message,
            parent=self.head.commit,
            revision=target.branch,
            create_pr=target.create_pr,
            find=lambda: self.find(hub.brief()),
        )

    def _undo(self, *, is_lost: bool) -> str:
        """Removes what was made for a publication that failed, and says what is on the Hub now.

        Args:
            is_lost: whether the failure was that no answer came.
        """
        hub, name, kind = self.hub.brief(), self.target.repository, self.target.kind
        page = hub.url(name, kind)
        left = ""
        if self.is_creating and is_lost:
            return (
                f"Nothing was published; should the Hub still make {page}, it is empty, and the same command goes on."
            )
        try:
            if self.is_committing and self.find(hub) is not None:
                return "The commit arrived all the same; the same command again checks it."
            if self.has_created:
                left = f"the new repository {page} is empty and stays"
                now = hub.head(name, kind)
                # Only what this command made, and as it was made, may be removed.
                if now is not None and now.is_untouched:
                    hub.delete(name, kind)
                return "Nothing was changed: the repository made for it was removed again."
            if self.has_branched:
                left = f"the new branch '{self.target.branch}' is as the main one and stays"
                hub.delete_branch(name, kind, self.target.branch)
                return "Nothing was changed: the branch made for it was removed again."
        except HubError:
            if self.is_committing:
                return (
                    "Whether the commit arrived cannot be seen; the same command again does nothing if it did, else "
                    "the rest."
                )
            return f"Nothing was published; {left}, and the same command goes on from there."
        return "Nothing was changed."


def read_back(hub: Hub, target: Target, files: Iterable[LocalFile], commit: str) -> tuple[int, list[str]]:
    """Compares what the Hub has with what was sent.

    Args:
        hub: with a session.
        target: where it was published.
        files: what was sent.
        commit: that has it.

    Returns:
        The number of files that were fetched and compared, and doubts, one sentence each.

    Raises:
        PublishError: the commit does not hold what was sent.
    """
    name, kind = target.repository, target.kind
    again = f"`quintet verify {name}` checks it later"
    files = list(files)
    try:
        wrong: list[str] = []
        for _ in range(READ_BACK_TRIES):  # a listing can be damaged on its way, too
            there = hub.head(name, kind, commit)
            wrong = [file.path for file in files if there is None or not file.equals(there.files.get(file.path))]
            if not wrong:
                break
        if wrong:
            raise PublishError(
                f"it was published, but commit {commit[:12]} of '{name}' does not have {', '.join(wrong[:5])} as sent; "
                "run the same command again, which sends what differs."
            )
        small = {file.path: file for file in files if file.size <= READ_BACK_BYTES}
        pending = list(small)
        for _ in range(READ_BACK_TRIES):
            with tempfile.TemporaryDirectory(prefix="quintet-read-back-") as folder:
                hub.fetch(name, kind, pending, commit, Path(folder))
                pending = [path for path in pending if not _is_same(small[path], Path(folder) / path)]
            if not pending:
                break
    except HubError as error:
        return 0, [f"it was published, but could not be read back to the end ({error}); {again}."]
    if pending:
        doubt = (
            f"{', '.join(pending[:5])} came back damaged {READ_BACK_TRIES} times, though the Hub has the right hash: "
            f"something on the way changes files; {again}."
        )
        return len(small) - len(pending), [doubt]
    return len(small), []


def _is_same(file: LocalFile, copy: Path) -> bool:
    return copy.is_file() and LocalFile.of(file.path, copy).sha256 == file.sha256


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
