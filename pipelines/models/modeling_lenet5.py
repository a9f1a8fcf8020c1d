"""LeNet-5 as a transformers model; the network itself is in lenet5.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .image_adapter import ImageClassifierModel
from .lenet5 import LeNet5


class LeNet5Config(PreTrainedConfig):
    """What ``LeNet5`` is built from; the fields are its arguments, the defaults in image_families.py."""

    model_type = "quintet-lenet5"

    channels: int
    image_size: int
    filters: list[int] | tuple[int, ...]
    neurons: list[int] | tuple[int, ...]
    dropout: float


class LeNet5ForImageClassification(ImageClassifierModel):
    """``LeNet5`` as ``network``."""

    config_class = LeNet5Config

    def __init__(self, config: LeNet5Config) -> None:
        network = LeNet5(
            channels=config.channels,
            image_size=config.image_size,
            num_labels=len(config.id2label or {}),
            filters=config.filters,
            neurons=config.neurons,
            dropout=config.dropout,
        )
        super().__init__(config, network)


LeNet5Config.register_for_auto_class()
LeNet5ForImageClassification.register_for_auto_class("AutoModelForImageClassification")
