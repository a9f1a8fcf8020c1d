"""Examples and usage snippets for checkpoints that read pictures.

Pictures of the data are never shown unasked: the examples are drawn by Pillow in the snippet itself. One that the owner
gives stands there as a ``data:`` URL, made anew from its pixels, so that no note in its file is published with it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from .facts import CHECKPOINT_PLACEHOLDER, RunFacts

PICTURE_TASKS = frozenset(
    {
        "depth-estimation",
        "face-verification",
        "image-classification",
        "image-feature-extraction",
        "image-retrieval",
        "image-segmentation",
        "image-similarity",
        "image-to-text",
        "mask-generation",
        "object-detection",
        "zero-shot-image-classification",
        "zero-shot-object-detection",
    }
)
"""Tasks whose inputs are pictures."""

_CALLED = {"image-classification": "classify", "image-segmentation": "segment", "object-detection": "detect"}
"""Tasks that are shown by examples -> what a snippet calls their pipeline."""

DRAWN: Mapping[str, str] = {
    "linear gradient": 'Image.linear_gradient("L")',
    "radial gradient": 'Image.radial_gradient("L")',
}
"""Pictures that Pillow draws, 256 x 256 and grey: the name in the facts -> how a snippet makes it."""

DATA_URL = "data:image/png;base64,"

LONGEST_URL = 6_000
"""Characters of a picture in a snippet at most."""


def drawn_examples(task: str) -> list[dict[str, str]]:
    """Inputs to show a checkpoint for ``task`` by where its owner gives none; none for a task without examples."""
    return [{"image": name} for name in DRAWN] if task in _CALLED else []


def example_picture(stored: str) -> Any:
    """The picture that an example in the facts stands for, for a pipeline: drawn, or the bytes of its file.

    Whatever stands there, nothing is fetched and no file is read: what is neither of the two becomes bytes that are no
    picture.
    """
    if stored not in DRAWN:
        try:
            return base64.b64decode(stored.removeprefix(DATA_URL), validate=True)
        except ValueError:
            return stored.encode()
    from PIL import Image

    draw = Image.linear_gradient if stored.startswith("linear") else Image.radial_gradient
    return draw("L")


def plain_answer(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer as facts keep it: of a mask the share of the picture that it covers, and no score where there is none.

    Args:
        answer: a class, an object with its box, or a segment with its mask, an image of Pillow.
    """
    if "mask" not in answer:
        return answer
    covered = answer["mask"].histogram()[1:]
    share = sum(covered) / (answer["mask"].width * answer["mask"].height)
    kept = {name: value for name, value in answer.items() if name != "mask" and value is not None}
    return {**kept, "share": round(share, 4)}


def picture_usage(
    facts: RunFacts, pictures: Sequence[str], quoted: Sequence[str], *, trusted: bool
) -> tuple[str, str] | None:
    """The snippets for Quintet and for plain transformers; None for a task for which there are none yet.

    Args:
        facts: of the checkpoint.
        pictures: as facts keep them.
        quoted: the same as they stand in a line of Python.
        trusted: whether the checkpoint brings its own code.
    """
    if facts.task not in _CALLED:
        return None
    lines = [DRAWN.get(stored, literal) for stored, literal in zip(pictures, quoted, strict=True)]
    listed = "pictures = [\n" + "".join(f"    {line},\n" for line in lines) + "]"
    imported = "import numpy as np\n" if facts.task == "image-segmentation" else ""
    imported += "from PIL import Image\n" if any(stored in DRAWN for stored in pictures) else ""
    remark = "# trust_remote_code: the network is defined by the .py files beside the weights\n" if trusted else ""
    options = ", trust_remote_code=True" if trusted else ""
    made = f'{_CALLED[facts.task]} = pipeline("{facts.task}", model="{CHECKPOINT_PLACEHOLDER}"'
    return (
        f"{imported}from quintet import pipeline\n\n{made})\n{listed}\n{_calls(facts)}\n",
        f"{imported}from transformers import pipeline\n\n{remark}{made}{options})\n{listed}\n{_calls(facts)}\n",
    )


def _calls(facts: RunFacts) -> str:
    """The lines that call and print: scores to four places, as more of them differ between machines."""
    if facts.task == "object-detection":
        return (
            "for objects in detect(pictures):\n"
            '    print([(each["label"], round(each["score"], 4)) for each in objects])'
        )
    if facts.task == "image-segmentation":
        return (  # the share of the picture that each mask covers
            "for segments in segment(pictures):\n"
            '    print([(each["label"], round(float(np.asarray(each["mask"]).mean()) / 255, 4)) for each in segments])'
        )
    if facts.problem_type == "multi_label_classification":
        return (
            f"for labels in classify(pictures, top_k={max(len(facts.labels), 1)}):\n"
            '    print([(each["label"], round(each["score"], 4)) for each in labels if each["score"] >= 0.5])'
        )
    if facts.problem_type == "regression":
        return 'for answer in classify(pictures):\n    print(round(answer[0]["score"], 4))'
    return 'for labels in classify(pictures):\n    print(labels[0]["label"], round(labels[0]["score"], 4))'


def noun(facts: RunFacts) -> str:
    """What the checkpoint reads, in one word: ``picture`` or ``text``."""
    return "picture" if facts.task in PICTURE_TASKS else "text"
