"""Samples per second of fine-tuning: Quintet beside ``transformers.Trainer`` at its defaults.

    python benchmarks/training_text.py --checkpoint FOLDER_OR_ID --dataset reviews.csv --columns text=review,label=stars

Both fine-tune the same checkpoint on the same rows for one epoch in the same number of steps, each in a process of its
own, one after the other, in rounds, so that a slow minute of the machine hits both. The time is that of the whole
training loop, reading and padding included; Trainer's rows are tokenized before its clock starts, Quintet's after.
Rows of the table: ratios are of one round, the median over rounds stands with the smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CASES = (("trainer", "float32"), ("quintet", "float32"), ("trainer", "bfloat16"), ("quintet", "bfloat16"))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--checkpoint", required=True, help="folder or Hub id of a pretrained encoder")
    parser.add_argument("--dataset", required=True, help="file or Hub id with texts and labels")
    parser.add_argument("--columns", default="", help="text=review,label=stars; default: found by name")
    parser.add_argument("--batch-size", type=int, default=32, help="samples of a step")
    parser.add_argument("--steps", type=int, default=100, help="optimizer steps of a run")
    parser.add_argument("--max-length", type=int, default=256, help="tokens of a text at most")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all cases")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="float32", help=argparse.SUPPRESS)
    return parser.parse_args()


def settings_of(arguments: argparse.Namespace, output: str) -> Any:
    from quintet.finetune.settings import FinetuneSettings

    return FinetuneSettings(
        task="sentiment",
        model=arguments.checkpoint,
        dataset=arguments.dataset,
        output=output,
        columns=dict(pair.split("=") for pair in arguments.columns.split(",") if pair),
        batch_size=arguments.batch_size,
        max_rows=arguments.steps * arguments.batch_size,
        max_length=arguments.max_length,
        epochs=1,
        learning_rate=5e-5,
        validation_fraction=0.0,
        precision=arguments.precision,
        save_every="1h",
    )


def run_quintet(arguments: argparse.Namespace, scratch: str) -> dict[str, float]:
    """One epoch through our loop, with its log."""
    from quintet.finetune.processes import start_processes
    from quintet.finetune.progress import Silence
    from quintet.finetune.step_log import read_log
    from quintet.finetune.training import make_loop
    from quintet.finetune.training_data import load_task_data
    from quintet.finetune.training_state import StateFolder
    from quintet.pipelines.tasks import find_task

    settings, task = settings_of(arguments, scratch), find_task("sentiment")
    data = load_task_data(settings, task, None, rejected=None)
    data.splits.pop("validation", None)  # type: ignore[attr-defined]
    state = StateFolder(Path(scratch), {})
    recipe = task.load_recipe().start(task, settings, data, state.folder)  # type: ignore[attr-defined]
    position = make_loop(recipe, start_processes(settings), state, Silence()).run()
    losses = [line["loss"] for line in read_log(Path(scratch))]
    return {"rate": position.samples / position.step_seconds, "loss": statistics.mean(losses[-len(losses) // 5 :])}


def run_trainer(arguments: argparse.Namespace, scratch: str) -> dict[str, float]:
    """The same rows through ``Trainer``, all arguments at their defaults save the size and number of steps."""
    import torch
    import transformers
    from quintet.finetune.training_data import load_task_data
    from quintet.pipelines.tasks import find_task

    transformers.utils.logging.set_verbosity_error()
    data = load_task_data(settings_of(arguments, scratch), find_task("sentiment"), None, rejected=None)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.checkpoint)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        arguments.checkpoint, num_labels=len(data.labels or ())
    )
    rows = data.splits["train"].map(
        lambda batch: tokenizer(batch["text"], truncation=True, max_length=arguments.max_length), batched=True
    )
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=arguments.batch_size,
            max_steps=-(-len(rows) // arguments.batch_size),
            bf16=arguments.precision == "bfloat16",
            use_cpu=not torch.cuda.is_available(),
            report_to="none",
            save_strategy="no",
            logging_steps=max(1, arguments.steps // 5),
            disable_tqdm=True,
        ),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    result = trainer.train()
    last = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1]
    return {"rate": len(rows) / result.metrics["train_runtime"], "loss": float(last)}


def main() -> None:
    arguments = parse()
    if arguments.worker:
        with tempfile.TemporaryDirectory() as scratch:
            run = run_quintet if arguments.worker == "quintet" else run_trainer
            print(json.dumps(run(arguments, scratch)))
        return
    results: dict[tuple[str, str], list[dict[str, float]]] = {case: [] for case in CASES}
    for number in range(arguments.rounds):
        for worker, precision in CASES:
            command = [sys.executable, __file__, *sys.argv[1:], "--worker", worker, "--precision", precision]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            results[worker, precision].append(json.loads(done.stdout.splitlines()[-1]))
            found = results[worker, precision][-1]
            print(f"round {number + 1}: {worker} {precision}: {found['rate']:.1f} samples/s, loss {found['loss']:.4f}")
    print("\n| training | samples/s | against Trainer float32 | against Trainer, same precision | last loss |")
    print("|---|---|---|---|---|")
    for case in CASES:
        rates = [result["rate"] for result in results[case]]
        against = [
            spread(rates, [result["rate"] for result in results["trainer", kind]]) for kind in ("float32", case[1])
        ]
        loss = statistics.median(result["loss"] for result in results[case])
        print(f"| {case[0]} {case[1]} | {statistics.median(rates):.1f} | {' | '.join(against)} | {loss:.3f} |")


def spread(rates: list[float], others: list[float]) -> str:
    """The median ratio of two cases with the smallest and largest, round by round."""
    ratios = [rate / other for rate, other in zip(rates, others, strict=True)]
    return f"{statistics.median(ratios):.2f}× ({min(ratios):.2f}–{max(ratios):.2f})"


if __name__ == "__main__":
    main()
