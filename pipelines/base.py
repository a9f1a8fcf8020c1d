"""What all pipelines share: the order of the steps, the forms of input, and what happens to a bad one.

A task's pipeline adds three steps: ``samples`` (inputs -> what the model sees), ``forward`` (the model over a batch)
and ``postprocess`` (the model's output -> the answer). Batching is in ``batching.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from .batching import Batcher, BatchLimits, Sample
from .errors import InputError, UsageError

if TYPE_CHECKING:
    import torch

    from .checkpoints import Checkpoint

OnError = Literal["raise", "record"]

CALL_OPTIONS = ("batch_size", "on_error", "num_workers")
"""What a call of every pipeline may set."""


@dataclass(frozen=True, slots=True)
class WindowOutput:
    """What the model gave for one window of an input.

    Attributes:
        logits: float32, of the task's shape, for instance ``(classes,)``.
        length: number of tokens, special ones included.
        context: what else ``postprocess`` needs to know of the window; the engine does not look inside.
    """

    logits: np.ndarray
    length: int
    context: Any = None


@dataclass(frozen=True, slots=True)
class ItemOutput:
    """What the model gave for one input.

    Attributes:
        windows: float32 logits of each window; one array unless the input was longer than the model takes.
        lengths: number of tokens of each window.
        contexts: what else is known of each window, see `WindowOutput`.
    """

    windows: list[np.ndarray]
    lengths: list[int]
    contexts: list[Any] = field(default_factory=list)


class Pipeline(ABC):
    """Answers of a model for one input, a list of them, or a stream of them.

    Args:
        checkpoint: model and tokenizer.
        batch_size: samples per batch; None packs batches by their size in tokens, which is faster.
        on_error: what a bad input does: ``raise`` ends the call with an InputError that names it, ``record`` gives
            ``{"error": "why"}`` in place of its answer and goes on.
        options: what a call may set, set for all calls.
    """

    task: ClassVar[str]
    option_names: ClassVar[tuple[str, ...]]
    """What calls may set beside `CALL_OPTIONS`."""
    answer_columns: ClassVar[tuple[str, ...]]
    """What `as_columns` may give, the columns that every row has first, in the order in which a table has them."""
    sure_columns: ClassVar[int]
    """How many of `answer_columns` every answer has."""

    def __init__(
        self, checkpoint: Checkpoint, *, batch_size: int | None = None, on_error: OnError = "raise", **options: Any
    ) -> None:
        self.checkpoint = checkpoint
        self.limits = replace(self._automatic_limits(), batch_size=_checked_batch_size(batch_size))
        self.on_error: OnError = _checked_on_error(on_error)
        self.options = self.read_options(options)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, **settings: Any) -> Self:
        """A pipeline around a checkpoint that is loaded already, for instance a model in training."""
        return cls(checkpoint, **settings)

    @property
    def model(self) -> torch.nn.Module:
        """The network that answers."""
        return self.checkpoint.model

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the network."""
        return self.checkpoint.tokenizer

    @property
    def languages(self) -> Mapping[str, str]:
        """Between which languages it translates, as far as that is settled: ``src_lang`` and ``tgt_lang``."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.checkpoint.device

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """The answer for one input, a list of answers for a list, a lazy iterator of answers for any other iterable.

        Args:
            inputs: what the task takes, or a list or tuple of it, or an iterator, a data set's column …
            options: the task's own, and ``batch_size`` and ``on_error`` for this call; ``num_workers`` is accepted, as
                in transformers, and has no use here.

        Raises:
            InputError: an input is wrong and ``on_error`` is ``raise``; the answers before it have been given if the
                call is lazy.
            UsageError: an option is wrong.
        """
        limits = self.limits
        on_error: OnError = self.on_error
        options.pop("num_workers", None)
        if "batch_size" in options:
            limits = replace(limits, batch_size=_checked_batch_size(options.pop("batch_size")))
        if "on_error" in options:
            on_error = _checked_on_error(options.pop("on_error"))
        settings = self.read_options(options)

        def answer(output: ItemOutput | InputError) -> Any:
            if isinstance(output, InputError):
                return {"error": output.reason}
            return self.postprocess(output, settings)

        if hasattr(inputs, "iloc") and hasattr(inputs, "columns"):  # iterating over a data frame gives its column names
            raise UsageError("expected texts, got a whole data frame; give the column with the texts: frame['text'].")
        if self.is_single(inputs):
            outputs = self._stream([inputs], settings, limits, on_error)
            return self.finish_single(inputs, next(map(answer, outputs)), settings)
        if isinstance(inputs, list | tuple):
            answers = list(map(answer, self._stream(inputs, settings, limits, on_error)))
            return self.finish_list(inputs, answers, settings)
        return map(answer, self._stream(_iterate(inputs), settings, limits, on_error))

    def outputs(self, inputs: Iterable[Any], **options: Any) -> Iterator[ItemOutput]:
        """The logits of each input, in order, lazily; what evaluation, calibration and teachers build on.

        Raises:
            InputError: an input is wrong.
        """
        outputs = self._stream(inputs, self.read_options(options), self.limits, "raise")
        return (output for output in outputs if isinstance(output, ItemOutput))

    def _stream(
        self, inputs: Iterable[Any], settings: Any, limits: BatchLimits, on_error: OnError
    ) -> Iterator[ItemOutput | InputError]:
        batcher = Batcher(lambda items: self.samples(items, settings), self.forward, limits, self.size)
        for outcome in batcher.stream(inputs):
            if not isinstance(outcome, InputError):
                yield ItemOutput(
                    [window.logits for window in outcome],
                    [window.length for window in outcome],
                    [window.context for window in outcome],
                )
            elif on_error == "raise":
                raise outcome
            else:
                yield outcome

    def _automatic_limits(self) -> BatchLimits:
        """How large batches are unless the user says so; a task whose samples are no tokens has its own."""
        return token_limits(self.checkpoint)

    @abstractmethod
    def read_options(self, options: dict[str, Any]) -> Any:
        """The task's settings, with ``options`` over those of the pipeline.

        Raises:
            UsageError: an option does not exist or has a value it cannot have.
        """

    @abstractmethod
    def is_single(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one input, rather than several."""

    @abstractmethod
    def samples(self, items: Sequence[Any], settings: Any) -> list[list[Sample]]:
        """What the model sees of each input: one sample, or several windows.

        Raises:
            InputError: an input is wrong; the engine finds out which.
        """

    @abstractmethod
    def forward(self, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
        """The model's output for each sample of a batch."""

    @abstractmethod
    def postprocess(self, output: ItemOutput, settings: Any) -> Any:
        """The answer to an input."""

    def as_columns(self, answer: Any) -> dict[str, Any]:
        """An answer as the columns of a row of a table; of a list of answers the best one, which comes first."""
        return dict(answer[0] if isinstance(answer, list) else answer)

    def finish_single(self, inputs: Any, answer: Any, settings: Any) -> Any:
        """The answer as a call with a single input returns it."""
        return answer

    def finish_list(self, inputs: Sequence[Any], answers: list[Any], settings: Any) -> list[Any]:
        """The answers as a call with a list returns them."""
        return answers

    def size(self, item: Any) -> int:
        """The memory that an input takes while it waits for its batch."""
        return len(item) if isinstance(item, str) else 1


def token_limits(checkpoint: Checkpoint) -> BatchLimits:
    """Batch sizes for models that read tokens.

    On one CPU core a MiniLM took 143 to 160 µs a token in float32 at budgets from 512 to 4096 tokens, and in bfloat16
    (AMX) 48, 42, 38 and 38 at 512, 1024, 2048 and 4096; starting a batch cost as much as 40 tokens and 160. The numbers
    for other devices are a guess: they need more to fill up.
    """
    parameter = next(checkpoint.model.parameters())
    if parameter.device.type != "cpu":
        return BatchLimits(budget=32768, overhead=2048)
    if parameter.element_size() < 4:
        return BatchLimits(budget=4096, overhead=160)
    return BatchLimits(budget=2048, overhead=64)


def _checked_batch_size(batch_size: Any) -> int | None:
    if batch_size is None or (isinstance(batch_size, int) and not isinstance(batch_size, bool) and batch_size >= 1):
        return batch_size
    raise UsageError(f"batch_size is {batch_size!r}; expected a whole number from 1, or None for automatic batches.")


def _checked_on_error(on_error: Any) -> OnError:
    if on_error == "raise" or on_error == "record":
        return on_error
    raise UsageError(f"on_error is {on_error!r}; expected 'raise' or 'record'.")


def _iterate(inputs: Any) -> Iterator[Any]:
    """The items of an iterable, or of a map-style data set, which has a length and takes indices but cannot iterate.

    Raises:
        InputError: ``inputs`` is neither.
    """
    if hasattr(inputs, "__iter__"):
        return iter(inputs)
    if hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__"):
        return (inputs[index] for index in range(len(inputs)))
    raise InputError(f"expected an input, or a list or iterator of inputs, got {type(inputs).__name__}.")
