"""Text to text: a text rewritten by an encoder-decoder; translation and summarization are thin forms of it.

Calls and answers are those that version 4 of transformers had for ``text2text-generation``. Beyond it: a text that is
too long for the encoder is an error with a way out (and read in pieces where that makes sense), stop strings of any
length, seeds, and one bad text does not end the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from .base import ItemOutput, Pipeline, WindowOutput
from .batching import WINDOW_SIZE, BatchLimits, Sample
from .call_options import check_names
from .errors import InputError, UsageError
from .generation import Prompt, Written, as_sample, generation_limits, positions, write
from .generation_options import NO_PLAN, WRITING_OPTIONS, WritingPlan, make_plan, read_writing_options
from .sentences import join_texts, split_to_fit
from .text_generation import WINDOW_PROMPTS
from .text_inputs import is_single_text, read_one_text
from .text_streaming import finished_text
from .windows import encode_cut

DEFAULTS = {"max_new_tokens": 256, "num_beams": 4}
"""What transformers 4 did where neither user nor checkpoint said."""


@dataclass(frozen=True)
class Text2TextOptions:
    """What a call may ask for.

    Attributes:
        writing: the options of ``generate``, ``stop_sequence``, ``keep_stop_string`` and ``seed``, as given.
        plan: these settled with the checkpoint's.
        return_tensors: token ids instead of the text.
        return_text: the text; it is there for transformers' sake.
        clean_up_tokenization_spaces: takes out the space before punctuation.
        truncation: cuts a text that is too long to what the encoder takes.
        prefix: read before each text; None for what the checkpoint has for the task.
        padding: accepted, as in transformers, and of no use here.
    """

    writing: Mapping[str, Any] = field(default_factory=dict)
    plan: WritingPlan = NO_PLAN
    return_tensors: bool | None = None
    return_text: bool | None = None
    clean_up_tokenization_spaces: bool = False
    truncation: bool | str | None = None
    prefix: str | None = None
    padding: Any = None

    def __post_init__(self) -> None:
        truncations = (True, False, None, "longest_first", "only_first", "only_second", "do_not_truncate")
        if self.truncation not in truncations:
            raise UsageError(f"truncation is {self.truncation!r}; expected one of {', '.join(map(str, truncations))}.")
        if self.prefix is not None and not isinstance(self.prefix, str):
            raise UsageError(f"prefix is {self.prefix!r}; expected a text.")

    @property
    def truncates(self) -> str | None:
        """How texts are cut, in the words of transformers; None for not at all."""
        if self.truncation in (None, False, "do_not_truncate"):
            return None
        return "longest_first" if self.truncation is True else str(self.truncation)


OWN_OPTIONS = tuple(item.name for item in fields(Text2TextOptions) if item.name not in ("writing", "plan"))


class Text2TextGenerationPipeline(Pipeline):
    """Rewrites texts.

        rewrite("question: Who wrote it? context: Ada did.")     # [{'generated_text': 'Ada'}]
        rewrite(["one text", "another"])                         # a list of such dicts

    Args:
        checkpoint: model and tokenizer.
        settings: ``batch_size``, ``on_error``, the fields of `Text2TextOptions` and the options of ``generate``.
    """

    task = "text2text-generation"
    option_names = (*OWN_OPTIONS, *WRITING_OPTIONS)
    answer_columns = ("generated_text", "sequences")
    sure_columns = 1
    return_name: ClassVar[str] = "generated"
    """What the keys of an answer begin with."""
    reads_pieces: ClassVar[bool] = False
    """Whether a text that is too long is rewritten sentence by sentence."""
    options = Text2TextOptions()

    def read_options(self, options: dict[str, Any]) -> Any:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have, or two exclude each other.
        """
        check_names(options, self.option_names)
        own = {name: value for name, value in options.items() if name not in WRITING_OPTIONS}
        settings = replace(self.options, **own, writing=read_writing_options(options, self.options.writing))
        of_task = {name: value for name, value in self.of_task(settings).items() if name != "prefix"}
        plan = make_plan(self.checkpoint, settings.writing, defaults=DEFAULTS, of_task=of_task)
        self._check_length(plan)
        return replace(settings, plan=plan)

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: Any) -> list[list[Sample]]:
        """Each text as token ids, or the pieces of one that is too long.

        Raises:
            InputError: an item is no text, or is too long for the encoder.
        """
        return [
            [as_sample(prompt, self.checkpoint) for prompt in prompts] for prompts in self._prompts(items, settings)
        ]

    def preprocess(self, items: Sequence[Any], **options: Any) -> list[list[list[int]]]:
        """The token ids of the pieces of each text.

        Raises:
            InputError: an item is no text, or is too long for the encoder.
        """
        of_items = self._prompts(items, self.read_options(options))
        return [[prompt.ids for prompt in prompts] for prompts in of_items]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """What is written for each text of a batch; all have the same plan."""
        return write(self.checkpoint, samples)

    def postprocess(self, output: ItemOutput, settings: Any) -> list[dict[str, Any]]:
        """The texts that a text was rewritten to."""
        pieces: list[Written] = output.contexts
        answers: list[dict[str, Any]] = []
        for number in range(len(pieces[0].sequences)):
            if settings.return_tensors:
                import torch

                ids = [token for piece in pieces for token in (*piece.start, *piece.sequences[number])]
                answers.append({f"{self.return_name}_token_ids": torch.tensor(ids)})
            else:
                texts = [self._text(piece, number, settings) for piece in pieces]
                answers.append({f"{self.return_name}_text": join_texts(texts, [piece.source for piece in pieces])})
        return answers

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The first text; all of several in ``sequences``."""
        values = [next(iter(one.values())) for one in answer]
        texts = [value if isinstance(value, str) else value.tolist() for value in values]
        return {self.answer_columns[0]: texts[0]} | ({"sequences": texts} if len(texts) > 1 else {})

    def finish_list(self, inputs: Sequence[Any], answers: list[Any], settings: Any) -> list[Any]:
        """The answers to a list of texts stand in one list where each has one text, as in version 4 of transformers."""
        is_one_each = all(isinstance(answer, dict) or len(answer) == 1 for answer in answers)
        if not is_one_each or not all(isinstance(item, str) for item in inputs):
            return answers
        return [answer if isinstance(answer, dict) else answer[0] for answer in answers]

    def size(self, item: Any) -> int:
        """Characters, or a window's share if that is more."""
        return max(super().size(item), WINDOW_SIZE // WINDOW_PROMPTS)

    def of_task(self, settings: Any) -> dict[str, Any]:
        """What the checkpoint's configuration says for this task: options of ``generate``, and ``prefix``."""
        return dict(self.task_parameters().get(self.task, {}))

    def task_parameters(self) -> Mapping[str, Mapping[str, Any]]:
        """What the checkpoint's configuration says for tasks, by their names."""
        return self.checkpoint.config.raw.get("task_specific_params") or {}

    def encode(self, texts: Sequence[str], settings: Any) -> list[list[int]]:
        """The texts as token ids, neither cut nor split."""
        return [encoded.input_ids for encoded in self.checkpoint.tokenizer.encode(texts)]

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts to be written as token ids, as the decoder is to give them in training."""
        tokenizer = self.checkpoint.tokenizer
        live: Any = tokenizer.transformers_tokenizer
        if live is None:
            return [encoded.input_ids for encoded in tokenizer.encode(texts)]
        return [list(ids) for ids in live(text_target=list(texts), verbose=False)["input_ids"]]

    def prefix(self, settings: Any) -> str:
        """What is read before each text."""
        if settings.prefix is not None:
            return settings.prefix
        return self.of_task(settings).get("prefix") or self.checkpoint.config.raw.get("prefix") or ""

    def _automatic_limits(self) -> BatchLimits:
        return generation_limits(self.checkpoint)

    def _prompts(self, items: Sequence[Any], settings: Any) -> list[list[Prompt]]:
        texts, prefix = [read_one_text(item) for item in items], self.prefix(settings)
        if not all(text.strip() for text in texts):
            # None was ever trained on it, so whatever a network would write for it means nothing.
            raise InputError("the text is empty, or blank, and there is nothing to rewrite; leave it out.")
        encoded = self.encode([prefix + text for text in texts], settings)
        limit = self._encoder_limit()
        budget = settings.plan.budget(1, self.decoder_limit)
        prompts = []
        for text, ids in zip(texts, encoded, strict=True):
            pieces = [(text, ids)]
            if limit is not None and len(ids) > limit:
                pieces = self._fitted(text, len(ids), limit, prefix, settings)
            if not pieces[0][1]:
                raise InputError("the text has no token; leave it out.")
            prompts.append([Prompt(ids, settings.plan, budget, source) for source, ids in pieces])
        return prompts

    def _fitted(self, text: str, length: int, limit: int, prefix: str, settings: Any) -> list[tuple[str, list[int]]]:
        """A text that is too long for the encoder: cut, or in pieces, each with its token ids."""
        if settings.truncates is not None:
            cut = encode_cut(self.checkpoint.tokenizer, [prefix + text], None, limit, settings.truncates)
            return [(text, cut[0].input_ids)]
        if not self.reads_pieces:
            raise InputError(
                f"the text has {length} tokens, but the encoder of '{self.checkpoint.name}' takes {limit}; shorten it, "
                "or let truncation=True cut it."
            )
        try:
            pieces = split_to_fit(text, lambda parts: self._lengths(parts, prefix, settings), limit)
        except ValueError as error:
            raise InputError(
                f"the prefix {prefix!r} fills the {limit} tokens that the encoder takes; shorten it."
            ) from error
        encoded = self.encode([prefix + piece.strip() for piece in pieces], settings)
        return [(piece, ids) for piece, ids in zip(pieces, encoded, strict=True) if piece.strip()]

    def _lengths(self, texts: Sequence[str], prefix: str, settings: Any) -> list[int]:
        return [len(ids) for ids in self.encode([prefix + text.strip() for text in texts], settings)]

    def _text(self, written: Written, number: int, settings: Any) -> str:
        tokenizer, tidies = self.checkpoint.tokenizer, settings.clean_up_tokenization_spaces
        return finished_text(
            settings.plan,
            written.start,
            written.sequences[number],
            lambda ids: tokenizer.decode([*written.start, *ids], clean_up_spaces=tidies),
        )

    def _encoder_limit(self) -> int | None:
        """The most tokens of a text: for which the encoder has positions, or where pieces are read what it learned."""
        config: Any = getattr(self.checkpoint.model, "config", None)
        most = getattr(config, "max_encoder_position_embeddings", None) or positions(self.checkpoint)
        limits = (most, self.checkpoint.tokenizer.max_length if self.reads_pieces else None)
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def decoder_limit(self) -> int | None:
        """The most tokens that the network can write; None if it has no positions that could end."""
        config: Any = getattr(self.checkpoint.model, "config", None)
        return getattr(config, "max_decoder_position_embeddings", None) or positions(self.checkpoint)

    def _check_length(self, plan: WritingPlan) -> None:
        """Refuses a length that the decoder cannot write."""
        limit = self.decoder_limit
        for name, extra in (("max_new_tokens", 0), ("max_length", 1)):
            asked = plan.lengths.get(name) if plan.is_length_asked else None
            if asked is not None and limit is not None and asked > limit + extra:
                raise UsageError(
                    f"{name} is {asked}, but the decoder of '{self.checkpoint.name}' writes {limit} tokens at most; "
                    f"ask for {name}={limit + extra} or less."
                )
        if plan.lengths.get("max_new_tokens") is None and plan.lengths["max_length"] < 2:
            raise UsageError("max_length is 1, which the token that starts the decoder takes; ask for 2 or more.")
