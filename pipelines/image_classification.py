"""Image classification: one label, or a list of labels with scores, for a picture.

Calls and answers are those of ``transformers.pipeline("image-classification")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np

from .base import CALL_OPTIONS, ItemOutput, WindowOutput
from .batching import Sample
from .errors import UsageError, unknown_name
from .image_pipeline import ImagePipeline
from .scores import FUNCTIONS, Function, function_for, is_count

DEFAULT_TOP = 5
"""Labels that an answer lists unless asked otherwise, as in transformers."""


class LabelScore(TypedDict):
    """A label and its score."""

    label: str
    score: float


@dataclass(frozen=True)
class ImageClassificationOptions:
    """What a call may set.

    Attributes:
        top_k: how many labels to give, best first; None for the five best, or all where there are fewer.
        function_to_apply: from logits to scores: softmax, sigmoid or none; None for the one that the checkpoint's
            kind of problem asks for.
    """

    top_k: int | None = None
    function_to_apply: Function | None = None

    def __post_init__(self) -> None:
        if self.top_k is not None and not is_count(self.top_k):
            raise UsageError(f"top_k is {self.top_k!r}; expected a whole number from 1, or None for the five best.")
        if self.function_to_apply not in (None, "softmax", "sigmoid", "none"):
            raise UsageError(f"function_to_apply is {self.function_to_apply!r}; expected softmax, sigmoid or none.")


class ImageClassificationPipeline(ImagePipeline):
    """Classifies pictures.

        classify("cat.jpg")                        # [{'label': 'tabby', 'score': 0.94}, …], the five best labels
        classify(["cat.jpg", another])             # a list of such lists
        for answer in classify(pictures): ...      # lazy for anything that is not a list

    Args:
        checkpoint: model and image processor.
        settings: ``batch_size``, ``on_error``, and the fields of `ImageClassificationOptions`.
    """

    task = "image-classification"
    option_names = ("top_k", "function_to_apply", "timeout")
    answer_columns = ("label", "score", "scores")
    sure_columns = 2
    options = ImageClassificationOptions()

    def read_options(self, options: dict[str, Any]) -> ImageClassificationOptions:
        """The options of a call over those of the pipeline; ``timeout`` is accepted, as in transformers, and not used.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        for name in options:
            if name not in self.option_names:
                raise unknown_name("option", name, (*self.option_names, *CALL_OPTIONS), hint="docs/images.md has them.")
        given = {name: value for name, value in options.items() if name != "timeout"}
        if isinstance(given.get("function_to_apply"), str):
            given["function_to_apply"] = given["function_to_apply"].lower()
        return replace(self.options, **given)

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | Any]:
        """Logits ``(classes,)`` of each sample."""
        logits = self.checkpoint.logits(self.batch(samples)).float().cpu().numpy()
        return [self.window(row, sample) for row, sample in zip(logits, samples, strict=True)]

    def merge(self, output: ItemOutput) -> np.ndarray:
        """Probabilities of the classes, or the values of a regression: float32 ``(classes,)``."""
        return self._scores(output, self.options)

    def postprocess(self, output: ItemOutput, settings: ImageClassificationOptions) -> list[LabelScore]:
        """The labels with their scores, best first."""
        scores = self._scores(output, settings)
        labels = self.checkpoint.config.labels
        order = np.argsort(-scores, kind="stable")[: settings.top_k or DEFAULT_TOP]
        return [{"label": labels[index], "score": scores[index].item()} for index in order]

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The best label with its score, and all that were asked for as ``scores``."""
        return {**answer[0], "scores": answer}

    def _scores(self, output: ItemOutput, settings: ImageClassificationOptions) -> np.ndarray:
        config = self.checkpoint.config
        function = settings.function_to_apply or function_for(config.problem_type, len(config.labels))
        return FUNCTIONS[function](output.windows[0])
