"""RandAugment: which two of 14 operations each picture gets, and how strong (Cubuk et al. 2019, sections 3 and 4).

The ranges are those of AutoAugment (Cubuk et al. 2018, table 6), reached at magnitude 30; a sign is drawn where an
operation has two directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .row_draws import RowDraws

NUM_OPERATIONS = 2
"""Operations that each picture gets: N of the paper, 2 for ImageNet (section 4.3)."""

LARGEST_MAGNITUDE = 30.0

RANGES: dict[str, tuple[float, bool]] = {
    "identity": (0.0, False),
    "autocontrast": (0.0, False),
    "equalize": (0.0, False),
    "rotate": (30.0, True),  # degrees
    "solarize": (1.0, False),  # how far the threshold comes down from white
    "colour": (0.9, True),  # saturation, contrast, brightness, sharpness: 1 ± this
    "posterize": (4.0, False),  # bits that are dropped out of 8
    "contrast": (0.9, True),
    "brightness": (0.9, True),
    "sharpness": (0.9, True),
    "shear-x": (0.3, True),
    "shear-y": (0.3, True),
    "translate-x": (150 / 331, True),  # fraction of the side: 150 of 331 pixels
    "translate-y": (150 / 331, True),
}
"""Operation -> what magnitude 30 means, and whether it has two directions."""

_NAMES = tuple(RANGES)


@dataclass(frozen=True)
class DrawnOperations:
    """One operation for each picture.

    Attributes:
        index: (batch,) int64: its place in `RANGES`.
        strengths: (batch,) float64, in the unit of the operation, with its sign.
    """

    index: np.ndarray
    strengths: np.ndarray

    def has(self, name: str) -> np.ndarray:
        """(batch,) bool: whether a picture gets the operation ``name``."""
        return self.index == _NAMES.index(name)

    def of(self, name: str) -> np.ndarray:
        """(batch,) float64: the strength of the operation ``name``, 0 for pictures that do not get it."""
        return np.where(self.has(name), self.strengths, 0.0)


def drawn_operations(magnitude: float, draws: RowDraws) -> list[DrawnOperations]:
    """The operations of each picture, first to last, at ``magnitude`` in [0, 30]."""
    largest = np.array([reach for reach, _ in RANGES.values()])
    has_sign = np.array([both for _, both in RANGES.values()])
    drawn = []
    for layer in range(NUM_OPERATIONS):
        numbers = draws.uniform(f"randaugment {layer}", 2)
        index = np.floor(numbers[:, 0] * len(RANGES)).astype(np.int64)
        sign = np.where(has_sign[index] & (numbers[:, 1] < 0.5), -1.0, 1.0)
        drawn.append(DrawnOperations(index, sign * largest[index] * magnitude / LARGEST_MAGNITUDE))
    return drawn
