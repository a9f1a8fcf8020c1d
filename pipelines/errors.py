"""Every error that Quintet raises on purpose, as one tree.

    QuintetError
    ├── UsageError        the call or command itself is wrong; the command line exits 2
    │   ├── UnknownNameError   a task, model, column, flag or key that does not exist
    │   └── MissingExtraError  an optional package is not installed
    ├── DataError         a data set, file, split, column or row is wrong
    │   └── InputError    one input of a pipeline is wrong; carries its index and source
    ├── ShapeError        a tensor does not have the axes that a network expects
    ├── WeightsError      a checkpoint cannot be loaded, or holds what it should not
    ├── TrainingError     training cannot go on (non-finite loss, unusable resume state)
    └── PublishError      the Hub or the checkpoint is not ready for publishing
        └── HubError      the Hub refused a request or cannot be reached; carries its status

Each message says in one sentence what was given, what was expected, and the fix.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QuintetError(Exception):
    """Base of all errors that Quintet raises on purpose; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(QuintetError):
    """The call or command itself is wrong."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name was given that is in no table."""


class MissingExtraError(UsageError):
    """An optional package is needed that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed; install it with: "
            f'python -m pip install "quintet[{extra}]"'
        )


class DataError(QuintetError):
    """A data set, file, split, column or row is wrong."""


class InputError(DataError):
    """One input of a pipeline is wrong.

    Attributes:
        index: position of the input in the stream, counted from 0; None until the engine knows it.
        source: where it came from, for instance ``reviews.csv, row 7``; None for inputs given in Python.
        reason: the sentence without index and source.
    """

    def __init__(self, reason: str, *, index: int | None = None, source: str | None = None) -> None:
        self.reason, self.index, self.source = reason, index, source
        place = "" if index is None else f"input {index}{f' ({source})' if source else ''}: "
        super().__init__(place + reason)

    def at(self, index: int, source: str | None) -> InputError:
        """This error again, with the place where it happened."""
        return InputError(self.reason, index=index, source=source)


class ShapeError(QuintetError):
    """A tensor does not have the axes that a network expects."""


class WeightsError(QuintetError):
    """A checkpoint cannot be loaded, or holds what it should not."""


class TrainingError(QuintetError):
    """Training cannot go on."""


class PublishError(QuintetError):
    """The Hub or the checkpoint is not ready for publishing."""


class HubError(PublishError):
    """The Hub refused a request, or cannot be reached.

    Attributes:
        status: of its answer, for instance 403; None where there was no answer.
        is_transient: whether the same request may succeed later.
        wait: seconds that the Hub asks to wait; None where it does not say.
    """

    def __init__(
        self, sentence: str, *, status: int | None = None, is_transient: bool = False, wait: float | None = None
    ) -> None:
        self.status, self.is_transient, self.wait = status, is_transient, wait
        super().__init__(sentence)

    def with_outcome(self, outcome: str) -> HubError:
        """This error again, with a closing sentence about what has changed on the Hub."""
        return HubError(f"{self} {outcome}", status=self.status, is_transient=self.is_transient, wait=self.wait)


def unknown_name(kind: str, given: str, known: Iterable[str], *, hint: str = "") -> UnknownNameError:
    """The error for a name that is in no table: what was given, the nearest known names, and where to look.

    Args:
        kind: what the name should have been, for instance ``task`` or ``model``.
        given: the name as it was typed.
        known: the names that exist.
        hint: a closing sentence with the command that lists them, for instance ``quintet tasks lists them.``
    """
    names = sorted(known)
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.6)
    suggestion = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}."
    return UnknownNameError(f"unknown {kind} '{given}'; {suggestion}{' ' + hint if hint else ''}")
