"""The usage snippet for plain transformers of taggers that choose the tags of a text together.

transformers takes the best tag of each token; here a token is a byte, and the random field that chooses is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from .facts import CHECKPOINT_PLACEHOLDER

_TAGGING = """\
for text in texts:
    batch = tokenizer(text, return_tensors="pt")
    words = batch.word_ids(0)
    starts = [words.index(word) for word in sorted({*words} - {None})]
    with torch.inference_mode():
        scores = model(**batch).logits[:, starts]
        tags = model.network.decode(scores, torch.ones(scores.shape[:2], dtype=torch.bool))[0]
    found = zip(starts, (model.config.id2label[tag] for tag in tags.tolist()))
    print([(text[slice(*batch.word_to_chars(0, words[start]))], tag) for start, tag in found if tag != "O"])
"""


def tagging_usage(texts: Sequence[str]) -> str:
    """The snippet, with `CHECKPOINT_PLACEHOLDER` for the checkpoint: each word with its tag.

    Args:
        texts: as they stand in a line of Python.
    """
    listed = "texts = [\n" + "".join(f"    {text},\n" for text in texts) + "]"
    read = f'("{CHECKPOINT_PLACEHOLDER}", trust_remote_code=True)'
    return (
        "import torch\nfrom transformers import AutoModelForTokenClassification, AutoTokenizer\n\n"
        "# trust_remote_code: the network is defined by the .py files beside the weights\n"
        f"tokenizer = AutoTokenizer.from_pretrained{read}\n"
        f"model = AutoModelForTokenClassification.from_pretrained{read}.eval()\n{listed}\n{_TAGGING}"
    )
