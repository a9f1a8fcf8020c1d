"""Names of checkpoints: embedded, local, and on a Hub on loopback, and a sentence for each way the Hub can fail."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines import checkpoint_sources, pipeline
from quintet.pipelines.checkpoint_sources import (
    embedded_names,
    explain_hub_error,
    find_checkpoint,
    named_revision,
    public_name,
)
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import UnknownNameError, UsageError, WeightsError
from quintet.pipelines.models import build_model
from quintet.pipelines.saving import save_checkpoint

HUB_FOLDER = Path(__file__).parent.parent / "hub"


def small_checkpoint(folder, seed=0):
    tokenizer = train_tokenizer(["a dull film", "a witty film"], "wordlevel", 50, 16)
    torch.manual_seed(seed)
    sizes = {"embedding_size": 6, "hidden_size": 5}
    model = build_model(
        "lstm", vocab_size=9, labels=("bad", "good"), problem_type="single_label_classification", arguments=sizes
    )
    save_checkpoint(model, tokenizer, folder, task="text-classification")
    return folder


def small_bert(folder):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForSequenceClassification(BertConfig(**sizes, intermediate_size=8)).save_pretrained(folder)
    train_tokenizer(["a dull film"], "byte-bpe", 300, 16).save(folder)
    return folder


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """An embedded checkpoint named sentiment-xx."""
    monkeypatch.setattr(checkpoint_sources, "EMBEDDED_FOLDER", tmp_path / "embedded")
    small_checkpoint(tmp_path / "embedded" / "sentiment-xx")
    (tmp_path / "embedded" / "__pycache__").mkdir()
    return tmp_path / "embedded"


def test_an_embedded_name_comes_before_a_folder_of_that_name(embedded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_checkpoint(tmp_path / "sentiment-xx", seed=1)
    assert embedded_names() == ["sentiment-xx"]
    assert find_checkpoint("sentiment-xx").folder == embedded / "sentiment-xx"
    assert find_checkpoint("./sentiment-xx").folder.resolve() == tmp_path / "sentiment-xx"
    assert find_checkpoint(Path("sentiment-xx")).folder.resolve() == tmp_path / "sentiment-xx"
    assert load_checkpoint("sentiment-xx").name == "sentiment-xx"


def test_a_folder_with_a_trailing_dot_still_has_a_name(tmp_path, monkeypatch):
    small_checkpoint(tmp_path / "reviews")
    monkeypatch.chdir(tmp_path / "reviews")
    assert find_checkpoint(".").name == "reviews"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("someone/reviews", "someone/reviews"),
        ("/home/someone/reviews", "reviews"),
        ("out/lstm/best", "best"),
        ("m", "m"),
    ],
)
def test_only_hub_ids_are_public_as_a_whole(model, name):
    assert public_name(model) == name


def test_a_misspelt_embedded_name_suggests_it(embedded):
    with pytest.raises(UnknownNameError, match="unknown model 'sentiment xx'; did you mean sentiment-xx"):
        find_checkpoint("sentiment xx")


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_and_not_cached_names_cache_switch_command_and_embedded_checkpoints(embedded, monkeypatch, switch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv(switch, "1")
    with pytest.raises(WeightsError) as caught:
        load_checkpoint("someone/reviews@v1")
    assert str(caught.value) == (
        f"checkpoint 'someone/reviews' is not in the cache ({constants.HF_HUB_CACHE}) and offline mode is switched on "
        f"by {switch}, so it is not fetched; without {switch} run `hf download someone/reviews --revision v1` once, or "
        "use an embedded checkpoint (for text-classification: sentiment-xx)."
    )


def test_a_hub_that_does_not_answer_is_an_error_within_seconds(embedded, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(checkpoint_sources, "CONNECT_PAUSES", (0.1,))
    start = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        load_checkpoint("someone/reviews")
    assert time.monotonic() - start < 10  # huggingface_hub alone takes 23 and more
    assert str(caught.value) == (
        f"checkpoint 'someone/reviews' is not in the cache ({constants.HF_HUB_CACHE}) and the Hub "
        f"({constants.ENDPOINT}) cannot be reached; with a network run `hf download someone/reviews` once, or use an "
        "embedded checkpoint (for text-classification: sentiment-xx)."
    )
    assert sum(checkpoint_sources.CONNECT_PAUSES) < 5


def test_a_hub_that_answers_at_the_second_attempt_is_used(monkeypatch, tmp_path):
    import httpx2
    import huggingface_hub

    attempts = []

    def answer(url):
        attempts.append(url)
        if len(attempts) == 1:
            raise httpx2.ConnectError("connection refused")

    monkeypatch.setattr(checkpoint_sources, "CONNECT_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", answer)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(tmp_path / "config.json"))
    monkeypatch.setattr(checkpoint_sources, "check_cached", lambda *_: None)
    assert find_checkpoint("someone/reviews").folder == tmp_path
    assert len(attempts) == 2


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://huggingface.co/me/name", "is a URL; give the Hub id that is in it: me/name."),
        ("huggingface.co/me/name/", "is a URL; give the Hub id that is in it: me/name."),
        ("https://huggingface.co/me/name/tree/v1", "is a URL; give the Hub id that is in it: me/name@v1."),
        ("https://hf.co/gpt2", "is a URL; give the Hub id that is in it: gpt2."),
        ("https://example.org/name.zip", "is a URL; a model is given as a checkpoint folder or as a Hub id such as"),
        ("https://huggingface.co/datasets/me/name", "is a URL; a model is given as a checkpoint folder or as a Hub id"),
    ],
)
def test_a_url_says_how_a_model_is_given(url, words):
    with pytest.raises(UsageError) as caught:
        find_checkpoint(url)
    assert f"model '{url}' {words}" in str(caught.value)


def test_a_url_is_shown_without_its_password():
    with pytest.raises(UsageError, match=r"model 'https://example\.org/name' is a URL") as caught:
        find_checkpoint("https://me:secret@example.org/name?token=secret")
    assert "secret" not in str(caught.value)


def test_what_the_hub_refuses_is_said_with_the_next_step():
    import httpx2
    from huggingface_hub import errors

    response = httpx2.Response(401, request=httpx2.Request("GET", "http://127.0.0.1"))
    gated = errors.GatedRepoError("gated", response=response)
    assert "'a/b' is gated; ask for access on its page, then log in" in str(explain_hub_error(gated, "a/b", None))
    hidden = OSError("wrapped by transformers")
    hidden.__cause__ = gated
    assert "'a/b' is gated" in str(explain_hub_error(hidden, "a/b", None))
    other = errors.HfHubHTTPError("too many requests", response=response)
    assert "'a/b' cannot be fetched from the Hub" in str(explain_hub_error(other, "a/b", None))


LOAD = """
import json, sys
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import QuintetError
answers = {}
for name in json.loads(sys.argv[1]):
    try:
        checkpoint = load_checkpoint(name)
        logits = checkpoint.logits(checkpoint.tokenizer.pad(checkpoint.tokenizer.encode(["dull film"])))
        answers[name] = [checkpoint.name, checkpoint.revision, checkpoint.light, logits.tolist()]
    except QuintetError as error:
        answers[name] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


def loaded(names, **variables):
    """What load_checkpoint gives for each name, in a process of its own: the Hub's variables are read at import."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_XET": "1", **variables}
    command = [sys.executable, "-c", LOAD, json.dumps(names)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_revision_given_twice_is_one_revision():
    assert named_revision("me/reviews", None) == ("me/reviews", None)
    assert named_revision("me/reviews@v1", None) == ("me/reviews", "v1")
    assert named_revision("me/reviews", "v1") == named_revision("me/reviews@v1", "v1") == ("me/reviews", "v1")
    sentence = "model 'me/reviews@v1' names the revision 'v1', and --revision is 'v2'; leave out one of them."
    with pytest.raises(UsageError, match=re.escape(sentence)):
        find_checkpoint("me/reviews@v1", revision="v2")
    with pytest.raises(UsageError, match=re.escape(sentence)):
        pipeline(model="me/reviews@v1", revision="v2")


def test_a_revision_beside_a_name_is_found_once_and_its_commit_loaded(tmp_path, monkeypatch):
    from quintet.pipelines import checkpoints, factory

    here = small_checkpoint(tmp_path / "one")
    asked = []

    def find(model, *, revision=None):
        repository, wanted = named_revision(str(model), revision)
        asked.append((str(model), revision))
        return checkpoint_sources.Place(repository, here, repository, f"commit-of-{wanted}")

    monkeypatch.setattr(factory, "find_checkpoint", find)
    monkeypatch.setattr(checkpoints, "find_checkpoint", find)
    monkeypatch.setattr(checkpoint_sources, "check_cached", lambda *_: None)
    assert len(pipeline(model="me/reviews", revision="v1")(["a dull film"])) == 1
    assert asked == [("me/reviews", "v1"), ("me/reviews@commit-of-v1", None)]


def test_checkpoints_load_from_a_hub_by_revision_and_then_without_it(tmp_path, monkeypatch):
    from huggingface_hub import HfApi, constants

    monkeypatch.syspath_prepend(HUB_FOLDER)
    from loopback_hub import LoopbackHub

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    cache = str(tmp_path / "home")
    with LoopbackHub(tmp_path / "store", tokens={"t": {"user": "me", "role": "write"}}) as hub:
        api = HfApi(endpoint=hub.url, token="t")
        for name in ("me/reviews", "me/bert", "me/notes"):
            api.create_repo(name)
        first = api.upload_folder(repo_id="me/reviews", folder_path=small_checkpoint(tmp_path / "one")).oid
        second = api.upload_folder(repo_id="me/reviews", folder_path=small_checkpoint(tmp_path / "two", seed=1)).oid
        bert = api.upload_folder(repo_id="me/bert", folder_path=small_bert(tmp_path / "bert")).oid
        api.upload_file(repo_id="me/notes", path_or_fileobj=b"hello", path_in_repo="notes.txt")
        names = [f"me/reviews@{first}", "me/reviews", "me/bert", "me/notes", "me/nothing", "me/reviews@nowhere"]
        online = loaded(names, HF_ENDPOINT=hub.url, HF_HOME=cache)
    assert online[names[0]][:3] == ["me/reviews", first, True]
    assert online["me/reviews"][:3] == ["me/reviews", second, True]
    assert online[names[0]][3] != online["me/reviews"][3]
    assert online["me/bert"][:3] == ["me/bert", bert, False]
    assert online["me/notes"].startswith(
        "WeightsError: Hub repository 'me/notes' has no config.json; it is no checkpoint"
    )
    assert (
        f"the Hub ({hub.url}) has no repository 'me/nothing', or it is private; check the name" in online["me/nothing"]
    )
    assert "Hub repository 'me/reviews' has no revision 'nowhere'; expected a branch, a tag" in online[names[-1]]

    offline = loaded([*names[:3], "me/nothing"], HF_HUB_OFFLINE="1", HF_ENDPOINT=hub.url, HF_HOME=cache)
    assert {name: offline[name] for name in names[:3]} == {name: online[name] for name in names[:3]}
    assert "checkpoint 'me/nothing' is not in the cache" in offline["me/nothing"]


def test_a_pull_request_is_a_revision_and_no_path():
    assert checkpoint_sources.find_local("me/reviews@refs/pr/2") is None
    with pytest.raises(UsageError, match="there is no folder 'c'"):
        checkpoint_sources.find_local("a/b/c")
