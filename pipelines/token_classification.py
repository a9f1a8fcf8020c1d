"""Token classification: a label for each token of a text, or the entities that labels make up.

Calls, nesting and values are those of ``transformers.TokenClassificationPipeline``, apart from the scores' type, which
is float and not numpy's float32. Beyond it: texts of any length, lists of words among texts, models that choose the
tags of a sentence together, any iterable as input, and one bad text does not end the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from .base import ItemOutput, Pipeline, WindowOutput
from .batching import Sample
from .call_options import merge_options
from .entities import (
    WORD_STRATEGIES,
    Entity,
    LabelTable,
    Units,
    group_units,
    labelled_units,
    merge_overlapping,
    softmax,
    token_entities,
)
from .errors import InputError, UsageError
from .tag_decoding import Tagging, find_decoder
from .text_inputs import is_single_text
from .token_batches import checked_output, padded_batch
from .token_options import OUTSIDE, TokenClassificationOptions, normalised_options
from .token_texts import TokenText, read_token_texts, read_words_input
from .token_windows import TokenWindow, answering_windows, merge_token_windows, window_spans
from .token_words import TokenWords

SIZE_PER_CHARACTER = 4
"""Tokens that know where they stand take about so many times the memory of those that do not."""


class TaggedWindow(NamedTuple):
    """A window, and its tags if the model chose them for the whole text in it."""

    window: TokenWindow
    tagging: Tagging | None


class TokenClassificationPipeline(Pipeline):
    """Labels the tokens of texts, or finds entities in them.

        tag("Angela Merkel visited Paris.")                      # a list of tokens with their labels
        tag("Angela Merkel visited Paris.", aggregation_strategy="first")  # a list of entities
        tag(["one text", "another"])                             # a list of such lists
        tag(["Angela", "Merkel"], is_split_into_words=True)      # words: a list of one such list, as in transformers
        for answer in tag(lines): ...                            # lazy for anything that is not a list

    A list among the inputs of a list or of a stream is a list of words in any case.

    Args:
        checkpoint: model and tokenizer.
        settings: ``batch_size``, ``on_error``, and the fields of `TokenClassificationOptions`.
    """

    task = "token-classification"
    option_names = (
        "aggregation_strategy",
        "ignore_labels",
        "stride",
        "is_split_into_words",
        "delimiter",
        "truncation",
        "max_length",
        "offset_mapping",
    )
    answer_columns = ("entities",)
    sure_columns = 1
    options = TokenClassificationOptions()

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """The answer for one input, a list of answers for a list, a lazy iterator of answers for any other iterable.

        Args:
            inputs: a text, a list of texts (of lists of words), or an iterable of them. With ``is_split_into_words`` a
                list of words is one input, whose answer stands in a list, as in transformers.
            options: the fields of `TokenClassificationOptions`, and of `Pipeline`; and ``offset_mapping``, characters
                (start, stop) of each token, special ones included, in place of what the tokenizer says, or for a list
                of inputs a list of such lists.

        Raises:
            InputError: an input is wrong and ``on_error`` is ``raise``.
            UsageError: an option is wrong.
        """
        offset_mapping = options.pop("offset_mapping", None)
        is_split = options.get("is_split_into_words", self.options.is_split_into_words)
        if is_split and isinstance(inputs, list | tuple) and any(isinstance(word, str) for word in inputs):
            inputs = [inputs]
        if offset_mapping is not None:
            inputs = _with_offsets(inputs, offset_mapping)
        return super().__call__(inputs, **options)

    def read_options(self, options: dict[str, Any]) -> TokenClassificationOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist, has a value it cannot have, or asks what the tokenizer cannot tell.
        """
        if "offset_mapping" in options:
            raise UsageError("offset_mapping is about the texts of one call; give it in that call.")
        merged = merge_options(self.options, normalised_options(options), self.option_names)
        is_fast = self.tokenizer.backend is not None
        if not is_fast and (merged.aggregation_strategy in WORD_STRATEGIES or merged.stride is not None):
            raise UsageError(
                f"the tokenizer of '{self.checkpoint.name}' does not say where its tokens stand in the text, which "
                f"stride and the strategies {', '.join(WORD_STRATEGIES)} need; use aggregation_strategy='simple', or a "
                "checkpoint with a fast tokenizer (tokenizer.json)."
            )
        return merged

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: TokenClassificationOptions) -> list[list[Sample]]:
        """The windows of each text.

        Raises:
            InputError: an item is neither a text nor a list of words, or the model would see no token of it.
        """
        samples: list[list[Sample]] = []
        for windows in self._windows(items, settings):
            lengths = [window.stop - window.start + window.tokens.num_special for window in windows]
            if lengths[0] == 0:
                raise InputError("the text has no token: it is empty, or blank; leave it out.")
            samples.append([Sample(window, length) for window, length in zip(windows, lengths, strict=True)])
        return samples

    def preprocess(self, items: Sequence[Any], **options: Any) -> list[list[dict[str, list[int]]]]:
        """The features of the windows of each text: input_ids, token_type_ids where the model reads them, and words.

        ``words`` holds for each token the number of the word that it begins, if the window answers for it; -1 at other
        tokens. So over all windows of a text each word stands once, unless it has no token or is cut off.

        Args:
            items: lists of words, or texts, whose words are what the tokenizer takes for them.
            options: ``truncation``, ``max_length`` and the others of a call.

        Raises:
            InputError: an item is neither a text nor a list of words.
            UsageError: the tokenizer does not tell words.
        """
        features = []
        for windows in self._windows(items, self.read_options(options)):
            tokens = windows[0].tokens
            begun = np.full(len(tokens), -1)
            places, numbers = tokens.word_starts()
            begun[places] = numbers
            owners = answering_windows([(window.start, window.stop) for window in windows], len(tokens))
            before, after = [-1] * len(tokens.before), [-1] * len(tokens.after)
            of_text = []
            for number, window in enumerate(windows):
                inside = slice(window.start, window.stop)
                words = np.where(owners[inside] == number, begun[inside], -1).tolist()
                encoded = tokens.encoded(window.start, window.stop)
                of_text.append({**encoded.features(), "words": [*before, *words, *after]})
            features.append(of_text)
        return features

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Logits ``(tokens, labels)`` of each window; of a whole text also its tags, if the model chooses them."""
        windows: list[TokenWindow] = [sample.features for sample in samples]
        rows = [window.tokens.encoded(window.start, window.stop) for window in windows]
        batch = padded_batch(self.tokenizer, rows, side="right")
        logits = self.checkpoint.logits(batch).float()  # (batch, length, labels)
        inside = [slice(len(tokens.before), len(tokens.before) + stop - start) for tokens, start, stop in windows]
        taggings = self._tag_whole(windows, [row[part] for row, part in zip(logits, inside, strict=True)])
        values = logits.cpu().numpy()
        return [
            checked_output(values[row, inside[row]], sample.length, TaggedWindow(windows[row], taggings[row]))
            for row, sample in enumerate(samples)
        ]

    def word_probabilities(self, output: ItemOutput) -> np.ndarray:
        """Probabilities of the labels of each word, those of its first token: float32 ``(words, labels)``.

        Of a text the words are what the tokenizer takes for them. A word without a token (one that the tokenizer
        deletes, or that was cut off) is sure to be "O"; where there is no such label, all are as likely.

        Raises:
            UsageError: the tokenizer does not tell words.
        """
        tokens, logits, tagging = self._read(output)
        names = self.checkpoint.config.labels
        places, numbers = tokens.word_starts()
        count = int(numbers.max(initial=-1)) + 1 if tokens.num_words is None else tokens.num_words
        is_outside = np.array([name == OUTSIDE for name in names], dtype=np.float32)
        without = is_outside if is_outside.any() else np.full(len(names), 1 / len(names), dtype=np.float32)
        probabilities = np.tile(without, (count, 1))
        probabilities[numbers] = softmax(logits[places]) if tagging is None else tagging.probabilities
        return probabilities

    def word_tags(self, output: ItemOutput) -> list[str]:
        """The label of each word: as the model chooses them together, or the most probable ones.

        Raises:
            UsageError: the tokenizer does not tell words.
        """
        tokens, _, tagging = self._read(output)
        best = self.word_probabilities(output).argmax(axis=-1)
        if tagging is not None:
            best[tokens.word_starts()[1]] = tagging.tags
        return [self.checkpoint.config.labels[label] for label in best.tolist()]

    def postprocess(self, output: ItemOutput, settings: TokenClassificationOptions) -> list[Entity]:
        """The tokens or entities of the text, in order."""
        if settings.stride is None or len(output.windows) == 1:
            return self._entities(*self._read(output), settings)
        entities: list[Any] = []
        for logits, length, context in zip(output.windows, output.lengths, output.contexts, strict=True):
            window: TokenWindow = context.window
            part = TokenWindow(window.tokens.part(window.start, window.stop), 0, window.stop - window.start)
            alone = ItemOutput([logits], [length], [TaggedWindow(part, None)])
            entities.extend(self._entities(*self._read(alone), settings))
        return list(merge_overlapping(entities))

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The list of tokens or entities."""
        return {"entities": answer}

    def size(self, item: Any) -> int:
        """Characters, counted several times for what is remembered of each token."""
        if isinstance(item, Mapping):
            return sum(self.size(value) for value in item.values() if isinstance(value, str | list | tuple))
        if isinstance(item, list | tuple):
            return SIZE_PER_CHARACTER * sum(len(word) + 1 for word in item if isinstance(word, str))
        return SIZE_PER_CHARACTER * super().size(item)

    def _windows(self, items: Sequence[Any], settings: TokenClassificationOptions) -> list[list[TokenWindow]]:
        """The windows of each text; one alone where texts are cut."""
        inputs = [read_words_input(item) for item in items]
        if settings.is_split_into_words and any(given.words is None for given in inputs):
            raise InputError(
                "is_split_into_words is set, but a text was given where a list of words is expected; give its words, "
                "or leave is_split_into_words out."
            )
        texts = read_token_texts(inputs, self.tokenizer, delimiter=settings.delimiter)
        return [_windows_of(tokens, self._limit(settings), settings, self._cuts_left) for tokens in texts]

    def _limit(self, settings: TokenClassificationOptions) -> int | None:
        """The most tokens of a window, special ones included."""
        limits = [limit for limit in (settings.max_length, self.tokenizer.max_length) if limit is not None]
        return min(limits, default=None)

    @property
    def _cuts_left(self) -> bool:
        return getattr(self.tokenizer.transformers_tokenizer, "truncation_side", "right") == "left"

    @cached_property
    def _labels(self) -> LabelTable:
        return LabelTable.of(self.checkpoint.config.labels)

    @cached_property
    def _words(self) -> TokenWords:
        return TokenWords(self.tokenizer)

    def _tag_whole(self, windows: Sequence[TokenWindow], logits: Sequence[torch.Tensor]) -> list[Tagging | None]:
        """The tags of the texts that stand whole in their window; None for others, and without a decoder for all."""
        decoder = find_decoder(self.model)
        is_whole = [decoder is not None and window.stop - window.start == len(window.tokens) for window in windows]
        chosen = [
            rows[torch.from_numpy(window.tokens.word_starts()[0]).to(rows.device)]
            for rows, window, whole in zip(logits, windows, is_whole, strict=True)
            if whole
        ]
        taggings = iter(decoder.read(chosen) if decoder is not None else [])
        return [next(taggings) if whole else None for whole in is_whole]

    def _read(self, output: ItemOutput) -> tuple[TokenText, np.ndarray, Tagging | None]:
        """The text, its logits ``(tokens, labels)``, and its tags if the model chooses them together."""
        contexts: Sequence[TaggedWindow] = output.contexts
        tokens, tagging = contexts[0].window.tokens, contexts[0].tagging
        spans = [(context.window.start, context.window.stop) for context in contexts]
        logits = merge_token_windows(output.windows, spans, len(tokens))
        if tagging is None and (decoder := find_decoder(self.model)) is not None:
            of_words = torch.from_numpy(logits[tokens.word_starts()[0]])
            (tagging,) = decoder.read([of_words.to(self.device)])
        return tokens, logits, tagging

    def _entities(
        self, tokens: TokenText, logits: np.ndarray, tagging: Tagging | None, settings: TokenClassificationOptions
    ) -> list[Any]:
        ignored = settings.ignore_labels
        strategy = settings.aggregation_strategy
        if strategy == "none":
            return token_entities(tokens, softmax(logits), self._labels, ignored, self._words)
        if tagging is not None:  # a tag for each word: nothing is left to aggregate within it
            units = Units(tokens.word_starts()[0], tagging.tags, tagging.scores, are_words=True)
        else:
            starts = self._words.starts(tokens) if strategy in WORD_STRATEGIES else np.arange(len(tokens))
            units = labelled_units(softmax(logits), strategy, starts)
        return group_units(tokens, units, self._labels, ignored, self._words)


def _with_offsets(inputs: Any, offset_mapping: Any) -> Any:
    """The inputs, each with its offsets."""
    if isinstance(inputs, str):
        return {"tokens": inputs, "offset_mapping": offset_mapping}
    if not isinstance(inputs, list | tuple):
        raise UsageError("offset_mapping goes with a text or a list of texts; of a stream each input may be a dict.")
    if offset_mapping and isinstance(offset_mapping[0], tuple):
        offset_mapping = [offset_mapping]
    if len(offset_mapping) != len(inputs):
        raise UsageError(f"offset_mapping is for {len(offset_mapping)} inputs, but there are {len(inputs)}.")
    return [{"tokens": item, "offset_mapping": offsets} for item, offsets in zip(inputs, offset_mapping, strict=True)]


def _windows_of(
    tokens: TokenText, limit: int | None, settings: TokenClassificationOptions, cuts_left: bool
) -> list[TokenWindow]:
    """The windows of a text, or what is left of it."""
    room = None if limit is None else limit - tokens.num_special
    if settings.truncates and room is not None and room < len(tokens):
        if room < 0:
            raise UsageError(
                f"max_length is {limit}, which has no room for the {tokens.num_special} special tokens; choose more."
            )
        tokens = tokens.part(len(tokens) - room, len(tokens)) if cuts_left else tokens.part(0, room)
        room = None
    return [TokenWindow(tokens, *span) for span in window_spans(len(tokens), room, settings.stride, limit)]
