"""Learning from a teacher: its logits on the training texts, and on altered copies of them, become targets.

Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks": squared error of logits,
and copies of the training texts by masking words and sampling n-grams (section 3.3), which the teacher labels. Beside
these two ways of altering a text there are two that need another text: replacing words by its words, and splicing the
beginning of one text to the end of the other. The teacher says what the result means, so it need not make sense.
Hinton et al. 2015, "Distilling the Knowledge in a Neural Network": KL divergence of softened probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..pipelines.errors import UsageError
from .recipe import TrainingRows
from .settings import FinetuneSettings

MASK_PROBABILITY = 0.1  # Tang et al. 2019, section 4.2: p_mask
REPLACE_PROBABILITY = 0.15  # as often as BERT hides words (Devlin et al. 2019, section 3.1)
NGRAM_LENGTHS = (1, 5)  # Tang et al. 2019: n is drawn uniformly from these, both included

LONGEST_MEAN_WORD = 20
"""Letters a word on average at most; longer ones are no words but text without spaces."""

BLOCK_ROWS = 1024
"""Rows that the teacher labels between two writes to the disk."""


def distillation_losses(logits: torch.Tensor, teacher: torch.Tensor, settings: FinetuneSettings) -> torch.Tensor:
    """Distance of each row of ``logits`` from the teacher's, both (batch, classes) float32; (batch,).

    ``mse``: squared error, averaged over classes (Tang et al. 2019, equation 5). ``kl``: KL divergence of the
    distributions at the temperature, times its square, which keeps gradients of the same size (Hinton et al. 2015).
    """
    if settings.teacher_loss == "mse":
        return functional.mse_loss(logits, teacher, reduction="none").mean(-1)
    temperature = settings.teacher_temperature
    return temperature**2 * functional.kl_div(
        functional.log_softmax(logits / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        reduction="none",
        log_target=True,
    ).sum(-1)


def altered_text(text: str, other: str, ways: Sequence[str], mask: str, seed: Sequence[int]) -> str:
    """``text`` altered in one of ``ways``; the same arguments give the same text.

    Texts without spaces, as in Chinese, are altered by characters.

    Args:
        text: the text.
        other: another text of the data set, for ``replace`` and ``splice``.
        ways: to choose from: ``mask``, ``ngram``, ``replace``, ``splice``.
        mask: what a masked word becomes; empty drops it.
        seed: of the choices.
    """
    generator = np.random.default_rng(list(seed))
    is_spaced = text.count(" ") * LONGEST_MEAN_WORD >= len(text) - LONGEST_MEAN_WORD
    words, others = (text.split(), other.split()) if is_spaced else (list(text), list(other))
    if len(words) < 2 or not others:
        return text
    way = ways[int(generator.integers(len(ways)))]
    if way == "mask":
        words = [
            mask if hit else word for word, hit in zip(words, _hits(generator, words, MASK_PROBABILITY), strict=True)
        ]
    elif way == "replace":
        drawn = generator.integers(len(others), size=len(words))
        hits = _hits(generator, words, REPLACE_PROBABILITY)
        words = [others[index] if hit else word for word, index, hit in zip(words, drawn, hits, strict=True)]
    elif way == "splice":
        end, start = generator.integers(1, len(words) + 1), generator.integers(0, len(others))
        words = words[:end] + others[start:]
    else:
        length = min(len(words), int(generator.integers(NGRAM_LENGTHS[0], NGRAM_LENGTHS[1] + 1)))
        start = int(generator.integers(0, len(words) - length + 1))
        words = words[start : start + length]
    return (" " if is_spaced else "").join(word for word in words if word)


def _hits(generator: np.random.Generator, words: Sequence[str], probability: float) -> np.ndarray:
    """Which words are altered: each with that probability, and at least one."""
    hits = generator.random(len(words)) < probability
    hits[int(generator.integers(len(words)))] |= not hits.any()
    return hits


class AlteredRows:
    """Training rows followed by altered copies of them, made when fetched, so that they take no memory.

    Args:
        rows: with a column text; a second text of a pair is left as it is.
        copies: of each row.
        ways: of altering, as in `altered_text`.
        mask: what a masked word becomes.
        seed: of the run.
    """

    def __init__(self, rows: TrainingRows, copies: int, ways: Sequence[str], mask: str, seed: int) -> None:
        self.rows, self.copies, self.ways, self.mask, self.seed = rows, copies, ways, mask, seed

    def __len__(self) -> int:
        return len(self.rows) * (1 + self.copies)

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """The columns of the rows and ``altered``; row ``len(rows) + i`` is a copy of row ``i % len(rows)``."""
        columns = dict(self.rows.fetch(indices % len(self.rows)))
        is_copy = indices >= len(self.rows)
        others = iter(self._others(indices[is_copy]))
        columns["text"] = [
            altered_text(text, next(others), self.ways, self.mask, (self.seed, int(index))) if copied else text
            for index, text, copied in zip(indices, columns["text"], is_copy, strict=True)
        ]
        columns["altered"] = is_copy.tolist()
        return columns

    def _others(self, indices: np.ndarray) -> Sequence[str]:
        """Another text for each copy, by a hash of its number."""
        hashed = (indices.astype(np.uint64) + np.uint64(self.seed % 2**32)) * np.uint64(0x9E3779B97F4A7C15)  # Fibonacci
        partners = (hashed >> np.uint64(20)) % np.uint64(len(self.rows))
        return self.rows.fetch(partners.astype(np.int64))["text"] if len(indices) else []


class LabelledRows:
    """Rows with the teacher's logits as the column ``teacher``.

    Args:
        rows: with a column text.
        logits: float32 (rows, classes), on disk or in memory.
    """

    def __init__(self, rows: TrainingRows, logits: np.ndarray) -> None:
        self.rows, self.logits = rows, logits

    def __len__(self) -> int:
        return len(self.rows)

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """The columns of the rows with ``teacher``, float32 (classes,) each."""
        return {**self.rows.fetch(indices), "teacher": list(np.asarray(self.logits[indices]))}


def teacher_logits(
    rows: TrainingRows,
    classes: int,
    label: Callable[[Mapping[str, Sequence[Any]]], Iterable[np.ndarray]],
    path: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The teacher's logits of all rows, float32 (rows, classes), kept in the file ``path`` (.npy) and read from there.

    What is in the file already is not computed again: rows not done yet are NaN.

    Args:
        rows: to label.
        classes: of the student, in whose order ``label`` gives logits.
        label: columns of some rows → their logits.
        path: of the file; its folder must exist.
        on_progress: told (rows done, rows in all) after each block.
    """
    if path.exists():
        logits = np.lib.format.open_memmap(path, mode="r+")
    else:
        logits = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(rows), classes))
        logits[:] = np.nan
    for start in range(0, len(rows), BLOCK_ROWS):
        indices = np.arange(start, min(start + BLOCK_ROWS, len(rows)))
        if np.isnan(logits[indices]).any():
            logits[indices] = np.stack(list(label(rows.fetch(indices))))
            logits.flush()
        if on_progress:
            on_progress(int(indices[-1]) + 1, len(rows))
    return logits


def order_of_labels(teacher: Sequence[str], student: Sequence[str], name: str) -> list[int]:
    """For each of the student's labels the teacher's class id; matched by name, never by position.

    Raises:
        UsageError: the labels are not the same.
    """
    if set(teacher) != set(student):
        raise UsageError(
            f"--teacher {name} answers with the labels {', '.join(teacher)}, but the data set has "
            f"{', '.join(student)}; they must be the same. {_way_out(teacher, student)}"
        )
    return [list(teacher).index(label) for label in student]


def _way_out(teacher: Sequence[str], student: Sequence[str]) -> str:
    """What helps: ``--label-names`` names numbered labels and changes case; it renames nothing else."""
    names = ",".join(teacher)
    if sorted(student) == sorted(map(str, range(len(teacher)))):
        pairs = ", ".join(f"{number} is {label}" for number, label in enumerate(teacher))
        return f"If {pairs}, give --label-names {names}; else a teacher that was trained on the labels of the data set"
    if sorted(map(str.casefold, teacher)) == sorted(map(str.casefold, student)):
        return f"Give --label-names {names}"
    return "Give a teacher that was trained on the labels of the data set, or rename the labels in the data"
