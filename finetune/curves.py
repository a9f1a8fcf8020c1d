"""``curves.png``: loss and metric of training and validation over the steps, from ``log.jsonl``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .step_log import read_log

FILE_NAME = "curves.png"

TRAINING, VALIDATION, INK = "#8fa8c8", "#c44e2f", "#333333"


def draw_curves(folder: Path, metric: str, best_step: int | None) -> Path | None:
    """Draws the log in ``folder`` as ``curves.png``; returns its path, or None where there is no log.

    Args:
        folder: with ``log.jsonl``; the picture is put beside it.
        metric: drawn below the loss.
        best_step: marked, as the step whose weights were kept.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = list(read_log(folder))
    if not lines:
        return None
    measured = [line for line in lines if "validation" in line]
    figure = Figure(figsize=(7, 6), dpi=130, layout="constrained", facecolor="white")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, name in ((upper, "loss"), (lower, metric)):
        steps = [line["step"] for line in lines if name in line]
        if steps:
            axes.plot(steps, smoothed([line[name] for line in lines if name in line]), color=TRAINING, label="training")
        values = [line["validation"].get(name) for line in measured]
        if any(value is not None for value in values):
            axes.plot([line["step"] for line in measured], values, "o-", color=VALIDATION, label="validation", ms=4)
        if best_step is not None:
            axes.axvline(best_step, color=INK, linewidth=0.8, linestyle=":", label=f"kept: step {best_step}")
        axes.set_ylabel(name.replace("_", " "))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:  # nothing was measured, or every number was left out
            axes.legend(frameon=False, fontsize=8)
    lower.set_xlabel("optimizer steps")
    path = folder / FILE_NAME
    FigureCanvasAgg(figure).print_png(str(path), metadata={"Software": None})
    return path


def smoothed(values: Sequence[float]) -> np.ndarray:
    """The mean of each value and those around it, over a hundredth of the curve to either side."""
    array = np.asarray(values, dtype=np.float64)
    reach = max(1, len(array) // 100)
    sums = np.concatenate([[0.0], np.cumsum(array)])
    starts = np.maximum(np.arange(len(array)) - reach, 0)
    ends = np.minimum(np.arange(len(array)) + reach + 1, len(array))
    return (sums[ends] - sums[starts]) / (ends - starts)
