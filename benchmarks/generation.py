"""Tokens written per second: Quintet beside ``generate`` of transformers, and beside what the memory's speed allows.

    python benchmarks/generation.py                            # GPT-2 of 124 M parameters, random weights
    python benchmarks/generation.py --checkpoint out/gpt2 --tokens 128 --threads 2

Every prompt is continued greedily by the same number of tokens, alone and eight at a time. A token of one text reads
all weights once: the bound is the bytes that a summing loop reads per second, over the bytes of the weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import print_ratios, run_child, run_rounds

PROMPT = 32  # tokens
SUMMED = 125_000_000  # float32 numbers: 500 MB, which no cache holds


def main() -> None:
    """Runs the contenders and prints a table for each batch size."""
    options = _read_arguments()
    if options.contender:
        print(json.dumps(_measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = options.checkpoint or _random_gpt2(Path(folder) / "gpt2")
        names = {"transformers generate": "transformers", "quintet": "quintet", "quintet --fast": "quintet:fast"}
        for batch in options.batches:
            texts: dict[str, Any] = {}

            def speed(contender: str, batch: int = batch, texts: dict[str, Any] = texts) -> float:
                arguments = [__file__, "--contender", contender, "--checkpoint", str(checkpoint)]
                arguments += ["--batches", str(batch), "--tokens", str(options.tokens)]
                _, result = run_child([*arguments, "--threads", str(options.threads)], threads=options.threads)
                texts[contender] = result.get("texts")
                return result["rate"]

            measures = {label: (lambda name=name: speed(name)) for label, name in names.items()}
            if batch == 1:
                measures["bound by memory, float32"] = lambda: speed("bound")
            print(f"\nbatch of {batch}, {options.tokens} new tokens, {options.threads} threads\n", flush=True)
            values = run_rounds(measures, options.rounds)
            print_ratios(values, unit="tokens/s", references=["transformers generate"])
            print(f"\nsame texts as transformers: {'yes' if texts['quintet'] == texts['transformers'] else 'no'}")


def _random_gpt2(folder: Path) -> Path:
    """GPT-2 of the published smallest size with random weights, and a tokenizer with as many tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = GPT2Config(bos_token_id=None, eos_token_id=None)
    GPT2LMHeadModel(config).save_pretrained(folder)
    words = {f"w{number}": number for number in range(config.vocab_size)}
    backend = Tokenizer(models.WordLevel(words, unk_token="w0"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="w0", pad_token="w0").save_pretrained(folder)
    return folder


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    """One contender in this process: tokens per second."""
    import torch

    torch.set_num_threads(options.threads)
    if options.contender == "bound":
        return {"rate": _bandwidth() / _weight_bytes(Path(options.checkpoint))}
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    (batch,) = options.batches
    generator = torch.Generator().manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.checkpoint)
    ids = torch.randint(1, len(tokenizer), (batch, PROMPT), generator=generator)
    prompts = [tokenizer.decode(row) for row in ids]
    how: dict[str, Any] = {"do_sample": False, "max_new_tokens": options.tokens, "return_full_text": False}
    library, _, variant = options.contender.partition(":")
    if library == "transformers":
        write: Any = transformers.pipeline("text-generation", options.checkpoint, device="cpu", batch_size=batch)
    else:
        from quintet import pipeline

        write = pipeline("text-generation", options.checkpoint, device="cpu", fast=variant == "fast")
    write(prompts, **{**how, "max_new_tokens": 4})
    started = time.perf_counter()
    answers = write(prompts, **how)
    seconds = time.perf_counter() - started
    return {"rate": batch * options.tokens / seconds, "texts": [answer[0]["generated_text"] for answer in answers]}


def _bandwidth() -> float:
    """Bytes read from memory per second, the best of some sums of 500 MB."""
    import torch

    numbers = torch.ones(SUMMED)
    best = 0.0
    for _ in range(8):
        started = time.perf_counter()
        numbers.sum()
        best = max(best, 4 * SUMMED / (time.perf_counter() - started))
    return best


def _weight_bytes(folder: Path) -> int:
    """Bytes of the weights in float32 that every token reads: all but the vectors of positions, nearly."""
    from safetensors import safe_open

    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(str(file), "pt") as weights:
            total += sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118
    return 4 * total


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="folder of a language model; default: GPT-2 with random weights")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="texts written at once")
    parser.add_argument("--tokens", type=int, default=64, help="new tokens of each text")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
