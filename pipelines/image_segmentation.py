"""Image segmentation: a mask for each class (semantic) or each object (instance, panoptic) in a picture.

Calls and answers are those of ``transformers.pipeline("image-segmentation")``: of a checkpoint that can do several
kinds, panoptic goes before instance and instance before semantic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

import numpy as np
import torch
from torch.nn import functional

from .base import CALL_OPTIONS, ItemOutput, WindowOutput
from .batching import Sample
from .errors import InputError, UsageError, unknown_name
from .image_pipeline import ImagePipeline, PictureSample

if TYPE_CHECKING:
    from PIL import Image

Subtask = Literal["semantic", "instance", "panoptic"]
SUBTASKS: tuple[Subtask, ...] = ("panoptic", "instance", "semantic")

OF_A_PICTURE = ("logits", "pred_boxes", "pred_masks", "class_queries_logits", "masks_queries_logits")
"""Of what models for segmentation give, what transformers' processors make masks of; one entry a picture each."""


class Segment(TypedDict):
    """One class or object; ``mask`` is as large as the picture, 255 at its pixels and 0 elsewhere.

    A class of semantic segmentation has no score.
    """

    score: float | None
    label: str
    mask: Image.Image


@dataclass(frozen=True)
class ImageSegmentationOptions:
    """What a call may set.

    Attributes:
        subtask: semantic, instance or panoptic; None for what the checkpoint can do best.
        threshold: score under which an object is left out, in [0, 1].
        mask_threshold: of a pixel's score for belonging to an object, in [0, 1].
        overlap_mask_area_threshold: share of an object that must be left after others have taken theirs, in [0, 1].
    """

    subtask: Subtask | None = None
    threshold: float = 0.9
    mask_threshold: float = 0.5
    overlap_mask_area_threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.subtask not in (None, *SUBTASKS):
            raise UsageError(f"subtask is {self.subtask!r}; expected one of {', '.join(SUBTASKS)}.")
        for name in ("threshold", "mask_threshold", "overlap_mask_area_threshold"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise UsageError(f"{name} is {value!r}; expected a fraction in [0, 1].")


class ImageSegmentationPipeline(ImagePipeline):
    """Finds the class of each pixel.

        segment("street.jpg")      # [{'score': None, 'label': 'Road', 'mask': <PIL image>}, …]

    Args:
        checkpoint: model and image processor.
        settings: ``batch_size``, ``on_error``, and the fields of `ImageSegmentationOptions`.
    """

    task = "image-segmentation"
    option_names = ("subtask", "threshold", "mask_threshold", "overlap_mask_area_threshold", "timeout")
    answer_columns = ("segments",)
    sure_columns = 1
    options = ImageSegmentationOptions()

    def read_options(self, options: dict[str, Any]) -> ImageSegmentationOptions:
        """The options of a call over those of the pipeline; ``timeout`` is accepted, as in transformers, and not used.

        Raises:
            UsageError: an option does not exist, has a value it cannot have, or the checkpoint cannot do the subtask.
        """
        for name in options:
            if name not in self.option_names:
                raise unknown_name("option", name, (*self.option_names, *CALL_OPTIONS), hint="docs/images.md has them.")
        settings = replace(self.options, **{name: value for name, value in options.items() if name != "timeout"})
        self._subtask(settings)
        return settings

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """What the model gives for each picture; for semantic segmentation logits ``(classes, height, width)``."""
        outputs = self.checkpoint.outputs(self.batch(samples))
        parts = (
            {"logits": outputs}
            if self.checkpoint.light
            else {name: outputs[name] for name in OF_A_PICTURE if outputs.get(name) is not None}
        )
        found = []
        for place, sample in enumerate(samples):
            own = {name: tensor[place : place + 1].float().cpu() for name, tensor in parts.items()}
            main = own.get("logits", next(iter(own.values())))
            size = cast(PictureSample, sample).size
            found.append(self.window(main[0].numpy(), sample, {**own, "size": size}))
        return found

    def class_logits(self, output: ItemOutput) -> torch.Tensor:
        """Logits of the classes at each pixel of a picture, float32 (classes, height, width).

        Args:
            output: of a checkpoint for semantic segmentation.
        """
        logits, size = torch.from_numpy(output.windows[0])[None], output.contexts[0]["size"]  # (1, classes, …)
        if tuple(logits.shape[2:]) != size:
            logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return logits[0]

    def postprocess(self, output: ItemOutput, settings: ImageSegmentationOptions) -> list[Segment]:
        """The masks of the classes or objects in a picture."""
        subtask, labels = self._subtask(settings), self.checkpoint.config.labels
        parts, size = dict(output.contexts[0]), output.contexts[0]["size"]
        live = self.checkpoint.images.live
        if subtask != "semantic":
            method = getattr(live, f"post_process_{subtask}_segmentation")
            del parts["size"]
            found = method(
                SimpleNamespace(**{name: parts.get(name) for name in OF_A_PICTURE}),
                threshold=settings.threshold,
                mask_threshold=settings.mask_threshold,
                overlap_mask_area_threshold=settings.overlap_mask_area_threshold,
                target_sizes=[size],
            )[0]
            places = found["segmentation"].numpy()
            return [
                {"score": each["score"], "label": labels[each["label_id"]], "mask": _as_mask(places == each["id"])}
                for each in found["segments_info"]
            ]
        classes = self._semantic(output, parts, size)
        return [
            {"score": None, "label": labels[index], "mask": _as_mask(classes == index)} for index in np.unique(classes)
        ]

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """Labels, scores and the share of the picture that each takes; masks are no cells of a table."""
        return {
            "segments": [
                {
                    "label": each["label"],
                    "score": each["score"],
                    "share": round(float(np.mean(np.asarray(each["mask"]) > 0)), 4),
                }
                for each in answer
            ]
        }

    def _semantic(self, output: ItemOutput, parts: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
        if "logits" in parts and "pred_masks" not in parts:
            return self.class_logits(output).argmax(0).numpy()
        method = self.checkpoint.images.live.post_process_semantic_segmentation
        given = SimpleNamespace(**{name: parts.get(name) for name in OF_A_PICTURE})
        return method(given, target_sizes=[size])[0].numpy()

    def _subtask(self, settings: ImageSegmentationOptions) -> Subtask:
        live = self.checkpoint.images.live
        able = [name for name in SUBTASKS if live is not None and hasattr(live, f"post_process_{name}_segmentation")]
        able = able or ["semantic"]
        if settings.subtask is None:
            return able[0]
        if settings.subtask not in able:
            raise UsageError(
                f"subtask is {settings.subtask!r}, but checkpoint '{self.checkpoint.name}' does {' or '.join(able)}."
            )
        return settings.subtask


def _as_mask(places: np.ndarray) -> Image.Image:
    from PIL import Image

    return Image.fromarray(places.astype(np.uint8) * 255, mode="L")
