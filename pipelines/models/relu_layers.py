"""Layers before a ReLU, drawn so that signals keep their size through a deep network.

He et al. 2015, "Delving Deep into Rectifiers", section 2.2: a ReLU halves the variance of what it is given, so weights
of variance 2 / inputs make up for it; biases are zero. Torch's own start has a sixth of that variance, with which
a signal is all but lost after the sixteen layers of a VGG.
"""

from __future__ import annotations

from torch import nn


def _draw(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class ReluConvolution(nn.Conv2d):
    """A ``Conv2d`` that a ReLU follows."""

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        _draw(self)


class ReluLinear(nn.Linear):
    """A ``Linear`` that a ReLU follows."""

    def reset_parameters(self) -> None:
        """Draws all weights anew."""
        _draw(self)
