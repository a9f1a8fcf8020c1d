"""Trains the models of docs/results.md, one after the other, and prints the table from their run.json.

    python benchmarks/results_text.py --sst2 DATA/sst2 --hotel DATA/hotel --output out/results

A run whose folder has facts already is not repeated, and one that was stopped goes on; so the command can be stopped
and repeated. ``--minilm FOLDER`` adds the fine-tuned MiniLM. Seeds are listed by ``--seeds``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from quintet.cards.facts import RunFacts, read_facts

FAMILIES = ("rnn", "lstm", "gru", "textcnn", "transformer", "bert-mini")
SETTINGS = Path(__file__).parent / "results"


def trained(settings: str, model: str, dataset: Path, output: Path, seed: int) -> RunFacts:
    """The facts of a run, which is done now if it was not done before."""
    if not (output / "run.json").is_file():
        command = ["finetune", "sentiment", "--config", SETTINGS / f"{settings}.toml", "--model", model]
        command += ["--dataset", dataset, "--output", output, "--seed", str(seed), "--resume"]
        subprocess.run([sys.executable, "-m", "quintet", *map(str, command)], check=True, stdout=sys.stderr)
    return read_facts(output)


def row(facts: RunFacts) -> str:
    """One line of the table: the metrics of the exported weights on the split that chose nothing."""
    evaluation = next(evaluation for evaluation in facts.evaluations if evaluation.split == "test")
    accuracy = evaluation.metric("accuracy")
    f1 = evaluation.metric("macro_f1")
    if accuracy is None or f1 is None or facts.training is None:
        raise SystemExit(f"{facts.checkpoint_name} has no accuracy on a test split in its run.json")
    minutes = (facts.training.seconds or 0) / 60
    interval = f"{100 * (accuracy.low or 0):.1f} – {100 * (accuracy.high or 0):.1f}"
    cells = [
        facts.data.name if facts.data else "",
        facts.family,
        f"{facts.parameters:,}" if facts.parameters else "",
        f"{100 * accuracy.value:.2f}",
        interval,
        f"{100 * f1.value:.2f}",
        str(facts.seed),
        f"{minutes:.1f}",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sst2", type=Path, help="folder with train.parquet and validation.parquet")
    parser.add_argument("--hotel", type=Path, help="folder with train.parquet and validation.parquet")
    parser.add_argument("--minilm", type=Path, help="checkpoint folder of all-MiniLM-L6-v2")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--seeds", default="0")
    given = parser.parse_args()
    runs = []
    for seed in map(int, given.seeds.split(",")):
        for name in ("sst2", "hotel"):
            dataset = getattr(given, name)
            if dataset is not None:
                runs += [
                    (name, family, dataset, f"{name}-{family}-{seed}", seed) for family in given.families.split(",")
                ]
        if given.minilm is not None and given.sst2 is not None:
            runs.append(("sst2-minilm", str(given.minilm), given.sst2, f"sst2-minilm-{seed}", seed))
    print("| data | model | parameters | accuracy | 95 % interval | macro F1 | seed | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    for settings, model, dataset, folder, seed in runs:
        print(row(trained(settings, model, dataset, given.output / folder, seed)), flush=True)


if __name__ == "__main__":
    main()
