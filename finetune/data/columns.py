"""Which column of a data set is the task's text, which its label: by name, by type, or as given."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from ...pipelines.errors import DataError, UnknownNameError
from ...pipelines.nested_columns import MARK
from ...pipelines.tasks import Column, Task
from .cells import LABEL_KINDS
from .labels import LabelValueError, canonical_label
from .rows import Sample

_SHOWN_COLUMNS = 20  # of a wide table in a message


def find_columns(sample: Sample, task: Task, given: Mapping[str, str] | None, *, source: str) -> dict[str, str]:
    """The task's column -> the data set's column, for every column of the task that there is.

    A column is found by the task's own word for it, then by the task's synonyms, both without regard to case; a label
    also as the only column with stated class names. An optional column is looked for only where no required one was
    given, because who names the columns names all of them.

    Args:
        sample: a look at the data.
        task: says which columns are wanted, and which of them training needs.
        given: what the user said, task column -> the data set's column.
        source: name of the data set, for messages.

    Raises:
        UnknownNameError: ``given`` names a column that the task does not have.
        DataError: a column is not there; the message lists those that are, and says how to name the right ones.
    """
    given = dict(given or {})
    names = [column.name for column in task.columns]
    inputs = [column.name for column in task.columns if column.role == "input"]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise UnknownNameError(
                f"--columns {name}={given[name]}: {task.name} has no column '{name}'; "
                f"{f'did you mean {near[0]}? ' if near else ''}It has {', '.join(names)}"
            )
    found: dict[str, str] = {}
    for column in task.columns:
        if column.name in given:
            theirs = _by_name(sample.names, [given[column.name]])
            if theirs is None:
                raise _missing(given[column.name], sample, task, source)
        else:
            is_needed = column.needed_to_learn
            if not is_needed and any(name in given for name in inputs):
                continue
            theirs = _by_name(sample.names, [column.name, *column.synonyms])
            if theirs is None and column.kind in LABEL_KINDS and len(sample.class_names) == 1:
                theirs = next(iter(sample.class_names))
            if theirs is None and is_needed:
                raise _missing(column.name, sample, task, source)
        if theirs is not None and theirs not in found.values():
            found[column.name] = theirs
        elif theirs is not None:
            raise DataError(f"{source}: column '{theirs}' cannot be two of the task's columns at once")
    return found


def _by_name(found: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of ``wanted`` that is in ``found``, as it is written there; exact spelling wins over case."""
    by_case = {name.rpartition(MARK)[2].casefold(): name for name in reversed(found)}  # of translation.en also en
    by_case |= {name.casefold(): name for name in reversed(found)}
    return next((hit for name in wanted if (hit := name if name in found else by_case.get(name.casefold()))), None)


def _missing(name: str, sample: Sample, task: Task, source: str) -> DataError:
    names = sample.names
    shown = ", ".join(names[:_SHOWN_COLUMNS])
    if len(names) > _SHOWN_COLUMNS:
        shown += f", … ({len(names)} columns)"
    mapping = ",".join(f"{ours}={theirs}" for ours, theirs in suggest_columns(sample, task, missing=name).items())
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    header = ""
    if len(names) <= 3 and any(len(column.split()) > 3 for column in names):
        header = " (if the first line is a row, put a line with column names above it)"
    return DataError(
        f"{source}: no column '{name}'; found: {shown}{header}. "
        f"{f'Did you mean {near[0]}? ' if near else ''}Use --columns {mapping}"
    )


def suggest_columns(sample: Sample, task: Task, *, missing: str = "") -> dict[str, str]:
    """A guess by names and contents for every column that must be there: the longest texts, and the fewest labels.

    A column that cannot be guessed is written as ``…``.
    """
    guess: dict[str, str] = {}
    for column in task.columns:
        if not column.needed_to_learn:
            continue
        free = [name for name in sample.names if name not in guess.values()]
        near = difflib.get_close_matches(column.name, free, n=1, cutoff=0.75) if column.name == missing else []
        named = _by_name(free, [column.name, *column.synonyms])
        guess[column.name] = named or (near[0] if near else _guess(column, sample, free)) or "…"
    return guess


def _guess(column: Column, sample: Sample, free: Sequence[str]) -> str | None:
    if column.kind in ("tokens", "tags", "answers", "objects"):
        return _guess_nested(column, sample, free)
    if column.kind == "text":
        lengths = {name: _mean_length(sample.cells(name)) for name in free}
        longest = max(lengths, key=lambda name: lengths[name], default="")
        return longest if longest and lengths[longest] > 0 else None
    stated = [name for name in free if name in sample.class_names]
    if stated:
        return stated[0]
    kinds = {name: _distinct_labels(sample.cells(name)) for name in free}
    few = {name: count for name, count in kinds.items() if count and count <= max(2, len(sample.cells(name)) // 2)}
    several = {name: count for name, count in few.items() if count > 1}
    candidates = several or few
    return min(candidates, key=lambda name: candidates[name], default=None)


def _guess_nested(column: Column, sample: Sample, free: Sequence[str]) -> str | None:
    """Words are the lists with most different entries, tags those with fewest; answers and objects are not guessed."""
    if column.kind in ("answers", "objects"):
        return None
    distinct = {
        name: len({str(entry) for entries in sample.cells(name) for entry in entries})
        for name in free
        if sample.cells(name) and all(isinstance(entries, list) for entries in sample.cells(name))
    }
    choose = max if column.kind == "tokens" else min
    return choose(distinct, key=lambda name: distinct[name], default=None)


def _mean_length(values: Sequence[Any]) -> float:
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) * 2 < len(values) or not texts or all(_is_number(text) for text in texts):
        return 0.0
    return sum(map(len, texts)) / len(texts)


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").replace(".", "", 1).isdigit()


def _distinct_labels(values: Sequence[Any]) -> int | None:
    """How many different labels there are; None where the values are no labels."""
    try:
        labels = [canonical_label(value) for value in values]
    except LabelValueError:
        return None
    return len({label if isinstance(label, str) else tuple(label) for label in labels if label})
