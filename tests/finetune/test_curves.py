"""The picture of a log, and the bar."""

import io
import json

import numpy as np
from quintet.finetune.curves import draw_curves, smoothed
from quintet.finetune.plan import Plan
from quintet.finetune.progress import ProgressBar
from quintet.finetune.training_state import Position
from rich.console import Console


def test_curves_are_drawn_from_the_log(tmp_path):
    lines = [{"step": step, "epoch": 1, "loss": 1 / step, "accuracy": 0.5} for step in range(1, 30)]
    lines[-1]["validation"] = {"loss": 0.3, "accuracy": 0.6}
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = draw_curves(tmp_path, "accuracy", 29)
    assert path is not None and path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 10_000


def test_no_log_no_picture(tmp_path):
    assert draw_curves(tmp_path, "accuracy", None) is None
    assert list(tmp_path.iterdir()) == []


def test_smoothing_is_the_mean_of_the_neighbours():
    assert smoothed([0, 3, 6, 0]).tolist() == [1.5, 3, 3, 3]
    assert smoothed(np.ones(1000)).tolist() == [1.0] * 1000


def test_a_measurement_is_a_line_that_stays():
    console = Console(file=io.StringIO(), width=200)
    bar = ProgressBar("accuracy", console)
    position = Position(step=2, best_step=2)
    bar.start(Plan(10, 5, 4, 0), Position())
    bar.advance({"step": 1, "epoch": 1, "rows": 5, "loss": 1.0}, Position(step=1))
    bar.advance(
        {"step": 2, "epoch": 1, "rows": 5, "loss": 2.0, "validation": {"loss": 0.4, "accuracy": 0.75}}, position
    )
    bar.stop()
    expected = "step 2, epoch 1: loss 1.0500, validation loss 0.4000, accuracy 0.7500 (best so far)\n"
    assert console.file.getvalue() == expected


def test_where_the_loss_is_the_metric_it_is_named_once():
    console = Console(file=io.StringIO(), width=200)
    bar = ProgressBar("loss", console)
    bar.start(Plan(10, 5, 4, 0), Position())
    line = {"step": 1, "epoch": 1, "rows": 5, "loss": 1.0, "validation": {"loss": 0.4, "perplexity": 1.5}}
    bar.advance(line, Position(step=1, best_step=1))
    bar.stop()
    assert console.file.getvalue() == "step 1, epoch 1: loss 1.0000, validation loss 0.4000 (best so far)\n"


def test_a_terminal_gets_a_bar_with_rate_and_time_left():
    console = Console(file=io.StringIO(), width=160, force_terminal=True)
    bar = ProgressBar("accuracy", console)
    bar.start(Plan(10, 5, 4, 0), Position())
    bar.advance({"step": 1, "epoch": 1, "rows": 5, "loss": 1.0}, Position(step=1))
    bar.stop()
    for words in ("training", "1/4", "loss 1.0000", "samples/s", "left"):
        assert words in console.file.getvalue()
