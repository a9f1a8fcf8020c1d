"""What a call that writes text may ask for, settled with what the checkpoint says into one plan.

The options are those of ``generate`` in transformers, and beside them ``seed``, ``stop_sequence`` and
``keep_stop_string``. What is given wins over the checkpoint's generation configuration, and that over the task's
defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .decoding import DecodingRules, StatefulEncoderDecoder
from .errors import InputError, UsageError, WeightsError
from .text_pieces import StopStrings

if TYPE_CHECKING:
    from .checkpoints import Checkpoint

LENGTHS = ("max_new_tokens", "max_length", "min_new_tokens", "min_length")

SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h")
"""Options that say how tokens are drawn; without drawing they mean nothing."""

STATEFUL = ("do_sample", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram_size")
STATEFUL_OPTIONS = (
    *LENGTHS,
    *STATEFUL,
    "num_return_sequences",
    "eos_token_id",
    "bos_token_id",
    "pad_token_id",
    "stop_strings",
    "num_beams",
)
"""Options that networks of our own know, which have no ``generate``."""

REWRITING_OPTIONS = (*STATEFUL_OPTIONS, "length_penalty", "early_stopping")
"""Of those among them that read a text and write another one."""

GENERATE_OPTIONS = (
    *LENGTHS,
    "do_sample",
    *SAMPLING,
    "repetition_penalty",
    "num_return_sequences",
    "num_beams",
    "length_penalty",
    "early_stopping",
    "no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "sequence_bias",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "decoder_start_token_id",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "renormalize_logits",
    "remove_invalid_values",
    "use_cache",
    "max_time",
    "stop_strings",
)
WRITING_OPTIONS = (*GENERATE_OPTIONS, "generation_config", "stop_sequence", "keep_stop_string", "seed")
"""What every task that writes text knows beside its own options."""


@dataclass(frozen=True)
class Budget:
    """How many new tokens a text may, and must, have."""

    most: int
    least: int = 0


@dataclass(frozen=True, eq=False)
class WritingPlan:
    """How texts are written: the options of a call, the checkpoint's and the task's, settled.

    Two texts share a batch only if they have the same plan.

    Attributes:
        parameters: for ``generate``, without lengths and stop strings.
        lengths: max_new_tokens, max_length, min_new_tokens and min_length, where they are set.
        is_length_asked: whether the user set the greatest length, so that it is not lowered in silence.
        stop: strings at which a text ends; None if there are none.
        keep_stop_string: whether such a string, and the rest of its last token, stays in the text.
        seed: of the drawing; None for torch's global generator.
        ends: tokens that end a text.
    """

    parameters: Mapping[str, Any]
    lengths: Mapping[str, int]
    is_length_asked: bool = False
    stop: StopStrings | None = None
    keep_stop_string: bool = True
    seed: int | None = None
    ends: frozenset[int] = field(default=frozenset())

    @property
    def sequences(self) -> int:
        """How many texts each prompt gets."""
        return self.parameters.get("num_return_sequences") or 1

    @property
    def beams(self) -> int:
        """How many beginnings are followed at once."""
        return self.parameters.get("num_beams") or 1

    @property
    def is_drawn(self) -> bool:
        """Whether tokens are drawn."""
        return bool(self.parameters.get("do_sample"))

    def rules(self, budget: Budget) -> DecodingRules:
        """The plan for networks that are decoded token by token."""
        names = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram_size")
        chosen = {name: self.parameters.get(name) for name in names}
        if "top_k" not in self.parameters:
            chosen["top_k"] = 50  # the default of transformers
        return DecodingRules(budget.most, budget.least, do_sample=self.is_drawn, ends=self.ends, **chosen)

    def budget(self, prompt: int, limit: int | None, *, prefix: int = 0) -> Budget:
        """How many new tokens go after a prompt.

        Args:
            prompt: its number of tokens; of an encoder-decoder 1, the token with which the decoder starts.
            limit: for how many tokens the model has positions; None if it needs none. The last new token needs none.
            prefix: how many of the prompt's tokens do not count for max_length.

        Raises:
            InputError: the prompt leaves no room for what was asked for.
        """
        most = self.lengths.get("max_new_tokens")
        if most is None:
            most = self.lengths["max_length"] + prefix - prompt
            if most < 1:
                raise InputError(
                    f"the prompt has {prompt - prefix} tokens, but max_length is {self.lengths['max_length']}, prompt "
                    "included; raise max_length, or give max_new_tokens instead."
                )
        room = None if limit is None else limit + 1 - prompt
        if room is not None and most > room:
            if room < 1:
                raise InputError(
                    f"the prompt has {prompt} tokens, but the model takes {limit}; shorten it to {limit} or fewer, or "
                    "let handle_long_generation='hole' keep its end."
                )
            if self.is_length_asked:
                raise InputError(
                    f"the prompt has {prompt} tokens and {most} new ones are asked for, but the model takes {limit}: "
                    f"{room} new ones fit; lower max_new_tokens, or let handle_long_generation='hole' cut the prompt."
                )
            most = room
        least = self.lengths.get("min_new_tokens")
        if least is None:
            least = self.lengths.get("min_length", 0) + (prefix if "min_length" in self.lengths else 0) - prompt
        return Budget(most, max(0, least))


NO_PLAN = WritingPlan({}, {})
"""Of a pipeline before its options are read."""


def read_writing_options(options: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The writing options among ``options`` over those given ``before``.

    Raises:
        UsageError: one has a value it cannot have.
    """
    given = {name: options[name] for name in WRITING_OPTIONS if name in options}
    if "stop_sequence" in given:
        given["stop_strings"] = given.pop("stop_sequence")
    if isinstance(given.get("stop_strings"), str):
        given["stop_strings"] = [given["stop_strings"]]
    for name, (accepts, expected) in _CHECKS.items():
        value = given.get(name)
        if value is not None and not accepts(value):
            raise UsageError(f"{name} is {value!r}; expected {expected}.")
    merged = {**before, **given}
    for new, total in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        # Of both kinds a number of new tokens would win, also the pipeline's over the call's total.
        if given.get(total) is not None and new not in given:
            merged.pop(new, None)
    for name in _CHECKPOINTS_IF_NONE:
        if name in given and given[name] is None:
            merged.pop(name, None)
    return merged


def make_plan(
    checkpoint: Checkpoint,
    given: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any],
    of_task: Mapping[str, Any] | None = None,
) -> WritingPlan:
    """The plan for a checkpoint.

    Args:
        checkpoint: writes.
        given: writing options that the user gave, checked.
        defaults: what the task does where neither user nor checkpoint say.
        of_task: what the checkpoint says for this task; stronger than what it says for all.

    Raises:
        UsageError: options exclude each other, or the network does not know them.
        WeightsError: the model writes no text.
    """
    own, settled = dict(given), _of_checkpoint(checkpoint) | dict(of_task or {})
    seed, keep = own.pop("seed", None), own.pop("keep_stop_string", None)
    configuration = own.pop("generation_config", None)
    if configuration is not None:
        own = _plain(configuration.to_diff_dict()) | own
    if checkpoint.light:
        _check_stateful(own, checkpoint)
    set_lengths = {name: settled.pop(name) for name in LENGTHS if settled.get(name) is not None}
    asked = {name: own.pop(name) for name in LENGTHS if name in own}
    lengths = _settle_lengths(asked, set_lengths, defaults)
    parameters = settled | own
    parameters = {name: value for name, value in defaults.items() if name not in (*parameters, *LENGTHS)} | parameters
    if not parameters.get("do_sample"):
        parameters = {name: value for name, value in parameters.items() if name in own or name not in SAMPLING}
    strings = parameters.pop("stop_strings", None)
    if isinstance(strings, str):
        strings = [strings]
    ends = parameters.get("eos_token_id")
    plan = WritingPlan(
        parameters,
        lengths,
        is_length_asked=any(asked.get(name) is not None for name in ("max_new_tokens", "max_length")),
        stop=StopStrings(strings, _raw_decode(checkpoint)) if strings else None,
        keep_stop_string=keep is not False,
        seed=seed,
        ends=frozenset(() if ends is None else ends if isinstance(ends, list | tuple) else [ends]),
    )
    _check_plan(plan, checkpoint)
    return plan


def _settle_lengths(
    asked: Mapping[str, int | None], of_checkpoint: Mapping[str, int], defaults: Mapping[str, int]
) -> dict[str, int]:
    """The lengths by the strongest that set one; a number of new tokens and a total exclude each other."""
    lengths: dict[str, int] = {}
    for new, total in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        for source in (asked, of_checkpoint, defaults):
            name = next((name for name in (new, total) if source.get(name) is not None), None)
            if name is not None:
                lengths[name] = int(source[name] or 0)
                break
    return lengths


def _of_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the checkpoint's own generation configuration sets.

    Raises:
        WeightsError: its model writes no text.
    """
    if checkpoint.light:
        raw = checkpoint.config.raw
        tokens = {name: raw[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in raw}
        known = REWRITING_OPTIONS if isinstance(checkpoint.model, StatefulEncoderDecoder) else STATEFUL_OPTIONS
        return tokens | {name: value for name, value in checkpoint.generation.items() if name in known}
    model: Any = checkpoint.model
    if getattr(model, "generation_config", None) is None or not hasattr(model, "generate"):
        raise WeightsError(
            f"'{checkpoint.name}' is a {type(model).__name__}, which writes no text; expected a model of transformers "
            "with generate, for instance GPT2LMHeadModel."
        )
    return _plain(model.generation_config.to_diff_dict())


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in GENERATE_OPTIONS}


def _raw_decode(checkpoint: Checkpoint) -> Callable[[Any], str]:
    """Ids -> text as the tokens have it: special tokens stay, spaces too."""
    return lambda ids: checkpoint.tokenizer.decode(ids, skip_special_tokens=False, clean_up_spaces=False)


def _check_stateful(own: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    name, rewrites = checkpoint.name, isinstance(checkpoint.model, StatefulEncoderDecoder)
    known = REWRITING_OPTIONS if rewrites else STATEFUL_OPTIONS
    strange = [option for option in own if option not in known]
    if strange:
        raise UsageError(
            f"{strange[0]} means nothing to '{name}', a network that is decoded token by token; it knows "
            f"{', '.join(sorted(known))}."
        )
    if rewrites and (own.get("num_beams") or 1) > 1 and own.get("do_sample"):
        raise UsageError(
            f"num_beams is {own['num_beams']} and do_sample is True, but '{name}' follows the most probable beginnings "
            "or draws one; leave one of them out."
        )
    if (own.get("num_beams") or 1) > 1 and not rewrites:
        raise UsageError(
            f"num_beams is {own['num_beams']}, but '{name}' carries one state and follows one beginning; leave it out."
        )


def _check_plan(plan: WritingPlan, checkpoint: Checkpoint) -> None:
    sequences, beams = plan.sequences, plan.beams
    if sequences > 1 and not plan.is_drawn and sequences > beams:
        raise UsageError(
            f"num_return_sequences is {sequences}, but without drawing there are as many texts as beams, {beams}; set "
            f"do_sample=True, or num_beams={sequences}."
        )
    if beams > 1 and sequences > beams:
        raise UsageError(f"num_return_sequences is {sequences}, but num_beams is {beams}; raise num_beams.")
    least, most = plan.lengths.get("min_new_tokens"), plan.lengths.get("max_new_tokens")
    if least is not None and most is not None and least > most:
        raise UsageError(f"min_new_tokens is {least}, which is more than max_new_tokens, {most}; lower it.")
    if checkpoint.light:
        return
    from transformers import GenerationConfig

    from .transformers_loading import quiet_transformers

    try:
        with quiet_transformers():
            GenerationConfig(**plan.parameters).validate()
    except (TypeError, ValueError) as error:
        raise UsageError(f"the options for writing text do not go together: {error}") from error


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_COUNT = (lambda value: _is_whole(value, 1), "a whole number from 1")
_COUNT_OR_NONE = (lambda value: _is_whole(value, 0), "a whole number from 0")
_CHECKPOINTS_IF_NONE = (
    "do_sample",
    "num_beams",
    "num_return_sequences",
    "length_penalty",
    "early_stopping",
    "repetition_penalty",
    "no_repeat_ngram_size",
)
"""Options that, given as None, are as the checkpoint has them; others have a None of their own: no limit, no end."""

_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "max_new_tokens": (_COUNT[0], "a number of tokens from 1"),
    "max_length": (_COUNT[0], "a number of tokens from 1"),
    "min_new_tokens": (_COUNT_OR_NONE[0], "a number of tokens from 0"),
    "min_length": (_COUNT_OR_NONE[0], "a number of tokens from 0"),
    "num_return_sequences": _COUNT,
    "num_beams": _COUNT,
    "do_sample": (lambda value: isinstance(value, bool), "True or False"),
    "temperature": (
        lambda value: _is_number(value) and value > 0,
        "a number above 0; for the most probable text set do_sample=False",
    ),
    "top_k": (_COUNT_OR_NONE[0], "a number of tokens, or 0 for all"),
    "top_p": (lambda value: _is_number(value) and 0 < value <= 1, "a probability in (0, 1]"),
    "min_p": (lambda value: _is_number(value) and 0 <= value <= 1, "a fraction in [0, 1]"),
    "repetition_penalty": (lambda value: _is_number(value) and value > 0, "a number above 0, for instance 1.2"),
    "no_repeat_ngram_size": (_COUNT_OR_NONE[0], "a number of tokens, or 0 for any repetition"),
    "length_penalty": (
        lambda value: _is_number(value) and math.isfinite(value),
        "a number, above 0 for longer texts and below 0 for shorter ones",
    ),
    "early_stopping": (lambda value: isinstance(value, bool) or value == "never", "True, False or 'never'"),
    "eos_token_id": (
        lambda value: all(_is_whole(each, 0) for each in (value if isinstance(value, list | tuple) else [value])),
        "a token's id, or a list of ids",
    ),
    "seed": (_COUNT_OR_NONE[0], "a whole number from 0"),
    "keep_stop_string": (lambda value: isinstance(value, bool), "True or False"),
    "stop_strings": (
        lambda value: (
            isinstance(value, list | tuple) and bool(value) and all(isinstance(each, str) and each for each in value)
        ),
        "a text, or a list of texts, none of them empty, as stop_sequence or stop_strings",
    ),
    "generation_config": (lambda value: hasattr(value, "to_diff_dict"), "a GenerationConfig of transformers"),
}
