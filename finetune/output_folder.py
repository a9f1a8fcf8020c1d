"""The folder that a training run writes to: new, taken up again, or emptied; checked before anything slow begins."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..pipelines.errors import UsageError

SETTINGS_FILE = "settings.toml"


def open_output(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Makes ``folder`` ready to write to.

    Raises:
        UsageError: it is not empty and neither ``resume`` nor ``overwrite`` is set, or holds something else than a
            training run, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(path.name for path in folder.iterdir())
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"--output {folder} cannot be written to ({error.strerror}); give a folder that you may write to"
        ) from error
    if not files:
        return
    if not resume and _is_failed_start(folder, files):
        for name in files:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    found = ", ".join(files[:5]) + (" …" if len(files) > 5 else "")
    if not (resume or overwrite):
        raise UsageError(
            f"--output {folder} is not empty (it has {found}); go on with --resume, start again with --overwrite, "
            "or give another folder"
        )
    if SETTINGS_FILE not in files:
        raise UsageError(
            f"--output {folder} is no training run: it has {found}, but no {SETTINGS_FILE}; nothing was deleted. "
            "Give another folder"
        )
    if overwrite:
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_failed_start(folder: Path, files: list[str]) -> bool:
    """Whether all that is there was left by a run that ended before its first step, so that nothing is lost with it."""
    return SETTINGS_FILE in files and set(files) <= {SETTINGS_FILE, "state"} and not list(folder.glob("state/step-*"))
