"""AlexNet as a transformers model; the network itself is in alexnet.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .alexnet import AlexNet
from .image_adapter import ImageClassifierModel


class AlexNetConfig(PreTrainedConfig):
    """What ``AlexNet`` is built from; the fields are its arguments, the defaults in image_families.py."""

    model_type = "quintet-alexnet"

    channels: int
    stem: list[int] | tuple[int, ...]
    filters: list[int] | tuple[int, ...]
    pooled_size: int
    hidden_size: int
    dropout: float


class AlexNetForImageClassification(ImageClassifierModel):
    """``AlexNet`` as ``network``."""

    config_class = AlexNetConfig

    def __init__(self, config: AlexNetConfig) -> None:
        network = AlexNet(
            channels=config.channels,
            num_labels=len(config.id2label or {}),
            stem=config.stem,
            filters=config.filters,
            pooled_size=config.pooled_size,
            hidden_size=config.hidden_size,
            dropout=config.dropout,
        )
        super().__init__(config, network)


AlexNetConfig.register_for_auto_class()
AlexNetForImageClassification.register_for_auto_class("AutoModelForImageClassification")
