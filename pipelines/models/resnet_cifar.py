"""The residual networks for small pictures of He, Zhang, Ren and Sun 2015, "Deep Residual Learning for Image
Recognition", section 4.2.

    picture -> convolution 3 x 3 -> three stages of n blocks -> mean over the picture -> logits

A block is two convolutions whose result is added to what they were given. Each stage has twice the filters of the one
before, on maps half as wide: 6n + 2 layers with weights, 20, 32, 44, 56 or 110 in the paper, which have 0.27, 0.46,
0.66, 0.85 and 1.7 million weights (table 6), counted in the tests.

Where a stage begins, what is added has other axes than the result. Option A of the paper (section 3.3), the one
that it uses here, takes every second pixel and adds maps of zeros; option B learns a 1 x 1 convolution. The paper does
not say where the zeros go; half of them stand before the maps and half behind, as in the weights that are commonly
passed around (akamaster's), which can so be read (foreign_weights.py).

Axes: batch, channels, height, width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .picture_shapes import check_picture
from .relu_layers import ReluConvolution

STAGES = 3
PUBLISHED_DEPTHS = (20, 32, 44, 56, 110)  # table 6, each with 16 filters in the first stage
SHORTCUTS = ("A", "B")


class ResidualBlock(nn.Module):
    """Two convolutions 3 x 3 around which the input is led past; output ``(batch, filters, height, width)`` / stride.

    Args:
        inputs: maps given.
        filters: maps returned.
        stride: 2 where the maps are halved, else 1.
        shortcut: "A" or "B", how the input is made to fit where it does not.
    """

    def __init__(self, inputs: int, filters: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.stride, self.new_maps = stride, filters - inputs
        self.first = ReluConvolution(inputs, filters, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(filters)
        self.second = ReluConvolution(filters, filters, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(filters)
        self.projection = None
        if shortcut == "B" and (stride > 1 or inputs != filters):
            self.projection = nn.Sequential(
                ReluConvolution(inputs, filters, 1, stride, bias=False), nn.BatchNorm2d(filters)
            )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        change = functional.relu(self.first_norm(self.first(maps)))  # (batch, filters, height / stride, width / stride)
        change = self.second_norm(self.second(change))
        return functional.relu(change + self._past(maps))

    def _past(self, maps: torch.Tensor) -> torch.Tensor:
        """The input with the axes of the result."""
        if self.projection is not None:
            return self.projection(maps)
        before = self.new_maps // 2
        return functional.pad(
            maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.new_maps - before)
        )  # (batch, filters, height / stride, width / stride)


class CifarResNet(nn.Module):
    """Logits ``(batch, num_labels)`` for pictures.

    Args:
        channels: of the pictures: 1 for grey, 3 for colour.
        num_labels: number of classes.
        depth: layers with weights, 6n + 2.
        width: filters of the first stage; 16 in the paper.
        shortcut: "A" (no weights) or "B" (a projection), see above.

    Raises:
        ValueError: ``depth`` is not 6n + 2, or ``shortcut`` is neither A nor B.
    """

    def __init__(self, *, channels: int, num_labels: int, depth: int, width: int, shortcut: str) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % (2 * STAGES):
            raise ValueError(
                f"depth is {depth}, expected 6n + 2: 8, 14, or as published {', '.join(map(str, PUBLISHED_DEPTHS))}."
            )
        if shortcut not in SHORTCUTS:
            raise ValueError(f"shortcut is '{shortcut}', expected A or B.")
        self.channels = channels
        self.stem = ReluConvolution(channels, width, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.stages = nn.ModuleList()
        filters = width
        for stage in range(STAGES):
            blocks = []
            for block in range((depth - 2) // (2 * STAGES)):
                inputs, filters = filters, width * 2**stage
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(inputs, filters, stride, shortcut))
            self.stages.append(nn.Sequential(*blocks))
        self.classifier = nn.Linear(filters, num_labels)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Logits ``(batch, num_labels)``.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised; any size.

        Raises:
            ValueError: the tensor has other axes.
        """
        check_picture(pixel_values, channels=self.channels, smallest=1)
        maps = functional.relu(self.stem_norm(self.stem(pixel_values)))  # (batch, width, height, width)
        for stage in self.stages:
            maps = stage(maps)  # (batch, width * 2**stage, height / 2**stage, width / 2**stage)
        return self.classifier(maps.mean(dim=(2, 3)))  # (batch, num_labels)
