"""Training for text generation: a language model learns to tell each token of a text from those before it.

The texts of the training split are tokenized once. Measuring foretells every token of validation once, with the
pipeline's model and tokenizer; see `next_tokens`.
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

from ..pipelines.errors import DataError, UsageError
from ..pipelines.models.shapes import IGNORED
from .language_metrics import DIRECTIONS, language_metrics
from .language_scores import measure_language
from .measuring import Conditions, Measured
from .next_tokens import add_up, foretold, windows_of
from .recipe import Batch, BatchLoss, Features
from .running_text import SingleTexts, Stream, frame_of, keeps_apart, looks_ahead
from .settings import FinetuneSettings
from .text_models import TextStart, starting_point, training_texts
from .text_recipe import NOT_INPUTS, TextRecipe, gathered
from .tokenized_texts import TokenizedTexts

if TYPE_CHECKING:
    from ..pipelines.tasks import Task
    from .data import TaskData

TEXTS_FOLDER = "texts"

USUAL_VOCABULARY = 8192
"""Tokens whose logits cost about as much memory as the rest of a network does for a token; see ``length``."""

DEFAULT_LENGTH = 1024
"""Tokens of a row for a checkpoint that sets no limit, unless --max-length says otherwise."""


class TextGenerationRecipe(TextRecipe):
    """The part of training that is about foretelling tokens; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, tokenizer and resolved settings.
        texts: the rows to train on, as running text.
        problem_type: ``language_modelling``.
        validation: split with the column text; None where there is nothing to measure on.
        is_one_text: whether the rows of a split are the pieces of one text.

    Raises:
        DataError: there is nothing to train on.
    """

    unused_settings = ("teacher", "augment", "class_weights", "problem_type", "label_names")

    def __init__(
        self,
        task: Task,
        start: TextStart,
        texts: Stream | SingleTexts,
        *,
        problem_type: str,
        validation: Any = None,
        is_one_text: bool = False,
    ) -> None:
        super().__init__(
            task,
            start,
            texts.rows,
            labels=None,
            problem_type=problem_type,
            validation=validation,
            directions=DIRECTIONS,
        )
        if not len(texts.rows):
            raise DataError("the texts of the training split have no tokens; expected at least one text of two")
        self.texts, self.is_one_text = texts, is_one_text
        self.loss_of_guessing = math.log(self.tokenizer.vocab_size)

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> TextGenerationRecipe:
        """The recipe at its beginning: model and tokenizer made, the training split tokenized."""
        start = starting_point(settings, data, prepared)
        check_start(start)
        if "use_cache" in start.model.config.to_dict():
            start.model.config.use_cache = True  # who writes needs it; training says each time that it does not
        texts = TokenizedTexts.of(training_texts(data), start.tokenizer, prepared / TEXTS_FOLDER)
        length = start.settings.max_length or start.tokenizer.max_length or DEFAULT_LENGTH
        frame = None if data.is_one_text else frame_of(start.tokenizer)
        is_stream = frame is None or keeps_apart(start.model)
        return cls(
            task,
            start,
            Stream(texts, length, frame, settings.seed) if is_stream else SingleTexts(texts, length, frame or ([], [])),
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
            is_one_text=data.is_one_text,
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Nothing yet: what a row holds depends on the epoch."""
        return [{"row": row} for row in rows["row"]]

    def vary(self, features: Sequence[Features], epoch: int, rows: np.ndarray) -> list[Features]:
        """Token ids (int32) and for each the token after it (int64)."""
        return [self.texts.features(row, epoch) for row in rows.tolist()]

    def length(self, features: Features) -> int:
        """Tokens, counted several times where the vocabulary is large: then it is the logits that fill the memory."""
        return len(features["input_ids"]) * max(1, self.tokenizer.vocab_size // USUAL_VOCABULARY)

    def collate(self, features: Sequence[Features]) -> Batch:
        """Ids and targets, each (batch, length), padded behind the texts, which touches nothing of them.

        Places of tokens are among them only where texts share a row.
        """
        shape = (len(features), max(len(sample["input_ids"]) for sample in features))
        batch = {
            "input_ids": torch.full(shape, self.tokenizer.pad_id),
            "position_ids": torch.arange(shape[1]).repeat(shape[0], 1),
            "targets": torch.full(shape, IGNORED),
        }
        for row, sample in enumerate(features):
            count = len(sample["input_ids"])
            batch["input_ids"][row, :count] = torch.from_numpy(sample["input_ids"])
            batch["targets"][row, :count] = torch.from_numpy(sample["target"])
            if "position_ids" in sample:
                batch["position_ids"][row, :count] = torch.from_numpy(sample["position_ids"])
        if bool((batch["position_ids"][:, 1:] > 0).all()):
            del batch["position_ids"]
        return batch

    def count(self, batch: Batch) -> float:
        """Tokens that are to be foretold."""
        return float((batch["targets"] != IGNORED).sum())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Cross-entropy of the next tokens."""
        inputs = {name: tensor for name, tensor in batch.items() if name not in NOT_INPUTS}
        targets = batch["targets"]
        logits = model(**inputs, use_cache=False).logits
        total = functional.cross_entropy(
            logits.flatten(0, 1).float(),
            targets.flatten(),
            ignore_index=IGNORED,
            label_smoothing=self.settings.label_smoothing or 0.0,
            reduction="sum",
        )
        is_target = targets != IGNORED
        right = ((logits.argmax(-1) == targets) & is_target).sum(1) / is_target.sum(1).clamp(min=1)  # (batch,)
        return BatchLoss(total, {"accuracy": right.sum()})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Metrics on validation, as those of the exported checkpoint."""
        checkpoint, texts = self.pipeline_of(model).checkpoint, self.validation["text"]
        windows = windows_of(checkpoint, texts, is_one_text=self.is_one_text)
        own = add_up(foretold(checkpoint, islice(windows, rank, None, world_size)), len(texts))
        sums = sum(gathered([own], world_size, world_size), np.zeros_like(own))
        characters = np.fromiter(map(len, texts), np.int64, len(texts))
        return {fact.name: fact.value for fact in language_metrics(sums, characters, bootstrap=0)}

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of what the model of ``pipe`` foretells."""
        return measure_language(pipe, data, role, conditions)


def check_start(start: TextStart) -> None:
    """Whether a model can learn to continue texts, and read as many tokens at once as was asked for.

    Raises:
        UsageError: it cannot.
    """
    name, asked, most = start.base_model or start.family, start.settings.max_length, start.tokenizer.max_length
    if asked is not None and most is not None and asked > most:
        raise UsageError(
            f"--max-length {asked} is more than the {most} tokens that '{name}' reads at once; give {most} or less, or "
            "leave it out"
        )
    if start.base_model is not None and looks_ahead(start.model):
        raise UsageError(
            f"checkpoint '{name}' reads a text in both directions, so it would see the tokens that it is to foretell; "
            "expected one that reads from left to right, such as GPT-2, or a family: gpt2-mini, lstm-lm, gru-lm"
        )
