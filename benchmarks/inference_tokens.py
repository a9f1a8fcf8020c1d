"""Texts tagged, or questions answered, per second: Quintet beside transformers, same checkpoint, same inputs.

    python benchmarks/inference_tokens.py ner --checkpoint out/ner-minilm --dataset conll2003_ner/test.parquet
    python benchmarks/inference_tokens.py qa --checkpoint out/squad-minilm --dataset squad_v11_dev/validation.parquet

The peer for tagging is transformers.pipeline("token-classification") at its defaults, with the best of several batch
sizes, and with the best of them over texts that somebody sorted by length before. transformers 5 has no pipeline for
question answering; the peer there is what its documentation spells out: windows by the tokenizer's stride, padded
batches, and the best span of the 20 best starts and ends in Python, in the same three ways.

Printed are inputs per second with ratios, and how many answers agree.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import print_ratios, run_child, run_rounds

BATCH_SIZES = (1, 8, 32)
WARM_UP = 16  # inputs answered before the clock starts: libraries set themselves up at the first batches
MAX_LENGTH, STRIDE, MOST_STARTS, LONGEST_ANSWER = 384, 128, 20, 15  # tokens, tokens, tokens, tokens
TASKS = {"ner": "token-classification", "qa": "question-answering"}

Answers = list[Any]


def main() -> None:
    """Runs the contenders and prints the table."""
    options = _read_arguments()
    if options.contender:
        print(json.dumps(_measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        inputs = _read_inputs(options)
        file = Path(folder) / "inputs.json"
        file.write_text(json.dumps(inputs), encoding="utf-8")
        lengths = sorted(map(_words, inputs))
        print(
            f"{len(inputs)} inputs of {lengths[0]} to {lengths[-1]} words (median {lengths[len(lengths) // 2]}), "
            f"{options.threads} threads, {options.rounds} rounds\n"
        )
        answers: dict[str, Answers] = {}

        def speed(contender: str) -> float:
            arguments = [__file__, options.task, "--contender", contender, "--checkpoint", options.checkpoint]
            arguments += ["--inputs", str(file), "--threads", str(options.threads)]
            _, result = run_child(arguments, threads=options.threads)
            answers[contender] = result["answers"]
            return len(inputs) / result["seconds"]

        best = {}
        for way in ("", ":sorted"):
            found = {f"transformers:{size}{way}": speed(f"transformers:{size}{way}") for size in BATCH_SIZES}
            sizes = ", ".join(f"{name.split(':')[1]}: {value:.3g}/s" for name, value in found.items())
            print(f"batch sizes{', inputs sorted' if way else ''}: {sizes}")
            best[way] = max(found, key=lambda name: found[name])
        names = {
            "transformers default": "transformers:1",
            f"transformers batch_size={best[''].split(':')[1]} (its best)": best[""],
            f"transformers batch_size={best[':sorted'].split(':')[1]}, inputs sorted by the user": best[":sorted"],
            "quintet": "quintet",
            "quintet --fast": "quintet:fast",
        }
        measures = {label: (lambda name=name: speed(name)) for label, name in names.items()}
        values = run_rounds(measures, options.rounds)
        print()
        print_ratios(values, unit="inputs/s", references=list(names)[:3])
        for name in ("quintet", "quintet:fast"):
            same = [one == other for one, other in zip(answers[name], answers["transformers:1"], strict=True)]
            print(f"\n{name}: {100 * sum(same) / len(same):.2f} % of the answers are those of transformers")


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """One contender in this process: seconds for all inputs, and the answers."""
    import torch

    torch.set_num_threads(options.threads)
    inputs = json.loads(Path(options.inputs).read_text(encoding="utf-8"))
    library, *variant = options.contender.split(":")
    if library == "quintet":
        answer = _quintet(options, is_fast=variant == ["fast"])
    else:
        peer = {"ner": _transformers_tagger, "qa": _transformers_answerer}[options.task]
        answer = _sorted(peer(options.checkpoint, int(variant[0])), is_sorted=variant[1:] == ["sorted"])
    answer(inputs[:WARM_UP])
    started = time.perf_counter()
    answers = answer(inputs)
    return {"seconds": time.perf_counter() - started, "answers": answers}


def _quintet(options: argparse.Namespace, *, is_fast: bool) -> Callable[[list[Any]], Answers]:
    from quintet import pipeline

    pipe = pipeline(TASKS[options.task], options.checkpoint, device="cpu", fast=is_fast)
    if options.task == "ner":
        return lambda texts: [_entities(found) for found in pipe(texts, aggregation_strategy="simple")]
    return lambda questions: [found["answer"] for found in pipe(questions)]


def _sorted(answer: Callable[[list[Any]], Answers], *, is_sorted: bool) -> Callable[[list[Any]], Answers]:
    """``answer`` over inputs from long to short, the answers in their old order."""

    def ordered(inputs: list[Any]) -> Answers:
        order = sorted(range(len(inputs)), key=lambda place: -_characters(inputs[place]))
        found = dict(zip(order, answer([inputs[place] for place in order]), strict=True))
        return [found[place] for place in range(len(inputs))]

    return ordered if is_sorted else answer


def _transformers_tagger(checkpoint: str, batch_size: int) -> Callable[[list[str]], Answers]:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tag = transformers.pipeline(
        "token-classification", model=checkpoint, device="cpu", aggregation_strategy="simple", batch_size=batch_size
    )
    return lambda texts: [_entities(found) for found in tag(texts)]


def _entities(found: list[dict[str, Any]]) -> list[list[Any]]:
    return [[each["entity_group"], each["start"], each["end"]] for each in found]


def _transformers_answerer(checkpoint: str, batch_size: int) -> Callable[[list[dict[str, str]]], Answers]:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def answer(questions: list[dict[str, str]]) -> Answers:
        windows = tokenizer(
            [each["question"] for each in questions],
            [each["context"] for each in questions],
            truncation="only_second",
            max_length=MAX_LENGTH,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        best: dict[int, tuple[float, str]] = {}
        names = [name for name in tokenizer.model_input_names if name in windows]
        for start in range(0, len(windows["input_ids"]), batch_size):
            rows = range(start, min(start + batch_size, len(windows["input_ids"])))
            batch = tokenizer.pad({name: [windows[name][row] for row in rows] for name in names}, return_tensors="pt")
            with torch.inference_mode():
                outputs = model(**batch)
            for row, starts, ends in zip(rows, outputs.start_logits.numpy(), outputs.end_logits.numpy(), strict=True):
                number = windows["overflow_to_sample_mapping"][row]
                found = _best_span(starts, ends, windows["offset_mapping"][row], windows.sequence_ids(row))
                if found is not None and found[0] > best.get(number, (float("-inf"), ""))[0]:
                    best[number] = (found[0], questions[number]["context"][found[1] : found[2]])
        return [best.get(number, (0.0, ""))[1] for number in range(len(questions))]

    return answer


def _best_span(starts: Any, ends: Any, places: list[Any], owners: list[Any]) -> tuple[float, int, int] | None:
    """Score, first character and the one after the last of the best answer in a window."""
    found = None
    for first in starts.argsort()[: -MOST_STARTS - 1 : -1].tolist():
        for last in ends.argsort()[: -MOST_STARTS - 1 : -1].tolist():
            # logits of a batch are longer than a window that was padded in it
            if max(first, last) >= len(owners) or owners[first] != 1 or owners[last] != 1:
                continue
            if first <= last < first + LONGEST_ANSWER and (found is None or starts[first] + ends[last] > found[0]):
                found = (float(starts[first] + ends[last]), places[first][0], places[last][1])
    return found


def _words(given: Any) -> int:
    return len(given.split()) if isinstance(given, str) else len(given["context"].split())


def _characters(given: Any) -> int:
    return len(given) if isinstance(given, str) else len(given["question"]) + len(given["context"])


def _read_inputs(options: argparse.Namespace) -> list[Any]:
    """Texts to tag, words with a space between them, or questions with their contexts."""
    from quintet.pipelines.records import Record, read_records

    if not options.dataset:
        raise SystemExit(
            "give --dataset FILE[,FILE] with a column tokens or text, or the columns question and context."
        )
    generator = random.Random(options.seed)
    sources, chosen = options.dataset.split(","), []
    for source in sources:
        found = []
        for record in read_records(source):
            if not isinstance(record, Record):
                continue
            if options.task == "qa":
                found.append({name: record.values[name] for name in ("question", "context")})
            else:
                words = next(record.values[name] for name in ("tokens", "text", "context") if name in record.values)
                found.append(words if isinstance(words, str) else " ".join(words))
        chosen += generator.sample(found, min(len(found), options.count // len(sources)))
    generator.shuffle(chosen)
    return chosen


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument(
        "--checkpoint", required=True, help="folder or Hub id of a tagger, or of what answers questions"
    )
    parser.add_argument("--dataset", help="data files, comma-separated, as many inputs of each")
    parser.add_argument("--count", type=int, default=600, help="number of inputs")
    parser.add_argument("--seed", type=int, default=0, help="chooses the inputs")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inputs", help=argparse.SUPPRESS)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
