"""Where the answers of a row stand in its context, and which windows of a long context are learnt from."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..pipelines.context_windows import ContextWindow
from ..pipelines.models.shapes import IGNORED


class WindowTarget(NamedTuple):
    """What is to be found in a window.

    Attributes:
        number: of the window among those of its question.
        first: the place in it of the answer's first token, or of "no answer"; `IGNORED` where nothing is learnt.
        last: of the answer's last token, or the same.
    """

    number: int
    first: int
    last: int


def answer_place(context: str, text: str, start: int) -> tuple[int, int] | None:
    """Where ``text`` stands in ``context``: its first character, and the one after its last.

    That is at ``start`` if it stands there, and else at the place nearest to it, of two the earlier one; None if it
    stands nowhere.

    >>> answer_place("to be or not to be", "be", 3), answer_place("to be or not to be", "be", 12)
    ((3, 5), (16, 18))
    """
    if not text:
        return None
    if context.startswith(text, max(start, 0)):
        return max(start, 0), max(start, 0) + len(text)
    before = context.rfind(text, 0, max(start, 0) + len(text))
    after = context.find(text, max(start, 0))
    found = [place for place in (before, after) if place >= 0]
    if not found:
        return None
    nearest = min(found, key=lambda place: abs(place - start))
    return nearest, nearest + len(text)


def answer_to_learn(context: str, answers: Mapping[str, Sequence[Any]]) -> tuple[int, int] | None:
    """Where the answer stands that was given most often, of several the first; None where there is no answer.

    Args:
        context: that holds all of ``answers``.
        answers: ``text`` and ``answer_start``, as many of each.
    """
    if not len(answers["text"]):
        return None
    most = Counter(answers["text"]).most_common(1)[0][0]
    return answer_place(context, most, answers["answer_start"][list(answers["text"]).index(most)])


def windows_to_learn(
    windows: Sequence[ContextWindow], answer: tuple[int, int] | None, question: str, *, whole_words: bool
) -> list[WindowTarget]:
    """The windows of a question that are learnt from, one or two.

    One is that in which the answer stands farthest from the edges. The other has no answer, if there is such a one: it
    is drawn by the text of the question, so that it is the same one each time. Nothing is learnt from an answer that
    stands whole in no window, nor about "no answer" where there is no token for it.

    Args:
        windows: all of them.
        answer: its first character, and the one after its last; None if there is no answer.
        question: the question.
        whole_words: whether the answer is widened to whole words.
    """
    best: WindowTarget | None = None
    most, without = -1, []
    for number, window in enumerate(windows):
        places = None if answer is None else window.places(*answer)
        if places is None:
            if window.null is not None and (answer is None or not _touches(window, answer)):
                without.append(WindowTarget(number, window.null, window.null))
            continue
        first, last = _widened(window, *places) if whole_words else places
        margin = min(first - window.first, window.first + len(window.tokens) - 1 - last)
        if margin > most:
            best, most = WindowTarget(number, first, last), margin
    learnt = [] if best is None else [best]
    if without:
        learnt.append(without[zlib.crc32(question.encode()) % len(without)])
    return learnt or [WindowTarget(0, IGNORED, IGNORED)]


def _touches(window: ContextWindow, answer: tuple[int, int]) -> bool:
    """Whether a part of the answer is in the window."""
    return bool(np.any((window.tokens.starts < answer[1]) & (window.tokens.ends > answer[0])))


def _widened(window: ContextWindow, first: int, last: int) -> tuple[int, int]:
    firsts, lasts = window.tokens.aligned(np.array([first - window.first]), np.array([last - window.first]))
    return window.first + int(firsts[0]), window.first + int(lasts[0])
