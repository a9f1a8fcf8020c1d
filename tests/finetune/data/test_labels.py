"""Labels are compared by name, whatever type and order they come in."""

import math

import numpy as np
import pytest
from quintet.finetune.data.labels import (
    LabelColumn,
    LabelTable,
    LabelValueError,
    canonical_label,
    looks_multi_hot,
    match_labels,
    plan_labels,
)
from quintet.pipelines.errors import DataError


def table_of(*columns, class_names=None):
    """A table that has read each of ``columns``."""
    table = LabelTable()
    for values in columns:
        column = LabelColumn(
            table, class_names, is_multi=isinstance(values[0], list), is_multi_hot=looks_multi_hot(values)
        )
        for value in values:
            column.add(value)
    return table


def plan(*columns, class_names=None, **options):
    return plan_labels(table_of(*columns, class_names=class_names), column="stars", **options)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "1"), (1.0, "1"), ("1", "1"), ("1.0", "1"), (np.int64(1), "1"), (3.5, "3.5"), ("3.50", "3.5"),
        (True, "True"), (" good ", "good"), ("1e5", "1e5"), ("", None), ("  ", None), (None, None), (math.nan, None),
        (["b", 1], ["b", "1"]), ([], []), (np.array([0.0, 1.0]), ["0", "1"]),
    ],
)  # fmt: skip
def test_same_label_same_name_whatever_the_type(value, name):
    assert canonical_label(value) == name


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [None], object()])
def test_what_is_no_label_is_an_error(value):
    with pytest.raises(LabelValueError, match=r"expected a label|a list with a missing label"):
        canonical_label(value)


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        ([["pos", "neg"]], ("neg", "pos")),
        ([["10", "9", "1"]], ("1", "9", "10")),
        ([["b"], ["c", "a"]], ("a", "b", "c")),
        ([[True, False]], ("False", "True")),
    ],
)
def test_labels_are_sorted_numbers_by_value(columns, labels):
    assert plan(*columns).labels == labels


def test_stated_order_wins_and_ids_of_two_sources_meet_by_name():
    table = LabelTable()
    for names, values in ((("pos", "neg"), [0, 1, -1]), (("neg", "pos"), [0])):
        column = LabelColumn(table, names)
        found = [column.add(value) for value in values]
    assert found == ["neg"]
    planned = plan_labels(table, column="label")
    assert planned.labels == ("pos", "neg")
    assert planned.final_ids.tolist() == [0, 1]


def test_class_id_out_of_range_is_an_error_and_minus_one_is_missing():
    column = LabelColumn(LabelTable(), ("a", "b"))
    assert column.add(-1) is None
    with pytest.raises(LabelValueError, match=r"the class id 2, but there are 2 classes \(a, b\)"):
        column.add(2)
    assert column.finish().ids.tolist() == [-1, -1]


def test_fractions_are_regression_and_whole_numbers_are_classes():
    assert plan(["1.5", "2"]).problem_type == "regression"
    assert plan(["1", "2"]).problem_type == "single_label_classification"
    assert plan(["1", "2"], problem_type="regression").labels is None
    with pytest.raises(DataError, match="column 'stars' holds 'good'; regression expects numbers"):
        plan(["1.5", "good"], problem_type="regression")


def test_lists_are_multi_label_by_name_or_by_marks():
    assert plan([["joy", "fear"], []]).labels == ("fear", "joy")
    assert plan([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).labels == ("0", "1")
    assert plan([["joy"]]).problem_type == "multi_label_classification"
    table = LabelTable()
    column = LabelColumn(table, None, is_multi=True, is_multi_hot=True)
    column.add([0, 1])
    with pytest.raises(LabelValueError, match="no list of 2 zeros and ones"):
        column.add([0, 1, 1])


def test_wanted_names_are_matched_by_name_and_not_by_position():
    planned = plan(["positive", "negative"], label_names=("negative", "neutral", "positive"))
    assert planned.labels == ("negative", "neutral", "positive")
    assert planned.final_ids.tolist() == [2, 0]


def test_matching_says_what_it_assumed():
    assert match_labels(["POSITIVE"], ["negative", "positive"]) == (
        {"POSITIVE": 1}, ["labels were matched without regard to case"],
    )  # fmt: skip
    mapping, notices = match_labels(["1", "0"], ["negative", "positive"])
    assert mapping == {"1": 1, "0": 0}
    assert notices == ["the data numbers its labels; they were taken for ids: 0 = negative, 1 = positive"]
    assert match_labels(["1", "2"], ["2", "1"]) == ({"2": 0, "1": 1}, [])


@pytest.mark.parametrize("found", [["pos", "neg"], ["good", "negative"], ["0", "2"]])
def test_unknown_names_are_an_error_that_lists_both_sides(found):
    with pytest.raises(DataError, match=rf"in the data: {', '.join(sorted(found))}; expected: negative, positive"):
        match_labels(found, ["negative", "positive"])


def test_too_many_values_are_no_classes():
    with pytest.raises(DataError, match="column 'stars' holds more than 10,000 different values"):
        plan([f"value {number}" for number in range(10_002)])


def test_labels_that_differ_in_case_are_noticed():
    assert plan(["Good", "good"]).notices == ("the labels 'Good' and 'good' differ in case only and are two classes",)
