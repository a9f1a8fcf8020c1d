"""``run()``: a task over texts, standard input or whole files, with the answers in a file if wanted.

    run("sentiment", ["A gorgeous, witty film."]).results
    run("sentiment", "reviews.csv", columns={"text": "review"}, output="answers.csv")

Memory stays flat however long the input is, unless the answers are wanted as a list. A run with an output file that was
killed goes on where it stopped when it is called again with the same arguments.
"""

from __future__ import annotations

import datetime
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, InputError, UsageError
from .factory import check_options, pipeline
from .record_writers import WRITABLE, open_writer
from .run_inputs import InputRow, RunInputs, find_inputs
from .run_parts import PART_ROWS, RunParts, checkpoint_digest, file_digest, fingerprint
from .tasks import Task, find_task, task_options

if TYPE_CHECKING:
    from .base import OnError, Pipeline

JSON_FORMATS = ("json", "jsonl")  # whose rows may have different columns
PLACE_COLUMNS = ("file", "row")  # of a row that failed; left out of tables, whose rows stand in the input's order

Pair = tuple[InputRow, Mapping[str, Any]]
"""A row of the input and its answer as columns."""

ProgressFunction = Callable[[int, int | None], None]
"""Called with the number of rows done and of all rows (None as long as it is not known)."""

AnnounceFunction = Callable[[str], None]
"""Called with what is being done while no row is answered: ``reading reviews.csv``, ``writing answers.csv``."""


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        results: a row for each input, in order: its columns and ``label`` and ``score``, or ``error`` and, of a row of
            a file, ``file`` and ``row``; None where they went to a file.
        total: number of inputs.
        failed: how many of them have an ``error``.
        output: the file with the results; None if they are in ``results``.
        seconds: wall time, without loading the model.
        resumed: how many answers an earlier, interrupted run had left.
        columns: what each column of an answer is called in the results: ``label`` -> ``predicted_label`` where the
            input has a column ``label``, else its own name.
    """

    results: list[dict[str, Any]] | None
    total: int
    failed: int
    output: Path | None
    seconds: float
    resumed: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        rate = f", {(self.total - self.resumed) / self.seconds:.0f} a second" if self.seconds > 0 else ""
        failed = f", {self.failed} with an error" if self.failed else ""
        resumed = f" ({self.resumed} of them from an interrupted run)" if self.resumed else ""
        output = f" -> {self.output.name}" if self.output else ""
        return f"{self.total} inputs{resumed} in {self.seconds:.1f} s{rate}{failed}{output}"


def run(
    task: str,
    inputs: str | Path | Iterable[Any],
    *,
    model: Any = None,
    columns: Mapping[str, str] | None = None,
    output: str | Path | None = None,
    text: bool = False,
    on_error: OnError = "record",
    progress: ProgressFunction | None = None,
    announce: AnnounceFunction | None = None,
    **settings: Any,
) -> RunSummary:
    """The answers of a task's pipeline for every input, as a list of rows or in a file.

    Args:
        task: a name or alias from the table of tasks.
        inputs: a text; ``-`` for the lines of standard input; a file (csv, tsv, jsonl, json, parquet, txt, also .gz), a
            folder, glob or URL; a list of texts and files; or any iterable of what the task's pipeline takes.
        model: as in `pipeline`, or a pipeline.
        columns: the task's column -> the file's, for instance ``{"text": "review"}``.
        output: a csv, tsv, jsonl, json or parquet file for the results, by its ending. A column of the input that is
            called like one of the answer's (``label``) stays; the answer's is then called ``predicted_label``, in all
            rows of the run.
        text: takes ``inputs`` for texts even where a file has that name.
        on_error: ``record`` gives a bad row an ``error`` and goes on; ``raise`` ends the run with an InputError that
            names file and row.
        progress: called about ten times a second with the numbers of rows done and of all.
        announce: called with what is being done before and after the rows: ``reading reviews.csv``.
        settings: what `pipeline` takes.

    Raises:
        DataError: a file is not there or cannot be read, or lacks a column.
        InputError: a row is bad and ``on_error`` is ``raise``.
        UsageError: an argument is wrong.
        WeightsError: the checkpoint cannot be loaded.
    """
    row = find_task(task)
    settings = task_options(task) | settings
    check_options(row, settings, run)
    target = None if output is None else _checked_output(Path(output))
    found = find_inputs(inputs, row, columns, as_text=text)
    _check_no_input_is_output(found, target)
    classify = _as_pipeline(row, model, settings)
    announce = announce or (lambda _: None)
    is_surveyed = not found.is_stream and (target is not None or (progress is not None and bool(found.files)))
    total, of_input = _survey(found, announce) if is_surveyed else (None, [])
    answer_columns = (*classify.answer_columns, "error")
    watch = _Watch(progress, total, (*classify.answer_columns[: classify.sure_columns], "error"))
    if target is None:
        pairs = list(_answers(classify, found.rows(), on_error, watch))
        names = _answer_names(_input_columns(given for given, _ in pairs), answer_columns)
        results = [_result(given, answer, names) for given, answer in pairs]
        return RunSummary(results, watch.done, watch.failed, None, watch.seconds(), columns=names)
    if not found.files:
        pairs = _answers(classify, found.rows(), on_error, watch)
        first = list(islice(pairs, PART_ROWS))
        if found.is_stream:  # it cannot be read twice, so that its first rows must tell the columns
            of_input = _input_columns(given for given, _ in first)
        names = _answer_names(of_input, answer_columns)
        _write(target, chain(first, pairs), names, _table_columns(of_input, names, watch.answer_columns))
        return RunSummary(None, watch.done, watch.failed, target, watch.seconds(), columns=names)
    options = {"columns": columns, "on_error": on_error, "settings": settings, "options": classify.options}
    paths = [path for file in found.files for path in file.paths]
    digests = [*map(file_digest, paths), checkpoint_digest(classify.checkpoint)]
    parts = RunParts(target, fingerprint(digests, options))
    resumed = parts.prepare()
    for answer in parts.answers():
        watch.count(answer)
    rows = islice(found.rows(), resumed, None)
    answers = (answer for _, answer in _answers(classify, rows, on_error, watch, start=resumed))
    while part := list(islice(answers, PART_ROWS)):
        parts.add(part)
    announce(f"writing {target.name}")
    names = _answer_names(of_input, answer_columns)
    _write(target, _joined(found, parts), names, _table_columns(of_input, names, watch.answer_columns))
    parts.remove()
    return RunSummary(None, watch.done, watch.failed, target, watch.seconds(), resumed, names)


def _survey(inputs: RunInputs, announce: AnnounceFunction) -> tuple[int, list[str]]:
    """How many rows there are, and the columns of all of them.

    It takes a pass over the files, which is a small part of the time that the model needs, and is the only way to give
    the answers one name in all rows: a jsonl file may have a column in its last row alone.
    """
    total = 0
    file = inputs.files[0].name if inputs.files else None
    if file is not None:
        announce(f"reading {file}")

    def counted() -> Iterator[InputRow]:
        nonlocal total, file
        for row in inputs.rows():
            if row.file not in (file, None):
                file = row.file
                announce(f"reading {file}")
            total += 1
            yield row

    columns = _input_columns(counted())
    return total, columns


def _joined(inputs: RunInputs, parts: RunParts) -> Iterator[Pair]:
    """Each row with its answer, both read from disk.

    Raises:
        DataError: there are more or fewer rows than answers.
    """
    for row, answer in zip_longest(inputs.rows(), parts.answers()):
        if row is None or answer is None:
            raise DataError(f"{inputs.files[0].name} was changed while it was read; run it again.")
        yield row, answer


class _Watch:
    """Counts rows and reports progress."""

    def __init__(self, progress: ProgressFunction | None, total: int | None, columns: Iterable[str]) -> None:
        self.done = self.failed = 0
        self.answer_columns = set(columns)  # in a table in any case, whether a row failed or not
        self._progress = progress
        self._total = total
        self._started = time.monotonic()
        self._reported = 0.0

    def count(self, answer: Mapping[str, Any]) -> None:
        self.done += 1
        self.failed += "error" in answer
        self.answer_columns.update(answer)
        now = time.monotonic()
        if self._progress and (now - self._reported > 0.1 or self.done == self._total):
            self._progress(self.done, self._total)
            self._reported = now

    def seconds(self) -> float:
        if self._progress:
            self._progress(self.done, self.done)
        return time.monotonic() - self._started


def _answers(
    classify: Pipeline, rows: Iterable[InputRow], on_error: OnError, watch: _Watch, *, start: int = 0
) -> Iterator[Pair]:
    """Each row with its answer as columns.

    Raises:
        InputError: a row is bad and ``on_error`` is ``raise``; index and place are those in the whole input.
    """
    waiting: deque[InputRow] = deque()

    def items() -> Iterator[Any]:
        for row in rows:
            waiting.append(row)
            yield row.item

    try:
        for answer in classify(items(), on_error=on_error):
            columns = dict(answer) if _is_error(answer) else classify.as_columns(answer)
            watch.count(columns)
            yield waiting.popleft(), columns
    except InputError as error:
        # All rows before the bad one have been answered and taken off.
        place = waiting[0].place if waiting else error.source
        raise error.at(start + (error.index or 0), place) from error


def _is_error(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.keys() == {"error"}


def _result(
    row: InputRow, answer: Mapping[str, Any], names: Mapping[str, str], *, has_place: bool = True
) -> dict[str, Any]:
    """The columns of the row, then those of the answer, and with ``has_place`` where the row stands if it failed."""
    if has_place and "error" in answer and row.file is not None:
        answer = {**answer, "file": row.file, "row": row.row}
    # A stream's later row may have a column that its first ones did not have: no value of it may be lost.
    return row.values | {_renamed(names.get(name, name), row.values): value for name, value in answer.items()}


def _answer_names(of_input: Sequence[str], of_answers: Sequence[str]) -> dict[str, str]:
    """What each column of the answers is called beside the columns of the input."""
    return {name: _renamed(name, of_input) for name in (*of_answers, *PLACE_COLUMNS)}


def _renamed(name: str, taken: Container[str]) -> str:
    while name in taken:
        name = f"predicted_{name}"
    return name


def _input_columns(rows: Iterable[InputRow]) -> list[str]:
    """The columns of all rows, in the order in which they first come."""
    columns: dict[str, None] = {}
    for row in rows:
        if not row.values.keys() <= columns.keys():
            columns.update(dict.fromkeys(row.values))
    return list(columns)


def _table_columns(of_input: Sequence[str], names: Mapping[str, str], of_answers: Container[str]) -> list[str]:
    """The input's columns, then the answers'."""
    return [*of_input, *(written for name, written in names.items() if name in of_answers)]


def _write(target: Path, pairs: Iterable[Pair], names: Mapping[str, str], columns: Sequence[str]) -> None:
    """Writes the results to ``target``, which appears when it is whole; a table has the ``columns``."""
    format = _format(target)
    is_json = format in JSON_FORMATS
    iterator = iter(pairs)
    try:
        with open_writer(target, format, columns=columns) as writer:
            while chunk := list(islice(iterator, PART_ROWS)):
                results = [_result(row, answer, names, has_place=is_json) for row, answer in chunk]
                if format != "parquet":
                    results = [{name: _plain(value) for name, value in result.items()} for result in results]
                writer.write(results)
    except OSError as error:
        raise DataError(f"'{target.name}' cannot be written ({error.strerror}); choose another --output.") from error


def _plain(value: Any) -> Any:
    """A value from a parquet file as text where JSON has no such type."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _checked_output(output: Path) -> Path:
    if _format(output) not in WRITABLE:
        raise UsageError(f"--output {output.name} has no ending that can be written; expected {', '.join(WRITABLE)}.")
    if not output.parent.is_dir():
        raise DataError(f"the folder '{output.parent.name}' for --output {output.name} does not exist; make it first.")
    return output


def _check_no_input_is_output(inputs: RunInputs, target: Path | None) -> None:
    same = [file.name for file in inputs.files if target is not None and Path(file.path).resolve() == target.resolve()]
    if same:
        raise UsageError(f"--output {same[0]} is also an input, which would be lost; give another file.")


def _format(output: Path) -> str:
    return output.suffix.lower().removeprefix(".").replace("ndjson", "jsonl")


def _as_pipeline(task: Task, model: Any, settings: dict[str, Any]) -> Pipeline:
    if hasattr(model, "checkpoint") and hasattr(model, "postprocess"):
        if settings:
            raise UsageError(f"a pipeline was given as model; set {', '.join(settings)} when making it.")
        return model
    return pipeline(task.name, model, **settings)
