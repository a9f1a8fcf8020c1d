"""What is checked before the first byte goes to a Hub, without network: which files, what is in them, do they work.

Everything that is wrong is found in one go, so that nobody has to start ten times.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from .facts import FILE_NAME as FACTS_FILE
from .facts import FactsError, RunFacts, read_facts

if TYPE_CHECKING:
    from ..pipelines.base import Pipeline

LARGEST_TEXT = 20_000_000
"""Bytes; larger text files than these are vocabularies, not places where a path hides."""

SCORE_TOLERANCE = 1e-4
"""How far a score of a stored example may lie off after reloading: float32 scores agree to 1e-5 between machines."""

# What may be published, by name or ending; what is neither here nor below is a stray file.
NAMES = frozenset({"LICENSE", "NOTICE", "training_keys.npz", "log.jsonl", "vocab.txt", "merges.txt"})
SUFFIXES = frozenset({".json", ".safetensors", ".toml", ".md", ".py", ".png", ".jpg", ".jpeg", ".svg", ".model"})
SUFFIXES |= {".jinja", ".yaml", ".yml", ".spm", ".bpe", ".tiktoken"}
IN_FOLDERS = {"evaluation": frozenset({".png", ".jsonl", ".json"})}
"""Folder -> endings that are fine within it and nowhere else."""

# What a training leaves beside a checkpoint; it is of use on this machine only and stays there.
LEFT_OUT = {
    "state": "what a training goes on from",
    "tracking": "what was tracked during training",
    "runs": "what was tracked during training",
    "wandb": "what was tracked during training",
    "mlruns": "what was tracked during training",
    "__pycache__": "compiled code",
    "optimizer.pt": "what a training goes on from",
    "optimizer.bin": "what a training goes on from",
    "scheduler.pt": "what a training goes on from",
    "scaler.pt": "what a training goes on from",
    "rng_state.pth": "what a training goes on from",
    "training_args.bin": "what a training goes on from",
    "trainer_state.json": "what a training goes on from",
    "rejected.jsonl": "rows of the training data",
}
LEFT_OUT_PATTERNS = (
    (re.compile(r"^\."), "hidden"),
    (re.compile(r"tfevents"), "what was tracked during training"),
    (re.compile(r"^checkpoint-\d+$"), "an earlier state of the training"),
    (re.compile(r"^rng_state_\d+\.pth$"), "what a training goes on from"),
)

PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".h5", ".keras"})

VOCABULARIES = frozenset({"vocab.txt", "vocab.json", "merges.txt", "added_tokens.json"})
DATA_KEYS = frozenset({"text", "text_pair", "vocab", "merges", "token_to_id", "added_tokens", "content"})
"""Keys under which files keep words of data; a user called like a word of it is not given away by it."""

_PRIVATE = {"<token>": "a token", "<user>": "the name of a user", "<host>": "the name of a host"}


@dataclass(frozen=True)
class Content:
    """What is published of a folder.

    Attributes:
        files: path in the repository -> local file.
        left_out: path -> why it stays here.
        problems: of files that are neither, one sentence each.
    """

    files: Mapping[str, Path]
    left_out: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def collect(folder: Path) -> Content:
    """The files of a checkpoint folder, sorted into those to publish, those to leave, and those that should not be."""
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    problems: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            continue
        reason, at = _reason_to_leave(PurePosixPath(name))
        if reason:
            left_out[at] = reason
            continue
        problem = _file_problem(name, path)
        if problem:
            problems.append(problem)
        else:
            files[name] = path
    return Content(files, left_out, tuple(problems))


def _reason_to_leave(name: PurePosixPath) -> tuple[str | None, str]:
    """Why a file stays here, and the file or the folder above it that says so."""
    for depth, part in enumerate(name.parts, 1):
        at = "/".join(name.parts[:depth]) + ("/" if depth < len(name.parts) else "")
        for pattern, reason in LEFT_OUT_PATTERNS:
            if pattern.search(part):
                return reason, at
        if part in LEFT_OUT:
            return LEFT_OUT[part], at
    return None, name.as_posix()


def _file_problem(name: str, path: Path) -> str | None:
    """What is wrong with a file by its name and first bytes; None if nothing is."""
    path_in = PurePosixPath(name)
    if not path.stat().st_size:
        return f"{name} is empty; delete it, or write it again."
    with path.open("rb") as file:
        beginning = file.read(64)
    is_pickle = re.match(rb"\x80[\x02-\x05]", beginning) or b"data.pkl" in beginning
    if path_in.suffix in PICKLES or is_pickle:
        return (
            f"{name} is a pickle or a file of that kind, which can run code where it is opened; save the weights as "
            "model.safetensors and delete it."
        )
    if path_in.name in NAMES or path_in.stem == "LICENSE" or path_in.suffix in SUFFIXES:
        return None
    if path_in.suffix in IN_FOLDERS.get(path_in.parts[0], ()):
        return None
    return f"{name} is no part of a checkpoint; move it out of the folder, so that it is not published by mistake."


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


# ------------------------------------------------------------------------------------------- private names


def private_names(content: Content) -> list[str]:
    """Where a file gives away a local path, a user, a host or a token; one sentence a place, three a file at most."""
    texts = _data_texts(content.files.get(FACTS_FILE))
    problems = []
    for name, path in content.files.items():
        found = [f"{name}{place}: it has {what}; take it out." for place, what in _leaks(name, path, texts)]
        problems += found[:3]
        if len(found) > 3:
            problems.append(f"{name}: {len(found) - 3} more places of this kind.")
    return problems


def _leaks(name: str, path: Path, data_texts: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The place in a file and what is there, for each private name in it."""
    file = PurePosixPath(name)
    if file.suffix == ".safetensors":
        yield from _walk(_weights_metadata(path), "")
        return
    if file.name in VOCABULARIES:
        return
    if file.suffix in (".png", ".jpg", ".jpeg", ".npz", ".model", ".spm", ".bpe") or _is_large(path):
        yield from _leaks_of_bytes(path)
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        if file.suffix == ".json":
            yield from _walk(json.loads(text), "")
            return
        if file.suffix == ".toml":
            yield from _walk(tomllib.loads(text), "")
            # comments hold text too
            text = "\n".join(line.partition("#")[2] for line in text.splitlines())
        if file.suffix == ".jsonl":
            for number, line in enumerate(text.splitlines(), 1):
                for place, what in _walk(json.loads(line), ""):
                    yield f", line {number}{place}", what
            return
    except ValueError:  # what is no JSON is read as text
        pass
    for data in data_texts:
        text = text.replace(data, "")
    for number, line in enumerate(text.splitlines(), 1):
        what = _leak(line) if not line.startswith("#!") else None
        if what:
            yield f", line {number}", what


def _walk(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """As `_leaks`, within the values of a JSON or TOML document."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in DATA_KEYS:
                yield from _walk(item, f"{place}.{key}" if place else f", {key}")
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, place)
    elif isinstance(value, str):
        what = _leak(value)
        if what:
            yield place, what


def _leak(text: str) -> str | None:
    """What is private in a text; None if nothing is."""
    from ..finetune.scrubbing import scrub

    clean = scrub(text)
    if clean == text:
        return None
    return next((what for mark, what in _PRIVATE.items() if clean.count(mark) > text.count(mark)), "a local path")


def _leaks_of_bytes(path: Path) -> Iterator[tuple[str, str]]:
    """As `_leaks`, of a file that is no text: pictures keep notes on where they were made."""
    data = path.read_bytes()[:LARGEST_TEXT]
    home = str(Path.home()).encode()
    if len(home) > 5 and home + b"/" in data:
        yield "", "a local path"
    if re.search(rb"\bhf_[A-Za-z0-9]{30,}", data):
        yield "", "a token"


def _is_large(path: Path) -> bool:
    return path.stat().st_size > LARGEST_TEXT


def _weights_metadata(path: Path) -> Any:
    """What stands in the header of a weight file beside the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            return {}  # reloading says what is wrong with the file
        try:
            return json.loads(file.read(length)).get("__metadata__", {})
        except (ValueError, AttributeError):
            return {}


def _data_texts(path: Path | None) -> frozenset[str]:
    """Words of data that stand in the facts, and so in the card."""
    try:
        facts = read_facts(path) if path else None
    except FactsError:
        facts = None
    if facts is None:
        return frozenset()
    mistakes = [mistake for evaluation in facts.evaluations for mistake in evaluation.mistakes]
    texts = [text for mistake in mistakes for text in (mistake.text, mistake.text_pair) if text]
    texts += [value for example in facts.examples for value in example.inputs.values() if isinstance(value, str)]
    return frozenset(text for text in texts if len(text) > 3)


# ------------------------------------------------------------------------------------------------ reloading


def check_recorded(folder: Path, facts: RunFacts | None) -> list[str]:
    """The files on which the answers depend and that are not those that the facts are about, by their hashes."""
    from ..pipelines.integrity import answering_files

    if facts is None or not (facts.files_sha256 or facts.weights_sha256):
        return []
    recorded = dict(facts.files_sha256)
    if facts.weights_sha256:
        recorded["model.safetensors"] = facts.weights_sha256
    found = answering_files(folder)
    wrong = [name for name, digest in sorted(recorded.items()) if found.get(name) != digest]
    return [
        f"{name} is not the file that run.json is about, by its sha256; restore it, or delete run.json and measure the "
        "checkpoint again with `quintet evaluate`."
        for name in wrong
    ]


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
        expected = {str(answer["label"]): float(answer["score"]) for answer in example.outputs}
        (answers,) = pipe([dict(example.inputs)], top_k=None)
        found = {answer["label"]: answer["score"] for answer in answers}
        worst = max((abs(found.get(label, 9) - score) for label, score in expected.items()), default=9)
        if found.keys() != expected.keys() or worst > SCORE_TOLERANCE:
            problems.append(
                f"stored example {number} is answered otherwise than run.json says (a score is off by {worst:.2g}, or "
                "the labels are others): weights, tokenizer or facts are not of one checkpoint; evaluate it again and "
                "write the card anew with `quintet card`."
            )
    return problems, []


def _free_memory() -> int:
    import psutil

    return psutil.virtual_memory().available
