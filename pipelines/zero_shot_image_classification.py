"""Zero-shot image classification: labels that come with the call, by how well a sentence with each suits the picture.

Calls and answers are those of ``transformers.pipeline("zero-shot-image-classification")`` (Radford et al. 2021, CLIP,
section 3.1.2; of SigLIP, Zhai et al. 2023, each score is a probability by itself).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import torch

from .base import ItemOutput, WindowOutput
from .batching import Sample
from .call_options import merge_options
from .errors import InputError, UsageError
from .image_pipeline import ImagePipeline

SIGLIP_LENGTH = 64
"""Tokens to which SigLIP's texts are padded, as it was trained (Zhai et al. 2023, section 4)."""


class LabelScore(TypedDict):
    """A label and its score."""

    score: float
    label: str


@dataclass(frozen=True)
class ZeroShotImageOptions:
    """What a call may set.

    Attributes:
        candidate_labels: the labels; a string holds several with commas between.
        hypothesis_template: the sentence that a label is asked by, with ``{}`` for the label.
        timeout: accepted, as in transformers, and of no use here.
        tokenizer_kwargs: likewise.
    """

    candidate_labels: str | Sequence[str] = ()
    hypothesis_template: str = "This is a photo of {}."
    timeout: float | None = None
    tokenizer_kwargs: Any = None

    def __post_init__(self) -> None:
        labels, template = self.candidate_labels, self.hypothesis_template
        if not isinstance(labels, str) and not (
            isinstance(labels, Sequence) and all(isinstance(label, str) for label in labels)
        ):
            raise UsageError(
                f"candidate_labels is {labels!r}; expected a list of labels, or a text with commas between them."
            )
        if not isinstance(template, str) or "{}" not in template:
            raise UsageError(
                f"hypothesis_template is {template!r}; expected a sentence with {{}} where the label goes, for "
                "instance 'This is a photo of {}.'."
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels one by one.

        Raises:
            UsageError: there are none.
        """
        given = self.candidate_labels
        labels = [label.strip() for label in given.split(",")] if isinstance(given, str) else list(given)
        labels = [label for label in labels if label]
        if not labels:
            raise UsageError(
                "zero-shot-image-classification needs labels to choose from; give candidate_labels=['cat', 'dog'] "
                "(--options candidate_labels=cat,dog)."
            )
        return tuple(labels)


class ZeroShotImageClassificationPipeline(ImagePipeline):
    """Classifies pictures by labels that come with the call.

        classify("cats.png", candidate_labels=["cat", "dog"])      # [{'score': 0.99, 'label': 'cat'}, …]

    Args:
        checkpoint: a model that compares pictures with texts, such as CLIP or SigLIP.
        settings: ``batch_size``, ``on_error``, and the fields of `ZeroShotImageOptions`.
    """

    task = "zero-shot-image-classification"
    option_names = ("candidate_labels", "hypothesis_template", "timeout", "tokenizer_kwargs")
    answer_columns = ("label", "score", "scores")
    sure_columns = 2
    options = ZeroShotImageOptions()

    def __call__(self, inputs: Any, candidate_labels: Any = None, **options: Any) -> Any:
        """As `Pipeline.__call__`; labels may also be given by their place.

        Args:
            inputs: pictures.
            candidate_labels: see `ZeroShotImageOptions`.
            options: the others, and those of all pipelines.

        Raises:
            InputError: a picture is wrong and ``on_error`` is ``raise``.
            UsageError: an option is wrong, or there are no labels.
        """
        given = {} if candidate_labels is None else {"candidate_labels": candidate_labels}
        return super().__call__(inputs, **given, **options)

    def read_options(self, options: dict[str, Any]) -> ZeroShotImageOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        return merge_options(self.options, options, self.option_names)

    def samples(self, items: Sequence[Any], settings: ZeroShotImageOptions) -> list[list[Sample]]:
        """As `ImagePipeline.samples`, in groups by what is asked about them.

        Raises:
            InputError: an item is no picture.
            UsageError: there are no labels.
        """
        sentences = tuple(settings.hypothesis_template.format(label) for label in settings.labels)
        of_items = super().samples(items, settings)
        return [[replace(each, group=(each.group, sentences)) for each in samples] for samples in of_items]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """How well each sentence suits each picture: logits ``(labels,)``."""
        _, sentences = samples[0].group  # type: ignore[misc]
        live: Any = self.checkpoint.tokenizer.transformers_tokenizer
        padding = {"padding": True}
        if self._is_siglip:
            padding = {"padding": "max_length", "max_length": SIGLIP_LENGTH, "truncation": True}
        texts = live(list(sentences), return_tensors="pt", **padding)
        logits = self.checkpoint.outputs({**texts, **self.batch(samples)}).logits_per_image.float().cpu().numpy()
        return [self.window(row, sample) for row, sample in zip(logits, samples, strict=True)]

    def postprocess(self, output: ItemOutput, settings: ZeroShotImageOptions) -> list[LabelScore]:
        """The labels with their scores, best first."""
        logits = torch.from_numpy(output.windows[0])
        scores = (torch.sigmoid(logits) if self._is_siglip else logits.softmax(-1)).tolist()
        ranked = sorted(zip(scores, settings.labels, strict=True), key=lambda pair: -pair[0])
        return [{"score": score, "label": label} for score, label in ranked]

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The best label with its score, and all as ``scores``."""
        return {"label": answer[0]["label"], "score": answer[0]["score"], "scores": answer}

    @property
    def _is_siglip(self) -> bool:
        return "siglip" in self.checkpoint.config.model_type
