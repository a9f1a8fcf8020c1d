"""One publication of a folder at a time: two would write the same card and make the same repository."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..pipelines.errors import PublishError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other publications of ``folder``, or of a file, by this user on this machine out for the time of a block.

    Raises:
        PublishError: one is under way.
    """
    from filelock import FileLock, Timeout

    # Not in the folder, where a file would stay behind, or which may not be written to.
    user = os.getuid() if hasattr(os, "getuid") else 0
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    file = Path(tempfile.gettempdir()) / f"quintet-publish-{user}-{digest}.lock"
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise PublishError(
            f"'{folder.resolve().name}' is being published by another command at this moment; wait until that is done, "
            "then run the same command again. Nothing was changed."
        ) from error
    try:
        yield
    finally:
        # While it is held, so that nobody holds it who comes by this name; Windows does it at the release.
        with suppress(PermissionError):
            file.unlink(missing_ok=True)
        lock.release()
