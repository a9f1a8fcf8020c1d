"""Training encoder-decoders: a text is read, another one written; translation and summarization are forms of it.

The decoder reads the wanted text one place late (teacher forcing) and is to tell each next token. Texts are encoded by
the pipeline's own ``preprocess``, so that training reads what users' texts become. Measured on validation are the loss
of all rows, and metrics of texts written greedily for some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from ..pipelines.checkpoints import from_model
from ..pipelines.errors import UsageError
from ..pipelines.models.shapes import IGNORED
from .measuring import Conditions, Measured
from .plan import micro_batches
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .text_models import TextStart, starting_point
from .text_recipe import NOT_INPUTS, TextRecipe, gathered
from .token_loss import TokenScores, token_losses
from .training_data import SplitRows
from .writing_metrics import ROUGE_PROTOCOL, Scorer, rouge_metrics
from .written_answers import FreeRule, measure_texts, write_all

if TYPE_CHECKING:
    from ..pipelines.tasks import Task
    from .data import TaskData

WRITTEN_ROWS = 200
"""Validation rows for which texts are written during training; the loss is that of all rows."""

BEAMS = 5
"""Beginnings that a trained checkpoint follows at once unless asked otherwise."""

COPY: FreeRule = ("copy", lambda text: text, "answers the text itself")


class Text2TextGenerationRecipe(TextRecipe):
    """The part of training of all tasks that rewrite texts; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, tokenizer and resolved settings.
        rows: to train on, with the columns text and target.
        problem_type: ``writing``.
        validation: split with the same columns; None where there is nothing to measure on.
    """

    unused_settings = ("teacher", "augment", "class_weights", "problem_type", "label_names", "embeddings_from")
    scorer: ClassVar[Scorer] = staticmethod(partial(rouge_metrics, with_exact=True))
    rules: ClassVar[tuple[FreeRule, ...]] = (COPY,)

    def __init__(
        self,
        task: Task,
        start: TextStart,
        rows: TrainingRows,
        *,
        problem_type: str,
        validation: Any = None,
    ) -> None:
        known = [metric.name for metric in self.scorer(["a"], ["a"], bootstrap=0).metrics]
        super().__init__(
            task,
            start,
            rows,
            labels=None,
            problem_type=problem_type,
            validation=validation,
            directions={"loss": False} | dict.fromkeys(known, True),
        )
        self.loss_of_guessing = float(np.log(start.tokenizer.vocab_size))
        self.scores = TokenScores(start.model)
        self._validation_features: list[Features] | None = None

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> Text2TextGenerationRecipe:
        """The recipe at its beginning: model and tokenizer made."""
        start = starting_point(settings, data, prepared)
        start.model.config.use_cache = True  # off in training only, where the recipe says so
        if start.base_model is None:
            start.model.generation_config.num_beams = BEAMS
            start.model.generation_config.max_new_tokens = start.tokenizer.max_length
        cls.prepare(start, settings, data)
        recipe = cls(
            task,
            start,
            SplitRows(data.splits["train"]),
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
        )
        recipe.keep_decoding()
        return recipe

    def keep_decoding(self) -> None:
        """Puts how the pipeline writes into the generation configuration, so that plain ``generate`` does the same.

        Beside what a checkpoint says for all tasks these are what it says for this one, the token of the language to
        be written, and the pipeline's own defaults, which transformers has not.

        Raises:
            UsageError: the decoder cannot write texts as long as ``max_target_length``.
        """
        most, limit, plan = self.settings.max_target_length, self.pipeline.decoder_limit, self.pipeline.options.plan
        if most is not None and limit is not None and most > limit:
            raise UsageError(
                f"--max-target-length is {most}, but the decoder of {self.settings.model} writes {limit} tokens at "
                f"most; give {limit} or fewer"
            )
        lengths = dict(plan.lengths)
        if most is not None or "max_new_tokens" in lengths:
            lengths |= {"max_new_tokens": most or shortest(lengths["max_new_tokens"], limit), "max_length": None}
        generation = self.model.generation_config
        for name, value in {**plan.parameters, **lengths}.items():
            setattr(generation, name, value)
        generation._from_model_config = False  # it says more than the model's configuration does

    @classmethod
    def prepare(cls, start: TextStart, settings: FinetuneSettings, data: TaskData) -> None:
        """Puts into the model's configuration what the task needs beside its weights."""

    @classmethod
    def protocol(cls) -> dict[str, Any]:
        """How the metrics are counted."""
        return {"rouge": ROUGE_PROTOCOL}

    def pipeline_of(self, model: Any) -> Any:
        """The task's pipeline around a model; of our own families around the plain network, which writes faster."""
        checkpoint = from_model(model, self.tokenizer)
        network = getattr(model, "network", None)
        if network is not None:
            generation = model.generation_config.to_diff_dict()
            config = replace(checkpoint.config, max_length=None)  # a state has room for any text
            checkpoint = replace(checkpoint, model=network, light=True, config=config, generation=generation)
        return self.task.load_pipeline().from_checkpoint(checkpoint)

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Token ids of what is read and what is written, int32.

        Each is cut to the tokenizer's ``max_length``; what is written to ``max_target_length``, if that is set.
        """
        read = self.pipeline.preprocess(list(rows["text"]), truncation=True)
        written = self.pipeline.encode_targets(list(rows["target"]))
        limit = self.tokenizer.max_length
        of_target = shortest(self.settings.max_target_length or limit, self.pipeline.decoder_limit)
        return [
            {
                "input_ids": np.asarray(cut(pieces[0], limit), np.int32),
                "target": np.asarray(cut(target, of_target), np.int32),
            }
            for pieces, target in zip(read, written, strict=True)
        ]

    def length(self, features: Features) -> int:
        """Tokens read and tokens written."""
        return len(features["input_ids"]) + len(features["target"])

    def collate(self, features: Sequence[Features]) -> Batch:
        """Padded ids (batch, length) and targets (batch, steps)."""
        batch = self.padded(features)
        targets = torch.full((len(features), max(len(sample["target"]) for sample in features)), IGNORED)
        for row, sample in enumerate(features):
            targets[row, : len(sample["target"])] = torch.from_numpy(sample["target"])
        batch["targets"] = targets
        return batch

    def count(self, batch: Batch) -> float:
        """Tokens to be written."""
        return float((batch["targets"] != IGNORED).sum())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Cross-entropy of each next token."""
        return self._loss(model, batch, self.settings.label_smoothing or 0.0)

    def _loss(self, model: torch.nn.Module, batch: Batch, smoothing: float) -> BatchLoss:
        inputs = {name: tensor for name, tensor in batch.items() if name not in NOT_INPUTS}
        targets = batch["targets"]
        before = self.model.prepare_decoder_input_ids_from_labels(targets)
        is_token = targets != IGNORED
        with self.scores.at(is_token):
            logits = model(**inputs, decoder_input_ids=before, use_cache=False).logits
        losses, is_best = token_losses(self.scores.chosen(logits, is_token), targets[is_token], smoothing)
        right = torch.zeros(is_token.shape, device=targets.device)
        right[is_token] = is_best.float()
        return BatchLoss(losses.sum(), {"accuracy": (right.sum(1) / is_token.sum(1).clamp(min=1)).sum()})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Loss on validation, and metrics of what is written greedily for the first `WRITTEN_ROWS` rows of it."""
        total, count = self._validation_loss(model, rank, world_size)
        rows = self.validation.select(range(min(WRITTEN_ROWS, len(self.validation))))
        own = rows.select(range(rank, len(rows), world_size))
        written = write_all(self.pipeline_of(model), own, num_beams=1) if len(own) else []
        answers = gathered(written, len(rows), world_size)
        scores = self.scorer(answers, rows["target"][:], bootstrap=0)
        sums = gathered([(total, count)], world_size, world_size)
        loss = sum(total for total, _ in sums) / max(1.0, sum(count for _, count in sums))
        return {"loss": loss} | {fact.name: fact.value for fact in scores.metrics}

    def _validation_loss(self, model: Any, rank: int, world_size: int) -> tuple[float, float]:
        """Summed loss, without smoothing, and tokens of this process's share of the validation rows."""
        if self._validation_features is None:
            encoded = [
                sample
                for rows in self.validation.iter(batch_size=1000)
                for sample in self.features({name: rows[name] for name in ("text", "target")})
            ]
            encoded.sort(key=self.length, reverse=True)
            self._validation_features = list(islice(encoded, rank, None, world_size))
        features = self._validation_features
        lengths = np.asarray([self.length(sample) for sample in features])
        device = next(model.parameters()).device
        total = count = 0.0
        with torch.inference_mode():
            for part in micro_batches(lengths, 1, self.settings.batch_tokens):
                if part.stop <= part.start:
                    continue
                batch = {name: tensor.to(device) for name, tensor in self.collate(features[part]).items()}
                total += float(self._loss(model, batch, 0.0).total)
                count += self.count(batch)
        return total, count

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the texts that ``pipe`` writes."""
        return measure_texts(pipe, data, role, conditions, scorer=cls.scorer, rules=cls.rules, protocol=cls.protocol())


def shortest(*limits: int | None) -> int | None:
    """The lowest of the limits that there are; None if there are none."""
    return min((limit for limit in limits if limit is not None), default=None)


def cut(target: list[int], limit: int | None) -> list[int]:
    """``target`` with at most ``limit`` tokens; the last one, which ends a text, stays."""
    return target if limit is None or len(target) <= limit else [*target[: limit - 1], target[-1]]
