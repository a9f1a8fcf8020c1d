"""Which window answers for a token, against a search through all of them."""

import itertools

import numpy as np
import pytest
from quintet.pipelines import UsageError
from quintet.pipelines.token_windows import answering_windows, merge_token_windows, window_spans

CASES = [(1, 8, None), (8, 8, None), (9, 8, None), (50, 16, None), (51, 16, 0), (121, 64, None), (77, 20, 13)]


@pytest.mark.parametrize(("count", "room", "stride"), CASES)
def test_windows_cover_the_text(count, room, stride):
    spans = window_spans(count, room, stride, room + 2)
    assert (spans[0][0], spans[-1][1]) == (0, count)
    for (_, stop), (start, _) in itertools.pairwise(spans):
        assert start <= stop - (stride if stride is not None else (room + 2) // 8)
    assert all(0 < stop - start <= room for start, stop in spans)
    if stride is None and count > room:
        assert {stop - start for start, stop in spans} == {room}


@pytest.mark.parametrize(("count", "room", "stride"), CASES)
def test_the_window_with_most_text_around_a_token_answers(count, room, stride):
    spans = window_spans(count, room, stride, room + 2)
    owners = answering_windows(spans, count)

    def context(token, window):
        start, stop = spans[window]
        if not start <= token < stop:
            return -1
        cuts = [token - start] * (start > 0) + [stop - 1 - token] * (stop < count)
        return min(cuts, default=count)

    for token in range(count):
        assert owners[token] == max(range(len(spans)), key=lambda window: (context(token, window), -window))
    windows = [np.full((stop - start, 2), number, dtype=np.float32) for number, (start, stop) in enumerate(spans)]
    assert merge_token_windows(windows, spans, count)[:, 1].tolist() == owners.tolist()


def test_no_limit_is_one_window():
    assert window_spans(1000, None, None, None) == [(0, 1000)]
    assert window_spans(0, 5, None, 7) == [(0, 0)]


def test_windows_without_room_are_refused():
    with pytest.raises(UsageError, match="windows of 6 tokens have room for 4 beside the special ones, of which 4 are"):
        window_spans(10, 4, 4, 6)
