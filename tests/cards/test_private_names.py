"""Local paths, users, hosts and tokens: found where they are, in checkpoints and rows of data, and no mere words."""

import json
import os
from pathlib import Path

import pytest
from quintet.cards.content import collect
from quintet.cards.private_names import private_names
from quintet.cards.private_rows import private_rows

TOKEN = "hf_" + "AbCd" * 9


def problems_of(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return private_names(collect(tmp_path))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("run.json", '{"command": "train /home/ann/data/reviews.csv"}', "run.json, command: it has a local path"),
        ("run.json", '{"a": [{"b": "hf_abcdefghijklmnopqrstuvwxyz123456"}]}', "run.json, a.b: it has a token"),
        ("settings.toml", 'output = "/home/ann/out"\n', "settings.toml, output: it has a local path"),
        ("settings.toml", "epochs = 1  # as in /home/ann/notes\n", "settings.toml, line 1: it has a local path"),
        ("log.jsonl", '{"a": 1}\n{"b": "/home/ann/x"}\n', "log.jsonl, line 2, b: it has a local path"),
        ("model.py", "#!/usr/bin/env python\npath = '/home/ann/data'\n", "model.py, line 2: it has a local path"),
        ("tokenizer_config.json", '{"name_or_path": "/home/ann/bert"}', "tokenizer_config.json, name_or_path"),
    ],
)
def test_private_names_are_found_with_their_place(tmp_path, name, text, found):
    problems = problems_of(tmp_path, name, text)
    assert len(problems) == 1 and problems[0].startswith(found)


def test_user_and_host_are_found_but_not_in_words_of_data(tmp_path, monkeypatch):
    from quintet.finetune import scrubbing

    monkeypatch.setenv("USER", "marguerite")
    monkeypatch.setattr(scrubbing, "_private_names", scrubbing._private_names.__wrapped__)
    assert problems_of(tmp_path, "a.json", '{"by": "marguerite"}') == [
        "a.json, by: it has the name of a user; take it out."
    ]
    (tmp_path / "a.json").unlink()
    assert problems_of(tmp_path, "run.json", '{"text": "marguerite is a pizza"}') == []
    (tmp_path / "run.json").unlink()
    assert problems_of(tmp_path, "tokenizer.json", '{"vocab": {"marguerite": 1}}') == []
    assert problems_of(tmp_path, "README.md", 'pipeline("marguerite/reviews")\n') == []


def test_pictures_and_weights_keep_notes_too(tmp_path):
    import torch
    from safetensors.torch import save_file

    home = os.path.expanduser("~")
    (tmp_path / "curves.png").write_bytes(b"\x89PNG....tEXtSource\x00" + f"{home}x/plot/run.py".encode())
    (tmp_path / "confusion.png").write_bytes(b"\x89PNG....tEXtKey\x00hf_" + b"a1" * 17)
    save_file({"a": torch.zeros(2)}, tmp_path / "model.safetensors", metadata={"from": "/home/ann/run/weights"})
    problems = private_names(collect(tmp_path))
    assert problems == [
        "confusion.png: it has a token; take it out.",
        "model.safetensors, from: it has a local path; take it out.",
    ]


def test_no_place_is_named_more_than_three_times(tmp_path):
    text = "\n".join(f"/home/ann/data/{number}" for number in range(9))
    problems = problems_of(tmp_path, "notes.md", text)
    assert len(problems) == 4 and problems[-1] == "notes.md: 6 more places of this kind."


def test_a_checkpoint_of_the_loop_gives_nothing_away(carded):
    content = collect(carded)
    assert content.problems == () and private_names(content) == []
    assert len(content.files) >= 15


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("notes.json", {"text": "/home/ann/data"}, ", text: it has a local path"),
        ("notes.json", {"content": f"log in with {TOKEN}"}, ", content: it has a token"),
        ("run.json", {"text": TOKEN}, ", text: it has a token"),
        ("run.json", {"text": "see /home/ann/data/a.txt"}, ", text: it has a path into somebody's home"),
        ("tokenizer.json", {"model": {"vocab": {TOKEN: 1}}}, ", model.vocab, in a key: it has a token"),
        ("tokenizer.json", {"added_tokens": [{"content": TOKEN}]}, ", added_tokens.…: it has a token"),
        ("config.json", {"/home/ann/labels.txt": 1}, ", in a key: it has a local path"),
        ("config.json", {"a": {TOKEN: "x"}}, ", a, in a key: it has a token"),
        ("vocab.txt", f"the\n{TOKEN}\n", ", line 2: it has a token"),
        ("merges.txt", f"a b\n{TOKEN[:20]} {TOKEN}\n", ", line 2: it has a token"),
        ("vocab.json", {TOKEN: 1}, ", in a key: it has a token"),
        ("modeling.py", "#!/home/ann/venv/bin/python\n", ", line 1: it has a local path"),
        ("modeling.py", "#!/usr/bin/env -S /home/ann/venv/bin/python\n", ", line 1: it has a local path"),
        ("twice.json", f'{{"a": "{TOKEN}", "a": "b"}}', ": it has a token"),
    ],
)
def test_no_key_name_or_first_line_hides_what_is_private(tmp_path, name, text, found):
    problems = problems_of(tmp_path, name, text if isinstance(text, str) else json.dumps(text))
    assert problems == [f"{name}{found}; take it out."]


def test_words_that_only_look_alike_are_let_pass(tmp_path, monkeypatch):
    from quintet.finetune import scrubbing

    monkeypatch.setenv("USER", "marguerite")
    monkeypatch.setattr(scrubbing, "_private_names", scrubbing._private_names.__wrapped__)
    vocabulary = {"/tmp": 1, "marguerite": 2, "/usr/bin": 3, "hf_hub_download_of_something": 4, "~/": 5}
    for name, content in (
        ("tokenizer.json", {"model": {"vocab": vocabulary, "merges": [["/home", "/"]]}}),
        ("vocab.json", vocabulary),
        ("vocab.txt", "/tmp\nmarguerite\n/a/b/c\n"),
        ("run.json", {"mistakes": [{"text": "marguerite reads /r/movies"}], "inputs": {"text": "marguerite"}}),
        ("evaluation/mistakes.json", {"text": "marguerite reads /r/movies"}),
        ("modeling.py", "#!/usr/bin/env python3\n#!/bin/sh\n"),
    ):
        assert problems_of(tmp_path, name, content if isinstance(content, str) else json.dumps(content)) == []


# ------------------------------------------------------------------------------------------------ rows of data


def rows_of(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return private_rows(name, path)


def test_a_token_in_any_cell_is_found_with_its_line(tmp_path):
    text = f"text,label,note\ngood,1,\nbad,0,{TOKEN}\n"
    assert rows_of(tmp_path, "train.csv", text) == (["train.csv, line 3: it has a token; take it out."], [])
    assert rows_of(tmp_path, "a.jsonl", json.dumps({"t": [{"x": TOKEN}]}))[0] == [
        "a.jsonl, line 1: it has a token; take it out."
    ]


def test_a_token_in_zipped_and_packed_rows_is_found(tmp_path):
    import gzip

    import pyarrow
    import pyarrow.parquet

    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(f"text\n{TOKEN}\n".encode()))
    assert private_rows("train.csv.gz", tmp_path / "train.csv.gz")[0] == [
        "train.csv.gz, line 2: it has a token; take it out."
    ]
    table = pyarrow.table({"text": ["a", "b"], "by": [{"who": ["x"]}, {"who": [TOKEN]}]})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    assert private_rows("train.parquet", tmp_path / "train.parquet")[0] == [
        "train.parquet, row 2, column 'by': it has a token; take it out."
    ]


def test_the_value_of_a_secret_variable_is_found_in_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("OUR_API_KEY", "9f31ab77")
    monkeypatch.setenv("DATABASE_PASSWORD", "password")  # a word: it would be found everywhere
    text = "text\nthe password is\nkey 9f31ab77 here\n"
    assert rows_of(tmp_path, "train.csv", text)[0] == ["train.csv, line 3: it has a token; take it out."]


def test_a_path_of_this_machine_stops_rows_and_one_of_another_is_told(tmp_path):
    here = Path(__file__).resolve()
    text = f"text\nsee {here}.\n{here.parent}/absent.wav\n/home/ann/reviews/1.wav\n/usr/bin/python /r/movies 24/7\n"
    refused, told = rows_of(tmp_path, "train.csv", text)
    assert refused == [f"train.csv, line {line}: it has a local path; take it out." for line in (2, 3)]
    assert told == ["train.csv, line 4: it has a path into somebody's home; take it out if it is yours."]


def test_utf16_rows_are_read_as_such(tmp_path):
    (tmp_path / "train.csv").write_bytes(f"text\n{TOKEN}\n".encode("utf-16"))
    assert private_rows("train.csv", tmp_path / "train.csv")[0] == ["train.csv, line 2: it has a token; take it out."]
