"""A one-stage detector: every place of three maps says at once what stands there and how far its edges are.

    picture -> backbone -> maps at strides 8, 16, 32 -> coarse to fine and back -> scores and boxes at every place

The idea is of Redmon et al. 2016, "You Only Look Once". What has become of it since: maps at three scales, put
together from coarse to fine (Lin et al. 2017, "Feature Pyramid Networks") and back (Liu et al. 2018, "Path Aggregation
Network"); no anchors, but the distances of the four edges (Tian et al. 2019, "FCOS"); classes and edges in branches of
their own (Ge et al. 2021, "YOLOX"); places that learn an object chosen by how well they already do (task_alignment.py).
This network is none of the published ones, but built of their parts for pictures of some 256 pixels and few of them.

Axes: batch, channels, height, width; places (of all maps, the finest first), objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .boxes import clip, generalized_iou, nms
from .detection_backbone import STRIDES, ConvolutionUnit, CrossStage, DetectionBackbone, FaintConvolution, centres_of
from .detections import Detections, Targets
from .task_alignment import assign

FIRST_SCORE = 0.01
"""What every place scores before training: most hold nothing (Lin et al. 2017, "Focal Loss", section 4.1)."""

LARGEST_DISTANCE = 5.0
"""Logarithm of the most strides that an edge may be away: 148, beyond any picture; it keeps the exponential finite."""

BOX_WEIGHT = 5.0
"""How much the fit of the boxes counts beside the scores, as in YOLOX."""

CANDIDATES = 1000
"""Of a picture's answers, how many enter the suppression of doubles."""


class YoloOutputs(NamedTuple):
    """What the network says of a batch, at every place.

    Attributes:
        logits: of the classes ``(batch, places, num_labels)`` float32; a sigmoid makes scores of them.
        boxes: ``(batch, places, 4)`` float32, x1, y1, x2, y2 in pixels of the input.
        centres: x, y of the places in pixels ``(places, 2)``.
        size: height and width of the input in pixels.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    centres: torch.Tensor
    size: tuple[int, int]


class ClassScores(nn.Conv2d):
    """A score for each class at every place, which begins low everywhere."""

    def reset_parameters(self) -> None:
        """Draws the weights anew."""
        super().reset_parameters()
        if self.bias is not None:
            nn.init.constant_(self.bias, -math.log((1 - FIRST_SCORE) / FIRST_SCORE))


class Pyramid(nn.Module):
    """Three maps, each told by the coarser ones what stands there and by the finer ones where.

    Args:
        filters: channels of the maps, the finest first; they keep them.
    """

    def __init__(self, filters: Sequence[int]) -> None:
        super().__init__()
        fine, middle, coarse = filters
        self.down_to_middle = CrossStage(coarse + middle, middle, 1)
        self.down_to_fine = CrossStage(middle + fine, fine, 1)
        self.halved_fine = ConvolutionUnit(fine, fine, 3, 2)
        self.up_to_middle = CrossStage(fine + middle, middle, 1)
        self.halved_middle = ConvolutionUnit(middle, middle, 3, 2)
        self.up_to_coarse = CrossStage(middle + coarse, coarse, 1)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        fine, middle, coarse = maps
        middle = self.down_to_middle(torch.cat([_doubled(coarse), middle], 1))
        fine = self.down_to_fine(torch.cat([_doubled(middle), fine], 1))
        middle = self.up_to_middle(torch.cat([self.halved_fine(fine), middle], 1))
        coarse = self.up_to_coarse(torch.cat([self.halved_middle(middle), coarse], 1))
        return [fine, middle, coarse]


class YoloDetector(nn.Module):
    """Scores and boxes at every place of a picture.

    Args:
        channels: of the pictures: 1 for grey, 3 for colour.
        num_labels: number of classes.
        filters: channels at the strides 2, 4, 8, 16 and 32.
        blocks: residual blocks at the strides 4, 8, 16 and 32.
        head_filters: channels of the branches for classes and edges.

    Raises:
        ValueError: ``filters`` are not five or ``blocks`` not four.
    """

    def __init__(
        self, *, channels: int, num_labels: int, filters: Sequence[int], blocks: Sequence[int], head_filters: int
    ) -> None:
        super().__init__()
        self.num_labels = num_labels
        self.backbone = DetectionBackbone(channels=channels, filters=filters, blocks=blocks)
        self.pyramid = Pyramid(filters[2:])
        self.entrances = nn.ModuleList(ConvolutionUnit(inputs, head_filters, 1) for inputs in filters[2:])
        self.class_branches = nn.ModuleList(ConvolutionUnit(head_filters, head_filters, 3) for _ in STRIDES)
        self.edge_branches = nn.ModuleList(ConvolutionUnit(head_filters, head_filters, 3) for _ in STRIDES)
        # The same for all scales: an object looks alike in the map that fits its size.
        self.classifier = ClassScores(head_filters, num_labels, 1)
        # Logarithms of the distances to the edges, in strides: at first the boxes are two strides wide.
        self.edges = FaintConvolution(head_filters, 4)

    def forward(self, pixel_values: torch.Tensor) -> YoloOutputs:
        """Scores and boxes at all places.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised; height and width multiples of 32.

        Raises:
            ValueError: the pictures have other channels or other sides.
        """
        maps = self.pyramid(self.backbone(pixel_values))
        logits, distances = [], []
        for one, entrance, classes, edges in zip(
            maps, self.entrances, self.class_branches, self.edge_branches, strict=True
        ):
            entered = entrance(one)  # (batch, head_filters, height / stride, width / stride)
            logits.append(_by_place(self.classifier(classes(entered))))  # (batch, places of the map, num_labels)
            distances.append(_by_place(self.edges(edges(entered))))
        centres, strides = centres_of(maps)
        away = torch.cat(distances, 1).float().clamp(max=LARGEST_DISTANCE).exp() * strides[:, None]
        boxes = torch.cat([centres - away[..., :2], centres + away[..., 2:]], -1)  # (batch, places, 4)
        height, width = pixel_values.shape[2:]
        return YoloOutputs(torch.cat(logits, 1).float(), boxes, centres, (height, width))

    def loss(self, outputs: YoloOutputs, targets: Targets) -> torch.Tensor:
        """The loss summed over all objects of the batch; divide by their number, or 1 if there is none.

        Binary cross-entropy of the scores, at every place and for every class, against how well each place is to score;
        and one minus the generalized IoU of the boxes at the places that learn an object, weighted by the same.

        Args:
            outputs: of ``forward``.
            targets: the objects.

        Raises:
            ValueError: the targets do not fit the batch.
        """
        targets.check(len(outputs.logits), self.num_labels)
        found = assign(outputs.logits.sigmoid(), outputs.boxes, outputs.centres, targets, finest=STRIDES[0])
        wanted = torch.zeros_like(outputs.logits)
        rows, places = found.learns.nonzero(as_tuple=True)
        objects = found.objects[rows, places]
        weights = found.weights[rows, places]
        wanted[rows, places, targets.labels[rows, objects]] = weights
        scores = functional.binary_cross_entropy_with_logits(outputs.logits, wanted, reduction="sum")
        fits = generalized_iou(outputs.boxes[rows, places], targets.boxes[rows, objects].float())
        return scores + BOX_WEIGHT * ((1 - fits) * weights).sum()

    def detect(
        self, outputs: YoloOutputs, *, threshold: float = 0.01, overlap: float = 0.6, most: int = 100
    ) -> list[Detections]:
        """The objects of each picture.

        Args:
            outputs: of ``forward``.
            threshold: the lowest score.
            overlap: intersection over union above which two boxes of a class are the same object.
            most: objects of a picture.
        """
        boxes = clip(outputs.boxes, *outputs.size)
        found = []
        for scores, places in zip(outputs.logits.sigmoid(), boxes, strict=True):
            flat = scores.flatten()  # (places * num_labels,)
            best, order = flat.topk(min(CANDIDATES, len(flat)))
            order, best = order[best > threshold], best[best > threshold]
            labels = order % self.num_labels
            candidates = places[order // self.num_labels]
            kept = nms(candidates, best, overlap, labels)[:most]
            found.append(Detections(candidates[kept], best[kept], labels[kept]))
        return found


def _doubled(maps: torch.Tensor) -> torch.Tensor:
    """``(batch, channels, 2 * height, 2 * width)``: every feature four times."""
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def _by_place(maps: torch.Tensor) -> torch.Tensor:
    """``(batch, height * width, channels)``."""
    return maps.flatten(2).transpose(1, 2)
