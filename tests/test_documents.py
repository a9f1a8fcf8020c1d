"""Every code block of README and docs runs as written, in a scratch folder, against a Hub on loopback."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import quintet

ROOT = Path(quintet.__file__).parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOKENS = {"owner": {"user": "distilbert", "role": "write"}, "mine": {"user": "me", "role": "write"}}
HUB_MODEL = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"


def blocks(document: Path) -> list[tuple[str, str]]:
    """The runnable blocks of a document as (language, text); those without a language are installs or drawings."""
    return [
        (language, text)
        for language, text in BLOCK.findall(document.read_text(encoding="utf-8"))
        if language in ("python", "bash")
    ]


def write_reviews(path: Path, rows: int = 60) -> None:
    """A small table of made-up reviews: columns review, stars (positive or negative)."""
    draw = random.Random(0)
    words = {
        "positive": ["great", "lovely", "warm", "brilliant", "tasty", "gorgeous"],
        "negative": ["awful", "dull", "cold", "bland", "rude", "broken"],
    }
    things = ["film", "meal", "room", "service", "story", "acting", "soup", "bed", "ending", "staff"]
    lines = ["review,stars"]
    for index in range(rows):
        stars = ["positive", "negative"][index % 2]
        first, second = draw.sample(words[stars], 2)
        lines.append(
            f"The {draw.choice(things)} was {first} and the {draw.choice(things)} {second} on visit {index}.,{stars}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def hub(bert_folder, tmp_path_factory):
    """A Hub on loopback; in place of the checkpoint that the documents name it has a tiny one."""
    from hub_serving import serving, upload

    with serving(tmp_path_factory.mktemp("hub"), tokens=TOKENS) as server:
        upload(server, HUB_MODEL, bert_folder, token="owner")
        yield server


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_blocks_run_as_written(document, hub, tmp_path):
    write_reviews(tmp_path / "reviews.csv")
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": "mine",
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
    }
    for language, text in blocks(document):
        command = [sys.executable, "-c", text] if language == "python" else ["bash", "-euc", text]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{document.name}:\n{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_there_are_blocks_to_run():
    assert len(DOCUMENTS) >= 10
    assert len(blocks(ROOT / "README.md")) == 6
    assert sum(len(blocks(document)) for document in DOCUMENTS) >= 20


def test_generated_tables_and_help_texts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "docs/write_tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_between_documents_lead_somewhere():
    checked = 0
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name} links to {target}"
                checked += 1
    assert checked >= 15
