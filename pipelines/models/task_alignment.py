"""Which places of a detector's maps learn which object: the task-aligned assignment of Feng et al. 2021, "TOOD".

A place is good for an object if it already gives the object's class a high score and a box that fits: the product
score^a · IoU^b ranks the places that lie within the object, and the best few of them learn it (section 3.2). So scores
and boxes come to agree, and no rule about sizes and scales has to be set by hand. At first all scores are equal and the
boxes are two strides wide, so the rank says which scale the object belongs to. Checked against loops in
tests/pipelines/models/test_task_alignment.py.

Axes: batch, places (of all maps), objects (padded).
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from .boxes import pairwise_iou
from .detections import Targets

SCORE_POWER, IOU_POWER = 1.0, 6.0
"""The exponents of TOOD, section 4.1."""

BEST = 10
"""Places that learn an object: smaller numbers teach slowly, larger ones take places at its edge (TOOD has 13)."""


class Assignment(NamedTuple):
    """What each place learns.

    Attributes:
        objects: number of its object among the picture's ``(batch, places)`` int64; anything where there is none.
        weights: how well it is to score, in [0, 1] ``(batch, places)``: 0 where there is no object; the place of the
            highest rank gets the largest IoU that the object has with a box, the others less as their rank is lower.
        learns: True at the places that learn an object ``(batch, places)``.
    """

    objects: torch.Tensor
    weights: torch.Tensor
    learns: torch.Tensor


@torch.no_grad()
def assign(
    scores: torch.Tensor, boxes: torch.Tensor, centres: torch.Tensor, targets: Targets, *, finest: float
) -> Assignment:
    """What each place learns.

    Args:
        scores: that the places give now, in [0, 1] ``(batch, places, num_labels)``.
        boxes: that they give now ``(batch, places, 4)``.
        centres: x, y of the places in pixels ``(places, 2)``.
        targets: the objects.
        finest: pixels between two places of the finest map; an object smaller than this counts as that large when the
            places within it are looked for, so that there is one.
    """
    batch, places, _ = boxes.shape
    mask = targets.mask  # (batch, objects)
    if not mask.any():
        nothing = torch.zeros(batch, places, device=boxes.device)
        return Assignment(nothing.long(), nothing, nothing.bool())
    inside = _inside(centres, targets.boxes, finest) & mask[:, :, None]  # (batch, objects, places)
    labels = targets.labels.clamp(min=0)
    of_class = scores.transpose(1, 2).gather(1, labels[:, :, None].expand(-1, -1, places))  # (batch, objects, places)
    fits = pairwise_iou(targets.boxes, boxes) * inside
    ranks = of_class.pow(SCORE_POWER) * fits.pow(IOU_POWER) * inside
    best = ranks.masked_fill(~inside, -1.0).topk(min(BEST, places), dim=2).indices
    chosen = torch.zeros_like(inside).scatter_(2, best, True) & inside  # (batch, objects, places)
    # A place within several objects learns the one that its box fits best.
    objects = fits.masked_fill(~chosen, -1.0).argmax(1)  # (batch, places)
    chosen = chosen & (torch.arange(inside.shape[1], device=boxes.device)[:, None] == objects[:, None])
    ranks, fits = ranks * chosen, fits * chosen
    shares = ranks / ranks.amax(2, keepdim=True).clamp(min=1e-12) * fits.amax(2, keepdim=True)
    return Assignment(objects, shares.sum(1), chosen.any(1))


def _inside(centres: torch.Tensor, boxes: torch.Tensor, finest: float) -> torch.Tensor:
    """Whether each place lies within each box ``(batch, objects, places)``."""
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2
    reach = ((boxes[..., 2:] - boxes[..., :2]) / 2).clamp(min=finest / 2)  # (batch, objects, 2)
    return ((centres - middles[:, :, None]).abs() <= reach[:, :, None]).all(-1)
