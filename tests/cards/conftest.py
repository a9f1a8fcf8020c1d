"""A small trained checkpoint with its card, and a Hub on loopback that the real client talks to."""

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

# Read by hf_xet, which is not Python, when it first connects: its own pauses and patience, shortened.
os.environ["HF_XET_CLIENT_RETRY_BASE_DELAY"] = "10ms"
os.environ["HF_XET_CLIENT_READ_TIMEOUT"] = "1s"

sys.path.insert(0, str(Path(__file__).parent))  # for review_run

REPOSITORY = "tester/reviews"


@pytest.fixture(scope="session")
def carded(tmp_path_factory, worker_id):
    """A folder trained by the loop in seconds, with the card that `quintet card` writes for `tester/reviews`.

    Made once for all test processes: the card's snippets are run in new interpreters, which takes its time.
    """
    if worker_id == "master":
        return make_carded(tmp_path_factory.mktemp("carded") / "reviews")
    folder = tmp_path_factory.getbasetemp().parent / "carded" / "reviews"
    with FileLock(folder.parent.with_suffix(".lock")):
        return folder if (folder / "README.md").exists() else make_carded(folder)


def make_carded(folder):
    from quintet.cards.writing import card
    from quintet.finetune.training import finetune

    words = {"positive": ["great", "lovely", "warm", "tasty"], "negative": ["awful", "dull", "cold", "bland"]}
    rows = [
        {"text": f"The {thing} was {word} on visit {visit}.", "label": label}
        for visit in range(8)
        for thing in ("soup", "film", "room")
        for label, choices in words.items()
        for word in choices
    ]
    finetune(
        "sentiment",
        model="textcnn",
        dataset=rows,
        output=folder,
        model_args={"embedding_size": 8, "filters": 4, "kernel_sizes": "2-3", "dropout": 0.1},
        epochs=1,
        batch_size=16,
        learning_rate=0.01,
        device="cpu",
        test_fraction=0.2,
    )
    report = card(folder, license="apache-2.0", language="en", repository=REPOSITORY)
    assert report.problems == ()
    return folder


@pytest.fixture
def checkpoint(carded, tmp_path):
    """A copy of the carded checkpoint, to be spoilt."""
    return Path(shutil.copytree(carded, tmp_path / "reviews"))


@pytest.fixture
def short_waits(monkeypatch):
    """Pauses of a hundredth of a second, ours and those of the client; what the Hub asks for counts in full."""
    import time

    from huggingface_hub.utils import _http
    from quintet.cards import hub_client

    monkeypatch.setattr(hub_client, "PAUSES", (0.01,) * 5)
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.01))))


@pytest.fixture(params=["lfs", "xet"])
def transport(request):
    """How large files travel."""
    return request.param


@pytest.fixture
def loopback(tmp_path, transport, short_waits, monkeypatch):
    """A Hub on loopback with the tokens write (of tester, member of org), read and other; HF_TOKEN is write's."""
    from hub_serving import serving

    tokens = {
        "write": {"user": "tester", "role": "write", "orgs": ["org"]},
        "read": {"user": "tester", "role": "read"},
        "other": {"user": "other", "role": "write"},
    }
    monkeypatch.setenv("HF_TOKEN", "write")
    with serving(tmp_path / "hub", tokens=tokens, xet=transport == "xet") as server:
        yield server


@pytest.fixture
def bert(bert_folder, tmp_path):
    """A random BERT of transformers with two classes, with a README.md by hand and without facts."""
    folder = Path(shutil.copytree(bert_folder, tmp_path / "bert"))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# A random model\n", encoding="utf-8")
    return folder
