"""Training for masked words (Devlin et al. 2019, BERT, section 3.1): the network finds what is hidden of a text.

The texts of the training split are tokenized once and cut into pieces of the length that the network is trained on, so
that nothing of a long text is lost. Measuring goes through the pipeline, with its model and tokenizer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ..pipelines.errors import DataError
from ..pipelines.models.shapes import IGNORED
from ..pipelines.selected_tokens import has_separate_head, head_at
from .mask_answers import DIRECTIONS, TextScore, judged, mask_metrics, measure_masks
from .masking import Masking, training_generator
from .measuring import Conditions, Measured
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .text_models import TextStart, starting_point, training_texts
from .text_recipe import NOT_INPUTS, TextRecipe, gathered
from .tokenized_texts import TokenizedTexts

if TYPE_CHECKING:
    from ..pipelines.tasks import Task
    from ..pipelines.tokenization import TextTokenizer
    from .data import TaskData

TEXTS_FOLDER = "texts"


class PieceRows:
    """Pieces of tokenized texts as rows to train on."""

    def __init__(self, texts: TokenizedTexts, room: int) -> None:
        self._texts, self._pieces = texts, texts.pieces(room)

    def __len__(self) -> int:
        return len(self._pieces)

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """Token ids, int32, of the pieces ``indices``; and where words begin, bool, where that is known."""
        spans = self._pieces[indices].tolist()
        rows = {"input_ids": [np.array(self._texts.ids[start:stop]) for start, stop in spans]}
        if self._texts.is_start is not None:
            rows["is_start"] = [np.array(self._texts.is_start[start:stop]) for start, stop in spans]
        return rows


class FillMaskRecipe(TextRecipe):
    """The part of training that is about masked words; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, tokenizer and resolved settings.
        rows: to train on: ``input_ids`` without special tokens, and perhaps ``is_start``.
        problem_type: ``language_modelling``.
        validation: split with the column text; None where there is nothing to measure on.

    Raises:
        UsageError: the tokenizer has no token for a masked word.
        DataError: there is nothing to train on.
    """

    unused_settings = ("teacher", "augment", "class_weights", "problem_type", "label_names")

    def __init__(
        self,
        task: Task,
        start: TextStart,
        rows: TrainingRows,
        *,
        problem_type: str,
        validation: Any = None,
    ) -> None:
        super().__init__(
            task, start, rows, labels=None, problem_type=problem_type, validation=validation, directions=DIRECTIONS
        )
        if not len(rows):
            raise DataError("the texts of the training split have no tokens; expected at least one text with a word")
        self.masking = masking_of(start)
        self.has_separate_head = has_separate_head(start.model)
        self.before, self.after = special_ids_around(self.tokenizer)
        self.loss_of_guessing = math.log(self.tokenizer.vocab_size)

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> FillMaskRecipe:
        """The recipe at its beginning: model and tokenizer made, the training split tokenized."""
        start = starting_point(settings, data, prepared)
        masking_of(start)  # before the texts, of which there may be many
        texts = TokenizedTexts.of(
            training_texts(data), start.tokenizer, prepared / TEXTS_FOLDER, with_words=settings.mask_words
        )
        return cls(
            task,
            start,
            PieceRows(texts, room_of(start.tokenizer)),
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Token ids (int32) with the special tokens around them, and where words begin."""
        features = []
        for row, ids in enumerate(rows["input_ids"]):
            sample = {"input_ids": np.concatenate([self.before, ids, self.after])}
            if self.tokenizer.has_token_types:
                sample["token_type_ids"] = np.zeros_like(sample["input_ids"])
            if "is_start" in rows:
                is_start = np.ones(len(sample["input_ids"]), dtype=np.bool_)
                # a piece may begin within a word
                is_start[len(self.before) + 1 : len(self.before) + len(ids)] = rows["is_start"][row][1:]
                sample["is_start"] = is_start
            features.append(sample)
        return features

    def vary(self, features: Sequence[Features], epoch: int, rows: np.ndarray) -> list[Features]:
        """The samples with masks, and as target for each token what was masked there."""
        varied = []
        for sample, row in zip(features, rows.tolist(), strict=True):
            generator = training_generator(self.settings.seed, epoch, row)
            ids = sample["input_ids"].copy()
            places = self.masking.places(ids, generator, sample.get("is_start"))
            target = np.full(len(ids), IGNORED, dtype=np.int64)
            target[places] = ids[places]
            ids[places] = self.masking.replacements(ids[places], generator)
            varied.append({**sample, "input_ids": ids, "target": target})
        return varied

    def collate(self, features: Sequence[Features]) -> Batch:
        """Padded ids and targets, each (batch, length)."""
        batch = self.padded(features)
        batch["targets"] = self.padded_targets(features, batch["input_ids"].shape)
        return batch

    def count(self, batch: Batch) -> float:
        """Masked tokens."""
        return float((batch["targets"] != IGNORED).sum())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Cross-entropy of the masked tokens."""
        inputs = {name: tensor for name, tensor in batch.items() if name not in NOT_INPUTS}
        where = batch["targets"] != IGNORED
        targets = batch["targets"][where]  # (masked,)
        if self.has_separate_head:
            with head_at(self.model, where):
                logits = model(**inputs).logits[0].float()  # (masked, vocab)
        else:
            logits = model(**inputs).logits[where].float()
        total = functional.cross_entropy(
            logits, targets, label_smoothing=self.settings.label_smoothing or 0.0, reduction="sum"
        )
        right = torch.zeros(where.shape, device=where.device)
        right[where] = (logits.argmax(-1) == targets).float()
        return BatchLoss(total, {"accuracy": (right.sum(1) / where.sum(1).clamp(min=1)).sum()})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Metrics on validation, by the masks that the exported checkpoint is measured on."""
        texts = islice(self.validation["text"], rank, None, world_size)
        own = [text.score for text in judged(self.pipeline_of(model), texts)]
        scores: list[TextScore] = gathered(own, len(self.validation), world_size)
        return {fact.name: fact.value for fact in mask_metrics(scores, bootstrap=0)}

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of what ``pipe`` finds behind masks that are drawn here."""
        return measure_masks(pipe, data, role, conditions)


def masking_of(start: TextStart) -> Masking:
    """How texts are masked for training.

    Raises:
        UsageError: the tokenizer has no token for a masked word.
    """
    return Masking.of(start.tokenizer, start.settings.mask_share, name=start.base_model or start.family)


def room_of(tokenizer: TextTokenizer) -> int:
    """Tokens of a text that fit between the special ones; a million where there is no limit."""
    prefix, _, suffix = tokenizer.special_counts[False]
    return max(1, tokenizer.max_length - prefix - suffix) if tokenizer.max_length is not None else 1_000_000


def special_ids_around(tokenizer: TextTokenizer) -> tuple[np.ndarray, np.ndarray]:
    """The ids that stand before and behind a text, int32."""
    prefix, _, suffix = tokenizer.special_counts[False]
    ids = np.asarray(tokenizer.encode(["a"])[0].input_ids, dtype=np.int32)
    return ids[:prefix], ids[len(ids) - suffix :]
