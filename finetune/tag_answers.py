"""Measuring token classification: the tags of all words against what they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cards.facts import BaselineFact, MistakeFact
from ..pipelines.errors import DataError
from .data.tags import OUTSIDE, is_scheme
from .label_answers import windows_note
from .measuring import Conditions, Measured
from .mistakes import shorten
from .tagging_metrics import Span, spans, tagging_metrics

if TYPE_CHECKING:
    from datasets import Dataset

    from .data import TaskData

PROTOCOL = {
    "long_texts": "windows; in an overlap the one in which a word stands farther from the edge",
    "unit": "whole entities, by seqeval",
}


@dataclass(frozen=True)
class _Answer:
    """The tags of a text, and the probability of the surest wrong one; 0 where none is wrong."""

    tags: list[str]
    confidence: float


def measure_tags(pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How good the tags of ``pipe`` are on the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    rows = data.splits[role]
    names, ids = _matched(data.labels or (), conditions)
    truth = [[names[ids[tag]] for tag in tags] for tags in rows["tags"]]
    answers, notes = _answers(pipe, rows, truth, conditions)
    position = {name: index for index, name in enumerate(names)}

    def scored(tags: Sequence[Sequence[str]]) -> Any:
        numbers = [[position[tag] for tag in row] for row in tags]
        right = [[position[tag] for tag in row] for row in truth]
        return tagging_metrics(numbers, right, names, bootstrap=conditions.bootstrap, seed=conditions.seed)

    scores = scored([answer.tags for answer in answers])
    baselines = [
        BaselineFact(name, scored(tags).metrics, description)
        for name, tags, description in _baselines(data, rows, truth, names, conditions)
    ]
    return Measured(
        count=len(rows),
        metrics=scores.metrics,
        problem_type=conditions.problem_type,
        labels=names,
        per_class=scores.per_class,
        confusion=scores.confusion,
        baselines=tuple(baselines),
        mistakes=_mistakes(rows["tokens"], truth, answers, is_scheme(names), conditions.mistakes),
        notes=(*notes, *scores.notes),
        protocol=PROTOCOL if is_scheme(names) else {"long_texts": PROTOCOL["long_texts"]},
    )


def _matched(of_data: Sequence[str], conditions: Conditions) -> tuple[tuple[str, ...], list[int]]:
    """The tags of the checkpoint, then those that only the data has; and for each tag of the data its place there.

    Raises:
        DataError: they have no tag in common but the one outside of entities.
    """
    renamed = [conditions.label_map.get(tag, tag) for tag in of_data]
    shared = {*renamed} & {*conditions.labels} - {OUTSIDE}
    if not shared:
        raise DataError(
            f"the data has the tags {', '.join(of_data[:20])}, and the checkpoint {', '.join(conditions.labels[:20])}; "
            "they have none in common. Say which mean the same with --label-map B-person=B-PER"
        )
    names = tuple(dict.fromkeys([*conditions.labels, *renamed]))
    return names, [names.index(tag) for tag in renamed]


def _answers(
    pipe: Any, rows: Dataset, truth: Sequence[Sequence[str]], conditions: Conditions
) -> tuple[list[_Answer], tuple[str, ...]]:
    """The tags of all rows, and notes about how they came about."""
    total, windowed, answers = len(rows), 0, []
    position = {label: index for index, label in enumerate(pipe.checkpoint.config.labels)}
    for output, right in zip(pipe.outputs(rows["tokens"]), truth, strict=True):
        windowed += len(output.windows) > 1
        tags, probabilities = pipe.word_tags(output), pipe.word_probabilities(output)
        wrong = [word for word, tag in enumerate(tags) if tag != right[word]]
        confidence = max((float(probabilities[word, position[tags[word]]]) for word in wrong), default=0.0)
        answers.append(_Answer(tags, confidence))
        if conditions.progress is not None:
            conditions.progress(len(answers), total)
    if not answers:
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    return answers, windows_note(windowed, total)


def _baselines(
    data: TaskData, rows: Dataset, truth: Sequence[Sequence[str]], names: Sequence[str], conditions: Conditions
) -> list[tuple[str, list[list[str]], str]]:
    """Name, answers and description of each free rule."""
    histogram = Counter(dict(conditions.training.label_histogram) if conditions.training is not None else {})
    known = any(histogram.get(name) for name in names)
    if not known:
        histogram = Counter(tag for tags in truth for tag in tags)
    most = max(names, key=lambda name: histogram.get(name, 0))
    source = "of the training split" if known else "of the evaluated rows themselves (no training split is recorded)"
    found = [
        (
            "most frequent tag",
            [[most] * len(tags) for tags in truth],
            f"answers '{most}' for every word, the most frequent tag {source}",
        )
    ]
    training = data.splits.get("train")
    if training is not None and data.labels and set(data.labels) <= set(names):
        by_word = _tags_by_word(training, data.labels)
        found.append(
            (
                "most frequent tag of the word",
                [[by_word.get(word, most) for word in words] for words in rows["tokens"]],
                f"answers the tag that the word has most often in the training split, '{most}' for a new word",
            )
        )
    return found


def _tags_by_word(training: Any, labels: Sequence[str]) -> dict[str, str]:
    """The tag that each word has most often in a split of `datasets`."""
    counts: dict[str, Counter[str]] = {}
    for block in training.iter(batch_size=1000):
        for words, tags in zip(block["tokens"], block["tags"], strict=True):
            for word, tag in zip(words, tags, strict=True):
                counts.setdefault(word, Counter())[labels[int(tag)]] += 1
    return {word: max(sorted(tags), key=lambda tag: tags[tag]) for word, tags in counts.items()}


def _mistakes(
    texts: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    answers: Sequence[_Answer],
    has_entities: bool,
    count: int,
) -> tuple[MistakeFact, ...]:
    """The texts with the surest wrong tags, surest first; of each what was missed and what was answered."""
    wrong = [row for row, (tags, answer) in enumerate(zip(truth, answers, strict=True)) if list(tags) != answer.tags]
    worst = sorted(wrong, key=lambda row: -answers[row].confidence)[:count]
    facts = []
    for row in worst:
        words, tags, given = texts[row], truth[row], answers[row].tags
        if has_entities:
            right, found = spans(tags), spans(given)
            label, prediction = _entities(words, right - found), _entities(words, found - right)
        else:
            places = [place for place, tag in enumerate(tags) if tag != given[place]]
            label, prediction = (
                ", ".join(f"{words[place]}: {row_tags[place]}" for place in places) for row_tags in (tags, given)
            )
        facts.append(
            MistakeFact(row + 1, shorten(" ".join(words)), shorten(label), shorten(prediction), answers[row].confidence)
        )
    return tuple(facts)


def _entities(words: Sequence[str], found: set[Span]) -> str:
    ordered = sorted(found, key=lambda span: span[1])
    return ", ".join(f"{' '.join(words[first : last + 1])}: {kind}" for kind, first, last in ordered) or "none"
