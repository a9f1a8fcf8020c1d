"""Box algebra in plain torch: conversions, overlap, suppression of doubles, and features cut out of a map (RoIAlign).

A box is x1, y1, x2, y2: its left, upper, right and lower edge in pixels, counted from the upper left corner of the
picture, so that a pixel is 1 wide and its middle lies at 0.5. All functions take boxes of any leading axes unless they
say otherwise. Each is checked against loops in tests/pipelines/models/test_boxes.py.

Papers: Rezatofighi et al. 2019, "Generalized Intersection over Union"; He et al. 2017, "Mask R-CNN", section 3
(RoIAlign); Ren et al. 2015, "Faster R-CNN", section 3.1.2 (offsets).
"""

from __future__ import annotations

import math

import torch

from .shapes import check_shape

LARGEST_GROWTH = math.log(1000 / 16)
"""The most that the logarithm of a side may grow by an offset: what is beyond is a network gone wrong."""


def centres_to_corners(boxes: torch.Tensor) -> torch.Tensor:
    """Corners ``(…, 4)`` of boxes given as centre x, centre y, width, height ``(…, 4)``."""
    centres, sides = boxes.split(2, -1)
    return torch.cat([centres - sides / 2, centres + sides / 2], -1)


def corners_to_centres(boxes: torch.Tensor) -> torch.Tensor:
    """Centre x, centre y, width, height ``(…, 4)`` of boxes given by their corners ``(…, 4)``."""
    upper_left, lower_right = boxes.split(2, -1)
    return torch.cat([(upper_left + lower_right) / 2, lower_right - upper_left], -1)


def areas(boxes: torch.Tensor) -> torch.Tensor:
    """Areas ``(…)`` of boxes ``(…, 4)``, 0 for one whose edges stand the wrong way round."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def clip(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """``boxes`` ``(…, 4)`` cut off at the edges of a picture of ``height`` x ``width`` pixels."""
    limits = boxes.new_tensor([width, height, width, height])
    return boxes.clamp(min=0).minimum(limits)


def pairwise_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Intersection over union, in [0, 1], of every box of ``first`` with every one of ``second``.

    Args:
        first: ``(…, n, 4)``.
        second: ``(…, m, 4)``, with the same leading axes.

    Returns:
        ``(…, n, m)``; 0 where both boxes have no area.

    >>> pairwise_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    left_top = torch.maximum(first[..., :, None, :2], second[..., None, :, :2])
    right_bottom = torch.minimum(first[..., :, None, 2:], second[..., None, :, 2:])
    shared = (right_bottom - left_top).clamp(min=0).prod(-1)  # (…, n, m)
    union = areas(first)[..., :, None] + areas(second)[..., None, :] - shared
    return shared / union.clamp(min=1e-9)


def generalized_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Generalized IoU in (-1, 1] of each box with its partner: IoU less the empty share of the box around both.

    Unlike IoU it tells how far apart two boxes lie that do not touch (Rezatofighi et al. 2019, algorithm 1).

    Args:
        first: ``(…, 4)``.
        second: ``(…, 4)``.

    Returns:
        ``(…)``.
    """
    left_top, right_bottom = (
        torch.maximum(first[..., :2], second[..., :2]),
        torch.minimum(first[..., 2:], second[..., 2:]),
    )
    shared = (right_bottom - left_top).clamp(min=0).prod(-1)
    union = areas(first) + areas(second) - shared
    outer_left_top = torch.minimum(first[..., :2], second[..., :2])
    around = (torch.maximum(first[..., 2:], second[..., 2:]) - outer_left_top).clamp(min=0).prod(-1)
    return shared / union.clamp(min=1e-9) - (around - union) / around.clamp(min=1e-9)


def offsets(boxes: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """How ``boxes`` ``(…, 4)`` lie to ``references`` ``(…, 4)``: Ren et al. 2015, equation 2, ``(…, 4)``.

    The way of the centre in sides of the reference, and the logarithms of how much the sides grow.
    """
    centres, sides = corners_to_centres(boxes).split(2, -1)
    from_centres, from_sides = corners_to_centres(references).split(2, -1)
    return torch.cat([(centres - from_centres) / from_sides, (sides / from_sides).log()], -1)


def moved(references: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """The boxes ``(…, 4)`` that lie to ``references`` as ``offsets`` says: its inverse."""
    centres, sides = corners_to_centres(references).split(2, -1)
    ways, growths = by.split(2, -1)
    grown = sides * growths.clamp(max=LARGEST_GROWTH).exp()
    return centres_to_corners(torch.cat([centres + ways * sides, grown], -1))


def unsuppressed(boxes: torch.Tensor, threshold: float, labels: torch.Tensor | None = None) -> torch.Tensor:
    """Which boxes of each list stay when each that stays drives out those after it that overlap it too much.

    The greedy rule says: a box stays if no earlier one that stays overlaps it. Said of all boxes at once, beginning
    with all of them, and repeated until nothing changes, it comes to the same list: after round k the first k are
    settled, and most lists need few rounds (Zheng et al. 2020, "Enhancing Geometric Factors in Model Learning and
    Inference for Object Detection and Instance Segmentation", Cluster-NMS).

    Args:
        boxes: ``(…, n, 4)``, the best first.
        threshold: intersection over union, in [0, 1], above which two boxes are the same object.
        labels: class ids ``(…, n)``; boxes of different classes leave each other alone. None for a single class.

    Returns:
        ``(…, n)`` bool.
    """
    overlaps = pairwise_iou(boxes, boxes) > threshold
    if labels is not None:
        overlaps = overlaps & (labels[..., :, None] == labels[..., None, :])
    drives_out = overlaps.triu(diagonal=1).float()  # (…, n, n): the row's box is before the column's
    stays = torch.ones(boxes.shape[:-1], dtype=torch.bool, device=boxes.device)
    while True:
        after = (stays[..., None, :].float() @ drives_out)[..., 0, :] == 0
        if torch.equal(after, stays):
            return stays
        stays = after


def nms(
    boxes: torch.Tensor, scores: torch.Tensor, threshold: float, labels: torch.Tensor | None = None
) -> torch.Tensor:
    """Numbers of the boxes that stay after non-maximum suppression, the best first, ``(some,)`` int64.

    Args:
        boxes: ``(n, 4)``.
        scores: ``(n,)``; of equal ones the first comes first.
        threshold: intersection over union, in [0, 1], above which the box with the lower score goes.
        labels: class ids ``(n,)``, to suppress within each class only; None for a single class.

    Raises:
        ValueError: a tensor has other axes.
    """
    check_shape(boxes, ("boxes", 4), name="boxes")
    check_shape(scores, (len(boxes),), name="scores")
    if labels is not None:
        check_shape(labels, (len(boxes),), name="labels")
    order = scores.argsort(descending=True, stable=True)
    return order[unsuppressed(boxes[order], threshold, None if labels is None else labels[order])]


def roi_align(features: torch.Tensor, boxes: torch.Tensor, *, stride: int, size: int, samples: int = 2) -> torch.Tensor:
    """The features within each box, brought to ``size`` x ``size`` cells: RoIAlign of He et al. 2017.

    A cell is the mean of ``samples`` x ``samples`` points spread evenly over it, each interpolated between the four
    features around it. The points of a box stand in rows and columns, and the interpolation works on each axis alone:
    so the whole is a product of three matrices, ``rows @ features @ columns``, which is what a processor does best.

    Args:
        features: ``(batch, channels, height, width)``; the middle of the first lies at ``stride / 2`` pixels.
        boxes: in pixels of the picture, ``(batch, n, 4)``.
        stride: pixels from one feature to the next.
        size: cells of a side.
        samples: points of a cell in each direction.

    Returns:
        ``(batch, n, channels, size, size)``; no gradient goes to ``boxes``.

    Raises:
        ValueError: a tensor has other axes.
    """
    check_shape(features, ("batch", "channels", "height", "width"), name="features")
    check_shape(boxes, (len(features), "boxes", 4), name="boxes")
    batch, channels, height, width = features.shape
    number = boxes.shape[1]
    boxes = boxes.detach().float()
    rows = _interpolation(boxes[..., 1], boxes[..., 3], height, stride, size, samples)  # (batch, n, size, height)
    columns = _interpolation(boxes[..., 0], boxes[..., 2], width, stride, size, samples)  # (batch, n, size, width)
    rows, columns = rows.to(features.dtype), columns.to(features.dtype)
    by_rows = features.permute(0, 2, 3, 1).flatten(2)  # (batch, height, width * channels)
    in_rows = rows.flatten(1, 2) @ by_rows  # (batch, n * size, width * channels)
    in_rows = in_rows.view(batch, number, size, width, channels)
    cells = columns[:, :, None] @ in_rows  # (batch, n, size, size, channels)
    return cells.permute(0, 1, 4, 2, 3)


def _interpolation(
    low: torch.Tensor, high: torch.Tensor, length: int, stride: int, size: int, samples: int
) -> torch.Tensor:
    """Share of each feature along one axis in each cell of each box, ``(batch, n, size, length)``; shares sum to 1.

    Args:
        low: where the boxes begin on this axis, in pixels ``(batch, n)``.
        high: where they end.
        length: features on this axis.
        stride, size, samples: as for ``roi_align``.
    """
    fractions = (torch.arange(size * samples, device=low.device) + 0.5) / (size * samples)
    points = low[..., None] + (high - low)[..., None] * fractions  # (batch, n, size * samples), in pixels
    places = (points / stride - 0.5).clamp(0, length - 1)  # beyond the middles of the outermost features they hold
    distances = places[..., None] - torch.arange(length, device=low.device)  # (batch, n, size * samples, length)
    shares = (1 - distances.abs()).clamp(min=0)
    return shares.unflatten(2, (size, samples)).mean(3)
