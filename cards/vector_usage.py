"""Usage snippets, examples and words for checkpoints that make vectors of texts, for comparing or for ranking them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .facts import CHECKPOINT_PLACEHOLDER, RunFacts
from .question_usage import ASKED

VECTOR_TASKS = ("sentence-similarity", "text-ranking")

_POOLINGS = {
    "mean": "(hidden * mask).sum(1) / mask.sum(1)  # the mean over the tokens",
    "max": "hidden.masked_fill(mask == 0, -torch.inf).amax(1)  # the largest of each feature",
    "cls": "hidden[:, 0]  # the first token's",
    "last": "hidden[torch.arange(len(hidden)), mask.sum((1, 2)) - 1]  # the last token's",
}

_EMBEDDING = """\
import torch
from transformers import AutoModel, AutoTokenizer

{remark}tokenizer = AutoTokenizer.from_pretrained("{name}"{options})
model = AutoModel.from_pretrained("{name}"{options}).eval()


def embed(texts):
    batch = tokenizer(texts, padding=True, truncation=True, max_length={length}, return_tensors="pt")
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None]
    vectors = {pooling}
    return torch.nn.functional.normalize(vectors, dim=-1)


"""


def vector_examples(facts: RunFacts, sentences: Mapping[str, Sequence[str]], named: Mapping[str, Sequence[str]]) -> Any:
    """Inputs to show such a checkpoint by: a pair of texts, or two questions each with a document that answers it.

    Args:
        facts: of the checkpoint.
        sentences: by language, two sentences.
        named: by language, two sentences to which `ASKED` has the questions.
    """
    codes = [*(facts.languages or ()), "en"]
    if facts.task == "text-ranking":
        language = next(code for code in codes if code in named)
        pairs = zip(ASKED[language], named[language], strict=True)
        return [{"query": query, "document": document} for query, document in pairs]
    first, second = sentences[next(code for code in codes if code in sentences)]
    return [{"text": first, "text_pair": second}, {"text": first, "text_pair": first}]


def vector_usage(
    facts: RunFacts, firsts: Sequence[str], seconds: Sequence[str], *, trusted: bool
) -> list[tuple[str, str]]:
    """Library and code of the snippets, with `CHECKPOINT_PLACEHOLDER` for the checkpoint.

    That for plain transformers needs to know the pooling, which facts of a training have.

    Args:
        facts: of the checkpoint.
        firsts: first texts or queries, as they stand in a line of Python.
        seconds: second texts or documents, likewise.
        trusted: whether the checkpoint brings its own code.
    """
    is_ranking = facts.task == "text-ranking"
    name, first, second = CHECKPOINT_PLACEHOLDER, *(("queries", "documents") if is_ranking else ("texts", "others"))
    listed = "".join(
        f"{variable} = [\n" + "".join(f"    {text},\n" for text in texts) + "]\n"
        for variable, texts in ((first, firsts), (second, seconds))
    )
    if is_ranking:
        quintet = (
            f'search = pipeline("text-ranking", model="{name}")\n{listed}for ranking in search(queries, '
            'documents=documents, top_k=1):\n    print(round(ranking[0]["score"], 4), ranking[0]["text"])\n'
        )
        plain = (
            "for scores in embed(queries) @ embed(documents).T:\n"
            "    print(round(scores.max().item(), 4), documents[scores.argmax()])\n"
        )
    else:
        quintet = (
            f'compare = pipeline("sentence-similarity", model="{name}")\n{listed}'
            "for text, other in zip(texts, others):\n"
            '    print(round(compare({"text": text, "text_pair": other}), 4))\n'
        )
        plain = "for similarity in (embed(texts) * embed(others)).sum(-1):\n    print(round(similarity.item(), 4))\n"
    found = [("quintet", f"from quintet import pipeline\n\n{quintet}")]
    pooling = facts.settings.get("pooling")
    if pooling in _POOLINGS:
        remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
        embedding = _EMBEDDING.format(
            name=name,
            remark=remark,
            options=", trust_remote_code=True" if trusted else "",
            length=facts.max_length,
            pooling=_POOLINGS[pooling],
        )
        found.append(("transformers", f"{embedding}{listed}{plain}"))
    return found
