"""Training for next sentence prediction (Devlin et al. 2019, section 3.1, task 2): whether one text follows another.

It is text classification with two classes that always have the same names and places, whatever the data calls them. The
pairs are those of the data, or are made of its documents; see `following_texts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipelines.errors import DataError
from ..pipelines.next_sentence_prediction import LABELS
from .following_texts import DOCUMENT, is_unpaired, paired
from .label_answers import measure_labels
from .measuring import Conditions, Measured
from .problems import SINGLE_LABEL
from .recipe import Features
from .text_classification import TextClassificationRecipe
from .text_inputs import inputs_of

if TYPE_CHECKING:
    from datasets import Dataset

    from ..cards.facts import CalibrationFacts
    from ..pipelines.tasks import Task
    from .data import TaskData
    from .settings import FinetuneSettings

NAMES: tuple[frozenset[str], frozenset[str]] = (
    frozenset({"isnext", "is_next", "next", "yes", "true", "1"}),
    frozenset({"notnext", "not_next", "no", "false", "0"}),
)
"""What data may call each of `LABELS`, in small letters."""

PAIRS = "made of the documents by the seed: half of them follow each other, half have a sentence of another document"

MEASURING_SEED = 0
"""By which pairs of documents are made for measuring, unless asked otherwise."""

LONG_PAIRS = "the end of the first text and the beginning of the second"


class NextSentencePredictionRecipe(TextClassificationRecipe):
    """The part of training that is about texts that follow each other; see `recipe.TaskRecipe`."""

    unused_settings = ("teacher", "augment", "problem_type", "label_names")

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> TextClassificationRecipe:
        """The recipe at its beginning: model and tokenizer made, labels under their names, pairs of documents made."""
        if not is_unpaired(data):
            return super().start(task, settings, as_next(data), prepared)
        seeds = {"train": settings.seed}
        if len(data.splits.get("validation", ())):
            data = data.by_content("validation")  # the pairs that the exported checkpoint is measured on
            seeds["validation"] = MEASURING_SEED
        return super().start(task, settings, paired(data, LABELS, seeds, prepared), prepared)

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Token ids (int32) of the pairs, cut around the place where their texts meet, and the class."""
        pairs = self.pipeline.samples(list(inputs_of(rows)), self.pipeline.options)
        features = []
        for (sample,), label in zip(pairs, rows["label"], strict=True):
            read = {name: np.asarray(ids, dtype=np.int32) for name, ids in sample.features.features().items()}
            features.append({**read, "target": label})
        return features

    def calibrate(self) -> CalibrationFacts | None:
        """Nothing: the scores stay as they were trained."""
        return None

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the probabilities that ``pipe`` gives."""
        renamed = {} if conditions.label_map is None else dict(conditions.label_map)
        names = replace(conditions, labels=LABELS, problem_type=SINGLE_LABEL, label_map={})
        if not is_unpaired(data):
            measured = measure_labels(pipe, as_next(data, renamed), role, names)
            return replace(measured, protocol={"long_texts": LONG_PAIRS})
        data = paired(data, LABELS, {role: conditions.seed})
        measured = measure_labels(pipe, data, role, names)
        documents = data.splits[role][DOCUMENT]
        mistakes = tuple(replace(mistake, row=documents[mistake.row - 1] + 1) for mistake in measured.mistakes)
        return replace(measured, mistakes=mistakes, protocol={"long_texts": LONG_PAIRS, "pairs": PAIRS})


def as_next(data: TaskData, renamed: Mapping[str, str] | None = None) -> TaskData:
    """The data with the classes `LABELS`, in this order.

    Args:
        data: with a label for each pair.
        renamed: the data's label → what it means.

    Raises:
        DataError: the labels do not say whether a text follows.
    """
    theirs = [str((renamed or {}).get(label, label)) for label in data.labels or ()]
    meant = [next((index for index, names in enumerate(NAMES) if label.casefold() in names), None) for label in theirs]
    if not theirs or None in meant:
        raise DataError(
            f"the labels are {', '.join(data.labels or ()) or 'none'}; expected whether a text follows the other: "
            "IsNext and NotNext, yes and no, true and false, or 1 and 0. Rename them in the data"
        )
    splits = data.splits
    if meant != [0, 1]:
        classes = np.asarray(meant, dtype=np.int64)
        with _no_bars():
            splits = {
                name: _with_labels(split, classes[np.asarray(split["label"][:])]) for name, split in splits.items()
            }
    return replace(data, labels=LABELS, problem_type=SINGLE_LABEL, splits=splits)


def _with_labels(split: Dataset, labels: np.ndarray) -> Dataset:
    """``split`` with ``labels``, int64 (rows,), in place of its own."""
    return split.remove_columns("label").add_column("label", labels)  # pyright: ignore[reportCallIssue]


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keeps `datasets` from showing its progress over rows that are only numbered anew."""
    import datasets

    were_disabled = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            datasets.enable_progress_bars()
