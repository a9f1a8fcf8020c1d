"""The parts of a card's body, each from facts; a part about which nothing is known is an empty text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .architectures import DISTILLATION, find_architecture
from .facts import (
    CHECKPOINT_PLACEHOLDER,
    DataFacts,
    EvaluationFacts,
    HardwareFacts,
    MistakeFact,
    RunFacts,
    SplitFacts,
    TrainingFacts,
)
from .languages import language_name
from .markdown import block, code, count, decimal, duration, folded, listed, share, size, table
from .metadata import chosen_on, main_evaluation, metric_title, shown_evaluations

MOST_LABELS = 10
"""Labels that a sentence names; more are counted."""

MOST_CLASSES = 30
"""Rows that a table of classes or labels shows at once; a longer one is folded."""

MOST_MISTAKES = 5

UNBALANCED = 1.5
"""Rows of the most frequent label over rows of the rarest, from which on the card says so."""

FEW_ROWS = 200
"""Rows under which a card says that they are few: the interval of an accuracy is then about ± 6 points or wider."""

CONFUSION, CURVES = "confusion.png", "curves.png"


def summary(facts: RunFacts) -> str:
    """What the checkpoint does and how well, in two sentences; then what is not recorded."""
    model = _model_phrase(facts)
    sentences = [f"{_does(facts)}: {model}."]
    main = main_evaluation(facts)
    if main is not None and main.metrics:
        first = main.metrics[0]
        where = f"{_rows(main.count)} of {code(main.data_name)}, {main.split}" if main.data_name else _rows(main.count)
        interval = "" if first.low is None else f" ({_level(first.level)} interval {_interval(first)})"
        sentences.append(f"**{_capital(metric_title(first.name))} {decimal(first.value)}**{interval} on {where}")
        rivals = [
            (rule.name, metric) for rule in main.baselines for metric in rule.metrics if metric.name == first.name
        ]
        against = [f"{name} {decimal(metric.value)}" for name, metric in rivals]
        sentences[-1] += f"; {listed(against)}." if against else "."
    missing = [
        name
        for name, known in (
            ("training data", facts.data),
            ("settings and course of the training", facts.training),
            ("metrics", facts.evaluations),
        )
        if not known
    ]
    if missing:
        sentences.append(f"Not recorded: {listed(missing)}.")
    return "\n\n".join(sentences)


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
            f"{_rows(fit.count)} of the {fit.split} split, where it changed the expected calibration error from "
            f"{decimal(fit.ece_before)} to {decimal(fit.ece_after)}."
        )
    parts += [_evaluation(facts, one, is_main=False) for one in others]
    parts.append(_verify(facts, main, name))
    return "\n\n".join(parts)


def usage(facts: RunFacts, name: str) -> str:
    """The snippets that were run, with what they printed; ``name`` stands for the checkpoint."""
    if not facts.usages:
        return ""
    titles = {"quintet": "In Quintet", "transformers": "In plain transformers, without Quintet"}
    parts = ["## Usage"]
    for each in facts.usages:
        shown = each.code.replace(CHECKPOINT_PLACEHOLDER, name)
        parts += [f"### {titles.get(each.library, each.library)}", block(shown, "python"), "prints"]
        parts.append(block(each.output, "text"))
    if facts.repository is None and "/" not in name:
        parts.append(f"{code(name)} is the checkpoint's folder; once it is published, its id on the Hub.")
    return "\n\n".join(parts)


def training_data(facts: RunFacts) -> str:
    """Name, revision, splits with rules, seeds and fingerprints, and labels of what it was trained on."""
    data = facts.data
    if data is None:
        return ""
    parts = ["## Training data", _data_sentence(data)]
    if data.splits:
        rows = [
            (
                split.name,
                split.rule,
                "" if split.seed is None else str(split.seed),
                count(split.rows),
                "" if split.duplicates is None else count(split.duplicates),
                code(split.fingerprint),
            )
            for split in data.splits
        ]
        parts.append(table(("split", "rule", "seed", "rows", "repeated texts", "sha256 of the contents"), rows, left=2))
    histogram = _label_table(data)
    if histogram:
        parts.append(histogram)
    means = [f"{split.name} {decimal(split.label_mean)}" for split in data.splits if split.label_mean is not None]
    if means:
        parts.append(f"Mean of the numbers: {listed(means)}.")
    if data.leakage:
        both = [f"{count(texts)} in {pair.replace('/', ' and ')}" for pair, texts in data.leakage.items() if texts]
        parts.append(f"Texts that are in two splits: {', '.join(both)}." if both else "No text is in two splits.")
    if data.rejected_rows:
        parts.append(f"Left out: {_rows(data.rejected_rows)} that could not be used.")
    return "\n\n".join(parts)


def training(facts: RunFacts) -> str:
    """How it was trained: command, changed settings, all of them folded, course, machine and cost."""
    parts = []
    if facts.command:
        parts.append("Repeated by")
        parts.append(block(facts.command, "bash"))
    changed = [(code(name), code(_value(facts.settings.get(name)))) for name in facts.changed_settings]
    if changed:
        parts += ["Settings that differ from the defaults:", table(("setting", "value"), changed, left=2)]
    if facts.settings:
        every = [(code(name), code(_value(value))) for name, value in sorted(facts.settings.items())]
        parts.append(folded("All settings", table(("setting", "value"), every, left=2)))
    if facts.training is not None:
        parts.append(table(("training", ""), _course(facts, facts.training), left=2))
        parts += [f"{_capital(note)}." for note in facts.training.notes]
    if CURVES in facts.pictures:
        metric = facts.training.metric if facts.training is not None else None
        what = f"loss and {metric_title(metric)}" if metric else "loss"
        parts.append(f"![{_capital(what)} over the steps]({CURVES})")
    return "\n\n".join(["## Training", *parts]) if parts else ""


def limits(facts: RunFacts) -> str:
    """What the data tells about where the checkpoint is weak or was not measured."""
    points = [*_limits_of_data(facts), *_limits_of_results(facts)]
    if not points:
        return ""
    parts = ["## Limits", "\n".join(f"- {point}" for point in points)]
    main = main_evaluation(facts)
    if main is not None and main.mistakes:
        shown = main.mistakes[:MOST_MISTAKES]
        title = "Answers farthest off" if main.problem_type == "regression" else "The most confident wrong answers"
        parts.append(folded(title, _mistake_table(shown, main.problem_type)))
    return "\n\n".join(parts)


def citation(facts: RunFacts) -> str:
    """The papers of the architecture and, where there was a teacher, of the distillation."""
    architecture = find_architecture(facts.family)
    papers = [paper for paper in (architecture, DISTILLATION if facts.teacher else None) if paper is not None]
    if not papers:
        return ""
    links = [f"[{paper.title}](https://arxiv.org/abs/{paper.arxiv})" for paper in papers if paper.arxiv]
    entries = "\n\n".join(paper.bibtex for paper in papers)
    return "\n\n".join(["## Citation", block(entries, "bibtex"), *([f"Read here: {listed(links)}."] if links else [])])


def versions(facts: RunFacts) -> str:
    """Weights, date and libraries."""
    rows = []
    if facts.weights_bytes is not None:
        rows.append(("weights", f"{size(facts.weights_bytes)} ({count(facts.weights_bytes)} bytes)"))
    if facts.weights_sha256:
        rows.append(("sha256 of `model.safetensors`", code(facts.weights_sha256)))
    if facts.finished:
        rows.append(("trained", facts.finished))
    if facts.versions:
        known = [f"{name} {version}" for name, version in sorted(facts.versions.items())]
        rows.append(("with", ", ".join(known)))
    return "\n\n".join(["## Versions", table(("", ""), rows, left=2)]) if rows else ""


# --------------------------------------------------------------------------------------------- sentences


def _does(facts: RunFacts) -> str:
    languages = listed([language_name(code_) for code_ in facts.languages or ()])
    texts = f"{languages} texts" if languages else "texts"
    if facts.data is not None and "text_pair" in facts.data.columns:
        texts = f"pairs of {texts}"
    if facts.task != "text-classification":
        return f"A checkpoint for {facts.task.replace('-', ' ')}"
    if facts.problem_type == "regression":
        return f"Gives {texts} a number"
    if not facts.labels:
        return f"Classifies {texts}"
    named = [code(label) for label in facts.labels[:MOST_LABELS]]
    more = len(facts.labels) - len(named)
    names = ", ".join(named) + f" and {more} more" if more else listed(named, last="or")
    if facts.problem_type == "multi_label_classification":
        return f"Gives {texts} any of {len(facts.labels)} labels ({names})"
    if len(facts.labels) == 2:
        return f"Says whether {texts} are {names}"
    return f"Gives {texts} one of {len(facts.labels)} labels ({names})"


def _model_phrase(facts: RunFacts) -> str:
    architecture = find_architecture(facts.family)
    phrase = architecture.phrase if architecture is not None else "a model"
    if architecture is None and facts.family:
        phrase = f"a model of type {code(facts.family)}"
    if facts.parameters is not None:
        phrase += f" with {count(facts.parameters)} parameters"
    if facts.trainable_parameters is not None and facts.trainable_parameters != facts.parameters:
        phrase += f", {count(facts.trainable_parameters)} of them trained"
    on = f" on {_data_names(facts.data)}" if facts.data is not None else ""
    if facts.base_model:
        revision = f" (revision {code(facts.base_revision)})" if facts.base_revision else ""
        phrase += f", fine-tuned from {code(facts.base_model)}{revision}{on}"
    elif facts.training is not None:
        phrase += f", trained from scratch{on}"
    if facts.teacher:
        phrase += f", distilled from {code(facts.teacher)}"
    return phrase


def _data_names(data: DataFacts) -> str:
    return listed([code(name) for name in data.name.split(",")])


def _data_sentence(data: DataFacts) -> str:
    places = {
        "hub": "on the Hub",
        "local": "local files; recorded are their names and contents' hashes",
        "url": "from the web",
        "memory": "rows given in memory",
    }
    sentence = f"{_data_names(data)} ({places[data.kind]})"
    for name, value in (("configuration", data.config), ("revision", data.revision), ("licence", data.licence)):
        if value:
            sentence += f", {name} {code(value)}"
    if data.columns:
        sentence += (
            f"; columns {listed([f'{code(ours)} from {code(theirs)}' for ours, theirs in data.columns.items()])}"
        )
    return sentence + "."


def _label_table(data: DataFacts) -> str:
    splits = [split for split in data.splits if split.label_histogram]
    labels = list(dict.fromkeys(label for split in splits for label in split.label_histogram))
    if not labels:
        return ""
    rows = [(code(label), *(_label_count(split, label) for split in splits)) for label in labels]
    made = table(("label", *(split.name for split in splits)), rows)
    return made if len(labels) <= MOST_CLASSES else folded(f"{len(labels)} labels", made)


def _label_count(split: SplitFacts, label: str) -> str:
    rows = split.label_histogram.get(label, 0)
    return f"{count(rows)} ({share(rows, max(split.rows, 1))})"


def _evaluation(facts: RunFacts, evaluation: EvaluationFacts, *, is_main: bool) -> str:
    title = f"{code(evaluation.data_name)}, {evaluation.split}" if evaluation.data_name else evaluation.split
    parts = [f"### {title}: {_rows(evaluation.count)}"]
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
                "" if metric.low is None else _interval(metric),
                *("" if metric.name not in each else decimal(each[metric.name].value) for each in rivals),
            )
            for metric in evaluation.metrics
        ]
        level = next((metric.level for metric in evaluation.metrics if metric.low is not None), 0.95)
        parts.append(table(("metric", "value", f"{_level(level)} interval", *names), rows))
    parts.append(_rests_on(facts, evaluation, is_main=is_main))
    classes = _class_table(evaluation)
    if classes:
        parts.append(classes if is_main else folded("The classes", classes))
    if is_main and CONFUSION in facts.pictures:
        parts.append(f"![Confusion matrix: {evaluation.split}, {_rows(evaluation.count)}]({CONFUSION})")
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
    sentences += [f"{_capital(rule.name)}: {rule.description}." for rule in evaluation.baselines if rule.description]
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
    sentences += [f"{_capital(note).rstrip('.')}." for note in evaluation.notes]
    if evaluation.data is not None:
        sentences.append(f"Data: {_data_sentence(evaluation.data)}")
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
        cells = ("" if name not in values else _with_interval(values[name]) for name in names)
        rows.append((code(each.label), count(each.count), *cells))
    made = table(("class", "rows", *map(metric_title, names)), rows)
    return made if len(rows) <= MOST_CLASSES else folded(f"{len(rows)} classes", made)


def _verify(facts: RunFacts, main: EvaluationFacts, name: str) -> str:
    data = main.data or facts.data
    on_hub = data is not None and data.kind == "hub"
    line = f"quintet verify {name}" + ("" if on_hub or not main.data_name else f" --dataset {main.data_name}")
    return f"Anyone can compute these numbers again: {code(line)}."


def _course(facts: RunFacts, run: TrainingFacts) -> list[tuple[str, str]]:
    """The rows of the table of the training; those that are unknown are left out."""
    best = None
    if run.best_step is not None:
        best = f"step {count(run.best_step)}"
        if run.metric and run.best_metric is not None:
            best += f", {metric_title(run.metric)} {decimal(run.best_metric)} on validation"
    processes = f"{run.processes} process{'es' if run.processes > 1 else ''}"
    threads = f" of {run.threads} threads" if run.threads else ""
    rows: list[tuple[str, str | None]] = [
        ("steps", f"{count(run.steps)} ({run.epochs:g} epochs)"),
        ("kept", best),
        ("ended by", run.stopped_by),
        ("training loss, last epoch", None if run.train_loss is None else decimal(run.train_loss)),
        ("time", None if run.seconds is None else duration(run.seconds)),
        ("samples a second", None if run.samples_per_second is None else f"{run.samples_per_second:,.0f}"),
        ("peak memory", None if run.peak_memory_bytes is None else size(run.peak_memory_bytes)),
        ("peak accelerator memory", None if run.peak_gpu_memory_bytes is None else size(run.peak_gpu_memory_bytes)),
        ("energy", None if run.energy_watt_hours is None else f"{run.energy_watt_hours:,.1f} Wh"),
        ("hardware", _machine(facts.hardware)),
        ("run as", f"{processes}{threads}" + (f" on {run.device}" if run.device else "")),
        ("number format", run.precision),
        ("taken up again", None if not run.resumes else f"{run.resumes} times"),
        ("seed", None if facts.seed is None else str(facts.seed)),
    ]
    return [(name, value) for name, value in rows if value]


def _machine(hardware: HardwareFacts | None) -> str | None:
    if hardware is None:
        return None
    parts = [
        *hardware.gpus,
        hardware.cpu,
        None if hardware.cores is None else f"{hardware.cores} cores",
        None if hardware.memory_gib is None else f"{hardware.memory_gib:g} GiB",
        "bfloat16 units" if hardware.bf16_units else None,
    ]
    return ", ".join(part for part in parts if part) or None


def _limits_of_data(facts: RunFacts) -> list[str]:
    points = []
    if facts.languages:
        names = listed([language_name(each) for each in facts.languages])
        points.append(f"Trained on texts in {names}; other languages were not measured.")
    train = facts.data.split("train") if facts.data is not None else None
    if train is not None:
        points += [*_length_limits(facts, train), *_balance_limits(train)]
    elif facts.max_length is not None:
        points.append(_longest(facts.max_length))
    return points


def _length_limits(facts: RunFacts, train: SplitFacts) -> list[str]:
    at = train.length_percentiles
    points = []
    if {"0", "50", "99", "100"} <= set(at):
        points.append(
            f"Half of the training texts have at most {at['50']:,.0f} characters, 99 % at most {at['99']:,.0f}; "
            f"none was shorter than {at['0']:,.0f} or longer than {at['100']:,.0f}."
        )
    if facts.max_length is not None:
        points.append(_longest(facts.max_length))
    return points


def _longest(tokens: int) -> str:
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
    counts = f"{code(most)} has {_rows(histogram[most])}, {times} {code(least)} with {count(histogram[least])}"
    return [f"The training labels are unbalanced: {counts}."]


def _limits_of_results(facts: RunFacts) -> list[str]:
    main = main_evaluation(facts)
    if main is None:
        return []
    points = []
    names = sorted({each for one in facts.evaluations for each in one.data_name.split(",") if each})
    if names:
        points.append(f"Measured on {listed([code(name) for name in names])} only; texts of another kind were not.")
    scored = [(row, metric) for row in main.per_class for metric in row.metrics if metric.name == "f1" and row.count]
    if len(scored) > 1:
        row, metric = min(scored, key=lambda each: each[1].value)
        points.append(f"The weakest class is {code(row.label)}: F1 {decimal(metric.value)} on {_rows(row.count)}.")
    unseen = [code(row.label) for row in main.per_class if not row.count]
    if unseen:
        points.append(f"Not one row of the {main.split} split has {listed(unseen[:MOST_LABELS], last='or')}.")
    if main.count < FEW_ROWS:
        points.append(f"Only {_rows(main.count)} were evaluated: the intervals are wide.")
    for rule in main.baselines:
        rival = next((metric for metric in rule.metrics if main.metrics and metric.name == main.metrics[0].name), None)
        if rival is not None and not _is_better(main.metrics[0].value, rival.value, rival.higher_is_better):
            points.append(f"It is not better than {rule.name}, which costs nothing.")
    return points


def _is_better(value: float, other: float, higher: bool) -> bool:
    return value > other if higher else value < other


def _mistake_table(mistakes: tuple[MistakeFact, ...], problem_type: str) -> str:
    last = "error" if problem_type == "regression" else "confidence"
    rows = [
        (
            code(each.text) if each.text_pair is None else f"{code(each.text)} and {code(each.text_pair)}",
            code(each.label),
            code(each.prediction),
            f"{each.confidence:.3f}",
        )
        for each in mistakes
    ]
    return table(("text", "true", "answer", last), rows, left=3)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_value(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or "none"
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _rows(number: int) -> str:
    return f"{count(number)} row{'' if number == 1 else 's'}"


def _level(level: float) -> str:
    return f"{100 * level:g} %"


def _interval(metric: Any) -> str:
    return f"{decimal(metric.low)} – {decimal(metric.high)}"


def _with_interval(metric: Any) -> str:
    return decimal(metric.value) if metric.low is None else f"{decimal(metric.value)} ({_interval(metric)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
