"""Object detection: the objects in a picture, each with its label, score and box.

Calls and answers are those of ``transformers.pipeline("object-detection")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, NamedTuple, TypedDict

import numpy as np
import torch

from .base import CALL_OPTIONS, ItemOutput, WindowOutput
from .batching import Sample
from .errors import InputError, UsageError, unknown_name
from .image_pipeline import ImagePipeline, PictureSample

OF_A_PICTURE = ("logits", "pred_boxes")
"""Of what detectors of transformers give, what its processors make objects of; one entry a picture each."""


class Box(TypedDict):
    """Edges in whole pixels of the picture, counted from its upper left corner."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


class DetectedObject(TypedDict):
    """An object."""

    score: float
    label: str
    box: Box


class FoundObjects(NamedTuple):
    """The objects of a picture as numbers.

    Attributes:
        boxes: x1, y1, x2, y2 in pixels of the picture, float32 ``(objects, 4)``.
        scores: in [0, 1], float32 ``(objects,)``.
        labels: class ids, int64 ``(objects,)``.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class ObjectDetectionOptions:
    """What a call may set.

    Attributes:
        threshold: score that an object must be above, in [0, 1].
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        if (
            isinstance(self.threshold, bool)
            or not isinstance(self.threshold, int | float)
            or not 0 <= self.threshold <= 1
        ):
            raise UsageError(f"threshold is {self.threshold!r}; expected a fraction in [0, 1].")


class ObjectDetectionPipeline(ImagePipeline):
    """Finds objects in pictures.

        detect("street.jpg")     # [{'score': 0.98, 'label': 'car', 'box': {'xmin': 12, 'ymin': 30, …}}, …]

    Args:
        checkpoint: model and image processor.
        settings: ``batch_size``, ``on_error``, and the fields of `ObjectDetectionOptions`.
    """

    task = "object-detection"
    option_names = ("threshold", "timeout")
    answer_columns = ("objects",)
    sure_columns = 1
    options = ObjectDetectionOptions()

    def read_options(self, options: dict[str, Any]) -> ObjectDetectionOptions:
        """The options of a call over those of the pipeline; ``timeout`` is accepted, as in transformers, and not used.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        for name in options:
            if name not in self.option_names:
                raise unknown_name("option", name, (*self.option_names, *CALL_OPTIONS), hint="docs/images.md has them.")
        return replace(self.options, **{name: value for name, value in options.items() if name != "timeout"})

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """What the model says of each picture: its scores, and what else is needed to make objects of them."""
        outputs = self.checkpoint.outputs(self.batch(samples))
        if self.checkpoint.light:
            contexts = self._network_answers(outputs)
        else:
            contexts = [
                {name: outputs[name][place : place + 1].float().cpu() for name in OF_A_PICTURE}
                for place in range(len(samples))
            ]
        found = []
        for sample, context in zip(samples, contexts, strict=True):
            size = sample.size if isinstance(sample, PictureSample) else (0, 0)
            found.append(self.window(context["logits"][0].numpy(), sample, {**context, "size": size}))
        return found

    def objects(self, output: ItemOutput, threshold: float = 0.0) -> FoundObjects:
        """The objects of a picture with a score above ``threshold``, in the order in which the model gives them."""
        context = output.contexts[0]
        height, width = context["size"]
        live = self.checkpoint.images.live
        parts = {name: context[name] for name in OF_A_PICTURE}
        if live is not None and hasattr(live, "post_process_object_detection"):
            # A list, for some processors take nothing else.
            answer = live.post_process_object_detection(
                SimpleNamespace(**parts), threshold=threshold, target_sizes=[(height, width)]
            )[0]
            boxes, scores, labels = answer["boxes"], answer["scores"], answer["labels"]
        else:
            scores, labels = parts["logits"][0].softmax(-1)[:, :-1].max(-1)
            middles, sides = parts["pred_boxes"][0].split(2, -1)
            scale = torch.tensor([width, height, width, height], dtype=torch.float32)
            boxes = torch.cat([middles - sides / 2, middles + sides / 2], -1) * scale
            is_kept = scores > threshold
            boxes, scores, labels = boxes[is_kept], scores[is_kept], labels[is_kept]
        return FoundObjects(boxes.numpy(), scores.numpy(), labels.numpy())

    def postprocess(self, output: ItemOutput, settings: ObjectDetectionOptions) -> list[DetectedObject]:
        """The objects of a picture."""
        names = self.checkpoint.config.labels
        found = self.objects(output, settings.threshold)
        answers: list[DetectedObject] = []
        for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
            xmin, ymin, xmax, ymax = (int(edge) for edge in box)
            edges: Box = {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}
            answers.append({"score": float(score), "label": names[int(label)], "box": edges})
        return answers

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The objects as one cell."""
        return {"objects": answer}

    def _network_answers(self, outputs: Any) -> list[dict[str, torch.Tensor]]:
        """The answers of a network of our own in the form of transformers'; the input is the whole picture."""
        from .models.detections import QUERIES, queries

        network: Any = self.model
        found = network.detect(outputs, most=QUERIES)
        sizes = torch.tensor([outputs.size]).expand(len(found), 2)
        on_cpu = [type(one)(*(tensor.cpu() for tensor in one)) for one in found]
        logits, boxes = queries(on_cpu, sizes, number=QUERIES, num_labels=network.num_labels)
        return [{"logits": logits[row : row + 1], "pred_boxes": boxes[row : row + 1]} for row in range(len(found))]
