"""Question answering: the part of a context that answers a question, with its place and its score.

transformers took this pipeline out in version 5. Calls, nesting, options and answers are those that it documents for
version 4 (as of 4.57). Beyond it: contexts of any length, any iterable as input, one bad question does not end the run,
``max_question_len`` holds with every tokenizer, and "no answer" is read off the classification token wherever the
tokenizer puts it; version 4 looked at the first token, which in XLNet is one of the context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from .answer_spans import Answer, find_answers
from .base import ItemOutput, Pipeline, WindowOutput
from .batching import Sample
from .call_options import check_choice, check_count, merge_options
from .context_windows import ContextWindow, context_windows
from .errors import InputError, UsageError
from .question_inputs import gather_inputs, read_question
from .text_inputs import is_single_text
from .token_batches import checked_output, padded_batch

MAX_LENGTH = 384
"""Tokens of a window where the model takes as many."""


@dataclass(frozen=True)
class QuestionAnsweringOptions:
    """What a call may ask for; numbers of tokens, unless said otherwise.

    Where tokens are bytes the defaults are 5 times as many, which is as much text; see `TextTokenizer.tokens_per_word`.

    Attributes:
        top_k: answers to each question, best first.
        doc_stride: how much of a long context neighbouring windows share; None for half a window, and 128 at most.
        max_answer_len: length of the longest answer.
        max_seq_len: length of a window with question, context and special tokens; None for what the model takes, and
            384 at most.
        max_question_len: length to which questions are cut.
        handle_impossible_answer: whether "no answer", an empty text, is an answer like others.
        align_to_words: whether answers are widened to whole words; for languages written with spaces.
    """

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int = 15
    max_seq_len: int | None = None
    max_question_len: int = 64
    handle_impossible_answer: bool = False
    align_to_words: bool = True

    def __post_init__(self) -> None:
        for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        stride = self.doc_stride
        if stride is not None and (not isinstance(stride, int) or isinstance(stride, bool) or stride < 0):
            raise UsageError(f"doc_stride is {stride!r}; expected a number of tokens from 0.")
        for name in ("handle_impossible_answer", "align_to_words"):
            check_choice(name, getattr(self, name), (True, False))


class QuestionAnsweringPipeline(Pipeline):
    """Finds the answers to questions in their contexts.

        answer(question="Who wrote it?", context="Ada wrote it.")   # {'score': 0.9, 'start': 0, 'end': 3, 'answer': …}
        answer({"question": "Who wrote it?", "context": "Ada wrote it."})
        answer(question=["Who?", "What?"], context="Ada wrote it.")  # a list of such dicts
        for found in answer(rows): ...                               # lazy for anything that is not a list

    Args:
        checkpoint: model and tokenizer.
        settings: ``batch_size``, ``on_error``, and the fields of `QuestionAnsweringOptions`; ``topk`` is an older name
            of ``top_k``; ``padding`` is accepted, as in transformers, and has no use here.
    """

    task = "question-answering"
    option_names = (
        "top_k",
        "topk",
        "doc_stride",
        "max_answer_len",
        "max_seq_len",
        "max_question_len",
        "handle_impossible_answer",
        "align_to_words",
        "padding",
    )
    answer_columns = ("answer", "score", "start", "end", "answers")
    sure_columns = 4
    options = QuestionAnsweringOptions()

    def __call__(self, *inputs: Any, question: Any = None, context: Any = None, **options: Any) -> Any:
        """The answer to one question, a list of them for a list, a lazy iterator of them for any other iterable.

        The answer is a dict, or with ``top_k`` a list of dicts, best first, unless there is only one. A list of one
        question is answered like that question, as in transformers.

        Args:
            inputs: a dict with question and context, or a list or tuple of them, or an iterator, a data set …; a
                question and its context as two texts.
            question: a text, or a list of them.
            context: a text for all questions, or a list of them.
            options: the fields of `QuestionAnsweringOptions`, ``batch_size`` and ``on_error``.

        Raises:
            InputError: an input is wrong and ``on_error`` is ``raise``.
            UsageError: an option is wrong, or there are not as many contexts as questions.
        """
        for name in ("inputs", "data", "X"):  # the last two are names that transformers 4 has for them
            if name in options:
                inputs = (*inputs, options.pop(name))
        return super().__call__(gather_inputs(inputs, question, context), **options)

    def read_options(self, options: dict[str, Any]) -> QuestionAnsweringOptions:
        """The options of a call over those of the pipeline; None leaves an option as it is.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """
        ignored = {name for name in self.option_names if name == "padding" or options.get(name) is None}
        given = {name: value for name, value in options.items() if name not in ignored}
        if "topk" in given:
            given = {"top_k": given.pop("topk"), **given}
        merged = merge_options(self.__dict__.get("options") or self._defaults(), given, self.option_names)
        limit = self.checkpoint.tokenizer.max_length
        if limit is not None and (merged.max_seq_len or 0) > limit:
            raise UsageError(
                f"max_seq_len is {merged.max_seq_len}, but '{self.checkpoint.name}' takes {limit} tokens at most."
            )
        if merged.doc_stride is not None and merged.doc_stride >= self._max_length(merged):
            raise UsageError(
                f"doc_stride is {merged.doc_stride}, but a window has only {self._max_length(merged)} tokens "
                "(max_seq_len), some of them for the question; choose a smaller doc_stride."
            )
        return merged

    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one question with its context, rather than several."""
        return is_single_text(inputs)

    def samples(self, items: Sequence[Any], settings: QuestionAnsweringOptions) -> list[list[Sample]]:
        """The windows of each question.

        Raises:
            InputError: an item is no question with a context, or the question leaves no room for the context.
        """
        return [
            [Sample(window, len(window.encoded)) for window in windows] for windows in self._windows(items, settings)
        ]

    def preprocess(self, items: Sequence[Any], **options: Any) -> list[list[ContextWindow]]:
        """The windows of each question: ``features()`` for the model, ``places(start, end)`` for where an answer is.

        Args:
            items: dicts with question and context.
            options: as in a call.

        Raises:
            InputError: an item is no question with a context, or the question leaves no room for the context.
        """
        return self._windows(items, self.read_options(options))

    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """Logits ``(2, length)`` of each sample, for the starts and the ends."""
        rows = [sample.features.encoded for sample in samples]
        outputs = self.checkpoint.outputs(padded_batch(self.checkpoint.tokenizer, rows, side="right"))
        if self.checkpoint.light:
            scores = outputs.transpose(1, 2)  # (batch, 2, length)
        else:
            scores = torch.stack([outputs.start_logits, outputs.end_logits], dim=1)
        logits = scores.float().cpu().numpy()
        return [
            checked_output(values[:, : sample.length], sample.length, sample.features)
            for values, sample in zip(logits, samples, strict=True)
        ]

    def postprocess(self, output: ItemOutput, settings: QuestionAnsweringOptions) -> Answer | list[Answer]:
        """The best answer, or with ``top_k`` a list of them, best first, unless there is only one."""
        answers = find_answers(
            zip(output.windows, output.contexts, strict=True),
            top_k=settings.top_k,
            max_answer_tokens=settings.max_answer_len,
            align_to_words=settings.align_to_words,
            has_null=settings.handle_impossible_answer,
        )
        return answers[0] if len(answers) == 1 else answers

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """The best answer with score and place; all of several answers stand in ``answers``."""
        best = answer[0] if isinstance(answer, list) else answer
        columns = {name: best[name] for name in self.answer_columns[: self.sure_columns]}
        return {**columns, "answers": answer} if isinstance(answer, list) else columns

    def size(self, item: Any) -> int:
        """Characters of question and context."""
        if isinstance(item, Mapping):
            texts = [item.get("question"), item.get("context")]
        else:
            texts = [getattr(item, "question_text", None), getattr(item, "context_text", None)]
        return max(1, sum(len(text) for text in texts if isinstance(text, str)))

    def _defaults(self) -> QuestionAnsweringOptions:
        """The options of a call that says nothing, for the tokens of this checkpoint."""
        each, options = self.checkpoint.tokenizer.tokens_per_word, self.options
        return replace(
            options, max_answer_len=each * options.max_answer_len, max_question_len=each * options.max_question_len
        )

    def _windows(self, items: Sequence[Any], settings: QuestionAnsweringOptions) -> list[list[ContextWindow]]:
        return context_windows(
            self.checkpoint.tokenizer,
            [read_question(item) for item in items],
            max_length=self._max_length(settings),
            stride=settings.doc_stride,
            max_question=settings.max_question_len,
        )

    def _max_length(self, settings: QuestionAnsweringOptions) -> int:
        """Tokens of a window."""
        most = MAX_LENGTH * self.checkpoint.tokenizer.tokens_per_word
        return settings.max_seq_len or min(self.checkpoint.tokenizer.max_length or most, most)
