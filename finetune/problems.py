"""The kinds of problem that can be learnt, named as in transformers' config where it has a name."""

from __future__ import annotations

from typing import Literal

from ..pipelines.tasks import Task

ProblemType = Literal[
    "single_label_classification",
    "multi_label_classification",
    "regression",
    "tagging",
    "span_extraction",
    "writing",
    "language_modelling",
    "matching",
    "segmentation",
    "detection",
]

SINGLE_LABEL: ProblemType = "single_label_classification"
MULTI_LABEL: ProblemType = "multi_label_classification"
REGRESSION: ProblemType = "regression"
TAGGING: ProblemType = "tagging"
SPAN_EXTRACTION: ProblemType = "span_extraction"
WRITING: ProblemType = "writing"
LANGUAGE_MODELLING: ProblemType = "language_modelling"
MATCHING: ProblemType = "matching"
"""Pairs that belong together: of all second texts the right one is to be found."""

SEGMENTATION: ProblemType = "segmentation"
DETECTION: ProblemType = "detection"

CLASSIFICATION: tuple[ProblemType, ...] = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
"""Those between which the labels of the data decide."""


_BY_KIND: dict[str, ProblemType] = {
    "tags": TAGGING,
    "answers": SPAN_EXTRACTION,
    "text": WRITING,
    "document": MATCHING,
    "mask": SEGMENTATION,
    "objects": DETECTION,
}


def problem_of(task: Task) -> ProblemType | None:
    """The kind of problem of a task, by what it is to find out; None where that depends on the labels."""
    if task.target is None:
        return LANGUAGE_MODELLING
    return _BY_KIND.get(task.target.kind)
