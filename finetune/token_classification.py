"""Training for token classification: a tag for each word of a text.

Preprocessing is the pipeline's own, with truncation. The first token of a word carries its tag; measuring goes through
the pipeline too, so that a metric during training is the metric of what a user would get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ..pipelines.models.shapes import IGNORED
from .measuring import Conditions, Measured
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .tag_answers import measure_tags
from .tagging_metrics import tagging_metrics
from .text_models import TextStart, starting_point
from .text_recipe import NOT_INPUTS, TextRecipe, gathered
from .training_data import SplitRows

if TYPE_CHECKING:
    from ..pipelines.tasks import Task
    from .data import TaskData


class TokenClassificationRecipe(TextRecipe):
    """The token classification part of training; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, tokenizer and resolved settings.
        rows: to train on, with the columns tokens and tags.
        labels: of the tags, in the order of the logits.
        problem_type: ``tagging``.
        validation: split with the same columns; None where there is nothing to measure on.
    """

    unused_settings = ("teacher", "augment", "class_weights", "problem_type")

    def __init__(
        self,
        task: Task,
        start: TextStart,
        rows: TrainingRows,
        *,
        labels: Sequence[str],
        problem_type: str,
        validation: Any = None,
    ) -> None:
        super().__init__(
            task,
            start,
            rows,
            labels=labels,
            problem_type=problem_type,
            validation=validation,
            directions=known_metrics(labels),
        )
        self.tags = tuple(labels)
        # A random field scores whole sequences of tags; its loss is the network's to compute.
        self.has_own_loss = hasattr(getattr(start.model, "network", None), "losses")
        self.loss_of_guessing = float(np.log(len(labels)))

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> TokenClassificationRecipe:
        """The recipe at its beginning: model and tokenizer made."""
        return cls(
            task,
            starting_point(settings, data, prepared),
            SplitRows(data.splits["train"]),
            labels=data.labels or (),
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Token ids (int32, cut to the tokenizer's ``max_length``), and for each the tag of the word that it begins."""
        encoded = self.pipeline.preprocess(list(rows["tokens"]), truncation=True, is_split_into_words=True)
        features = []
        for windows, tags in zip(encoded, rows["tags"], strict=True):
            sample = {name: np.asarray(values, dtype=np.int32) for name, values in windows[0].items()}
            words = sample.pop("words")  # (length,): number of the word that begins here, else -1
            sample["target"] = np.where(words >= 0, np.asarray(tags, dtype=np.int64)[words], IGNORED)
            features.append(sample)
        return features

    def collate(self, features: Sequence[Features]) -> Batch:
        """Padded ids and targets, each (batch, length)."""
        batch = self.padded(features)
        batch["targets"] = self.padded_targets(features, batch["input_ids"].shape)
        return batch

    def count(self, batch: Batch) -> float:
        """Words."""
        return float((batch["targets"] != IGNORED).sum())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Cross-entropy of each word's tag, or minus the log-likelihood of each text's tags under a random field."""
        inputs = {name: tensor for name, tensor in batch.items() if name not in NOT_INPUTS}
        targets = batch["targets"]
        is_word = targets != IGNORED
        if self.has_own_loss:
            outputs = model(**inputs, labels=targets)  # inside the model, where several processes see its weights used
            logits, total = outputs.logits, outputs.loss * is_word.sum()
        else:
            logits = model(**inputs).logits.float()
            total = functional.cross_entropy(
                logits.flatten(0, 1),
                targets.flatten(),
                ignore_index=IGNORED,
                label_smoothing=self.settings.label_smoothing or 0.0,
                reduction="sum",
            )
        right = ((logits.argmax(-1) == targets) & is_word).sum(1) / is_word.sum(1).clamp(min=1)  # (batch,)
        return BatchLoss(total, {"accuracy": right.sum()})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Loss and metrics on validation, of the tags that the pipeline would give."""
        pipeline = self.pipeline_of(model)
        position = {tag: index for index, tag in enumerate(self.tags)}
        words = islice(self.validation["tokens"], rank, None, world_size)
        truth = islice(self.validation["tags"], rank, None, world_size)
        own = []
        for output, tags in zip(pipeline.outputs(words), truth, strict=True):
            probabilities = pipeline.word_probabilities(output)  # (words, labels)
            losses = -np.log(np.maximum(probabilities[np.arange(len(tags)), tags], 1e-12))
            own.append(([position[tag] for tag in pipeline.word_tags(output)], float(losses.sum()), len(tags)))
        answers = gathered(own, len(self.validation), world_size)
        scores = tagging_metrics([tags for tags, _, _ in answers], self.validation["tags"][:], self.tags, bootstrap=0)
        loss = sum(loss for _, loss, _ in answers) / max(1, sum(count for _, _, count in answers))
        return {"loss": loss} | {fact.name: fact.value for fact in scores.metrics}

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the tags that ``pipe`` gives, against tags matched by name."""
        return measure_tags(pipe, data, role, conditions)


def known_metrics(labels: Sequence[str]) -> dict[str, bool]:
    """Names of the metrics, the main one first → whether higher is better; ``loss`` among them."""
    tags = [list(range(len(labels)))]
    scores = tagging_metrics(tags, tags, labels, bootstrap=0)
    return {fact.name: fact.higher_is_better for fact in scores.metrics} | {"loss": False}
