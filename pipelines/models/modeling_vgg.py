"""VGG as a transformers model; the network itself is in vgg.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .image_adapter import ImageClassifierModel
from .vgg import Vgg


class VggConfig(PreTrainedConfig):
    """What ``Vgg`` is built from; the fields are its arguments, the defaults in image_families.py."""

    model_type = "quintet-vgg"

    channels: int
    depth: int
    batch_norm: bool
    width: int
    pooled_size: int
    hidden_size: int
    dropout: float


class VggForImageClassification(ImageClassifierModel):
    """``Vgg`` as ``network``."""

    config_class = VggConfig

    def __init__(self, config: VggConfig) -> None:
        network = Vgg(
            channels=config.channels,
            num_labels=len(config.id2label or {}),
            depth=config.depth,
            batch_norm=config.batch_norm,
            width=config.width,
            pooled_size=config.pooled_size,
            hidden_size=config.hidden_size,
            dropout=config.dropout,
        )
        super().__init__(config, network)


VggConfig.register_for_auto_class()
VggForImageClassification.register_for_auto_class("AutoModelForImageClassification")
