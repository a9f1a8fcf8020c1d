"""Runs in processes of their own: killed and taken up again, and two at once."""

import json
import os
import random
import signal
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
