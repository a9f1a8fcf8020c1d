"""Whether a file is what the Hub says it is: huggingface_hub itself takes a damaged download as it comes.

The cache names each file by the hash that the Hub stated for it, sha256 for large files and git's blob id for others,
so a download can be checked without asking again. Each file is read once for this; beside the cached repository is
noted which files were checked, and a file that changes since is checked again.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path

from .errors import WeightsError

NOTES_FOLDER = "checked-by-quintet"
"""Folder in a cached repository, with a note of size and time for each file that was checked."""

_SHA256, _SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
_ANSWERING = re.compile(
    r"config\.json|.+\.safetensors|.+\.index\.json|pytorch_model.*\.bin|.+\.py"
    r"|tokenizer.*\.json|special_tokens_map\.json|added_tokens\.json|vocab\..+|merges\.txt|.+\.model"
    r"|preprocessor_config\.json|modules\.json|sentence_bert_config\.json|config_sentence_transformers\.json"
)
_STEP = re.compile(r"\d_\w+/(?:config\.json|model\.safetensors)")
_CHUNK = 1 << 20  # bytes read at a time


def sha256(path: str | Path) -> str:
    """sha256 of a file's content, in hexadecimal digits; what the Hub keeps of large files."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_sha1(path: str | Path) -> str:
    """The id that git gives to a file's content, in hexadecimal digits; what the Hub keeps of all other files."""
    path = Path(path)
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def matches(path: str | Path, *, size: int | None, blob_id: str | None, lfs_sha256: str | None) -> bool:
    """Whether a file is the one that the Hub describes; what is None is not compared.

    Args:
        path: the file.
        size: in bytes.
        blob_id: git's id of the content; of a large file that of its pointer, so it is not compared beside
            ``lfs_sha256``.
        lfs_sha256: of the content of a large file.

    Raises:
        ValueError: nothing is known of the content, so nothing could differ.
        OSError: the file cannot be read.
    """
    if blob_id is None and lfs_sha256 is None:
        raise ValueError("neither blob_id nor lfs_sha256 is given; expected one of them to compare the file with")
    if size is not None and Path(path).stat().st_size != size:
        return False
    if lfs_sha256 is not None:
        return sha256(path) == lfs_sha256.lower()
    return git_blob_sha1(path) == str(blob_id).lower()


def answering_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a checkpoint on which its answers depend: configuration, weights, tokenizer, code.

    Of a sentence-transformers folder these are also the steps behind the network, some in folders of their own.

    Pictures, cards, facts and logs are not among them.
    """
    found = [path.name for path in folder.iterdir() if _ANSWERING.fullmatch(path.name)]
    within = [path.relative_to(folder).as_posix() for path in folder.glob("[0-9]_*/*")]
    names = sorted([*found, *(name for name in within if _STEP.fullmatch(name))])
    return {name: sha256(folder / name) for name in names if (folder / name).is_file()}


def check_cached(path: Path, repository: str, file: str, *, anew: bool = False) -> None:
    """Nothing, if a file in the cache of huggingface_hub is what the Hub has, as far as that is known.

    A file that is not is taken out of the cache, so that the next attempt fetches it again.

    Args:
        path: in the snapshot of a commit.
        repository: Hub id.
        file: its path in the repository.
        anew: whether to read it again although it was checked before.

    Raises:
        WeightsError: the file differs from the Hub's.
    """
    blob = _blob_of(path)
    note = _note_of(path, blob, file)
    state = path.stat()
    mark = f"{state.st_size} {state.st_mtime_ns}\n"
    with suppress(OSError):
        if not anew and note.read_text(encoding="ascii") == mark:
            return
    expected = blob.name if blob is not None else ""
    if not (_SHA256.fullmatch(expected) or _SHA1.fullmatch(expected)):
        expected = _ask_hub(repository, file, _commit_of(path, file))  # a cache without links, or a mirror's own names
    if not expected:
        return
    found = sha256(path) if _SHA256.fullmatch(expected) else git_blob_sha1(path)
    if found == expected:
        with suppress(OSError):  # a cache that is only read from: its files are checked each time
            note.parent.mkdir(exist_ok=True)
            note.write_text(mark, encoding="ascii")
        return
    then = "the damaged copy was removed from the cache, so run the same again to fetch it anew"
    try:
        _remove(path, blob)
    except OSError as error:
        then = f"the damaged copy cannot be removed from the cache ({error.strerror}); delete it there, and run again"
    raise WeightsError(
        f"{file} of Hub repository '{repository}' is not what the Hub has: its hash is {found[:12]}…, expected "
        f"{expected[:12]}…; {then}."
    )


def check_snapshot(folder: Path, repository: str, *, anew: bool = False) -> None:
    """`check_cached` for every file in the snapshot of a commit, for instance after another library filled it.

    Raises:
        WeightsError: a file differs from the Hub's.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            check_cached(path, repository, path.relative_to(folder).as_posix(), anew=anew)


def _blob_of(path: Path) -> Path | None:
    """The entry in ``blobs``, named by its hash, that a file of a snapshot links to; None in a cache without links."""
    if not path.is_symlink():
        return None
    # One link only: the entry may itself be a link to a store that several repositories share.
    target = Path(os.path.normpath(path.parent / path.readlink()))
    return target if target.parent.name == "blobs" else None


def _note_of(path: Path, blob: Path | None, file: str) -> Path:
    if blob is not None:
        return blob.parent.parent / NOTES_FOLDER / blob.name
    snapshot = path.parents[file.count("/")]
    return snapshot.parent.parent / NOTES_FOLDER / f"{snapshot.name}-{file.replace('/', '--')}"


def _commit_of(path: Path, file: str) -> str:
    return path.parents[file.count("/")].name


def _ask_hub(repository: str, file: str, commit: str) -> str:
    """The hash that the Hub has of a file; empty where it cannot be asked."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    try:
        entries = HfApi().get_paths_info(repository, [file], revision=commit)
    except (HTTPError, OSError):  # refused, unreachable, or told to stay offline
        return ""
    for entry in entries:
        if isinstance(entry, RepoFile):
            return entry.lfs.sha256 if entry.lfs is not None else entry.blob_id
    return ""


def _remove(path: Path, blob: Path | None) -> None:
    if blob is not None:
        if blob.is_symlink():  # otherwise the next attempt would link to the damaged content again
            blob.resolve().unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
