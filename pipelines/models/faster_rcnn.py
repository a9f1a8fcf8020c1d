"""A two-stage detector, Faster R-CNN: proposals first, then each of them looked at by itself.

    picture -> backbone -> one map -> anchors judged -> proposals (proposals.py)
                                   -> features of each proposal (RoIAlign) -> class, and how the box has to be moved

Paper: Ren et al. 2015, "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks"; both stages
are trained together, without a gradient through the places of the proposals ("approximate joint training", section
3.2). Other than there, and as usual since: the backbone is small, its three maps are put together into one at stride 8
(the finest level of Lin et al. 2017, "Feature Pyramid Networks", section 3), and features are cut out by RoIAlign (He
et al. 2017, "Mask R-CNN"). "Fast R-CNN" below is Girshick 2015.

Axes: batch, channels, height, width; n (proposals of a picture), objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .boxes import clip, moved, nms, offsets, pairwise_iou, roi_align
from .detection_backbone import STRIDES, ConvolutionUnit, DetectionBackbone, FaintLinear
from .detections import Detections, Targets
from .proposals import SMOOTH, ProposalNetwork, Proposals, draw, matched, proposal_loss, propose

CELLS = 7
"""Cells of a side into which a proposal's features are brought, as in the paper's section 3.3 for VGG-16."""

LEARNT, OBJECT_SHARE = 64, 0.25
"""Proposals of a picture that are drawn to learn from, and how many of them are objects at most (Fast R-CNN, 2.3)."""

IS_OBJECT = 0.5
"""Overlap from which a proposal is an object (Fast R-CNN, section 2.3)."""

OFFSET_SPREAD = (0.1, 0.1, 0.2, 0.2)
"""Offsets of the second stage are learnt in these units, which makes them about as large as the scores' errors."""


class FasterRcnnOutputs(NamedTuple):
    """What the first stage says of a batch, and what the second reads.

    Attributes:
        maps: features at stride 8 ``(batch, filters, height, width)``.
        logits: whether an anchor is an object ``(batch, anchors)`` float32.
        offsets: how it has to be moved ``(batch, anchors, 4)`` float32.
        anchors: ``(anchors, 4)`` in pixels.
        proposals: the best of them.
        size: height and width of the input in pixels.
    """

    maps: torch.Tensor
    logits: torch.Tensor
    offsets: torch.Tensor
    anchors: torch.Tensor
    proposals: Proposals
    size: tuple[int, int]


class BoxHead(nn.Module):
    """Class and offsets of each proposal out of its features.

    Args:
        filters: channels of the map.
        neurons: of the two layers between.
        num_labels: number of classes.
    """

    def __init__(self, filters: int, neurons: int, num_labels: int) -> None:
        super().__init__()
        # Normalised, since the network starts from scratch: He et al. 2019, "Rethinking ImageNet Pre-training", 3.1.
        self.neurons = nn.Sequential(
            nn.Linear(filters * CELLS * CELLS, neurons),
            nn.LayerNorm(neurons),
            nn.ReLU(),
            nn.Linear(neurons, neurons),
            nn.LayerNorm(neurons),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(neurons, num_labels + 1)  # the last: no object
        self.offsets = FaintLinear(neurons, 4 * num_labels)

    def forward(self, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits ``(batch, n, num_labels + 1)`` and offsets ``(batch, n, num_labels, 4)``, both float32.

        Args:
            cells: ``(batch, n, filters, 7, 7)``.
        """
        seen = self.neurons(cells.flatten(2))  # (batch, n, neurons)
        by = self.offsets(seen).float().unflatten(2, (-1, 4))
        return self.classifier(seen).float(), by * by.new_tensor(OFFSET_SPREAD)


class FasterRcnn(nn.Module):
    """Proposals, and the class and the box of each.

    Args:
        channels: of the pictures: 1 for grey, 3 for colour.
        num_labels: number of classes.
        filters: channels of the backbone at the strides 2, 4, 8, 16 and 32.
        blocks: its residual blocks at the strides 4, 8, 16 and 32.
        head_filters: channels of the map that both stages read.
        neurons: of the two layers of the second stage.
        anchor_sizes: in pixels of the input.
        proposals: of a picture.

    Raises:
        ValueError: ``filters`` are not five, ``blocks`` not four, or ``anchor_sizes`` is empty.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_labels: int,
        filters: Sequence[int],
        blocks: Sequence[int],
        head_filters: int,
        neurons: int,
        anchor_sizes: Sequence[int],
        proposals: int,
    ) -> None:
        super().__init__()
        if not anchor_sizes or min(anchor_sizes) < 1:
            raise ValueError(f"anchor_sizes is {tuple(anchor_sizes)}, expected one or more sizes of at least 1 pixel.")
        self.num_labels, self.number = num_labels, proposals
        self.backbone = DetectionBackbone(channels=channels, filters=filters, blocks=blocks)
        self.sides = nn.ModuleList(nn.Conv2d(inputs, head_filters, 1) for inputs in filters[2:])
        self.smoothed = ConvolutionUnit(head_filters, head_filters, 3)
        self.proposer = ProposalNetwork(head_filters, sizes=anchor_sizes, stride=STRIDES[0])
        self.head = BoxHead(head_filters, neurons, num_labels)

    @property
    def classifier(self) -> nn.Linear:
        """The last layer, which tells the classes apart."""
        return self.head.classifier

    def forward(self, pixel_values: torch.Tensor) -> FasterRcnnOutputs:
        """The first stage.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised; height and width multiples of 32.

        Raises:
            ValueError: the pictures have other channels or other sides.
        """
        fine, middle, coarse = (side(maps) for side, maps in zip(self.sides, self.backbone(pixel_values), strict=True))
        middle = middle + functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine = fine + functional.interpolate(middle, scale_factor=2.0, mode="nearest")
        maps = self.smoothed(fine)  # (batch, head_filters, height / 8, width / 8)
        logits, by, anchors = self.proposer(maps)
        height, width = pixel_values.shape[2:]
        size = (height, width)
        proposals = propose(logits, by, anchors, size=size, number=self.number)
        return FasterRcnnOutputs(maps, logits, by, anchors, proposals, size)

    def second_stage(self, maps: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the second stage says of ``boxes`` ``(batch, n, 4)``; results as of ``BoxHead.forward``."""
        return self.head(roi_align(maps, boxes, stride=STRIDES[0], size=CELLS))

    def loss(self, outputs: FasterRcnnOutputs, targets: Targets) -> torch.Tensor:
        """The losses of both stages, of each picture the mean over what was drawn, summed over the batch.

        Args:
            outputs: of ``forward``.
            targets: the objects.

        Raises:
            ValueError: the targets do not fit the batch.
        """
        targets.check(len(outputs.maps), self.num_labels)
        first = proposal_loss(outputs.logits, outputs.offsets, outputs.anchors, targets, size=outputs.size)
        boxes, labels, objects, number = self._drawn(outputs.proposals, targets)
        logits, by = self.second_stage(outputs.maps, boxes)
        scores = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-1, reduction="none")
        second = (scores / number).sum()
        rows, places = ((labels >= 0) & (labels < self.num_labels)).nonzero(as_tuple=True)
        true = targets.boxes[rows, objects[rows, places]].float()
        spread = by.new_tensor(OFFSET_SPREAD)
        wanted = offsets(true, boxes[rows, places]) / spread
        given = by[rows, places, labels[rows, places]] / spread
        far = functional.smooth_l1_loss(given, wanted, beta=SMOOTH, reduction="none").sum(1)
        return first + second + (far / number[rows, 0]).sum()

    @torch.no_grad()
    def _drawn(
        self, proposals: Proposals, targets: Targets
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the second stage learns: proposals and the true boxes, drawn by chance.

        Returns:
            Boxes ``(batch, n, 4)``; labels ``(batch, n)``, of which ``num_labels`` is no object and -1 was not drawn;
            numbers of their objects ``(batch, n)``; how many of a picture were drawn ``(batch, 1)``, at least 1.
        """
        mask = targets.mask
        boxes = torch.cat([targets.boxes.float(), proposals.boxes], 1)
        is_box = torch.cat([mask, proposals.mask], 1)
        overlaps = pairwise_iou(boxes, targets.boxes.float()) * mask[:, None]
        is_object, is_none, objects = matched(overlaps, IS_OBJECT, IS_OBJECT)
        objects_drawn, none_drawn = draw(is_object & is_box, is_none & is_box, LEARNT, OBJECT_SHARE)
        drawn = objects_drawn | none_drawn
        front = (~drawn).to(torch.int8).argsort(dim=1, stable=True)[:, :LEARNT]  # nothing is drawn beyond
        if not targets.labels.shape[1]:
            labels = torch.full_like(objects, self.num_labels)
        else:
            labels = torch.where(objects_drawn, targets.labels.gather(1, objects), self.num_labels)
        labels = labels.masked_fill(~drawn, -1).gather(1, front)
        boxes = boxes.gather(1, front[:, :, None].expand(-1, -1, 4))
        # A padded box has no extent to be measured in.
        boxes = torch.where((labels >= 0)[:, :, None], boxes, boxes.new_tensor([0.0, 0.0, 1.0, 1.0]))
        return boxes, labels, objects.gather(1, front), drawn.sum(1, keepdim=True).clamp(min=1)

    def detect(
        self, outputs: FasterRcnnOutputs, *, threshold: float = 0.01, overlap: float = 0.5, most: int = 100
    ) -> list[Detections]:
        """The objects of each picture, by the second stage.

        Args:
            outputs: of ``forward``.
            threshold: the lowest score.
            overlap: intersection over union above which two boxes of a class are the same object.
            most: objects of a picture.
        """
        proposals = outputs.proposals
        logits, by = self.second_stage(outputs.maps, proposals.boxes)
        scores = logits.softmax(2)[..., :-1] * proposals.mask[:, :, None]  # (batch, n, num_labels)
        boxes = clip(moved(proposals.boxes[:, :, None].expand_as(by), by), *outputs.size)  # (batch, n, num_labels, 4)
        found = []
        for score, box in zip(scores.flatten(1), boxes.flatten(1, 2), strict=True):
            order = (score > threshold).nonzero()[:, 0]
            labels = order % self.num_labels
            kept = nms(box[order], score[order], overlap, labels)[:most]
            found.append(Detections(box[order][kept], score[order][kept], labels[kept]))
        return found
