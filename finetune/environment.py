"""Where something ran: versions, hardware, memory and the command, for the facts.

Nothing here gives away a user, a host, a folder or a token: `scrub` keeps private names out.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..cards.facts import HardwareFacts
from ..pipelines.devices import find_device, has_bfloat16_units
from .scrubbing import base_name, scrub

__all__ = ["PeakMemory", "command", "command_line", "hardware", "peak_memory", "scrub", "versions"]

LIBRARIES = {  # module -> distribution
    "accelerate": "accelerate",
    "datasets": "datasets",
    "huggingface_hub": "huggingface_hub",
    "kornia": "kornia",
    "numpy": "numpy",
    "PIL": "pillow",
    "pandas": "pandas",
    "peft": "peft",
    "polars": "polars",
    "pyarrow": "pyarrow",
    "quintet": "quintet",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tokenizers": "tokenizers",
    "torch": "torch",
    "transformers": "transformers",
}


@dataclass(frozen=True)
class PeakMemory:
    """The largest memory of this process so far, in bytes; ``gpu_bytes`` is None where torch used no accelerator."""

    bytes: int
    gpu_bytes: int | None = None


def versions() -> dict[str, str]:
    """Library -> version, of those that this process has imported, and ``python`` and ``platform``."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for module, distribution in LIBRARIES.items():
        if module not in sys.modules:
            continue
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:  # imported from a folder, not installed
            found[distribution] = str(getattr(sys.modules[module], "__version__", "not installed"))
    return found


def hardware() -> HardwareFacts:
    """The processor, memory and accelerators that this process may use."""
    import torch

    name, cores = _processor()
    gpus = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    if not gpus and torch.backends.mps.is_available():
        gpus = ("Apple GPU (MPS)",)
    return HardwareFacts(
        cpu=name,
        cores=cores,
        threads=torch.get_num_threads(),
        memory_gib=round(_memory_limit() / 2**30, 1),
        gpus=gpus,
        bf16_units=has_bfloat16_units(find_device(None)),
    )


def peak_memory() -> PeakMemory:
    """The largest resident memory of this process so far, and the largest that torch allocated on its accelerators."""
    torch = sys.modules.get("torch")  # a process that never imported it used no accelerator
    gpu = None
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        gpu = sum(torch.cuda.max_memory_allocated(index) for index in range(torch.cuda.device_count()))
    return PeakMemory(_peak_resident(), gpu)


def command(words: Sequence[str], options: Mapping[str, Any]) -> str:
    """A command line for the shell: ``command(("quintet", "evaluate", "out"), {"split": "test"})``.

    Args:
        words: the command and its arguments.
        options: name -> value. None is left out, True and False become ``--name`` and ``--no-name``, sequences are
            joined by commas, mappings become ``key=value,key=value``. Paths become base names.
    """
    parts = [base_name(str(word)) for word in words]
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is None:
            continue
        if isinstance(value, bool):
            parts.append(flag if value else flag.replace("--", "--no-", 1))
            continue
        if isinstance(value, Mapping):
            value = ",".join(f"{key}={item}" for key, item in value.items())
        elif isinstance(value, Sequence) and not isinstance(value, str):
            value = ",".join(base_name(str(item)) for item in value)
        parts += [flag, base_name(str(value))]
    return scrub(shlex.join(parts))


def command_line(arguments: Iterable[str] | None = None) -> str:
    """The command that started this process (``sys.argv`` by default), with base names in place of paths."""
    program, *rest = sys.argv if arguments is None else arguments
    file = Path(program)
    if file.name == "__main__.py":
        inner = file.parent.name == "finetune"
        parts = ["python", "-m", "quintet.finetune" if inner else "quintet"]
    else:
        parts = [file.name]
    previous = ""
    for argument in rest:
        flag, equals, value = argument.partition("=")
        if argument.startswith("--") and equals:
            parts.append(f"{flag}={_short_value(flag, value)}")
        else:
            parts.append(_short_value(previous, argument))
        previous = argument
    return scrub(shlex.join(parts))


def _short_value(flag: str, value: str) -> str:
    """A value of the command line without its folders; several are separated by commas."""
    if value.startswith("-"):
        return value
    parts = [base_name(part) for part in value.split(",")] if "/" in value or "\\" in value else [value]
    if flag in {"--output", "-o"}:
        parts = [part.rstrip("/").rpartition("/")[2] for part in parts]
    return ",".join(parts)


def _processor() -> tuple[str, int | None]:
    """Model name of the processor, and the physical cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = min((count for count in (allowed, psutil.cpu_count(logical=False)) if count), default=None)
    name = None
    if sys.platform.startswith("linux"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    elif sys.platform == "darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        name = asked.stdout.strip()
    return name or platform.processor() or platform.machine(), cores


def _memory_limit() -> int:
    """Bytes that this process may use: those of the machine, or of the container."""
    total = psutil.virtual_memory().total
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file():
            text = limit.read_text(encoding="ascii").strip()
            return min(total, int(text)) if text.isdigit() else total
    return total


def _peak_resident() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        # ru_maxrss of a child starts with what its parent used before exec; VmHWM does not
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere
