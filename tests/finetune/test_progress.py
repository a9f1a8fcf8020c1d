"""What is said of the data before a training."""

import io

import pytest
from quintet.finetune import finetune
from quintet.finetune.data.loading import load_data
from quintet.finetune.progress import announce
from quintet.pipelines.errors import DataError
from quintet.pipelines.tasks import find_task
from rich.console import Console


def question(number, start):
    answers = {"text": ["Rome"], "answer_start": [start]}
    return {"query": f"Where to? {number}", "context": f"Ada went to Rome on day {number}.", "answers": answers}


def test_columns_rows_notices_and_bad_rows_are_told():
    rows = [question(1, 12), question(2, 15), {**question(3, 12), "query": ""}]
    data = load_data(rows, task=find_task("qa"), validation_fraction=0, bad_rows="skip")
    said = io.StringIO()
    announce(data.report, Console(file=said))
    assert said.getvalue().splitlines() == [
        "data: question ← query, context ← context, answers ← answers; 2 rows of train",
        (
            "note: questions with an answer that does not stand at its answer_start: 1 of 2 in train; it is taken "
            "at the nearest place where it stands"
        ),
        "note: rows that cannot be used: 1; see rejected.jsonl",
    ]


@pytest.mark.parametrize("task", ["paraphrase", "sentence-pair"])
def test_a_task_of_pairs_wants_two_texts(tmp_path, task):
    rows = [{"review": f"text {number}", "stars": str(number % 2), "other": "x"} for number in range(8)]
    with pytest.raises(DataError, match=rf"{task} compares two texts, and .* has one, 'review' \(found: review, stars"):
        finetune(task, model="lstm", dataset=rows, output=tmp_path / "out", columns={"label": "stars"})
