"""Pictures of an evaluation: which classes are taken for which, and whether confidence can be trusted.

Drawn without pyplot, so that no window system, global state or style of the caller is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .bootstrap import ECE_BINS, confidence_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, BLUE, ORANGE = "#1b1f24", "#6b7280", "#2563a8", "#d9822b"

MOST_CELLS_WITH_NUMBERS = 25
"""Classes up to which a cell of the confusion matrix is large enough for its count."""

MOST_NAMES = 60
"""Classes up to which every name is written on the axes; beyond it every second, third … one."""

FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Arial Unicode MS",
    "Noto Sans",
)
"""Fonts for the letters that matplotlib's own lacks, Chinese above all; the ones installed are used."""


def confusion_matrix(
    confusion: Sequence[Sequence[int]] | np.ndarray, labels: Sequence[str], path: str | Path, *, title: str = ""
) -> None:
    """Writes a PNG picture: a row a true class, a column a predicted one; colour = share of the row, number = rows.

    Args:
        confusion: counts (classes, classes), row = true class.
        labels: class names, in the same order.
        path: the file to write.
        title: a line above, for instance data set, split and accuracy.
    """
    counts = np.asarray(confusion)
    classes = len(labels)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = float(np.clip(0.55 * classes, 2.6, 13.0))  # inches
    font = float(np.clip(13 - 0.28 * classes, 5, 11))
    names, families = _drawable(labels)
    longest = min(max(len(name) for name in names), 24)
    margin = 0.085 * longest
    figure = _figure(side + margin + 1.8, side + margin + 1.2)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    step = -(-classes // MOST_NAMES)
    shown = range(0, classes, step)
    short = [names[index] if len(names[index]) <= 24 else names[index][:23] + "…" for index in shown]
    turned = classes > 6 or longest * classes > 40
    axes.set_xticks(list(shown), short, rotation=90 if turned else 0, fontsize=font, fontfamily=families)
    axes.set_yticks(list(shown), short, fontsize=font, fontfamily=families)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted", color=MUTED, labelpad=8)
    axes.set_ylabel("true", color=MUTED, labelpad=8)
    if classes <= MOST_CELLS_WITH_NUMBERS:
        _write_cells(axes, counts, shares, font)
        _draw_gaps(axes, classes)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format=lambda share, _: f"{share:.0%}")
    bar.set_label("share of the true class", color=MUTED)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    for spine in axes.spines.values():
        spine.set_visible(False)
    _title(axes, title)
    _save(figure, path)


def reliability_diagram(probabilities: np.ndarray, labels: np.ndarray, path: str | Path, *, title: str = "") -> None:
    """Writes a PNG picture: accuracy of the answers in each bin of confidence, above how many answers are in the bin.

    On the diagonal the model is as often right as it says; below it, it is too sure of itself.

    Args:
        probabilities: (rows, classes), rows summing to 1.
        labels: class ids (rows,).
        path: the file to write.
        title: a line above.
    """
    confidence = np.asarray(probabilities).max(1)
    correct = np.asarray(probabilities).argmax(1) == np.asarray(labels)
    bins = confidence_bins(confidence)
    rows = np.bincount(bins, minlength=ECE_BINS)
    filled = np.flatnonzero(rows)
    accuracy = np.bincount(bins, weights=correct, minlength=ECE_BINS)[filled] / rows[filled]
    mean_confidence = np.bincount(bins, weights=confidence, minlength=ECE_BINS)[filled] / rows[filled]
    centres = (np.arange(ECE_BINS) + 0.5) / ECE_BINS
    figure = _figure(5.0, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="as sure as right")
    # an exact binomial interval would be better, but the eye needs only the order of magnitude
    spread = 1.96 * np.sqrt(np.maximum(accuracy * (1 - accuracy), 0.25 / rows[filled]) / rows[filled])
    below, above = np.minimum(spread, accuracy), np.minimum(spread, 1 - accuracy)
    upper.errorbar(
        mean_confidence, accuracy, yerr=np.stack([below, above]), fmt="o", color=BLUE, ecolor="#a9c4de", markersize=5,
        capsize=2, label="answers, with 95 % range",
    )  # fmt: skip
    upper.set(xlim=(0, 1.01), ylim=(0, 1.03), ylabel="accuracy")
    upper.legend(frameon=False, loc="upper left", fontsize=9)
    lower.bar(centres[filled], rows[filled], width=0.9 / ECE_BINS, color=BLUE)
    lower.set(xlabel="confidence", ylabel="rows")
    for axes in (upper, lower):
        axes.grid(axis="y", color="#e5e7eb", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    _title(upper, title)
    _save(figure, path)


def _write_cells(axes: Axes, counts: np.ndarray, shares: np.ndarray, font: float) -> None:
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            color = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=color, fontsize=font)


def _draw_gaps(axes: Axes, classes: int) -> None:
    """White lines between the cells, so that pale neighbours stay apart."""
    edges = np.arange(classes + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)


def _drawable(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names that the installed fonts can draw, and these fonts; a name that none can becomes ``class 3``."""
    covered, families = _covered_letters("".join(labels))
    names = [label if label and covered.issuperset(label) else f"class {index}" for index, label in enumerate(labels)]
    return [_literal(name) for name in names], families


def _covered_letters(text: str) -> tuple[set[str], list[str]]:
    """The letters of ``text`` that the installed fonts can draw, and these fonts, in the order to try them."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    installed = {font.name: font.fname for font in reversed(font_manager.fontManager.ttflist)}
    families = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]
    letters, covered = set(text), set()
    for family in families:
        if letters > covered:
            font = FT2Font(installed[family])
            covered |= {letter for letter in letters if font.get_char_index(ord(letter))}
    return covered, families


def _literal(text: str) -> str:
    """Text in which a pair of dollars is not set as a formula."""
    return text.replace("$", r"\$")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # The layout is an approximation: beside a square picture with its colour bar it is off by up to 0.08 inches, by
    # which the name of an axis was cut.
    layout = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.08)
    return Figure(figsize=(width, height), dpi=130, layout=layout, facecolor="white")


def _title(axes: Axes, title: str) -> None:
    """A title without the letters that no font can draw."""
    covered, families = _covered_letters(title)
    shown = _literal("".join(letter for letter in title if letter in covered).lstrip(" ,"))
    axes.set_title(shown, fontsize=10, color=INK, loc="left", pad=10, wrap=True, fontfamily=families)


def _save(figure: Figure, path: str | Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_png(
        str(path), metadata={"Software": None}
    )  # else the same picture changes with versions
