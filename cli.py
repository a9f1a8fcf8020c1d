"""The command line: one thin function a command, over the Python call of the same name.

Every command also takes ``--json`` (one JSON document to stdout, everything else to stderr) and ``--debug`` (tracebacks).
Exit codes: 0 done, 1 failed or some rows failed, 2 wrong usage. Nothing heavy is imported at module level: the help
of every command must come at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from .finetune.settings import FinetuneSettings, default_of, flag
from .pipelines.errors import QuintetError, UsageError
from .pipelines.models.families import FAMILIES
from .pipelines.tasks import TASKS

if TYPE_CHECKING:
    from rich.console import Console

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
    """

    document: Any
    show: Callable[[Console], None]
    failed: bool = False


def command(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Registers a command, and adds ``--json``, ``--debug`` and errors of one sentence."""

    @functools.wraps(function)
    def wrapper(**arguments: Any) -> None:
        as_json, debug = arguments.pop("json"), arguments.pop("debug")
        try:
            # Libraries print; a program that reads our JSON must not have to guess which line is ours.
            with contextlib.redirect_stdout(sys.stderr):
                answer = function(**arguments)
        except QuintetError as error:
            raise _ended(str(error), error.exit_code, debug) from error
        except KeyboardInterrupt as error:
            raise _ended("interrupted", 130, debug) from error
        except BrokenPipeError as error:
            raise typer.Exit(1) from error
        except Exception as error:  # noqa: BLE001 - the last place where it can become a sentence
            reason = f"{type(error).__name__}: {error} (not an error that was foreseen; --debug shows where it arose)"
            raise _ended(reason, 1, debug) from error
        if as_json:
            sys.stdout.write(json.dumps(answer.document, ensure_ascii=False, indent=1) + "\n")
        else:
            answer.show(_console())
        raise typer.Exit(1 if answer.failed else 0)

    common = [
        inspect.Parameter(
            "json",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option("--json", help="print one JSON document to stdout, all else to stderr")],
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
        for parameter, hint in zip(inspect.signature(function).parameters.values(), _hints(function), strict=True)
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


def _ended(reason: str, code: int, debug: bool) -> typer.Exit:
    if debug:
        traceback.print_exc()
    print(f"error: {reason}", file=sys.stderr)
    return typer.Exit(code)


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def _mapping(text: str | None, name: str) -> dict[str, str]:
    """``text=review,label=stars`` as a dictionary.

    Raises:
        UsageError: an entry has no ``=``.
    """
    entries = _list(text)
    wrong = [entry for entry in entries if "=" not in entry]
    if wrong:
        raise UsageError(f"{name} '{text}' must be name=value pairs with commas between; '{wrong[0]}' has no '='.")
    return {key.strip(): value.strip() for key, value in (entry.split("=", 1) for entry in entries)}


def _list(text: str | None) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()] if text else []


# ---------------------------------------------------------------------------------------------------- options in common

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


# ------------------------------------------------------------------------------------------------------------ the tables


@command
def tasks() -> Answer:
    """The table of tasks."""
    rows = [
        {
            "name": task.name,
            "aliases": list(task.aliases),
            "summary": task.summary,
            "families": list(task.families),
            "default": ",".join(task.default),
        }
        for task in TASKS
    ]
    return Answer(rows, lambda console: _print_rows(console, rows))


@command
def models() -> Answer:
    """The table of model families that can be trained from scratch."""
    rows = [
        {"name": family.name, "summary": family.summary, "paper": family.paper, "tasks": list(family.tasks)} for family in FAMILIES
    ]
    return Answer(rows, lambda console: _print_rows(console, rows))


def _print_rows(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(", ".join(value) if isinstance(value, list) else str(value) for value in row.values()))
    console.print(table, soft_wrap=False)


# ------------------------------------------------------------------------------------------------------------------ run


@command
def run(
    task: TaskName,
    inputs: Annotated[list[str], typer.Argument(help="texts, a file (csv, tsv, jsonl, json, parquet, txt), or - for lines from stdin")],
    model: Annotated[str | None, typer.Option(help="checkpoint folder, Hub id with @revision, or embedded name; default: the task's")] = None,
    columns: Columns = None,
    output: Annotated[str | None, typer.Option(help="file for the results: .csv, .jsonl, .json or .parquet")] = None,
    text: Annotated[bool, typer.Option("--text", help="take the arguments as text even if a file has that name")] = False,
    top_k: Annotated[int | None, typer.Option(help="labels for each input, the most probable first; default: one")] = None,
    all_labels: Annotated[bool, typer.Option("--all-labels", help="the scores of all labels for each input")] = False,
    neutral: Annotated[float | None, typer.Option(help="answers of lower probability become `neutral`, fraction in [0, 1]")] = None,
    function_to_apply: Annotated[
        Literal["softmax", "sigmoid", "none"] | None, typer.Option(help="from logits to scores; default: the checkpoint's problem type")
    ] = None,
    truncation: Annotated[bool, typer.Option("--truncation", help="cut long texts instead of reading them in windows")] = False,
    on_error: Annotated[
        Literal["raise", "record"] | None, typer.Option(help="a bad row stops the run, or is recorded; default: record for files")
    ] = None,
    batch_size: BatchSize = None,
    device: Device = None,
    dtype: Dtype = None,
    fast: Fast = False,
    trust_remote_code: TrustRemoteCode = False,
) -> Answer:
    """Classify texts, lines of stdin, or the rows of a file; a file run that was stopped goes on when repeated."""
    from .pipelines.file_runs import run as run_

    options: dict[str, Any] = {"neutral": neutral, "function_to_apply": function_to_apply}
    if all_labels or top_k is not None:
        options["top_k"] = None if all_labels else top_k
    options = {name: value for name, value in options.items() if value is not None or name == "top_k"}
    if truncation:
        options["truncation"] = True
    if on_error is not None:
        options["on_error"] = on_error
    with _progress("rows") as advance:
        summary = run_(
            task,
            inputs[0] if len(inputs) == 1 else inputs,
            model=model,
            columns=_mapping(columns, "--columns") or None,
            output=output,
            text=text,
            batch_size=batch_size,
            device=device,
            dtype=dtype,
            fast=fast,
            trust_remote_code=trust_remote_code,
            progress=advance,
            **options,
        )
    return Answer(summary, lambda console: console.print(summary))


@contextlib.contextmanager
def _progress(unit: str) -> Any:
    """A bar on stderr with rate and time left, drawn once there is work of more than a moment; yields ``advance(done, total)``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = _console(stderr=True)
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} " + unit + "/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        job = bar.add_task("", total=None, rate="–", visible=False)

        def advance(done: int, total: int | None = None) -> None:
            speed = bar.tasks[0].speed
            bar.update(job, completed=done, total=total, rate=f"{speed:,.0f}" if speed else "–", visible=True)

        yield advance


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script ``quintet``."""
    app(args=list(arguments) if arguments is not None else None)
