"""What detectors learn from and what they answer, and their answers in the form that transformers works with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from .boxes import corners_to_centres
from .shapes import IGNORED, check_shape

QUERIES = 100
"""Answers that a picture gets, as many as COCO's evaluation reads."""

NOWHERE = -1e4
"""Logit of what is impossible: its probability is 0 in float32, and no arithmetic with it becomes infinite."""


class Targets(NamedTuple):
    """The objects of a batch of pictures.

    Attributes:
        boxes: ``(batch, objects, 4)`` float, x1, y1, x2, y2 in pixels of the network's input; anything at the padding.
        labels: class ids ``(batch, objects)`` int64, ``IGNORED`` at the padding.
    """

    boxes: torch.Tensor
    labels: torch.Tensor

    @property
    def mask(self) -> torch.Tensor:
        """True where there is an object, ``(batch, objects)``."""
        return self.labels != IGNORED

    def check(self, batch: int, num_labels: int) -> None:
        """Nothing, if these are targets for ``batch`` pictures and ``num_labels`` classes.

        Raises:
            ValueError: the axes are others, a label is no class id, or a box has no area.
        """
        check_shape(self.boxes, (batch, "objects", 4), name="target boxes")
        check_shape(self.labels, tuple(self.boxes.shape[:2]), name="target labels")
        labels, boxes = self.labels[self.mask], self.boxes[self.mask]
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_labels:
            raise ValueError(
                f"target labels run from {int(labels.min())} to {int(labels.max())}, expected class ids from 0 to "
                f"{num_labels - 1}, and {IGNORED} at the padding."
            )
        if bool((boxes[:, 2:] <= boxes[:, :2]).any()):
            wrong = boxes[(boxes[:, 2:] <= boxes[:, :2]).any(1)][0].tolist()
            raise ValueError(f"a target box is {wrong}, expected x1, y1, x2, y2 with x1 < x2 and y1 < y2.")


class Detections(NamedTuple):
    """The objects found in one picture, the surest first.

    Attributes:
        boxes: ``(objects, 4)`` float32, x1, y1, x2, y2 in pixels of the network's input.
        scores: ``(objects,)`` float32 in [0, 1].
        labels: class ids ``(objects,)`` int64.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor


def pad_targets(boxes: Sequence[torch.Tensor], labels: Sequence[torch.Tensor]) -> Targets:
    """The objects of several pictures, filled up to the largest number of them.

    Args:
        boxes: of each picture ``(objects, 4)``.
        labels: of each picture ``(objects,)``.
    """
    most = max((len(one) for one in labels), default=0)
    first = boxes[0]
    padded = Targets(
        first.new_zeros(len(boxes), most, 4),
        torch.full((len(labels), most), IGNORED, dtype=torch.int64, device=first.device),
    )
    for row, (some, ids) in enumerate(zip(boxes, labels, strict=True)):
        padded.boxes[row, : len(some)] = some
        padded.labels[row, : len(ids)] = ids
    return padded


def queries(
    found: Sequence[Detections], sizes: torch.Tensor, *, number: int, num_labels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Detections as DETR answers: logits with a last class "no object", and boxes as fractions of the picture.

    The softmax over the logits gives an object's score for its class, and the rest for "no object".

    Args:
        found: of each picture.
        sizes: height and width in pixels of each picture within the input ``(batch, 2)``.
        number: how many answers a picture gets; of more detections the surest are taken.
        num_labels: number of classes.

    Returns:
        Logits ``(batch, number, num_labels + 1)``, and centre x, centre y, width, height in [0, 1]
        ``(batch, number, 4)``.
    """
    logits = sizes.new_full((len(found), number, num_labels + 1), NOWHERE, dtype=torch.float32)
    logits[..., -1] = 0.0
    centres = torch.zeros(len(found), number, 4, device=sizes.device)
    for row, (boxes, scores, labels) in enumerate(found):
        count = min(number, len(scores))
        height, width = sizes[row].tolist()
        places = torch.arange(count, device=sizes.device)
        logits[row, places, labels[:count]] = scores[:count].log().clamp(min=NOWHERE)
        logits[row, :count, -1] = torch.log1p(-scores[:count]).clamp(min=NOWHERE)
        fractions = boxes[:count] / boxes.new_tensor([width, height, width, height])
        centres[row, :count] = corners_to_centres(fractions.clamp(0, 1))
    return logits, centres
