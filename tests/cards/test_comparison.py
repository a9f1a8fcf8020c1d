"""Numbers side by side: what counts as equal, and which lines of a card its facts do not give."""

import math

import pytest
from quintet.cards.comparison import (
    CardNumber,
    NumberCheck,
    card_numbers,
    changed_lines,
    compare_numbers,
    is_close,
    numbers_of,
)
from quintet.cards.facts import BaselineFact, ClassFact, EvaluationFacts, MetricFact

EVALUATION = EvaluationFacts(
    split="test",
    count=40,
    data_name="reviews.csv",
    fingerprint="0" * 64,
    metrics=(MetricFact("accuracy", 0.9, 0.8, 0.95), MetricFact("macro_f1", 0.88), MetricFact("micro_f1", 0.9)),
    labels=("bad", "good"),
    per_class=(ClassFact("bad", 20, (MetricFact("f1", 0.87, 0.8, 0.9),)),),
    confusion=((18, 2), (2, 18)),
    baselines=(BaselineFact("majority class", (MetricFact("accuracy", 0.5),)),),
)


def number(card=None, recorded=None, recomputed=None):
    return NumberCheck("reviews.csv", "test", "accuracy", "metric", card, recorded, recomputed, 1e-4)


@pytest.mark.parametrize(
    ("given", "is_equal"),
    [
        (number(0.9, 0.9, 0.90005), True),
        (number(None, 0.9, 0.9), True),
        (number(0.9, None, 0.9), True),
        (number(0.91, 0.9, 0.9), False),
        (number(0.9, 0.91, 0.9), False),
        (number(0.9, 0.9, 0.9002), False),
        (number(0.9, 0.9, math.nan), False),
        (number(math.nan, 0.9, 0.9), False),
        (number(0.9, 0.9, None), None),
        (number(None, 0.9, None), None),
        (number(0.91, 0.9, None), False),
        (number(0.9, None, None), False),
    ],
)
def test_a_number_is_equal_when_all_that_state_it_agree(given, is_equal):
    assert given.is_equal is is_equal


def test_the_tolerance_grows_with_the_number():
    assert is_close(1000.05, 1000.0, 1e-4)
    assert not is_close(1000.2, 1000.0, 1e-4)
    assert not is_close(math.inf, math.inf, 1e-4)


def test_every_number_of_an_evaluation_has_a_name_of_its_own():
    found = numbers_of(EVALUATION)
    assert found["rows"] == ("count", 40.0)
    assert found["accuracy"] == ("metric", 0.9)
    assert found["accuracy (upper end)"] == ("interval", 0.95)
    assert found["bad: rows"] == ("class", 20.0)
    assert found["bad: f1 (lower end)"] == ("class", 0.8)
    assert found["good taken for bad"] == ("confusion", 2.0)
    assert found["majority class: accuracy"] == ("baseline", 0.5)
    assert len(found) == 1 + 5 + 4 + 4 + 1


def test_what_the_record_has_and_the_recomputation_lacks_is_not_equal():
    from dataclasses import replace

    fewer = replace(EVALUATION, metrics=EVALUATION.metrics[:1])
    checks = {check.name: check.is_equal for check in compare_numbers(EVALUATION, fewer, [], 1e-4)}
    assert checks["accuracy"] is True
    assert checks["macro_f1"] is False
    # the other way round is an older record, not a false one
    assert all(check.is_equal for check in compare_numbers(fewer, EVALUATION, [], 1e-4))


def test_metrics_of_one_hub_type_are_told_apart_by_their_names():
    card = [
        CardNumber("reviews.csv", "test", "f1", "micro F1", 0.9),
        CardNumber("reviews.csv", "test", "f1", "F1", 0.1),
    ]
    checks = {check.name: check.card for check in compare_numbers(EVALUATION, EVALUATION, card, 1e-4)}
    assert checks["micro_f1"] == 0.9
    assert checks["macro_f1"] == 0.1


@pytest.mark.parametrize(
    "front_matter",
    [
        {},
        {"model-index": None},
        {"model-index": "none"},
        {"model-index": [3, {"results": None}, {"results": [None, {"metrics": 4}, {"dataset": 5, "metrics": [None]}]}]},
    ],
)
def test_an_index_of_another_shape_has_no_numbers(front_matter):
    assert card_numbers(front_matter) == []


def test_the_index_is_read_as_it_stands():
    metrics = [{"type": "accuracy", "value": 0.9}, {"type": "f1", "name": "macro F1", "value": "high"}]
    result = {"dataset": {"name": "reviews.csv", "split": "test"}, "metrics": metrics}
    assert card_numbers({"model-index": [{"results": [result]}]}) == [
        CardNumber("reviews.csv", "test", "accuracy", "accuracy", 0.9),
        CardNumber("reviews.csv", "test", "f1", "macro F1", "high"),
    ]


RENDERED = """| accuracy | 0.8796 | 0.8589 – 0.9002 |
| macro F1 | 0.8794 | 0.8585 – 0.9000 |
trained on 66,002 rows with dropout 0.5 by torch 2.13.0"""


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("| accuracy | 0.8996 | 0.8589 – 0.9002 |", "| accuracy | 0.8796 | 0.8589 – 0.9002 |"),
        ("| accuracy | 0.8796 | 0.8589 – 0.9902 |", "| accuracy | 0.8796 | 0.8589 – 0.9002 |"),
        ("| macro F1 | -0.8794 | 0.8585 – 0.9000 |", "| macro F1 | 0.8794 | 0.8585 – 0.9000 |"),
        (
            "trained on 660,002 rows with dropout 0.5 by torch 2.13.0",
            "trained on 66,002 rows with dropout 0.5 by torch 2.13.0",
        ),
        (
            "trained on 66,002 rows with dropout 0.54 by torch 2.13.0",
            "trained on 66,002 rows with dropout 0.5 by torch 2.13.0",
        ),
        (
            "trained on 66,002 rows with dropout 0.5 by torch 2.13.1",
            "trained on 66,002 rows with dropout 0.5 by torch 2.13.0",
        ),
        ("| accuracy on all the world | 0.97 |", ""),
    ],
)
def test_a_line_with_another_number_is_changed(line, given):
    assert changed_lines(f"{RENDERED}\n{line}\n", RENDERED) == [(line, given)]


@pytest.mark.parametrize(
    "line",
    [
        "| accuracy | 0.880 | 0.859 – 0.900 |",  # another version may round to other places
        "| accuracy | 0.87961 | 0.85891 – 0.90021 |",
        "| accuracy | 0.8796 |",  # or lay it out in another way
        "a new sentence about 12 things",
        "a new sentence",
        "",
    ],
)
def test_a_line_that_says_the_same_in_another_way_is_not(line):
    assert changed_lines(f"{RENDERED}\n{line}\n", RENDERED) == []
