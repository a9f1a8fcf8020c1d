"""The wrong answers that a model is surest of: where labels are wrong, or the model has learned something else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cards.facts import MistakeFact
from .metrics import MULTI_LABEL_THRESHOLD
from .problems import MULTI_LABEL, REGRESSION

LONGEST_TEXT = 240
"""Characters of a text that are kept."""


def most_confident_mistakes(
    probabilities: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    problem_type: str,
    texts: Sequence[str],
    text_pairs: Sequence[str | None] | None = None,
    *,
    count: int = 20,
) -> tuple[MistakeFact, ...]:
    """The ``count`` wrong answers with the highest confidence, highest first, then in the order of the rows given.

    Single-label: the probability of the wrong answer. Multi-label: the largest probability by which a label is wrongly
    given or wrongly withheld. Regression: the absolute error; every row counts as wrong.

    Args:
        probabilities: (rows, classes); for regression the predicted numbers (rows,) or (rows, 1).
        labels: class ids (rows,), 0 or 1 (rows, classes), or numbers (rows,).
        names: class names in id order.
        problem_type: as in transformers' config.
        texts: the inputs; only those of mistakes are read.
        text_pairs: the second texts of pairs.
        count: how many at most.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if problem_type == REGRESSION:
        answers = probabilities.reshape(len(labels))
        confidence = np.abs(answers - labels)
        wrong = confidence > 0
    elif problem_type == MULTI_LABEL:
        given = probabilities >= MULTI_LABEL_THRESHOLD
        differs = given != (labels >= 0.5)
        confidence = np.where(differs, np.where(given, probabilities, 1 - probabilities), 0).max(1)
        wrong = differs.any(1)
        answers = given
    else:
        answers = probabilities.argmax(1)
        confidence = probabilities.max(1)
        wrong = answers != labels
    candidates = np.flatnonzero(wrong)
    worst = candidates[np.argsort(-confidence[candidates], kind="stable")][:count]
    return tuple(
        MistakeFact(
            row=int(row) + 1,
            text=shorten(texts[int(row)]),
            label=_words(labels[row], names, problem_type),
            prediction=_words(answers[row], names, problem_type),
            confidence=float(confidence[row]),
            text_pair=shorten(text_pairs[int(row)]) if text_pairs is not None else None,
        )
        for row in worst
    )


def shorten(text: str | None) -> str:
    """``text`` on one line, cut after 240 characters; the cut is marked by ``…``."""
    # far more than is kept is never looked at: a text may be megabytes long
    line = " ".join((text or "")[: 8 * LONGEST_TEXT].split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1].rstrip() + "…"


def _words(answer: np.ndarray, names: Sequence[str], problem_type: str) -> str:
    """One answer or label as people write it."""
    if problem_type == REGRESSION:
        return f"{float(answer):.6g}"
    if problem_type == MULTI_LABEL:
        return ", ".join(name for name, is_given in zip(names, answer >= 0.5, strict=True) if is_given) or "none"
    return names[int(answer)]
