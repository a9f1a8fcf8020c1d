"""Measuring masked words: what a network finds behind masks that are the same whenever the same text is measured.

Of each text 15 % of the tokens are masked, all of them by the mask token; which ones, the text itself and the seed of
the measurement decide. The perplexity is over the masked tokens only, so it compares networks with the same tokenizer.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..cards.facts import BaselineFact, MetricFact, MistakeFact
from ..pipelines.encodings import Encoded
from ..pipelines.errors import DataError
from ..pipelines.fill_mask import FillMaskPipeline, Judgement, MaskedText
from . import bootstrap as resampling
from .masking import SHARE, Masking, measuring_generator
from .measuring import Conditions, Measured
from .mistakes import shorten
from .tokenized_texts import even_cuts

if TYPE_CHECKING:
    from .data import TaskData

DIRECTIONS = {"perplexity": False, "accuracy": True, "accuracy@5": True, "loss": False}
"""Names of the metrics, the main one first → whether higher is better."""

FIVE = 5
"""Words among which the right one is looked for, by ``accuracy@5``."""

CONTEXT_TOKENS = 20
"""Tokens on each side of a mistake that are shown."""

BASELINE_TEXTS = 100_000
"""Texts of the training split that words are counted in, at most."""

PROTOCOL = {
    "masks": f"{SHARE:.0%} of the tokens of each text, all replaced by the mask token, drawn by the text and the seed"
}


class TextScore(NamedTuple):
    """Sums over the masked tokens of a text.

    Attributes:
        masked: how many there are.
        loss: natural logarithms, negated.
        first: tokens that are the most probable one.
        five: tokens that are among the five most probable ones.
    """

    masked: int
    loss: float
    first: int
    five: int


@dataclass(frozen=True)
class JudgedText:
    """What the network found in one text, part by part."""

    parts: Sequence[Judgement]

    @property
    def score(self) -> TextScore:
        """Its sums."""
        ranks = np.concatenate([part.ranks for part in self.parts]) if self.parts else np.zeros(0)
        loss = sum(float(part.losses.sum(dtype=np.float64)) for part in self.parts)
        return TextScore(len(ranks), loss, int((ranks < 1).sum()), int((ranks < FIVE).sum()))


def judged(pipe: FillMaskPipeline, texts: Iterable[str], seed: int = 0) -> Iterator[JudgedText]:
    """What the model of ``pipe`` finds in each text, masked by ``seed``; texts longer than it takes in parts.

    Raises:
        UsageError: the tokenizer has no token for a masked word.
        InputError: the model's output is not finite.
    """
    tokenizer = pipe.tokenizer
    masking = Masking.of(tokenizer, name=pipe.checkpoint.name)
    prefix, _, suffix = tokenizer.special_counts[False]
    room = None if tokenizer.max_length is None else max(1, tokenizer.max_length - prefix - suffix)

    def mask(encoded: Encoded) -> list[MaskedText]:
        stop = len(encoded) - suffix
        parts = []
        for start, end in even_cuts(stop - prefix, room):
            around = [*range(prefix), *range(prefix + start, prefix + end), *range(stop, len(encoded))]
            part = encoded.take(around, None)
            ids = np.asarray(part.input_ids[prefix : len(part) - suffix], dtype=np.int64)
            places = (masking.places(ids, measuring_generator(seed, ids)) + prefix).tolist()
            if places:
                words = [part.input_ids[place] for place in places]
                for place in places:
                    part.input_ids[place] = masking.mask_id
                parts.append(MaskedText(part, places, words))
        return parts

    return map(JudgedText, pipe.judge(texts, mask))


def mask_metrics(scores: Sequence[TextScore], *, bootstrap: int = 1000, seed: int = 0) -> tuple[MetricFact, ...]:
    """Perplexity, accuracies and loss of masked tokens, with 95 % bootstrap intervals; whole texts are drawn.

    Args:
        scores: of each text.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.

    Raises:
        DataError: no text has a token that can be masked.
    """
    sums = np.asarray(scores, dtype=np.float64).reshape(-1, len(TextScore._fields))  # (texts, 4)
    if not sums[:, 0].sum():
        raise DataError("no text of the split has a token that can be masked; choose another with --split")

    def statistics(counts: resampling.Counts) -> dict[str, np.ndarray]:
        masked, loss, first, five = sums.T @ counts  # each (resamples,)
        mean = resampling.ratio(loss, masked)
        return {
            "perplexity": np.exp(mean),
            "accuracy": resampling.ratio(first, masked),
            "accuracy@5": resampling.ratio(five, masked),
            "loss": mean,
        }

    values = {name: float(value[0]) for name, value in statistics(np.ones((len(sums), 1))).items()}
    ends = resampling.intervals(statistics, len(sums), resamples=bootstrap, seed=seed)
    return tuple(
        MetricFact(name, values[name], *resampling.end(ends, name), higher_is_better=DIRECTIONS[name])
        for name in DIRECTIONS
    )


def measure_masks(pipe: FillMaskPipeline, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How well ``pipe`` finds masked words of the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    rows = data.splits[role]
    rule = _MostFrequent.of(pipe, data, role)
    scores, by_rule, in_parts = [], [], 0
    surest: list[tuple[float, int, Judgement, int]] = []  # probability, minus the row, and where the mistake is
    for row, text in enumerate(judged(pipe, rows["text"], conditions.seed)):
        scores.append(text.score)
        by_rule.append(rule.score(text))
        in_parts += len(text.parts) > 1
        mistake = _surest_mistake(text)
        if mistake is not None and conditions.mistakes:
            part, mask = mistake
            entry = (float(part.scores[mask]), -row, part, mask)
            (heapq.heappush if len(surest) < conditions.mistakes else heapq.heappushpop)(surest, entry)
        if conditions.progress is not None:
            conditions.progress(row + 1, len(rows))
    if not scores:
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    measured = {"bootstrap": conditions.bootstrap, "seed": conditions.seed}
    notes = [f"{sum(score.masked for score in scores):,} tokens were masked"]
    if in_parts:
        notes.append(f"{in_parts} of {len(rows)} texts were longer than the model takes and were read in parts")
    return Measured(
        count=len(rows),
        metrics=mask_metrics(scores, **measured),
        problem_type=conditions.problem_type,
        baselines=(BaselineFact("most frequent tokens", mask_metrics(by_rule, **measured), rule.description),),
        mistakes=tuple(_as_fact(pipe, *entry) for entry in sorted(surest, key=lambda entry: entry[:2], reverse=True)),
        notes=tuple(notes),
        protocol=PROTOCOL,
    )


@dataclass(frozen=True)
class _MostFrequent:
    """Answers the most frequent tokens for every mask, each with its share of all tokens as its probability.

    Attributes:
        losses: float64 (vocab,) of each token as the right one; every token was counted once more than it was seen.
        ranks: int64 (vocab,): how many tokens are more frequent.
        description: for the card.
    """

    losses: np.ndarray
    ranks: np.ndarray
    description: str

    @classmethod
    def of(cls, pipe: FillMaskPipeline, data: TaskData, role: str) -> _MostFrequent:
        """Counted in the training split, or where there is none in the measured rows, which flatters it."""
        tokenizer = pipe.tokenizer
        source = data.splits.get("train")
        texts = source if source is not None else data.splits[role]
        seen = min(len(texts), BASELINE_TEXTS)
        counts = np.ones(tokenizer.vocab_size)
        for block in texts.select(range(seen)).iter(batch_size=1000):
            for encoded in tokenizer.encode(block["text"]):
                counts += np.bincount(encoded.input_ids, minlength=len(counts))
        counts[sorted(tokenizer.special_ids)] = 1  # they are never behind a mask
        order = np.argsort(-counts, kind="stable")
        ranks = np.empty(len(counts), dtype=np.int64)
        ranks[order] = np.arange(len(counts))
        most = ", ".join(f"'{tokenizer.decode([int(token)]).strip()}'" for token in order[:FIVE])
        where = "of the training split"
        if source is None:
            where = "of the evaluated rows themselves (no training split is at hand)"
        elif seen < len(texts):
            where = f"of {seen:,} texts of the training split"
        return cls(-np.log(counts / counts.sum()), ranks, f"answers {most} for every mask, the most frequent {where}")

    def score(self, text: JudgedText) -> TextScore:
        """What the rule scores on the same masks."""
        words = np.asarray([word for judgement in text.parts for word in judgement.part.words], dtype=np.int64)
        ranks = self.ranks[words]
        return TextScore(len(words), float(self.losses[words].sum()), int((ranks < 1).sum()), int((ranks < FIVE).sum()))


def _surest_mistake(text: JudgedText) -> tuple[Judgement, int] | None:
    """The part and the number of the mask for which the wrongest word was surest; None where all are right."""
    wrong = [(part, int(mask)) for part in text.parts for mask in np.flatnonzero(part.words != part.part.words)]
    return max(wrong, key=lambda each: float(each[0].scores[each[1]]), default=None)


def _as_fact(pipe: FillMaskPipeline, score: float, minus_row: int, judgement: Judgement, mask: int) -> MistakeFact:
    """A mistake with the words around it, of which those behind other masks are put back."""
    tokenizer, part = pipe.tokenizer, judgement.part
    ids = list(part.encoded.input_ids)
    for place, word in zip(part.places, part.words, strict=True):
        ids[place] = word
    prefix, _, suffix = tokenizer.special_counts[False]
    place = part.places[mask]
    before = ids[max(prefix, place - CONTEXT_TOKENS) : place]
    after = ids[place + 1 : min(len(ids) - suffix, place + 1 + CONTEXT_TOKENS)]
    shown = [
        tokenizer.decode(before).strip(),
        tokenizer.token_text(pipe.mask_id) or "",
        tokenizer.decode(after).strip(),
    ]
    right, answer = (_word(tokenizer, token) for token in (part.words[mask], int(judgement.words[mask])))
    return MistakeFact(1 - minus_row, shorten(" ".join(filter(None, shown))), right, answer, score)


def _word(tokenizer: Any, token: int) -> str:
    """A token as people read it; as the vocabulary has it, where it is a part of a letter."""
    text = tokenizer.decode([token]).strip()
    return text if text and "\ufffd" not in text else str(tokenizer.token_text(token))
