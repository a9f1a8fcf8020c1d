"""Depth estimation: how far away each pixel of a picture is, as a tensor and as a picture.

Calls and answers are those of ``transformers.pipeline("depth-estimation")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np
import torch

from .base import ItemOutput, WindowOutput
from .batching import Sample
from .call_options import merge_options
from .errors import InputError
from .image_pipeline import ImagePipeline, PictureSample

if TYPE_CHECKING:
    from PIL import Image


class DepthAnswer(TypedDict):
    """``predicted_depth`` (height, width) as the model gives it, and ``depth``, the same from black to white."""

    predicted_depth: torch.Tensor
    depth: Image.Image


@dataclass(frozen=True)
class DepthOptions:
    """What a call may set.

    Attributes:
        timeout: accepted, as in transformers, and of no use here.
        parameters: likewise.
    """

    timeout: float | None = None
    parameters: Any = None


class DepthEstimationPipeline(ImagePipeline):
    """Estimates how far away each pixel is.

        estimate("street.jpg")      # {'predicted_depth': tensor of (height, width), 'depth': <PIL image>}

    Args:
        checkpoint: model and image processor.
        settings: ``batch_size`` and ``on_error``.
    """

    task = "depth-estimation"
    option_names = ("timeout", "parameters")
    answer_columns = ("nearest", "farthest", "median")
    sure_columns = 3
    options = DepthOptions()

    def read_options(self, options: dict[str, Any]) -> DepthOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist.
        """
        return merge_options(self.options, options, self.option_names)

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """The depths ``(height, width)`` of each sample, at the size that the model reads."""
        depths = self.checkpoint.outputs(self.batch(samples)).predicted_depth.float().cpu().numpy()
        sizes = [cast(PictureSample, sample).size for sample in samples]
        return [self.window(row, sample, size) for row, sample, size in zip(depths, samples, sizes, strict=True)]

    def postprocess(self, output: ItemOutput, settings: DepthOptions) -> DepthAnswer:
        """The depths at the size of the picture."""
        from PIL import Image

        given = SimpleNamespace(predicted_depth=torch.from_numpy(output.windows[0])[None])
        # of ZoeDepth this argument is the size of the source, of others that of the answer; see transformers' pipeline
        [found] = self.checkpoint.images.live.post_process_depth_estimation(given, [output.contexts[0]])
        depth = found["predicted_depth"].numpy()
        spread = float(depth.max() - depth.min())
        shades = (depth - depth.min()) / spread if spread else np.zeros_like(depth)  # a wall has one depth
        return {"predicted_depth": found["predicted_depth"], "depth": Image.fromarray((shades * 255).astype(np.uint8))}

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The least, greatest and median value; a picture is no cell of a table."""
        depth = answer["predicted_depth"]
        return {
            "nearest": float(depth.min()),
            "farthest": float(depth.max()),
            "median": float(depth.median()),
        }
