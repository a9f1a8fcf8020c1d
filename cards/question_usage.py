"""Usage snippets and examples for checkpoints that answer questions from a context."""

from __future__ import annotations

from collections.abc import Sequence

from .facts import CHECKPOINT_PLACEHOLDER

ASKED = {
    "de": ("Wo arbeitet Maria Huber?", "Was fließt durch Dresden?"),
    "en": ("Where does Maria Silva work?", "What flows through Dresden?"),
    "es": ("¿Dónde trabaja María Silva?", "¿Qué río pasa por Dresde?"),
    "fr": ("Où travaille Marie Dubois ?", "Qu'est-ce qui traverse Dresde ?"),
    "zh": ("王芳在哪里工作？", "李明什么时候去了上海？"),
}
"""By language, a question about each of `snippets.NAMED_SENTENCES`."""

# The best span of the context that does not end before it begins, as a table of all of them; transformers 5 has no
# pipeline for this task.
_ANSWERING = """\
for each in questions:
    inputs = tokenizer(each["question"], each["context"], return_offsets_mapping=True, return_tensors="pt")
    places = inputs.pop("offset_mapping")[0]
    outside = torch.tensor([text != 1 for text in inputs.sequence_ids(0)])
    with torch.inference_mode():
        outputs = model(**inputs)
    starts, ends = (row[0].masked_fill(outside, -1e9) for row in (outputs.start_logits, outputs.end_logits))
    spans = starts[:, None] + ends + torch.ones(len(starts), len(ends)).tril(-1) * -1e9
    first, last = divmod(int(spans.argmax()), len(ends))
    print(each["context"][places[first, 0] : places[last, 1]])"""


def question_usage(questions: Sequence[str], *, trusted: bool) -> tuple[str, str]:
    """The snippets for Quintet and for plain transformers, with `CHECKPOINT_PLACEHOLDER` for the checkpoint.

    Args:
        questions: dicts of question and context, as they stand in a line of Python.
        trusted: whether the checkpoint brings its own code.
    """
    listed = "questions = [\n" + "".join(f"    {each},\n" for each in questions) + "]"
    name = CHECKPOINT_PLACEHOLDER
    quintet = (
        f'from quintet import pipeline\n\nanswer = pipeline("question-answering", model="{name}")\n{listed}\n'
        'for each in questions:\n    print(answer(each)["answer"])\n'
    )
    remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
    options = ", trust_remote_code=True" if trusted else ""
    transformers = (
        "import torch\nfrom transformers import AutoModelForQuestionAnswering, AutoTokenizer\n\n"
        f'{remark}tokenizer = AutoTokenizer.from_pretrained("{name}"{options})\n'
        f'model = AutoModelForQuestionAnswering.from_pretrained("{name}"{options})\n{listed}\n{_ANSWERING}\n'
    )
    return quintet, transformers
