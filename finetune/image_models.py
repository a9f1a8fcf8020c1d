"""The model and the image processor that training on pictures starts from: of a family, or of a checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..pipelines.checkpoints import load_checkpoint
from ..pipelines.image_inputs import GREY_MODES, read_picture
from ..pipelines.image_processor import ImageProcessor, PictureSettings
from ..pipelines.models.building import build_model
from ..pipelines.models.families import Family, find_family, is_family
from ..pipelines.tasks import find_task
from .data import TaskData
from .problems import CLASSIFICATION
from .settings import FinetuneSettings
from .starting_point import StartingPoint, refuse_for_checkpoints

LOOKED_AT = 1000
"""Pictures of the training split from which channels, mean and deviation are taken."""

LEAST_DEVIATION = 1e-3
"""Of a channel; pictures that are all alike have none, which nothing can be divided by."""


@dataclass(kw_only=True)
class ImageStart(StartingPoint):
    """What training on pictures starts from.

    Attributes:
        images: the image processor of the model.
    """

    images: ImageProcessor


def image_start(settings: FinetuneSettings, data: TaskData, *, keeps_shape: bool = False) -> ImageStart:
    """The model that ``settings.model`` names, with a head for the labels of ``data``, on the CPU.

    Args:
        settings: as given.
        data: with the split train.
        keeps_shape: of a family trained from scratch: whether pictures are brought to the shape that most of them have,
            with the longer side as long as the family reads at most, rather than to a square.

    Raises:
        UnknownNameError: no family or checkpoint has this name, or an argument of the model is unknown.
        UsageError: settings that the model cannot follow.
        WeightsError: the checkpoint cannot be loaded.
    """
    if is_family(settings.model):
        start = _from_scratch(settings, find_family(settings.model, find_task(settings.task).name), data, keeps_shape)
    else:
        start = _from_checkpoint(settings, data)
    start.choose_weights(settings)
    return start


def _from_scratch(settings: FinetuneSettings, family: Family, data: TaskData, keeps_shape: bool) -> ImageStart:
    settings = settings.resolved({**family.defaults, "image_size": family.image_size}, pretrained=False)
    size = settings.image_size or family.image_size
    # transformers gives its own networks three channels, always.
    images = _measured_processor(data, size, may_be_grey=family.network is not None, keeps_shape=keeps_shape)
    torch.manual_seed(settings.seed)
    model = build_model(
        family,
        labels=data.labels,
        problem_type=data.problem_type if data.problem_type in CLASSIFICATION else None,
        arguments=settings.model_args,
        channels=images.channels,
        image_size=size,
    )
    return ImageStart(model=model, images=images, settings=settings, family=family.name)


def _measured_processor(data: TaskData, size: int, *, may_be_grey: bool, keeps_shape: bool) -> ImageProcessor:
    """A processor with the channels, mean and deviation of the first training pictures, brought to ``size`` pixels.

    With ``may_be_grey`` it has one channel where all of them are grey.
    """
    pictures = list(_first_pictures(data))
    height, width = _usual_shape(pictures, size) if keeps_shape else (size, size)
    channels = 1 if may_be_grey and all(picture.mode in GREY_MODES for picture in pictures) else 3
    neutral = (0.0,) * channels, (1.0,) * channels
    raw = ImageProcessor(PictureSettings(height, width, channels, *neutral))
    sums, squares, count = np.zeros(channels), np.zeros(channels), 0
    for picture in pictures:
        values = raw.pixels(picture).reshape(channels, -1) / 255.0
        sums, squares, count = sums + values.sum(1), squares + np.square(values).sum(1), count + values.shape[1]
    mean = sums / count
    deviation = np.maximum(np.sqrt(np.maximum(squares / count - np.square(mean), 0)), LEAST_DEVIATION)
    rounded = [tuple(round(float(value), 4) for value in values) for values in (mean, deviation)]
    return ImageProcessor(PictureSettings(height, width, channels, *rounded))


def _usual_shape(pictures: Sequence[Any], size: int) -> tuple[int, int]:
    """(height, width) that most pictures have, made smaller so that neither is above ``size`` pixels."""
    (width, height), _ = Counter(picture.size for picture in pictures).most_common(1)[0]
    share = min(1.0, size / max(width, height))
    return max(1, round(height * share)), max(1, round(width * share))


def _first_pictures(data: TaskData) -> Iterator[Any]:
    for rows in data.splits["train"].select(range(min(LOOKED_AT, len(data.splits["train"])))).iter(batch_size=100):
        yield from map(read_picture, rows["image"])


def _from_checkpoint(settings: FinetuneSettings, data: TaskData) -> ImageStart:
    refuse_for_checkpoints(settings, ("model_args", "image_size"))
    settings = settings.resolved({}, pretrained=True)
    torch.manual_seed(settings.seed)  # a new head is drawn at random
    checkpoint = load_checkpoint(
        settings.model,
        task=settings.task,
        trust_remote_code=settings.trust_remote_code,
        light=False,
        new_head=True,
        labels=data.labels,
        problem_type=data.problem_type if data.problem_type in CLASSIFICATION else None,
    )
    return ImageStart(
        model=checkpoint.model,
        images=checkpoint.images,
        settings=settings,
        family=checkpoint.config.model_type,
        base_model=checkpoint.name,
        base_revision=checkpoint.revision,
        new_weights=checkpoint.new_weights,
    )
