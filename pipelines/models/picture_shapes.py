"""The check at the door of networks that take pictures of any size from a smallest one on."""

from __future__ import annotations

import torch

from .shapes import check_shape


def check_picture(pixel_values: torch.Tensor, *, channels: int, smallest: int) -> None:
    """Nothing, if these are pictures with so many channels and sides that are long enough.

    Args:
        pixel_values: what was given, expected ``(batch, channels, height, width)``.
        channels: that the network reads.
        smallest: pixels that a side needs at least for something to be left after the last halving.

    Raises:
        ValueError: the tensor has other axes, another number of channels, or a shorter side.
    """
    check_shape(pixel_values, ("batch", channels, "height", "width"), name="pixel_values")
    height, width = pixel_values.shape[2:]
    if min(height, width) < smallest:
        raise ValueError(
            f"pixel_values are pictures of {height} x {width} pixels, expected at least {smallest} on each side; "
            "enlarge them, or take a network for smaller pictures."
        )
