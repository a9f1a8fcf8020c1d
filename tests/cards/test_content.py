"""Which files are published: links, hidden and odd files are refused or listed, and none is passed over in silence."""

import os
from pathlib import Path

import pytest
from quintet.cards.content import collect, collect_data


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


def test_a_pickle_is_known_by_its_content(tmp_path):
    import pickle

    (tmp_path / "weights.json").write_bytes(pickle.dumps({"a": 1}))
    assert ["weights.json is a pickle" in problem for problem in collect(tmp_path).problems] == [True]


def test_safetensors_whose_length_reads_like_the_beginning_of_a_pickle_are_none(tmp_path):
    """The file begins with the length of its header; 0x280 and the protocol of a pickle are the same two bytes."""
    import torch
    from safetensors.torch import save_file

    for padding in range(0, 700, 8):
        save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors", {"note": "x" * padding})
        if (tmp_path / "model.safetensors").read_bytes()[:2] == b"\x80\x02":
            break
    assert (tmp_path / "model.safetensors").read_bytes()[:2] == b"\x80\x02"
    assert collect(tmp_path).problems == ()
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x02}q\x00.")
    assert len(collect(tmp_path).problems) == 1


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "passwd").write_text("root", encoding="utf-8")
    (folder / "LICENSE").symlink_to(tmp_path / "outside" / "passwd")
    (folder / "more").symlink_to(tmp_path / "outside")
    content = collect(folder)
    assert content.problems == (
        "LICENSE is a link out of the folder; put what it links to in its place, or delete it.",
        "more is a link out of the folder; put what it links to in its place, or delete it.",
    )
    assert set(content.files) == {"config.json"}
    assert collect_data(folder, {folder / "config.json"}).problems == content.problems


def test_a_link_within_the_folder_is_published_and_what_leads_nowhere_is_listed(folder):
    (folder / "state").mkdir()
    (folder / "state/vocab.txt").write_text("a", encoding="utf-8")
    (folder / "vocab.txt").symlink_to("state/vocab.txt")
    (folder / "notes.md").symlink_to("absent.md")
    (folder / "round.md").symlink_to("round.md")
    (folder / "last").symlink_to("state")
    os.mkfifo(folder / "pipe.json")
    content = collect(folder)
    assert (set(content.files), content.problems) == ({"config.json", "vocab.txt"}, ())
    assert content.left_out == {
        "last": "a link to a folder",
        "notes.md": "a link to nothing",
        "pipe.json": "neither a file nor a folder",
        "round.md": "a link to nothing",
        "state/": "what a training goes on from",
    }


def test_the_cache_of_the_hub_may_be_published(tmp_path):
    store = tmp_path / "models--me--reviews"
    (store / "blobs").mkdir(parents=True)
    (store / "blobs" / "abc").write_text("{}", encoding="utf-8")
    snapshot = store / "snapshots" / "0123456"
    (snapshot / "evaluation").mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/abc")
    (snapshot / "evaluation" / "a.json").symlink_to("../../../blobs/abc")
    content = collect(snapshot)
    assert (set(content.files), content.problems) == ({"config.json", "evaluation/a.json"}, ())


def test_a_name_that_breaks_a_line_is_refused(folder):
    (folder / "a\nb.json").write_text("{}", encoding="utf-8")
    sentence = r"'a\\nb.json' is a name with a line break or another character that cannot be shown; rename it."
    assert collect(folder).problems == (sentence.replace("\\\\", "\\"),)


def test_a_card_or_facts_that_are_a_folder_are_refused_and_an_empty_card_is_none(folder):
    (folder / "README.md").mkdir()
    (folder / "run.json").mkdir()
    assert collect(folder).problems == (
        "README.md is a folder, expected a file; move it away.",
        "run.json is a folder, expected a file; move it away.",
    )
    (folder / "README.md").rmdir()
    (folder / "run.json").rmdir()
    (folder / "README.md").touch()
    assert collect(folder).problems == ()


def test_of_a_data_set_what_no_split_reads_is_refused_and_hidden_files_are_listed(tmp_path):
    for name in ("train.csv", "secrets.txt", "more.csv.gz", "run.py", ".env", ".git/config", "LICENSE", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text\na\n", encoding="utf-8")
    content = collect_data(tmp_path, {tmp_path / "train.csv"})
    assert set(content.files) == {"LICENSE", "README.md", "train.csv"}
    assert content.left_out == {".env": "hidden", ".git/": "hidden"}
    end = "so that it is not published by mistake."
    assert content.problems == (
        f"more.csv.gz belongs to no split; name it by one (train, validation or test), or move it out, {end}",
        f"run.py is no data file; move it out, {end}",
        f"secrets.txt belongs to no split; name it by one (train, validation or test), or move it out, {end}",
    )


def test_rows_that_would_not_be_published_are_told(tmp_path):
    (tmp_path / "good").mkdir()
    hidden = tmp_path / "good" / ".1.txt"
    hidden.write_text("fine", encoding="utf-8")
    assert collect_data(tmp_path, {hidden}).problems == (
        "good/.1.txt has rows of the data set but would stay here; give it a name that is published.",
    )


def test_one_file_is_published_by_its_name(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("text\na\n", encoding="utf-8")
    assert collect_data(path, {path}).files == {"reviews.csv": path}
    assert collect_data(Path(os.devnull), ()).problems == ("null is neither a file nor a folder; give one of these.",)
