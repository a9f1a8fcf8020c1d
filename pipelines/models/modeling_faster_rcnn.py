"""Faster R-CNN as a transformers model; the network itself is in faster_rcnn.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .detection_adapter import DetectorModel
from .faster_rcnn import FasterRcnn


class FasterRcnnConfig(PreTrainedConfig):
    """What ``FasterRcnn`` is built from; the fields are its arguments, the defaults in image_families.py."""

    model_type = "quintet-faster-rcnn"

    channels: int
    filters: list[int] | tuple[int, ...]
    blocks: list[int] | tuple[int, ...]
    head_filters: int
    neurons: int
    anchor_sizes: list[int] | tuple[int, ...]
    proposals: int


class FasterRcnnForObjectDetection(DetectorModel):
    """``FasterRcnn`` as ``network``."""

    config_class = FasterRcnnConfig
    counts_pictures = True  # the loss of each is a mean over what was drawn of it

    def __init__(self, config: FasterRcnnConfig) -> None:
        network = FasterRcnn(
            channels=config.channels,
            num_labels=len(config.id2label or {}),
            filters=config.filters,
            blocks=config.blocks,
            head_filters=config.head_filters,
            neurons=config.neurons,
            anchor_sizes=config.anchor_sizes,
            proposals=config.proposals,
        )
        super().__init__(config, network)


FasterRcnnConfig.register_for_auto_class()
FasterRcnnForObjectDetection.register_for_auto_class("AutoModelForObjectDetection")
