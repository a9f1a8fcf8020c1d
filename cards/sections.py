"""The parts of a card's body around results and training, each from facts: summary, usage, citation, versions.

As everywhere on a card, a part about which nothing is known is an empty text.
"""

from __future__ import annotations

from .architectures import DISTILLATION, find_architecture
from .facts import CHECKPOINT_PLACEHOLDER, RunFacts
from .following_usage import FOLLOWING_TASK
from .languages import language_name
from .markdown import block, code, count, decimal, listed, plain, size, table
from .metadata import main_evaluation
from .phrases import capital, data_names, interval, label_names, level_text, metric_phrase, row_count
from .picture_usage import PICTURE_TASKS
from .question_usage import question_options
from .rewriting_usage import REWRITING_TASKS, rewriting_sentence
from .snippets import in_quotes

SIAMESE = ("rnn", "lstm", "gru")
"""Families that read each text of a pair by itself, with the same weights."""


def summary(facts: RunFacts) -> str:
    """What the checkpoint does and how well, in two sentences; then what is not recorded."""
    model = _model_phrase(facts)
    sentences = [f"{_does(facts)}: {model}."]
    main = main_evaluation(facts)
    if main is not None and main.metrics:
        first = main.metrics[0]
        rows, between = row_count(main.count), interval(first)
        where = f"{rows} of {code(main.data_name)}, {plain(main.split)}" if main.data_name else rows
        bounds = f" ({level_text(first.level)} interval {between})" if between else ""
        sentences.append(f"**{capital(metric_phrase(first.name))} {decimal(first.value)}**{bounds} on {where}")
        rivals = [
            (rule.name, metric) for rule in main.baselines for metric in rule.metrics if metric.name == first.name
        ]
        against = [f"{plain(name)} {decimal(metric.value)}" for name, metric in rivals]
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


def usage(facts: RunFacts, name: str) -> str:
    """The snippets that were run, with what they printed; ``name`` stands for the checkpoint."""
    if not facts.usages:
        return ""
    titles = {"quintet": "In Quintet", "transformers": "In plain transformers, without Quintet"}
    parts = ["## Usage"]
    for each in facts.usages:
        shown = each.code.replace(CHECKPOINT_PLACEHOLDER, in_quotes(name))
        parts += [f"### {titles.get(each.library, each.library)}", block(shown, "python"), "prints"]
        parts.append(block(each.output, "text"))
    if facts.repository is None and "/" not in name:
        parts.append(f"{code(name)} is the checkpoint's folder; once it is published, its id on the Hub.")
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


def _does(facts: RunFacts) -> str:
    languages = listed([language_name(code_) for code_ in facts.languages or ()])
    texts = f"{languages} texts" if languages else "texts"
    if facts.data is not None and "text_pair" in facts.data.columns:
        texts = f"pairs of {texts}"
    if facts.problem_type == "tagging":
        kinds = list(dict.fromkeys(label.partition("-")[2] for label in facts.labels if "-" in label))
        if kinds and all(label == "O" or label[:2] in ("B-", "I-") for label in facts.labels):
            return f"Finds entities of {len(kinds)} kinds ({label_names(kinds)}) in {texts}"
        return f"Gives each word of {texts} one of {len(facts.labels)} tags ({label_names(facts.labels, last='or')})"
    if facts.task in REWRITING_TASKS:
        return rewriting_sentence(facts, texts)
    if facts.task in PICTURE_TASKS:
        return _does_with_pictures(facts)
    if facts.task == "fill-mask":
        return f"Fills masked words of {texts}"
    if facts.task == "text-generation":
        return f"Continues {texts}"
    if facts.task == FOLLOWING_TASK:
        return f"Tells whether the second of two {texts.removeprefix('pairs of ')} follows the first"
    if facts.task == "question-answering":
        none = ", or that there is none" if "handle_impossible_answer" in question_options(facts) else ""
        return f"Finds the answers to questions in {texts}{none}"
    if facts.task == "sentence-similarity":
        return f"Makes vectors of {texts.removeprefix('pairs of ')}, by which they are compared"
    if facts.task == "text-ranking":
        return f"Finds the documents that answer a query, by vectors of {texts}"
    if facts.task != "text-classification":
        return f"A checkpoint for {plain(facts.task.replace('-', ' '))}"
    return _classifies(facts, texts)


def _does_with_pictures(facts: RunFacts) -> str:
    if facts.task == "image-classification":
        return _classifies(facts, "pictures")
    many = f"{len(facts.labels)} classes ({label_names(facts.labels)})" if facts.labels else "classes"
    if facts.task == "object-detection":
        return f"Finds objects of {many} in pictures"
    if facts.task == "image-segmentation":
        return f"Tells parts of {many} apart in pictures, pixel by pixel"
    return f"A checkpoint for {plain(facts.task.replace('-', ' '))}"


def _classifies(facts: RunFacts, texts: str) -> str:
    """What a classifier does with ``texts``, or pictures."""
    if facts.problem_type == "regression":
        return f"Gives {texts} a number"
    if not facts.labels:
        return f"Classifies {texts}"
    names = label_names(facts.labels, last="or")
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
    is_pair = facts.task == "text-classification" and facts.data is not None and "text_pair" in facts.data.columns
    if is_pair and facts.family in SIAMESE:
        phrase += " that reads the two texts apart (a Siamese network)"
    if facts.parameters is not None:
        phrase += f" with {count(facts.parameters)} parameters"
    if facts.trainable_parameters is not None and facts.trainable_parameters != facts.parameters:
        phrase += f", {count(facts.trainable_parameters)} of them trained"
    on = f" on {data_names(facts.data)}" if facts.data is not None else ""
    if facts.base_model:
        revision = f" (revision {code(facts.base_revision)})" if facts.base_revision else ""
        phrase += f", fine-tuned from {code(facts.base_model)}{revision}{on}"
    elif facts.training is not None:
        phrase += f", trained from scratch{on}"
    if facts.teacher:
        phrase += f", distilled from {code(facts.teacher)}"
    return phrase
