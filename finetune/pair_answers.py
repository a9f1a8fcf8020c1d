"""Measuring vectors of texts: how alike the two texts of pairs come out, or how near the right one is among all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from ..cards.facts import BaselineFact, MetricFact, MistakeFact
from .data.labels import canonical_label
from .measuring import Conditions, Measured
from .metrics import Scores
from .mistakes import shorten
from .pair_metrics import RECALLS, correlation_metrics, label_metrics, rank_metrics
from .text_pairs import TextPairs, read_pairs
from .word_overlap import comparisons, paired_comparisons

if TYPE_CHECKING:
    from .data import TaskData

THRESHOLD = "similarity_threshold"
"""Entry of a checkpoint's ``config.json``: similarity from which two texts are said to belong together."""

DEPTH = max(RECALLS)
_CELLS = 4_000_000  # similarities held at once

Compare = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Vectors (n, hidden) and others (m, hidden) -> how alike they are (n, m)."""

Rank = Callable[[int], Iterator[Sequence[int]]]
"""How many -> for each first text the places of so many of the second texts, best first."""


def measure_pairs(pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How good the similarities of ``pipe`` are on the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    pairs = read_pairs(data, role, conditions.label_map)
    if pairs.kind == "matching":
        candidates = Candidates(pairs)

        def rank(count: int) -> Iterator[Sequence[int]]:
            vectors = np.stack(embed(pipe, pairs.texts, conditions))
            others = np.stack(embed(pipe, candidates.texts))
            return nearest(vectors, others, count, pipe.similarities)

        return measure_ranking(rank, pairs, candidates, data.problem_type, conditions)
    similarities = pair_similarities(pipe, pairs, conditions)
    return _scored(similarities, pairs, data, conditions, pipe.checkpoint.config.raw.get(THRESHOLD))


def embed(pipe: Any, texts: Sequence[str], conditions: Conditions | None = None, **options: Any) -> list[np.ndarray]:
    """The vectors of ``texts``, float32 (hidden,) each; ``options`` as in a call."""
    vectors = []
    for output in pipe.outputs(texts, **options):
        vectors.append(pipe.merge(output)[0])
        if conditions is not None and conditions.progress is not None:
            conditions.progress(len(vectors), len(texts))
    return vectors


def pair_similarities(pipe: Any, pairs: TextPairs, conditions: Conditions | None = None) -> np.ndarray:
    """How alike the texts of each pair are, float64 (rows,)."""
    firsts, seconds = embed(pipe, pairs.texts, conditions), embed(pipe, pairs.partners)
    found = [pipe.similarities(one[None], other[None])[0, 0] for one, other in zip(firsts, seconds, strict=True)]
    return np.asarray(found, dtype=np.float64)


def pair_scores(
    similarities: np.ndarray, pairs: TextPairs, threshold: float | None, *, bootstrap: int, seed: int = 0
) -> Scores:
    """Metrics of similarities (rows,) of scored or labelled pairs."""
    if pairs.kind == "scored":
        return correlation_metrics(similarities, pairs.targets, bootstrap=bootstrap, seed=seed)
    return label_metrics(similarities, pairs.targets > 0.5, threshold, bootstrap=bootstrap, seed=seed)


def _scored(
    similarities: np.ndarray, pairs: TextPairs, data: TaskData, conditions: Conditions, threshold: float | None
) -> Measured:
    def scores(values: np.ndarray, at: float | None = None) -> Scores:
        return pair_scores(values, pairs, at, bootstrap=conditions.bootstrap, seed=conditions.seed)

    found = scores(similarities, threshold)
    baselines = [
        BaselineFact(name, scores(values).metrics, f"answers {what}")
        for name, (values, what) in paired_comparisons(pairs.texts, pairs.partners).items()
    ]
    if pairs.labels is not None and threshold is not None:
        baselines.insert(0, _majority(pairs, scores, conditions))
    return Measured(
        count=len(pairs),
        metrics=found.metrics,
        problem_type=data.problem_type,
        baselines=tuple(baselines),
        mistakes=_mistakes(similarities, pairs, conditions.mistakes),
        notes=(*found.notes, *(() if found.value("f1") is None else (_threshold_note(threshold, pairs),))),
        protocol={"long_texts": "windows, their vectors weighted by length", "unit": "similarity of two texts"},
    )


def _threshold_note(threshold: float | None, pairs: TextPairs) -> str:
    name = pairs.labels[1] if pairs.labels is not None else ""
    return f"accuracy and f1 take pairs from a similarity of {threshold:.4f} on for '{name}', as learned in training"


def _majority(pairs: TextPairs, scores: Callable[..., Scores], conditions: Conditions) -> BaselineFact:
    """The more frequent label for every pair, learned from the training split where its labels are known."""
    different, alike = pairs.labels or ("", "")
    histogram = dict(conditions.training.label_histogram) if conditions.training is not None else {}
    counts = [histogram.get(name, 0) for name in (different, alike)]
    source = "of the training split"
    if not any(counts):
        counts = [int((pairs.targets == value).sum()) for value in (0, 1)]
        source = "of the evaluated rows themselves (no training split is recorded)"
    answer = float(counts[1] >= counts[0])
    metrics = scores(np.full(len(pairs), answer), 0.5).metrics
    kept = tuple(fact for fact in metrics if fact.name in ("accuracy", "f1"))
    name = alike if answer else different
    return BaselineFact("majority class", kept, f"answers '{name}' for every pair, the most frequent label {source}")


def _mistakes(similarities: np.ndarray, pairs: TextPairs, count: int) -> tuple[MistakeFact, ...]:
    """The pairs whose similarity stands at another place among all than their target, farthest first.

    The confidence is how far, as a share of all rows.
    """
    places = stats.rankdata(similarities) / len(pairs)
    wanted = stats.rankdata(pairs.targets) / len(pairs)
    distance = np.abs(places - wanted)
    worst = np.argsort(-distance, kind="stable")[:count]
    return tuple(
        MistakeFact(
            row=int(row) + 1,
            text=shorten(pairs.texts[int(row)]),
            label=_target(pairs, int(row)),
            prediction=f"{similarities[row]:.4f}",
            confidence=float(distance[row]),
            text_pair=shorten(pairs.partners[int(row)]),
        )
        for row in worst
        if distance[row] > 0
    )


def _target(pairs: TextPairs, row: int) -> str:
    value = float(pairs.targets[row])
    return pairs.labels[int(value)] if pairs.labels is not None else str(canonical_label(value))


# --- which of all texts is the right one --------------------------------------------------------------------------


class Candidates:
    """The different second texts of matching pairs, in the order in which they come first.

    Attributes:
        texts: each once.
        right: for each row, the place of its own second text.
        others: for each row, the places of other second texts that its first text has in other rows.
    """

    def __init__(self, pairs: TextPairs) -> None:
        places: dict[str, int] = {}
        self.right = [places.setdefault(text, len(places)) for text in pairs.partners]
        self.texts = list(places)
        partners: defaultdict[str, set[int]] = defaultdict(set)
        for text, place in zip(pairs.texts, self.right, strict=True):
            partners[text].add(place)
        self.others = [partners[text] - {place} for text, place in zip(pairs.texts, self.right, strict=True)]

    @property
    def depth(self) -> int:
        """How many of the best texts have to be looked at."""
        return min(len(self.texts), DEPTH + max(map(len, self.others), default=0))

    def ranks(self, answers: Iterator[Sequence[int]]) -> tuple[np.ndarray, list[int]]:
        """The place of each row's right text, from 1, and the best answer; infinite beyond `DEPTH`.

        Other texts that are right for the same first text do not count.

        Args:
            answers: for each row places of texts, best first.
        """
        ranks, firsts = [], []
        for right, others, answer in zip(self.right, self.others, answers, strict=True):
            kept = [place for place in answer if place not in others][:DEPTH]
            ranks.append(kept.index(right) + 1.0 if right in kept else np.inf)
            firsts.append(kept[0])
        return np.array(ranks), firsts


def measure_ranking(
    rank: Rank, pairs: TextPairs, candidates: Candidates, problem_type: str, conditions: Conditions
) -> Measured:
    """Metrics of an order of all second texts for each first one.

    Args:
        rank: gives it.
        pairs: first texts with the second that is right.
        candidates: all second texts.
        problem_type: as in `TaskData`.
        conditions: how it is measured.
    """

    def scores(ranks: np.ndarray) -> tuple[MetricFact, ...]:
        return rank_metrics(ranks, bootstrap=conditions.bootstrap, seed=conditions.seed).metrics

    ranks, firsts = candidates.ranks(rank(candidates.depth))
    baselines = [_chance(len(candidates.texts))]
    for name, (compare, what) in comparisons(pairs.texts, candidates.texts).items():
        of_words, _ = candidates.ranks(_by_words(compare, len(pairs), candidates))
        baselines.append(BaselineFact(name, scores(of_words), f"ranks by {what}"))
    return Measured(
        count=len(pairs),
        metrics=scores(ranks),
        problem_type=problem_type,
        baselines=tuple(baselines),
        mistakes=_misses(ranks, firsts, pairs, candidates, conditions.mistakes),
        protocol={
            "long_texts": "windows, their vectors weighted by length",
            "unit": f"place among {len(candidates.texts)} different texts of the split",
        },
    )


def nearest(
    vectors: np.ndarray, others: np.ndarray, count: int, compare: Compare = lambda firsts, seconds: firsts @ seconds.T
) -> Iterator[list[int]]:
    """For each row of ``vectors`` (n, hidden) the places of the ``count`` most alike of ``others`` (m, hidden).

    Some rows at a time, so that memory does not grow with their number.

    Args:
        vectors: (n, hidden).
        others: (m, hidden).
        count: how many.
        compare: gives similarities; by default of vectors of length 1.
    """
    step = max(1, _CELLS // max(1, len(others)))
    for start in range(0, len(vectors), step):
        yield from best(compare(vectors[start : start + step], others), count)


def best(similarities: np.ndarray, count: int) -> Iterator[list[int]]:
    """For each row the places of its ``count`` largest similarities, the largest first, of equal ones the earlier."""
    for row in similarities:
        if count < len(row):
            least = np.partition(row, len(row) - count)[len(row) - count]
            found = np.flatnonzero(row >= least)
        else:
            found = np.arange(len(row))
        yield found[np.argsort(-row[found], kind="stable")][:count].tolist()


def _by_words(compare: Callable[[slice], np.ndarray], rows: int, candidates: Candidates) -> Iterator[list[int]]:
    step = max(1, _CELLS // len(candidates.texts))
    for start in range(0, rows, step):
        yield from best(compare(slice(start, min(rows, start + step))), candidates.depth)


def _chance(count: int) -> BaselineFact:
    """What a random order gives on average."""
    values = {f"recall@{k}": min(1.0, k / count) for k in reversed(RECALLS)}
    values[f"mrr@{DEPTH}"] = sum(1 / place for place in range(1, min(DEPTH, count) + 1)) / count
    facts = tuple(MetricFact(name, value) for name, value in values.items())
    return BaselineFact("chance", facts, f"ranks the {count} texts in a random order, on average")


def _misses(
    ranks: np.ndarray, firsts: Sequence[int], pairs: TextPairs, candidates: Candidates, count: int
) -> tuple[MistakeFact, ...]:
    """Rows whose right text came late, the latest first; confidence is 1 - 1 / place."""
    worst = np.argsort(-ranks, kind="stable")[:count]
    return tuple(
        MistakeFact(
            row=int(row) + 1,
            text=shorten(pairs.texts[int(row)]),
            label=shorten(pairs.partners[int(row)]),
            prediction=shorten(candidates.texts[firsts[int(row)]]),
            confidence=float(1 - 1 / ranks[row]),
        )
        for row in worst
        if ranks[row] > 1
    )
