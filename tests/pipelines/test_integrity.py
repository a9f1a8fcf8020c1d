"""Files of a Hub checkpoint are those that the Hub has: over a Hub on loopback that can flip a byte of an answer."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines import pipeline
from quintet.pipelines.errors import UsageError, WeightsError
from quintet.pipelines.integrity import NOTES_FOLDER, check_cached, git_blob_sha1, matches, sha256
from quintet.pipelines.models import build_model
from quintet.pipelines.saving import save_checkpoint


def small_checkpoint(folder, seed=0):
    tokenizer = train_tokenizer(["a dull film", "a witty film"], "wordlevel", 50, 16)
    torch.manual_seed(seed)
    model = build_model(
        "lstm",
        vocab_size=9,
        labels=("bad", "good"),
        problem_type="single_label_classification",
        arguments={"embedding_size": 6, "hidden_size": 5},
    )
    save_checkpoint(model, tokenizer, folder, task="text-classification")
    return folder


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A Hub with me/reviews in two revisions; (server, first commit, second commit)."""
    from hub_serving import serving, upload
    from huggingface_hub import HfApi

    folder = tmp_path_factory.mktemp("hub")
    with serving(folder / "store") as hub:
        api = HfApi(endpoint=hub.url, token="t")
        api.create_repo("me/notes")
        api.upload_file(repo_id="me/notes", path_or_fileobj=b'{"model_type": "bert"}', path_in_repo="config.json")
        first = upload(hub, "me/reviews", small_checkpoint(folder / "one"))
        yield hub, first, upload(hub, "me/reviews", small_checkpoint(folder / "two", seed=1))


@pytest.fixture
def hub(published, tmp_path, monkeypatch):
    """The Hub without faults, as the one that this process talks to, with an empty cache."""
    from hub_serving import point_at

    server = published[0]
    point_at(server, tmp_path / "cache", monkeypatch)
    server.faults.clear()
    return server


def test_hashes_are_those_of_git_and_of_the_hub(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"what is up, doc?")
    # `printf 'what is up, doc?' | git hash-object --stdin`, the example in the book Pro Git
    assert git_blob_sha1(path) == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"
    assert sha256(path) == hashlib.sha256(b"what is up, doc?").hexdigest()


def test_a_file_matches_by_the_hash_of_its_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"what is up, doc?")
    blob, content = git_blob_sha1(path), sha256(path)
    assert matches(path, size=16, blob_id=blob, lfs_sha256=None)
    assert matches(path, size=None, blob_id="id of the pointer", lfs_sha256=content.upper())
    assert not matches(path, size=17, blob_id=blob, lfs_sha256=None)
    assert not matches(path, size=16, blob_id=blob, lfs_sha256="0" * 64)
    assert not matches(path, size=16, blob_id="0" * 40, lfs_sha256=None)
    with pytest.raises(ValueError, match="neither blob_id nor lfs_sha256 is given"):
        matches(path, size=16, blob_id=None, lfs_sha256=None)


def test_a_checkpoint_alone_says_its_task(hub, published, monkeypatch):
    from huggingface_hub import constants

    _, first, second = published
    latest, older = pipeline("me/reviews", device="cpu"), pipeline(f"me/reviews@{first}", device="cpu")
    assert (latest.checkpoint.revision, older.checkpoint.revision) == (second, first)
    assert latest("a dull film") != older("a dull film")
    assert pipeline(model="me/reviews", revision=first, device="cpu").checkpoint.revision == first
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    requests = len(hub.requests)
    assert pipeline("me/reviews", device="cpu")("a dull film") == latest("a dull film")
    assert pipeline(f"me/reviews@{first}", device="cpu")("a dull film") == older("a dull film")
    assert len(hub.requests) == requests


def test_a_folder_alone_says_its_task_and_a_misspelt_task_is_no_checkpoint(tmp_path, hub):
    folder = small_checkpoint(tmp_path / "reviews")
    assert pipeline(folder, device="cpu").checkpoint.name == "reviews"
    assert pipeline(str(folder), device="cpu").checkpoint.name == "reviews"
    with pytest.raises(UsageError, match="unknown task 'sentimnt'; did you mean sentiment"):
        pipeline("sentimnt")
    with pytest.raises(UsageError, match="checkpoint 'me/notes' does not say which task it is for; name the task"):
        pipeline("me/notes")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_download_is_named_not_loaded_and_fetched_again(hub, file):
    path = "/storage/" if file == "model.safetensors" else f"/{file}$"
    hub.add_fault(path=path, method="GET", action="corrupt")
    with pytest.raises(WeightsError, match=rf"{file} of Hub repository 'me/reviews' is not what the Hub has: .* again"):
        pipeline("me/reviews", device="cpu")
    assert hub.faults[0]["times"] == 0  # the fault did happen
    assert pipeline("me/reviews", device="cpu")("a dull film")[0]["label"] in ("bad", "good")


def test_a_file_is_read_once_and_again_after_it_changed(hub, tmp_path, monkeypatch):
    from quintet.pipelines import integrity

    read = []
    monkeypatch.setattr(integrity, "sha256", lambda path: read.append(Path(path).name) or sha256(path))
    pipeline("me/reviews", device="cpu")
    assert read == ["model.safetensors"]
    pipeline("me/reviews", device="cpu")
    assert read == ["model.safetensors"]
    (weights,) = (tmp_path / "cache").rglob("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.resolve().write_bytes(content)
    with pytest.raises(WeightsError, match=r"model.safetensors of Hub repository 'me/reviews' is not what the Hub has"):
        pipeline("me/reviews", device="cpu")
    assert not weights.exists()


def test_a_cache_that_is_only_read_from_is_checked_each_time(hub, tmp_path):
    pipeline("me/reviews", device="cpu")
    (notes,) = (tmp_path / "cache").rglob(NOTES_FOLDER)
    for note in notes.iterdir():
        note.unlink()
    notes.rmdir()
    notes.write_text("no folder, so nothing can be noted in it", encoding="utf-8")
    assert pipeline("me/reviews", device="cpu")("a dull film")


def test_in_a_cache_without_links_the_hub_is_asked(hub, published, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    hub.add_fault(path="/storage/", method="GET", action="corrupt")
    with pytest.raises(WeightsError, match=r"model.safetensors of Hub repository 'me/reviews' is not what the Hub has"):
        pipeline("me/reviews", device="cpu")
    pipeline("me/reviews", device="cpu")
    (weights,) = (tmp_path / "cache").rglob("model.safetensors")
    assert not weights.is_symlink()
    asked = [request for request in hub.requests if "paths-info" in request["path"]]
    check_cached(weights, "me/reviews", "model.safetensors")
    assert [request for request in hub.requests if "paths-info" in request["path"]] == asked
    (notes,) = (tmp_path / "cache").rglob(NOTES_FOLDER)
    for note in notes.iterdir():
        note.unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert pipeline("me/reviews", device="cpu")("a dull film")  # nobody to ask, and no reason to refuse it


LOAD = """
import sys
from quintet.pipelines import pipeline
from quintet.pipelines.errors import QuintetError
for _ in range(2):
    try:
        print("answer", pipeline(sys.argv[1], device="cpu")("a dull film")[0]["label"])
    except QuintetError as error:
        print("error", error)
"""


def load_twice(name, hub, folder, **variables):
    """What two loads of a checkpoint in one new process say, a line each."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(folder), **variables}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, name], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_what_transformers_fetches_is_checked_as_well(hub, bert_folder, tmp_path, file):
    from hub_serving import upload

    upload(hub, "me/bert", bert_folder)
    path = "/storage/" if file == "model.safetensors" else f"/{file}$"
    hub.add_fault(path=path, method="GET", action="corrupt")
    first, second = load_twice("me/bert", hub, tmp_path / "home", HF_HUB_DISABLE_XET="1")
    assert first.startswith(f"error {file} of Hub repository 'me/bert' is not what the Hub has")
    assert second in ("answer negative", "answer positive")


def test_over_xet_a_damaged_file_is_refused_and_fetched_again(tmp_path):
    pytest.importorskip("hf_xet")
    from hub_serving import serving, upload

    with serving(tmp_path / "store", xet=True) as hub:
        upload(hub, "me/reviews", small_checkpoint(tmp_path / "one"))
        hub.add_fault(path="/v1/xorbs/default/", method="GET", action="corrupt")
        first, second = load_twice("me/reviews", hub, tmp_path / "home", HF_HUB_DISABLE_XET="0")
    assert hub.faults[0]["times"] == 0
    assert first.startswith("error model.safetensors of Hub repository 'me/reviews' is not what the Hub has")
    assert second in ("answer bad", "answer good")
