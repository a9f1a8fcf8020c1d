"""How good tags are: entities by seqeval, which counts as conlleval does; tags without entities by scikit-learn.

    tags of entities (B-, I-)    precision, recall and F1 of whole entities over all kinds, macro F1, accuracy of words
    other tags (parts of speech) accuracy of words, macro F1 and precision and recall over the tags

An entity counts as found if its kind and both its ends are right. The first metric of each list is the main one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from seqeval import metrics as entity_metrics
from seqeval.metrics.sequence_labeling import get_entities
from sklearn import metrics as sklearn_metrics

from ..cards.facts import ClassFact, MetricFact
from ..pipelines.errors import DataError, ShapeError
from . import bootstrap as resampling
from .data.tags import is_scheme
from .metrics import UNDEFINED, Scores, undefined

LARGEST_CONFUSION = 40
"""Tags of which a confusion matrix can still be read."""

Span = tuple[str, int, int]
"""Kind of an entity, number of its first word, number of its last word."""


def spans(tags: Sequence[str]) -> set[Span]:
    """The entities of one text."""
    return set(get_entities(list(tags)))


def tagging_metrics(
    predicted: Sequence[Sequence[int]],
    true: Sequence[Sequence[int]],
    names: Sequence[str],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Scores:
    """Metrics with 95 % bootstrap percentile intervals; whole texts are drawn.

    Args:
        predicted: a tag id for each word of each text.
        true: the same, as it should be.
        names: of the tags, in id order.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.

    Raises:
        DataError: there are no texts.
        ShapeError: a text has another number of tags than of words.
    """
    if not len(true):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    for row, (answers, tags) in enumerate(zip(predicted, true, strict=True), 1):
        if len(answers) != len(tags):
            raise ShapeError(f"row {row} has {len(tags)} words and {len(answers)} answers, expected one for each")
    answers = [[names[tag] for tag in row] for row in predicted]
    truth = [[names[tag] for tag in row] for row in true]
    measure = _entities if is_scheme(names) else _words
    scores = measure(answers, truth, names, bootstrap, seed)
    if len(names) > LARGEST_CONFUSION:
        return scores
    ids = np.arange(len(names))
    table = sklearn_metrics.confusion_matrix(_flat(true), _flat(predicted), labels=ids)
    confusion = tuple(tuple(int(cell) for cell in row) for row in table)
    return Scores(scores.metrics, scores.per_class, confusion, scores.notes)


def _entities(
    answers: list[list[str]], truth: list[list[str]], names: Sequence[str], resamples: int, seed: int
) -> Scores:
    kinds = sorted({name.partition("-")[2] for name in names} - {""})
    true, answered, hits = _entity_counts(answers, truth, kinds)  # each (kinds, rows)
    words = np.array([len(row) for row in truth], dtype=np.float64)
    right = np.array([_matches(one, other) for one, other in zip(answers, truth, strict=True)], dtype=np.float64)
    has_any = bool(true.sum() or answered.sum())
    values = {
        "f1": entity_metrics.f1_score(truth, answers, **UNDEFINED) if has_any else 0.0,
        "precision": entity_metrics.precision_score(truth, answers, **UNDEFINED) if answered.sum() else 0.0,
        "recall": entity_metrics.recall_score(truth, answers, **UNDEFINED) if true.sum() else 0.0,
        "macro_f1": entity_metrics.f1_score(truth, answers, average="macro", **UNDEFINED) if has_any else 0.0,
        "accuracy": entity_metrics.accuracy_score(truth, answers),
    }

    def statistics(counts: resampling.Counts) -> dict[str, np.ndarray]:
        drawn = [table @ counts for table in (true, answered, hits)]  # each (kinds, resamples)
        in_all = [table.sum(0) for table in drawn]
        return {
            **resampling.class_statistics(*drawn),
            "f1": resampling.ratio(2 * in_all[2], in_all[0] + in_all[1], otherwise=0.0),
            "precision": resampling.ratio(in_all[2], in_all[1], otherwise=0.0),
            "recall": resampling.ratio(in_all[2], in_all[0], otherwise=0.0),
            "accuracy": resampling.ratio(right @ counts, words @ counts),
        }

    ends = resampling.intervals(statistics, len(truth), resamples=resamples, seed=seed)
    sums = [table.sum(1) for table in (true, answered, hits)]
    return _scores(values, sums, kinds, ends)


def _words(answers: list[list[str]], truth: list[list[str]], names: Sequence[str], resamples: int, seed: int) -> Scores:
    position = {name: index for index, name in enumerate(names)}
    true, answered, hits = (np.zeros((len(names), len(truth))) for _ in range(3))
    for row, (given, right) in enumerate(zip(answers, truth, strict=True)):
        for one, other in zip(given, right, strict=True):
            true[position[other], row] += 1
            answered[position[one], row] += 1
            hits[position[one], row] += one == other
    flat_truth, flat_answers = _flat(truth), _flat(answers)
    means = sklearn_metrics.precision_recall_fscore_support(flat_truth, flat_answers, average="macro", **UNDEFINED)
    values = {
        "accuracy": sklearn_metrics.accuracy_score(flat_truth, flat_answers),
        "macro_f1": means[2],
        "macro_precision": means[0],
        "macro_recall": means[1],
    }

    def statistics(counts: resampling.Counts) -> dict[str, np.ndarray]:
        drawn = [table @ counts for table in (true, answered, hits)]
        return {
            **resampling.class_statistics(*drawn),
            "accuracy": resampling.ratio(drawn[2].sum(0), drawn[0].sum(0)),
        }

    ends = resampling.intervals(statistics, len(truth), resamples=resamples, seed=seed)
    return _scores(values, [table.sum(1) for table in (true, answered, hits)], names, ends)


def _entity_counts(
    answers: list[list[str]], truth: list[list[str]], kinds: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entities that there are, that were answered, and that were answered rightly, each ``(kinds, rows)``."""
    position = {kind: index for index, kind in enumerate(kinds)}
    tables = tuple(np.zeros((len(kinds), len(truth))) for _ in range(3))
    for row, (given, right) in enumerate(zip(answers, truth, strict=True)):
        found, there = spans(given), spans(right)
        for table, entities in zip(tables, (there, found, found & there), strict=True):
            for kind, _, _ in entities:
                table[position[kind], row] += 1
    return tables[0], tables[1], tables[2]


def _scores(values: dict[str, float], sums: Sequence[np.ndarray], labels: Sequence[str], ends: dict) -> Scores:
    facts = tuple(MetricFact(name, float(value), *resampling.end(ends, name)) for name, value in values.items())
    table = resampling.class_statistics(*(column[:, None] for column in sums))
    rows = []
    for index, label in enumerate(labels):
        metrics = []
        for metric in ("precision", "recall", "f1"):
            value = table[f"class_{metric}"][index, 0]
            if not np.isnan(value):
                metrics.append(MetricFact(metric, float(value), *resampling.end(ends, f"class_{metric}", index)))
        rows.append(ClassFact(label, int(sums[0][index]), tuple(metrics)))
    unseen = [label for label, count in zip(labels, sums[0], strict=True) if not count]
    notes = undefined("recall", unseen, labels, "no word has it", "no word has one of them")
    return Scores(facts, tuple(rows), None, tuple(notes))


def _matches(one: Sequence[str], other: Sequence[str]) -> int:
    return sum(left == right for left, right in zip(one, other, strict=True))


def _flat(rows: Sequence[Sequence]) -> list:
    return [tag for row in rows for tag in row]
