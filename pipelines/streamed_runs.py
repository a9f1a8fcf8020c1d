"""``stream()``: one text as a task's pipeline writes it, piece by piece, for who watches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from .errors import UsageError
from .factory import check_options, pipeline
from .run_inputs import is_file
from .tasks import TASKS, find_task, task_options


def is_streamable(task: str, inputs: list[str], *, text: bool = False) -> bool:
    """Whether ``inputs`` of a command are one text that a pipeline of ``task`` can write piece by piece.

    Args:
        task: a name or alias from the table of tasks.
        inputs: texts and names of files, or ``-`` for standard input.
        text: whether they are texts even where a file has that name.
    """
    return writes_texts(task) and len(inputs) == 1 and (text or not (inputs[0] == "-" or is_file(inputs[0])))


def stream(task: str, text: str, *, model: Any = None, is_asked: bool = True, **settings: Any) -> Iterator[str]:
    """What ``run(task, text)`` gives as ``generated_text``, in pieces, each as soon as no later token can change it.

    Args:
        task: a name or alias from the table of tasks.
        text: the prompt.
        model: as in `pipeline`.
        is_asked: False gives the text in a single piece where it cannot be streamed: by beams, or one of several.
        settings: what `pipeline` takes.

    Raises:
        InputError: the prompt leaves no room.
        UsageError: the task writes no texts, an option is wrong, or the text cannot be streamed.
        WeightsError: the checkpoint cannot be loaded.
    """
    row = find_task(task)
    if not writes_texts(task):
        names = ", ".join(each.name for each in TASKS if writes_texts(each.name))
        raise UsageError(f"--stream means nothing to {row.name}; leave it out. It is for {names}")
    settings = task_options(task) | settings
    check_options(row, settings, stream)
    write: Any = pipeline(row.name, model, **settings)
    if not (is_asked or write.can_stream):
        return iter([write.as_columns(write(text))["generated_text"]])
    is_whole = write.options.return_full_text is not False
    return chain([text] if is_whole else [], write.stream(text))


def writes_texts(task: str) -> bool:
    """Whether the pipeline of ``task`` can write a text piece by piece."""
    return hasattr(find_task(task).load_pipeline(), "stream")
