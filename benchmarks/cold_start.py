"""Seconds of a whole process that classifies one text, beside importing torch alone and transformers.pipeline.

python benchmarks/cold_start.py --checkpoint out/minilm
"""

from __future__ import annotations

import argparse
import sys

from measuring import print_ratios, run_child, run_rounds

TEXT = "A gorgeous, witty film."


def main() -> None:
    """Runs the contenders and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="folder that transformers.pipeline loads for comparison; left out if None")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    programs = {
        "import torch": ["-c", "import torch"],
        "quintet.pipeline('sentiment')": ["-c", f"from quintet import pipeline; pipeline('sentiment')({TEXT!r})"],
        "quintet run sentiment TEXT": ["-m", "quintet", "run", "sentiment", TEXT],
        "quintet --help": ["-m", "quintet", "--help"],
    }
    if options.checkpoint:
        load = f"transformers.pipeline('text-classification', model={options.checkpoint!r}, device='cpu')"
        programs["transformers.pipeline"] = ["-c", f"import transformers; {load}({TEXT!r})"]

    def measure(arguments: list[str]) -> float:
        seconds, _ = run_child(arguments, threads=options.threads)
        return seconds

    for arguments in programs.values():
        measure(arguments)  # fills the disk cache
    contenders = {name: (lambda arguments=arguments: measure(arguments)) for name, arguments in programs.items()}
    values = run_rounds(contenders, options.rounds)
    print_ratios(values, unit="seconds", references=["import torch"])


if __name__ == "__main__":
    sys.exit(main())
