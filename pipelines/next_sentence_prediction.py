"""Next sentence prediction: whether one text follows another, as BERT was pretrained to tell.

Devlin et al. 2019, "BERT", section 3.1, task 2: the head sees ``[CLS] first [SEP] second [SEP]`` and says IsNext or
NotNext. transformers has the model and never had a pipeline for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from .base import ItemOutput, Pipeline, WindowOutput
from .batching import Sample
from .call_options import check_choice, merge_options
from .encodings import Encoded, cut
from .errors import InputError
from .text_inputs import is_single_text, read_text_input
from .token_batches import checked_output, class_logits

if TYPE_CHECKING:
    from .tokenization import TextTokenizer

LABELS = ("IsNext", "NotNext")
"""The classes in the order of their ids, as BERT's authors numbered them; the checkpoints do not name them."""


class NextSentenceScore(TypedDict):
    """One of `LABELS` and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class NextSentenceOptions:
    """What a call may ask for.

    Attributes:
        top_k: 1 for the more probable answer, 2 or None for both.
    """

    top_k: int | None = 1

    def __post_init__(self) -> None:
        check_choice("top_k", self.top_k, (1, 2, None))


class NextSentencePredictionPipeline(Pipeline):
    """Says whether the second text of a pair follows the first.

        follows({"text": "He opened the door.", "text_pair": "Nobody was there."})     # [{'label': 'IsNext', …}]
        follows([pair, pair], top_k=2)                                                 # a list of two for each pair

    Of a pair that is longer than the model takes, the end of the first text and the beginning of the second are read:
    that is where they meet.

    Args:
        checkpoint: a model with a next sentence head.
        settings: ``batch_size``, ``on_error``, ``top_k``.
    """

    task = "next-sentence-prediction"
    option_names = ("top_k",)
    answer_columns = ("label", "score", "scores")
    sure_columns = 2
    options = NextSentenceOptions()

    def read_options(self, options: dict[str, Any]) -> NextSentenceOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        return merge_options(self.options, options, self.option_names)

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one pair, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: NextSentenceOptions) -> list[list[Sample]]:
        """Each pair, cut around the place where its texts meet.

        Raises:
            InputError: an item is not a pair of texts.
        """
        firsts, seconds = [], []
        for item in items:
            text, pair = read_text_input(item)
            if pair is None:
                raise InputError(
                    'expected a pair of texts, got a text alone; give {"text": "first", "text_pair": "second"}.'
                )
            firsts.append(text)
            seconds.append(pair)
        encoded = [meeting(each, self.tokenizer) for each in self.tokenizer.encode(firsts, seconds)]
        return [[Sample(each, len(each))] for each in encoded]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Logits of each pair, float32 ``(2,)`` in the order of `LABELS`."""
        logits = class_logits(self.checkpoint, [sample.features for sample in samples])
        return [checked_output(row, sample.length) for row, sample in zip(logits, samples, strict=True)]

    def merge(self, output: ItemOutput) -> np.ndarray:
        """Probabilities, float32 ``(2,)`` in the order of `LABELS`."""
        shifted = np.exp(output.windows[0] - output.windows[0].max())
        return shifted / shifted.sum()

    def postprocess(self, output: ItemOutput, settings: NextSentenceOptions) -> list[NextSentenceScore]:
        """The answers asked for, the more probable one first."""
        scores = self.merge(output)
        order = np.argsort(-scores, kind="stable")[: settings.top_k]
        return [{"label": LABELS[index], "score": scores[index].item()} for index in order]

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The more probable answer with its score; both stand in ``scores`` where both were asked for."""
        return dict(answer[0]) if len(answer) == 1 else {**answer[0], "scores": answer}

    def size(self, item: Any) -> int:
        """Characters."""
        if isinstance(item, Mapping):
            return sum(len(value) for value in item.values() if isinstance(value, str))
        return super().size(item)


def meeting(encoded: Encoded, tokenizer: TextTokenizer) -> Encoded:
    """A pair of texts, cut to what the model takes: the end of the first text, the beginning of the second."""
    limit = tokenizer.max_length
    if limit is None or len(encoded) <= limit:
        return encoded
    prefix, middle, suffix = tokenizer.special_counts[True]
    first = encoded.first_length or 0
    second = len(encoded) - prefix - first - middle - suffix
    room = limit - prefix - middle - suffix
    of_second = min(second, max(room // 2, room - first))
    of_first = min(first, room - of_second)
    first_end = prefix + first
    second_at = first_end + middle
    spans = (first_end - of_first, first_end), (second_at, second_at + of_second)
    return cut(encoded, prefix, spans, first_end, middle, suffix)
