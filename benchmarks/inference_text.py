"""Texts classified per second: Quintet beside transformers.pipeline, same checkpoint, same texts.

    python benchmarks/inference_text.py --checkpoint out/minilm --dataset reviews.csv
    python benchmarks/inference_text.py --checkpoint out/minilm --texts texts.txt --rounds 5 --threads 2

transformers.pipeline runs with its defaults, and with the best of the batch sizes 1 to 64, which a first pass finds.
Printed are texts per second with ratios, the largest difference of any score, and how many labels agree.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import print_ratios, run_child, run_rounds

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
WARM_UP = 16  # texts answered before the clock starts: libraries set themselves up at the first batches


def main() -> None:
    """Runs the contenders and prints the table."""
    options = _read_arguments()
    if options.contender:
        print(json.dumps(_measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        texts = _read_texts(options)
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        lengths = sorted(len(text.split()) for text in texts)
        print(
            f"{len(texts)} texts of {lengths[0]} to {lengths[-1]} words (median {lengths[len(lengths) // 2]}), "
            f"{options.threads} threads, {options.rounds} rounds\n"
        )
        answers: dict[str, Any] = {}

        def speed(contender: str) -> float:
            arguments = [__file__, "--contender", contender, "--checkpoint", options.checkpoint, "--texts", str(file)]
            _, result = run_child([*arguments, "--threads", str(options.threads)], threads=options.threads)
            answers[contender] = result["answers"]
            return len(texts) / result["seconds"]

        found = {f"transformers:{size}": speed(f"transformers:{size}") for size in BATCH_SIZES}
        print("batch sizes: " + ", ".join(f"{name.partition(':')[2]}: {value:.3g}/s" for name, value in found.items()))
        best = max(found, key=lambda name: found[name])
        names = {
            "transformers default": "transformers:1",
            f"transformers batch_size={best.partition(':')[2]} (its best)": best,
            "quintet": "quintet",
            "quintet --fast": "quintet:fast",
        }
        measures = {label: (lambda name=name: speed(name)) for label, name in names.items()}
        values = run_rounds(measures, options.rounds)
        print()
        print_ratios(values, unit="texts/s", references=list(names)[:2])
        for name in ("quintet", "quintet:fast"):
            _compare(name, answers[name], answers["transformers:1"])


def _compare(name: str, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    same = [one["label"] == other["label"] for one, other in zip(ours, theirs, strict=True)]
    # Where labels differ both scores are of different labels and say nothing about each other.
    differences = [abs(a["score"] - b["score"]) for a, b, equal in zip(ours, theirs, same, strict=True) if equal]
    print(
        f"\n{name}: labels equal {100 * sum(same) / len(same):.2f} %, scores differ by {max(differences):.1e} at most"
    )


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """One contender in this process: seconds for all texts, and the answers."""
    import torch

    torch.set_num_threads(options.threads)
    texts = json.loads(Path(options.texts).read_text(encoding="utf-8"))
    library, _, variant = options.contender.partition(":")
    if library == "transformers":
        import transformers

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        classify = transformers.pipeline("text-classification", model=options.checkpoint, device="cpu")
        arguments = {"batch_size": int(variant), "truncation": True}
    else:
        from quintet import pipeline

        classify = pipeline("text-classification", options.checkpoint, device="cpu", fast=variant == "fast")
        arguments = {"truncation": True}
    classify(texts[:WARM_UP], **arguments)
    started = time.perf_counter()
    answers = classify(texts, **arguments)
    return {"seconds": time.perf_counter() - started, "answers": answers}


def _read_texts(options: argparse.Namespace) -> list[str]:
    from quintet.pipelines.records import Record, read_records
    from quintet.pipelines.run_inputs import find_read_columns
    from quintet.pipelines.tasks import find_task

    if not options.texts and not options.dataset:
        raise SystemExit("give --texts FILE (one text a line) or --dataset FILE[,FILE] with a text column.")
    generator = random.Random(options.seed)
    sources = options.texts.split(",") if options.texts else options.dataset.split(",")
    chosen: list[str] = []
    for source in sources:
        rows = [record for record in read_records(source) if isinstance(record, Record)]
        given = {"text": options.column} if options.column else None
        [column, *_] = find_read_columns(list(rows[0].values), find_task("sentiment"), given, source=source).values()
        texts = [row.values[column] for row in rows if row.values[column]]
        chosen += generator.sample(texts, min(len(texts), options.count // len(sources)))
    generator.shuffle(chosen)
    return chosen


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="folder or Hub id of a text classifier")
    parser.add_argument("--texts", help="txt files with one text a line, comma-separated")
    parser.add_argument("--dataset", help="data files with a text column, comma-separated, as many texts of each")
    parser.add_argument("--column", help="name of the text column; found by itself if it is called as usual")
    parser.add_argument("--count", type=int, default=600, help="number of texts")
    parser.add_argument("--seed", type=int, default=0, help="chooses the texts")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
