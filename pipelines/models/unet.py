"""U-Net of Ronneberger, Fischer and Brox 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation".

    picture -> down: two convolutions, then half the size with twice the filters, `levels` times
            -> up: twice the size with half the filters, what was there on the way down beside it, two convolutions
            -> for each pixel a vote of its features -> logits

The paper's sizes (figure 1): 64 base filters, four levels, dropout at the end of the way down. There each convolution
loses the outermost pixels, and the answer is smaller than the picture; here the maps are padded, so that each pixel
gets an answer, and a picture whose sides are no multiple of 2^levels is continued by its last row and column,
which the answer leaves away again. Without batch norm (younger than most of this network's uses) it has
31,030,658 weights for grey pictures and two classes, counted in the tests.

Axes: batch, channels (of the picture) or filters, height, width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .picture_shapes import check_picture
from .relu_layers import ReluConvolution

PUBLISHED = {"base_filters": 64, "levels": 4}


def _two_convolutions(inputs: int, filters: int, batch_norm: bool) -> nn.Sequential:
    """``(batch, inputs, height, width)`` to ``(batch, filters, height, width)``."""
    layers: list[nn.Module] = []
    for each in (inputs, filters):
        # The norm's own bias makes that of the convolution idle.
        layers.append(ReluConvolution(each, filters, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(filters))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Logits ``(batch, num_labels, height, width)``: for each pixel of a picture a score of each class.

    Args:
        channels: of the pictures: 1 for grey, 3 for colour.
        num_labels: number of classes.
        base_filters: maps of the topmost level; each level below has twice those of the one above.
        levels: how often the picture is halved.
        batch_norm: whether every 3 x 3 convolution is followed by a batch norm.
        dropout: probability in [0, 1) with which a value of the lowest maps is left out in training.
    """

    def __init__(
        self, *, channels: int, num_labels: int, base_filters: int, levels: int, batch_norm: bool, dropout: float
    ) -> None:
        super().__init__()
        self.channels, self.levels = channels, levels
        filters = [base_filters * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(
            _two_convolutions(inputs, outputs, batch_norm)
            for inputs, outputs in zip([channels, *filters], filters, strict=False)
        )
        self.dropout = nn.Dropout(dropout)
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(2 * each, each, kernel_size=2, stride=2) for each in reversed(filters[:-1])
        )
        self.up = nn.ModuleList(_two_convolutions(2 * each, each, batch_norm) for each in reversed(filters[:-1]))
        self.classifier = nn.Conv2d(base_filters, num_labels, kernel_size=1)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Logits ``(batch, num_labels, height, width)``, of the size of the picture.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised; any size.

        Raises:
            ValueError: the tensor has other axes.
        """
        check_picture(pixel_values, channels=self.channels, smallest=1)
        height, width = pixel_values.shape[2:]
        multiple = 2**self.levels
        maps = functional.pad(pixel_values, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        passed = []  # what each level of the way down saw, topmost first
        for level, convolutions in enumerate(self.down):
            if level > 0:
                maps = functional.max_pool2d(maps, 2)
            maps = convolutions(maps)  # (batch, base_filters * 2**level, height / 2**level, width / 2**level)
            passed.append(maps)
        maps = self.dropout(passed.pop())
        for enlarge, convolutions in zip(self.enlarge, self.up, strict=True):
            maps = torch.cat([passed.pop(), enlarge(maps)], dim=1)
            maps = convolutions(maps)
        return self.classifier(maps)[:, :, :height, :width]
