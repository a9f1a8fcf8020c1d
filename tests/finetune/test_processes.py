"""Runs in processes of their own: killed and taken up again, and two at once."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from quintet.cards.facts import read_facts
from quintet.finetune.step_log import read_log

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1", "TOKENIZERS_PARALLELISM": "false"}


def command(reviews: Path, output: Path, *extra: str) -> list[str]:
    return [
        *("-m", "quintet.finetune", "sentiment", "--model", "lstm", "--dataset", str(reviews), "--output", str(output)),
        *("--model-args", "embedding_size=8,hidden_size=8", "--epochs", "10", "--batch-size", "8"),
        *("--save-every", "2steps", "--eval-every", "7steps", "--ema", "0.9", "--schedule", "cosine", *extra),
    ]


def log_without_times(output: Path) -> list[dict]:
    return [{name: value for name, value in line.items() if name != "seconds"} for line in read_log(output)]


def run_until_step(arguments: list[str], output: Path, step: int, number: int) -> subprocess.CompletedProcess[str]:
    """Starts a run and sends it the signal once its log has that step."""
    process = subprocess.Popen([sys.executable, *arguments], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    log = output / "log.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.read_bytes().count(b"\n") >= step:
            process.send_signal(number)
            break
        time.sleep(0.002)
    errors = process.communicate(timeout=60)[1]
    return subprocess.CompletedProcess(arguments, process.returncode, "", errors)


def test_a_run_that_is_terminated_and_then_killed_ends_as_if_nothing_had_happened(reviews, tmp_path):
    steps = sorted(random.Random(1).sample(range(3, 120), 2))
    whole = subprocess.run(
        [sys.executable, *command(reviews, tmp_path / "whole")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert whole.returncode == 0, whole.stderr
    arguments = command(reviews, tmp_path / "parts", "--resume")  # also where there is nothing to go on from
    terminated = run_until_step(arguments, tmp_path / "parts", steps[0], signal.SIGTERM)
    assert terminated.returncode == 143, terminated.stderr
    assert "training was stopped by SIGTERM after step" in terminated.stderr
    assert "repeat the command with --resume to go on" in terminated.stderr.replace("\n", " ")
    killed = run_until_step(arguments, tmp_path / "parts", steps[1], signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "parts" / "run.json").exists()
    last = subprocess.run([sys.executable, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stderr
    facts = [read_facts(tmp_path / name) for name in ("whole", "parts")]
    assert facts[0].weights_sha256 == facts[1].weights_sha256
    assert facts[0].training.best_step == facts[1].training.best_step and facts[1].training.resumes == 2
    logs = [log_without_times(tmp_path / name) for name in ("whole", "parts")]
    assert logs[0] == logs[1] and len(logs[0]) == facts[0].training.steps == 140


@pytest.mark.parametrize("world_size", [2])
def test_processes_together_equal_one(reviews, tmp_path, world_size):
    extra = (
        "--model-args",
        "embedding_size=8,hidden_size=8,dropout=0",
        "--epochs",
        "2",
        "--ema",
        "0",
        "--batch-tokens",
        "40",
    )
    one = subprocess.run(
        [sys.executable, *command(reviews, tmp_path / "one", *extra)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert one.returncode == 0, one.stderr
    together = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(world_size)),
            *("--log-dir", str(tmp_path / "logs")),
            *command(reviews, tmp_path / "together", *extra),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert together.returncode == 0, together.stderr
    logs = [list(read_log(tmp_path / name)) for name in ("one", "together")]
    assert len(logs[0]) == len(logs[1]) == 28
    for single, several in zip(*logs, strict=True):
        assert several["loss"] == pytest.approx(single["loss"], abs=1e-5)
        assert several["gradient_norm"] == pytest.approx(single["gradient_norm"], rel=1e-4)
        assert several["rows"] == single["rows"] and several["accuracy"] == single["accuracy"]
        if "validation" in single:
            assert several["validation"]["loss"] == pytest.approx(single["validation"]["loss"], abs=1e-5)
    facts = [read_facts(tmp_path / name) for name in ("one", "together")]
    assert facts[1].training.processes == world_size
    first, second = ({m.name: m.value for m in run.evaluations[0].metrics} for run in facts)
    assert first == pytest.approx(second, abs=1e-4)
    assert json.loads((tmp_path / "together" / "config.json").read_text())["task"] == "text-classification"


def side_by_side(arguments: list[str]) -> list[subprocess.CompletedProcess[str]]:
    """Runs two processes that know each other, as torchrun would start them; torchrun itself ends with 1 whatever they
    end with, and stops the others once one has ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {**ENVIRONMENT, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**common, "MASTER_PORT": port, "RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    return [
        subprocess.CompletedProcess(arguments, process.returncode, *output)
        for process, output in zip(processes, outputs, strict=True)
    ]


@pytest.mark.parametrize(
    ("extra", "code", "sentence"),
    [
        (["--columns", "text=txet,label=label"], 1, "error: reviews.csv: no column 'txet'; found: text, label."),
        (["--output", "{file}/out"], 2, r"error: --output .*/file/out cannot be written to \(Not a directory\)"),
    ],
)
def test_what_is_wrong_is_said_once_and_all_processes_end_alike(reviews, tmp_path, extra, code, sentence):
    (tmp_path / "file").write_text("")
    extra = [word.format(file=tmp_path / "file") for word in extra]
    first, second = side_by_side(command(reviews, tmp_path / "out", *extra))
    assert (first.returncode, second.returncode) == (code, code), first.stderr + second.stderr
    assert re.match(sentence, first.stderr) and first.stderr.count("\n") == 1
    assert second.stderr == "" and first.stdout == second.stdout == ""


AGREEMENTS = """
import json, sys
import torch
from quintet.finetune.processes import agreed, first_then_others, is_first_process, leave_processes, said_once
from quintet.pipelines.errors import DataError, TrainingError, UsageError

torch.distributed.init_process_group("gloo")
rank, outcomes = torch.distributed.get_rank(), []

def outcome(errors, around=agreed):
    try:
        with around():
            if errors.get(rank):
                raise errors[rank]
        return "went on"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

outcomes.append(outcome({}))
outcomes.append(outcome({0: UsageError("no")}))
outcomes.append(outcome({1: DataError("row 7")}))
outcomes.append(outcome({0: UsageError("one"), 1: DataError("other")}))
outcomes.append(outcome({1: KeyError("x")}))
outcomes.append(outcome({0: TrainingError("nan"), 1: TrainingError("nan")}, said_once))
outcomes.append(first_then_others(lambda: f"prepared by {rank}"))
print(json.dumps(outcomes))
leave_processes()
"""


def test_processes_go_on_together_or_not_at_all():
    first, second = side_by_side(["-c", AGREEMENTS])
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert json.loads(first.stdout) == [
        "went on",
        "UsageError: no",
        "TrainingError: process 1 cannot go on: row 7",
        "UsageError: one",
        "TrainingError: process 1 cannot go on: KeyError('x')",
        "TrainingError: nan",
        "prepared by 0",
    ]
    assert json.loads(second.stdout) == [
        "went on",
        "EndedWithFirst: 2",
        "EndedWithFirst: 1",
        "EndedWithFirst: 2",
        "KeyError: 'x'",
        "EndedWithFirst: 1",
        "prepared by 1",
    ]
