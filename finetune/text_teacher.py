"""A teacher for text classification: labels the training texts, and altered copies of them, with its logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipelines.checkpoints import load_checkpoint
from ..pipelines.text_classification import TextClassificationPipeline
from ..pipelines.tokenization import TextTokenizer
from .distillation import AlteredRows, LabelledRows, order_of_labels, teacher_logits
from .recipe import TrainingRows
from .text_inputs import inputs_of
from .text_models import TextStart

if TYPE_CHECKING:
    from .data import TaskData

LOGITS_FILE = "teacher.npy"


def rows_with_teacher(rows: TrainingRows, start: TextStart, data: TaskData, prepared: Path) -> TrainingRows:
    """``rows``, and altered copies if the settings ask for them, with the teacher's logits.

    Args:
        rows: of the training split.
        start: with the settings and the student's tokenizer.
        data: whose labels the teacher must know.
        prepared: folder where the logits are kept for a run that goes on.

    Raises:
        UsageError: the teacher has other labels.
        WeightsError: the teacher cannot be loaded.
    """
    from rich.console import Console
    from rich.progress import Progress

    settings = start.settings
    teacher = load_checkpoint(
        settings.teacher or "",
        task="text-classification",
        device=settings.device,
        dtype=settings.precision,
        trust_remote_code=settings.trust_remote_code,
    )
    order = [0] if data.labels is None else order_of_labels(teacher.config.labels, data.labels, teacher.name)
    pipeline = TextClassificationPipeline.from_checkpoint(teacher)

    def label(columns: Mapping[str, Sequence[Any]]) -> Iterator[np.ndarray]:
        for output in pipeline.outputs(inputs_of(columns)):
            # windows of a long text weigh by their length, as in the pipeline's own merging
            yield np.average(np.stack(output.windows), axis=0, weights=output.lengths)[order].astype(np.float32)

    # both see the same words altered, each with the mask that it knows
    seen, shown = rows, rows
    if settings.augment:
        seen, shown = (
            AlteredRows(rows, settings.augment, settings.augment_by, mask_of(tokenizer), settings.seed)
            for tokenizer in (teacher.tokenizer, start.tokenizer)
        )
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{teacher.name} labels {len(seen):,} texts", total=len(seen))
        logits = teacher_logits(
            seen,
            len(order),
            label,
            prepared / LOGITS_FILE,
            on_progress=lambda done, total: bar.update(task, completed=done),
        )
    return LabelledRows(shown, logits)


def mask_of(tokenizer: TextTokenizer) -> str:
    """What stands for a hidden word: the mask token, else the unknown token; empty where there is neither."""
    settings: Mapping[str, Any] = tokenizer.settings
    if tokenizer.transformers_tokenizer is not None:
        special = tokenizer.transformers_tokenizer.special_tokens_map
        settings = {name: str(token) for name, token in special.items()}
    return settings.get("mask_token") or settings.get("unk_token") or ""
