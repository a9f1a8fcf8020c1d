"""The command line: exit codes, one sentence for an error, one JSON document for a program."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from quintet.cards.facts import DataFacts, RunFacts
from quintet.cli import _cell, _example_inputs, main

REVIEWS = "review,stars\n" + "".join(
    f"The {thing} was {word} on visit {visit}.,{stars}\n"
    for visit in range(10)
    for thing in ("soup", "film")
    for word, stars in (("great", "positive"), ("awful", "negative"))
)


def quintet(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command, run in this process."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with reviews.csv and a checkpoint `out` trained from it by the command."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "reviews.csv").write_text(REVIEWS, encoding="utf-8")
    command = [
        *(
            "finetune",
            "sentiment",
            "--model",
            "gru",
            "--dataset",
            "reviews.csv",
            "--columns",
            "text=review,label=stars",
        ),
        *(
            "--output",
            "out",
            "--epochs",
            "20",
            "--batch-size",
            "8",
            "--learning-rate",
            "0.01",
            "--no-calibrate",
            "--json",
        ),
        *("--model-args", "embedding_size=16,hidden_size=16", "--validation-fraction", "0.2"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "quintet", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_tasks_as_json_are_rows_with_the_documented_keys(capsys):
    code, out, err = quintet(capsys, "tasks", "--json")
    rows = json.loads(out)
    assert code == 0
    assert err == ""
    assert set(rows[0]) == {"name", "aliases", "summary", "families", "default"}
    assert "sentiment" in rows[0]["aliases"]
    assert "lstm" in rows[0]["families"]


def test_models_as_a_table_name_every_family(capsys):
    code, out, _ = quintet(capsys, "models")
    assert code == 0
    for family in ("rnn", "lstm", "gru", "textcnn", "transformer", "bert-tiny", "bert-mini", "bert-small"):
        assert family in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "sentimnt", "fine"], r"error: unknown task 'sentimnt'; did you mean sentiment"),
        (["run", "sentiment", "fine", "--columns", "text"], r"error: --columns 'text' must be name=value pairs"),
        (
            ["finetune", "sentiment", "--model", "lstm"],
            r"error: finetune needs --dataset, --output; give the flag, or --config",
        ),
        (["finetune", "--model", "lstm"], r"error: finetune needs a task (sentiment), --dataset, --output"),
        (["finetune", "sentiment", "--epoch", "3"], r"No such option: --epoch"),
        (["fintune"], r"No such command 'fintune'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(capsys, arguments, sentence):
    code, out, err = quintet(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "sentimnt", "fine"], "unknown task 'sentimnt'; did you mean sentiment"),
        (["run", "sentiment", "fine", "--top-k", "0"], "top_k is 0; expected a whole number from 1"),
        (["finetune", "sentiment", "--model", "lstm"], "finetune needs --dataset, --output; give the flag"),
        (["evaluate", "--nonsense"], "No such option: --nonsense"),
        (["run"], "Missing argument 'task'"),
        (["fintune"], "No such command 'fintune'"),
    ],
)
def test_an_error_is_one_json_document_too(capsys, arguments, sentence):
    code, out, err = quintet(capsys, *arguments, "--json")
    document = json.loads(out)
    assert code == 2
    assert set(document) == {"error", "exit"}
    assert document["error"].startswith(sentence)
    assert document["exit"] == 2
    assert sentence in err


def test_a_failure_is_a_json_document_with_its_exit_code(capsys, tmp_path):
    code, out, _ = quintet(capsys, "run", "sentiment", str(tmp_path / "none.csv"), "--json")
    document = json.loads(out)
    assert (code, document["exit"]) == (1, 1)
    assert document["error"].startswith("there is no file or folder")


def test_a_text_that_looks_like_the_flag_asks_for_no_json(capsys):
    code, out, err = quintet(capsys, "run", "--nonsense", "sentiment", "--", "--json")
    assert (code, out) == (2, "")
    assert "No such option: --nonsense" in err


def test_contradictory_numbers_of_labels_are_refused(capsys):
    code, _, err = quintet(capsys, "run", "sentiment", "fine", "--top-k", "1", "--all-labels")
    assert code == 2
    assert "--top-k 1 and --all-labels were given, which exclude each other; leave one of them out." in err


def test_help_beside_json_is_no_error(capsys):
    code, out, _ = quintet(capsys, "run", "--json", "--help")
    assert code == 0
    assert "Usage" in out


def test_of_several_processes_one_says_that_a_flag_is_wrong(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert quintet(capsys, "run", "sentimnt", "good")[::2] == (2, "")
    monkeypatch.setenv("RANK", "0")
    assert "error: " in quintet(capsys, "run", "sentimnt", "good")[2]


def test_debug_shows_the_traceback(capsys):
    code, _, err = quintet(capsys, "run", "sentimnt", "fine", "--debug")
    assert code == 2
    assert "Traceback" in err


def test_help_comes_at_once():
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "quintet", "--help"], capture_output=True, text=True, check=True)
    assert "finetune" in done.stdout
    # not a measurement (benchmarks/cold_start.py is): importing torch alone takes more than a second
    assert time.perf_counter() - start < 10


def test_finetune_prints_the_facts_and_writes_the_checkpoint(trained):
    folder, facts = trained
    assert facts["family"] == "gru"
    assert facts["evaluations"][0]["split"] == "validation"
    for name in (
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "run.json",
        "log.jsonl",
        "settings.toml",
        "curves.png",
    ):
        assert (folder / "out" / name).is_file(), name


def test_module_and_console_script_are_the_same_command(trained):
    folder, _ = trained
    command = [sys.executable, "-m", "quintet.finetune", "sentiment", "--model", "gru", "--dataset", "reviews.csv"]
    done = subprocess.run([*command, "--output", "out"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--resume" in done.stderr
    assert "--overwrite" in done.stderr


def test_run_with_a_trained_checkpoint_prints_the_results_in_order(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained[0])
    code, out, _ = quintet(
        capsys, "run", "sentiment", "The soup was great.", "The film was awful.", "--model", "out", "--json"
    )
    assert code == 0
    results = json.loads(out)
    assert [result["label"] for result in results] == ["positive", "negative"]


def test_a_row_that_fails_is_recorded_and_the_exit_code_is_1(trained, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(trained[0])
    rows = [{"text": "The soup was great."}, {"text": None}, {"text": "The film was awful."}]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    code, out, _ = quintet(capsys, "run", "sentiment", str(tmp_path / "rows.jsonl"), "--model", "out", "--json")
    results = json.loads(out)
    assert code == 1
    assert len(results) == 3
    assert results[1] == {
        "text": None,
        "error": "column 'text' is empty, expected a text.",
        "file": "rows.jsonl",
        "row": 2,
    }
    assert results[2]["label"] == "negative"


def test_results_of_a_table_are_numbers_and_only_failed_rows_have_an_error(trained, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(trained[0])
    (tmp_path / "rows.csv").write_text("text,score\nThe soup was great.,n/a\n,2\n", encoding="utf-8")
    output = ["--output", str(tmp_path / "answers.csv"), "--top-k", "2"]
    code, out, _ = quintet(capsys, "run", "sentiment", str(tmp_path / "rows.csv"), "--model", "out", *output, "--json")
    good, bad = json.loads(out)
    assert code == 1
    assert (good["score"], bad["score"]) == ("n/a", "2")
    assert 0 < good["predicted_score"] <= 1
    assert [answer["label"] for answer in good["scores"]] == ["positive", "negative"]
    assert "error" not in good
    assert set(bad) == {"text", "score", "error"}


def test_a_terminal_is_told_which_file_is_read(trained, capsys, monkeypatch):
    from quintet import cli
    from rich.console import Console

    terminal = io.StringIO()
    show = cli._console
    monkeypatch.setattr(
        cli,
        "_console",
        lambda *, stderr=False: Console(file=terminal, force_terminal=True, width=120) if stderr else show(),
    )
    monkeypatch.chdir(trained[0])
    code, _, _ = quintet(capsys, "run", "sentiment", "reviews.csv", "--columns", "text=review", "--model", "out")
    assert code == 0
    assert "reading reviews.csv" in terminal.getvalue()
    assert "40/40" in terminal.getvalue()


WRITE = ("run", "text-generation", "ROMEO:", "--model", "lstm-shakespeare", "--options", "max_new_tokens=30,seed=7")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_text_is_shown_while_it_is_written(capsys, monkeypatch, is_terminal):
    _, document, _ = quintet(capsys, *WRITE, "--json")
    whole = json.loads(document)[0]["generated_text"]
    pieces = []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys.stdout, "write", lambda piece: pieces.append(piece))
    with pytest.raises(SystemExit) as end:
        main((*WRITE, *(() if is_terminal else ("--stream",))))
    assert not end.value.code
    assert pieces[0] == "ROMEO:" and len(pieces) > 20
    assert "".join(pieces) == whole + "\n"


@pytest.mark.parametrize("more", [("JULIET:",), ("--output", "out.jsonl"), ("--json",)])
def test_what_is_no_single_text_for_people_is_not_streamed(capsys, monkeypatch, tmp_path, more):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = quintet(capsys, *WRITE, *more)
    assert code == 0 and not out.startswith("ROMEO:")
    code, _, error = quintet(capsys, *WRITE, *more, "--stream")
    assert code == 2 and "--stream shows the text of one prompt while it is written; leave it out, or give" in error


def test_beams_are_shown_whole_unless_streaming_is_asked_for(capsys, monkeypatch):
    several = (*WRITE[:-1], "max_new_tokens=5,num_return_sequences=2,seed=7")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = quintet(capsys, *several)
    assert code == 0 and out.startswith("ROMEO:")
    code, _, error = quintet(capsys, *several, "--stream")
    assert code == 2 and "stream() writes one text as it comes" in error


def test_streaming_means_nothing_to_other_tasks(capsys):
    code, _, error = quintet(capsys, "run", "sentiment", "good", "--stream")
    assert (
        code == 2 and "--stream means nothing to text-classification; leave it out. It is for text-generation" in error
    )


def test_evaluate_prints_metrics_with_intervals(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained[0])
    arguments = ["--dataset", "reviews.csv", "--columns", "text=review,label=stars", "--allow-training-rows", "--json"]
    code, out, errors = quintet(capsys, "evaluate", "out", *arguments, "--split", "train[:20]")
    facts = json.loads(out)
    assert code == 0
    assert re.search(r"^warning: 16 of the 20 rows have texts that the checkpoint was trained on", errors, re.MULTILINE)
    assert facts["count"] == 20
    accuracy = next(metric for metric in facts["metrics"] if metric["name"] == "accuracy")
    assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 1


def test_data_shows_what_training_would_see(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained[0])
    code, out, _ = quintet(
        capsys, "data", "reviews.csv", "--task", "sentiment", "--columns", "text=review,label=stars", "--json"
    )
    report = json.loads(out)
    assert code == 0
    assert report["columns"] == {"text": "review", "label": "stars"}
    assert sum(split["rows"] for split in report["splits"]) == 40


def test_near_miss_of_a_column_says_the_flag_to_use(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained[0])
    code, _, err = quintet(capsys, "data", "reviews.csv", "--columns", "text=review,label=star")
    assert code in (1, 2)
    assert "no column 'star'" in err
    assert "found: review, stars" in err


def test_settings_file_with_a_flag_on_top(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained[0])
    text = 'model = "gru"\ndataset = "reviews.csv"\noutput = "other"\nepochs = 3\n'
    text += '[columns]\ntext = "review"\nlabel = "stars"\n'
    (trained[0] / "settings.toml").write_text(text, encoding="utf-8")
    code, out, err = quintet(
        capsys, "finetune", "sentiment", "--config", "settings.toml", "--epochs", "2", "--dry-run", "--json"
    )
    assert code == 0, err
    plan = json.loads(out)
    assert plan["settings"]["epochs"] == 2
    assert not (trained[0] / "other").exists()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([0.5, 0.25], "[0.5, 0.25]"),
        ([0.1] * 384, "[0.1000, 0.1000, 0.1000, 0.1000, …] (384 numbers)"),
        ([[0.1] * 384] * 5, "[0.1000, 0.1000, 0.1000, 0.1000, …] (5 × 384 numbers)"),
        ([{"corpus_id": 3, "score": 0.5, "text": "a\n film"}], "0.5000 a film"),
        ([{"label": "a", "score": 0.5}], "[{'label': 'a', 'score': 0.5}]"),
        (None, ""),
    ],
)
def test_a_terminal_shows_vectors_by_their_first_numbers_and_size(value, shown):
    assert _cell(value) == shown


WAITING = """
from quintet import cli
from quintet.cards.snippet_runs import run_snippets

@cli.command
def wait() -> cli.Answer:
    code = "import os, time; open({mark!r}, 'w').write(str(os.getpid())); time.sleep(99)"
    run_snippets([("quintet", code)], "x")

cli.main(["wait"])
"""


def test_a_command_that_is_ended_takes_its_folders_and_programs_with_it(tmp_path):
    temporary, mark = tmp_path / "temporary", tmp_path / "mark"
    temporary.mkdir()
    waiting = subprocess.Popen(
        [sys.executable, "-c", WAITING.format(mark=str(mark))], env={**os.environ, "TMPDIR": str(temporary)}
    )
    deadline = time.monotonic() + 120
    while not (mark.exists() and mark.read_text()):
        assert waiting.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    assert list(temporary.iterdir())
    waiting.terminate()
    assert waiting.wait(60) == 128 + signal.SIGTERM
    assert not list(temporary.iterdir())
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


@pytest.mark.parametrize(
    ("task", "columns", "inputs"),
    [
        ("text-classification", ("text", "label"), '"…"'),
        ("text-classification", ("text", "text_pair", "label"), "rows-with-text-and-text_pair.jsonl"),
        ("question-answering", ("question", "context", "answers"), "rows-with-question-and-context.jsonl"),
        ("sentence-similarity", ("text", "text_pair", "score"), '"…"'),
        ("token-classification", ("tokens", "tags"), '"…"'),
    ],
)
def test_what_to_type_next_is_something_that_the_checkpoint_takes(task, columns, inputs):
    data = DataFacts(name="rows", kind="memory", columns={name: name for name in columns})
    assert _example_inputs(RunFacts(task=task, checkpoint_name="x", data=data)) == inputs
