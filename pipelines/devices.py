"""Which device is meant, and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    import torch


def find_device(device: int | str | torch.device | None) -> torch.device:
    """The device meant; for None the accelerator of this machine, else its CPU.

    Raises:
        UsageError: there is no such device here.
    """
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is None:
        return accelerator or torch.device("cpu")
    if isinstance(device, int) and (device < 0 or accelerator is None):
        return torch.device("cpu")  # as in transformers, where device=0 means: the first accelerator, if there is one
    try:
        found = (
            torch.device(accelerator.type, device) if isinstance(device, int) and accelerator else torch.device(device)
        )
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"device is {device!r}; expected cpu, a number, or for instance cuda:0.") from error
    known = {"cpu", "meta", *([accelerator.type] if accelerator else [])}
    if found.type not in known:
        raise UsageError(
            f"device is {device!r}, which this machine does not have; it has {', '.join(sorted(known - {'meta'}))}."
        )
    count = torch.accelerator.device_count() if accelerator and found.type == accelerator.type else 1
    if (found.index or 0) >= count:
        raise UsageError(f"device is {device!r}, but this machine has {count} of that kind, counted from 0.")
    return found


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 numbers natively; elsewhere bfloat16 is slower than float32.

    Of CPUs those with AMX units, and those with AVX512-BF16 instructions: on an AMD EPYC with the latter a MiniLM
    took 1.7 to 2.3 times fewer seconds than in float32.
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        found = torch.cpu.get_capabilities()
        return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
    return device.type in ("xpu", "hpu", "mps")
