"""Windows of a text for a task that answers for each token.

A text longer than the model takes is read in overlapping windows. Each token is answered for by one of them: the one in
which it stands farther from a cut, and so sees more of the text around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .encodings import window_starts
from .errors import UsageError
from .token_texts import TokenText
from .windows import shared_tokens


class TokenWindow(NamedTuple):
    """A window of a text: its tokens from ``start`` to before ``stop``."""

    tokens: TokenText
    start: int
    stop: int


def window_spans(count: int, room: int | None, stride: int | None, max_length: int | None) -> list[tuple[int, int]]:
    """Where the windows of a text of ``count`` tokens begin and end.

    Args:
        count: tokens, special ones not counted.
        room: the most of them in a window; None if there is no limit.
        stride: tokens that neighbouring windows share, as transformers places them: the last one may be short. None for
            an eighth of the window, and a last one that is full.
        max_length: the most tokens of a window, special ones included, for the error.

    Raises:
        UsageError: there is no room for a new token in each window.

    >>> window_spans(10, 4, 1, None)
    [(0, 4), (3, 7), (6, 10)]
    >>> window_spans(11, 4, 1, None)
    [(0, 4), (3, 7), (6, 10), (9, 11)]
    """
    if room is None or count <= room:
        return [(0, count)]
    shared = shared_tokens(max_length or room) if stride is None else stride
    if room <= shared:
        raise UsageError(
            f"windows of {max_length} tokens have room for {max(room, 0)} beside the special ones, of which {shared} "
            "are shared with the next window, so that none is new; choose a larger max_length or a smaller stride."
        )
    if stride is None:
        starts: Sequence[int] = window_starts(count, room, shared)
    else:
        starts = range(0, count - stride, room - stride)
    return [(start, min(start + room, count)) for start in starts]


def answering_windows(spans: Sequence[tuple[int, int]], count: int) -> np.ndarray:
    """Which window answers for each token, int64 ``(count,)``: the one in which it stands farther from a cut.

    The ends of the text are no cuts. Of windows in which it stands equally far the first one answers.

    Args:
        spans: from `window_spans`; every token is in one of them.
        count: number of tokens.

    >>> answering_windows([(0, 6), (2, 8)], 8).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    farthest = np.full(count, -1.0)
    owners = np.zeros(count, dtype=np.int64)
    for number, (start, stop) in enumerate(spans):
        places = np.arange(start, stop)
        to_left = places - start if start > 0 else np.full(len(places), np.inf)
        to_right = stop - 1 - places if stop < count else np.full(len(places), np.inf)
        distances = np.minimum(to_left, to_right)
        is_farther = distances > farthest[start:stop]
        farthest[start:stop][is_farther] = distances[is_farther]
        owners[start:stop][is_farther] = number
    return owners


def merge_token_windows(windows: Sequence[np.ndarray], spans: Sequence[tuple[int, int]], count: int) -> np.ndarray:
    """For each token the row of the window that answers for it, ``(count, values)``.

    Args:
        windows: what the model gave for the tokens of each window, ``(tokens, values)``.
        spans: where the windows stand.
        count: number of tokens of the text.
    """
    if len(windows) == 1:
        return windows[0]
    owners = answering_windows(spans, count)
    merged = np.empty((count, windows[0].shape[1]), dtype=windows[0].dtype)
    for number, (window, (start, stop)) in enumerate(zip(windows, spans, strict=True)):
        is_own = owners[start:stop] == number
        merged[start:stop][is_own] = window[is_own]
    return merged
