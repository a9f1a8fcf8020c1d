"""Pictures as floats in [0, 1] and back in the type they were given in."""

from __future__ import annotations

import torch


def as_floats(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures of uint8 in [0, 255], or of any floating type, as float32; uint8 is divided by 255."""
    return pictures.float() if pictures.is_floating_point() else pictures.float().div_(255)


def like(given: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """float32 pictures in the type of ``given``: for uint8 clipped to [0, 1] and rounded to 255ths."""
    if given.is_floating_point():
        return pictures.to(given.dtype)
    return pictures.clamp(0, 1).mul_(255).round_().to(given.dtype)
