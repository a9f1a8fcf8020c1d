"""The residual network for small pictures as a transformers model; the network itself is in resnet_cifar.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .image_adapter import ImageClassifierModel
from .resnet_cifar import CifarResNet


class CifarResNetConfig(PreTrainedConfig):
    """What ``CifarResNet`` is built from; the fields are its arguments, the defaults in image_families.py."""

    model_type = "quintet-resnet-cifar"

    channels: int
    depth: int
    width: int
    shortcut: str


class CifarResNetForImageClassification(ImageClassifierModel):
    """``CifarResNet`` as ``network``."""

    config_class = CifarResNetConfig

    def __init__(self, config: CifarResNetConfig) -> None:
        network = CifarResNet(
            channels=config.channels,
            num_labels=len(config.id2label or {}),
            depth=config.depth,
            width=config.width,
            shortcut=config.shortcut,
        )
        super().__init__(config, network)


CifarResNetConfig.register_for_auto_class()
CifarResNetForImageClassification.register_for_auto_class("AutoModelForImageClassification")
