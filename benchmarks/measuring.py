"""What the benchmarks share: rounds of child processes, one after the other, and a table of ratios with their spread.

Each contender runs in a process of its own, which nothing else of the benchmark disturbs; contenders take turns within
a round, so that a change of the machine's speed meets all of them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def run_child(arguments: Sequence[str], *, threads: int | None = None) -> tuple[float, dict[str, Any]]:
    """Wall seconds of a Python process, and the JSON object on the last line of its output (empty if there is none).

    Args:
        arguments: after the name of the interpreter.
        threads: how many each library may use; None leaves it to them.

    Raises:
        SystemExit: the process failed; its error output is shown.
    """
    variables = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=os.environ | variables)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
    lines = done.stdout.strip().splitlines()
    return seconds, json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


def run_rounds(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The measure of each contender in each round; they take turns."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, measure in contenders.items():
            value = measure()
            values[name].append(value)
            print(f"round {number + 1}: {name}: {value:.3g}", file=sys.stderr, flush=True)
    return values


def print_ratios(values: Mapping[str, Sequence[float]], *, unit: str, references: Sequence[str]) -> None:
    """A Markdown table: the median of each contender, and its ratio to each reference, round by round, with the spread.

    >>> print_ratios({"a": [2.0, 2.0, 4.0], "b": [4.0, 6.0, 8.0]}, unit="1/s", references=["a"])
    | contender | 1/s | × a |
    | --- | --- | --- |
    | a | 2 (2–4) | 1 |
    | b | 6 (4–8) | 2.00 (2.00–3.00) |
    """
    print(f"| contender | {unit} | {' | '.join(f'× {name}' for name in references)} |")
    print("| --- " * (2 + len(references)) + "|")
    for name, measured in values.items():
        cells = [f"{statistics.median(measured):.3g} ({min(measured):.3g}–{max(measured):.3g})"]
        for reference in references:
            if name == reference:
                cells.append("1")
                continue
            ratios = [one / other for one, other in zip(measured, values[reference], strict=True)]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
        print(f"| {name} | {' | '.join(cells)} |")
