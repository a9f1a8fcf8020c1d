"""What pipelines that read one picture at a time share: decoding, preparing, batches of pictures of one shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .base import Pipeline, WindowOutput
from .batching import BatchLimits, Sample
from .errors import InputError
from .image_inputs import is_single_picture, read_picture

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class PictureSample(Sample):
    """What the model sees of a picture.

    Attributes:
        size: (height, width) of the picture itself, in pixels.
    """

    size: tuple[int, int] = (0, 0)


class ImagePipeline(Pipeline):
    """A pipeline whose inputs are pictures; the task adds ``forward`` and ``postprocess``."""

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one picture, rather than several."""
        return is_single_picture(inputs)

    def read(self, item: Any) -> Image.Image:
        """The picture that an input stands for; see `image_inputs.read_picture`."""
        return read_picture(item)

    def samples(self, items: Sequence[Any], settings: Any) -> list[list[Sample]]:
        """What the model sees of each picture; only those of one shape share a batch, so that nothing is padded.

        Raises:
            InputError: an item is no picture, or cannot be decoded.
        """
        samples = []
        for item in items:
            picture = self.read(item)
            features = self.checkpoint.images.features(picture)
            shape = features["pixel_values"].shape
            length = int(np.prod(shape[-2:]))
            samples.append([PictureSample(features, length, shape, size=(picture.height, picture.width))])
        return samples

    def batch(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        """The features of samples of one shape as tensors ``(batch, …)``, floats in the model's number format."""
        dtype = next(self.model.parameters()).dtype
        stacked: Mapping[str, np.ndarray] = {
            name: np.stack([sample.features[name] for sample in samples]) for name in samples[0].features
        }
        tensors = {name: torch.from_numpy(array) for name, array in stacked.items()}
        return {name: each.to(dtype) if each.is_floating_point() else each for name, each in tensors.items()}

    def window(self, logits: np.ndarray, sample: Sample, context: Any = None) -> WindowOutput | InputError:
        """What the model gave for a sample; an error in its place where that is not finite."""
        if np.isfinite(logits).all():
            return WindowOutput(logits, sample.length, context)
        return InputError("the model's output is not finite (nan or infinite); try dtype='float32'.")

    def size(self, item: Any) -> int:
        """Numbers that the picture becomes, which wait in memory for their batch."""
        return self.checkpoint.images.numbers

    def _automatic_limits(self) -> BatchLimits:
        return picture_limits(next(self.model.parameters()))


def picture_limits(parameter: torch.nn.Parameter) -> BatchLimits:
    """Batch sizes in pixels for models that read pictures: on a CPU 8 pictures of 224 x 224, on other devices 64."""
    if parameter.device.type != "cpu":
        return BatchLimits(budget=64 * 224 * 224, overhead=0)
    return BatchLimits(budget=8 * 224 * 224, overhead=0)
