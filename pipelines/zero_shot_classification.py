"""Zero-shot classification: labels that the model was never trained for, by asking whether a text entails each.

For each label a sentence is made ("This example is sports."), and a model for natural language inference says how
strongly the text entails it (Yin, Hay and Roth 2019, "Benchmarking Zero-shot Text Classification", section 5). Calls
and answers are those of ``transformers.ZeroShotClassificationPipeline``. Beyond it: texts of any length, batches, any
iterable as input, and one bad text does not end the run.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from .base import CALL_OPTIONS, ItemOutput, Pipeline, WindowOutput
from .batching import Sample
from .call_options import check_choice, merge_options
from .errors import InputError, UsageError
from .text_inputs import is_single_text, read_one_text
from .token_batches import checked_output, class_logits
from .windows import encode_cut, merge_windows, shared_tokens, split_text

if TYPE_CHECKING:
    from .checkpoints import Checkpoint
    from .encodings import Encoded

LABELS_AT_ONCE = 8
"""How many labels a text is taken to have where its share of the memory is reckoned: it is encoded with each."""


def _takes_label(template: str) -> bool:
    """Whether a label can be put into ``template``."""
    try:
        return template.format("label") != template
    except (IndexError, KeyError, ValueError):
        return False


class ZeroShotAnswer(TypedDict):
    """The text, and the labels with their scores, best first."""

    sequence: str
    labels: list[str]
    scores: list[float]


@dataclass(frozen=True)
class ZeroShotOptions:
    """What a call may ask for.

    Attributes:
        candidate_labels: the labels; a string holds several with commas between.
        hypothesis_template: the sentence that a label is asked by, with ``{}`` for the label.
        multi_label: whether several labels may be true; each score is then a probability by itself.
        truncation: True cuts long texts to what the model takes, as transformers does; otherwise they are read in
            windows.
    """

    candidate_labels: str | Sequence[str] = ()
    hypothesis_template: str = "This example is {}."
    multi_label: bool = False
    truncation: bool = False

    def __post_init__(self) -> None:
        check_choice("multi_label", self.multi_label, (True, False))
        check_choice("truncation", self.truncation, (True, False))
        labels = self.candidate_labels
        if not isinstance(labels, str) and not (
            isinstance(labels, Sequence) and all(isinstance(label, str) for label in labels)
        ):
            raise UsageError(
                f"candidate_labels is {labels!r}; expected a list of labels, or a text with commas between them."
            )
        template = self.hypothesis_template
        if not isinstance(template, str) or not _takes_label(template):
            raise UsageError(
                f"hypothesis_template is {template!r}; expected a sentence with {{}} where the label goes, for "
                "instance 'This text is about {}.'."
            )

    @property
    def labels(self) -> list[str]:
        """The labels as a list."""
        if not isinstance(self.candidate_labels, str):
            return list(self.candidate_labels)
        return [label.strip() for label in self.candidate_labels.split(",") if label.strip()]

    @property
    def hypotheses(self) -> list[str]:
        """The sentence of each label.

        Raises:
            UsageError: there are no labels.
        """
        if not self.labels:
            raise UsageError(
                "zero-shot-classification needs labels to choose from; give candidate_labels=['sports', 'politics'] "
                "(--options candidate_labels=sports,politics)."
            )
        return [self.hypothesis_template.format(label) for label in self.labels]


class ZeroShotClassificationPipeline(Pipeline):
    """Classifies texts by labels that come with the call.

        classify("The match ended in a draw.", ["sports", "politics"])
        # {'sequence': 'The match ended in a draw.', 'labels': ['sports', 'politics'], 'scores': [0.98, 0.02]}
        classify(texts, candidate_labels="sports, politics", multi_label=True)      # a list of such dicts

    Args:
        checkpoint: a classifier of pairs of texts, trained on natural language inference.
        settings: ``batch_size``, ``on_error``, and the fields of `ZeroShotOptions`.
    """

    task = "zero-shot-classification"
    option_names = ("candidate_labels", "hypothesis_template", "multi_label", "truncation")
    answer_columns = ("label", "score", "scores")
    sure_columns = 3
    options = ZeroShotOptions()

    def __init__(self, checkpoint: Checkpoint, **settings: Any) -> None:
        super().__init__(checkpoint, **settings)
        self.entailment_id = find_entailment(checkpoint)
        if self.entailment_id == -1:
            warnings.warn(
                f"no label of '{checkpoint.name}' says entailment (found: {', '.join(checkpoint.config.labels)}); its "
                "last one is taken for it. Use a checkpoint trained on natural language inference.",
                stacklevel=3,
            )

    def __call__(self, inputs: Any, candidate_labels: Any = None, **options: Any) -> Any:
        """As for every pipeline; the labels may be given without their name.

        Raises:
            UsageError: there are no labels, neither here nor in the pipeline's own settings; or as for every pipeline.
        """
        if candidate_labels is not None:
            options["candidate_labels"] = candidate_labels
        names = {name: value for name, value in options.items() if name not in CALL_OPTIONS}
        _ = self.read_options(names).hypotheses  # the error comes now, not with the first answer of a stream
        return super().__call__(inputs, **options)

    def read_options(self, options: dict[str, Any]) -> ZeroShotOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        return merge_options(self.options, options, self.option_names)

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: ZeroShotOptions) -> list[list[Sample]]:
        """The windows of each text with each label's sentence, label by label; each label has the same windows.

        Raises:
            InputError: an item is not a text, is empty, or is too long to be read beside a label's sentence.
        """
        texts = [read_one_text(item) for item in items]
        if "" in texts:
            raise InputError("the text is empty; leave it out.")
        hypotheses = settings.hypotheses
        samples: list[list[Sample]] = []
        for text in texts:
            of_labels = self._windows(text, hypotheses, settings)
            samples.append([Sample((window, text), len(window)) for of_label in of_labels for window in of_label])
        return samples

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Logits of each window with one label's sentence, float32 ``(classes,)``."""
        logits = class_logits(self.checkpoint, [sample.features[0] for sample in samples])
        return [
            checked_output(row, sample.length, sample.features[1]) for row, sample in zip(logits, samples, strict=True)
        ]

    def merge(self, output: ItemOutput) -> np.ndarray:
        """Scores of the labels in their order, float32 ``(labels,)``, where the pipeline's own settings have them."""
        return self._scores(output, self.options)

    def postprocess(self, output: ItemOutput, settings: ZeroShotOptions) -> ZeroShotAnswer:
        """The labels with their scores, best first."""
        scores = self._scores(output, settings)
        order = scores.argsort()[::-1]
        labels = settings.labels
        return {
            "sequence": output.contexts[0],
            "labels": [labels[index] for index in order],
            "scores": scores[order].tolist(),
        }

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The best label with its score; all of them stand in ``scores``."""
        pairs = zip(answer["labels"], answer["scores"], strict=True)
        scores = [{"label": label, "score": score} for label, score in pairs]
        return {**scores[0], "scores": scores}

    def size(self, item: Any) -> int:
        """Characters, of the text with each label."""
        text = item.get("text") if isinstance(item, Mapping) else item
        return LABELS_AT_ONCE * super().size(text)

    def _windows(self, text: str, hypotheses: Sequence[str], settings: ZeroShotOptions) -> list[list[Encoded]]:
        """For each label the windows of the text with its sentence; window n of all labels is the same text."""
        tokenizer = self.tokenizer
        limit = tokenizer.max_length
        if limit is None:
            return [[each] for each in tokenizer.encode([text] * len(hypotheses), hypotheses)]
        if settings.truncation:
            return [[each] for each in encode_cut(tokenizer, [text] * len(hypotheses), hypotheses, limit, "only_first")]
        windows: list[list[Encoded]] = [[] for _ in hypotheses]
        for piece in split_text(text):
            encoded = tokenizer.encode([piece] * len(hypotheses), hypotheses)
            longest = max(map(len, encoded))
            if longest > limit:
                self._check_room(encoded, hypotheses, limit)
            for of_label, each in zip(windows, encoded, strict=True):
                # Shorter sentences would leave room for more text; then the windows would differ from label to label.
                most = limit - (longest - len(each)) if longest > limit else limit
                of_label.extend(tokenizer.windows(each, most, shared_tokens(limit)))
        return windows

    def _check_room(self, encoded: Sequence[Encoded], hypotheses: Sequence[str], limit: int) -> None:
        """Nothing, if each label's sentence leaves half of what the model takes to the text.

        Raises:
            InputError: one does not.
        """
        special = sum(self.tokenizer.special_counts[True])
        lengths = [len(each) - (each.first_length or 0) - special for each in encoded]
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        room = (limit - special) // 2
        if lengths[longest] > room:
            raise InputError(
                f"the label's sentence '{hypotheses[longest][:80]}' has {lengths[longest]} tokens, but beside a long "
                f"text '{self.checkpoint.name}' has room for {room}; use shorter labels."
            )

    def _scores(self, output: ItemOutput, settings: ZeroShotOptions) -> np.ndarray:
        """Scores ``(labels,)`` of the text: the mean over its windows, weighted by their lengths."""
        count = len(settings.labels)
        logits = np.stack(output.windows).reshape(count, -1, len(output.windows[0]))  # (labels, windows, classes)
        entailment = logits[..., self.entailment_id]  # (labels, windows)
        if settings.multi_label or count == 1:
            contradiction = logits[..., -1 if self.entailment_id == 0 else 0]
            scores = 1.0 / (1.0 + np.exp(contradiction - entailment))
        else:
            shifted = np.exp(entailment - entailment.max(axis=0))
            scores = shifted / shifted.sum(axis=0)
        return merge_windows(list(scores.T), output.lengths[: logits.shape[1]])


def find_entailment(checkpoint: Checkpoint) -> int:
    """The class that says entailment, by its name; -1 where none does, as in transformers."""
    labels = checkpoint.config.raw.get("label2id") or {}
    by_name = labels or {label: index for index, label in enumerate(checkpoint.config.labels)}
    return next((int(index) for label, index in by_name.items() if str(label).lower().startswith("entail")), -1)
