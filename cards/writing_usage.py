"""Usage snippets, examples and samples for checkpoints that continue texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .facts import CHECKPOINT_PLACEHOLDER, RunFacts
from .markdown import block

BEGINNINGS = {
    "ar": ("كان", "في"),
    "de": ("Es war", "Die"),
    "en": ("It was", "The"),
    "es": ("Era", "La"),
    "fr": ("C'était", "Le"),
    "hi": ("यह", "एक"),
    "it": ("Era", "La"),
    "ja": ("それは", "私は"),
    "ko": ("그것은", "나는"),
    "nl": ("Het was", "De"),
    "pl": ("To był", "Nie"),
    "pt": ("Era", "O"),
    "ru": ("Это было", "Он"),
    "tr": ("Bu", "Bir"),
    "vi": ("Đó là", "Một"),
    "zh": ("他说", "这是"),
}
"""By language, how two texts may begin."""

SAMPLE_TOKENS, SNIPPET_TOKENS = 100, 40
"""New tokens of a sample and of a snippet, at most half of what the model takes."""

_HOLE = "hole"
"""Leaves out the beginning of a prompt that is too long."""


def sample_options(max_length: int | None) -> dict[str, Any]:
    """How the samples of a card are drawn; ``top_k=0`` leaves out no token.

    Args:
        max_length: tokens that the model takes; None if there is no limit.
    """
    drawn = {"max_new_tokens": _room(SAMPLE_TOKENS, max_length), "do_sample": True, "temperature": 0.8, "top_k": 0}
    return {**drawn, "seed": 0, "handle_long_generation": _HOLE}


def _room(tokens: int, max_length: int | None) -> int:
    return tokens if max_length is None else min(tokens, max(1, max_length // 2))


def writing_usage(prompts: Sequence[str], *, trusted: bool, max_length: int | None) -> tuple[str, str]:
    """The snippets for Quintet and for plain transformers, which take the most probable token each time.

    Args:
        prompts: as they stand in a line of Python.
        trusted: whether the checkpoint brings its own code.
        max_length: tokens that the model takes; None if there is no limit.
    """
    listed = "prompts = [\n" + "".join(f"    {each},\n" for each in prompts) + "]"
    asked = f"max_new_tokens={_room(SNIPPET_TOKENS, max_length)}, do_sample=False"
    if max_length is not None:
        asked += f', handle_long_generation="{_HOLE}"'
    calls = f'{listed}\nfor prompt in prompts:\n    print(write(prompt, {asked})[0]["generated_text"])\n'
    remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
    options = ", trust_remote_code=True" if trusted else ""
    made = f'write = pipeline("text-generation", model="{CHECKPOINT_PLACEHOLDER}"'
    return (
        f"from quintet import pipeline\n\n{made})\n{calls}",
        f"from transformers import pipeline\n\n{remark}{made}{options})\n{calls}",
    )


def samples(facts: RunFacts) -> str:
    """What the checkpoint wrote after each example, drawn with a seed; nothing for other tasks."""
    if facts.task != "text-generation" or not facts.examples:
        return ""
    options = sample_options(facts.max_length)
    del options["handle_long_generation"]
    told = ", ".join(f"{name}={value}" for name, value in options.items())
    parts = ["## Samples", f"Drawn with `{told}`, none of them chosen among several; what was given stands first."]
    parts += [block(str(each["generated_text"]), "text") for one in facts.examples for each in one.outputs]
    return "\n\n".join(parts)
