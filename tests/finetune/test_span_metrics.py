"""Exact match and F1 of answers against torchmetrics, which follows SQuAD's script, and counts by hand."""

import random

import pytest
from quintet.finetune.span_metrics import Reading, span_metrics, span_scores
from quintet.pipelines.errors import DataError
from torchmetrics.functional.text import squad

ENGLISH = Reading(by_character=False, has_null=False)
WITH_NULL = Reading(by_character=False, has_null=True)
CHINESE = Reading(by_character=True, has_null=False)
WORDS = ["the", "The", "a", "U.S.", "US", "army,", "in", "1843", "an", "—", "'s", "cat", "cat-like", "Zürich", "大元"]


def test_rows_have_the_values_of_torchmetrics():
    draw = random.Random(0)
    compared = 0
    for _ in range(300):
        answer = " ".join(draw.choices(WORDS, k=draw.randint(1, 5)))
        references = [" ".join(draw.choices(WORDS, k=draw.randint(1, 5))) for _ in range(draw.randint(1, 3))]
        found = squad(
            [{"prediction_text": answer, "id": "0"}],
            [{"answers": {"text": references, "answer_start": [0] * len(references)}, "id": "0"}],
        )
        exact, f1 = span_scores(answer, references, ENGLISH)
        assert (100 * exact, 100 * f1) == pytest.approx((found["exact_match"].item(), found["f1"].item()), abs=1e-4)
        compared += 0 < f1 < 1
    assert compared > 50


def test_the_reference_that_fits_best_counts():
    assert span_scores("the Roman army", ["army of Rome", "Roman Army!"], ENGLISH) == (1.0, 1.0)
    assert span_scores("Roman legions", ["army of Rome", "the Roman army"], ENGLISH) == (0.0, 0.5)


def test_no_answer_is_right_only_where_there_is_none():
    assert span_scores("", [], WITH_NULL) == (1.0, 1.0)
    assert span_scores("Ada", [], WITH_NULL) == (0.0, 0.0)
    assert span_scores("", ["Ada"], WITH_NULL) == (0.0, 0.0)
    assert span_scores("", ["Ada"], ENGLISH) == (0.0, 0.0)


def test_each_chinese_character_is_a_word_and_its_punctuation_none():
    assert span_scores("大元", ["大元。"], CHINESE) == (1.0, 1.0)
    exact, f1 = span_scores("大元王朝", ["大元"], CHINESE)
    assert (exact, f1) == (0.0, pytest.approx(2 * 2 / (4 + 2)))
    assert span_scores("韩国Nexon", ["Nexon"], CHINESE)[1] == pytest.approx(2 / 4)


def test_most_letters_of_the_questions_say_how_words_are_counted():
    answers = {"text": ["x"], "answer_start": [0]}
    english = [{"question": "Who was 忽必烈?", "answers": answers}]
    chinese = [{"question": "谁开发了Nexon的游戏？这是什么时候？", "answers": {"text": [], "answer_start": []}}]
    assert Reading.of(english) == ENGLISH
    assert Reading.of(chinese) == Reading(by_character=True, has_null=True)
    assert Reading.of(chinese).options == {"align_to_words": False, "handle_impossible_answer": True}


def test_both_kinds_of_question_have_figures_of_their_own():
    scores = span_metrics(["Ada", "", "x", "Bob"], [["Ada"], [], [], ["Bob Ross"]], WITH_NULL, bootstrap=200)
    values = {fact.name: fact.value for fact in scores.metrics}
    assert values == pytest.approx(
        {
            "f1": 100 * (1 + 1 + 0 + 2 / 3) / 4,
            "exact_match": 50.0,
            "has_answer_f1": 100 * (1 + 2 / 3) / 2,
            "has_answer_exact_match": 50.0,
            "no_answer_exact_match": 50.0,
        }
    )
    assert all(fact.low is not None and fact.low <= fact.value <= fact.high for fact in scores.metrics)
    plain = span_metrics(["Ada", "x"], [["Ada"], ["Bob"]], ENGLISH, bootstrap=0)
    assert [fact.name for fact in plain.metrics] == ["f1", "exact_match"]


def test_a_split_without_questions_cannot_be_measured():
    with pytest.raises(DataError, match="the split has no rows, so nothing can be measured"):
        span_metrics([], [], ENGLISH)
