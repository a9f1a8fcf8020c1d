"""Intervals of a training run, as they are typed: ``epoch``, ``100steps``, ``90s``, ``5min``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..pipelines.errors import UsageError


@dataclass(frozen=True)
class Interval:
    """An amount of optimizer steps, of epochs or of seconds; the other two are None."""

    steps: int | None = None
    epochs: int | None = None
    seconds: float | None = None


_PATTERN = re.compile(r"(\d+(?:\.\d+)?)?\s*(steps?|epochs?|s|sec|seconds?|min|minutes?|h|hours?)")


def parse_interval(text: str, flag: str, kinds: tuple[str, ...]) -> Interval:
    """The interval that ``text`` says.

    Args:
        text: a number with its unit; a unit of steps or epochs may stand alone for one of them.
        flag: the setting it was given for, for instance ``--save-every``, named in the error.
        kinds: what the setting understands: any of ``steps``, ``epochs``, ``seconds``.

    Raises:
        UsageError: no number with a unit that the setting understands, or a number that is not above zero.
    """
    match = _PATTERN.fullmatch(text.strip().lower())
    kind = match and (
        "steps" if match[2].startswith("step") else "epochs" if match[2].startswith("epoch") else "seconds"
    )
    amount = float(match[1] or 1) if match else 0.0
    whole = kind == "seconds" or amount == int(amount)
    if not match or kind not in kinds or amount <= 0 or not whole or (kind == "seconds" and not match[1]):
        examples = {"steps": "50steps", "epochs": "epoch", "seconds": "90s or 5min"}
        raise UsageError(
            f"{flag} '{text}' is not an interval; give a number above zero with its unit, for instance "
            f"{', '.join(examples[kind] for kind in kinds)}"
        )
    if kind == "steps":
        return Interval(steps=int(amount))
    if kind == "epochs":
        return Interval(epochs=int(amount))
    scale = {"s": 1, "m": 60, "h": 3600}[match[2][0]]
    return Interval(seconds=amount * scale)
