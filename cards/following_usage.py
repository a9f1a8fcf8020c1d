"""What a card says of checkpoints that tell whether one text follows another."""

from __future__ import annotations

from collections.abc import Sequence

from .facts import CHECKPOINT_PLACEHOLDER

FOLLOWING_TASK = "next-sentence-prediction"


def following_usage(pairs: Sequence[str]) -> tuple[str, str]:
    """The snippets for Quintet and for plain transformers, which has the model but no pipeline.

    Args:
        pairs: as they stand in a line of Python.
    """
    listed = "pairs = [\n" + "".join(f"    {each},\n" for each in pairs) + "]"
    quintet = (
        f'from quintet import pipeline\n\nfollows = pipeline("{FOLLOWING_TASK}", model="{CHECKPOINT_PLACEHOLDER}")\n'
        f'{listed}\nfor answer in follows(pairs):\n    print(answer[0]["label"], round(answer[0]["score"], 4))\n'
    )
    transformers = (
        "from transformers import AutoModelForNextSentencePrediction, AutoTokenizer\n\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{CHECKPOINT_PLACEHOLDER}")\n'
        f'model = AutoModelForNextSentencePrediction.from_pretrained("{CHECKPOINT_PLACEHOLDER}")\n'
        f'{listed}\nfor pair in pairs:\n    batch = tokenizer(pair["text"], pair["text_pair"], return_tensors="pt")\n'
        "    score, index = model(**batch).logits[0].softmax(-1).max(-1)\n"
        "    print(model.config.id2label[index.item()], round(score.item(), 4))\n"
    )
    return quintet, transformers
