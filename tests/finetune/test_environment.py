import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from quintet.finetune import environment, scrubbing
from quintet.finetune.environment import command, command_line, hardware, peak_memory, scrub, versions

HEX40 = "3c7ef2c98249fc975a897b27f275695f97d5b7a9"


@pytest.fixture
def anna(monkeypatch):
    """A machine called ``nebula-7`` whose user is ``annamaria``."""
    monkeypatch.setattr(socket, "gethostname", lambda: "nebula-7.lab.example.org")
    monkeypatch.setattr(Path, "home", lambda: Path("/srv2/anna maria"))
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, "annamaria")
    monkeypatch.delenv("HOSTNAME", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "annamaria")
    scrubbing._private_names.cache_clear()
    yield
    scrubbing._private_names.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "and/or, either/or, 24/7, n/a, w/o, km/h",
        "on 12/03/2024 or 2024/03/12, rated 9 /10 and /10",
        "a great film<br /><br />see it </s> <i>x</i>/<b>y</b>",
        "https://huggingface.co/me/name/resolve/main/x.csv?download=true",
        "hf://datasets/me/x and s3://bucket/key.csv",
        "me/reviews and org/model@main",
        f"revision {HEX40}",
        "pad_token=<|endoftext|> max_tokens=100000 token: negative",
        "the bearer certificate, an api key management system",
        "root mean squared error / 2",
        "train[:10%] 1/2/3",
        "差评/好评",
        "data/reviews.csv",
        "",
        "/",
        "//",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("load /home/me/reviews.csv now", "load reviews.csv now"),
        ("/home/me/out/", "out"),
        ("--dataset=/mnt/a/b.csv,/mnt/c/d.csv", "--dataset=b.csv,d.csv"),
        ("(/home/me/x.py:12)", "(x.py:12)"),
        ("error in '/mnt/my data/x.csv', line 3", "error in 'x.csv', line 3"),
        ('File "/usr/lib/python3/site.py", line 3', 'File "site.py", line 3'),
        ("cd /tmp && ls", "cd tmp && ls"),
        ("file:///home/me/x.csv", "x.csv"),
        ("~/data/x.csv and ~anna/y.csv", "x.csv and y.csv"),
        (r"C:\Users\me\x.csv and D:/data/y.csv", "x.csv and y.csv"),
        (r"\\server\share\x.csv", "x.csv"),
        ("/数据/评论.csv", "评论.csv"),
        ("hf_abcdefghijklmnopqrstuvwxyz0123", "<token>"),
        ("push with hf_abcdefghijklmnopqrstuvwxyz0123!", "push with <token>!"),
        ("Authorization: Bearer abc123def456", "Authorization: Bearer <token>"),
        (f"WANDB_API_KEY={HEX40}", "WANDB_API_KEY=<token>"),
        (f"wandb login {HEX40}", "wandb login <token>"),
        ("https://x.org/a.csv?token=secret123&y=1", "https://x.org/a.csv?token=<token>&y=1"),
        ("https://user:pass@x.org/a.csv", "https://x.org/a.csv"),
        ('{"password": "hunter-two"}', '{"password": "<token>"}'),
    ],
)
def test_paths_and_secrets_go(text, expected):
    assert scrub(text) == expected


def test_a_path_with_spaces_that_exists_is_known_whole(tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    assert scrub(str(folder)) == "my data"


def test_user_host_and_home_go_but_not_from_a_hub_name(anna):
    assert scrub("annamaria@nebula-7 trained it") == "<user>@<host> trained it"
    assert scrub("on nebula-7.lab.example.org") == "on <host>"
    assert scrub("run of annamaria_3") == "run of <user>_3"
    assert scrub("saved in /srv2/anna maria/a/out") == "saved in out"
    assert scrub("home is /srv2/anna maria, isn't it") == "home is ~, isn't it"
    assert scrub("see '/srv2/anna maria/my data/x.csv'") == "see 'x.csv'"
    assert scrub("annamaria/reviews") == "annamaria/reviews"
    assert scrub("joannamaria") == "joannamaria"


def test_names_that_are_words_or_very_short_stay(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "vm")
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, "max")
    scrubbing._private_names.cache_clear()
    assert scrub("pooling=max of a vm, root mean") == "pooling=max of a vm, root mean"
    scrubbing._private_names.cache_clear()


def test_values_of_secret_variables_go_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("MY_SERVICE_TOKEN", "correct horse battery")
    assert scrub("using correct horse battery today") == "using <token> today"


def test_nested_structures_are_scrubbed_and_other_types_kept():
    settings = {
        "dataset": "/home/me/reviews.csv",
        "token": "abc",
        "columns": {"text": "review"},
        "files": ("/a/b/c.txt", 3, None, True, 0.5),
        "output": Path("/home/me/out"),
        "pad_token": "[PAD]",
    }
    assert scrub(settings) == {
        "dataset": "reviews.csv",
        "token": "<token>",
        "columns": {"text": "review"},
        "files": ("c.txt", 3, None, True, 0.5),
        "output": "out",
        "pad_token": "[PAD]",
    }


def test_a_command_is_written_for_the_shell_with_base_names():
    options = {
        "dataset": "/mnt/my data/reviews.csv",
        "columns": {"text": "review", "label": "stars"},
        "splits": ("/a/b/one.csv", "two.csv"),
        "fast": True,
        "bootstrap_again": False,
        "limit": None,
        "seed": 0,
    }
    assert command(("quintet", "evaluate", "/home/me/out"), options) == (
        "quintet evaluate out --dataset reviews.csv --columns text=review,label=stars --splits one.csv,two.csv "
        "--fast --no-bootstrap-again --seed 0"
    )


def test_the_started_command_is_recorded_with_base_names(tmp_path):
    (tmp_path / "x.csv").write_text("")
    given = ["/usr/bin/quintet", "finetune", "sentiment", "--dataset", f"{tmp_path}/x.csv", "--output=out/reviews"]
    assert command_line([*given, "--model", "me/base", "--seed", "3"]) == (
        "quintet finetune sentiment --dataset x.csv --output=reviews --model me/base --seed 3"
    )
    assert command_line(["/lib/quintet/finetune/__main__.py", "-v"]) == "python -m quintet.finetune -v"
    assert command_line(["/lib/quintet/__main__.py", "tasks"]) == "python -m quintet tasks"


def test_versions_are_those_of_what_was_imported():
    import numpy as np

    found = versions()
    assert found["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert socket.gethostname() not in found["platform"].split()
    code = "from quintet.finetune.environment import versions; print('datasets' in versions(), 'torch' in versions())"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split()[0] == "False"


def test_hardware_describes_this_machine():
    import psutil
    import torch

    found = hardware()
    assert found.cpu
    assert found.threads == torch.get_num_threads()
    assert found.cores is not None
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_gib is not None
    assert 0 < found.memory_gib <= psutil.virtual_memory().total / 2**30 + 0.1
    assert len(found.gpus) == torch.cuda.device_count()


def test_bf16_units_are_those_of_the_device_that_is_used(monkeypatch):
    for expected in (True, False):
        monkeypatch.setattr(environment, "has_bfloat16_units", lambda device, expected=expected: expected)
        assert hardware().bf16_units is expected


def test_peak_memory_grows_with_what_is_used():
    before = peak_memory()
    block = bytearray(os.urandom(1)) * (before.bytes + 50_000_000)
    after = peak_memory()
    assert after.bytes >= len(block)
    assert before.bytes > 10_000_000
