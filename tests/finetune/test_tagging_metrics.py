"""Metrics of tags against a count by hand."""

import numpy as np
import pytest
from quintet.finetune.tagging_metrics import spans, tagging_metrics
from quintet.pipelines.errors import DataError, ShapeError

NAMES = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def ids(*rows):
    return [[NAMES.index(tag) for tag in row.split()] for row in rows]


TRUE = ids("B-PER I-PER O B-LOC", "B-LOC O", "O O B-PER")
ANSWERS = ids("B-PER I-PER O B-PER", "B-LOC I-LOC", "O O B-PER")


def entities(tags):
    """The entities of one row, counted by a loop of its own."""
    found, kind, start = set(), None, 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind is not None and (prefix != "I" or name != kind):
            found.add((kind, start, place - 1))
            kind = None
        if prefix == "B" or (prefix == "I" and kind is None):
            kind, start = name, place
    return found


def test_whole_entities_are_counted():
    scores = tagging_metrics(ANSWERS, TRUE, NAMES, bootstrap=0)
    # right: Jim Smith and the last PER; answered: 4 entities; there are 4
    assert scores.value("f1") == pytest.approx(2 * 2 / (4 + 4))
    assert scores.value("precision") == scores.value("recall") == pytest.approx(0.5)
    assert scores.value("accuracy") == pytest.approx(7 / 9)
    by_kind = {row.label: {fact.name: fact.value for fact in row.metrics} for row in scores.per_class}
    assert by_kind["PER"] == pytest.approx({"precision": 2 / 3, "recall": 1.0, "f1": 0.8})
    assert by_kind["LOC"] == pytest.approx({"precision": 0.0, "recall": 0.0, "f1": 0.0})
    assert [row.count for row in scores.per_class] == [2, 2]
    assert scores.metrics[0].name == "f1"


def test_random_tags_agree_with_the_loop():
    generator = np.random.default_rng(0)
    true, answers = ([generator.integers(0, 5, 12).tolist() for _ in range(50)] for _ in range(2))
    scores = tagging_metrics(answers, true, NAMES, bootstrap=0)
    pairs = [
        (entities([NAMES[tag] for tag in one]), entities([NAMES[tag] for tag in other]))
        for one, other in zip(answers, true, strict=True)
    ]
    hits, answered, there = (sum(map(len, sets)) for sets in zip(*((a & b, a, b) for a, b in pairs), strict=True))
    assert scores.value("f1") == pytest.approx(2 * hits / (answered + there))
    assert scores.value("precision") == pytest.approx(hits / answered)
    assert scores.value("recall") == pytest.approx(hits / there)
    assert all(spans([NAMES[tag] for tag in row]) == entities([NAMES[tag] for tag in row]) for row in true)


def test_intervals_hold_the_value_and_come_from_whole_rows():
    generator = np.random.default_rng(1)
    true = [generator.integers(0, 5, 6).tolist() for _ in range(80)]
    answers = [row if generator.random() < 0.6 else generator.integers(0, 5, 6).tolist() for row in true]
    scores = tagging_metrics(answers, true, NAMES, bootstrap=300, seed=2)
    for fact in scores.metrics:
        assert fact.low is not None and fact.high is not None
        assert fact.low < fact.value < fact.high
    again = tagging_metrics(answers, true, NAMES, bootstrap=300, seed=2)
    assert again.metrics == scores.metrics
    one_row = tagging_metrics(answers[:1], true[:1], NAMES, bootstrap=50)
    assert (one_row.metrics[0].low, one_row.metrics[0].high) == (None, None)  # it says nothing of other rows


def test_tags_without_entities_are_measured_by_word():
    names = ("DT", "NN", "VB")
    scores = tagging_metrics([[0, 1], [2, 2]], [[0, 1], [1, 2]], names, bootstrap=20)
    assert scores.metrics[0].name == "accuracy" and scores.value("accuracy") == 0.75
    assert {fact.name for fact in scores.metrics} == {"accuracy", "macro_f1", "macro_precision", "macro_recall"}
    assert scores.value("macro_f1") == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert scores.confusion == ((1, 0, 0), (0, 1, 1), (0, 0, 1))


def test_nothing_found_gives_zero_and_not_an_error():
    scores = tagging_metrics([[0, 0, 0, 0]], TRUE[:1], NAMES, bootstrap=10)
    assert scores.value("f1") == scores.value("recall") == scores.value("precision") == 0.0


def test_wrong_input_is_told():
    with pytest.raises(DataError, match="the split has no rows"):
        tagging_metrics([], [], NAMES)
    with pytest.raises(ShapeError, match="row 2 has 2 words and 1 answers, expected one for each"):
        tagging_metrics([[0], [0]], [[0], [0, 0]], NAMES)
