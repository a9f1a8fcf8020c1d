"""The processes and devices of a run, through Accelerate; imported only when training starts."""

from __future__ import annotations

import ctypes
import datetime
import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..pipelines.errors import MissingExtraError, UsageError
from .settings import FinetuneSettings

if TYPE_CHECKING:
    from accelerate import Accelerator

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
    return Accelerator(
        cpu=settings.device == "cpu" or not has_device,
        kwargs_handlers=handlers if is_distributed() else None,
        mixed_precision="no",  # the loop sets the precision itself, so that measuring can use another
        log_with=list(settings.track) or None,
        project_dir=str(Path(settings.output) / TRACKING_FOLDER) if settings.track else None,
    )


def keep_freed_memory() -> None:
    """Tells glibc to keep the memory of freed tensors for the next ones instead of giving it back.

    Each step frees and asks for the same gigabyte; given back, it comes as fresh pages, which the kernel has to clear
    and map: 19,000 page faults a step of MiniLM, 5 to 13 % of the time. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def is_distributed() -> bool:
    """Whether torchrun or ``accelerate launch`` started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
