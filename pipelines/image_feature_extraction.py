"""Image feature extraction: the vectors that an encoder makes of a picture.

Calls and answers are those of ``transformers.pipeline("image-feature-extraction")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .base import ItemOutput, WindowOutput
from .batching import Sample
from .call_options import check_choice, merge_options
from .errors import InputError, UsageError
from .image_pipeline import ImagePipeline


@dataclass(frozen=True)
class ImageFeatureOptions:
    """What a call may set.

    Attributes:
        pool: True gives the one vector that the encoder's pooler makes of the picture, rather than one a patch.
        return_tensors: True gives a tensor rather than nested lists.
        timeout: accepted, as in transformers, and of no use here.
    """

    pool: bool | None = None
    return_tensors: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        check_choice("pool", self.pool, (True, False, None))
        check_choice("return_tensors", self.return_tensors, (True, False))


class ImageFeatureExtractionPipeline(ImagePipeline):
    """Makes vectors of pictures.

        extract("cat.jpg")                 # [[[0.1, …], …]]: (1, patches, hidden), or (1, channels, height, width)
        extract("cat.jpg", pool=True)      # [[0.1, …]]: (1, hidden)

    Args:
        checkpoint: model and image processor.
        settings: ``batch_size``, ``on_error``, and the fields of `ImageFeatureOptions`.
    """

    task = "image-feature-extraction"
    option_names = ("pool", "return_tensors", "timeout")
    answer_columns = ("features",)
    sure_columns = 1
    options = ImageFeatureOptions()

    def read_options(self, options: dict[str, Any]) -> ImageFeatureOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        return merge_options(self.options, options, self.option_names)

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """The features of each sample, without the axis of the batch; what the pooler made of them is the context."""
        outputs = self.checkpoint.outputs(self.batch(samples))
        features, pooled = outputs[0].float().cpu().numpy(), outputs.get("pooler_output")
        of_pooler = [None] * len(samples) if pooled is None else list(pooled.float().cpu())
        return [self.window(*each) for each in zip(features, samples, of_pooler, strict=True)]

    def postprocess(self, output: ItemOutput, settings: ImageFeatureOptions) -> Any:
        """The features, as nested lists or as a tensor, with a leading axis of one.

        Raises:
            UsageError: the model has no pooler, and ``pool`` asks for it.
        """
        features = torch.from_numpy(output.windows[0])
        if settings.pool:
            features = output.contexts[0]
            if features is None:
                raise UsageError(f"checkpoint '{self.checkpoint.name}' has no pooler; leave pool=True out.")
        return features[None] if settings.return_tensors else features[None].tolist()

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The features as nested lists, without the leading axis."""
        return {"features": (answer.tolist() if isinstance(answer, torch.Tensor) else answer)[0]}
