"""SIGTERM and Ctrl-C end training after the step at hand, with its state saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from ..pipelines.errors import TrainingError


class InterruptedTraining(TrainingError):
    """Training was stopped from outside; its state is saved.

    Attributes:
        exit_code: what the command line ends with, as shells count it: 128 + number of the signal.
    """

    def __init__(self, step: int, number: int, saved: bool) -> None:
        then = "repeat the command with --resume to go on" if saved else "its state could not be saved"
        super().__init__(f"training was stopped by {signal.Signals(number).name} after step {step}; {then}")
        self.exit_code = 128 + number


@dataclass
class StopRequest:
    """Whether a signal came.

    Attributes:
        number: of the signal; 0 where none came.
    """

    number: int = 0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """While open, SIGTERM and SIGINT are noted instead of killing the process; a second SIGINT interrupts at once."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        request.number = number

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
