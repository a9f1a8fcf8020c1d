"""LeNet-5 of LeCun, Bottou, Bengio and Haffner 1998, "Gradient-Based Learning Applied to Document Recognition", II.B.

    picture -> convolution 5 x 5 -> halved -> convolution 5 x 5 -> halved -> two layers of neurons -> logits

The paper's sizes: 6 and 16 maps, 120 and 84 neurons; a 28 x 28 digit stands in a frame of 32 x 32, which here is the
padding of the first convolution. As usual today, every map of the second convolution reads all maps of the first
(the paper's table I leaves some out), halving takes the maximum, and ReLU stands for the scaled tanh. With 10
classes that makes 61,706 weights, where the paper has about 60,000.

Axes: batch, channels, height, width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .shapes import check_shape

KERNEL = 5
SMALLEST = 12  # pixels; of fewer nothing is left after the second halving


class LeNet5(nn.Module):
    """Logits ``(batch, num_labels)`` for pictures.

    Args:
        channels: of the pictures: 1 for grey, 3 for colour.
        image_size: pixels of their sides.
        num_labels: number of classes.
        filters: maps of the two convolutions.
        neurons: of the two layers before the last.
        dropout: probability in [0, 1) with which a neuron is left out in training.

    Raises:
        ValueError: ``filters`` or ``neurons`` are not two each, or ``image_size`` is below 12.
    """

    def __init__(
        self,
        *,
        channels: int,
        image_size: int,
        num_labels: int,
        filters: Sequence[int],
        neurons: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        if len(filters) != 2 or len(neurons) != 2:
            raise ValueError(f"filters is {tuple(filters)} and neurons {tuple(neurons)}, expected two numbers each.")
        if image_size < SMALLEST:
            raise ValueError(f"image_size is {image_size}, expected at least {SMALLEST} pixels.")
        self.channels, self.image_size = channels, image_size
        self.features = nn.Sequential(
            nn.Conv2d(channels, filters[0], KERNEL, padding=KERNEL // 2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(filters[0], filters[1], KERNEL),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        side = (image_size // 2 - KERNEL + 1) // 2
        self.neurons = nn.Sequential(
            nn.Flatten(),
            nn.Linear(filters[1] * side * side, neurons[0]),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(neurons[0], neurons[1]),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.classifier = nn.Linear(neurons[1], num_labels)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Logits ``(batch, num_labels)``.

        Args:
            pixel_values: ``(batch, channels, image_size, image_size)`` float, normalised.

        Raises:
            ValueError: the pictures are of another size.
        """
        check_shape(pixel_values, ("batch", self.channels, self.image_size, self.image_size), name="pixel_values")
        maps = self.features(pixel_values)  # (batch, filters[1], side, side)
        return self.classifier(self.neurons(maps))  # (batch, num_labels)
