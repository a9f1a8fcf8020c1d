"""Data sets of a Hub on loopback, in a process of its own: the client reads its settings at import."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from quintet.finetune.data.hub import HubName, parse_hub_name
from quintet.pipelines.errors import UsageError

sys.path.insert(0, str(Path(__file__).parents[2] / "hub"))

LOAD = """
import sys
from quintet.finetune.data import load_data
from quintet.pipelines.errors import DataError
from quintet.pipelines.tasks import find_task
for name in sys.argv[1:]:
    try:
        report = load_data(name, task=find_task("sentiment")).report
        print(report.name, report.kind, report.revision, report.config, [s.rows for s in report.splits], report.labels)
    except DataError as error:
        print("DataError:", error)
"""
ROWS = "text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(40))
CARD = """---
configs:
- config_name: one
  data_files: one.csv
- config_name: two
  data_files: two.csv
---
"""


def load_in_process(*names, **environment):
    command = [sys.executable, "-c", LOAD, *names]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == len(names), done.stdout + done.stderr
    return lines


def test_names_carry_configuration_and_revision():
    assert parse_hub_name("nyu-mll/glue:sst2@main") == HubName("nyu-mll/glue", "sst2", "main")
    assert parse_hub_name("imdb", "plain", "v1") == HubName("imdb", "plain", "v1")
    assert parse_hub_name("a/b/c") is None and parse_hub_name("a b") is None
    with pytest.raises(UsageError, match="names the revision 'main', but revision 'v1' was given as well"):
        parse_hub_name("imdb@main", revision="v1")


def test_offline_and_not_cached_says_how_to_fetch_it(tmp_path):
    (line,) = load_in_process("someone/reviews", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert line.startswith("DataError: the data set 'someone/reviews' is not in the cache")
    assert "Run `quintet data someone/reviews --task sentiment` once with a network" in line


def test_revision_and_configuration_are_honoured_and_recorded(tmp_path):
    from huggingface_hub import HfApi
    from loopback_hub import LoopbackHub

    with LoopbackHub(tmp_path / "store", tokens={"secret": {"user": "me", "role": "write"}}) as hub:
        api = HfApi(endpoint=hub.url, token="secret")

        def upload(repository, **files):
            for name, content in files.items():
                path = f"{name}.md" if name == "README" else f"{name}.csv"
                api.upload_file(
                    path_or_fileobj=content.encode(), path_in_repo=path, repo_id=repository, repo_type="dataset"
                )

        for repository in ("me/plain", "me/reviews"):
            api.create_repo(repository, repo_type="dataset")
        upload("me/plain", train=ROWS)
        commit = api.list_repo_commits("me/plain", repo_type="dataset")[0].commit_id
        upload("me/plain", train=ROWS + "later,a\n")
        upload("me/reviews", README=CARD, one=ROWS, two=ROWS)
        lines = load_in_process(
            f"me/plain@{commit}",
            "me/reviews:two",
            "me/reviews",
            "me/nothing",
            "me/plain@nowhere",
            HF_ENDPOINT=hub.url,
            HF_TOKEN="secret",
            HF_HUB_DISABLE_XET="1",
            HF_HOME=str(tmp_path / "home"),
        )
    plain, configured, unnamed, missing, nowhere = lines
    assert plain == f"me/plain hub {commit} None [36, 4] ('a', 'b')"
    assert re.fullmatch(r"me/reviews hub [0-9a-f]{40} two \[36, 4\] \('a', 'b'\)", configured)  # unasked, too
    assert "one" in unnamed and "Name the configuration, as in me/reviews:CONFIG" in unnamed
    assert missing.startswith(
        "DataError: there is no data set 'me/nothing' on the Hub, and no file or folder of that name"
    )
    assert nowhere.startswith("DataError: the data set 'me/plain' has no revision 'nowhere'")
