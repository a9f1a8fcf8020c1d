"""Text generation: texts and chats continued, as a whole or piece by piece.

Calls and answers are those of ``transformers.TextGenerationPipeline``. Beyond it: prompts of different length share
batches and get the text that each gets alone, seeds that hold at any batch size, ``stream``, networks of our own, and
one bad prompt does not end the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypedDict

from .base import ItemOutput, Pipeline, WindowOutput
from .batching import WINDOW_SIZE, BatchLimits, Sample
from .call_options import check_names
from .errors import InputError, UsageError
from .generation import Prompt, Written, as_sample, generation_limits, positions, write
from .generation_options import NO_PLAN, WRITING_OPTIONS, WritingPlan, make_plan, read_writing_options
from .prompts import Chat, encode_chat, is_single_prompt, read_prompt
from .text_streaming import finished_text, stream_text
from .windows import encode_cut

if TYPE_CHECKING:
    from .checkpoints import Checkpoint
    from .text_pieces import Decode

DEFAULTS = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7}
"""What transformers does where neither user nor checkpoint say."""

WINDOW_PROMPTS = 256
"""Prompts read ahead at most: each takes so long that answers should not wait for the 2048 of other tasks."""


class GeneratedText(TypedDict):
    """A prompt with its continuation: a text, or the messages of a chat."""

    generated_text: str | Chat


@dataclass(frozen=True)
class TextGenerationOptions:
    """What a call may ask for.

    Attributes:
        writing: the options of ``generate``, ``stop_strings``, ``keep_stop_string`` and ``seed``, as given.
        plan: these settled with the checkpoint's.
        return_full_text: whether the prompt stands before its continuation; None for True.
        return_tensors: token ids of prompt and continuation instead of the text.
        return_text: the text; it is there for transformers' sake.
        prefix: read before each prompt, and not given back; None for the checkpoint's.
        clean_up_tokenization_spaces: takes out the space before punctuation; None for the tokenizer's own way.
        skip_special_tokens: leaves special tokens out of the text; None for True.
        add_special_tokens: whether the tokenizer adds its special tokens to a prompt; None for True.
        handle_long_generation: ``hole`` keeps so much of a prompt's end as leaves room for the new tokens.
        truncation: cuts prompts to ``max_length``, or to what the model takes.
        continue_final_message: whether the last message of a chat is continued; None for: if the assistant said it.
        tools: functions that the chat template shows the model.
        documents: texts that the chat template shows the model.
        tokenizer_encode_kwargs: what the tokenizer, or the chat template, is told beside all this.
        padding: accepted, as in transformers, and of no use here.
    """

    writing: Mapping[str, Any] = field(default_factory=dict)
    plan: WritingPlan = NO_PLAN
    return_full_text: bool | None = None
    return_tensors: bool | None = None
    return_text: bool | None = None
    prefix: str | None = None
    clean_up_tokenization_spaces: bool | None = None
    skip_special_tokens: bool | None = None
    add_special_tokens: bool | None = None
    handle_long_generation: str | None = None
    truncation: bool | str | None = None
    continue_final_message: bool | None = None
    tools: Sequence[Any] | None = None
    documents: Sequence[Any] | None = None
    tokenizer_encode_kwargs: Mapping[str, Any] | None = None
    padding: Any = None

    def __post_init__(self) -> None:
        if self.handle_long_generation not in (None, "hole"):
            raise UsageError(
                f"handle_long_generation is {self.handle_long_generation!r}; expected 'hole', which keeps the end of a "
                "prompt that is too long, or None."
            )
        if self.return_full_text is not None and (self.return_tensors is not None or self.return_text is not None):
            raise UsageError(
                "return_full_text says which text is returned, and return_tensors and return_text whether one is; "
                "leave one of them out."
            )
        if self.return_text is not None and self.return_tensors is not None:
            raise UsageError("return_text and return_tensors exclude each other; leave one of them out.")
        if self.prefix is not None and not isinstance(self.prefix, str):
            raise UsageError(f"prefix is {self.prefix!r}; expected a text.")


OWN_OPTIONS = tuple(name for name in TextGenerationOptions.__dataclass_fields__ if name not in ("writing", "plan"))


class TextGenerationPipeline(Pipeline):
    """Continues texts and chats.

        write("Once upon a time")                                # [{'generated_text': 'Once upon a time …'}]
        write(["one prompt", "another"], seed=7)                 # a list with such a list for each
        write([{"role": "user", "content": "Hello!"}])           # the chat with the answer as its last message
        for piece in write.stream("Once upon a time"): ...       # the continuation while it is written

    Args:
        checkpoint: model and tokenizer.
        settings: ``batch_size``, ``on_error``, the fields of `TextGenerationOptions` and the options of ``generate``.
    """

    task = "text-generation"
    option_names = (*OWN_OPTIONS, *WRITING_OPTIONS)
    answer_columns = ("generated_text", "sequences")
    sure_columns = 1
    options = TextGenerationOptions()

    def __init__(self, checkpoint: Checkpoint, **settings: Any) -> None:
        self._positions = positions(checkpoint)
        super().__init__(checkpoint, **settings)

    def read_options(self, options: dict[str, Any]) -> TextGenerationOptions:
        """The options of a call over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have, or two exclude each other.
        """
        check_names(options, self.option_names)
        writing = read_writing_options(options, self.options.writing)
        own = {name: value for name, value in options.items() if name in OWN_OPTIONS}
        plan = make_plan(self.checkpoint, writing, defaults=DEFAULTS)
        return replace(self.options, **own, writing=writing, plan=plan)

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one text or one chat, rather than several."""
        return is_single_prompt(inputs)

    def samples(self, items: Sequence[Any], settings: TextGenerationOptions) -> list[list[Sample]]:
        """Each prompt as token ids, with room for what is to be written.

        Raises:
            InputError: an item is no prompt, or leaves no room.
        """
        return [[as_sample(prompt, self.checkpoint)] for prompt in self._prompts(items, settings)]

    def preprocess(self, items: Sequence[Any], **options: Any) -> list[list[int]]:
        """The token ids that each prompt is continued from.

        Raises:
            InputError: an item is no prompt, or leaves no room.
        """
        return [prompt.ids for prompt in self._prompts(items, self.read_options(options))]

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """What is written after each prompt of a batch; all have the same plan."""
        return write(self.checkpoint, samples)

    def postprocess(self, output: ItemOutput, settings: TextGenerationOptions) -> list[GeneratedText] | list[dict]:
        """The texts that a prompt got."""
        written: Written = output.contexts[0]
        if settings.return_tensors:
            return [{"generated_token_ids": [*written.start, *new]} for new in written.sequences]
        plan, decode = settings.plan, self._decoder(settings)
        texts = [finished_text(plan, written.start, new, decode) for new in written.sequences]
        return [{"generated_text": self._with_prompt(written, text, settings)} for text in texts]

    def stream(self, inputs: Any, **options: Any) -> Iterator[str]:
        """The continuation of one prompt in pieces, each as soon as no later token can change it.

        Joined, the pieces are the ``generated_text`` of a call with ``return_full_text=False``; of a chat they are the
        content of the answer.

        Args:
            inputs: a text or a chat.
            options: as in a call, but for one text only, without beams.

        Raises:
            InputError: the prompt is none, or leaves no room.
            UsageError: an option is wrong, or asks for several texts at once.
        """
        settings = self.read_options(options)
        plan = settings.plan
        if not self.is_single(inputs):
            raise UsageError("stream() writes one text; give one prompt, or call the pipeline with the list.")
        if plan.beams > 1 or plan.sequences > 1:
            raise UsageError(
                f"stream() writes one text as it comes, but num_beams is {plan.beams} and num_return_sequences is "
                f"{plan.sequences}; set both to 1, or call the pipeline."
            )
        if settings.return_tensors:
            raise UsageError("stream() gives text; leave return_tensors out.")
        (prompt,) = self._prompts([inputs], settings)
        given = settings.clean_up_tokenization_spaces
        live = self.checkpoint.tokenizer.transformers_tokenizer
        is_tidied = given if given is not None else bool(getattr(live, "clean_up_tokenization_spaces", False))
        return stream_text(self.checkpoint, prompt, self._decoder(settings), is_tidied=is_tidied)

    @property
    def can_stream(self) -> bool:
        """Whether the pipeline's options let `stream` write: one text, as text, and without beams."""
        plan = self.options.plan
        return plan.beams == 1 and plan.sequences == 1 and not self.options.return_tensors

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The first text; all of several in ``sequences``."""
        texts = [one["generated_text"] if "generated_text" in one else one["generated_token_ids"] for one in answer]
        return {"generated_text": texts[0]} | ({"sequences": texts} if len(texts) > 1 else {})

    def size(self, item: Any) -> int:
        """Characters, or a window's share if that is more."""
        longest = len(item) if isinstance(item, str) else len(str(item)) if isinstance(item, list | tuple) else 1
        return max(longest, WINDOW_SIZE // WINDOW_PROMPTS)

    def _automatic_limits(self) -> BatchLimits:
        return generation_limits(self.checkpoint)

    def _prompts(self, items: Sequence[Any], settings: TextGenerationOptions) -> list[Prompt]:
        """The prompts as token ids, each with how and how far it is continued."""
        read = [read_prompt(item) for item in items]
        texts = [text for text in read if isinstance(text, str)]
        prefix = self._prefix(settings)
        encoded = iter(self._encode([prefix + text for text in texts], settings))
        # As transformers counts them: without the special tokens that a text gets.
        head = len(self._encode([prefix], replace(settings, add_special_tokens=False))[0]) if prefix else 0
        prompts = []
        for text in read:
            is_text = isinstance(text, str)
            ids = next(encoded) if is_text else self._encode_chat(text, settings)
            prompts.append(self._fitted(ids, text, head if is_text else 0, settings))
        return prompts

    def _fitted(self, ids: list[int], source: str | Chat, prefix: int, settings: TextGenerationOptions) -> Prompt:
        """The prompt with its budget, cut where the user let it be; an empty one begins as texts of the model do."""
        plan = settings.plan
        if settings.handle_long_generation == "hole":
            ids = self._with_hole(ids, plan)
        if not ids:
            begin = plan.parameters.get("bos_token_id")
            if begin is None:
                raise InputError(
                    f"the prompt has no token, and '{self.checkpoint.name}' knows no token with which a text begins "
                    "(bos_token_id); give at least a word."
                )
            ids = [begin]
        return Prompt(ids, plan, plan.budget(len(ids), self._positions, prefix=prefix), source)

    def _with_hole(self, ids: list[int], plan: WritingPlan) -> list[int]:
        """The end of the prompt, which leaves room for the new tokens."""
        limit = self.checkpoint.tokenizer.max_length
        most = plan.lengths.get("max_new_tokens", plan.lengths.get("max_length", 0) - len(ids))
        if limit is None or len(ids) + most <= limit:
            return ids
        if most >= limit:
            raise InputError(
                f"{most} new tokens are asked for, but the model takes {limit} with the prompt, of which nothing would "
                f"be left; ask for fewer: max_new_tokens={limit // 2}."
            )
        return ids[most - limit :]

    def _encode(self, texts: Sequence[str], settings: TextGenerationOptions) -> list[list[int]]:
        tokenizer = self.checkpoint.tokenizer
        if settings.tokenizer_encode_kwargs or settings.add_special_tokens is False:
            more = {} if settings.add_special_tokens is None else {"add_special_tokens": settings.add_special_tokens}
            more |= settings.tokenizer_encode_kwargs or {}
            live: Any = tokenizer.as_transformers
            return [list(live(text, **more)["input_ids"]) for text in texts]
        if settings.truncation not in (None, False, "do_not_truncate") and texts:
            limits = (settings.writing.get("max_length"), tokenizer.max_length)
            limit = min((limit for limit in limits if limit is not None), default=None)
            if limit is not None:
                way = "longest_first" if settings.truncation is True else str(settings.truncation)
                return [encoded.input_ids for encoded in encode_cut(tokenizer, texts, None, limit, way)]
        return [encoded.input_ids for encoded in tokenizer.encode(texts)]

    def _encode_chat(self, chat: Chat, settings: TextGenerationOptions) -> list[int]:
        more: dict[str, Any] = {"tools": settings.tools, "documents": settings.documents}
        if settings.truncation is not None:
            more |= {"truncation": settings.truncation, "max_length": settings.writing.get("max_length")}
        more |= settings.tokenizer_encode_kwargs or {}
        continues = continues_chat(chat, settings)
        return encode_chat(self.checkpoint.tokenizer, chat, continues=continues, name=self.checkpoint.name, **more)

    def _prefix(self, settings: TextGenerationOptions) -> str:
        """What is read before each text, as transformers chooses it."""
        if settings.prefix is not None:
            return settings.prefix
        if type(self.checkpoint.model).__name__ == "XLNetLMHeadModel":  # which does badly after short texts
            from transformers import TextGenerationPipeline as Reference

            return self.checkpoint.config.raw.get("prefix") or Reference.XL_PREFIX
        return self.checkpoint.config.raw.get("prefix") or ""

    def _decoder(self, settings: TextGenerationOptions) -> Decode:
        """Token ids -> the text that the user gets."""
        tokenizer, tidies = self.checkpoint.tokenizer, settings.clean_up_tokenization_spaces
        skips = settings.skip_special_tokens is not False and not self._has_response_template
        return lambda ids: tokenizer.decode(ids, skip_special_tokens=skips, clean_up_spaces=tidies)

    @property
    def _has_response_template(self) -> bool:
        """Whether the tokenizer makes messages, of reasoning and tool calls too, from the text of an answer."""
        return getattr(self.checkpoint.tokenizer.transformers_tokenizer, "response_template", None) is not None

    def _with_prompt(self, written: Written, text: str, settings: TextGenerationOptions) -> str | Chat:
        """The continuation after its prompt, unless only the continuation is wanted."""
        source: str | Chat = written.source
        if settings.return_full_text is False:
            return text
        if isinstance(source, str):
            return source + text
        if continues_chat(source, settings):
            return [*source[:-1], {"role": source[-1]["role"], "content": source[-1]["content"] + text}]
        if not self._has_response_template:
            return [*source, {"role": "assistant", "content": text}]
        live: Any = self.checkpoint.tokenizer.transformers_tokenizer
        before = self._decoder(settings)(written.start)
        return [*source, live.parse_response(text, prefix=before, tools=settings.tools)]


def continues_chat(chat: Chat, settings: TextGenerationOptions) -> bool:
    """Whether a chat's last message is continued: as asked for, else where the assistant said it."""
    if settings.continue_final_message is not None:
        return settings.continue_final_message
    return chat[-1]["role"] == "assistant"
