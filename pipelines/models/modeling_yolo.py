"""The one-stage detector as a transformers model; the network itself is in yolo.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .detection_adapter import DetectorModel
from .yolo import YoloDetector


class YoloConfig(PreTrainedConfig):
    """What ``YoloDetector`` is built from; the fields are its arguments, the defaults in image_families.py."""

    model_type = "quintet-yolo"

    channels: int
    filters: list[int] | tuple[int, ...]
    blocks: list[int] | tuple[int, ...]
    head_filters: int


class YoloForObjectDetection(DetectorModel):
    """``YoloDetector`` as ``network``."""

    config_class = YoloConfig

    def __init__(self, config: YoloConfig) -> None:
        network = YoloDetector(
            channels=config.channels,
            num_labels=len(config.id2label or {}),
            filters=config.filters,
            blocks=config.blocks,
            head_filters=config.head_filters,
        )
        super().__init__(config, network)


YoloConfig.register_for_auto_class()
YoloForObjectDetection.register_for_auto_class("AutoModelForObjectDetection")
