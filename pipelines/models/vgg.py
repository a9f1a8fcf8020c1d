"""VGG of Simonyan and Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition".

    picture -> blocks of 3 x 3 convolutions, each ending with the maximum of 2 x 2 -> two layers of neurons -> logits

Every block has twice the filters of the one before, up to eight times those of the first. `BLOCKS` are the
configurations A, B, D and E of the paper's table 1; for 1000 classes they have 133, 133, 138 and 144 million weights
(table 2), counted to the last one in the tests. Batch norm (Ioffe and Szegedy 2015) is younger than the paper; with it
none of the depths has to be begun with the weights of a shallower one, as the paper does (section 3.1).

Depth 9 is ours: three blocks, for pictures of 28 or 32 pixels, which five halvings would leave with one.

Axes: batch, channels, height, width.
"""

from __future__ import annotations

import torch
from torch import nn

from .picture_shapes import check_picture
from .relu_layers import ReluConvolution, ReluLinear

# layers with weights, the three of the neurons included: convolutions of each block
BLOCKS = {
    9: (2, 2, 2),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}

PUBLISHED = {"width": 64, "pooled_size": 7, "hidden_size": 4096}
SMALL = {"width": 32, "pooled_size": 3, "hidden_size": 256}


class Vgg(nn.Module):
    """Logits ``(batch, num_labels)`` for pictures.

    Args:
        channels: of the pictures: 1 for grey, 3 for colour.
        num_labels: number of classes.
        depth: layers with weights: 11, 13, 16 or 19 as published, or 9 for small pictures.
        batch_norm: whether every convolution is followed by a batch norm.
        width: filters of the first block.
        pooled_size: side of the maps, in pixels, to which the mean brings them before the neurons.
        hidden_size: neurons of each of the two layers before the last.
        dropout: probability in [0, 1) with which a neuron is left out in training; the paper's is 0.5.

    Raises:
        ValueError: ``depth`` is none of these.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_labels: int,
        depth: int,
        batch_norm: bool,
        width: int,
        pooled_size: int,
        hidden_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth is {depth}, expected one of {', '.join(map(str, BLOCKS))}.")
        self.channels = channels
        self.smallest = 2 ** len(BLOCKS[depth])
        layers: list[nn.Module] = []
        filters = channels
        for block, convolutions in enumerate(BLOCKS[depth]):
            for _ in range(convolutions):
                inputs, filters = filters, width * min(2**block, 8)
                layers.append(ReluConvolution(inputs, filters, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(filters))
                layers.append(nn.ReLU())
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(pooled_size))
        self.neurons = nn.Sequential(
            nn.Flatten(),
            ReluLinear(filters * pooled_size**2, hidden_size),
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
            ValueError: the tensor has other axes, or the pictures have less than a pixel for each halving: 32 pixels
                for the published depths, 8 for depth 9.
        """
        check_picture(pixel_values, channels=self.channels, smallest=self.smallest)
        maps = self.features(pixel_values)  # (batch, filters, pooled_size, pooled_size)
        return self.classifier(self.neurons(maps))  # (batch, num_labels)
