"""Publishing that cannot half happen: check, plan, one commit, read back.

    ask for the account -> check everything offline -> plan -> upload what is new -> one commit -> read back

Until the commit nothing is seen of it, there or here: a card that is written for it goes into the folder after it. A
repository or branch that was made for it is removed again where it fails. A commit whose answer was lost is looked for
before it is sent again. The same command again does nothing, or the rest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ..pipelines.errors import HubError, PublishError, UsageError
from .folder_lock import locked
from .hub import Hub
from .hub_records import MAIN, Head, Kind, Landed
from .owner_choices import checked_flags
from .prepared import Prepared, keep
from .publish_checkpoint import check_source, prepare_checkpoint
from .publish_dataset import check_data, prepare_dataset
from .publish_plan import is_there, make_plan
from .publish_report import PublishReport, describe
from .publish_target import Target
from .reading_back import read_back
from .sending import Sending

Announce = Callable[[str], None]


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
        DataError: the data set, or the facts of the checkpoint, cannot be read.
        PublishError: the checkpoint is not ready; the message lists everything that is to be corrected.
        HubError: the Hub refuses it, or cannot be reached; the message says what has changed.
    """
    source = Path(checkpoint).expanduser()
    kind: Kind = "dataset" if dataset else "model"
    title = message if message is not None else f"Publish {source.resolve().name} with Quintet"
    target = Target(repository, kind, private, create_pr, MAIN if revision is None else revision, title)
    licence = checked_flags({"license": license, "license_name": license_name, "license_link": license_link})
    announce = announce or (lambda text: None)
    hub = Hub(endpoint, token, announce=announce)
    if columns and not dataset:
        raise UsageError("--columns is for --dataset; a checkpoint knows its columns.")
    check_data(source) if dataset else check_source(source, repository)
    if not dry_run:
        hub.require_token()
    with (
        nullcontext() if dry_run else locked(source),
        tempfile.TemporaryDirectory(prefix="quintet-publish-") as scratch,
    ):
        author = None if dry_run else _ask(hub, target)  # what may not be is told before anything is read
        if dataset:
            prepared = prepare_dataset(
                source, repository, licence, columns=columns, scratch=Path(scratch), announce=announce
            )
        else:
            prepared = prepare_checkpoint(
                source, repository, licence, dry_run=dry_run, scratch=Path(scratch), announce=announce
            )
        with hub.session():
            return send(hub, target, prepared, dry_run=dry_run, announce=announce, author=author)


def _ask(hub: Hub, target: Target) -> str:
    """The name of the account, which may publish to ``target`` as far as the Hub tells.

    Raises:
        UsageError, PublishError: it may not, or there is nothing to publish to.
        HubError: the Hub cannot be asked.
    """
    try:
        with hub.session():
            author = _account(hub, target)
            _look(hub, target)
        return author
    except HubError as error:
        raise error.with_outcome("Nothing was changed.") from error


def send(
    hub: Hub,
    target: Target,
    prepared: Prepared,
    *,
    dry_run: bool,
    announce: Announce,
    author: str | None = None,
) -> PublishReport:
    """Brings prepared files to the Hub; see `publish`. The account is asked for where ``author`` is None."""
    files, notices = prepared.files, list(prepared.notices)
    try:
        if author is None:
            author = _account(hub, target) if hub.token or not dry_run else ""
        head, is_new_branch = _look(hub, target)
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
        notices += keep(prepared)
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
        notices += ["an open pull request has all of it already.", *keep(prepared)]
        return report(
            "unchanged", commit=proposed.commit, pull_request=proposed.pull_request, url=proposed.pull_request
        )
    landed = Sending(hub, target, files, plan, head, is_new_branch, find, announce).run()
    notices += keep(prepared)
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


def _account(hub: Hub, target: Target) -> str:
    """The account's name.

    Raises:
        PublishError: it may not publish to ``target``.
        HubError: the Hub cannot be asked.
    """
    account = hub.account()
    refusal = account.refusal(target.repository, create_pr=target.create_pr)
    if refusal:
        raise PublishError(f"cannot publish to '{target.repository}': {refusal}")
    return account.name


def _look(hub: Hub, target: Target) -> tuple[Head | None, bool]:
    """The repository as it is, and whether the branch is still to be made.

    Raises:
        UsageError, PublishError: it cannot be published there.
        HubError: the Hub cannot be asked.
    """
    head = hub.head(target.repository, target.kind)
    if head is None:
        for flag, is_given in (("--create-pr", target.create_pr), ("--revision", target.branch != MAIN)):
            if is_given:
                raise PublishError(
                    f"{flag} needs a repository, but the Hub ({hub.endpoint}) has no '{target.repository}'; publish it "
                    f"without {flag} first."
                )
        return None, False
    if target.private and not head.private:
        raise PublishError(
            f"--private was given, but '{target.repository}' exists and is public; make it private in its settings on "
            "the Hub, or leave --private out."
        )
    if target.branch == MAIN:
        return head, False
    branches, tags = hub.branches(target.repository, target.kind)
    if target.branch in tags:
        raise UsageError(f"--revision {target.branch} is a tag of '{target.repository}'; give a branch.")
    if target.branch not in branches:
        return head, True
    return hub.head(target.repository, target.kind, target.branch), False
