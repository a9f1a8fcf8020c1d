"""Running the usage snippets of a card as a reader would: each in a Python of its own, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .facts import CHECKPOINT_PLACEHOLDER, UsageFact
from .snippets import TRANSFORMERS, in_quotes

TIMEOUT = 600.0
"""Seconds for one snippet; a large checkpoint takes minutes to load."""


@dataclass(frozen=True)
class SnippetRun:
    """What a snippet did.

    Attributes:
        usage: library, code with the placeholder, and what it wrote to stdout.
        problem: last line of stderr, where it failed; else None.
    """

    usage: UsageFact
    problem: str | None = None


def run_snippets(
    snippets: Sequence[tuple[str, str]],
    checkpoint: str,
    *,
    offline: bool = True,
    variables: Mapping[str, str] | None = None,
) -> list[SnippetRun]:
    """Runs each snippet, at the same time; the answers are in the order of ``snippets``.

    Those for plain transformers run where Quintet cannot be imported, so that they prove what they claim.

    Args:
        snippets: library and code, as `cards.snippets.snippets` gives them.
        checkpoint: folder or Hub id that stands for the placeholder.
        offline: whether nothing may be fetched, as for a local folder.
        variables: of the environment, beside those of this process: ``HF_ENDPOINT``, ``HF_TOKEN``.
    """
    given = {**(variables or {}), **({"HF_HUB_OFFLINE": "1"} if offline else {})}
    with ExitStack() as stack:
        started = [stack.enter_context(_started(library, code, checkpoint, given)) for library, code in snippets]
        return [
            _finished(process, library, code, checkpoint)
            for process, (library, code) in zip(started, snippets, strict=True)
        ]


@contextmanager
def _started(library: str, code: str, checkpoint: str, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A Python at work on a snippet, which ends with the block, as its folder does."""
    filled = code.replace(CHECKPOINT_PLACEHOLDER, in_quotes(checkpoint))
    with tempfile.TemporaryDirectory(prefix="quintet-card-") as folder:
        # transformers copies a checkpoint's code there; a common folder would keep, and might mix up, old copies
        environment = {**os.environ, **variables, "PYTHONIOENCODING": "utf-8"}
        environment["HF_MODULES_CACHE"] = str(Path(folder, "modules"))
        if library == TRANSFORMERS:
            hidden = Path(folder, "without-quintet")
            hidden.mkdir()
            (hidden / "quintet.py").write_text('raise ImportError("this snippet must run without Quintet")\n')
            paths = [str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])]
            environment["PYTHONPATH"] = os.pathsep.join(paths)
        work = Path(folder, "work")
        work.mkdir()
        with subprocess.Popen(
            [sys.executable, "-c", filled],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,  # a snippet that asks for leave to run code fails, as it should
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                yield process
            finally:
                process.kill()  # nothing, where it is done


def _finished(process: subprocess.Popen[str], library: str, code: str, checkpoint: str) -> SnippetRun:
    try:
        written, wrong = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return SnippetRun(UsageFact(library, code, ""), f"it was not done after {TIMEOUT:.0f} seconds")
    usage = UsageFact(library, code, written)
    if process.returncode == 0:
        return SnippetRun(usage)
    last = next(filter(None, reversed(wrong.strip().splitlines())), f"exit code {process.returncode}")
    is_folder = Path(checkpoint).is_dir()
    return SnippetRun(usage, last.replace(checkpoint, Path(checkpoint).name) if is_folder else last)
