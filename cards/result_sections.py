"""The results on a card: a table for each evaluation, the classes, and what the numbers rest on."""

from __future__ import annotations

from collections.abc import Sequence

from .facts import EvaluationFacts, RunFacts
from .markdown import code, count, decimal, folded, listed, number_of, plain, table
from .metadata import chosen_on, main_evaluation, shown_evaluations
from .phrases import (
    MOST_CLASSES,
    MOST_LABELS,
    capital,
    class_metrics,
    counted_by_class,
    data_sentence,
    interval,
    level_text,
    metric_phrase,
    row_count,
    value_with_interval,
)
from .picture_usage import noun
from .rewriting_usage import counted_sentence
from .snippets import literal, shell_word

CONFUSION = "confusion.png"
"""File of the picture of the main evaluation's confusion matrix."""

MOST_NOTES = 5
"""Notes of an evaluation that a card shows; older facts have one for each class."""

LAST_LATIN = "\u024f"
"""The last letter that any font surely has: with others in its name a class may be a number on the picture."""


def results(facts: RunFacts, name: str) -> str:
    """Tables of every evaluation, the main one first, with what the numbers rest on; ``name`` is the checkpoint's."""
    main = main_evaluation(facts)
    if main is None:
        return ""
    others = shown_evaluations(facts)[1:]
    parts = ["## Results", _evaluation(facts, main, is_main=True)]
    if facts.calibration is not None:
        fit = facts.calibration
        parts.append(
            f"The probabilities are calibrated: the logits are divided by {decimal(fit.temperature)}, fitted on "
            f"{row_count(fit.count)} of the {plain(fit.split)} split, where it changed the expected calibration error "
            f"from {decimal(fit.ece_before)} to {decimal(fit.ece_after)}."
        )
    parts += [_evaluation(facts, one, is_main=False) for one in others]
    parts.append(_verify(facts, name))
    return "\n\n".join(part for part in parts if part)


def _evaluation(facts: RunFacts, evaluation: EvaluationFacts, *, is_main: bool) -> str:
    split = plain(evaluation.split)
    title = f"{code(evaluation.data_name)}, {split}" if evaluation.data_name else split
    parts = [f"### {title}: {row_count(evaluation.count)}"]
    if chosen_on(facts, evaluation):
        parts.append("These rows chose the weights that were kept, so their numbers may read too well.")
    if evaluation.weights_sha256 and facts.weights_sha256 and evaluation.weights_sha256 != facts.weights_sha256:
        parts.append(f"Measured on other weights than these: sha256 {code(evaluation.weights_sha256)}.")
    if evaluation.metrics:
        names = [plain(rule.name) for rule in evaluation.baselines]
        rivals = [{metric.name: metric for metric in rule.metrics} for rule in evaluation.baselines]
        rows = [
            (
                metric_phrase(metric.name) + ("" if metric.higher_is_better else " ↓"),
                decimal(metric.value),
                interval(metric),
                *("" if metric.name not in each else decimal(each[metric.name].value) for each in rivals),
            )
            for metric in evaluation.metrics
        ]
        level = next((metric.level for metric in evaluation.metrics if metric.low is not None), 0.95)
        parts.append(table(("metric", "value", f"{level_text(level)} interval", *names), rows))
    parts.append(_rests_on(facts, evaluation, is_main=is_main))
    is_drawn = is_main and CONFUSION in facts.pictures
    is_numbered = is_drawn and bool(evaluation.per_class) and _may_be_numbers(evaluation.labels)
    classes = _class_table(evaluation, is_numbered=is_numbered)
    if classes:
        parts.append(classes if is_main else folded("The classes", classes))
    if is_drawn:
        parts.append(f"![Confusion matrix: {split}, {row_count(evaluation.count)}]({CONFUSION})")
    if is_numbered:
        parts.append("On the picture a class for whose name there was no font is called by its number.")
    return "\n\n".join(parts)


def _rests_on(facts: RunFacts, evaluation: EvaluationFacts, *, is_main: bool) -> str:
    """What the numbers of an evaluation rest on, in a few sentences."""
    protocol, sentences = evaluation.protocol, []
    resamples = protocol.get("bootstrap")
    if resamples and any(metric.low is not None for metric in evaluation.metrics):
        sentences.append(
            f"Intervals: bootstrap over the rows, {count(resamples)} resamples, seed {protocol.get('seed')}."
        )
    if facts.seed is not None and is_main:
        sentences.append(f"One training run, seed {facts.seed}: how far seeds differ is not in the intervals.")
    described = [rule for rule in evaluation.baselines if rule.description]
    sentences += [f"{capital(plain(rule.name))}: {plain(rule.description)}." for rule in described]
    if evaluation.training_rows is not None:
        seen = evaluation.training_rows
        sentences.append(f"Rows with a {noun(facts)} that it was trained on: {count(seen) if seen else 'none'}.")
    if protocol.get("dtype"):
        sentences.append(f"Computed in {plain(str(protocol['dtype']))}.")
    if protocol.get("long_texts"):
        sentences.append(f"Long texts: {plain(str(protocol['long_texts']))}.")
    if protocol.get("pairs"):
        sentences.append(f"Rows are pairs {plain(str(protocol['pairs']))}.")
    if protocol.get("tokens_before_each"):
        sentences.append(
            f"Every token is foretold once, in windows of {count(protocol['tokens_read_at_once'])} tokens at most, "
            f"from at least {count(protocol['tokens_before_each'])} tokens before it or all there are; the loss is in "
            "nats per token."
        )
    sentences += filter(None, [counted_sentence(evaluation)])
    if protocol.get("masks"):
        sentences.append(f"Masked: {plain(str(protocol['masks']))}.")
    if protocol.get("label_map"):
        renamed = [f"{code(theirs)} as {code(ours)}" for theirs, ours in protocol["label_map"].items()]
        if len(renamed) > MOST_LABELS:
            renamed[MOST_LABELS:] = [f"{number_of(len(renamed) - MOST_LABELS, 'other')} likewise"]
        sentences.append(f"Labels of the data read as the checkpoint's: {listed(renamed)}.")
    if protocol.get("limit"):
        sentences.append(f"At most {count(protocol['limit'])} rows were drawn.")
    sentences += [f"{capital(plain(note)).rstrip('.')}." for note in evaluation.notes[:MOST_NOTES]]
    if len(evaluation.notes) > MOST_NOTES:
        sentences.append(f"{capital(number_of(len(evaluation.notes) - MOST_NOTES, 'more note'))} in `run.json`.")
    if evaluation.data is not None:
        sentences.append(f"Data: {data_sentence(evaluation.data)}")
    if evaluation.fingerprint not in [split.fingerprint for split in (facts.data.splits if facts.data else ())]:
        sentences.append(f"sha256 of the rows' contents: {code(evaluation.fingerprint)}.")
    return " ".join(sentences)


def _class_table(evaluation: EvaluationFacts, *, is_numbered: bool) -> str:
    """The metrics of each class; ``is_numbered`` adds the number that a class may have on the picture."""
    if not evaluation.per_class:
        return ""
    names = class_metrics(evaluation.per_class)
    numbers = {label: str(number) for number, label in enumerate(evaluation.labels)}
    rows = []
    for each in evaluation.per_class:
        values = {metric.name: metric for metric in each.metrics}
        cells = ("" if name not in values else value_with_interval(values[name]) for name in names)
        number = (numbers.get(each.label, ""),) if is_numbered else ()
        rows.append((code(each.label), *number, count(each.count), *cells))
    number = ("number",) if is_numbered else ()
    counted = counted_by_class(evaluation)
    made = table(("class", *number, counted, *map(metric_phrase, names)), rows)
    return made if len(rows) <= MOST_CLASSES else folded(f"{len(rows)} classes", made)


def _may_be_numbers(labels: Sequence[str]) -> bool:
    """Whether a picture may call a class by its number, for there is no font for its name."""
    return any(not label or not label.isprintable() or max(label) > LAST_LATIN for label in labels)


def _verify(facts: RunFacts, name: str) -> str:
    """How the numbers are computed again: with each data set that is not on the Hub, under its recorded name."""
    records = {record.name: record for one in facts.evaluations if (record := one.data or facts.data) is not None}
    if not records:
        return ""
    elsewhere = [record for record in records.values() if record.kind != "hub"]
    # one that is recorded as several files brings each of them, which may have been evaluated on alone
    parts = {part for record in elsewhere if "," in record.name for part in record.name.split(",")}
    needed = [record for record in elsewhere if record.name not in parts]
    who = "Whoever has the data" if needed else "Anyone"
    if any(record.kind == "memory" for record in needed):
        rows = [f"{literal(one.name)}: {'rows' if one.kind == 'memory' else literal(one.name)}" for one in needed]
        given = "rows" if len(needed) == 1 else f"{{{', '.join(rows)}}}"
        call = f"verify({literal(name)}, dataset={given})"
        return f"{who} can compute these numbers again, in Python, as `rows` were given in memory: {code(call)}."
    words = ["quintet", "verify", name, *(word for record in needed for word in ("--dataset", record.name))]
    return f"{who} can compute these numbers again: {code(' '.join(map(shell_word, words)))}."
