"""The usage snippets of a card: code that runs as it stands, once the checkpoint's name is put into it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .architectures import is_own_family
from .facts import CHECKPOINT_PLACEHOLDER, RunFacts

QUINTET, TRANSFORMERS = "quintet", "transformers"

SENTENCES = {
    "ar": ("كان الطعام لذيذا والنادل لطيفا.", "كانت الغرفة قذرة."),
    "de": ("Das Essen war gut und der Kellner freundlich.", "Das Zimmer war schmutzig."),
    "en": ("The food was good and the waiter was friendly.", "The room was dirty."),
    "es": ("La comida estaba buena y el camarero fue amable.", "La habitación estaba sucia."),
    "fr": ("Le repas était bon et le serveur aimable.", "La chambre était sale."),
    "hi": ("खाना अच्छा था और वेटर मिलनसार था।", "कमरा गंदा था।"),
    "it": ("Il cibo era buono e il cameriere gentile.", "La camera era sporca."),
    "ja": ("料理はおいしく、店員は親切だった。", "部屋は汚かった。"),
    "ko": ("음식은 맛있었고 종업원은 친절했다.", "방은 더러웠다."),
    "nl": ("Het eten was goed en de ober was vriendelijk.", "De kamer was vies."),
    "pl": ("Jedzenie było dobre, a kelner uprzejmy.", "Pokój był brudny."),
    "pt": ("A comida estava boa e o garçom foi simpático.", "O quarto estava sujo."),
    "ru": ("Еда была вкусной, а официант приветливым.", "Номер был грязным."),
    "tr": ("Yemek güzeldi ve garson güler yüzlüydü.", "Oda kirliydi."),
    "vi": ("Đồ ăn ngon và người phục vụ thân thiện.", "Căn phòng bẩn."),
    "zh": ("菜很好吃，服务员也很热情。", "房间很脏。"),
}
"""Two sentences a language, made up for this purpose, that serve as examples where the owner gives none."""


def default_examples(facts: RunFacts) -> list[dict[str, str]]:
    """Inputs to show a checkpoint by: two sentences in its first language of `SENTENCES`, in English where none is."""
    language = next((code for code in facts.languages or () if code in SENTENCES), "en")
    first, second = SENTENCES[language]
    if facts.data is not None and "text_pair" in facts.data.columns:
        return [{"text": first, "text_pair": second}]
    return [{"text": first}, {"text": second}]


def snippets(facts: RunFacts, inputs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Library and code of each snippet for ``inputs``, with `CHECKPOINT_PLACEHOLDER` for the checkpoint.

    A task for which there is no snippet yet has none.
    """
    if facts.task != "text-classification" or not inputs:
        return []
    trusted = ", trust_remote_code=True" if is_own_family(facts.family) else ""
    remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
    quintet = f'classify = pipeline("{facts.task}", model="{CHECKPOINT_PLACEHOLDER}")'
    transformers = f'{remark}classify = pipeline("{facts.task}", model="{CHECKPOINT_PLACEHOLDER}"{trusted})'
    calls = _calls(facts, inputs)
    return [
        (QUINTET, f"from quintet import pipeline\n\n{quintet}\n{calls}\n"),
        (TRANSFORMERS, f"from transformers import pipeline\n\n{transformers}\n{calls}\n"),
    ]


def _calls(facts: RunFacts, inputs: Sequence[Mapping[str, Any]]) -> str:
    """The lines that classify and print: scores to four places, as more of them differ between machines."""
    given = [dict(each) if set(each) > {"text"} else each["text"] for each in inputs]
    texts = [json.dumps(each, ensure_ascii=False) for each in given]
    opened = "[\n" + "".join(f"    {text},\n" for text in texts) + "]"
    if facts.problem_type == "multi_label_classification":
        return (
            f"texts = {opened}\nfor labels in classify(texts, top_k=None):\n"
            '    print([(each["label"], round(each["score"], 4)) for each in labels if each["score"] >= 0.5])'
        )
    if facts.problem_type == "regression":
        return f'texts = {opened}\nfor answer in classify(texts):\n    print(round(answer["score"], 4))'
    return f'texts = {opened}\nfor answer in classify(texts):\n    print(answer["label"], round(answer["score"], 4))'
