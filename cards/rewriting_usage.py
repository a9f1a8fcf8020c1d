"""What a card says of checkpoints that read a text and write another one: translation, summarization and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .architectures import is_own_family
from .facts import CHECKPOINT_PLACEHOLDER, EvaluationFacts, RunFacts
from .languages import is_language, language_name
from .markdown import code as in_code
from .markdown import plain

REWRITING_TASKS = {
    "translation": ("translate", "translation_text"),
    "summarization": ("summarise", "summary_text"),
    "text2text-generation": ("rewrite", "generated_text"),
}
"""Task -> what its pipeline is called in a snippet, and the key of its answers."""

PLAIN_FAMILIES = ("transformer-seq2seq", "lstm-seq2seq", "marian", "bart", "pegasus")
"""Families that read a text as it is: with ``generate`` alone others would miss a prefix or the languages."""


def direction(facts: RunFacts) -> str:
    """``from English to German`` for a translation whose languages are known; empty otherwise."""
    codes = facts.languages or ()
    if facts.task != "translation" or len(codes) != 2 or not all(map(is_language, codes)):
        return ""
    return f"from {language_name(codes[0])} to {language_name(codes[1])}"


def rewriting_sentence(facts: RunFacts, texts: str) -> str:
    """What a checkpoint does, for the first sentence of its card."""
    if facts.task == "translation":
        return f"Translates {f'texts {direction(facts)}' if direction(facts) else texts}"
    return f"Summarises {texts}" if facts.task == "summarization" else f"Rewrites {texts}"


def rewriting_usage(facts: RunFacts, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Library and code of the snippets.

    Args:
        facts: of the checkpoint.
        texts: as they stand in a line of Python.
    """
    name, key = REWRITING_TASKS[facts.task]
    listed = "texts = [\n" + "".join(f"    {each},\n" for each in texts) + "]"
    calls = f'{listed}\nfor answer in {name}(texts):\n    print(answer["{key}"])\n'
    quintet = f'from quintet import pipeline\n\n{name} = pipeline("{facts.task}", model="{CHECKPOINT_PLACEHOLDER}")\n'
    usages = [("quintet", quintet + calls)]
    if facts.family in PLAIN_FAMILIES:
        trusted = is_own_family(facts.family)
        remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
        options = ", trust_remote_code=True" if trusted else ""
        read = f'("{CHECKPOINT_PLACEHOLDER}"{options})'
        code = (
            "from transformers import AutoModelForSeq2SeqLM, AutoTokenizer\n\n"
            f"{remark}tokenizer = AutoTokenizer.from_pretrained{read}\n"
            f"model = AutoModelForSeq2SeqLM.from_pretrained{read}\n"
            f'{listed}\nbatch = tokenizer(texts, padding=True, return_tensors="pt")\n'
            "for ids in model.generate(**batch):\n    print(tokenizer.decode(ids, skip_special_tokens=True))\n"
        )
        usages.append(("transformers", code))
    return usages


def counted_sentence(evaluation: EvaluationFacts) -> str:
    """How the texts that were written were counted and made; empty for other tasks."""
    protocol: dict[str, Any] = dict(evaluation.protocol)
    sentences = []
    for name, title in (("sacrebleu", "BLEU"), ("chrf", "chrF"), ("rouge", "ROUGE")):
        if protocol.get(name):
            how = in_code(str(protocol[name])) if name != "rouge" else plain(str(protocol[name]))
            sentences.append(f"{title}: {how}.")
    if protocol.get("num_beams"):
        sentences.append(f"Written with num_beams={protocol['num_beams']}.")
    return " ".join(sentences)


def longest_text(tokens: int, task: str) -> str:
    """What becomes of a text that is longer than the checkpoint takes."""
    many = f"Takes {tokens:,} tokens in one piece."
    if task == "text2text-generation":
        return f"{many} Longer texts are an error, unless `truncation=True` cuts them."
    return (
        f"{many} Quintet reads longer texts in pieces of whole sentences; with plain transformers that is left to you."
    )
