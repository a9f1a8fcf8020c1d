"""Usage snippets and examples for checkpoints that answer questions from a context."""

from __future__ import annotations

from collections.abc import Sequence

from .facts import CHECKPOINT_PLACEHOLDER, RunFacts

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
"""

_PRINTING = '    print(each["context"][places[first, 0] : places[last, 1]])\n'

# "No answer" is a span too: of the classification token alone.
_PRINTING_OR_NONE = """\
    none = inputs["input_ids"][0].tolist().index(tokenizer.cls_token_id)
    is_answered = spans.max() >= outputs.start_logits[0, none] + outputs.end_logits[0, none]
    print(each["context"][places[first, 0] : places[last, 1]] if is_answered else "no answer")
"""


def question_options(facts: RunFacts) -> dict[str, bool]:
    """The options, where they are not the defaults, that suit questions like those of the data of a checkpoint.

    "No answer" may win where some of the questions that it was trained on have none; of a checkpoint of which that is
    not known, where it was measured so. Answers stay as they are where the words of its first measurement were
    characters.
    """
    measured = facts.evaluations[0].protocol if facts.evaluations else {}
    train = facts.data.split("train") if facts.data is not None else None
    may_lack = bool(measured.get("handle_impossible_answer"))
    if train is not None and train.unanswered is not None:
        may_lack = train.unanswered > 0
    options = {"handle_impossible_answer": True} if may_lack else {}
    return options | ({"align_to_words": False} if measured.get("align_to_words") is False else {})


def question_usage(facts: RunFacts, questions: Sequence[str], *, trusted: bool) -> tuple[str, str]:
    """The snippets for Quintet and for plain transformers, with `CHECKPOINT_PLACEHOLDER` for the checkpoint.

    Args:
        facts: of the checkpoint.
        questions: dicts of question and context, as they stand in a line of Python.
        trusted: whether the checkpoint brings its own code.
    """
    listed = "questions = [\n" + "".join(f"    {each},\n" for each in questions) + "]"
    name, chosen = CHECKPOINT_PLACEHOLDER, question_options(facts)
    may_lack = "handle_impossible_answer" in chosen
    asked = "".join(f", {option}={value}" for option, value in chosen.items())
    found = 'answer(each)["answer"]' + (' or "no answer"' if may_lack else "")
    quintet = (
        f'from quintet import pipeline\n\nanswer = pipeline("question-answering", model="{name}"{asked})\n{listed}\n'
        f"for each in questions:\n    print({found})\n"
    )
    remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
    options = ", trust_remote_code=True" if trusted else ""
    transformers = (
        "import torch\nfrom transformers import AutoModelForQuestionAnswering, AutoTokenizer\n\n"
        f'{remark}tokenizer = AutoTokenizer.from_pretrained("{name}"{options})\n'
        f'model = AutoModelForQuestionAnswering.from_pretrained("{name}"{options})\n{listed}\n{_ANSWERING}'
        f"{_PRINTING_OR_NONE if may_lack else _PRINTING}"
    )
    return quintet, transformers
