"""A text while it is written, in pieces that, joined, are the text that a call gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .generation import Prompt, write_tokens
from .text_pieces import Decode, TextPieces

if TYPE_CHECKING:
    from .checkpoints import Checkpoint
    from .generation_options import WritingPlan


def finished_text(plan: WritingPlan, start: Sequence[int], new: Sequence[int], decode: Decode) -> str:
    """The text of new tokens, without the stop string that ended it if that is to go.

    Args:
        plan: how it was written.
        start: what the new tokens stand after.
        new: token ids.
        decode: gives their text.
    """
    text = decode(new)
    if plan.stop is None or plan.keep_stop_string or not plan.stop.is_at_end([*start, *new]):
        return text
    return plan.stop.cut(text, new)


def stream_text(checkpoint: Checkpoint, prompt: Prompt, decode: Decode, *, is_tidied: bool) -> Iterator[str]:
    """The text after ``prompt`` in pieces, each as soon as no later token can change it.

    What may be the beginning of a stop string that is to go is held back until it is known to be none.

    Args:
        checkpoint: writes.
        prompt: what is continued.
        decode: gives the text of new tokens.
        is_tidied: whether ``decode`` takes out spaces before punctuation.
    """
    plan, tokenizer = prompt.plan, checkpoint.tokenizer
    stop = None if plan.keep_stop_string else plan.stop
    pieces = TextPieces(decode, tokenizer.token_text, is_tidied=is_tidied)
    # Of all that was written before, only so much can belong to a string that ends in the next token.
    tail = [] if stop is None else prompt.ids[-stop.reach - 1 :]
    before = "" if stop is None else tokenizer.decode(tail, skip_special_tokens=False, clean_up_spaces=False)
    new: list[int] = []
    held, given = "", 0
    for token in write_tokens(checkpoint, prompt):
        new.append(token)
        held += pieces.add(token)
        if stop is not None:
            tail = [*tail, token][-stop.reach - 1 :]
            if stop.is_at_end(tail):
                break
        ready = len(held) - (0 if stop is None else stop.held_back(before, held))
        if ready > 0:
            yield held[:ready]
            before = "" if stop is None else (before + held[:ready])[-stop.reach :]
            held, given = held[ready:], given + ready
    rest = finished_text(plan, prompt.ids, new, decode)[given:]
    if rest:
        yield rest
