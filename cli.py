"""The command line: one thin function a command, over the Python call of the same name.

Every command also takes ``--json`` (one JSON document to stdout, all else to stderr) and ``--debug`` (tracebacks).
Exit codes: 0 done, 1 failed or some rows failed, 2 wrong usage. With ``--json`` an error that ends the command is the
document ``{"error": "one sentence", "exit": 2}``. Nothing heavy is imported at module level: the help of every command
must come at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import json
import os
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO, get_args, get_origin, get_type_hints

import typer

from .finetune.settings import FinetuneSettings, default_of, flag
from .pipelines.errors import QuintetError, UsageError
from .pipelines.models.families import family_rows
from .pipelines.tasks import task_rows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from .cards.facts import EvaluationFacts, RunFacts
    from .cards.publishing import PublishReport
    from .cards.verification import VerifyReport
    from .finetune.dry_run import DryRun
    from .pipelines.file_runs import RunSummary

app = typer.Typer(
    name="quintet",
    help="Run, train and measure CNN, RNN/LSTM/GRU, Transformer, BERT and GAN models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command found out.

    Attributes:
        document: for programs; printed under ``--json``.
        show: draws it for people.
        failed: whether the exit code is 1 although there is an answer.
        summary: one line about it, for stderr where the answer itself goes to a program.
    """

    document: Any
    show: Callable[[Console], None]
    failed: bool = False
    summary: str = ""


def command(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Registers a command, and adds ``--json``, ``--debug`` and errors of one sentence.

    One that shows something while it works has a parameter ``screen``: where people read, None where a program does.
    """

    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def wrapper(**arguments: Any) -> None:
        as_json, debug = arguments.pop("json"), arguments.pop("debug")
        if "screen" in known:
            arguments["screen"] = None if as_json else sys.stdout
        try:
            # Libraries print; a program that reads our JSON must not have to guess which line is ours.
            with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
                warnings.showwarning = _show_warning
                answer = function(**arguments)
        except QuintetError as error:
            raise _ended(str(error), error.exit_code, as_json, debug) from error
        except KeyboardInterrupt as error:
            raise _ended("interrupted", 130, as_json, debug) from error
        except BrokenPipeError as error:
            raise typer.Exit(1) from error
        except Exception as error:
            reason = f"{type(error).__name__}: {error} (not an error that was foreseen; --debug shows where it arose)"
            raise _ended(reason, 1, as_json, debug) from error
        if as_json:
            _print_document(answer.document)
            if answer.failed:
                print(answer.summary, file=sys.stderr)
        elif _is_first_process():
            answer.show(_console())
        raise typer.Exit(1 if answer.failed else 0)

    common = [
        inspect.Parameter(
            "json",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[
                bool, typer.Option("--json", help="print one JSON document to stdout, all else to stderr")
            ],
        ),
        inspect.Parameter(
            "debug",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option("--debug", help="show the traceback of an error")],
        ),
    ]
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hint)
        for parameter, hint in zip(known.values(), _hints(function), strict=True)
        if parameter.name != "screen"
    ]
    wrapper.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
    app.command(name=function.__name__.rstrip("_"))(wrapper)
    return function


def _hints(function: Callable[..., Any]) -> list[Any]:
    signature = inspect.signature(function)
    if all(not isinstance(parameter.annotation, str) for parameter in signature.parameters.values()):
        return [parameter.annotation for parameter in signature.parameters.values()]
    hints = get_type_hints(function, include_extras=True)
    return [hints[name] for name in signature.parameters]


def _show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """A warning as one line: where in the code it arose says nothing to people. Of several processes one speaks."""
    if _is_first_process():
        print(f"warning: {message}", file=sys.stderr)


def _ended(reason: str, code: int, as_json: bool, debug: bool) -> typer.Exit:
    """What ends a command that failed, once the reason has been said to people and, with ``--json``, to a program."""
    if debug:
        traceback.print_exc()
    # Flags are wrong in all processes alike; what one process alone ran into has to be said by that one.
    if _is_first_process() or code != UsageError.exit_code:
        print(f"error: {reason}", file=sys.stderr)
    if as_json:
        _print_document({"error": reason, "exit": code})
    return typer.Exit(code)


def _print_document(document: Any) -> None:
    if _is_first_process():
        # str: a parquet file may hold dates
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n")


def _is_first_process() -> bool:
    """Whether this process speaks: of several that train together the first one does."""
    return os.environ.get("RANK", "0") == "0"


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def _mapping(text: str | None, name: str, *, has_lists: bool = False) -> dict[str, str]:
    """``text=review,label=stars`` as a dictionary.

    Args:
        text: as typed.
        name: of the option, for the error.
        has_lists: whether a value may hold commas: what has no ``=`` then belongs to the value before it.

    Raises:
        UsageError: an entry has no ``=``.
    """
    entries: list[str] = []
    for entry in _list(text):
        if has_lists and entries and "=" not in entry:
            entries[-1] += f",{entry}"
        else:
            entries.append(entry)
    wrong = [entry for entry in entries if "=" not in entry]
    if wrong:
        raise UsageError(f"{name} '{text}' must be name=value pairs with commas between; '{wrong[0]}' has no '='.")
    return {key.strip(): value.strip() for key, value in (entry.split("=", 1) for entry in entries)}


def _list(text: str | None) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()] if text else []


# ----------------------------------------------------------------------------------- options in common

TaskName = Annotated[str, typer.Argument(help="task: sentiment (`quintet tasks` lists them)", show_default=False)]
Columns = Annotated[str | None, typer.Option(help="the data's name of each column: text=review,label=stars")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps; default: the fastest there is")]
Dtype = Annotated[
    Literal["float32", "bfloat16", "float16", "auto"] | None,
    typer.Option(help="number format of the weights; default: float32; auto: the checkpoint's own"),
]
BatchSize = Annotated[int | None, typer.Option(help="samples of a batch; default: as many as a budget of tokens takes")]
Fast = Annotated[bool, typer.Option("--fast", help="bfloat16 where the hardware has matrix units for it")]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="run code that comes with the checkpoint")]
TextUnit = Annotated[
    Literal["lines", "documents", "blocks"] | None,
    typer.Option(
        help="what a row of a plain text file is, for tasks that only read text: a line, a text between blank lines, "
        "or a piece of one long text; default: the task's own"
    ),
]
License = Annotated[
    str | None, typer.Option(help="licence in the Hub's spelling, such as apache-2.0, or other; default: as it is")
]
LicenseName = Annotated[str | None, typer.Option(help="name of a licence that is other")]
LicenseLink = Annotated[str | None, typer.Option(help="URL of a licence that is other, or its file in the folder")]


# ------------------------------------------------------------------------------------------ the tables


@command
def tasks() -> Answer:
    """The table of tasks."""
    rows = task_rows()
    return Answer(rows, lambda console: _print_rows(console, rows))


@command
def models() -> Answer:
    """The table of model families that can be trained from scratch."""
    rows = family_rows()
    return Answer(rows, lambda console: _print_rows(console, rows))


def _print_rows(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(", ".join(value) if isinstance(value, list) else str(value) for value in row.values()))
    console.print(table, soft_wrap=False)


# ------------------------------------------------------------------------------------------------- run


@command
def run(
    task: TaskName,
    inputs: Annotated[
        list[str], typer.Argument(help="texts, a file (csv, tsv, jsonl, json, parquet, txt), or - for lines from stdin")
    ],
    model: Annotated[
        str | None, typer.Option(help="checkpoint folder, Hub id with @revision, or embedded name; default: the task's")
    ] = None,
    columns: Columns = None,
    output: Annotated[str | None, typer.Option(help="file for the results: .csv, .jsonl, .json or .parquet")] = None,
    text: Annotated[
        bool, typer.Option("--text", help="take the arguments as text even if a file has that name")
    ] = False,
    top_k: Annotated[
        int | None, typer.Option(help="labels for each input, the most probable first; default: one")
    ] = None,
    all_labels: Annotated[bool, typer.Option("--all-labels", help="the scores of all labels for each input")] = False,
    neutral: Annotated[
        float | None, typer.Option(help="answers of lower probability become `neutral`, fraction in [0, 1]")
    ] = None,
    function_to_apply: Annotated[
        Literal["softmax", "sigmoid", "none"] | None,
        typer.Option(help="from logits to scores; default: the checkpoint's problem type"),
    ] = None,
    truncation: Annotated[
        bool, typer.Option("--truncation", help="cut long texts instead of reading them in windows")
    ] = False,
    options: Annotated[
        str | None, typer.Option(help="more options of the task's pipeline: stride=32,aggregation_strategy=first")
    ] = None,
    on_error: Annotated[
        Literal["raise", "record"] | None,
        typer.Option(help="a bad row stops the run, or is recorded; default: record for files"),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="print the text of a prompt as it is written; a terminal does so anyway")
    ] = False,
    batch_size: BatchSize = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    trust_remote_code: TrustRemoteCode = False,
    screen: TextIO | None = None,
) -> Answer:
    """Answer texts, lines of stdin, or the rows of a file; a file run that was stopped goes on when repeated."""
    from .pipelines.file_runs import run as run_
    from .pipelines.streamed_runs import is_streamable, writes_texts
    from .pipelines.streamed_runs import stream as stream_

    if all_labels and top_k is not None:
        raise UsageError(
            f"--top-k {top_k} and --all-labels were given, which exclude each other; leave one of them out."
        )
    settings: dict[str, Any] = {"neutral": neutral, "function_to_apply": function_to_apply}
    if all_labels or top_k is not None:
        settings["top_k"] = None if all_labels else top_k
    settings = {name: value for name, value in settings.items() if value is not None or name == "top_k"}
    if truncation:
        settings["truncation"] = True
    if on_error is not None:
        settings["on_error"] = on_error
    settings |= {name: _read_value(value) for name, value in _mapping(options, "--options", has_lists=True).items()}
    loading = {"batch_size": batch_size, "device": device, "dtype": dtype, "fast": fast}
    loading["trust_remote_code"] = trust_remote_code
    is_single = output is None and columns is None and is_streamable(task, inputs, text=text)
    if stream and (screen is None or (not is_single and writes_texts(task))):
        raise UsageError(
            "--stream shows the text of one prompt while it is written; leave it out, or give one prompt, without a "
            "file, --json, --output and --columns"
        )
    if screen is not None and (stream or (is_single and screen.isatty())):
        settings.pop("on_error", None)  # of a single text
        pieces = stream_(task, inputs[0], model=model, is_asked=stream, **loading, **settings)
        return Answer(_shown(pieces, screen), lambda console: None)
    with _progress("rows") as bar:
        summary = run_(
            task,
            inputs[0] if len(inputs) == 1 else inputs,
            model=model,
            columns=_mapping(columns, "--columns") or None,
            output=output,
            text=text,
            **loading,
            progress=bar.advance,
            announce=bar.announce,
            **settings,
        )
    results = summary.results if summary.output is None else _written(summary.output, summary.columns)
    return Answer(
        results, lambda console: _print_results(console, summary), failed=summary.failed > 0, summary=str(summary)
    )


def _shown(pieces: Iterable[str], screen: TextIO) -> str:
    """Writes each of ``pieces`` as it comes, then ends the line; returns them joined."""
    text = ""
    try:
        for piece in pieces:
            screen.write(piece)
            screen.flush()
            text += piece
    finally:
        screen.write("\n")
    return text


def _read_value(text: str) -> Any:
    """A value typed after ``name=``: a number, true, false or none where it is one, else the text."""
    try:
        return json.loads({"true": "true", "false": "false", "none": "null"}.get(text.lower(), text))
    except ValueError:
        return text


def _written(path: Path, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a results file; also of a table the answers have numbers for numbers, and no entry without a value.

    Args:
        path: the file.
        columns: what each column of the answers is called in it.
    """
    from .pipelines.records import Record, read_records

    rows = [dict(record.values) for record in read_records(path) if isinstance(record, Record)]
    for row in rows:
        for name, written in columns.items():
            if row.get(written) in (None, ""):
                row.pop(written, None)
            elif name in NOT_TEXT and isinstance(row[written], str):
                row[written] = json.loads(row[written])
    return rows


NOT_TEXT = ("score", "scores", "windows", "start", "end", "entities")
"""Columns of answers that a table has as text although they are numbers or lists."""

SHOWN_ROWS = 50  # more than a screen; files are for the rest


def _print_results(console: Console, summary: RunSummary) -> None:
    """The results as a table, or where they were written; then how many there are and how many failed."""
    from rich.table import Table
    from rich.text import Text

    rows = summary.results or []
    names = list(dict.fromkeys(name for row in rows[:SHOWN_ROWS] for name in row))
    if names:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in names:
            table.add_column(name, overflow="fold" if name in ("text", "error") else "ellipsis")
        for row in rows[:SHOWN_ROWS]:
            if isinstance(row.get("document"), str):
                row = {**row, "document": _shortened(row["document"])}
            table.add_row(*(Text(_cell(row.get(name))) for name in names))
        console.print(table, soft_wrap=False)
    if len(rows) > SHOWN_ROWS:
        console.print(f"… {len(rows) - SHOWN_ROWS:,} more rows; --output FILE keeps them all, --json prints them all")
    if len(rows) != 1 or summary.failed:
        console.print(str(summary), style="dim")


SHOWN_NUMBERS = 4  # of a vector
SHOWN_LETTERS = 100  # of a document that was found


def _cell(value: Any) -> str:
    """A value as a table on a terminal shows it: vectors by their first numbers and their size."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list) and value and all(isinstance(each, dict) and "corpus_id" in each for each in value):
        return "\n".join(f"{each['score']:.4f} {_shortened(each['text'])}" for each in value)
    sizes, inner = [], value
    while isinstance(inner, list) and inner:
        sizes.append(len(inner))
        inner = inner[0]
    if not isinstance(inner, float) or sizes[-1] <= SHOWN_NUMBERS:
        return str(value)
    for _ in sizes[1:]:
        value = value[0]
    first = ", ".join(f"{number:.4f}" for number in value[:SHOWN_NUMBERS])
    return f"[{first}, …] ({' × '.join(map(str, sizes))} numbers)"


def _shortened(text: str) -> str:
    """``text`` on one line that fits beside others."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_LETTERS else f"{line[: SHOWN_LETTERS - 1]}…"


@dataclasses.dataclass(frozen=True)
class _Bar:
    """What is being done, as a bar on stderr.

    Attributes:
        progress: draws it.
        job: its line.
    """

    progress: Progress
    job: TaskID

    def advance(self, done: int, total: int | None = None) -> None:
        """Shows how many rows are done, with the rate and the time left."""
        speed = self.progress.tasks[0].speed
        rate = f"{speed:,.0f}" if speed else "–"
        self.progress.update(self.job, description="", completed=done, total=total, rate=rate, visible=True)

    def announce(self, text: str) -> None:
        """Shows what is being done while nothing is counted: a bar without an end."""
        # at once, since a small file is read before the next time that the bar would be drawn
        self.progress.update(self.job, description=text, total=None, visible=True, refresh=True)


@contextlib.contextmanager
def _progress(unit: str) -> Iterator[_Bar]:
    """A bar on stderr with rate and time left, where stderr is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = _console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} " + unit + "/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Bar(bar, bar.add_task("", total=None, rate="–", visible=False))


# -------------------------------------------------------------------------------------------- finetune


def _finetune(**given: Any) -> Answer:
    """Train a model on your data; flags go before the settings of --config."""

    from .finetune.dry_run import DryRun
    from .finetune.settings_file import read_settings
    from .finetune.training import finetune_with

    config = given.pop("config")
    flags = {name: _value(name, value) for name, value in given.items() if value is not None}
    settings = FinetuneSettings(**(read_settings(config, flags) if config else _complete(flags)))
    result = finetune_with(settings)
    if isinstance(result, DryRun):
        return Answer(result.to_json(), lambda console: _print_plan(console, result))

    from .cards.facts import to_json

    def show(console: Console) -> None:
        for evaluation in result.evaluations:
            _print_evaluation(console, evaluation)
        model = shlex.quote(str(settings.output))
        console.print(f"next: quintet run {settings.task} {_example_inputs(result)} --model {model}", markup=False)

    return Answer(to_json(result), show)


def _example_inputs(facts: RunFacts) -> str:
    """What stands for the inputs of `run`: a text, or where an input is more than that a file with its columns."""
    from .pipelines.tasks import find_task

    task, found = find_task(facts.task), facts.data.columns if facts.data is not None else {}
    # a classifier of pairs needs both texts; what makes vectors, or answers for one text of two, does not
    needs_pair = task.name == "text-classification"
    read = [
        column.name
        for column in task.columns
        if column.role == "input" and column.name in found and (column.required or needs_pair)
    ]
    return f"rows-with-{'-and-'.join(read)}.jsonl" if len(read) > 1 else '"…"'


def _complete(flags: Mapping[str, Any]) -> dict[str, Any]:
    missing = [flag(name) for name in ("model", "dataset", "output") if name not in flags]
    missing = [*([] if "task" in flags else ["a task (sentiment)"]), *missing]
    if missing:
        raise UsageError(
            f"finetune needs {', '.join(missing)}; give the flag, or --config with a TOML file that has it."
        )
    return dict(flags)


def _print_plan(console: Console, plan: DryRun) -> None:
    """What a training would do: data, size, time, and the command without --dry-run."""
    from .finetune.data.description import print_report

    print_report(plan.data, console)
    console.print(f"parameters: {plan.parameters:,}, of them trained: {plan.trainable_parameters:,}")
    pace = f"{plan.seconds_per_step:.3f} s each, {plan.minutes:.1f} min in all"
    console.print(f"steps: {plan.steps:,} ({plan.steps_per_epoch:,} an epoch), {pace}")
    memory, state = plan.peak_memory_bytes / 2**20, plan.state_bytes / 2**20
    console.print(f"memory: {memory:,.0f} MiB in three real steps, of which {state:,.0f} MiB hold the state")
    console.print(f"next: {plan.command}", markup=False)


_SETTINGS = {item.name: item for item in dataclasses.fields(FinetuneSettings)}
_SETTING_TYPES = get_type_hints(FinetuneSettings)


def _value(name: str, value: Any) -> Any:
    """A flag's value as the setting's type: lists and mappings come as text with commas."""
    origin = get_origin(_SETTING_TYPES[name])
    if origin is tuple:
        return tuple(_list(value))
    return _mapping(value, flag(name)) if origin is Mapping else value


def _setting_option(item: dataclasses.Field[Any]) -> inspect.Parameter:
    """A setting as an option that is None unless given, so that the settings file decides where the flag is silent."""
    annotation = _SETTING_TYPES[item.name]
    options = [option for option in get_args(annotation) if option is not type(None)]
    if get_origin(annotation) in (tuple, Mapping):
        annotation = str
    elif get_origin(annotation) is not Literal and options:
        (annotation,) = options
    default = default_of(item)
    help_text = item.metadata["help"]
    if default not in (None, "", (), {}, dataclasses.MISSING) and not isinstance(default, bool):
        help_text += f" [default: {default}]"
    names = [f"{flag(item.name)}/--no-{flag(item.name)[2:]}"] if default is True else [flag(item.name)]
    option = typer.Option(*names, help=help_text, show_default=False, rich_help_panel=_panel(item.name))
    return inspect.Parameter(
        item.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[annotation | None, option]
    )


_PANELS = {  # the first setting of each group of FinetuneSettings -> its heading in the help
    "task": "What to train",
    "columns": "Data",
    "model_args": "Model",
    "epochs": "Optimization",
    "teacher": "Teacher",
    "eval_every": "Evaluation",
    "save_every": "Running",
}


def _panel(name: str) -> str:
    heading = ""
    for item in _SETTINGS:
        heading = _PANELS.get(item, heading)
        if item == name:
            break
    return heading


_finetune.__name__ = "finetune"
_finetune.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter(
            "task",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Argument(help="task: sentiment (`quintet tasks` lists them)")],
        ),
        *(_setting_option(item) for item in _SETTINGS.values() if item.name != "task"),
        inspect.Parameter(
            "config",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None, typer.Option(help="TOML file of settings", rich_help_panel="What to train")
            ],
        ),
    ]
)
command(_finetune)


# ----------------------------------------------------------------------------------- evaluate and data


@command
def evaluate(
    checkpoint: Annotated[
        str, typer.Argument(help="checkpoint folder, Hub id with @revision, embedded name, or sentiment")
    ],
    dataset: Annotated[
        str, typer.Option(help="file, folder, glob, comma-separated list of these, URL, or Hub id with @revision")
    ],
    task: Annotated[str | None, typer.Option(help="default: the task stated by the checkpoint")] = None,
    split: Annotated[
        str | None, typer.Option(help="default: test, else validation, else the only one; may be sliced: test[:10%]")
    ] = None,
    columns: Columns = None,
    config: Annotated[str | None, typer.Option(help="configuration of a Hub data set")] = None,
    label_map: Annotated[
        str | None, typer.Option(help="labels of the data in the checkpoint's words: 0=negative,1=positive")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="folder for the facts and pictures; default: evaluation/ in the checkpoint")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="rows to evaluate at most")] = None,
    text_unit: TextUnit = None,
    bad_rows: Annotated[
        Literal["raise", "skip"], typer.Option(help="a bad row stops the run, or is skipped and counted")
    ] = "raise",
    allow_training_rows: Annotated[
        bool, typer.Option("--allow-training-rows", help="evaluate even on the rows that the checkpoint was trained on")
    ] = False,
    bootstrap: Annotated[int, typer.Option(help="resamples for the 95 % intervals")] = 1000,
    seed: Annotated[int, typer.Option(help="of the resamples")] = 0,
    batch_size: BatchSize = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    trust_remote_code: TrustRemoteCode = False,
) -> Answer:
    """Measure a checkpoint: metrics with intervals, baselines, confusion matrix, the most confident mistakes."""
    from .cards.facts import to_json
    from .finetune.evaluation import evaluate as evaluate_

    with _progress("rows") as bar:
        facts = evaluate_(
            checkpoint,
            dataset=dataset,
            task=task,
            split=split,
            columns=_mapping(columns, "--columns") or None,
            config=config,
            label_map=_mapping(label_map, "--label-map") or None,
            output=output,
            limit=limit,
            text_unit=text_unit,
            bad_rows=bad_rows,
            allow_training_rows=allow_training_rows,
            bootstrap=bootstrap,
            seed=seed,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            fast=fast,
            trust_remote_code=trust_remote_code,
            progress=bar.advance,
        )
    return Answer(to_json(facts), lambda console: _print_evaluation(console, facts, mistakes=5))


def _print_evaluation(console: Console, facts: EvaluationFacts, *, mistakes: int = 0) -> None:
    """Metrics beside the baselines, the classes, and the first mistakes."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=f"{facts.data_name}, {facts.split}: {facts.count:,} rows",
        box=None,
        title_justify="left",
        header_style="bold",
    )
    for heading in ("metric", "value", "95 % interval", *(baseline.name for baseline in facts.baselines)):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for metric in facts.metrics:
        interval = "" if metric.low is None else f"{metric.low:.4f} – {metric.high:.4f}"
        others = [{other.name: other for other in baseline.metrics}.get(metric.name) for baseline in facts.baselines]
        table.add_row(
            metric.name,
            f"{metric.value:.4f}",
            interval,
            *("" if other is None else f"{other.value:.4f}" for other in others),
        )
    console.print(table, soft_wrap=False)
    if facts.per_class:
        from .cards.phrases import class_metrics, counted_by_class

        names = class_metrics(facts.per_class)
        classes = Table(box=None, header_style="bold")
        for heading in ("class", counted_by_class(facts), *names):
            classes.add_column(heading, justify="left" if heading == "class" else "right")
        for row in facts.per_class:
            values = {metric.name: f"{metric.value:.4f}" for metric in row.metrics}
            classes.add_row(escape(row.label), f"{row.count:,}", *(values.get(name, "") for name in names))
        console.print(classes, soft_wrap=False)
    for mistake in facts.mistakes[:mistakes]:
        answer = f"{mistake.label} taken for {mistake.prediction} ({mistake.confidence:.3f})"
        console.print(f"[dim]row {mistake.row}: {escape(answer)}:[/dim] {escape(mistake.text)}")
    for note in facts.notes:
        console.print(f"[dim]{escape(note)}[/dim]")


@command
def convert(
    source: Annotated[
        str, typer.Argument(help="file of weights (.safetensors, .pth) of another library, or its folder")
    ],
    output: Annotated[str, typer.Option(help="folder for the checkpoint")],
    family: Annotated[
        str | None,
        typer.Option(help="family that the weights are of: resnet-50, vgg16 …; default: found by their names"),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="names of the classes in the order of their ids: cat,dog; or a file, a name a line"),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="pixels of the sides of a picture; default: as such models usually have it")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="of each channel, of values in [0, 1]: 0.485,0.456,0.406; default: the usual one")
    ] = None,
    std: Annotated[str | None, typer.Option(help="of each channel, likewise; given with --mean")] = None,
    heads: Annotated[int | None, typer.Option(help="attention heads of a ViT of unpublished size")] = None,
) -> Answer:
    """Make a checkpoint of weights that torchvision, timm or a CIFAR ResNet's code saved; every key must fit."""
    from .pipelines.conversion import convert as convert_

    found = convert_(
        source,
        output,
        family=family,
        labels=None if labels is None else _names(labels),
        image_size=image_size,
        mean=None if mean is None else _numbers("--mean", mean),
        std=None if std is None else _numbers("--std", std),
        heads=heads,
    )

    def show(console: Console) -> None:
        console.print(f"{found.family}, {found.parameters:,} parameters, {len(found.labels)} classes", markup=False)
        pictures = (
            f"pictures of {found.image_size} x {found.image_size} pixels, mean {found.mean}, deviation {found.std}"
        )
        assumed = "" if found.are_statistics_given else " (assumed, as weights do not say: --mean and --std set them)"
        console.print(f"{pictures}{assumed}", markup=False, soft_wrap=True)
        console.print(f"next: quintet run image-classification --model {shlex.quote(output)} picture.jpg", markup=False)

    return Answer(dataclasses.asdict(found), show)


def _names(text: str) -> list[str]:
    """Names with commas between them, or those in a file, one a line."""
    path = Path(text)
    if path.is_file():
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"{option} is '{text}'; expected numbers with commas between them, for instance 0.5,0.5,0.5"
        ) from error


@command
def card(
    checkpoint: Annotated[
        str, typer.Argument(help="checkpoint folder; with --check also a README.md, a Hub id or an embedded name")
    ],
    license: License = None,
    license_name: LicenseName = None,
    license_link: LicenseLink = None,
    language: Annotated[str | None, typer.Option(help="languages of the texts: en or en,zh; default: as it is")] = None,
    repository: Annotated[
        str | None, typer.Option(help="Hub id that the card names; `quintet publish` sets it")
    ] = None,
    example: Annotated[
        list[str] | None, typer.Option(help="text to show with its answer; can be repeated; default: as it is")
    ] = None,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="take the quoted wrong answers out of run.json and the card")
    ] = False,
    edit: Annotated[bool, typer.Option("--edit", help="open your own words in the editor that EDITOR names")] = False,
    append: Annotated[
        bool, typer.Option("--append", help="put the card below a README.md that was written by hand")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="write nothing; name what the Hub would refuse and numbers without a source")
    ] = False,
) -> Answer:
    """Write a checkpoint's card, README.md, from its facts: results, data, settings, limits, and usage that was run."""
    from .cards.publish_target import nearest_repository
    from .cards.writing import card as card_

    report = card_(
        checkpoint,
        license=license,
        license_name=license_name,
        license_link=license_link,
        language=language,
        repository=repository,
        examples=example or None,
        texts=not no_texts,
        edit=edit,
        append=append,
        check=check,
    )

    def show(console: Console) -> None:
        for problem in report.problems:
            console.print(f"problem: {problem}", markup=False)
        for note in report.notes:
            console.print(f"note: {note}", markup=False)
        if report.written:
            console.print(f"card: {report.path}", markup=False)
            target = nearest_repository(report.name)
            console.print(f"next: quintet publish {shlex.quote(checkpoint)} {target}", markup=False)
        else:
            console.print(report.summary, markup=False)

    return Answer(report.to_json(), show, failed=check and bool(report.problems), summary=report.summary)


@command
def publish(
    checkpoint: Annotated[str, typer.Argument(help="checkpoint folder; with --dataset a file or folder of data")],
    repository: Annotated[str, typer.Argument(help="Hub id, such as me/reviews; made if there is none")],
    dataset: Annotated[bool, typer.Option("--dataset", help="publish a data set, with a card")] = False,
    private: Annotated[bool, typer.Option("--private", help="a new repository is seen by its owners only")] = False,
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="propose the change as a pull request instead of making it")
    ] = False,
    revision: Annotated[str | None, typer.Option(help="branch to publish to; default: main")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check and show the plan; change nothing")] = False,
    license: License = None,
    license_name: LicenseName = None,
    license_link: LicenseLink = None,
    message: Annotated[str | None, typer.Option(help="title of the commit")] = None,
    columns: Columns = None,
) -> Answer:
    """Publish a checkpoint on the Hub: checked before, in one commit, read back and compared after."""
    from .cards.publishing import publish as publish_

    report = publish_(
        checkpoint,
        repository,
        dataset=dataset,
        private=private,
        create_pr=create_pr,
        revision=revision,
        dry_run=dry_run,
        license=license,
        license_name=license_name,
        license_link=license_link,
        message=message,
        columns=_mapping(columns, "--columns") or None,
        announce=lambda text: print(text, file=sys.stderr),
    )
    return Answer(report.to_json(), lambda console: _print_publication(console, report))


def _print_publication(console: Console, report: PublishReport) -> None:
    """What a person should know, what was done, and the URL last."""
    for notice in report.notices:
        console.print(f"note: {notice}", style="dim", markup=False)
    files = "1 file" if report.fetched == 1 else f"{report.fetched} files"
    said = {
        "published": f"published: commit {str(report.commit)[:12]}, {files} fetched again and equal",
        "unchanged": "nothing to do: everything is there already",
        "planned": "a dry run: nothing was changed",
    }
    console.print(said[report.status], markup=False)
    if report.status != "planned":
        console.print(report.url, markup=False)


@command
def verify(
    checkpoint: Annotated[str, typer.Argument(help="Hub id with @revision, checkpoint folder, or embedded name")],
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="where a recorded data set is that is not on the Hub; once for each; recorded=path if renamed"
        ),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="branch, tag or commit of a Hub repository")] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="a number may differ by this times max(1, |number|); default: what the evaluation states"),
    ] = None,
    device: Device = None,
    trust_remote_code: TrustRemoteCode = False,
    token: Annotated[str | None, typer.Option(help="of the Hub; default: HF_TOKEN, or that of `hf auth login`")] = None,
    endpoint: Annotated[str | None, typer.Option(help="URL of the Hub; default: HF_ENDPOINT")] = None,
) -> Answer:
    """Compute every number of a checkpoint's card again and compare; exit code 1 unless all of them are equal."""
    from .cards.verification import verify as verify_

    with _progress("rows") as bar:
        report = verify_(
            checkpoint,
            dataset=dataset or None,
            revision=revision,
            tolerance=tolerance,
            device=device,
            trust_remote_code=trust_remote_code,
            token=token,
            endpoint=endpoint,
            progress=bar.advance,
        )
    return Answer(
        report.to_json(),
        lambda console: _print_verification(console, report),
        failed=not report.is_verified,
        summary=str(report),
    )


def _print_verification(console: Console, report: VerifyReport) -> None:
    """The metrics one by one, of the other numbers how many there are and which differ, then everything else."""
    from rich.markup import escape
    from rich.table import Table

    marks = {True: "yes", False: "[bold red]NO[/bold red]", None: "–"}
    table = Table(box=None, title_justify="left", header_style="bold")
    for heading in ("data", "split", "number", "card", "run.json", "recomputed", "equal"):
        table.add_column(heading, justify="right" if heading in ("card", "run.json", "recomputed") else "left")
    others = [number for number in report.numbers if number.kind != "metric"]
    for number in report.numbers:
        if number.kind == "metric" or number.is_equal is False:
            values = (number.card, number.recorded, number.recomputed)
            shown = ("" if value is None else f"{value:.6g}" for value in values)
            table.add_row(
                escape(number.data), escape(number.split), escape(number.name), *shown, marks[number.is_equal]
            )
    if report.numbers:
        console.print(table, soft_wrap=False)
        equal = sum(number.is_equal is True for number in others)
        console.print(f"{equal} of {len(others)} other numbers (intervals, classes, counts, baselines) are equal")
        tolerances = sorted({number.tolerance for number in report.numbers if number.recorded is not None})
        stated = " or ".join(f"{each:g}" for each in tolerances)
        console.print(f"equal: to within {stated} × max(1, |number|)" if stated else "nothing is recorded")
    for check in report.checks:
        state = f"[bold red]{check.state}[/bold red]" if check.state == "differs" else check.state
        console.print(f"{escape(check.name)}: {state}: {escape(check.detail)}")
    console.print(escape(str(report)))


@command
def data(
    dataset: Annotated[
        str, typer.Argument(help="file, folder, glob, comma-separated list of these, URL, or Hub id with @revision")
    ],
    task: Annotated[str, typer.Option(help="task whose columns to look for")] = "text-classification",
    columns: Columns = None,
    config: Annotated[str | None, typer.Option(help="configuration of a Hub data set")] = None,
    train_split: Annotated[str | None, typer.Option(help="split to train on, may be sliced: train[:10%]")] = None,
    validation_split: Annotated[
        str | None, typer.Option(help="split to validate on; default: the given one, or carved")
    ] = None,
    test_split: Annotated[str | None, typer.Option(help="split to report on; default: the given one, if any")] = None,
    validation_fraction: Annotated[
        float, typer.Option(help="share of train carved for validation where none is given")
    ] = 0.1,
    test_fraction: Annotated[float, typer.Option(help="share of train carved for test where none is given")] = 0.0,
    seed: Annotated[int, typer.Option(help="of carved splits")] = 0,
    text_unit: TextUnit = None,
) -> Answer:
    """Show what training would see: splits, columns, labels, lengths, duplicates, bad rows, samples."""
    from .finetune.data.description import describe_data, print_report

    report = describe_data(
        dataset,
        task=task,
        columns=_mapping(columns, "--columns") or None,
        config=config,
        train_split=train_split,
        validation_split=validation_split,
        test_split=test_split,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
        text_unit=text_unit,
    )
    return Answer(report.to_json(), lambda console: print_report(report, console))


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script ``quintet``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _exit)
    if not _asks_for_json(given):
        app(args=given)
        return
    try:
        code = app(args=given, standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what typer raises for an unknown option or a missing argument
            raise
        code = _ended(error.format_message(), error.exit_code, as_json=True, debug=False).exit_code  # type: ignore[attr-defined]
    sys.exit(code)


def _exit(number: int, frame: FrameType | None) -> None:
    """Ends the program from where it is, so that it takes its temporary files and the programs it started with it."""
    sys.exit(128 + number)


def _asks_for_json(arguments: Sequence[str]) -> bool:
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def finetune_main() -> None:
    """``python -m quintet.finetune …``, which `torchrun -m` can start."""
    main(["finetune", *sys.argv[1:]])
