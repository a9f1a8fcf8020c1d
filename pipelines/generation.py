"""Writing new tokens after prompts: a batch at once, or one text token by token.

Models of transformers write by their ``generate``, with cached keys and values; networks of our own by
``decoding.decode_steps``. Both are told a `WritingPlan` and give the same text for a prompt, whatever else is in its
batch: prompts are filled up on the left where the model can be told to leave that out, and otherwise only prompts of
one length share a batch.
"""

from __future__ import annotations

import contextlib
import inspect
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .base import WindowOutput
from .batching import BatchLimits, Sample
from .beam_search import BeamRules, beam_search
from .decoding import (
    DecodingRules,
    StatefulEncoderDecoder,
    StatefulLanguageModel,
    decode_steps,
    draw,
    restrict,
    sequence_generator,
)
from .errors import InputError, WeightsError
from .generation_options import SAMPLING, Budget, WritingPlan
from .token_batches import NOT_FINITE

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .checkpoints import Checkpoint


@dataclass(frozen=True)
class Prompt:
    """What is to be continued, or of an encoder-decoder what is to be rewritten.

    Attributes:
        ids: token ids, at least one.
        plan: how.
        budget: how many new tokens.
        source: what the pipeline needs to make the answer.
    """

    ids: list[int]
    plan: WritingPlan
    budget: Budget
    source: Any = None


@dataclass(frozen=True)
class Written:
    """The texts that a prompt got.

    Attributes:
        start: what the new tokens stand after: the prompt, or the token with which a decoder starts.
        sequences: new token ids of each text, up to the token that ended it, that one included.
        source: of the prompt.
    """

    start: list[int]
    sequences: list[list[int]]
    source: Any = None


def positions(checkpoint: Checkpoint) -> int | None:
    """For how many tokens the network that writes has positions; None if it needs none."""
    from .checkpoints import position_limit

    model: Any = checkpoint.model
    return checkpoint.config.max_length if checkpoint.light else position_limit(model)


def generation_limits(checkpoint: Checkpoint) -> BatchLimits:
    """Batch sizes for writing, in tokens of prompts and texts together.

    A step reads all weights for one token a row, so that rows are cheap until memory for keys and values counts. With
    GPT-2 (124M) on one busy CPU core a row's token took 161, 75, 35 and 22 ms in batches of 1, 4, 16 and 64, and a
    token of padding before a prompt 9 ms, once: another batch of 256 steps costs as much as some 4000 of them. The
    numbers for other devices are a guess.
    """
    is_cpu = next(checkpoint.model.parameters()).device.type == "cpu"
    return BatchLimits(budget=16384 if is_cpu else 131072, overhead=4096 if is_cpu else 32768)


def as_sample(prompt: Prompt, checkpoint: Checkpoint) -> Sample:
    """The prompt for the batching engine, in a group with those that can be continued together with it."""
    plan, rows = prompt.plan, max(prompt.plan.beams, prompt.plan.sequences)
    group: tuple[Hashable, ...] = (plan, prompt.budget)
    if not _pads(checkpoint):
        group += (len(prompt.ids),)
    if plan.seed is not None and plan.is_drawn and plan.beams > 1:
        group += (object(),)  # beams are drawn together, so that only a batch of its own gives it its own numbers
    return Sample(prompt, rows * (len(prompt.ids) + prompt.budget.most), group)


def write(checkpoint: Checkpoint, samples: Sequence[Sample]) -> list[WindowOutput | InputError]:
    """The texts of each prompt of a batch, as `Written` in the context of a window without logits.

    Raises:
        InputError: the model's output is not finite.
    """
    prompts: list[Prompt] = [sample.features for sample in samples]
    plan, budget = prompts[0].plan, prompts[0].budget
    if checkpoint.light:
        written = _write_stepwise(checkpoint, prompts, plan, budget)
    else:
        written = _write_by_generate(checkpoint, prompts, plan, budget)
    return [WindowOutput(np.empty(0, np.float32), len(one.start), one) for one in written]


def write_tokens(checkpoint: Checkpoint, prompt: Prompt) -> Iterator[int]:
    """The new tokens of one text, each as soon as it is chosen.

    Closing the iterator early ends the work.

    Raises:
        InputError: the model's output is not finite.
    """
    if not checkpoint.light:
        yield from _generate_in_thread(checkpoint, prompt)
        return
    steps = _steps(checkpoint, [prompt], prompt.plan, prompt.budget)
    while True:
        with torch.inference_mode():  # not while the caller has the token
            given = next(steps, None)
        if given is None:
            return
        yield from (token for token in given if token is not None)


def _write_stepwise(
    checkpoint: Checkpoint, prompts: Sequence[Prompt], plan: WritingPlan, budget: Budget
) -> list[Written]:
    if isinstance(checkpoint.model, StatefulEncoderDecoder) and plan.beams > 1:
        return _search_beams(checkpoint, checkpoint.model, prompts, plan, budget)
    rows = [prompt for prompt in prompts for _ in range(plan.sequences)]
    texts: list[list[int]] = [[] for _ in rows]
    for given in _steps(checkpoint, rows, plan, budget):
        for text, token in zip(texts, given, strict=True):
            if token is not None:
                text.append(token)
    count, start = plan.sequences, _decoder_start(checkpoint)
    return [
        Written(prompt.ids if start is None else [start], texts[index * count : (index + 1) * count], prompt.source)
        for index, prompt in enumerate(prompts)
    ]


def _decoder_start(checkpoint: Checkpoint) -> int | None:
    """The token with which a light encoder-decoder begins to write; None of a network that continues its prompt."""
    if not isinstance(checkpoint.model, StatefulEncoderDecoder):
        return None
    return int(checkpoint.config.raw["decoder_start_token_id"])


def _encoded(checkpoint: Checkpoint, model: StatefulEncoderDecoder, prompts: Sequence[Prompt]) -> Any:
    """The state of an encoder-decoder that has read the prompts."""
    batch = checkpoint.tokenizer.pad([{"input_ids": prompt.ids} for prompt in prompts], side="right")
    return model.encode(**{name: tensor.to(checkpoint.device) for name, tensor in batch.items()})


def _search_beams(
    checkpoint: Checkpoint,
    model: StatefulEncoderDecoder,
    prompts: Sequence[Prompt],
    plan: WritingPlan,
    budget: Budget,
) -> list[Written]:
    start, stop = _decoder_start(checkpoint) or 0, plan.stop
    with _finite():
        found = beam_search(
            model,
            _encoded(checkpoint, model, prompts),
            len(prompts),
            start,
            plan.rules(budget),
            BeamRules(
                plan.beams,
                plan.parameters.get("length_penalty", 1.0),
                plan.parameters.get("early_stopping", False),
            ),
            device=checkpoint.device,
            is_finished=None if stop is None else stop.is_at_end,
        )
    return [
        Written([start], texts[: plan.sequences], prompt.source) for prompt, texts in zip(prompts, found, strict=True)
    ]


@contextlib.contextmanager
def _finite() -> Iterator[None]:
    """Turns the error of decoding that the output is not finite into ours."""
    try:
        yield
    except ValueError as error:
        if "not finite" not in str(error):
            raise
        raise InputError(NOT_FINITE) from error


def _steps(
    checkpoint: Checkpoint, rows: Sequence[Prompt], plan: WritingPlan, budget: Budget
) -> Iterator[list[int | None]]:
    model: Any = checkpoint.model
    stop = plan.stop
    ids = [row.ids for row in rows]
    start = _decoder_start(checkpoint)
    if not isinstance(model, StatefulLanguageModel | StatefulEncoderDecoder):
        raise WeightsError(
            f"checkpoint '{checkpoint.name}' writes no text: expected a network with start and step, or a model of "
            "transformers with generate; choose another checkpoint."
        )
    with _finite():
        yield from decode_steps(
            model,
            _encoded(checkpoint, model, rows) if isinstance(model, StatefulEncoderDecoder) else model.start(len(rows)),
            ids if start is None else [[start]] * len(rows),
            plan.rules(budget),
            device=checkpoint.device,
            generators=_generators(plan, ids),
            is_finished=lambda text: stop is not None and stop.is_at_end(text),
        )


def _generators(plan: WritingPlan, rows: Sequence[Sequence[int]]) -> list[torch.Generator] | None:
    """A generator for each row, where the rows of a prompt stand together; None without a seed."""
    if plan.seed is None or not plan.is_drawn:
        return None
    return [sequence_generator(plan.seed, ids, index % plan.sequences) for index, ids in enumerate(rows)]


def _write_by_generate(
    checkpoint: Checkpoint,
    prompts: Sequence[Prompt],
    plan: WritingPlan,
    budget: Budget,
    *,
    streamer: Any = None,
    stop_now: threading.Event | None = None,
) -> list[Written]:
    from .transformers_loading import quiet_transformers

    model: Any = checkpoint.model
    is_decoder = not model.config.is_encoder_decoder
    is_own_drawing = plan.seed is not None and plan.is_drawn and plan.beams == 1
    rows = [prompt.ids for prompt in prompts for _ in range(plan.sequences if is_own_drawing else 1)]
    batch = checkpoint.tokenizer.pad([{"input_ids": ids} for ids in rows], side="left" if is_decoder else "right")
    width = batch["input_ids"].shape[1]
    parameters = {"pad_token_id": checkpoint.tokenizer.pad_id} | dict(plan.parameters)
    if is_own_drawing:
        parameters = {name: value for name, value in parameters.items() if name not in SAMPLING}
        parameters |= {"do_sample": False, "num_return_sequences": 1}
    start = width if is_decoder else 1
    extra = {} if streamer is None else {"streamer": streamer}
    with quiet_transformers(), _own_numbers(plan, prompts, checkpoint):
        output = model.generate(
            **{name: tensor.to(checkpoint.device) for name, tensor in batch.items()},
            **parameters,
            max_new_tokens=budget.most,
            min_new_tokens=budget.least,
            logits_processor=_processors(plan, rows if is_own_drawing else None),
            stopping_criteria=_stopping(plan, stop_now),
            **extra,
        )
    texts = [_trim(row, start, plan) for row in output.tolist()]
    count = len(texts) // len(prompts)
    return [
        Written(
            prompt.ids if is_decoder else output[index * count, :1].tolist(),
            texts[index * count : (index + 1) * count],
            prompt.source,
        )
        for index, prompt in enumerate(prompts)
    ]


def _trim(row: list[int], start: int, plan: WritingPlan) -> list[int]:
    """The new tokens of a row of ``generate``, without what fills it up behind its end."""
    end = next((place + 1 for place in range(start, len(row)) if row[place] in plan.ends), len(row))
    end = next((place for place in range(start, end) if row[place] < 0), end)
    if plan.stop is not None:
        end = min(end, plan.stop.first_end(row, start) or end)
    return row[start:end]


def _processors(plan: WritingPlan, rows: Sequence[Sequence[int]] | None) -> Any:
    """What ``generate`` does with the scores of a step: checks them and, with ``rows``, draws by their generators."""
    import transformers

    # Those that `restrict` does not know, in the order in which transformers applies them.
    names = {"typical_p": "Typical", "epsilon_cutoff": "Epsilon", "eta_cutoff": "Eta"}
    generators = None if rows is None else _generators(plan, rows)
    warpers = [
        getattr(transformers, f"{warper}LogitsWarper")(plan.parameters[name])
        for name, warper in names.items()
        if generators is not None and plan.parameters.get(name)
    ]
    scores: Any = _Scores(plan.rules(Budget(0)), generators, warpers)
    return transformers.LogitsProcessorList([scores])


class _Scores:
    """What ``generate`` does with the scores of a step: see `_processors`.

    An object, not a function: of a function ``generate`` reads the signature anew for every token, for 2 ms.
    """

    def __init__(
        self, rules: DecodingRules, generators: Sequence[torch.Generator] | None, warpers: Sequence[Any]
    ) -> None:
        self._rules, self._generators, self._warpers = rules, generators, warpers

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if bool(scores.isnan().any()):
            raise InputError(NOT_FINITE)
        if self._generators is None:
            return scores
        allowed = restrict(scores, self._rules)
        for warper in self._warpers:
            allowed = warper(input_ids, allowed)
        tokens = draw(allowed, self._generators)
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens[:, None], 0.0)


def _stopping(plan: WritingPlan, stop_now: threading.Event | None) -> Any:
    """When ``generate`` ends a row before its budget: at a stop string, or when nobody waits for it any more."""
    from transformers import StoppingCriteriaList

    stop = plan.stop
    reach = 1 if stop is None else stop.reach + 1

    def ends(input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        if stop_now is not None and stop_now.is_set():
            return torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
        flags = [stop is not None and stop.is_at_end(row) for row in input_ids[:, -reach:].tolist()]
        return torch.tensor(flags, dtype=torch.bool, device=input_ids.device)

    return StoppingCriteriaList([] if stop is None and stop_now is None else [ends])  # type: ignore[list-item]


@contextlib.contextmanager
def _own_numbers(plan: WritingPlan, prompts: Sequence[Prompt], checkpoint: Checkpoint) -> Iterator[None]:
    """With drawn beams and a seed: torch's global generators started anew for the one prompt, and put back after it."""
    if plan.seed is None or not plan.is_drawn or plan.beams == 1:
        yield
        return
    device = checkpoint.device
    with torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type):
        torch.manual_seed(sequence_generator(plan.seed, prompts[0].ids, 0).initial_seed())
        yield


def _generate_in_thread(checkpoint: Checkpoint, prompt: Prompt) -> Iterator[int]:
    """The tokens of ``generate``, which runs beside the caller and hands them over."""
    tokens: queue.Queue[int | BaseException | None] = queue.Queue()
    stop_now = threading.Event()

    def work() -> None:
        try:
            with torch.inference_mode():
                _write_by_generate(
                    checkpoint, [prompt], prompt.plan, prompt.budget, streamer=_Tokens(tokens), stop_now=stop_now
                )
            tokens.put(None)
        except BaseException as error:  # noqa: BLE001 - raised where the tokens are read
            tokens.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (token := tokens.get()) is not None:
            if isinstance(token, BaseException):
                raise token
            yield token
    finally:
        stop_now.set()
        thread.join()


class _Tokens:
    """Takes what ``generate`` streams: first the prompt, or the decoder's start, then token after token."""

    def __init__(self, tokens: queue.Queue[Any]) -> None:
        self._tokens, self._has_prompt = tokens, False

    def put(self, value: torch.Tensor) -> None:
        if self._has_prompt:
            for token in value.flatten().tolist():
                self._tokens.put(token)
        self._has_prompt = True

    def end(self) -> None:
        pass


def _pads(checkpoint: Checkpoint) -> bool:
    """Whether prompts of different length may stand in one batch.

    An encoder-decoder masks its encoder. A decoder must take both a mask and the places of its tokens; a recurrent one
    would read the padding into its state. Our own networks read nothing but their row.
    """
    if checkpoint.light:
        return True
    model: Any = checkpoint.model
    if model.config.is_encoder_decoder:
        return True
    accepted: Mapping[str, Any] = inspect.signature(model.forward).parameters
    is_stateful = getattr(model, "_is_stateful", False)
    return not is_stateful and "attention_mask" in accepted and "position_ids" in accepted
