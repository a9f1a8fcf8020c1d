"""Runs over texts, standard input and files; results in files; going on after a kill."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc

import pytest
from quintet.pipelines import DataError, InputError, UsageError, file_runs, pipeline, run, run_parts
from quintet.pipelines.records import read_records

TEXTS = ["good film", "bad plot", "a very dull film", "witty !"]


@pytest.fixture
def reviews(tmp_path):
    """A csv file with the columns review and stars, of 10 rows."""
    path = tmp_path / "reviews.csv"
    write_reviews(path, 10)
    return path


def write_reviews(path, count):
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["review", "stars"])
        rows.writerows([TEXTS[index % 4], index] for index in range(count))


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_texts_come_back_with_their_answers(bert):
    summary = run("sentiment", TEXTS, model=bert)
    assert [list(row) for row in summary.results] == [["text", "label", "score"]] * 4
    for row, answer in zip(summary.results, bert(TEXTS), strict=True):
        assert (row["label"], row["score"]) == (answer["label"], pytest.approx(answer["score"], abs=1e-6))
    assert (summary.total, summary.failed, summary.output) == (4, 0, None)


def test_one_text_and_any_iterable_are_taken(bert):
    assert run("sentiment", "good film", model=bert).results[0]["text"] == "good film"
    assert len(run("sentiment", (text for text in TEXTS), model=bert).results) == 4
    assert len(run("sentiment", [], model=bert).results) == 0


def test_an_existing_file_is_a_file_unless_text_is_asked_for(bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.txt").write_text("good film\nbad plot\n")
    assert run("sentiment", "film.txt", model=bert).total == 2
    assert run("sentiment", ["film.txt", "good"], model=bert).total == 3
    assert run("sentiment", "film.txt", model=bert, text=True).results[0]["text"] == "film.txt"


def test_standard_input_is_read_by_lines(bert, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"good film\nbad \xff plot\nwitty\n")))
    results = run("sentiment", "-", model=bert).results
    assert [row.get("label") is not None for row in results] == [True, False, True]
    assert "0xff, which is not UTF-8" in results[1]["error"]


def test_columns_are_found_or_given(bert, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"a": "good film", "sentence2": "bad plot"}\n')
    found = run("sentiment", path, model=bert, columns={"text": "a"}).results[0]
    assert found["score"] == pytest.approx(bert(["good film"])[0]["score"], abs=1e-6)
    both = run("sentiment", path, model=bert, columns={"text": "a", "text_pair": "sentence2"}).results[0]
    assert both["score"] == pytest.approx(bert({"text": "good film", "text_pair": "bad plot"})["score"], abs=1e-6)
    assert list(both) == ["a", "sentence2", "label", "score"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_results_are_written_by_the_ending(bert, reviews, ending):
    output = reviews.with_name(f"answers.{ending}")
    summary = run("sentiment", reviews, model=bert, output=output)
    assert (summary.total, summary.failed, summary.results, summary.output) == (10, 0, None, output)
    if ending == "parquet":
        from pyarrow import parquet

        rows = parquet.read_table(output).to_pylist()
    elif ending in ("csv", "tsv"):
        with output.open(newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="," if ending == "csv" else "\t"))
    else:
        text = output.read_text()
        rows = json.loads(text) if ending == "json" else [json.loads(line) for line in text.splitlines()]
    assert [row["stars"] for row in rows] == [str(index) for index in range(10)]
    expected = bert([TEXTS[index % 4] for index in range(10)])
    for row, answer in zip(rows, expected, strict=True):
        assert row["label"] == answer["label"]
        assert float(row["score"]) == pytest.approx(answer["score"], abs=1e-6)
    assert sorted(path.name for path in reviews.parent.iterdir()) == [output.name, "reviews.csv"]


def test_several_labels_are_a_column_of_their_own(bert, reviews):
    output = reviews.with_name("answers.jsonl")
    run("sentiment", reviews, model=pipeline("sentiment", bert.checkpoint.folder, top_k=None), output=output)
    row = json.loads(output.read_text().splitlines()[0])
    assert row["scores"][0]["label"] == row["label"]
    assert len(row["scores"]) == 2


def test_a_label_column_of_the_input_stays(bert, tmp_path):
    path = tmp_path / "labelled.csv"
    path.write_text("text,label\ngood film,mine\n")
    output = tmp_path / "answers.csv"
    run("sentiment", path, model=bert, output=output)
    (row,) = read_csv(output)
    assert row["label"] == "mine"
    assert row["predicted_label"] in ("negative", "positive")


def test_bad_rows_are_recorded_and_counted(bert, tmp_path):
    path = tmp_path / "broken.csv"
    path.write_bytes(b"review,stars\ngood film,1\nragged\n,3\nbad \xff,4\nwitty,5\n")
    output = tmp_path / "answers.csv"
    summary = run("sentiment", path, model=bert, output=output)
    rows = read_csv(output)
    assert (summary.total, summary.failed) == (5, 3)
    assert [bool(row["error"]) for row in rows] == [False, True, True, True, False]
    assert [bool(row["label"]) for row in rows] == [True, False, False, False, True]
    assert rows[2]["error"] == "column 'review' is empty, expected a text."
    assert rows[2]["stars"] == "3"


def test_raise_names_file_and_row(bert, tmp_path):
    path = tmp_path / "broken.csv"
    path.write_text("review,stars\ngood film,1\nbad,2\n,3\n")
    with pytest.raises(InputError, match=r"input 2 \(broken.csv, row 3\): column 'review' is empty"):
        run("sentiment", path, model=bert, on_error="raise")


def test_progress_tells_how_many_of_how_many(bert, reviews):
    calls = []
    run("sentiment", reviews, model=bert, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (10, 10)
    assert {total for _, total in calls} == {10}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            {"output": "answers.docx"},
            UsageError,
            "--output answers.docx has no ending that can be written; expected csv",
        ),
        ({"output": "nowhere/answers.csv"}, DataError, "the folder 'nowhere' for --output answers.csv does not exist"),
        (
            {"columns": {"text": "revew"}},
            DataError,
            "no column 'revew'; found: review, stars. Use --columns text=review",
        ),
        (
            {"columns": {"txet": "review"}},
            UsageError,
            "unknown column of text-classification 'txet'; did you mean text",
        ),
        ({"inputs": "revews.csv"}, DataError, "there is no file or folder 'revews.csv'; did you mean reviews.csv"),
        ({"task": "sentimant"}, UsageError, "unknown task 'sentimant'; did you mean sentiment"),
        ({"batch_size": 4}, UsageError, "a pipeline was given as model; set batch_size when making it"),
    ],
)
def test_wrong_arguments_are_named(bert, reviews, monkeypatch, arguments, error, words):
    monkeypatch.chdir(reviews.parent)
    with pytest.raises(error, match=words):
        run(**({"task": "sentiment", "inputs": reviews, "model": bert} | arguments))


def test_a_file_without_a_text_column_says_what_it_has(bert, tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{index}" for index in range(100)) + "\n" + ",".join("x" * 100) + "\n")
    with pytest.raises(
        DataError, match=r"wide.csv: no column 'text'; found: c0, c1, .* \(100 columns\). Use --columns text="
    ):
        run("sentiment", path, model=bert)


def test_an_empty_file_is_an_error(bert, tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.csv is empty; expected rows"):
        run("sentiment", tmp_path / "empty.csv", model=bert)


def test_a_folder_that_cannot_be_written_is_an_error(bert, reviews, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_parts.Path, "mkdir", refuse)
    words = (
        r"the folder of the output 'answers.csv' cannot be written to \(Permission denied\); choose another --output"
    )
    with pytest.raises(DataError, match=words):
        run("sentiment", reviews, model=bert, output=tmp_path / "answers.csv")


def test_memory_does_not_grow_with_rows(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(file_runs, "PART_ROWS", 100)
    answer = bert(["good film"])[0]
    monkeypatch.setattr(type(bert), "__call__", lambda self, items, **options: (dict(answer) for _ in items))
    peaks = []
    for count in (500, 500, 5000):  # the first warms up what is made once
        write_reviews(tmp_path / "many.csv", count)
        tracemalloc.start()
        run("sentiment", tmp_path / "many.csv", model=bert, output=tmp_path / "out.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] * 1.5


SCRIPT = """
import sys, time
from pathlib import Path
from quintet.pipelines import TextClassificationPipeline, file_runs

folder, delay = Path(sys.argv[1]), float(sys.argv[2])
samples = TextClassificationPipeline.samples

def slow_samples(self, items, settings):
    with (folder / "computed.log").open("a") as log:
        log.write("x" * len(items))
    time.sleep(delay * len(items))
    return samples(self, items, settings)

TextClassificationPipeline.samples = slow_samples
file_runs.PART_ROWS = 50
summary = file_runs.run("sentiment", folder / "many.csv", model=sys.argv[3], output=folder / sys.argv[4], device="cpu")
print(summary.resumed, summary.total)
"""


def start(tmp_path, bert_folder, output, delay):
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path), str(delay), str(bert_folder), output]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, bert_folder):
    write_reviews(tmp_path / "many.csv", 1000)
    assert start(tmp_path, bert_folder, "whole.csv", 0).communicate()[0].split() == ["0", "1000"]
    killed = start(tmp_path, bert_folder, "resumed.csv", 0.005)
    parts = tmp_path / ".resumed.csv.parts"
    deadline = time.monotonic() + 60
    while len(list(parts.glob("*/*.jsonl"))) < 3:
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    finished = len(list(parts.glob("*/*.jsonl"))) * 50
    assert 150 <= finished < 1000
    assert not (tmp_path / "resumed.csv").exists()

    (tmp_path / "computed.log").unlink()
    assert start(tmp_path, bert_folder, "resumed.csv", 0).communicate()[0].split() == [str(finished), "1000"]
    assert len((tmp_path / "computed.log").read_text()) == 1000 - finished
    assert not parts.exists()
    whole, resumed = read_csv(tmp_path / "whole.csv"), read_csv(tmp_path / "resumed.csv")
    assert len(whole) == len(resumed) == 1000
    for one, other in zip(whole, resumed, strict=True):
        assert (one["review"], one["stars"], one["label"]) == (other["review"], other["stars"], other["label"])
        assert float(one["score"]) == pytest.approx(float(other["score"]), abs=1e-6)


def test_parts_of_another_input_or_other_options_are_not_used(bert, reviews, monkeypatch):
    output = reviews.with_name("answers.csv")
    monkeypatch.setattr(file_runs, "PART_ROWS", 2)
    monkeypatch.setattr(file_runs, "_write", lambda *_: (_ for _ in ()).throw(OSError("killed before the end")))
    with pytest.raises(OSError, match="killed"):
        run("sentiment", reviews, model=bert, output=output)
    monkeypatch.undo()
    neutral = pipeline("sentiment", bert.checkpoint.folder, neutral=0.99)
    assert run("sentiment", reviews, model=neutral, output=output).resumed == 0
    assert {row["label"] for row in read_csv(output)} == {"neutral"}


def test_a_file_that_changes_during_the_run_is_an_error(bert, reviews, monkeypatch):
    monkeypatch.setattr(run_parts.RunParts, "remove", lambda self: None)
    add = run_parts.RunParts.add

    def add_and_change(self, answers):
        add(self, answers)
        reviews.write_text("review,stars\nwitty,1\n")

    monkeypatch.setattr(run_parts.RunParts, "add", add_and_change)
    with pytest.raises(DataError, match=r"reviews\.csv was changed while it was read; run it again"):
        run("sentiment", reviews, model=bert, output=reviews.with_name("answers.csv"))


def test_an_input_is_never_the_output(bert, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\na good film\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"--output texts\.csv is also an input, which would be lost"):
        run("sentiment", path, model=bert, output=path)
    assert path.read_text(encoding="utf-8") == "text\na good film\n"


def test_results_of_results_keep_every_column(bert, tmp_path):
    path = tmp_path / "once.jsonl"
    path.write_text('{"text": "a good film", "label": "x", "predicted_label": "y"}\n', encoding="utf-8")
    (row,) = run("sentiment", path, model=bert).results
    assert (row["label"], row["predicted_label"]) == ("x", "y")
    assert row["predicted_predicted_label"] in ("negative", "positive")


@pytest.fixture
def two_files(tmp_path):
    """Two files with different columns, of which only the second has a column `label`."""
    (tmp_path / "one.csv").write_text("text,stars\na good film,5\na bad film,1\n", encoding="utf-8")
    (tmp_path / "two.csv").write_text("text,label\na witty film,mine\n", encoding="utf-8")
    return [str(tmp_path / "one.csv"), str(tmp_path / "two.csv")]


@pytest.mark.parametrize("ending", [None, "csv", "jsonl", "json", "parquet"])
def test_an_answer_has_one_name_in_all_rows_of_several_files(bert, two_files, tmp_path, ending):
    output = None if ending is None else tmp_path / f"answers.{ending}"
    summary = run("sentiment", two_files, model=bert, output=output)
    rows = summary.results
    if output is not None:
        rows = [record.values for record in read_records(output)]
    if ending in ("csv", "parquet"):
        assert [list(row) for row in rows] == [["text", "stars", "label", "predicted_label", "score", "error"]] * 3
    assert [row["predicted_label"] in ("negative", "positive") for row in rows] == [True] * 3
    assert [row.get("label") or None for row in rows] == [None, None, "mine"]
    assert (summary.columns["label"], summary.columns["score"]) == ("predicted_label", "score")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_column_of_the_last_row_alone_counts_too(bert, tmp_path, monkeypatch, ending):
    monkeypatch.setattr(file_runs, "PART_ROWS", 2)
    rows = [{"text": "a good film"}] * 6 + [{"text": "a bad film", "label": "mine"}]
    (tmp_path / "late.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    run("sentiment", tmp_path / "late.jsonl", model=bert, output=tmp_path / f"answers.{ending}")
    written = [record.values for record in read_records(tmp_path / f"answers.{ending}")]
    assert [row["predicted_label"] in ("negative", "positive") for row in written] == [True] * 7
    assert [row.get("label") or None for row in written] == [None] * 6 + ["mine"]


def test_a_stream_whose_columns_change_late_loses_no_value(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(file_runs, "PART_ROWS", 2)
    rows = [{"text": "a good film"}] * 3 + [{"text": "a bad film", "error": "mine"}]
    run("sentiment", iter(rows), model=bert, output=tmp_path / "answers.jsonl")
    *first, last = [record.values for record in read_records(tmp_path / "answers.jsonl")]
    assert [list(row) for row in first] == [["text", "label", "score"]] * 3
    assert last["error"] == "mine"
    assert "got one with 'text', 'error'" in last["predicted_error"]


def test_files_and_texts_mixed_have_one_name_too(bert, two_files, tmp_path):
    run("sentiment", ["a dull film", *two_files], model=bert, output=tmp_path / "answers.csv")
    rows = read_csv(tmp_path / "answers.csv")
    assert [row["label"] for row in rows] == ["", "", "", "mine"]
    assert all(row["predicted_label"] for row in rows)


@pytest.mark.parametrize("ending", [None, "jsonl"])
def test_a_row_that_failed_says_where_it_stands(bert, tmp_path, ending):
    (tmp_path / "one.csv").write_text("text,stars\na good film,5\n", encoding="utf-8")
    (tmp_path / "two.csv").write_text("text,stars\na bad film,1\n,4\nragged\n", encoding="utf-8")
    output = None if ending is None else tmp_path / "answers.jsonl"
    rows = run("sentiment", [str(tmp_path / "one.csv"), str(tmp_path / "two.csv")], model=bert, output=output).results
    if output is not None:
        rows = [record.values for record in read_records(output)]
    assert [list(row) for row in rows[:2]] == [["text", "stars", "label", "score"]] * 2
    error = "column 'text' is empty, expected a text."
    assert rows[2] == {"text": "", "stars": "4", "error": error, "file": "two.csv", "row": 2}
    assert (rows[3]["file"], rows[3]["row"]) == ("two.csv", 3)


def test_a_text_that_failed_has_no_place(bert):
    results = run("sentiment", ["good", {"text": None}], model=bert).results
    assert list(results[1]) == ["text", "error"]


def test_what_is_done_before_and_after_the_rows_is_announced(bert, two_files, tmp_path):
    calls = []
    run(
        "sentiment",
        two_files,
        model=bert,
        output=tmp_path / "answers.csv",
        progress=lambda done, total: calls.append((done, total)),
        announce=calls.append,
    )
    assert calls[:2] == ["reading one.csv", "reading two.csv"]
    assert (3, 3) in calls[2:]
    assert "writing answers.csv" in calls[3:]


def test_an_unknown_argument_lists_those_of_run_and_pipeline(bert):
    with pytest.raises(UsageError, match=r"unknown option 'foo'; known: announce, batch_size, columns, .*, top_k, "):
        run("sentiment", ["good"], model=bert, foo=1)
