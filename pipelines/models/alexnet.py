"""AlexNet of Krizhevsky, Sutskever and Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks".

    picture -> five convolutions, the maximum of 3 x 3 after the 1st, 2nd and 5th -> two layers of neurons -> logits

The sizes are those of Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", where the
two columns of the first paper, one a graphics card, are one, and the normalisation between neighbouring maps is gone:
61,100,840 weights for 1000 classes, counted in the tests.

`SMALL` is the same network for pictures of some 32 pixels: a first convolution that does not shrink them, and fewer
neurons. The mean before the neurons makes either fit pictures of any size from the smallest on.

Axes: batch, channels, height, width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .picture_shapes import check_picture
from .relu_layers import ReluConvolution, ReluLinear

# stem: side of the first filters, their stride and the padding, in pixels
PUBLISHED = {"stem": (11, 4, 2), "filters": (64, 192, 384, 256, 256), "pooled_size": 6, "hidden_size": 4096}
SMALL = {"stem": (3, 1, 1), "filters": (64, 192, 384, 256, 256), "pooled_size": 2, "hidden_size": 1024}

SMALLEST_MAP = 15  # pixels after the stem: 15 -> 7 -> 3 -> 1 by the three maxima


class AlexNet(nn.Module):
    """Logits ``(batch, num_labels)`` for pictures.

    Args:
        channels: of the pictures: 1 for grey, 3 for colour.
        num_labels: number of classes.
        stem: side of the first convolution's filters, its stride and its padding, in pixels.
        filters: maps of the five convolutions.
        pooled_size: side of the maps, in pixels, to which the mean brings them before the neurons.
        hidden_size: neurons of each of the two layers before the last.
        dropout: probability in [0, 1) with which a neuron is left out in training; the paper's is 0.5.

    Raises:
        ValueError: ``stem`` is not three numbers, or ``filters`` are not five.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_labels: int,
        stem: Sequence[int],
        filters: Sequence[int],
        pooled_size: int,
        hidden_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if len(stem) != 3 or len(filters) != 5:
            raise ValueError(
                f"stem is {tuple(stem)} and filters {tuple(filters)}, expected three numbers (side, stride, padding) "
                "and five."
            )
        kernel, stride, padding = stem
        self.channels = channels
        self.smallest = (SMALLEST_MAP - 1) * stride + kernel - 2 * padding
        self.features = nn.Sequential(
            ReluConvolution(channels, filters[0], kernel, stride, padding),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            ReluConvolution(filters[0], filters[1], 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            ReluConvolution(filters[1], filters[2], 3, padding=1),
            nn.ReLU(),
            ReluConvolution(filters[2], filters[3], 3, padding=1),
            nn.ReLU(),
            ReluConvolution(filters[3], filters[4], 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.AdaptiveAvgPool2d(pooled_size),
        )
        self.neurons = nn.Sequential(
            nn.Flatten(),
            ReluLinear(filters[4] * pooled_size**2, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            ReluLinear(hidden_size, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(hidden_size, num_labels)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Logits ``(batch, num_labels)``.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised.

        Raises:
            ValueError: the tensor has other axes, or the pictures are too small (63 pixels with the published stem).
        """
        check_picture(pixel_values, channels=self.channels, smallest=self.smallest)
        maps = self.features(pixel_values)  # (batch, filters[4], pooled_size, pooled_size)
        return self.classifier(self.neurons(maps))  # (batch, num_labels)
