"""U-Net as a transformers model; the network itself is in unet.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedConfig
from transformers.modeling_outputs import SemanticSegmenterOutput

from .image_adapter import ImageModel
from .unet import UNet


class UNetConfig(PreTrainedConfig):
    """What ``UNet`` is built from; the fields are its arguments, the defaults in image_families.py.

    Attributes:
        semantic_loss_ignore_index: class of the pixels that nobody labelled, under the name that transformers has.
    """

    model_type = "quintet-unet"

    channels: int
    base_filters: int
    levels: int
    batch_norm: bool
    dropout: float
    semantic_loss_ignore_index: int = 255


class UNetForSemanticSegmentation(ImageModel):
    """``UNet`` as ``network``."""

    config_class = UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        network = UNet(
            channels=config.channels,
            num_labels=len(config.id2label or {}),
            base_filters=config.base_filters,
            levels=config.levels,
            batch_norm=config.batch_norm,
            dropout=config.dropout,
        )
        super().__init__(config, network)

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Any
    ) -> SemanticSegmenterOutput:
        """Logits ``(batch, num_labels, height, width)``, and with ``labels`` the mean loss of a labelled pixel.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised; any size.
            labels: class of each pixel, ``(batch, height, width)`` int64, 255 where it is not labelled; if no pixel of
                the batch is, the loss is 0.
            kwargs: what transformers passes along to every model (``return_dict``); not used.

        Raises:
            ValueError: ``labels`` are of another size than the pictures.
        """
        logits = self.network(self.read_pictures(pixel_values))
        loss = None
        if labels is not None:
            expected = (logits.shape[0], *logits.shape[2:])
            if tuple(labels.shape) != expected:
                raise ValueError(
                    f"labels have shape {tuple(labels.shape)}, expected {expected}: a class for each pixel of the "
                    "pictures; bring the masks to the size of the pictures."
                )
            ignored = self.config.semantic_loss_ignore_index
            total = functional.cross_entropy(logits.float(), labels, ignore_index=ignored, reduction="sum")
            loss = total / (labels != ignored).sum().clamp(min=1)
        return SemanticSegmenterOutput(loss=loss, logits=logits)


UNetConfig.register_for_auto_class()
UNetForSemanticSegmentation.register_for_auto_class("AutoModelForSemanticSegmentation")
