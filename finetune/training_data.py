"""The data of a training run: loading as the settings say, and rows fetched by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipelines.errors import DataError
from ..pipelines.tasks import Task, in_languages, task_options
from .settings import FinetuneSettings

if TYPE_CHECKING:
    from .data import TaskData

PAIR_NAMES = ("sentence-pair", "paraphrase")
"""Names of text classification by which two texts are asked for."""


def load_task_data(settings: FinetuneSettings, task: Task, rows: Any, *, rejected: Path | None) -> TaskData:
    """The splits that ``settings`` ask for, with the columns of ``task``.

    Args:
        settings: as given.
        task: the row.
        rows: data in memory, in place of ``settings.dataset``; None otherwise.
        rejected: file for bad rows; None where nothing may be written.

    Raises:
        DataError: the data cannot be read or trained on.
    """
    from .data import load_data

    data = load_data(
        settings.dataset if rows is None else rows,
        task=in_languages(task, task_options(settings.task)),
        columns=settings.columns or None,
        config=settings.dataset_config,
        train_split=settings.train_split,
        validation_split=settings.validation_split,
        test_split=settings.test_split,
        validation_fraction=settings.validation_fraction,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
        bad_rows=settings.bad_rows,
        rejected_path=rejected,
        label_names=settings.label_names or None,
        max_rows=settings.max_rows,
        problem_type=settings.problem_type,
        text_unit=settings.text_unit,
    )
    found = data.report.columns
    if settings.task in PAIR_NAMES and "text_pair" not in found:
        raise DataError(
            f"{settings.task} compares two texts, and {data.report.name} has one, '{found['text']}' (found: "
            f"{', '.join(data.report.found_columns)}); name the other with --columns text={found['text']},text_pair=…, "
            "or train text-classification, which takes single texts"
        )
    return data


class SplitRows:
    """The rows of a split of `datasets`, which stay in its Arrow file on the disk."""

    def __init__(self, split: Any) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """The columns of the rows ``indices``."""
        return self.split[indices.tolist()]
