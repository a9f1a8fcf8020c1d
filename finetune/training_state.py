"""The state of a run on disk, from which training goes on exactly: written whole or not at all.

Layout, under the output folder::

    state/identity.json             settings that change the result, and fingerprints of the data
    state/step-00000120/state.pt    weights, optimizers, average, position; read with torch's weights_only
    state/best-00000100.safetensors the best trainable weights so far
    state/tokenizer/ …              what a recipe prepared before the first step

What random numbers a step uses is a function of (seed, step, process), see `seed_step`; so no generator's state is
saved, and nothing that happens between steps (evaluation, saving) can disturb the run. A state is written to a
temporary folder, flushed to the disk and renamed; the one before is deleted only then, so that a full disk or a lost
machine costs at most the state being written.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pickle
import random
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..pipelines.errors import TrainingError

FOLDER, IDENTITY_FILE = "state", "identity.json"


@dataclass
class Position:
    """How far a run is.

    Attributes:
        step: optimizer steps done.
        best_step: the step after which the best metric was measured; None before the first measurement.
        best_metric: its value.
        best_loss: the validation loss then, which decides between equal metrics.
        measurements_since_best: for early stopping.
        seconds: wall time of training so far, over all resumed runs.
        step_seconds: the part of it spent in steps, without evaluations and saving.
        samples: rows trained on.
        log_bytes: length of ``log.jsonl``.
        resumes: how often the run was taken up again.
        stopped_by: why training ended; None while it goes on.
    """

    step: int = 0
    best_step: int | None = None
    best_metric: float | None = None
    best_loss: float | None = None
    measurements_since_best: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    samples: int = 0
    log_bytes: int = 0
    resumes: int = 0
    stopped_by: str | None = None


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seeds torch (every device), numpy and Python for one step of one process."""
    numbers = np.random.SeedSequence([seed, step, rank]).generate_state(3)
    torch.manual_seed(int(numbers[0]))
    np.random.seed(int(numbers[1]))
    random.seed(int(numbers[2]))


class StateFolder:
    """The folder ``state`` of an output folder.

    Args:
        output: the output folder.
        identity: what must be the same when a run goes on: settings that change the result and the fingerprint of
            the data, as scalars, lists and dicts.
    """

    def __init__(self, output: Path, identity: Mapping[str, Any]) -> None:
        self.folder = output / FOLDER
        self.identity = dict(identity)

    def claim(self) -> None:
        """Makes the folder the one of this run, before anything else is put there.

        Raises:
            TrainingError: it is that of a run with other settings or other data; the message names the differences.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / IDENTITY_FILE
        if path.exists():
            check_same(json.loads(path.read_text(encoding="utf-8")), self.identity)
        else:
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(self.identity, indent=1, ensure_ascii=False), encoding="utf-8")
            temporary.rename(path)

    def save(self, tensors: Mapping[str, Any], position: Position) -> bool:
        """Writes a state and deletes the one before; returns whether it could be written.

        A full disk or another fault of the file system is a warning, and the state before stays.
        """
        name = f"step-{position.step:08}"
        content = {"position": dataclasses.asdict(position), **tensors}
        if not self._write(name, lambda folder: write_state(content, folder / "state.pt")):
            return False
        for older in self._states():
            if older.name != name:
                shutil.rmtree(older, ignore_errors=True)
        for older in self.folder.glob("best-*.safetensors"):
            if older != self._best_path(position.best_step):
                older.unlink(missing_ok=True)
        return True

    def load(self) -> tuple[Position, Mapping[str, Any]] | None:
        """The position and the tensors (on the CPU) of the newest state, or None where there is none.

        Raises:
            TrainingError: the state cannot be read.
        """
        states = self._states()
        if not states:
            return None
        path = states[-1] / "state.pt"
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(
                f"the saved state {FOLDER}/{states[-1].name} cannot be read ({type(error).__name__}); "
                "delete the output folder or start again with --overwrite"
            ) from error
        return Position(**content.pop("position")), content

    def save_best(self, weights: Mapping[str, torch.Tensor], step: int) -> bool:
        """Writes the best weights so far; returns whether they could be written.

        Those before are deleted with the next `save`: until then the newest state refers to them.
        """
        from safetensors.torch import save

        contiguous = {name: tensor.detach().contiguous().clone() for name, tensor in weights.items()}
        return self._write(self._best_path(step).name, lambda path: _write_bytes(path, save(contiguous)), folder=False)

    def load_best(self, step: int) -> dict[str, torch.Tensor]:
        """The best weights, measured after the step with that number."""
        from safetensors.torch import load_file

        return load_file(self._best_path(step))

    def remove(self) -> None:
        """Deletes the folder, after the run."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _states(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("step-*") if not path.name.endswith(".tmp"))

    def _best_path(self, step: int | None) -> Path:
        return self.folder / f"best-{step or 0:08}.safetensors"

    def _write(self, name: str, write: Callable[[Path], None], *, folder: bool = True) -> bool:
        """Has ``write`` fill a temporary file or folder, flushes it to the disk and gives it its name."""
        target, temporary = self.folder / name, self.folder / f"{name}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _remove(temporary)
            if folder:
                temporary.mkdir()
            write(temporary)
            flush_to_disk(temporary)
            _remove(target)
            temporary.rename(target)
            _flush(self.folder)
        except OSError as error:
            _remove(temporary)
            warnings.warn(
                f"{FOLDER}/{name} could not be saved ({error.strerror or error}); training goes on, and --resume would "
                "start from the state before; free some space on the disk",
                RuntimeWarning,
                stacklevel=3,
            )
            return False
        return True


def write_state(content: Mapping[str, Any], path: Path) -> None:
    """Writes ``content`` in torch's format.

    Raises:
        OSError: the disk is full or fails.
    """
    with path.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's words for it are "unexpected pos 704 vs 598"
            raise OSError(errno.EIO, "the disk is full or fails") from error


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def check_same(saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Compares the identity of a saved run with that of the current one.

    Raises:
        TrainingError: they differ; the message names each difference with both values.
    """
    names = [name for name in {**saved, **current} if saved.get(name) != current.get(name)]
    if names:
        differences = ", ".join(f"{name} was {saved.get(name)!r} and is {current.get(name)!r}" for name in names)
        raise TrainingError(
            f"--resume goes on with the settings that the run was started with, but {differences}; "
            "give the same settings, or start again with --overwrite"
        )


def flush_to_disk(path: Path) -> None:
    """Makes sure that a file, or every file of a folder, is on the disk and not only on its way."""
    for file in [path] if path.is_file() else [*path.rglob("*"), path]:
        _flush(file)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


class SavingClock:
    """Says when the next state is due: after so many steps, or so many seconds.

    A state of a large model takes a while to write. Counted in seconds, the pause is stretched so that saving takes at
    most a twentieth of the time.
    """

    def __init__(self, steps: int | None, seconds: float | None) -> None:
        self.steps, self.seconds = steps, seconds
        self._last, self._cost = time.monotonic(), 0.0

    def is_due(self, step: int) -> bool:
        """Whether to save after ``step`` steps."""
        if self.steps is not None:
            return step % self.steps == 0
        return self.seconds is not None and time.monotonic() - self._last >= max(self.seconds, 20 * self._cost)

    def saved(self, cost: float) -> None:
        """Notes that a state was just saved, and took ``cost`` seconds."""
        self._last, self._cost = time.monotonic(), cost
