"""From logits to scores, for classification of texts and of pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

Function = Literal["softmax", "sigmoid", "none"]


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-logits))


FUNCTIONS: Mapping[Function, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "none": lambda logits: logits,
}


def function_for(problem_type: str | None, classes: int) -> Function:
    """From logits to scores by the kind of problem, as transformers chooses."""
    if problem_type == "regression":
        return "none"
    return "sigmoid" if problem_type == "multi_label_classification" or classes == 1 else "softmax"


def is_count(value: Any) -> bool:
    """Whether ``value`` is a whole number from 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
