"""Pieces of sentences about facts that several sections of a card share."""

from __future__ import annotations

from collections.abc import Sequence

from .facts import ClassFact, DataFacts, EvaluationFacts, MetricFact
from .markdown import code, decimal, listed, number_of
from .metadata import metric_title

MOST_LABELS = 10
"""Labels that a sentence names; more are counted."""

CLASS_METRICS = ("precision", "recall", "f1")
"""The metrics of a class in the order of the columns."""

MOST_CLASSES = 30
"""Rows that a table of classes or labels shows at once; a longer one is folded."""


def data_names(data: DataFacts) -> str:
    """The data sets by their names: `` `a`, `b` and `c` ``."""
    return listed([code(name) for name in data.name.split(",")])


def data_sentence(data: DataFacts) -> str:
    """Where the data is from, its revision and licence, and which of its columns were read."""
    places = {
        "hub": "on the Hub",
        "local": "local files; recorded are their names and contents' hashes",
        "url": "from the web",
        "memory": "rows given in memory",
    }
    sentence = f"{data_names(data)} ({places[data.kind]})"
    for name, value in (("configuration", data.config), ("revision", data.revision), ("licence", data.licence)):
        if value:
            sentence += f", {name} {code(value)}"
    if data.text_unit == "blocks":
        sentence += ", read as one text whose pieces are its rows"
    if data.columns:
        sentence += (
            f"; columns {listed([f'{code(ours)} from {code(theirs)}' for ours, theirs in data.columns.items()])}"
        )
    return sentence + "."


def counted_by_class(evaluation: EvaluationFacts) -> str:
    """What the table of the classes counts: rows, of detectors objects, or of taggers entities, or words."""
    if evaluation.problem_type == "detection":
        return "objects"
    if evaluation.problem_type != "tagging":
        return "rows"
    return "entities" if all(label == "O" or label[:2] in ("B-", "I-") for label in evaluation.labels) else "words"


def metric_phrase(name: str) -> str:
    """A metric's name within the body of a card, where the label of a class is shown as it is."""
    kind, colon, label = name.partition(":")
    return f"{metric_title(kind)} of {code(label)}" if colon else metric_title(name)


def row_count(number: int) -> str:
    """``1,200 rows``."""
    return number_of(number, "row")


def label_names(labels: Sequence[str], *, last: str = "and") -> str:
    """Labels by their names, at most `MOST_LABELS` of them: `` `a`, `b` and `c` `` or `` `a`, `b`, … and 7 more``."""
    named = [code(label) for label in labels[:MOST_LABELS]]
    more = len(labels) - len(named)
    return f"{', '.join(named)} and {more:,} more" if more else listed(named, last=last)


def class_metrics(rows: Sequence[ClassFact]) -> list[str]:
    """The metrics that a table of classes has, always in the same order, though a class may lack any of them."""
    found = dict.fromkeys(metric.name for row in rows for metric in row.metrics)
    return [*(name for name in CLASS_METRICS if name in found), *(name for name in found if name not in CLASS_METRICS)]


def level_text(level: float) -> str:
    """The level of an interval, a fraction in [0, 1], as ``95 %``."""
    return f"{100 * level:g} %"


def interval(metric: MetricFact) -> str:
    """``0.8400 – 0.9500``; an empty text for a metric without one."""
    if metric.low is None or metric.high is None:
        return ""
    return f"{decimal(metric.low)} – {decimal(metric.high)}"


def value_with_interval(metric: MetricFact) -> str:
    """``0.9000 (0.8400 – 0.9500)``; the value alone of a metric without an interval."""
    between = interval(metric)
    return f"{decimal(metric.value)} ({between})" if between else decimal(metric.value)


def capital(text: str) -> str:
    """``text`` with a capital at its beginning, all else as it is."""
    return text[:1].upper() + text[1:]
