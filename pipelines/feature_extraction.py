"""Feature extraction: a vector for each token of a text, the last hidden states of the model.

Calls, nesting and values are those of ``transformers.FeatureExtractionPipeline``. Beyond it: texts of any length,
batches, any iterable as input, and one bad text does not end the run. One vector for a text gives
`SentenceSimilarityPipeline`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .base import ItemOutput, Pipeline, WindowOutput
from .batching import Sample
from .call_options import check_choice, merge_options
from .encodings import Encoded
from .errors import InputError, UsageError
from .text_inputs import is_single_text, read_one_text
from .token_batches import checked_output, padded_batch
from .windows import counted_windows, encode_as_asked, encode_cut, shared_tokens, split_text

if TYPE_CHECKING:
    from .checkpoints import Checkpoint
    from .tokenization import TextTokenizer


@dataclass(frozen=True)
class FeatureExtractionOptions:
    """What a call may ask for.

    Attributes:
        return_tensors: whether an answer is a tensor ``(1, length, hidden)`` instead of nested lists.
        truncation: True cuts long texts to what the model takes; otherwise they are read in windows.
        tokenize_kwargs: arguments for the tokenizer, as in transformers; with them no text is read in windows.
    """

    return_tensors: bool | str = False
    truncation: bool | str | None = None
    tokenize_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_choice("return_tensors", self.return_tensors, (True, False, "pt", None))
        check_choice("truncation", self.truncation, (True, False, None, "longest_first", "do_not_truncate"))
        if self.tokenize_kwargs is not None and not isinstance(self.tokenize_kwargs, Mapping):
            raise UsageError(
                f"tokenize_kwargs is {self.tokenize_kwargs!r}; expected a dict, for instance {{'truncation': True}}."
            )
        if self.truncation is not None and "truncation" in (self.tokenize_kwargs or {}):
            raise UsageError("truncation was given twice, by itself and in tokenize_kwargs; leave one of them out.")


class CountedWindow(NamedTuple):
    """A text or a window of it, and those of its tokens that count; what windows share counts in one of them."""

    encoded: Encoded
    counted: slice

    @property
    def tokens(self) -> int:
        """How many tokens count."""
        return self.counted.stop - self.counted.start


class FeatureExtractionPipeline(Pipeline):
    """Gives the last hidden states of texts.

        extract("A film.")                             # [[[0.1, …], …]]: (1, length, hidden), special tokens included
        extract(["A film.", "A plot."])                # a list of such
        extract("A film.", return_tensors=True)        # a tensor (1, length, hidden)

    Args:
        checkpoint: model and tokenizer; a head is left out.
        settings: ``batch_size``, ``on_error``, ``return_tensors``, ``truncation``, ``tokenize_kwargs``.

    Raises:
        UsageError: the model is one of our own families, which give no vectors of tokens.
    """

    task = "feature-extraction"
    option_names = ("return_tensors", "truncation", "tokenize_kwargs")
    answer_columns = ("vector",)
    sure_columns = 1
    options = FeatureExtractionOptions()

    def __init__(self, checkpoint: Checkpoint, **settings: Any) -> None:
        if checkpoint.light and hasattr(checkpoint.model, "classifier"):
            raise UsageError(
                f"checkpoint '{checkpoint.name}' is a {checkpoint.config.model_type} classifier, which gives no "
                "vectors of tokens; for one vector of a text use pipeline('sentence-similarity')."
            )
        super().__init__(without_head(checkpoint), **settings)

    def read_options(self, options: dict[str, Any]) -> FeatureExtractionOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        return merge_options(self.options, options, self.option_names)

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: FeatureExtractionOptions) -> list[list[Sample]]:
        """The windows of each text.

        Raises:
            InputError: an item is not a text, or has no token.
        """
        texts = [read_one_text(item) for item in items]
        if settings.tokenize_kwargs is not None:
            arguments = {"truncation": settings.truncation or False, **settings.tokenize_kwargs}
            windows = [[whole(each)] for each in encode_as_asked(self.tokenizer, texts, arguments)]
        else:
            is_cut = settings.truncation in (True, "longest_first")
            windows = encode_counted(self.tokenizer, texts, self.tokenizer.max_length, is_cut=is_cut)
        return [[Sample(window, len(window.encoded)) for window in of_text] for of_text in windows]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Hidden states of those tokens of each window that count, float32 ``(tokens, hidden)``."""
        windows: list[CountedWindow] = [sample.features for sample in samples]
        hidden = hidden_states(self.checkpoint, [window.encoded for window in windows])  # (batch, length, hidden)
        counted = [row[window.counted].float().cpu().numpy() for row, window in zip(hidden, windows, strict=True)]
        return [checked_output(vectors, len(vectors)) for vectors in counted]

    def merge(self, output: ItemOutput) -> np.ndarray:
        """Hidden states of the whole text, float32 ``(length, hidden)``, each token once."""
        return output.windows[0] if len(output.windows) == 1 else np.concatenate(output.windows)

    def postprocess(self, output: ItemOutput, settings: FeatureExtractionOptions) -> Any:
        """Nested lists, or with ``return_tensors`` a tensor, ``(1, length, hidden)``."""
        vectors = self.merge(output)[None]
        return torch.from_numpy(vectors.copy()) if settings.return_tensors else vectors.tolist()

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The vectors of the tokens, as lists ``(length, hidden)``."""
        return {"vector": answer[0].tolist() if isinstance(answer, torch.Tensor) else answer[0]}

    def size(self, item: Any) -> int:
        """Characters, counted more often the more numbers come of each while it waits: about 256 MB at most."""
        config = getattr(self.checkpoint.model, "config", None)  # a plain network of ours has none
        hidden = getattr(config, "hidden_size", 768)
        return super().size(item) * max(1, hidden // 64)


def without_head(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with the body of its model alone; itself where there is no head."""
    body = getattr(checkpoint.model, "base_model", checkpoint.model)
    return checkpoint if body is checkpoint.model else replace(checkpoint, model=body)


def hidden_states(checkpoint: Checkpoint, rows: Sequence[Encoded]) -> torch.Tensor:
    """The last hidden states ``(batch, length, hidden)``, padding on the right; of an encoder-decoder its decoder's."""
    outputs = checkpoint.outputs(padded_batch(checkpoint.tokenizer, rows, side="right"))
    return outputs if checkpoint.light else outputs[0]


def whole(encoded: Encoded) -> CountedWindow:
    """A text that is read at once, all of whose tokens count.

    Raises:
        InputError: it has no token.
    """
    if not encoded.input_ids:
        raise InputError("the text has no token: it is empty, or blank; leave it out.")
    return CountedWindow(encoded, slice(0, len(encoded)))


def encode_counted(
    tokenizer: TextTokenizer, texts: Sequence[str], limit: int | None, *, is_cut: bool = False
) -> list[list[CountedWindow]]:
    """The windows of each text, in which each of its tokens counts once.

    Args:
        tokenizer: of the model.
        texts: the texts.
        limit: the most tokens of a window, special ones included; None if there is no limit.
        is_cut: whether texts are cut to ``limit`` instead.

    Raises:
        InputError: a text has no token.
    """
    if is_cut and limit is not None:
        return [[whole(each)] for each in encode_cut(tokenizer, texts, None, limit, "longest_first")]
    pieces = [split_text(text) for text in texts]
    encoded = iter(tokenizer.encode([piece for of_text in pieces for piece in of_text]))
    windows: list[list[CountedWindow]] = []
    for of_text in pieces:
        parts = [next(encoded) for _ in of_text]
        parts = [part for part in parts if part.input_ids] or parts[:1]
        if limit is None:
            windows.append([whole(part) for part in parts])
        else:
            counted = [counted_windows(tokenizer, whole(part).encoded, limit, shared_tokens(limit)) for part in parts]
            windows.append([CountedWindow(*window) for of_part in counted for window in of_part])
    return windows
