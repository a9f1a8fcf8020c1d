"""The limits on a card: where the data tells that the checkpoint is weak or was not measured, and wrong answers."""

from __future__ import annotations

from .facts import EvaluationFacts, MistakeFact, RunFacts, SplitFacts
from .languages import language_name
from .markdown import code, count, decimal, folded, listed, plain, share, table
from .metadata import main_evaluation
from .phrases import MOST_LABELS, counted_by_class, label_names, row_count
from .picture_usage import noun
from .rewriting_usage import REWRITING_TASKS, longest_text

MOST_MISTAKES = 5

UNBALANCED = 1.5
"""Rows of the most frequent label over rows of the rarest, from which on the card says so."""

FEW_ROWS = 200
"""Rows under which a card says that they are few: the interval of an accuracy is then about ± 6 points or wider."""


def limits(facts: RunFacts) -> str:
    """What the data tells about where the checkpoint is weak or was not measured."""
    points = [*_limits_of_data(facts), *_limits_of_results(facts)]
    if not points:
        return ""
    parts = ["## Limits", "\n".join(f"- {point}" for point in points)]
    main = main_evaluation(facts)
    if main is not None and main.mistakes:
        shown = main.mistakes[:MOST_MISTAKES]
        far = ("sentence-similarity", *REWRITING_TASKS)
        is_distance = main.problem_type == "regression" or facts.task in far
        title = "Answers farthest off" if is_distance else "The most confident wrong answers"
        parts.append(folded(title, _mistake_table(shown, noun(facts), "error" if is_distance else "confidence")))
    return "\n\n".join(parts)


def _limits_of_data(facts: RunFacts) -> list[str]:
    points = []
    if facts.languages and noun(facts) == "text":
        names = listed([language_name(each) for each in facts.languages])
        points.append(f"Trained on texts in {names}; other languages were not measured.")
    train = facts.data.split("train") if facts.data is not None else None
    if train is not None:
        points += _length_limits(facts, train, is_one_text=facts.data is not None and facts.data.text_unit == "blocks")
        if train.unanswered:
            points.append(
                f"{share(train.unanswered, train.rows)} of the training questions have no answer. With "
                "`handle_impossible_answer=True` an empty answer says so; without it there always is one."
            )
        # Most words are no names, which says nothing; and a picture has any number of objects.
        if facts.problem_type not in ("tagging", "detection"):
            points += _balance_limits(train)
    elif facts.max_length is not None:
        points.append(_longest(facts.max_length, facts.problem_type, facts.task))
    return points


def _length_limits(facts: RunFacts, train: SplitFacts, *, is_one_text: bool) -> list[str]:
    at = train.length_percentiles
    points = []
    if {"0", "50", "99", "100"} <= set(at) and noun(facts) == "picture":
        points.append(
            f"Half of the training pictures have a longer side of at most {at['50']:,.0f} pixels, 99 % of at most "
            f"{at['99']:,.0f}; none was smaller than {at['0']:,.0f} or larger than {at['100']:,.0f}."
        )
    elif {"0", "50", "99", "100"} <= set(at) and not is_one_text:  # how long its pieces are says nothing
        points.append(
            f"Half of the training texts have at most {at['50']:,.0f} characters, 99 % at most {at['99']:,.0f}; "
            f"none was shorter than {at['0']:,.0f} or longer than {at['100']:,.0f}."
        )
    if facts.max_length is not None:
        points.append(_longest(facts.max_length, facts.problem_type, facts.task))
    return points


def _longest(tokens: int, problem_type: str | None, task: str | None = None) -> str:
    if task in REWRITING_TASKS:
        return longest_text(tokens, task)
    if task == "text-generation":
        return f"Takes {count(tokens)} tokens, those of the prompt and those that it writes together."
    if task == "fill-mask":
        many = f"Takes {count(tokens)} tokens in one piece."
        return f"{many} Quintet reads the part of a longer text that is around a mask; plain transformers fails on it."
    if task == "question-answering":
        many = f"Takes {count(tokens)} tokens in one piece, question and context together."
        return f"{many} Quintet reads a longer context in windows; with plain transformers that is left to you."
    if problem_type == "tagging":
        many = f"Takes {count(tokens)} tokens in one piece."
        return f"{many} Quintet reads longer texts in windows; plain transformers cuts them."
    return (
        f"Takes {count(tokens)} tokens in one piece. Quintet reads longer texts in windows; plain transformers needs "
        "`truncation=True` and then does not see the rest."
    )


def _balance_limits(train: SplitFacts) -> list[str]:
    histogram = {label: rows for label, rows in train.label_histogram.items() if rows}
    if len(histogram) < 2:
        return []
    most, least = max(histogram, key=lambda each: histogram[each]), min(histogram, key=lambda each: histogram[each])
    if histogram[most] < UNBALANCED * histogram[least]:
        return []
    times = f"{histogram[most] / histogram[least]:.1f} times as many as"
    counts = f"{code(most)} has {row_count(histogram[most])}, {times} {code(least)} with {count(histogram[least])}"
    return [f"The training labels are unbalanced: {counts}."]


def _limits_of_results(facts: RunFacts) -> list[str]:
    main = main_evaluation(facts)
    if main is None:
        return []
    points = []
    names = sorted({each for one in facts.evaluations for each in one.data_name.split(",") if each})
    if names:
        points.append(
            f"Measured on {listed([code(name) for name in names])} only; {noun(facts)}s of another kind were not."
        )
    points += _class_limits(main)
    if main.count < FEW_ROWS:
        points.append(f"Only {row_count(main.count)} were evaluated: the intervals are wide.")
    for rule in main.baselines:
        rival = next((metric for metric in rule.metrics if main.metrics and metric.name == main.metrics[0].name), None)
        if rival is not None and not _is_better(main.metrics[0].value, rival.value, rival.higher_is_better):
            points.append(f"It is not better than {plain(rule.name)}, which costs nothing.")
    return points


def _class_limits(main: EvaluationFacts) -> list[str]:
    points = []
    scored = [(row, metric) for row in main.per_class for metric in row.metrics if metric.name == "f1" and row.count]
    if len(scored) > 1:
        lowest = min(metric.value for _, metric in scored)
        weakest = [row for row, metric in scored if metric.value == lowest]
        if len(weakest) == 1:
            number = weakest[0].count
            of_class = (
                f"{count(number)} {counted_by_class(main)}" if main.problem_type == "tagging" else row_count(number)
            )
            where = f"F1 {decimal(lowest)} on {of_class}"
            points.append(f"The weakest class is {code(weakest[0].label)}: {where}.")
        else:
            many = f"{count(len(weakest))} of {count(len(scored))} classes"
            names = label_names([row.label for row in weakest])
            points.append(f"{many} have the lowest F1, {decimal(lowest)}: {names}.")
    unseen = [row.label for row in main.per_class if not row.count]
    if len(unseen) > MOST_LABELS:
        many = f"{count(len(unseen))} of {count(len(main.per_class))} classes"
        points.append(f"{many} have no row in the {plain(main.split)} split: {label_names(unseen)}.")
    elif unseen:
        points.append(f"Not one row of the {plain(main.split)} split has {label_names(unseen, last='or')}.")
    return points


def _is_better(value: float, other: float, higher: bool) -> bool:
    return value > other if higher else value < other


def _mistake_table(mistakes: tuple[MistakeFact, ...], first: str, last: str) -> str:
    rows = [
        (
            code(each.text) if each.text_pair is None else f"{code(each.text)} and {code(each.text_pair)}",
            code(each.label),
            code(each.prediction),
            f"{each.confidence:.3f}",
        )
        for each in mistakes
    ]
    return table((first, "true", "answer", last), rows, left=3)
