"""Whether a checkpoint is whole, is the one that its facts are about, and answers as they say; without network.

Everything that is wrong is found in one go, so that nobody has to start ten times.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from .answers import answers_to, difference
from .facts import FILE_NAME as FACTS_FILE
from .facts import FactsError, RunFacts, read_facts

if TYPE_CHECKING:
    from ..pipelines.base import Pipeline


def check_folder(folder: Path) -> list[str]:
    """What is missing of a checkpoint: its configuration or its weights."""
    problems = []
    if not (folder / "config.json").is_file():
        problems.append("there is no config.json; expected a checkpoint folder, such as `quintet finetune` writes.")
    if not list(folder.glob("model*.safetensors")):
        problems.append("there is no model.safetensors; save the weights as safetensors.")
    return problems


def read_run(folder: Path) -> tuple[RunFacts | None, list[str]]:
    """The facts of a checkpoint, None where it has none, and what is wrong with them."""
    if not (folder / FACTS_FILE).is_file():
        return None, []
    try:
        return read_facts(folder), []
    except FactsError as error:
        return None, [str(error)]


def check_recorded(folder: Path, facts: RunFacts | None, published: Collection[str]) -> list[str]:
    """The files on which the answers depend and that are not those that the facts are about; one sentence each.

    Args:
        folder: of the checkpoint.
        facts: its facts; None where it has none.
        published: names of the files that are published; of others the facts need not know.
    """
    from ..pipelines.integrity import answering_files

    if facts is None or not (facts.files_sha256 or facts.weights_sha256):
        return []
    recorded = dict(facts.files_sha256)
    if facts.weights_sha256:
        recorded["model.safetensors"] = facts.weights_sha256
    found = answering_files(folder)
    again = "or delete run.json and measure the checkpoint again with `quintet evaluate`."
    problems = [
        f"{name} is not the file that run.json is about, by its sha256; restore it, {again}"
        for name, digest in sorted(recorded.items())
        if found.get(name) != digest
    ]
    if facts.files_sha256:  # else nobody knows which others there were
        new = [name for name in found if name not in recorded and name in published]
        problems += [f"{name} is none of the files that run.json is about; move it out, {again}" for name in new]
    return problems


def reload(folder: Path, facts: RunFacts | None) -> tuple[list[str], list[str]]:
    """Loads a checkpoint from disk as a user would, and compares its answers with those stored in its facts.

    Returns:
        What is wrong, and what a person should know; one sentence each.
    """
    from ..pipelines.errors import QuintetError
    from ..pipelines.factory import pipeline

    weights = sum(path.stat().st_size for path in folder.glob("model*.safetensors"))
    free = _free_memory()
    if weights > free / 2:
        size, room = weights / 1e9, free / 1e9
        remark = (
            f"the weights ({size:.1f} GB) do not fit into this machine's free memory ({room:.1f} GB), so they were not "
            "loaded to compare answers; `quintet verify` does so on a larger one."
        )
        return [], [remark]
    try:
        pipe = pipeline(model=folder, device="cpu", dtype="float32")
        return _compare(pipe, facts)
    except QuintetError as error:
        return [f"it does not load from disk: {error}"], []


def _compare(pipe: Pipeline, facts: RunFacts | None) -> tuple[list[str], list[str]]:
    if facts is None or not facts.examples:
        return [], ["no answers are stored in run.json to compare with; it was loaded from disk, which worked."]
    problems = []
    for number, example in enumerate(facts.examples, 1):
        (answer,) = answers_to(pipe, [example.inputs], facts)
        other = difference(answer, example.outputs)
        if other:
            problems.append(
                f"stored example {number} is answered otherwise than run.json says ({other}): weights, tokenizer or "
                "facts are not of one checkpoint; evaluate it again and write the card anew with `quintet card`."
            )
    return problems, []


def _free_memory() -> int:
    import psutil

    return psutil.virtual_memory().available
