"""Reading back: what a publication left on the Hub, compared with what was sent."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..pipelines.errors import HubError, PublishError
from .hub import Hub
from .publish_plan import LocalFile
from .publish_target import Target

READ_BACK_BYTES = 50_000_000
"""Files up to this size are fetched again after publishing; of larger ones the hash that the Hub states is compared."""

READ_BACK_TRIES = 3


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
