"""Whether training went astray although every loss was a number: a learning rate far too large, mostly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DIVERGED = 10.0
"""A loss so many times that of the beginning, or of guessing, has not merely stopped falling."""


def divergence(lines: Sequence[Mapping[str, Any]], guessing: float, learning_rate: float | None) -> tuple[str, ...]:
    """A sentence for each loss, of training and of validation, that ended far too high; none where all is well.

    Training is compared with its first step: that is the loss of the weights before any update, and the only one that
    a learning rate far too large has not spoilt yet.

    Args:
        lines: of ``log.jsonl``, from the first step on.
        guessing: loss of an answer that knows nothing; 0 where there is no such number.
        learning_rate: of the run.
    """
    losses = [line["loss"] for line in lines if "loss" in line]
    found = []
    if losses:
        last = losses[-max(1, len(losses) // 10) :]
        mean = sum(last) / len(last)
        if mean > DIVERGED * max(losses[0], guessing):
            found.append(
                f"the training loss was {losses[0]:.3g} at the first step and is {mean:.3g} over the last tenth"
            )
    measured = [line["validation"]["loss"] for line in lines if "loss" in line.get("validation", {})]
    if measured and guessing and measured[-1] > DIVERGED * guessing:
        found.append(f"the validation loss is {measured[-1]:.3g}, where guessing has {guessing:.3g}")
    rate = "" if learning_rate is None else f" {learning_rate:g}"
    return tuple(f"training diverged: {what}; give a lower --learning-rate than{rate or ' this'}" for what in found)
