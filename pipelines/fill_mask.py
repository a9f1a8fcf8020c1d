"""Masked words: the words that best fill each mask of a text, with their probabilities.

Calls, nesting and values are those of ``transformers.FillMaskPipeline``. Beyond it: texts of any length, batches, any
iterable as input, and one bad text does not end the run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypedDict

import numpy as np
import torch

from .base import ItemOutput, Pipeline, WindowOutput, token_limits
from .batching import Batcher, BatchLimits, Sample
from .call_options import check_count, merge_options
from .encodings import Encoded, cut
from .errors import InputError, UsageError
from .selected_tokens import has_separate_head, head_at
from .text_inputs import is_single_text, read_one_text
from .token_batches import NOT_FINITE, checked_output, padded_batch
from .windows import encode_as_asked

# The model gives a number for each word of its vocabulary at each token: 256 MB a batch on a CPU, 2 GB elsewhere.
CPU_LOGITS, DEVICE_LOGITS = 2**26, 2**29


class MaskFill(TypedDict):
    """One word for a mask: its probability, its id, the word, and the text with the word in place of the mask."""

    score: float
    token: int
    token_str: str
    sequence: str


@dataclass(frozen=True)
class FillMaskOptions:
    """What a call may ask for.

    Attributes:
        top_k: words for each mask, the most probable first.
        targets: the only words asked about; None for the whole vocabulary. Their probabilities stay those among all
            words.
        target_ids: their ids, each once; None for the whole vocabulary.
        tokenizer_kwargs: arguments for the tokenizer, as in transformers; None leaves long texts whole.
    """

    top_k: int = 5
    targets: str | Sequence[str] | None = None
    target_ids: tuple[int, ...] | None = None
    tokenizer_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_count("top_k", self.top_k)
        if self.tokenizer_kwargs is not None and not isinstance(self.tokenizer_kwargs, Mapping):
            raise UsageError(
                f"tokenizer_kwargs is {self.tokenizer_kwargs!r}; expected a dict, for instance {{'truncation': True}}."
            )


@dataclass(frozen=True, slots=True)
class MaskedWindow:
    """What the model sees of a text, and what is wanted of it.

    Attributes:
        encoded: the whole text, or a window of it.
        places: where in ``encoded`` the masks are that it is read for.
        text_ids: the ids of the whole text.
        text_places: where in ``text_ids`` these masks are.
        settings: of the call.
    """

    encoded: Encoded
    places: list[int]
    text_ids: list[int]
    text_places: list[int]
    settings: FillMaskOptions


@dataclass(frozen=True, slots=True)
class Candidates:
    """The context of an output: which words its scores are of.

    Attributes:
        token_ids: int64 ``(masks, words)``.
        text_ids: the ids of the whole text.
        text_places: where in it the masks are.
    """

    token_ids: np.ndarray
    text_ids: list[int]
    text_places: list[int]


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text, or a part of one, of which some tokens have been masked.

    Attributes:
        encoded: with the masks.
        places: where in ``encoded`` they are, ascending.
        words: ids of the tokens that stood there.
    """

    encoded: Encoded
    places: Sequence[int]
    words: Sequence[int]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the model thinks of the words behind the masks of a `MaskedText`, arrays ``(masks,)``.

    Attributes:
        part: which words.
        losses: minus the natural logarithm of the word's probability, float32.
        ranks: how many words it holds to be more probable, int64.
        words: the most probable word's id, int64.
        scores: its probability, float32.
    """

    part: MaskedText
    losses: np.ndarray
    ranks: np.ndarray
    words: np.ndarray
    scores: np.ndarray


class FillMaskPipeline(Pipeline):
    """Fills the masks of texts.

        fill("A [MASK] film.")                # [{'score': 0.1, 'token': 7, 'token_str': 'good', 'sequence': …}, …]
        fill("A [MASK] and [MASK] film.")     # a list for each mask
        fill(["A [MASK] film.", "A [MASK] plot."], top_k=2)
        fill("A [MASK] film.", targets=["good", "bad"])

    Args:
        checkpoint: model and tokenizer.
        settings: ``batch_size``, ``on_error``, ``top_k``, ``targets``, ``tokenizer_kwargs``.

    Raises:
        UsageError: the tokenizer has no mask token.
    """

    task = "fill-mask"
    option_names = ("top_k", "targets", "tokenizer_kwargs")
    answer_columns = ("token_str", "score", "sequence", "candidates")
    sure_columns = 4
    options = FillMaskOptions()

    def read_options(self, options: dict[str, Any]) -> FillMaskOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have, or the model knows no target.
        """
        _ = self.mask_id
        given = {name: value for name, value in options.items() if name != "top_k" or value is not None}
        merged = merge_options(self.options, given, self.option_names)
        if "targets" not in given:
            return merged
        return replace(merged, target_ids=None if merged.targets is None else self._target_ids(merged.targets))

    @cached_property
    def mask_id(self) -> int:
        """The id of the mask.

        Raises:
            UsageError: the tokenizer has none.
        """
        mask_id = self.tokenizer.mask_id
        if mask_id is None:
            raise UsageError(
                f"the tokenizer of checkpoint '{self.checkpoint.name}' has no mask token; use a checkpoint that was "
                "trained to fill masks, such as distilbert/distilroberta-base."
            )
        return mask_id

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: FillMaskOptions) -> list[list[Sample]]:
        """Each text whole, or where it is longer than the model takes, a window around each of its masks.

        Raises:
            InputError: an item is not a text, or has no mask.
        """
        texts = [read_one_text(item) for item in items]
        if settings.tokenizer_kwargs is None:
            encoded = self.tokenizer.encode(texts)
        else:
            encoded = encode_as_asked(self.tokenizer, texts, settings.tokenizer_kwargs)
        windows = [self._windows(each, settings) for each in encoded]
        return [[Sample(window, len(window.encoded)) for window in of_text] for of_text in windows]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Probabilities of the words that are wanted for each mask, float32 ``(masks, words)``, best first.

        They are picked here, since those of the whole vocabulary would fill the memory while they wait.
        """
        windows: list[MaskedWindow] = [sample.features for sample in samples]
        outputs: list[WindowOutput | InputError] = []
        logits = self._logits_of_masks([window.encoded for window in windows], [window.places for window in windows])
        for window, of_masks in zip(windows, logits, strict=True):
            scores, token_ids = _best(of_masks.softmax(dim=-1), window.settings)
            context = Candidates(token_ids, window.text_ids, window.text_places)
            outputs.append(checked_output(scores, len(window.encoded), context))
        return outputs

    def judge(self, texts: Iterable[str], mask: Callable[[Encoded], Sequence[MaskedText]]) -> Iterator[list[Judgement]]:
        """What the model thinks of words that are known: of each text a judgement of each part.

        Args:
            texts: whole, without masks.
            mask: cuts a text into parts that the model takes, and masks these.

        Raises:
            InputError: the model's output is not finite.
        """

        def samples(items: Sequence[str]) -> list[list[Sample]]:
            encoded = self.tokenizer.encode(items)
            return [[Sample(part, len(part.encoded)) for part in mask(each)] for each in encoded]

        for outcome in Batcher(samples, self._judge, self.limits, self.size).stream(texts):
            if isinstance(outcome, InputError):
                raise outcome
            yield outcome

    def _judge(self, samples: Sequence[Sample]) -> list[Judgement | InputError]:
        parts: list[MaskedText] = [sample.features for sample in samples]
        logits = self._logits_of_masks([part.encoded for part in parts], [part.places for part in parts])
        found: list[Judgement | InputError] = []
        for part, of_masks in zip(parts, logits, strict=True):
            right = torch.tensor(part.words, device=of_masks.device)[:, None]  # (masks, 1)
            log_probabilities = of_masks.log_softmax(dim=-1)
            of_right = log_probabilities.gather(1, right)
            best, words = log_probabilities.max(dim=-1)
            ranks = (log_probabilities > of_right).sum(-1)
            judgement = Judgement(
                part,
                losses=-of_right[:, 0].cpu().numpy(),
                ranks=ranks.cpu().numpy(),
                words=words.cpu().numpy(),
                scores=best.exp().cpu().numpy(),
            )
            is_finite = bool(np.isfinite(judgement.losses).all())
            found.append(judgement if is_finite else InputError(NOT_FINITE))
        return found

    def _logits_of_masks(self, rows: Sequence[Encoded], places: Sequence[Sequence[int]]) -> Sequence[torch.Tensor]:
        """Float32 ``(masks, vocab)`` for each row: logits of the tokens at ``places``."""
        batch = padded_batch(self.tokenizer, rows, side="right")
        where = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
        for row, of_row in enumerate(places):
            where[row, list(of_row)] = True
        where = where.to(self.device)
        if self._has_separate_head:
            with head_at(self.model, where):
                logits = self.checkpoint.logits(batch)[0]  # (masks of the batch, vocab)
        else:
            logits = self.checkpoint.logits(batch)[where]
        return logits.float().split([len(of_row) for of_row in places])

    @cached_property
    def _has_separate_head(self) -> bool:
        return has_separate_head(self.model)

    def postprocess(self, output: ItemOutput, settings: FillMaskOptions) -> list[MaskFill] | list[list[MaskFill]]:
        """The words for the mask, best first; of a text with several masks a list for each."""
        is_single_mask = sum(len(scores) for scores in output.windows) == 1
        answers: list[list[MaskFill]] = []
        for scores, context in zip(output.windows, output.contexts, strict=True):
            for mask, place in enumerate(context.text_places):
                words = zip(scores[mask].tolist(), context.token_ids[mask].tolist(), strict=True)
                answers.append([self._fill(context.text_ids, place, *word, is_single_mask) for word in words])
        return answers[0] if is_single_mask else answers

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The best word for the (first) mask; all of them stand in ``candidates``, nested as in the answer."""
        best = answer[0][0] if isinstance(answer[0], list) else answer[0]
        return {**{name: best[name] for name in ("token_str", "score", "sequence")}, "candidates": answer}

    def finish_list(self, inputs: Sequence[Any], answers: list[Any], settings: FillMaskOptions) -> list[Any]:
        """The answer to a list of one text stands alone, as in transformers."""
        return answers[0] if len(answers) == 1 else answers

    def _automatic_limits(self) -> BatchLimits:
        limits = token_limits(self.checkpoint)
        logits = CPU_LOGITS if self.device.type == "cpu" else DEVICE_LOGITS
        vocab_size = self.checkpoint.config.raw.get("vocab_size") or self.tokenizer.vocab_size
        return replace(limits, budget=min(limits.budget, max(1, logits // vocab_size)))

    def _windows(self, encoded: Encoded, settings: FillMaskOptions) -> list[MaskedWindow]:
        """The text whole if the model takes it, else a window for each mask, which stands in its middle."""
        ids = encoded.input_ids
        places = [place for place, token_id in enumerate(ids) if token_id == self.mask_id]
        if not places:
            mask = self.tokenizer.token_text(self.mask_id)
            raise InputError(f"the text has no mask; write {mask} where a word is to be filled in.")
        limit = self.tokenizer.max_length
        if limit is None or len(encoded) <= limit:
            return [MaskedWindow(encoded, places, ids, places, settings)]
        if settings.tokenizer_kwargs is not None and not settings.tokenizer_kwargs.get("add_special_tokens", True):
            prefix, suffix = 0, 0
        else:
            prefix, _, suffix = self.tokenizer.special_counts[False]
        room, end = limit - prefix - suffix, len(encoded) - suffix
        windows = []
        for place in places:
            start = max(prefix, min(place - room // 2, end - room))
            window = cut(encoded, prefix, ((start, start + room), (end, end)), end, 0, suffix)
            windows.append(MaskedWindow(window, [prefix + place - start], ids, [place], settings))
        return windows

    def _target_ids(self, targets: str | Sequence[str]) -> tuple[int, ...]:
        """The ids of the words asked about, each once.

        A word that is not one token stands for its first one, with a warning, as in transformers.

        Raises:
            UsageError: they are no words, or the model knows none of them.
        """
        words = [targets] if isinstance(targets, str) else targets
        if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
            raise UsageError(f"targets is {targets!r}; expected a word or a list of words.")
        tokenizer = self.tokenizer.as_transformers
        vocabulary = tokenizer.get_vocab()
        found: dict[int, None] = {}
        for word in words:
            ids = [vocabulary[word]] if word in vocabulary else tokenizer(word, add_special_tokens=False)["input_ids"]
            if word not in vocabulary:
                instead = f"its first piece '{tokenizer.convert_ids_to_tokens(ids[0])}' stands for it" if ids else ""
                warnings.warn(
                    f"the target '{word}' is no single token of '{self.checkpoint.name}'; {instead or 'left out'}.",
                    stacklevel=4,
                )
            found.update(dict.fromkeys(ids[:1]))
        if not found:
            raise UsageError(
                f"targets is {targets!r}, none of which '{self.checkpoint.name}' knows; give words of its vocabulary."
            )
        return tuple(found)

    def _fill(self, ids: list[int], place: int, score: float, token_id: int, is_single_mask: bool) -> MaskFill:
        filled = [*ids[:place], token_id, *ids[place + 1 :]]
        shown = [each for each in filled if each != self.tokenizer.pad_id]
        return {
            "score": score,
            "token": token_id,
            "token_str": self.tokenizer.decode([token_id], skip_special_tokens=False),
            # With other masks in the text the special tokens stay, for those would be dropped with them.
            "sequence": self.tokenizer.decode(shown, skip_special_tokens=is_single_mask),
        }


def _best(probabilities: torch.Tensor, settings: FillMaskOptions) -> tuple[np.ndarray, np.ndarray]:
    """The highest of ``probabilities`` (masks, vocab) and their ids, both ``(masks, words)``, best first."""
    wanted = None
    if settings.target_ids is not None:
        wanted = torch.tensor(settings.target_ids, device=probabilities.device)
        probabilities = probabilities[:, wanted]
    scores, places = probabilities.topk(min(settings.top_k, probabilities.shape[-1]), dim=-1)
    token_ids = places if wanted is None else wanted[places]
    return scores.cpu().numpy(), token_ids.cpu().numpy()
