"""Zero-shot classification measured on labelled texts; it is trained as text classification of pairs.

The candidate labels are the names of the data set's labels, or those that ``--label-map`` gives them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipelines.errors import DataError, UsageError
from .label_answers import measure_probabilities, windows_note
from .measuring import Conditions, Measured
from .problems import MULTI_LABEL, REGRESSION
from .settings import FinetuneSettings

if TYPE_CHECKING:
    from .data import TaskData


class ZeroShotRecipe:
    """The measuring part of `recipe.TaskRecipe`; there is nothing to train."""

    @classmethod
    def check(cls, settings: FinetuneSettings) -> None:
        """Says how it is trained instead.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "zero-shot-classification learns no labels, so there is nothing to train; train text-classification on "
            "pairs with labels such as entailment, neutral and contradiction (premise, hypothesis), and run that "
            f"checkpoint: quintet finetune text-classification --model {settings.model} --dataset nli.csv --output "
            "out/nli"
        )

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the scores that ``pipe`` gives to the labels of the data.

        Raises:
            DataError: the labels are numbers, of which no sentence can be made.
        """
        if data.problem_type == REGRESSION or data.labels is None:
            raise DataError(
                "the labels of the data set are numbers, and zero-shot-classification needs words to choose from; name "
                "the column with the classes: --columns label=…"
            )
        renamed = [conditions.label_map.get(name, name) for name in data.labels]
        numbers = [name for name in renamed if not any(map(str.isalpha, name))]
        if numbers:
            pairs = ",".join(f"{name}=…" for name in data.labels)
            raise DataError(
                f"the label '{numbers[0]}' of the data set has no word in it that a text could be about; give each "
                f"label one: --label-map {pairs}"
            )
        names = tuple(dict.fromkeys(renamed))
        ids = np.array([names.index(name) for name in renamed])
        rows, is_multi = data.splits[role], data.problem_type == MULTI_LABEL
        found: Any = np.asarray(rows["label"][:])
        labels = np.stack([found[:, ids == index].max(1) for index in range(len(names))], 1) if is_multi else ids[found]
        scores, notes = _scores(pipe, rows["text"], names, is_multi, conditions)
        return measure_probabilities(
            scores,
            labels,
            replace(conditions, labels=names, problem_type=data.problem_type),
            rows["text"],
            notes=notes,
        )


def _scores(
    pipe: Any, texts: Any, names: tuple[str, ...], is_multi: bool, conditions: Conditions
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Scores of the labels ``names``, float64 (rows, labels), and notes about how they came about."""
    options = {"candidate_labels": list(names), "multi_label": is_multi}
    settings = pipe.read_options(options)
    parts, windowed = [], 0
    for output in pipe.outputs(texts, **options):
        answer = pipe.postprocess(output, settings)
        scores = dict(zip(answer["labels"], answer["scores"], strict=True))
        parts.append([scores[name] for name in names])
        windowed += len(output.windows) > len(names)
        if conditions.progress is not None:
            conditions.progress(len(parts), len(texts))
    if not parts:
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    return np.array(parts, dtype=np.float64), windows_note(windowed, len(parts))
