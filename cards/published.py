"""A checkpoint as it was published: found where it is named, and its files compared with the Hub's hashes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..pipelines.errors import UsageError, WeightsError

State = Literal["equal", "differs", "not checked"]


@dataclass(frozen=True)
class Check:
    """Something other than a number that was compared: files, weights, tokenizer, data, card, usage, examples."""

    name: str
    state: State
    detail: str


@dataclass(frozen=True)
class Published:
    """A checkpoint as it was found: ``repository`` and ``commit`` are None for a local folder."""

    name: str
    folder: Path
    repository: str | None = None
    commit: str | None = None
    checks: tuple[Check, ...] = ()


def find_published(
    checkpoint: str | Path, *, revision: str | None, token: str | None, endpoint: str | None
) -> Published:
    """The checkpoint that the user names; of a Hub repository all files are fetched and compared with the Hub's hashes.

    Raises:
        UsageError: ``checkpoint`` cannot be one, or a revision was given for a folder, or two of them.
        WeightsError: it is neither here nor on the Hub, or a file of it is not what the Hub has.
        HubError: the Hub refuses to show it.
    """
    from ..pipelines.checkpoint_sources import find_local, named_revision

    place = find_local(checkpoint)
    if place is not None:
        if revision is not None:
            raise UsageError(f"--revision {revision} is for a Hub repository, and '{place.name}' is a folder here")
        return Published(place.name, place.folder)
    repository, wanted = named_revision(str(checkpoint), revision)
    return _fetch(repository, wanted, token, endpoint)


def _fetch(repository: str, revision: str | None, token: str | None, endpoint: str | None) -> Published:
    """All files of a repository, each compared with the hash that the Hub has of it."""
    import httpx2
    from huggingface_hub import errors, snapshot_download

    from ..pipelines.checkpoint_sources import explain_hub_error
    from ..pipelines.errors import HubError
    from ..pipelines.integrity import check_snapshot
    from .hub import Hub

    with Hub(endpoint, token, pauses=(1.0, 2.0)).session() as hub:
        try:
            head = hub.head(repository, "model", revision)
        except HubError as error:
            if error.status is not None:
                raise
            head, offline = None, error
        else:
            offline = None
        if head is None and offline is None:
            raise WeightsError(
                f"the Hub ({hub.endpoint}) has no repository '{repository}', or it is private; check the name, or log "
                "in with `hf auth login`."
            )
        try:
            # by the name that was given: the cache then knows it without a network as well
            fetched = snapshot_download(
                repository, revision=revision, token=token, endpoint=endpoint, local_files_only=head is None
            )
        # RuntimeError: what hf_xet raises
        except (errors.LocalEntryNotFoundError, httpx2.HTTPError, OSError, RuntimeError) as error:
            raise (offline or explain_hub_error(error, repository, revision)) from error
        folder = Path(fetched)
        if head is not None and head.commit != folder.name:  # somebody committed in between
            head = hub.head(repository, "model", folder.name)
    check_snapshot(folder, repository, anew=True)
    if head is None:
        detail = "the Hub cannot be reached; the cached files are those that it had when they were fetched"
        return Published(repository, folder, repository, folder.name, (Check("files", "not checked", detail),))
    wrong = [path for path, file in head.files.items() if not _is_as_listed(folder / path, file)]
    state: State = "differs" if wrong else "equal"
    detail = (
        f"not what the Hub lists: {', '.join(wrong)}" if wrong else f"{len(head.files)} files as the Hub lists them"
    )
    return Published(repository, folder, repository, head.commit, (Check("files", state, detail),))


def _is_as_listed(path: Path, file: Any) -> bool:
    from ..pipelines.integrity import matches

    return path.is_file() and matches(path, size=file.size, blob_id=file.blob_id, lfs_sha256=file.sha256)
