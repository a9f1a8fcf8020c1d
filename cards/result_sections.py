"""The results on a card: a table for each evaluation, the classes, and what the numbers rest on."""

from __future__ import annotations

from .facts import EvaluationFacts, RunFacts
from .markdown import code, count, decimal, folded, listed, table
from .metadata import chosen_on, main_evaluation, metric_title, shown_evaluations
from .phrases import MOST_CLASSES, capital, data_sentence, interval, level_text, row_count, value_with_interval

CONFUSION = "confusion.png"
"""File of the picture of the main evaluation's confusion matrix."""


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
            f"{row_count(fit.count)} of the {fit.split} split, where it changed the expected calibration error from "
            f"{decimal(fit.ece_before)} to {decimal(fit.ece_after)}."
        )
    parts += [_evaluation(facts, one, is_main=False) for one in others]
    parts.append(_verify(facts, main, name))
    return "\n\n".join(parts)


def _evaluation(facts: RunFacts, evaluation: EvaluationFacts, *, is_main: bool) -> str:
    title = f"{code(evaluation.data_name)}, {evaluation.split}" if evaluation.data_name else evaluation.split
    parts = [f"### {title}: {row_count(evaluation.count)}"]
    if chosen_on(facts, evaluation):
        parts.append("These rows chose the weights that were kept, so their numbers may read too well.")
    if evaluation.weights_sha256 and facts.weights_sha256 and evaluation.weights_sha256 != facts.weights_sha256:
        parts.append(f"Measured on other weights than these: sha256 {code(evaluation.weights_sha256)}.")
    if evaluation.metrics:
        names = [rule.name for rule in evaluation.baselines]
        rivals = [{metric.name: metric for metric in rule.metrics} for rule in evaluation.baselines]
        rows = [
            (
                metric_title(metric.name) + ("" if metric.higher_is_better else " ↓"),
                decimal(metric.value),
                interval(metric),
                *("" if metric.name not in each else decimal(each[metric.name].value) for each in rivals),
            )
            for metric in evaluation.metrics
        ]
        level = next((metric.level for metric in evaluation.metrics if metric.low is not None), 0.95)
        parts.append(table(("metric", "value", f"{level_text(level)} interval", *names), rows))
    parts.append(_rests_on(facts, evaluation, is_main=is_main))
    classes = _class_table(evaluation)
    if classes:
        parts.append(classes if is_main else folded("The classes", classes))
    if is_main and CONFUSION in facts.pictures:
        parts.append(f"![Confusion matrix: {evaluation.split}, {row_count(evaluation.count)}]({CONFUSION})")
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
    sentences += [f"{capital(rule.name)}: {rule.description}." for rule in evaluation.baselines if rule.description]
    if evaluation.training_rows is not None:
        seen = evaluation.training_rows
        sentences.append(f"Rows with a text that it was trained on: {count(seen) if seen else 'none'}.")
    if protocol.get("dtype"):
        sentences.append(f"Computed in {protocol['dtype']}.")
    if protocol.get("long_texts"):
        sentences.append(f"Long texts: {protocol['long_texts']}.")
    if protocol.get("label_map"):
        renamed = [f"{code(theirs)} as {code(ours)}" for theirs, ours in protocol["label_map"].items()]
        sentences.append(f"Labels of the data read as the checkpoint's: {listed(renamed)}.")
    if protocol.get("limit"):
        sentences.append(f"At most {count(protocol['limit'])} rows were drawn.")
    sentences += [f"{capital(note).rstrip('.')}." for note in evaluation.notes]
    if evaluation.data is not None:
        sentences.append(f"Data: {data_sentence(evaluation.data)}")
    if evaluation.fingerprint not in [split.fingerprint for split in (facts.data.splits if facts.data else ())]:
        sentences.append(f"sha256 of the rows' contents: {code(evaluation.fingerprint)}.")
    return " ".join(sentences)


def _class_table(evaluation: EvaluationFacts) -> str:
    if not evaluation.per_class:
        return ""
    names = list(dict.fromkeys(metric.name for row in evaluation.per_class for metric in row.metrics))
    rows = []
    for each in evaluation.per_class:
        values = {metric.name: metric for metric in each.metrics}
        cells = ("" if name not in values else value_with_interval(values[name]) for name in names)
        rows.append((code(each.label), count(each.count), *cells))
    made = table(("class", "rows", *map(metric_title, names)), rows)
    return made if len(rows) <= MOST_CLASSES else folded(f"{len(rows)} classes", made)


def _verify(facts: RunFacts, main: EvaluationFacts, name: str) -> str:
    data = main.data or facts.data
    on_hub = data is not None and data.kind == "hub"
    line = f"quintet verify {name}" + ("" if on_hub or not main.data_name else f" --dataset {main.data_name}")
    return f"Anyone can compute these numbers again: {code(line)}."
