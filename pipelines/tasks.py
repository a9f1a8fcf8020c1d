"""The table of tasks: one row a task, plain data, no imports of anything heavy.

A row names the pipeline class and the training recipe as ``module:Class`` strings, so that printing the table
does not load them. Adding a task is adding a row here and the two files it names; CONTRIBUTING.md has the checklist.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from .errors import unknown_name


@dataclass(frozen=True)
class Column:
    """A column that a task reads.

    Attributes:
        name: the task's own word for it; ``--columns name=theirs`` maps a data set's column to it.
        kind: what it holds.
        required: whether the task can do without it when running; training also needs every ``label`` column.
        synonyms: names under which public data sets keep it, tried in this order when none is given.
    """

    name: str
    kind: Literal["text", "label"]
    required: bool = True
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A row of the table of tasks.

    Attributes:
        name: the task's name, in kebab-case, as transformers calls it where it has the task.
        aliases: other names that mean the same row.
        summary: what it does, in a few words.
        pipeline: ``module:Class`` under ``quintet.pipelines``.
        recipe: ``module:Class`` under ``quintet.finetune``.
        columns: what it reads from a data set.
        families: names of model families (``quintet models``) that can be trained for it from scratch.
        default: names of the embedded checkpoints used when no model is given; the pipeline chooses between several
            per input.
        metric: the name of the metric by which the best checkpoint is kept.
        pipeline_tag: the Hub's name of the task.
    """

    name: str
    aliases: tuple[str, ...]
    summary: str
    pipeline: str
    recipe: str
    columns: tuple[Column, ...]
    families: tuple[str, ...]
    default: tuple[str, ...]
    metric: str
    pipeline_tag: str

    def load_pipeline(self) -> type:
        """The pipeline class of this task."""
        return _load(".", self.pipeline)

    def load_recipe(self) -> type:
        """The training recipe class of this task."""
        return _load("..finetune.", self.recipe)


def _load(package: str, dotted: str) -> type:
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(f"{package}{module}", __package__), name)


TASKS: tuple[Task, ...] = (
    Task(
        name="text-classification",
        aliases=("sentiment", "sentiment-analysis"),
        summary="one label, or scores of all labels, for a text or a pair of texts",
        pipeline="text_classification:TextClassificationPipeline",
        recipe="text_classification:TextClassificationRecipe",
        columns=(
            Column(
                "text",
                "text",
                synonyms=(
                    "sentence",
                    "review",
                    "content",
                    "comment",
                    "document",
                    "body",
                    "sentence1",
                    "premise",
                    "question1",
                ),
            ),
            Column("text_pair", "text", required=False, synonyms=("sentence2", "hypothesis", "question2")),
            Column("label", "label", required=False, synonyms=("labels", "class", "category", "sentiment", "target")),
        ),
        families=("rnn", "lstm", "gru", "textcnn", "transformer", "bert-tiny", "bert-mini", "bert-small"),
        default=("sentiment-en", "sentiment-zh"),
        metric="accuracy",
        pipeline_tag="text-classification",
    ),
)


def find_task(name: str) -> Task:
    """The row whose name or alias is ``name``.

    Raises:
        UnknownNameError: no row has that name; the message suggests the nearest ones.
    """
    for task in TASKS:
        if name == task.name or name in task.aliases:
            return task
    known = [known for task in TASKS for known in (task.name, *task.aliases)]
    raise unknown_name("task", name, known, hint="`quintet tasks` lists them.")


def task_rows() -> list[dict[str, Any]]:
    """The table as plain rows, for ``quintet.tasks()`` and ``quintet tasks --json``; defaults comma-joined."""
    return [
        {
            "name": task.name,
            "aliases": list(task.aliases),
            "summary": task.summary,
            "families": list(task.families),
            "default": ",".join(task.default),
        }
        for task in TASKS
    ]
