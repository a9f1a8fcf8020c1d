"""Recorded rows found again, and what differs where they are not the same."""

from dataclasses import replace

import pytest
from quintet.cards.facts import SplitFacts
from quintet.finetune.recomputation import describe_difference

SPLIT = SplitFacts(
    name="test",
    rows=40,
    fingerprint="a" * 64,
    label_histogram={"bad": 20, "good": 20},
    length_percentiles={"0": 3.0, "50": 30.0},
    duplicates=1,
    label_mean=2.5,
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"rows": 41, "fingerprint": "b" * 64}, "41 rows instead of 40"),
        (
            {"label_histogram": {"bad": 21, "fine": 19}},
            (
                "21 rows of the label 'bad' instead of 20; 0 rows of the label 'good' instead of 20; "
                "19 rows of the label 'fine' instead of 0"
            ),
        ),
        ({"length_percentiles": {"0": 3.0, "50": 31.0}}, "31 characters instead of 30 at 50 % of the lengths"),
        ({"duplicates": 2}, "2 repeated texts instead of 1"),
        ({"label_mean": 3.5}, "the mean of the numbers is 3.5 instead of 2.5"),
        ({"label_mean": None}, "the mean of the numbers is none instead of 2.5"),
        ({"label_mean": 2.5 + 1e-12}, ""),
        ({"fingerprint": "b" * 64}, "as many rows, labels and lengths, but other texts or labels"),
    ],
)
def test_what_differs_is_said(change, words):
    assert describe_difference(SPLIT, replace(SPLIT, **change)) == words


def test_what_was_not_recorded_does_not_differ():
    assert describe_difference(replace(SPLIT, duplicates=None, length_percentiles={}, label_mean=None), SPLIT) == ""
