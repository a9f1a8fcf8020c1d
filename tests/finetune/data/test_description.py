"""What `quintet data` prints."""

import io
import json
import re

import pytest
from quintet.finetune.data import describe_data, load_data, print_report
from quintet.pipelines.errors import DataError
from quintet.pipelines.tasks import find_task
from rich.console import Console

from .conftest import reviews


def printed(report):
    console = Console(file=io.StringIO(), width=160)
    print_report(report, console)
    return console.file.getvalue()


@pytest.fixture
def report(write_csv):
    path = write_csv(rows=[*reviews(60), reviews(1)[0], ("", "positive"), ("bad", "row", "here")])
    return describe_data(path, task=find_task("sentiment"), columns={"label": "stars"})


def test_report_shows_everything_that_training_would_see(report):
    text = printed(report)
    for words in (
        "reviews.csv (local), single label classification",
        "columns: text ← review, label ← stars   (found: review, stars)",
        "10 % of train, stratified by label, equal texts together (seed 0)",
        "negative", "positive", "characters: shortest",
        "2 bad rows; training stops at the first one unless --bad-rows skip is given:",
        "reviews.csv, row 62: column 'review' is missing or empty",
        "reviews.csv, row 63: it has 3 fields where the header names 2",
    ):  # fmt: skip
        assert words in text
    assert len(report.samples) == 5
    assert all(sample["text"] in text for sample in report.samples)


def test_counts_in_the_report_are_true(report):
    assert sum(split.rows for split in report.splits) == 61
    assert sum(split.duplicates for split in report.splits) == 1
    assert sum(split.label_histogram["positive"] for split in report.splits) == 31


def test_report_is_json_without_paths(report, tmp_path):
    text = json.dumps(report.to_json())
    assert json.loads(text)["splits"][0]["name"] == "train"
    assert str(tmp_path) not in text


def test_leakage_notices_and_markup_are_printed_as_they_are():
    rows = [{"text": f"[bold]text {i}[/bold]", "label": "[red]" if i % 2 else "b"} for i in range(20)]
    splits = {"train": [*rows, {"text": "alone", "label": "c"}], "test": rows[:4]}
    text = printed(describe_data(splits, task=find_task("sentiment"), validation_fraction=0))
    assert "leakage: 4 texts are in both train and test" in text
    assert "note: the label 'c' has one row" in text
    assert "[red]" in text and "[bold]text" in text


def test_regression_and_many_labels_fit(load):
    task = find_task("sentiment")
    numbers = describe_data([{"text": f"t {i}", "label": i / 4} for i in range(20)], task=task)
    assert "regression" in printed(numbers)
    many = describe_data([{"text": f"t {i}", "label": f"class {i % 30}"} for i in range(90)], task=task)
    assert "… 10 more" in printed(many)


def test_strict_reading_can_be_asked_for(write_csv):
    with pytest.raises(DataError, match="row 1: column 'review' is missing"):
        describe_data(
            write_csv(rows=[("", "a")]), task=find_task("sentiment"), columns={"label": "stars"}, bad_rows="raise"
        )


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (reviews(20)[::2], "column 'stars' holds one class only ('positive' in all 10 rows of train)"),
        (reviews(2), "validation cannot be carved from train: no class has two different texts in its 2 rows"),
        ([*reviews(9)[::2], reviews(2)[1]], None),
    ],
)
def test_what_training_would_refuse_is_reported_and_no_error(write_csv, lines, problem):
    path = write_csv(rows=lines)
    report = describe_data(path, task=find_task("sentiment"), columns={"label": "stars"})
    assert len(report.problems) == (problem is not None)
    assert sum(split.rows for split in report.splits) == len(lines)
    text = printed(report)
    if problem is None:
        assert "training would refuse" not in text and "has one row in train" in text
    else:
        assert f"training would refuse: {problem}" in " ".join(text.split())
        assert report.to_json()["problems"][0].startswith(problem)
        with pytest.raises(DataError, match=re.escape(problem)):
            load_data(path, task=find_task("sentiment"), columns={"label": "stars"})


def test_data_that_cannot_be_read_is_an_error_of_the_report_too(write_csv):
    with pytest.raises(DataError, match="no column 'label'"):
        describe_data(write_csv(), task=find_task("sentiment"))
