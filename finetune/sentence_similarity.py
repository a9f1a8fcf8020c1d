"""Training for sentence similarity: vectors of texts, learned from pairs with a score or a label, or that match.

    both texts -> the encoder -> pooling -> length 1 -> cosine -> the loss of `pair_losses`

Preprocessing is the pipeline's own, with truncation; measuring goes through the pipeline too. What is written is a
sentence-transformers folder. Text ranking trains the same way, with queries and documents for pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.nn import functional

from ..pipelines.checkpoints import from_model
from ..pipelines.errors import DataError, UsageError
from ..pipelines.sentence_settings import SentenceSettings, write_sentence_settings
from ..pipelines.sentence_similarity import SentenceSimilarityPipeline, pool_tokens
from .measuring import Conditions, Measured
from .pair_answers import THRESHOLD, Candidates, embed, measure_pairs, nearest, pair_scores, pair_similarities
from .pair_losses import contrastive_losses, cosine_losses, in_batch_losses, of_all_processes
from .pair_metrics import best_threshold, rank_metrics
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .text_models import TextStart, starting_point
from .text_pairs import Kind, TextPairs, read_pairs
from .text_recipe import TextRecipe, gathered

if TYPE_CHECKING:
    from ..cards.facts import CalibrationFacts
    from ..pipelines.tasks import Task
    from .data import TaskData

Loss = Literal["cosine", "contrastive", "in-batch"]

LOSS_OF: Mapping[Kind, Loss] = {"scored": "cosine", "labelled": "contrastive", "matching": "in-batch"}

THRESHOLD_ROWS = 5_000
"""Training pairs, spread over all, that the threshold of labelled pairs is learned from."""


class PairRows:
    """Pairs to train on, fetched by their numbers; the texts stay where the data layer keeps them.

    Args:
        split: of `datasets`.
        targets: float64 (rows,) of all its rows, in [0, 1].
        chosen: numbers of the rows to train on, int64.
    """

    def __init__(self, split: Any, targets: np.ndarray, chosen: np.ndarray) -> None:
        self._split, self._targets, self._chosen = split, targets, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """The columns text, text_pair and target of the rows ``indices``."""
        chosen = self._chosen[indices]
        rows = self._split[chosen.tolist()]
        first, second, *_ = rows
        return {"text": rows[first], "text_pair": rows[second], "target": self._targets[chosen].tolist()}


class SentenceSimilarityRecipe(TextRecipe):
    """The sentence similarity part of training; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, tokenizer and resolved settings.
        rows: to train on, with the columns text, text_pair and target.
        kind: of the training pairs.
        problem_type: as in `TaskData`.
        sentences: how vectors are made.
        training: the pairs of the training split.
        validation: pairs to measure on; None where there are none.
    """

    unused_settings = ("teacher", "augment", "class_weights", "label_smoothing", "label_names", "freeze")
    prompt_names: tuple[Sequence[str], Sequence[str]] = ((), ())
    """What the checkpoint's prompts for first and for second texts may be called; without one its default is used."""

    def __init__(
        self,
        task: Task,
        start: TextStart,
        rows: TrainingRows,
        *,
        problem_type: str,
        sentences: SentenceSettings,
        training: TextPairs,
        validation: TextPairs | None = None,
    ) -> None:
        self.sentences, self.training, self.threshold = sentences, training, None
        super().__init__(
            task,
            start,
            rows,
            labels=None,
            problem_type=problem_type,
            validation=validation,
            directions=known_metrics(training.kind),
        )
        self.pair_loss = _loss_of(start.settings, training.kind)
        self.is_divisible = self.pair_loss != "in-batch"
        if self.has_validation and self.metric != "loss":
            _check_measurable(self.validation, self.metric)
        prompts = sentences.prompts or {}
        self.prompts = [next((name for name in names if name in prompts), None) for names in self.prompt_names]

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> SentenceSimilarityRecipe:
        """The recipe at its beginning: model and tokenizer made."""
        training = read_pairs(data, "train")
        loss = _loss_of(settings, training.kind)
        _check_loss(loss, settings, training)
        chosen = np.flatnonzero(training.targets > 0.5) if loss == "in-batch" else np.arange(len(training))
        start = starting_point(settings, data, prepared)
        sentences = _sentences(start)
        start.settings = replace(start.settings, pooling=sentences.pooling)  # the facts tell it
        has_validation = len(data.splits.get("validation", ())) > 0
        return cls(
            task,
            start,
            PairRows(data.splits["train"], scaled_targets(training, training), chosen),
            problem_type=data.problem_type,
            sentences=sentences,
            training=training,
            validation=read_pairs(data, "validation") if has_validation else None,
        )

    def pipeline_of(self, model: Any) -> SentenceSimilarityPipeline:
        """The pipeline for vectors around a model with the recipe's tokenizer."""
        checkpoint = from_model(model, self.tokenizer)
        return SentenceSimilarityPipeline.from_checkpoint(checkpoint, sentences=self.sentences)

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """Token ids of both texts, a number for each text that only equal ones share, and the target."""
        firsts, seconds = (
            self.pipeline.preprocess(rows[name], prompt_name=prompt)
            for name, prompt in zip(("text", "text_pair"), self.prompts, strict=True)
        )
        return [
            {
                "first": firsts[row].features(),
                "second": seconds[row].features(),
                "keys": (_key(rows["text"][row]), _key(rows["text_pair"][row])),
                "target": target,
            }
            for row, target in enumerate(rows["target"])
        ]

    def length(self, features: Features) -> int:
        """Tokens of the longer text, special ones included, twice: so much room the pair takes in a batch."""
        return 2 * max(len(features["first"]["input_ids"]), len(features["second"]["input_ids"]))

    def collate(self, features: Sequence[Features]) -> Batch:
        """All first texts, then all second ones, padded on the right (2 * batch, length), and what goes with them."""
        texts = [sample[name] for name in ("first", "second") for sample in features]
        batch: Batch = self.tokenizer.pad(texts, side="right")
        batch["keys"] = torch.tensor([sample["keys"] for sample in features], dtype=torch.int64)  # (batch, 2)
        batch["targets"] = torch.tensor([sample["target"] for sample in features], dtype=torch.float32)
        return batch

    def count(self, batch: Batch) -> float:
        """Pairs."""
        return float(len(batch["targets"]))

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Of the cosines of the pairs; with ``in-batch`` also the share of texts that picked their partner."""
        inputs = {name: tensor for name, tensor in batch.items() if name not in ("keys", "targets")}
        mask = inputs["attention_mask"].bool()
        if bool(mask.all()):
            del inputs["attention_mask"]  # attention takes a faster way
        hidden = model(**inputs)[0].float()  # (2 * batch, length, features)
        vectors = pool_tokens(hidden, mask, mask.sum(1), self.sentences.pooling)
        firsts, seconds = functional.normalize(vectors, dim=-1).chunk(2)  # (batch, features) each
        if self.pair_loss == "cosine":
            return BatchLoss(cosine_losses(firsts, seconds, batch["targets"]).sum(), {})
        if self.pair_loss == "contrastive":
            return BatchLoss(contrastive_losses(firsts, seconds, batch["targets"]).sum(), {})
        start, (candidates, keys) = of_all_processes(seconds, batch["keys"])
        own = torch.arange(start, start + len(firsts), device=firsts.device)
        losses, right = in_batch_losses(firsts, candidates, batch["keys"][:, 0], own, keys[:, 0], keys[:, 1])
        return BatchLoss(losses.sum(), {"accuracy": right.sum()})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Metrics on validation, of the vectors that the pipeline would give."""
        pairs: Any = self.validation
        pipeline = self.pipeline_of(model)
        candidates = Candidates(pairs)
        firsts, seconds = (
            self._vectors(pipeline, texts, prompt, rank, world_size)
            for texts, prompt in zip((pairs.texts, candidates.texts), self.prompts, strict=True)
        )
        loss = self._validation_loss(firsts, seconds[candidates.right], pairs)
        if pairs.kind == "matching":
            ranks, _ = candidates.ranks(nearest(firsts, seconds, candidates.depth))
            scores = rank_metrics(ranks, bootstrap=0)
        else:
            similarities = (firsts * seconds[candidates.right]).sum(-1).astype(np.float64)
            scores = pair_scores(similarities, pairs, None, bootstrap=0)
        # Similarities that are all the same, as of weights that collapsed, have no correlation.
        return {self.metric: 0.0, "loss": loss} | {fact.name: fact.value for fact in scores.metrics}

    def _validation_loss(self, firsts: np.ndarray, seconds: np.ndarray, pairs: TextPairs) -> float:
        """The mean loss of validation; in-batch with as many texts to choose from as in training."""
        one, other = torch.from_numpy(firsts), torch.from_numpy(seconds)
        targets = torch.from_numpy(scaled_targets(pairs, self.training)).float()
        if self.pair_loss == "cosine":
            return float(cosine_losses(one, other, targets).mean())
        if self.pair_loss == "contrastive":
            return float(contrastive_losses(one, other, targets).mean())
        chosen = np.flatnonzero(pairs.targets > 0.5)
        keys = torch.tensor([(_key(pairs.texts[row]), _key(pairs.partners[row])) for row in chosen.tolist()])
        losses = []
        for start in range(0, len(chosen), self.settings.batch_size or len(chosen)):
            part = slice(start, start + (self.settings.batch_size or len(chosen)))
            rows, of_part = chosen[part], keys[part]
            own = torch.arange(len(rows))
            losses.append(in_batch_losses(one[rows], other[rows], of_part[:, 0], own, of_part[:, 0], of_part[:, 1])[0])
        return float(torch.cat(losses).mean()) if losses else 0.0

    def _vectors(
        self, pipeline: Any, texts: Sequence[str], prompt: str | None, rank: int, world_size: int
    ) -> np.ndarray:
        """The vectors of ``texts``, each computed by one of the processes."""
        own = embed(pipeline, list(islice(texts, rank, None, world_size)), prompt_name=prompt)
        return np.stack(gathered(own, len(texts), world_size))

    def calibrate(self) -> CalibrationFacts | None:
        """Learns from training pairs from which similarity on two texts are called equal; of labelled pairs only."""
        if self.training.kind == "labelled":
            step = -(-len(self.training) // THRESHOLD_ROWS)
            chosen = range(0, len(self.training), step)
            pairs = replace(
                self.training,
                texts=[self.training.texts[row] for row in chosen],
                partners=[self.training.partners[row] for row in chosen],
                targets=self.training.targets[::step],
            )
            similarities = pair_similarities(self.pipeline_of(self.model), pairs)
            self.threshold = best_threshold(similarities, pairs.targets > 0.5)
        return None

    def export(self, output: Path) -> None:
        """Writes a sentence-transformers folder to ``output``; the threshold goes into its ``config.json``."""
        if self.threshold is not None:
            setattr(self.model.config, THRESHOLD, self.threshold)
        super().export(output)
        write_sentence_settings(self.sentences, output)

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Metrics of the similarities that ``pipe`` gives."""
        return measure_pairs(pipe, data, role, conditions)


def _loss_of(settings: FinetuneSettings, kind: Kind) -> Loss:
    return settings.pair_loss or LOSS_OF[kind]


def _check_loss(loss: Loss, settings: FinetuneSettings, training: TextPairs) -> None:
    """Whether ``loss`` can be learned from the training pairs.

    Raises:
        DataError: the pairs are too few, or all of one kind.
        UsageError: the loss is for other targets, or settings contradict it.
    """
    fits = {"cosine": ("scored", "labelled"), "contrastive": ("labelled",), "in-batch": ("labelled", "matching")}
    if training.kind not in fits[loss]:
        raise UsageError(
            f"--pair-loss {loss} is for {' and '.join(fits[loss])} pairs, and these are {training.kind}; leave it out "
            f"for {LOSS_OF[training.kind]}"
        )
    if training.kind == "scored" and np.ptp(training.targets) == 0:
        raise DataError(
            f"all {len(training)} rows of train have the score {training.targets[0]:g}, so there is nothing to learn; "
            "name the column with the scores: --columns score=…"
        )
    if loss != "in-batch":
        return
    if settings.accumulation > 1:
        raise UsageError(
            f"--accumulation {settings.accumulation} would part the batch, in which a text is told from all others; "
            "leave it out, or lower --batch-size"
        )
    if settings.batch_size == 1:
        raise UsageError(
            "--batch-size 1 leaves no other text to tell the right one from; expected 2 pairs or more, better 32"
        )
    chosen = np.flatnonzero(training.targets > 0.5)
    if len({training.partners[int(row)] for row in chosen[:10_000]}) < 2:
        of_which = "rows" if len(chosen) == len(training) else "equal pairs"
        raise DataError(
            f"all {len(chosen)} {of_which} of train have the same second text, so no text can be told from another; "
            "expected different ones, or pairs with a score or a label"
        )


def _check_measurable(pairs: TextPairs, metric: str) -> None:
    """Whether ``metric`` tells good weights from bad ones on these rows of validation.

    Raises:
        DataError: all of them have the same target.
    """
    if pairs.kind == "matching" or np.ptp(pairs.targets) > 0:
        return
    target = float(pairs.targets[0])
    same = f"the score {target:g}" if pairs.labels is None else f"the label '{pairs.labels[int(target)]}'"
    raise DataError(
        f"all {len(pairs)} rows of validation have {same}, so {metric} is undefined there; give another "
        "--validation-split or a larger --validation-fraction, or choose the best weights by --metric loss"
    )


def _sentences(start: TextStart) -> SentenceSettings:
    """How the vectors of what is trained are made.

    Raises:
        UsageError: the checkpoint has layers behind its pooling.
    """
    found, settings = start.sentences, start.settings
    if found.steps:
        raise UsageError(
            f"--model {settings.model} has Dense layers behind its pooling, which are not trained here; use an encoder "
            "without them"
        )
    lengths = [each for each in (found.max_length, settings.max_length) if each is not None]
    return replace(
        found,
        pooling=settings.pooling or found.pooling,
        normalize=True,
        similarity="cosine",
        max_length=min(lengths, default=None),
    )


def scaled_targets(pairs: TextPairs, training: TextPairs) -> np.ndarray:
    """The targets as cosines, float64 (rows,): the lowest score of the pairs ``training`` is 0, the highest 1."""
    if pairs.kind != "scored":
        return pairs.targets
    return (pairs.targets - training.targets.min()) / np.ptp(training.targets)


def known_metrics(kind: Kind) -> dict[str, bool]:
    """Names of the metrics that choose the best weights, the main one first → whether higher is better."""
    if kind == "matching":
        names = [fact.name for fact in rank_metrics(np.ones(1), bootstrap=0).metrics]
    else:
        pairs = TextPairs(["", ""], ["", ""], kind, np.array([0.0, 1.0]))
        names = [fact.name for fact in pair_scores(pairs.targets, pairs, None, bootstrap=0).metrics]
    return dict.fromkeys(names, True) | {"loss": False}


def _key(text: str) -> int:
    """63 bits that only equal texts share, but for case and spacing."""
    plain = " ".join(text.split()).casefold()
    return int.from_bytes(hashlib.blake2b(plain.encode(), digest_size=8).digest(), "little") >> 1
