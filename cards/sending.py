"""The steps of a publication that change something on the Hub, and what undoes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..pipelines.errors import HubError, PublishError
from .hub import Hub
from .hub_records import Head, Landed
from .publish_plan import LocalFile, Plan
from .publish_report import files_text, size_text
from .publish_target import Target


@dataclass
class Sending:
    """A publication on its way.

    Attributes:
        hub: with a session.
        target: where it goes.
        files: all of its files.
        plan: what of them is to be sent.
        head: the repository as it is; None where it is to be made.
        is_new_branch: whether the branch is to be made.
        find: looks whether the changes are on the Hub.
        announce: told what is being done.
        is_creating: whether the repository is being made; like those below it says how far `run` has got.
        has_created: whether it was made by this publication.
        has_branched: whether the branch was.
        is_committing: whether the commit was sent.
    """

    hub: Hub
    target: Target
    files: tuple[LocalFile, ...]
    plan: Plan
    head: Head | None
    is_new_branch: bool
    find: Callable[[Hub], Landed | None]
    announce: Callable[[str], None]
    is_creating: bool = False
    has_created: bool = False
    has_branched: bool = False
    is_committing: bool = False

    def run(self) -> Landed:
        """Makes what is missing, uploads, commits; leaves nothing behind where it fails.

        Raises:
            HubError: the Hub refuses it, or cannot be reached; the message says what is there now.
            PublishError: a file or the repository changed meanwhile.
        """
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
        self.announce(f"Uploading {files_text(additions)}, {size_text(self.plan.upload_bytes)} …")
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
