"""The table of tasks: one row a task, plain data, no imports of anything heavy.

A row names the pipeline class and the training recipe as ``module:Class`` strings, so that printing the table
does not load them. Adding a task is adding a row here and the two files it names; CONTRIBUTING.md has the checklist.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from .errors import UsageError, unknown_name


@dataclass(frozen=True)
class Column:
    """A column that a task reads.

    Attributes:
        name: the task's own word for it; ``--columns name=theirs`` maps a data set's column to it.
        kind: what it holds: a text, the words of a text as a list (``tokens``; a text will do where there is nothing to
            learn), a label, a label for each word (``tags``), or texts with their places in another one (``answers``).
        role: whether the task reads it or is to find it out; training needs every ``target``.
        required: whether the task can do without it when running.
        synonyms: names under which public data sets keep it, tried in this order when none is given.
    """

    name: str
    kind: Literal["text", "tokens", "label", "tags", "answers"]
    role: Literal["input", "target"] = "input"
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
        recipe: ``module:Class`` under ``quintet.finetune``; None for a task that can only be run so far.
        columns: what it reads from a data set.
        families: names of model families (``quintet models``) that can be trained for it from scratch.
        default: names of the embedded checkpoints used when no model is given; the pipeline chooses between several
            per input.
        metric: the name of the metric by which the best checkpoint is kept.
        pipeline_tag: the Hub's name of the task.
        auto_model: the Auto class of transformers that loads a checkpoint with the head of this task.
        architectures: how class names of such models end; a checkpoint that does not name its task is told by them.
        head: what the trained head is called in messages.
        accepts: other tasks whose checkpoints do as well; ``*`` for those of any task.
    """

    name: str
    aliases: tuple[str, ...]
    summary: str
    pipeline: str
    recipe: str | None
    columns: tuple[Column, ...]
    families: tuple[str, ...]
    default: tuple[str, ...]
    metric: str
    pipeline_tag: str
    auto_model: str
    architectures: tuple[str, ...]
    head: str
    accepts: tuple[str, ...] = ()

    def load_pipeline(self) -> type:
        """The pipeline class of this task."""
        return _load(".", self.pipeline)

    def load_recipe(self) -> type:
        """The training recipe class of this task.

        Raises:
            UsageError: it has none.
        """
        if self.recipe is None:
            trained = ", ".join(task.name for task in TASKS if task.recipe is not None)
            raise UsageError(f"{self.name} can be run, but not trained or measured yet; tasks that can: {trained}.")
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
            Column("label", "label", "target", synonyms=("labels", "class", "category", "sentiment", "target")),
        ),
        families=("rnn", "lstm", "gru", "textcnn", "transformer", "bert-tiny", "bert-mini", "bert-small"),
        default=("sentiment-en", "sentiment-zh"),
        metric="accuracy",
        pipeline_tag="text-classification",
        auto_model="AutoModelForSequenceClassification",
        architectures=("ForSequenceClassification",),
        head="text classifier",
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
