"""The usage snippets of a card: code that runs as it stands, once the checkpoint's name is put into it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from .architectures import CHOSEN_TOGETHER, is_own_family
from .facts import CHECKPOINT_PLACEHOLDER, RunFacts
from .following_usage import FOLLOWING_TASK, following_usage
from .picture_usage import PICTURE_TASKS, drawn_examples, picture_usage
from .question_usage import ASKED, question_usage
from .rewriting_usage import REWRITING_TASKS, rewriting_usage
from .tagging_usage import tagging_usage
from .vector_usage import VECTOR_TASKS, vector_examples, vector_usage
from .writing_usage import BEGINNINGS, writing_usage

# Letters that an editor, a terminal or UTF-8 would not show or keep as they are.
_HIDDEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

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


NAMED_SENTENCES = {
    "de": ("Maria Huber arbeitet bei Nokia in Helsinki.", "Die Elbe fließt durch Dresden."),
    "en": ("Maria Silva works for Nokia in Helsinki.", "The river Elbe flows through Dresden."),
    "es": ("María Silva trabaja en Nokia en Helsinki.", "El río Elba pasa por Dresde."),
    "fr": ("Marie Dubois travaille chez Nokia à Helsinki.", "L'Elbe traverse Dresde."),
    "zh": ("王芳在北京的清华大学工作。", "李明上周去了上海。"),
}
"""The same for what finds names."""


MASK = "{mask}"
"""Stands in `MASKED_SENTENCES` for the mask token of a checkpoint."""

MASKED_SENTENCES = {
    "ar": ("باريس هي {mask} فرنسا.", "الشتاء {mask} جدا."),
    "de": ("Paris ist die {mask} von Frankreich.", "Im Winter ist es sehr {mask}."),
    "en": ("Paris is the {mask} of France.", "In winter it is very {mask}."),
    "es": ("París es la {mask} de Francia.", "En invierno hace mucho {mask}."),
    "fr": ("Paris est la {mask} de la France.", "En hiver il fait très {mask}."),
    "hi": ("पेरिस फ्रांस की {mask} है।", "सर्दियों में बहुत {mask} होती है।"),
    "it": ("Parigi è la {mask} della Francia.", "D'inverno fa molto {mask}."),
    "ja": ("パリはフランスの{mask}です。", "冬はとても{mask}です。"),
    "ko": ("파리는 프랑스의 {mask}이다.", "겨울은 매우 {mask}."),
    "nl": ("Parijs is de {mask} van Frankrijk.", "In de winter is het erg {mask}."),
    "pl": ("Paryż jest {mask} Francji.", "Zimą jest bardzo {mask}."),
    "pt": ("Paris é a {mask} da França.", "No inverno faz muito {mask}."),
    "ru": ("Париж — это {mask} Франции.", "Зимой очень {mask}."),
    "tr": ("Paris, Fransa'nın {mask}.", "Kışın hava çok {mask}."),
    "vi": ("Paris là {mask} của nước Pháp.", "Mùa đông trời rất {mask}."),
    "zh": ("巴黎是法国的首{mask}。", "冬天的天气很{mask}。"),
}
"""The same for what fills masks."""


def literal(value: Any) -> str:
    """Text, or a dict of texts, as it stands in a line of Python."""
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def in_quotes(text: str) -> str:
    """``text`` as it stands between double quotes in a line of Python."""
    return literal(text)[1:-1]


def shell_word(text: str) -> str:
    """``text`` as one word of a command line, all of which can be seen."""
    if text.isprintable() and "  " not in text:
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(letter: str) -> str:
    """A letter within the ``$'…'`` of a shell."""
    if letter in "\\'":
        return f"\\{letter}"
    if letter.isprintable() and letter != " ":
        return letter
    if "\udc80" <= letter <= "\udcff":  # Python's way to keep a byte of a file's name that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return f"\\x{ord(letter):02x}" if letter.isascii() else f"\\U{ord(letter):08x}"


def default_examples(facts: RunFacts, mask: str | None = None) -> list[dict[str, str]]:
    """Inputs to show a checkpoint by: two sentences in its first language of `SENTENCES`, in English where none is.

    Of one that reads pictures, two that Pillow draws.

    Args:
        facts: of the checkpoint.
        mask: the mask token of one that fills masks.
    """
    if facts.task in PICTURE_TASKS:
        return drawn_examples(facts.task)
    if facts.task in VECTOR_TASKS:
        return vector_examples(facts, SENTENCES, NAMED_SENTENCES)
    sentences = NAMED_SENTENCES if facts.problem_type == "tagging" else SENTENCES
    if facts.task == "fill-mask":
        sentences = MASKED_SENTENCES
    elif facts.task == "question-answering":
        sentences = NAMED_SENTENCES
    if facts.task == "text-generation":
        sentences = BEGINNINGS
    language = next((code for code in facts.languages or () if code in sentences), "en")
    first, second = (each.replace(MASK, mask or MASK) for each in sentences[language])
    if facts.task == "question-answering":
        return [
            {"question": question, "context": context}
            for question, context in zip(ASKED[language], (first, second), strict=True)
        ]
    if facts.problem_type == "tagging":
        return [{"tokens": first}, {"tokens": second}]
    if facts.task == FOLLOWING_TASK or (facts.data is not None and "text_pair" in facts.data.columns):
        return [{"text": first, "text_pair": second}]
    return [{"text": first}, {"text": second}]


def snippets(facts: RunFacts, inputs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Library and code of each snippet for ``inputs``, with `CHECKPOINT_PLACEHOLDER` for the checkpoint.

    A task for which there is no snippet yet has none.
    """
    if facts.task in PICTURE_TASKS and inputs:
        stored = [each["image"] for each in inputs]
        usage = picture_usage(facts, stored, [*map(literal, stored)], trusted=is_own_family(facts.family))
        return list(zip((QUINTET, TRANSFORMERS), usage, strict=True)) if usage is not None else []
    if facts.task in VECTOR_TASKS and all(len(each) == 2 for each in inputs) and inputs:
        firsts, seconds = zip(*([literal(text) for text in each.values()] for each in inputs), strict=True)
        return vector_usage(facts, firsts, seconds, trusted=is_own_family(facts.family))
    if facts.task in REWRITING_TASKS and inputs:
        return rewriting_usage(facts, [literal(each["text"]) for each in inputs])
    if facts.task == "text-generation" and inputs:
        prompts, trusted = [literal(each["text"]) for each in inputs], is_own_family(facts.family)
        usage = writing_usage(prompts, trusted=trusted, max_length=facts.max_length)
        return list(zip((QUINTET, TRANSFORMERS), usage, strict=True))
    if facts.task == FOLLOWING_TASK and inputs:
        usage = following_usage([literal(dict(each)) for each in inputs])
        return list(zip((QUINTET, TRANSFORMERS), usage, strict=True))
    known = ("text-classification", "token-classification", "fill-mask", "question-answering")
    if facts.task not in known or not inputs:
        return []
    if facts.task == "question-answering":
        usage = question_usage(facts, [literal(dict(each)) for each in inputs], trusted=is_own_family(facts.family))
        return list(zip((QUINTET, TRANSFORMERS), usage, strict=True))
    trusted = ", trust_remote_code=True" if is_own_family(facts.family) else ""
    remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
    texts = [text for each in inputs for text in each.values()]
    name, options = "classify", ""
    if facts.task == "token-classification":
        name, options = "tag", ', aggregation_strategy="simple"'
    if facts.task == "fill-mask":
        name, options = "fill", ", top_k=3"
    quintet = f'{name} = pipeline("{facts.task}", model="{CHECKPOINT_PLACEHOLDER}"{options})'
    transformers = f'{remark}{name} = pipeline("{facts.task}", model="{CHECKPOINT_PLACEHOLDER}"{options}{trusted})'
    calls = _calls(facts, inputs)
    usages = [(QUINTET, f"from quintet import pipeline\n\n{quintet}\n{calls}\n")]
    if facts.family not in CHOSEN_TOGETHER:
        usages.append((TRANSFORMERS, f"from transformers import pipeline\n\n{transformers}\n{calls}\n"))
    elif all(isinstance(text, str) for text in texts):
        usages.append((TRANSFORMERS, tagging_usage(list(map(literal, texts)))))
    return usages


def _calls(facts: RunFacts, inputs: Sequence[Mapping[str, Any]]) -> str:
    """The lines that classify and print: scores to four places, as more of them differ between machines."""
    given = [dict(each) if len(each) > 1 else next(iter(each.values())) for each in inputs]
    texts = [literal(each) for each in given]
    opened = "[\n" + "".join(f"    {text},\n" for text in texts) + "]"
    if facts.task == "token-classification":
        return (
            f"texts = {opened}\nfor entities in tag(texts):\n"
            '    print([(each["entity_group"], each["word"], round(float(each["score"]), 4)) for each in entities])'
        )
    if facts.task == "fill-mask":
        words = '[(each["token_str"], round(each["score"], 4)) for each in '
        if not any("candidates" in each for example in facts.examples for each in example.outputs):
            return f"texts = {opened}\nfor text in texts:\n    print({words}fill(text)])"
        return (  # a text with several masks has a list for each
            f"texts = {opened}\nfor text in texts:\n    answer = fill(text)\n"
            f"    for words in answer if isinstance(answer[0], list) else [answer]:\n        print({words}words])"
        )
    if facts.problem_type == "multi_label_classification":
        return (
            f"texts = {opened}\nfor labels in classify(texts, top_k=None):\n"
            '    print([(each["label"], round(each["score"], 4)) for each in labels if each["score"] >= 0.5])'
        )
    if facts.problem_type == "regression":
        return f'texts = {opened}\nfor answer in classify(texts):\n    print(round(answer["score"], 4))'
    return f'texts = {opened}\nfor answer in classify(texts):\n    print(answer["label"], round(answer["score"], 4))'
