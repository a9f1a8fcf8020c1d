"""Training for question answering: the first and the last token of the answer in a context.

Preprocessing is the pipeline's own: a question with a context longer than a window is read in several. A row is one
question whatever the number of its windows; learnt from are the one with the answer and, of a long context, one without
it, in which the classification token is the answer (Devlin et al. 2019, BERT, section 4.3, has it for questions that
have none). So memory does not grow with the length of a context, and what one question weighs neither.

The loss is the mean of the cross-entropies of start and end, over those tokens between which the pipeline chooses: of
the context, and the classification token. Measuring goes through the pipeline too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ..pipelines.models.shapes import IGNORED
from ..pipelines.windows import PIECE_CHARACTERS
from .answer_places import WindowTarget, answer_to_learn, windows_to_learn
from .measuring import Conditions, Measured
from .recipe import Batch, BatchLoss, Features, TrainingRows
from .settings import FinetuneSettings
from .span_answers import Reading, measure_spans, questions_of
from .span_metrics import span_metrics
from .text_models import TextStart, starting_point
from .text_recipe import TextRecipe, gathered
from .training_data import SplitRows

if TYPE_CHECKING:
    from ..pipelines.base import ItemOutput
    from ..pipelines.context_windows import ContextWindow
    from ..pipelines.tasks import Task
    from .data import TaskData

METRICS = {"f1": True, "exact_match": True, "loss": False}
"""By which the best checkpoint may be chosen → whether higher is better."""


class QuestionAnsweringRecipe(TextRecipe):
    """The question answering part of training; see `recipe.Recipe` and `recipe.TaskRecipe`.

    Args:
        task: the row.
        start: model, tokenizer and resolved settings.
        rows: to train on, with the columns question, context and answers.
        problem_type: ``span_extraction``.
        validation: split with the same columns; None where there is nothing to measure on.
    """

    unused_settings = ("teacher", "augment", "class_weights", "problem_type", "label_names", "label_smoothing")

    def __init__(
        self, task: Task, start: TextStart, rows: TrainingRows, *, problem_type: str, validation: Any = None
    ) -> None:
        super().__init__(
            task, start, rows, labels=None, problem_type=problem_type, validation=validation, directions=METRICS
        )
        self.whole_words = getattr(getattr(start.model, "network", None), "answers_words", False)
        self.reading = Reading.of(() if validation is None else validation)
        self.options = self.reading.options

    @classmethod
    def start(cls, task: Task, settings: FinetuneSettings, data: TaskData, prepared: Path) -> QuestionAnsweringRecipe:
        """The recipe at its beginning: model and tokenizer made."""
        return cls(
            task,
            starting_point(settings, data, prepared),
            SplitRows(data.splits["train"]),
            problem_type=data.problem_type,
            validation=data.splits.get("validation"),
        )

    def features(self, rows: Mapping[str, Sequence[Any]]) -> list[Features]:
        """The windows of each question that are learnt from, in the order of the rows.

        ``windows`` are dicts of ids (int32); ``target`` (windows, 5) int32 has the places of the answer's first and
        last token, of the first token of the context and the one after its last, and of "no answer", -1 without.
        """
        features: list[Features] = []
        for items in _blocks(rows):
            for item, windows in zip(items, self.pipeline.preprocess(items), strict=True):
                features.append(_sample(windows, self._targets(windows, item)))
        return features

    def length(self, features: Features) -> int:
        """Tokens of all windows, special ones included."""
        return sum(len(window["input_ids"]) for window in features["windows"])

    def collate(self, features: Sequence[Features]) -> Batch:
        """The windows of all questions, padded, with targets ``(windows, 2)``, and ``choices`` and ``shares``.

        ``choices`` (windows, length) bool are the tokens that an answer may begin or end at; ``shares`` (windows,) is
        how much of its question a window is.
        """
        # A text begins at the same position as in the pipeline, which pads on the right for every model.
        batch: Batch = self.tokenizer.pad([window for sample in features for window in sample["windows"]], side="right")
        targets = torch.from_numpy(np.concatenate([sample["target"] for sample in features])).long()
        first, last, begin, stop, null = targets.unbind(1)
        place = torch.arange(batch["input_ids"].shape[1])
        choices = (place >= begin[:, None]) & (place < stop[:, None])
        batch["choices"] = choices | (place == null[:, None])
        batch["targets"] = torch.stack([first, last], dim=1)
        counts = [len(sample["windows"]) for sample in features]
        batch["shares"] = torch.tensor([1 / count for count in counts for _ in range(count)])
        if bool(batch["attention_mask"].all()):
            del batch["attention_mask"]
        return batch

    def count(self, batch: Batch) -> float:
        """Questions."""
        return float(batch["shares"].sum().round())

    def loss(self, model: torch.nn.Module, batch: Batch, optimizer: str) -> BatchLoss:
        """Mean of the cross-entropies of start and end, of several windows of a question their mean."""
        batch = dict(batch)
        targets, choices, shares = (batch.pop(name) for name in ("targets", "choices", "shares"))
        outputs = model(**batch)
        losses, right = torch.zeros_like(shares), torch.ones_like(shares, dtype=torch.bool)
        for side, logits in enumerate((outputs.start_logits, outputs.end_logits)):
            scores = logits.float().masked_fill(~choices, -torch.inf)  # (windows, length)
            found = functional.cross_entropy(scores, targets[:, side], ignore_index=IGNORED, reduction="none")
            losses = losses + found / 2
            right &= scores.argmax(1) == targets[:, side]
        return BatchLoss((losses * shares).sum(), {"accuracy": (right * shares).sum()})

    def evaluate(self, model: Any, rank: int, world_size: int) -> Mapping[str, float]:
        """Loss and metrics on validation, of the answers that the pipeline would give."""
        pipeline = self.pipeline_of(model)
        settings = pipeline.read_options(dict(self.options))
        items = islice(self.validation, rank, None, world_size)
        outputs = pipeline.outputs(islice(questions_of(self.validation), rank, None, world_size), **self.options)
        own = []
        for output, item in zip(outputs, items, strict=True):
            loss = _loss_of(output, self._targets(output.contexts, item))
            own.append((pipeline.postprocess(output, settings)["answer"], loss))
        given = gathered(own, len(self.validation), world_size)
        references = [row["text"] for row in self.validation["answers"]]
        scores = span_metrics([answer for answer, _ in given], references, self.reading, bootstrap=0)
        loss = sum(loss for _, loss in given) / max(1, len(given))
        return {"loss": loss} | {fact.name: fact.value for fact in scores.metrics}

    def _targets(self, windows: Sequence[ContextWindow], item: Mapping[str, Any]) -> list[WindowTarget]:
        answer = answer_to_learn(item["context"], item["answers"])
        return windows_to_learn(windows, answer, item["question"], whole_words=self.whole_words)

    @classmethod
    def measure(cls, pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
        """Exact match and F1 of the answers that ``pipe`` gives."""
        return measure_spans(pipe, data, role, conditions)


def _blocks(rows: Mapping[str, Sequence[Any]]) -> Iterator[list[dict[str, Any]]]:
    """The rows, a few at a time: the windows of a block are in memory together, before those to learn are chosen."""
    block: list[dict[str, Any]] = []
    held = 0
    for question, context, answers in zip(rows["question"], rows["context"], rows["answers"], strict=True):
        block.append({"question": question, "context": context, "answers": answers})
        held += len(context)
        if held >= PIECE_CHARACTERS:
            yield block
            block, held = [], 0
    if block:
        yield block


def _sample(windows: Sequence[ContextWindow], learnt: Sequence[WindowTarget]) -> Features:
    """The windows that are learnt from as features; see `QuestionAnsweringRecipe.features`."""
    chosen, targets = [], []
    for number, first, last in learnt:
        window = windows[number]
        features = window.features()
        chosen.append({name: np.asarray(values, dtype=np.int32) for name, values in features.items()})
        null = -1 if window.null is None else window.null
        targets.append((first, last, window.first, window.first + len(window.tokens), null))
    return {"windows": chosen, "target": np.asarray(targets, dtype=np.int32)}


def _loss_of(output: ItemOutput, learnt: Sequence[WindowTarget]) -> float:
    """The loss of one question, as in training; 0 where nothing can be learnt from it."""
    losses = []
    for number, first, last in learnt:
        if first == IGNORED:
            continue
        window = output.contexts[number]
        chosen = [*range(window.first, window.first + len(window.tokens))]
        chosen += [] if window.null is None else [window.null]
        logits = output.windows[number].astype(np.float64)  # (2, length)
        for side, place in enumerate((first, last)):
            scores = logits[side, chosen]
            most = scores.max()
            losses.append(most + np.log(np.exp(scores - most).sum()) - logits[side, place])
    return float(np.mean(losses)) if losses else 0.0
