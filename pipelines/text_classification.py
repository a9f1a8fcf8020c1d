"""Text classification: a label with its score, or the scores of all labels, for a text or a pair of texts.

Calls, nesting, labels and scores are those of ``transformers.TextClassificationPipeline``. Beyond it: texts of any
length, ``neutral``, ``return_windows``, any iterable as input, and one bad text does not end the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

import numpy as np

from .base import CALL_OPTIONS, ItemOutput, Pipeline, WindowOutput
from .batching import Sample
from .errors import InputError, UsageError, WeightsError, unknown_name
from .models.families import own_family
from .scores import FUNCTIONS, Function, function_for, is_count
from .scripts import Script, find_script
from .text_inputs import TextInput, is_single_text, read_text_input
from .windows import encode_cut, merge_windows, shared_tokens, split_text

if TYPE_CHECKING:
    from .checkpoints import Checkpoint
    from .encodings import Encoded
    from .tokenization import TextTokenizer

NEUTRAL = "neutral"

# Text after so many characters is out of reach of any truncation: a token has a thousandth of that at most.
TRUNCATION_CHARACTERS = 2_000_000


class WindowScore(TypedDict):
    """The score of a label in one window of a long text, and the window's number of tokens."""

    score: float
    length: int


class LabelScore(TypedDict):
    """One label's answer; ``windows`` is there with ``return_windows=True``."""

    label: str
    score: float
    windows: NotRequired[list[WindowScore]]


@dataclass(frozen=True)
class TextClassificationOptions:
    """What a call may ask for.

    Attributes:
        top_k: answers for each text, best first; None for all labels; "best" (not given) for one answer that is not
            in a list.
        is_top_k_of_call: whether the call itself gave ``top_k``, on which the nesting of a single text's answer
            depends, as in transformers.
        function_to_apply: from logits to scores; None for what the checkpoint's kind of problem needs.
        truncation: True cuts long texts to what the model takes, as do the names that transformers has for ways to cut
            pairs; otherwise they are read in windows.
        max_length: tokens, special ones included, to which texts are cut, or with ``truncation=False`` that a window
            holds; None for what the model takes.
        neutral: an answer whose score is under it gets the label "neutral"; in [0, 1].
        return_windows: adds to each answer the label's score in each window.
    """

    top_k: int | Literal["best"] | None = "best"
    is_top_k_of_call: bool = False
    function_to_apply: Function | None = None
    truncation: bool | str | None = None
    max_length: int | None = None
    neutral: float | None = None
    return_windows: bool = False

    def __post_init__(self) -> None:
        if self.top_k is not None and self.top_k != "best" and not is_count(self.top_k):
            raise UsageError(
                f"top_k is {self.top_k!r}; expected a whole number from 1, or for all labels top_k=None (--all-labels)."
            )
        if self.function_to_apply not in (None, "softmax", "sigmoid", "none"):
            raise UsageError(f"function_to_apply is {self.function_to_apply!r}; expected softmax, sigmoid or none.")
        if self.max_length is not None and not is_count(self.max_length):
            raise UsageError(f"max_length is {self.max_length!r}; expected a number of tokens from 1.")
        truncations = (True, False, None, "longest_first", "only_first", "only_second", "do_not_truncate")
        if self.truncation not in truncations:
            raise UsageError(f"truncation is {self.truncation!r}; expected one of {', '.join(map(str, truncations))}.")
        is_number = isinstance(self.neutral, int | float)
        if self.neutral is not None and not (is_number and 0 <= self.neutral <= 1):
            raise UsageError(f"neutral is {self.neutral!r}; expected a probability in [0, 1], for instance 0.6.")

    @property
    def truncates(self) -> str | None:
        """How texts are cut, in the words of transformers, which also cuts where only ``max_length`` is given."""
        if self.truncation is None:
            return None if self.max_length is None else "longest_first"
        if self.truncation in (False, "do_not_truncate"):
            return None
        return "longest_first" if self.truncation is True else str(self.truncation)


class TextClassificationPipeline(Pipeline):
    """Classifies texts and pairs of texts.

        classify("A gorgeous, witty film.")                      # [{'label': 'positive', 'score': 0.99}]
        classify(["one text", "another"])                        # a list of such dicts
        classify({"text": "A man eats.", "text_pair": "Someone is eating."})
        for answer in classify(lines): ...                       # lazy for anything that is not a list

    Args:
        checkpoint: model and tokenizer.
        others: for each script that ``checkpoint`` is not for, what loads the checkpoint that is, when a text in that
            script comes; all have the same labels.
        settings: ``batch_size``, ``on_error``, and the fields of `TextClassificationOptions`; ``padding`` is accepted,
            as in transformers, and has no use here.
    """

    task = "text-classification"
    option_names = ("top_k", "function_to_apply", "truncation", "max_length", "neutral", "return_windows", "padding")
    answer_columns = ("label", "score", "scores", "windows")
    sure_columns = 2
    options = TextClassificationOptions()

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        others: Mapping[Script, Callable[[], Checkpoint]] | None = None,
        **settings: Any,
    ) -> None:
        self._others = dict(others or {})
        self._loaded: dict[Script, Checkpoint] = {}
        super().__init__(checkpoint, **settings)
        family = own_family(checkpoint.config.raw)
        self._reads_pairs = family is not None and family.reads_pairs
        if self.options.neutral is not None:
            self._function(self.options)

    def read_options(self, options: dict[str, Any]) -> TextClassificationOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        for name in options:
            if name not in self.option_names:
                known = (*self.option_names, *CALL_OPTIONS)
                raise unknown_name("option", name, known, hint="docs/pipelines.md describes them.")
        given = {name: value for name, value in options.items() if name != "padding"}
        if isinstance(given.get("function_to_apply"), str):
            given["function_to_apply"] = given["function_to_apply"].lower()
        is_call = "options" in vars(self)
        merged = replace(self.options, **given, is_top_k_of_call=is_call and "top_k" in given)
        if merged.neutral is not None and self._function(merged) != "softmax":
            raise UsageError(
                f"neutral needs probabilities of classes that exclude each other, but the scores of "
                f"'{self.checkpoint.name}' are not (function_to_apply is {self._function(merged)}); leave neutral out."
            )
        return merged

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text or pair, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: TextClassificationOptions) -> list[list[Sample]]:
        """The windows of each text; texts in a script that has its own checkpoint are encoded for that one.

        Raises:
            InputError: an item is not a text, or has no token.
        """
        inputs = [self._read(item) for item in items]
        routes = [self._route(text.text) for text in inputs]
        samples: list[list[Sample]] = [[] for _ in inputs]
        for route in dict.fromkeys(routes):
            checkpoint = self._checkpoint(route)
            places = [place for place, other in enumerate(routes) if other == route]
            encoded = self._encode([inputs[place] for place in places], checkpoint.tokenizer, settings)
            for place, windows in zip(places, encoded, strict=True):
                if not windows[0].input_ids:
                    raise InputError("the text has no token: it is empty, or blank; leave it out.")
                samples[place] = [Sample(window, len(window), route) for window in windows]
        return samples

    def preprocess(self, items: Sequence[Any], **options: Any) -> list[list[dict[str, list[int]]]]:
        """The features (input_ids, and token_type_ids where the model reads them) of the windows of each text.

        Args:
            items: texts, or dicts of text and text_pair.
            options: ``truncation`` and ``max_length``, as in a call; with ``truncation=True`` each has one window.

        Raises:
            InputError: an item is not a text.
        """
        inputs = [self._read(item) for item in items]
        encoded = self._encode(inputs, self.checkpoint.tokenizer, self.read_options(options))
        return [[window.features() for window in windows] for windows in encoded]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Logits of each sample; all samples are for the same checkpoint."""
        checkpoint = self._checkpoint(samples[0].group)
        batch = checkpoint.tokenizer.pad([sample.features for sample in samples])
        if bool(batch["attention_mask"].all()):
            # Nothing is padded: attention without a mask is exact, and faster.
            del batch["attention_mask"]
        logits = checkpoint.logits(batch).float().cpu().numpy()
        return [
            WindowOutput(row, sample.length)
            if np.isfinite(row).all()
            else InputError("the model's output is not finite (nan or infinite); try dtype='float32'.")
            for row, sample in zip(logits, samples, strict=True)
        ]

    def merge(self, output: ItemOutput) -> np.ndarray:
        """Probabilities of the classes, or the values of a regression: float32 ``(classes,)``.

        Those of several windows are averaged, weighted by their lengths.
        """
        return self._scores(output, self.options)[0]

    def postprocess(self, output: ItemOutput, settings: TextClassificationOptions) -> LabelScore | list[LabelScore]:
        """The best label, or with ``top_k`` a list of labels, best first."""
        scores, of_windows = self._scores(output, settings)
        labels = self.checkpoint.config.labels
        order = np.argsort(-scores, kind="stable")
        count = 1 if settings.top_k == "best" else settings.top_k
        answers: list[LabelScore] = []
        for index in order[:count]:
            answer: LabelScore = {"label": labels[index], "score": scores[index].item()}
            if settings.return_windows:
                answer["windows"] = [
                    {"score": window[index].item(), "length": length}
                    for window, length in zip(of_windows, output.lengths, strict=True)
                ]
            answers.append(answer)
        if settings.neutral is not None and count == 1 and answers[0]["score"] < settings.neutral:
            answers[0]["label"] = NEUTRAL
        return answers[0] if settings.top_k == "best" else answers

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The best label with its score; all of several labels stand in ``scores``."""
        return {**answer[0], "scores": answer} if isinstance(answer, list) else dict(answer)

    def finish_single(self, inputs: Any, answer: Any, settings: TextClassificationOptions) -> Any:
        """A single text's answer stands in a list unless the call gave ``top_k``; a pair's never does."""
        return [answer] if isinstance(inputs, str) and not settings.is_top_k_of_call else answer

    def size(self, item: Any) -> int:
        """Characters."""
        if isinstance(item, Mapping):
            return sum(len(value) for value in item.values() if isinstance(value, str))
        return super().size(item)

    def _read(self, item: Any) -> TextInput:
        """The text or pair of an input.

        Raises:
            InputError: it is neither, or a single text for a model that compares two.
        """
        text = read_text_input(item)
        if text.pair is None and self._reads_pairs:
            raise InputError(
                f"checkpoint '{self.checkpoint.name}' compares two texts, and this is one; give "
                "{'text': 'the one', 'text_pair': 'the other'}."
            )
        return text

    def _scores(self, output: ItemOutput, settings: TextClassificationOptions) -> tuple[np.ndarray, list[np.ndarray]]:
        """Scores ``(classes,)`` of the text, and of each of its windows."""
        function = FUNCTIONS[self._function(settings)]
        of_windows = [function(logits) for logits in output.windows]
        return merge_windows(of_windows, output.lengths), of_windows

    def _function(self, settings: TextClassificationOptions) -> Function:
        """From logits to scores: as asked for, else by the kind of problem, as transformers chooses."""
        if settings.function_to_apply is not None:
            return settings.function_to_apply
        return function_for(self.checkpoint.config.problem_type, len(self.checkpoint.config.labels))

    def _encode(
        self, inputs: Sequence[TextInput], tokenizer: TextTokenizer, settings: TextClassificationOptions
    ) -> list[list[Encoded]]:
        """The windows of each text or pair; one alone where texts are cut."""
        windows: list[list[Encoded]] = [[] for _ in inputs]
        for has_pair in (False, True):
            places = [place for place, text in enumerate(inputs) if (text.pair is not None) == has_pair]
            if places:
                encoded = _encode_alike([inputs[place] for place in places], tokenizer, settings)
                for place, of_text in zip(places, encoded, strict=True):
                    windows[place] = of_text
        return windows

    def _route(self, text: str) -> Script | None:
        """The script whose own checkpoint reads ``text``; None for the first one."""
        if not self._others:
            return None
        script = find_script(text)
        return script if script in self._others else None

    def _checkpoint(self, route: Any) -> Checkpoint:
        if route is None:
            return self.checkpoint
        if route not in self._loaded:
            loaded = self._others[route]()
            if loaded.config.labels != self.checkpoint.config.labels:
                raise WeightsError(
                    f"'{loaded.name}' has the labels {', '.join(loaded.config.labels)}, expected those of "
                    f"'{self.checkpoint.name}', {', '.join(self.checkpoint.config.labels)}: they share a pipeline."
                )
            self._loaded[route] = loaded
        return self._loaded[route]


def _encode_alike(
    inputs: Sequence[TextInput], tokenizer: TextTokenizer, settings: TextClassificationOptions
) -> list[list[Encoded]]:
    """As `TextClassificationPipeline._encode`, where all inputs are pairs or none is."""
    limits = [limit for limit in (settings.max_length, tokenizer.max_length) if limit is not None]
    limit = min(limits, default=None)
    pairs = None if inputs[0].pair is None else [text.pair or "" for text in inputs]
    if settings.truncates is not None and limit is not None:
        texts = [text.text[:TRUNCATION_CHARACTERS] for text in inputs]
        return [[encoded] for encoded in encode_cut(tokenizer, texts, pairs, limit, settings.truncates)]
    pieces = [split_text(text.text) if pairs is None else [text.text] for text in inputs]
    encoded = iter(tokenizer.encode([piece for of_text in pieces for piece in of_text], pairs))
    windows = []
    for of_text in pieces:
        parts = [next(encoded) for _ in of_text]
        parts = [part for part in parts if part.input_ids] or parts[:1]
        if limit is not None:
            parts = [window for part in parts for window in tokenizer.windows(part, limit, shared_tokens(limit))]
        windows.append(parts)
    return windows
