"""Spans out of probabilities against every span tried, and the answers of several windows as one list."""

import time

import numpy as np
import pytest
from quintet.pipelines.answer_spans import best_spans, find_answers, span_probabilities
from quintet.pipelines.context_windows import ContextTokens, ContextWindow
from quintet.pipelines.encodings import Encoded


def window(context: str, first: int = 0, count: int | None = None, *, question: int = 2, null: int | None = 0):
    """A window over words ``first`` and following of a context, behind ``question`` tokens and a classification token.

    Each word is a token, or two with a hyphen between.
    """
    starts, ends, words, place = [], [], [], 0
    for number, word in enumerate(context.split(" ")):
        for part in word.split("-"):
            starts.append(place)
            ends.append(place + len(part))
            words.append(number)
            place += len(part) + 1
    tokens = ContextTokens(*(np.array(values, dtype=np.int32) for values in (starts, ends, words)))
    tokens = tokens.part(first, len(tokens) if count is None else first + count)
    return ContextWindow(Encoded([0] * (1 + question + len(tokens) + 1)), context, tokens, 1 + question, null)


def logits(of: ContextWindow, start: dict[int, float], end: dict[int, float], null: float = -5.0) -> np.ndarray:
    """0 for each token of the context but those given; 50 for the question, which must not matter."""
    values = np.full((2, len(of.encoded)), 50, dtype=np.float32)
    values[:, of.first : of.first + len(of.tokens)] = 0
    for row, given in zip(values, (start, end), strict=True):
        for token, value in given.items():
            row[of.first + token] = value
    if of.null is not None:
        values[:, of.null] = null
    return values


def answers(*windows, top_k=1, max_answer_tokens=15, align_to_words=False, has_null=False):
    return find_answers(
        windows, top_k=top_k, max_answer_tokens=max_answer_tokens, align_to_words=align_to_words, has_null=has_null
    )


def spans(*arguments):
    """The best spans as (first, last, score)."""
    return list(zip(*(values.tolist() for values in best_spans(*arguments)), strict=True))


@pytest.mark.parametrize("count", [1, 2, 7, 500])
@pytest.mark.parametrize("max_tokens", [1, 3, 40])
@pytest.mark.parametrize("length", [1, 2, 25])
def test_best_spans_are_those_of_all_spans_tried(length, max_tokens, count):
    generator = np.random.default_rng(length)
    starts, ends = generator.random((2, length)).astype(np.float32)
    tried = [
        (first, last, float(starts[first] * ends[last]))
        for first in range(length)
        for last in range(first, min(first + max_tokens, length))
    ]
    tried.sort(key=lambda span: -span[2])
    assert spans(starts, ends, max_tokens, count) == tried[:count]


def test_of_equal_spans_the_earlier_and_shorter_comes_first():
    even = np.full(4, 0.25, dtype=np.float32)
    assert [span[:2] for span in spans(even, even, 2, 9)] == [
        (0, 0),
        (0, 1),
        (1, 1),
        (1, 2),
        (2, 2),
        (2, 3),
        (3, 3),
    ]


def test_probabilities_of_zero_are_spans_too():
    ends = np.array([0, 1, 0], dtype=np.float32)
    assert spans(np.array([0, 0, 1], dtype=np.float32), ends, 3, 1) == [(0, 0, 0.0)]
    assert len(spans(np.zeros(3, dtype=np.float32), ends, 3, 99)) == 6


def test_a_hundred_thousand_tokens_are_searched_without_a_square_of_them():
    generator = np.random.default_rng(0)
    starts, ends = generator.random((2, 100_000)).astype(np.float32)
    starts[70_000], ends[70_003] = 3, 3
    began = time.monotonic()
    assert spans(starts, ends, 15, 1) == [(70_000, 70_003, 9.0)]
    assert time.monotonic() - began < 5


def test_probabilities_are_over_the_context_and_the_classification_token():
    here = window("a b c")
    given = logits(here, {0: 1.0, 2: -1.0}, {1: 2.0}, null=0.5)
    probabilities, null = span_probabilities(given, here)
    for row, values in zip(probabilities, ([1.0, 0.0, -1.0, 0.5], [0.0, 2.0, 0.0, 0.5]), strict=True):
        expected = np.exp(values) / np.exp(values).sum()
        assert row == pytest.approx(expected[:3], abs=1e-6)
    start, end = np.exp(0.5) / np.exp([1, 0, -1, 0.5]).sum(), np.exp(0.5) / np.exp([0, 2, 0, 0.5]).sum()
    assert null == pytest.approx(start * end, abs=1e-6)


def test_huge_logits_do_not_overflow():
    here = window("a b c")
    (best,) = answers((logits(here, {1: 1e6}, {1: 1e6}), here))
    assert best == {"score": 1.0, "start": 2, "end": 3, "answer": "b"}


def test_without_a_classification_token_no_answer_has_the_score_0():
    here = window("a b", null=None)
    assert answers((logits(here, {}, {}), here), top_k=9, has_null=True)[-1] == {
        "score": 0.0,
        "start": 0,
        "end": 0,
        "answer": "",
    }


def test_no_answer_has_the_least_score_of_all_windows():
    first, second = window("a b c d", 0, 2), window("a b c d", 2)
    sure, unsure = logits(first, {}, {}, null=9.0), logits(second, {1: 3.0}, {1: 3.0}, null=1.0)
    _, null = span_probabilities(unsure, second)
    found = answers((sure, first), (unsure, second), top_k=9, has_null=True)
    assert [answer["score"] for answer in found if not answer["answer"]] == [pytest.approx(null)]
    assert found == sorted(found, key=lambda answer: -answer["score"])
    assert answers((sure, first), top_k=1, has_null=True)[0]["answer"] == ""
    assert answers((unsure, second), top_k=1, has_null=True)[0]["answer"] == "d"


def test_equal_texts_are_one_answer_with_the_sum_of_scores_where_it_was_found_first():
    context = "Ada wrote it , ada did"
    first, second = window(context, 0, 3), window(context, 3)
    one, other = logits(first, {0: 2.0}, {0: 2.0}), logits(second, {1: 8.0}, {1: 8.0})
    alone = [answers((values, here))[0]["score"] for values, here in ((one, first), (other, second))]
    (best,) = answers((one, first), (other, second))
    assert best == {"score": pytest.approx(sum(alone)), "start": 0, "end": 3, "answer": "Ada"}
    assert alone[1] > alone[0]
    assert best["score"] > 1


def test_answers_are_widened_to_words():
    here = window("by Ada-Love-lace alone")
    given = logits(here, {2: 9.0}, {2: 9.0})
    assert answers((given, here))[0]["answer"] == "Love"
    assert answers((given, here), align_to_words=True)[0] == {
        "score": pytest.approx(1.0, abs=0.01),
        "start": 3,
        "end": 16,
        "answer": "Ada-Love-lace",
    }


def test_spans_of_one_word_are_one_answer_and_leave_room_for_others():
    here = window("Ada-Love-lace wrote it")
    given = logits(here, dict.fromkeys(range(3), 5.0), dict.fromkeys(range(3), 5.0))
    found = answers((given, here), align_to_words=True, top_k=3)
    assert [answer["answer"] for answer in found] == ["Ada-Love-lace", "Ada-Love-lace wrote", "Ada-Love-lace wrote it"]
    probabilities, _ = span_probabilities(given, here)
    total = sum(probabilities[0][first] * probabilities[1][last] for first in range(3) for last in range(first, 3))
    assert found[0]["score"] == pytest.approx(float(total))


def test_no_answer_is_longer_than_asked_before_it_is_aligned():
    here = window("a b c d e")
    given = logits(here, {0: 5.0}, {4: 5.0})
    assert answers((given, here), top_k=1)[0]["answer"] == "a b c d e"
    found = answers((given, here), top_k=99, max_answer_tokens=2)
    assert {len(answer["answer"].split()) for answer in found} == {1, 2}
    assert len(found) == 9
