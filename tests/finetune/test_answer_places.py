"""Where answers stand, and which windows of a long context are learnt from."""

import numpy as np
import pytest
from quintet.finetune.answer_places import answer_place, answer_to_learn, windows_to_learn
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.context_windows import context_windows
from quintet.pipelines.models.shapes import IGNORED
from quintet.pipelines.question_inputs import QuestionInput

CONTEXT = " ".join(f"w{number}" for number in range(60))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([CONTEXT] * 3, "byte-bpe", 600, 512, has_token_types=True)


def windows(tokenizer, context=CONTEXT, *, max_length=24, stride=6):
    return context_windows(
        tokenizer, [QuestionInput("w1?", context)], max_length=max_length, stride=stride, max_question=8
    )[0]


def text_of(window, target):
    start, end = window.characters(np.array([target.first - window.first]), np.array([target.last - window.first]))
    return window.context[start[0] : end[0]]


def test_an_answer_is_taken_where_it_is_said_to_be_or_nearest_to_it():
    assert answer_place("to be or not to be", "be", 16) == (16, 18)
    assert answer_place("to be or not to be", "be", 15) == (16, 18)
    assert answer_place("to be or not to be", "be", 9) == (3, 5)
    assert answer_place("to be or not to be", "be", 900) == (16, 18)
    assert answer_place("to be or not to be", "be", -5) == (3, 5)
    assert answer_place("to be", "bee", 3) is None
    assert answer_place("to be", "", 3) is None


def test_the_answer_given_most_often_is_learnt():
    answers = {"text": ["a b", "b", "b"], "answer_start": [0, 2, 6]}
    assert answer_to_learn("a b c b", answers) == (2, 3)
    assert answer_to_learn("a b c b", {"text": ["a b", "b"], "answer_start": [0, 2]}) == (0, 3)
    assert answer_to_learn("a b", {"text": [], "answer_start": []}) is None


def test_of_a_long_context_the_window_around_the_answer_and_one_without_are_learnt(tokenizer):
    found = windows(tokenizer, stride=12)
    assert len(found) > 5
    for wanted in ("w0", "w17", "w30 w31", "w59"):
        start = CONTEXT.index(wanted)
        with_answer, without = windows_to_learn(found, (start, start + len(wanted)), "w1?", whole_words=False)
        assert text_of(found[with_answer.number], with_answer) == wanted
        margins = []
        for window in found:
            if places := window.places(start, start + len(wanted)):
                margins.append(min(places[0] - window.first, window.first + len(window.tokens) - 1 - places[1]))
        window = found[with_answer.number]
        last = window.first + len(window.tokens) - 1
        assert min(with_answer.first - window.first, last - with_answer.last) == max(margins)
        assert without.first == without.last == found[without.number].null
        starts, ends = found[without.number].tokens.starts, found[without.number].tokens.ends
        assert not np.any((starts < start + len(wanted)) & (ends > start))


def test_a_question_without_an_answer_is_learnt_in_one_window(tokenizer):
    found = windows(tokenizer)
    (target,) = windows_to_learn(found, None, "w1?", whole_words=False)
    assert target.first == target.last == found[target.number].null == 0
    drawn = {windows_to_learn(found, None, f"{number}?", whole_words=False)[0].number for number in range(30)}
    assert len(drawn) > 3  # not always the same part of a context


def test_nothing_is_learnt_from_an_answer_longer_than_a_window(tokenizer):
    found = windows(tokenizer)
    (target,) = windows_to_learn(found, (0, len(CONTEXT)), "w1?", whole_words=False)
    assert target == (0, IGNORED, IGNORED)


def test_an_answer_within_a_word_is_widened_for_what_answers_in_words():
    tokenizer = train_tokenizer(["any"], "byte-words", 260, 200)
    (window,) = windows(tokenizer, "four of Romans came", max_length=100)
    (target,) = windows_to_learn([window], (8, 13), "w1?", whole_words=True)
    assert text_of(window, target) == "Romans"
    assert window.encoded.input_ids[target.first] == 36  # the space before the word
    (target,) = windows_to_learn([window], (8, 13), "w1?", whole_words=False)
    assert text_of(window, target) == "Roman"
