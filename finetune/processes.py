"""The processes and devices of a run, through Accelerate; imported only when training starts."""

from __future__ import annotations

import atexit
import ctypes
import datetime
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from ..pipelines.errors import MissingExtraError, QuintetError, TrainingError, UsageError
from .settings import FinetuneSettings

if TYPE_CHECKING:
    from accelerate import Accelerator

Result = TypeVar("Result")

DEVICES = ("cpu", "cuda", "mps")
TRACKING_FOLDER = "tracking"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
WAIT = datetime.timedelta(hours=24)


def check_machine(settings: FinetuneSettings) -> None:
    """Whether the device is here and the trackers are installed.

    Raises:
        UsageError: the device is unknown or not on this machine.
        MissingExtraError: a tracker's package is not installed.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if settings.device is not None and not available.get(settings.device):
        here = ", ".join(name for name in DEVICES if available[name])
        raise UsageError(f"--device {settings.device} is not on this machine; it has: {here}")
    for tracker in settings.track:
        if importlib.util.find_spec(tracker) is None:
            raise MissingExtraError(tracker, "track", f"--track {tracker}")


def start_processes(settings: FinetuneSettings) -> Accelerator:
    """The accelerator of this process; under torchrun or ``accelerate launch`` it has found the others."""
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

    # the others wait while the first prepares data or lets a teacher label it; and some models have weights that a
    # step does not use (XLNet's mask, one of two networks trained against each other)
    handlers = [InitProcessGroupKwargs(timeout=WAIT), DistributedDataParallelKwargs(find_unused_parameters=True)]
    has_device = torch.cuda.is_available() or torch.backends.mps.is_available()
    accelerator = Accelerator(
        cpu=settings.device == "cpu" or not has_device,
        kwargs_handlers=handlers if is_distributed() else None,
        mixed_precision="no",  # the loop sets the precision itself, so that measuring can use another
        log_with=list(settings.track) or None,
        project_dir=str(Path(settings.output) / TRACKING_FOLDER) if settings.track else None,
    )
    if torch.distributed.is_initialized():
        atexit.register(leave_processes)
    return accelerator


def leave_processes() -> None:
    """Ends the threads that talk to the other processes; one that is left when Python ends may abort the process."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


LARGEST_KEPT = 2**25
"""Bytes of a block of memory that is kept when it is freed; those of longer texts' attention are larger."""


def keep_freed_memory() -> None:
    """Tells glibc to keep the memory of freed tensors for the next ones instead of giving it back.

    Each step frees and asks for the same gigabyte; given back, it comes as fresh pages, which the kernel has to clear
    and map: 19,000 page faults a step of MiniLM, 5 to 13 % of the time. Larger blocks than `LARGEST_KEPT` are given
    back all the same: kept, they left holes that nothing fitted into, and MiniLM on long contexts grew from 3 GB to
    more than 7 in 200 steps. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def is_distributed() -> bool:
    """Whether torchrun or ``accelerate launch`` started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first_process() -> bool:
    """Whether this process is the one that writes and speaks; always true where there is only one."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


class EndedWithFirst(SystemExit):
    """Ends a process beside the first without a word, because the first one says what is wrong.

    Attributes:
        code: the exit code of the first process.
    """


@contextmanager
def agreed() -> Iterator[None]:
    """Either all processes go on after the block or none does; of what goes wrong the first process tells.

    Without it the others would wait for a process that is gone, and fail with the words of the network. Within the
    block processes must not wait for each other.

    Raises:
        QuintetError: in the first process: its own error, or that of the first process that has one.
        EndedWithFirst: in the others.
        Exception: an error that nobody foresaw, in every process that has it, so that its traceback is not lost.
    """
    failure: Exception | None = None
    try:
        yield
    except Exception as error:  # noqa: BLE001 - raised again below
        failure = error
    for number, said in enumerate(_from_all_processes(_as_said(failure))):
        if said is None:
            continue
        if failure is not None and (is_first_process() or not isinstance(failure, QuintetError)):
            raise failure
        sentence, exit_code = said
        if not is_first_process():
            raise EndedWithFirst(exit_code) from failure
        error = TrainingError(f"process {number} cannot go on: {sentence}")
        error.exit_code = exit_code
        raise error


def _as_said(failure: Exception | None) -> tuple[str, int] | None:
    """The sentence and the exit code of an error; the error itself may not survive the way to another process."""
    if failure is None:
        return None
    return (str(failure), failure.exit_code) if isinstance(failure, QuintetError) else (repr(failure), 1)


def _from_all_processes(said: tuple[str, int] | None) -> list[tuple[str, int] | None]:
    if not torch.distributed.is_initialized():
        return [said]
    everything: list[tuple[str, int] | None] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everything, said)
    return everything


@contextmanager
def said_once() -> Iterator[None]:
    """While open, an error that comes to all processes at once is raised in the first and ends the others quietly.

    For training, where each step adds up losses and signals over all processes, so that all raise the same error.

    Raises:
        TrainingError: in the first process.
        EndedWithFirst: in the others.
    """
    try:
        yield
    except TrainingError as error:
        if is_first_process():
            raise
        raise EndedWithFirst(error.exit_code) from error


def first_then_others(prepare: Callable[[], Result]) -> Result:
    """What ``prepare`` returns in each process; the first goes first and leaves on the disk what the others read.

    Raises:
        QuintetError, EndedWithFirst: as `agreed`.
    """
    results: list[Result] = []
    for is_turn in (is_first_process(), not is_first_process()):
        with agreed():
            if is_turn:
                results.append(prepare())
    return results[0]
