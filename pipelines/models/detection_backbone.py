"""The convolutional trunk that the detectors share: a picture in, maps of its features at several strides out.

    picture -> stride 2 -> 4 -> 8 -> 16 -> 32, each by a halving convolution, from 4 on with residual blocks after it

A stage computes on half of its channels and passes the other half by (Wang et al. 2020, "CSPNet: A New Backbone that
can Enhance Learning Capability of CNN", section 3.2), its blocks are those of He et al. 2016, "Deep Residual Learning",
the non-linearity is x · sigmoid(x) (Elfwing et al. 2018). Every convolution is followed by batch normalisation, without
which a detector hardly learns from scratch (Zhu et al. 2019, "ScratchDet").

Axes: batch, channels, height, width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

STRIDES = (8, 16, 32)
"""Pixels from one feature to the next in the maps that come out."""


class ConvolutionUnit(nn.Sequential):
    """Convolution, batch normalisation, x · sigmoid(x); at stride 1 the map keeps its size.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        kernel_size: pixels of the side of a filter, odd.
        stride: pixels from one place of the filter to the next.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel_size, stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
        )


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvolutionUnit(channels, channels, 3)
        self.second = ConvolutionUnit(channels, channels, 3)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps + self.second(self.first(maps))


class CrossStage(nn.Module):
    """Half of the channels through ``blocks`` residual blocks, the other half past them, then all mixed.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        blocks: how many.
    """

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        half = max(1, outputs // 2)
        self.past = ConvolutionUnit(inputs, half, 1)
        self.through = nn.Sequential(ConvolutionUnit(inputs, half, 1), *(ResidualBlock(half) for _ in range(blocks)))
        self.mixed = ConvolutionUnit(2 * half, outputs, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.mixed(torch.cat([self.through(maps), self.past(maps)], 1))


class DetectionBackbone(nn.Module):
    """Maps of features at the strides 8, 16 and 32.

    Args:
        channels: of the pictures.
        filters: channels at the strides 2, 4, 8, 16 and 32.
        blocks: residual blocks at the strides 4, 8, 16 and 32.

    Raises:
        ValueError: ``filters`` are not five or ``blocks`` not four.
    """

    def __init__(self, *, channels: int, filters: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        if len(filters) != 5 or len(blocks) != 4:
            raise ValueError(
                f"filters is {tuple(filters)} and blocks {tuple(blocks)}, expected five numbers of channels (strides 2 "
                "to 32) and four numbers of blocks (strides 4 to 32)."
            )
        self.channels = channels
        self.stem = ConvolutionUnit(channels, filters[0], 3, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(ConvolutionUnit(inputs, outputs, 3, 2), CrossStage(outputs, outputs, count))
            for inputs, outputs, count in zip(filters, filters[1:], blocks, strict=False)
        )

    def forward(self, pixel_values: torch.Tensor) -> list[torch.Tensor]:
        """Three maps ``(batch, filters, height / stride, width / stride)``, the finest first.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised.

        Raises:
            ValueError: the pictures have other channels, or sides that are no multiples of 32 pixels.
        """
        sizes = tuple(pixel_values.shape)
        coarsest = STRIDES[-1]
        if len(sizes) != 4 or sizes[1] != self.channels or sizes[2] % coarsest or sizes[3] % coarsest or 0 in sizes[2:]:
            raise ValueError(
                f"pixel_values has shape {sizes}, expected (batch, {self.channels}, height, width) with height and "
                f"width multiples of {coarsest}."
            )
        maps = self.stem(pixel_values)  # (batch, filters[0], height / 2, width / 2)
        found = []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found[1:]


class FaintConvolution(nn.Conv2d):
    """A 1 x 1 convolution that says nearly nothing before training: weights from N(0, 0.01²), biases 0."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def reset_parameters(self) -> None:
        """Draws the weights anew."""
        nn.init.normal_(self.weight, std=0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class FaintLinear(nn.Linear):
    """A layer of neurons that says nearly nothing before training, as ``FaintConvolution``."""

    def reset_parameters(self) -> None:
        """Draws the weights anew."""
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)


def centres_of(maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of all features in the picture, those of the finest map first, row by row.

    Args:
        maps: at the strides 8, 16 and 32, as many of them as there are.

    Returns:
        Middles x, y in pixels ``(places, 2)`` float32, and strides in pixels ``(places,)`` float32.

    >>> centres_of([torch.zeros(1, 3, 1, 2)])
    (tensor([[ 4.,  4.],
            [12.,  4.]]), tensor([8., 8.]))
    """
    centres, strides = [], []
    for one, stride in zip(maps, STRIDES, strict=False):
        height, width = one.shape[2:]
        y = (torch.arange(height, device=one.device, dtype=torch.float32) + 0.5) * stride
        x = (torch.arange(width, device=one.device, dtype=torch.float32) + 0.5) * stride
        grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)  # (height, width, 2)
        centres.append(grid.flatten(0, 1))
        strides.append(torch.full((height * width,), float(stride), device=one.device))
    return torch.cat(centres), torch.cat(strides)
