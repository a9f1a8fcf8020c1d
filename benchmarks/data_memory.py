"""Peak memory and time of reading, splitting and fingerprinting 10 thousand and 1 million csv rows, and of training.

    python benchmarks/data_memory.py [ROWS …]

Each size runs in a process of its own, twice: the first time the csv is converted to Arrow, the second time the
converted file is found in the cache. The csv is generated; nothing is downloaded. Resident memory includes the
libraries (the first line of the table) and the pages of mapped files that were looked at. Training is 50 steps of
``quintet finetune sentiment --model textcnn`` on the whole file: reading, splits, tokenizer, lengths, steps, export.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = (10_000, 1_000_000)
WORDS = 20  # of a text, about 125 characters
NUMBERS = 50_000  # different last words, so that texts differ and the vocabulary stays that of a language


def write_csv(path: Path, rows: int) -> None:
    """``rows`` different made-up reviews of two classes."""
    draw = random.Random(0)
    words = [
        f"{consonant}{vowel}{end}" for consonant in "bcdfglmnprst" for vowel in "aeiou" for end in ("nt", "rk", "lling")
    ]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "stars"])
        for number in range(rows):
            writer.writerow(
                [f"{' '.join(draw.choices(words, k=WORDS))}, {number % NUMBERS}", draw.choice(["positive", "negative"])]
            )


def measure(path: str) -> None:
    """Prints what `load_data` of one file took, as JSON; runs in a process of its own."""
    import datasets  # noqa: F401  # imported before the clock starts
    import numpy  # noqa: F401
    import pyarrow  # noqa: F401
    from quintet.finetune.data import load_data
    from quintet.pipelines.tasks import find_task

    before = peak_bytes()
    start = time.perf_counter()
    rows = {}
    if path:
        data = load_data(path, task=find_task("sentiment"), columns={"label": "stars"})
        rows = {split.name: split.rows for split in data.report.splits}
    print(json.dumps({"seconds": time.perf_counter() - start, "before": before, "peak": peak_bytes(), "rows": rows}))


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run(path: str, cache: str) -> dict:
    """What `measure` printed in a fresh process with one thread."""
    environment = {**os.environ, "HF_DATASETS_CACHE": cache, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--measure", path], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def train(path: Path, cache: str) -> tuple[float, int]:
    """Seconds of a whole training run, and the largest resident memory of its process."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "quintet", "finetune", "sentiment", "--model", "textcnn"]
        options = ["--dataset", str(path), "--columns", "text=review,label=stars", "--max-steps", "50"]
        options += ["--validation-fraction", "0.001"]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, *options, "--output", f"{output}/model"],
            env={**os.environ, "HF_DATASETS_CACHE": cache},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(done.stderr)
        facts = json.loads(Path(output, "model", "run.json").read_text(encoding="utf-8"))
        return time.perf_counter() - start, facts["training"]["peak_memory_bytes"]


def main(sizes: list[int]) -> None:
    """Prints the table."""
    print(f"{'rows':>10} {'csv':>9} {'':14} {'seconds':>8} {'peak RSS':>10} {'above libraries':>16} {'a row':>8}")
    with tempfile.TemporaryDirectory() as folder:
        libraries = run("", folder)["peak"]
        print(f"{0:>10,} {'':>9} {'libraries only':14} {'':>8} {libraries / 2**20:>6,.0f} MiB")
        for size in sizes:
            path = Path(folder) / f"reviews_{size}.csv"
            write_csv(path, size)
            for step in ("convert", "from the cache"):
                found = run(str(path), folder)
                if sum(found["rows"].values()) != size:
                    sys.exit(f"{size} rows were written and {found['rows']} read")
                above = found["peak"] - libraries
                print(
                    f"{size:>10,} {path.stat().st_size / 2**20:>5,.0f} MiB {step:14} {found['seconds']:>8.1f} "
                    f"{found['peak'] / 2**20:>6,.0f} MiB {above / 2**20:>12,.0f} MiB {above / size:>6,.0f} B"
                )
            seconds, peak = train(path, folder)
            print(f"{size:>10,} {'':>9} {'50 steps':14} {seconds:>8.1f} {peak / 2**20:>6,.0f} MiB", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    else:
        main([int(argument) for argument in sys.argv[1:]] or list(ROWS))
