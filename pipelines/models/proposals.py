"""The first of the two stages of Faster R-CNN: anchors, which of them are objects, and the proposals made of them.

Paper: Ren et al. 2015, "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks", section 3.1.
The network slides over one map (here at stride 8, where the paper has 16, for its pictures are larger); at each place
it judges boxes of a few sizes and shapes, the anchors, and says how each had to be moved to fit.

Axes: batch, anchors (of all places), objects (padded).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .boxes import clip, moved, offsets, pairwise_iou, unsuppressed
from .detection_backbone import FaintConvolution
from .detections import Targets

RATIOS = (0.5, 1.0, 2.0)
"""Height over width of the anchors, section 3.3."""

ANCHOR_IS_OBJECT, ANCHOR_IS_NONE = 0.7, 0.3
"""Overlap from which an anchor is an object, and below which it is none, section 3.1.2."""

ANCHORS_LEARNT = 256
"""Anchors of a picture that are drawn to learn from, at most half of them objects, section 3.1.3."""

SAME_PROPOSAL = 0.7
"""Overlap above which two proposals are the same, section 3.3."""

CANDIDATES = 600
"""Of a picture's anchors, how many enter the suppression of doubles."""

SMALLEST = 2.0
"""Pixels of the shortest side of a proposal."""

SMOOTH = 1.0 / 9
"""Where the loss of an offset turns from square to straight, as in the authors' code."""


class Proposals(NamedTuple):
    """Boxes of which some may hold an object, the same number for every picture.

    Attributes:
        boxes: ``(batch, n, 4)`` in pixels, without a gradient.
        mask: False at boxes that only fill up the number ``(batch, n)``.
    """

    boxes: torch.Tensor
    mask: torch.Tensor


class ProposalNetwork(nn.Module):
    """Judges the anchors at every place of a map.

    Args:
        filters: channels of the map.
        sizes: of the anchors, in pixels: the root of their areas.
        stride: pixels from one place of the map to the next.
    """

    def __init__(self, filters: int, *, sizes: Sequence[int], stride: int) -> None:
        super().__init__()
        self.sizes, self.stride = tuple(sizes), stride
        number = len(self.sizes) * len(RATIOS)
        self.sliding = nn.Sequential(nn.Conv2d(filters, filters, 3, padding=1), nn.ReLU())
        self.objectness = FaintConvolution(filters, number)
        self.offsets = FaintConvolution(filters, 4 * number)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits that an anchor is an object, offsets, and the anchors.

        Args:
            maps: ``(batch, filters, height, width)``.

        Returns:
            ``(batch, anchors)``, ``(batch, anchors, 4)``, both float32, and ``(anchors, 4)`` in pixels.
        """
        seen = self.sliding(maps)
        logits = self.objectness(seen).permute(0, 2, 3, 1).flatten(1)  # (batch, anchors): place by place
        by = self.offsets(seen).permute(0, 2, 3, 1).reshape(len(maps), -1, 4)  # (batch, anchors, 4)
        return logits.float(), by.float(), self.anchors(maps)

    def anchors(self, maps: torch.Tensor) -> torch.Tensor:
        """All anchors of a map ``(batch, filters, height, width)``, place by place, ``(anchors, 4)`` in pixels."""
        height, width = maps.shape[2:]
        sizes = torch.tensor(self.sizes, dtype=torch.float32, device=maps.device)[:, None]
        roots = torch.tensor(RATIOS, dtype=torch.float32, device=maps.device).sqrt()
        half = torch.stack([sizes / roots, sizes * roots], -1).flatten(0, 1) / 2  # (sizes * ratios, 2): width, height
        y = (torch.arange(height, device=maps.device) + 0.5) * self.stride
        x = (torch.arange(width, device=maps.device) + 0.5) * self.stride
        centres = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)[:, :, None]
        return torch.cat([centres - half, centres + half], -1).flatten(0, 2)


def propose(
    logits: torch.Tensor, by: torch.Tensor, anchors: torch.Tensor, *, size: tuple[int, int], number: int
) -> Proposals:
    """The best boxes of each picture, doubles suppressed.

    Args:
        logits, by, anchors: as ``ProposalNetwork`` gives them.
        size: height and width of the input in pixels.
        number: of proposals.
    """
    logits, by = logits.detach(), by.detach()
    order = logits.topk(min(CANDIDATES, logits.shape[1]), dim=1).indices
    boxes = clip(moved(anchors[order], by.gather(1, order[:, :, None].expand(-1, -1, 4))), *size)
    is_box = (boxes[..., 2:] - boxes[..., :2]).amin(-1) >= SMALLEST
    stays = unsuppressed(boxes, SAME_PROPOSAL) & is_box
    # Those that stay to the front, in their order.
    front = (~stays).to(torch.int8).argsort(dim=1, stable=True)[:, :number]
    return Proposals(boxes.gather(1, front[:, :, None].expand(-1, -1, 4)), stays.gather(1, front))


def proposal_loss(
    logits: torch.Tensor, by: torch.Tensor, anchors: torch.Tensor, targets: Targets, *, size: tuple[int, int]
) -> torch.Tensor:
    """The loss of the first stage (equation 1), of each picture the mean over the anchors drawn, summed over the batch.

    Args:
        logits, by, anchors: as ``ProposalNetwork`` gives them.
        targets: the objects.
        size: height and width of the input in pixels; anchors that stick out of it learn nothing but where they fit an
            object best.
    """
    with torch.no_grad():
        overlaps = pairwise_iou(anchors.expand(len(logits), -1, 4), targets.boxes) * targets.mask[:, None]
        is_object, is_none, objects = matched(overlaps, ANCHOR_IS_OBJECT, ANCHOR_IS_NONE)
        whole = (anchors[:, :2] >= 0).all(1) & (anchors[:, 2] <= size[1]) & (anchors[:, 3] <= size[0])
        is_object, is_none = is_object & (whole | _is_best(overlaps)), is_none & whole
        objects_drawn, none_drawn = draw(is_object, is_none, ANCHORS_LEARNT, 0.5)
        drawn = objects_drawn | none_drawn
        number = drawn.sum(1, keepdim=True).clamp(min=1)  # (batch, 1)
    scores = functional.binary_cross_entropy_with_logits(logits, objects_drawn.float(), reduction="none")
    loss = (scores * drawn / number).sum()
    rows, places = objects_drawn.nonzero(as_tuple=True)
    wanted = offsets(targets.boxes[rows, objects[rows, places]].float(), anchors[places])
    far = functional.smooth_l1_loss(by[rows, places], wanted, beta=SMOOTH, reduction="none").sum(1)
    return loss + (far / number[rows, 0]).sum()


def matched(overlaps: torch.Tensor, above: float, below: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which boxes are objects, which are none, and which object each would be.

    Args:
        overlaps: of the boxes with the objects ``(batch, boxes, objects)``, 0 at the padding.
        above: an overlap of at least this makes a box an object; so does being the best there is for an object.
        below: an overlap of less than this with every object makes a box none.

    Returns:
        Three tensors ``(batch, boxes)``: bool, bool, int64.
    """
    if not overlaps.shape[2]:
        nothing = torch.zeros(overlaps.shape[:2], dtype=torch.bool, device=overlaps.device)
        return nothing, ~nothing, nothing.long()
    largest, objects = overlaps.max(2)
    is_object = (largest >= above) | _is_best(overlaps)
    return is_object, (largest < below) & ~is_object, objects


def draw(
    is_object: torch.Tensor, is_none: torch.Tensor, number: int, share: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """At most ``number`` boxes of each picture, drawn by chance; at most ``share`` of them objects.

    Args:
        is_object: ``(batch, boxes)``.
        is_none: ``(batch, boxes)``.
        number: of boxes; fewer where there are not so many.
        share: in [0, 1].

    Returns:
        Which objects and which others were drawn, both ``(batch, boxes)`` bool.
    """
    objects = is_object & (_places_in_a_lot(is_object) < int(number * share))
    left = number - objects.sum(1, keepdim=True)
    return objects, is_none & (_places_in_a_lot(is_none) < left)


def _places_in_a_lot(candidates: torch.Tensor) -> torch.Tensor:
    """The candidates ``(batch, boxes)`` numbered from 0 in an order drawn by chance, before all others."""
    lots = torch.rand(candidates.shape, device=candidates.device).masked_fill(~candidates, 2.0)
    return lots.argsort(1).argsort(1)


def _is_best(overlaps: torch.Tensor) -> torch.Tensor:
    """Whether no box overlaps one of the objects more than this one ``(batch, boxes)``."""
    if not overlaps.shape[2]:
        return torch.zeros(overlaps.shape[:2], dtype=torch.bool, device=overlaps.device)
    best = overlaps.amax(1, keepdim=True)  # (batch, 1, objects)
    return ((overlaps == best) & (best > 0)).any(2)
