"""What makes a plain detector a transformers model that answers as DETR does, so that transformers' own
post-processing and pipeline for object detection read its answers.

This file and the ones it imports are copied into every checkpoint, so that it loads in transformers without Quintet.
Hence relative imports of files beside it only, and ValueError for what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.utils.generic import ModelOutput

from .boxes import centres_to_corners
from .detections import QUERIES, Targets, pad_targets, queries
from .image_adapter import ImageModel


@dataclass
class DetectionOutput(ModelOutput):
    """What a detector answers.

    Attributes:
        loss: mean over the objects (two stages: over the pictures) of the batch, where labels were given.
        logits: ``(batch, 100, num_labels + 1)``; a softmax gives the scores, of which the last is "no object". None in
            training, where nothing is to be answered.
        pred_boxes: centre x, centre y, width, height as fractions of each picture ``(batch, 100, 4)``.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    pred_boxes: torch.Tensor | None = None


class DetectorModel(ImageModel):
    """A ``PreTrainedModel`` around a detector.

    Args:
        config: the family's configuration.
        network: reads ``pixel_values``; its ``loss`` and ``detect`` read what it gives.
    """

    network: Any
    counts_pictures = False
    """Whether the network's loss is a sum over pictures, rather than over objects."""

    def forward(
        self,
        pixel_values: torch.Tensor,
        pixel_mask: torch.Tensor | None = None,
        labels: Sequence[Mapping[str, torch.Tensor]] | Mapping[str, torch.Tensor] | None = None,
        **kwargs: Any,
    ) -> DetectionOutput:
        """The objects of each picture, and with ``labels`` the mean loss.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised; height and width multiples of 32.
            pixel_mask: ``(batch, height, width)``, 0 at padding to the right of and below a picture; None without it.
            labels: as DETR has them, for each picture ``class_labels`` ``(objects,)`` int64 and ``boxes`` ``(objects,
                4)``, centre x, centre y, width, height as fractions of the picture; or of the whole batch padded,
                ``class_labels`` ``(batch, objects)`` with -100 and ``boxes`` ``(batch, objects, 4)``.
            kwargs: what transformers passes along to every model (``return_dict``); not used.

        Raises:
            ValueError: the pictures or the labels have other shapes.
        """
        pictures = self.read_pictures(pixel_values)
        sizes = picture_sizes(pictures, pixel_mask)  # (batch, 2)
        outputs = self.network(pictures)
        loss = None
        if labels is not None:
            targets = read_targets(labels, sizes)
            count = len(targets.labels) if self.counts_pictures else max(1, int(targets.mask.sum()))
            loss = self.network.loss(outputs, targets) / count
            if self.training:
                return DetectionOutput(loss=loss)
        found = self.network.detect(outputs, most=QUERIES)
        logits, boxes = queries(found, sizes, number=QUERIES, num_labels=self.network.num_labels)
        return DetectionOutput(loss=loss, logits=logits.to(pixel_values.dtype), pred_boxes=boxes)


def picture_sizes(pixel_values: torch.Tensor, pixel_mask: torch.Tensor | None) -> torch.Tensor:
    """Height and width of each picture without its padding, ``(batch, 2)`` int64."""
    if pixel_mask is None:
        height, width = pixel_values.shape[-2:]
        return torch.tensor([height, width], device=pixel_values.device).expand(len(pixel_values), 2)
    return torch.stack([pixel_mask.any(2).sum(1), pixel_mask.any(1).sum(1)], 1)


def read_targets(
    labels: Sequence[Mapping[str, torch.Tensor]] | Mapping[str, torch.Tensor], sizes: torch.Tensor
) -> Targets:
    """Labels in one of the forms that ``DetectorModel.forward`` takes as the targets of a network.

    Args:
        labels: of each picture, or of all.
        sizes: height and width of each picture ``(batch, 2)``.
    """
    if isinstance(labels, Mapping):
        fractions = Targets(labels["boxes"].float(), labels["class_labels"])
    else:
        fractions = pad_targets([one["boxes"].float() for one in labels], [one["class_labels"] for one in labels])
    scale = sizes.flip(1).repeat(1, 2).to(fractions.boxes.dtype)  # (batch, 4): width, height, width, height
    return Targets(centres_to_corners(fractions.boxes) * scale[:, None], fractions.labels)
