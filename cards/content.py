"""Which files of a folder are published, which stay here, and which should not be in it.

Nothing is passed over in silence: what is neither published nor a problem is listed with the reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from .facts import FILE_NAME as FACTS_FILE
from .render import FILE_NAME as CARD_FILE

# What may be published of a checkpoint, by name or ending; what is neither here nor below is a stray file.
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
HIDDEN = (re.compile(r"^\."), "hidden")
LEFT_OUT_PATTERNS = (
    HIDDEN,
    (re.compile(r"tfevents"), "what was tracked during training"),
    (re.compile(r"^checkpoint-\d+$"), "an earlier state of the training"),
    (re.compile(r"^rng_state_\d+\.pth$"), "what a training goes on from"),
)

PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".h5", ".keras"})

BESIDE_DATA = frozenset(
    {CARD_FILE, "NOTICE", "dataset_dict.json", "dataset_info.json", "dataset_infos.json", "state.json"}
)
"""What may stand beside the rows of a data set: card, licence, and the bookkeeping of datasets."""


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
    return _sorted(folder, lambda name: _reason_to_leave(name, LEFT_OUT, LEFT_OUT_PATTERNS), _file_problem)


def collect_data(source: Path, read: Collection[Path]) -> Content:
    """The files of a data set, sorted likewise.

    Args:
        source: file or folder.
        read: the files in it whose rows its splits have.
    """

    def problem(name: str, path: Path) -> str | None:
        is_fine = path in read or path.name in BESIDE_DATA or _is_licence(name)
        return None if is_fine else _stray_data(name)

    if not source.is_dir():
        found = _name_problem(source.name) or _no_plain_file(source)
        return Content({} if found else {source.name: source}, problems=(found,) if found else ())
    content = _sorted(source, lambda name: _reason_to_leave(name, {}, (HIDDEN,)), problem)
    unpublished = [path for path in read if path not in content.files.values()]
    problems = list(content.problems)
    for path in sorted(unpublished):
        name = path.relative_to(source).as_posix() if path.is_relative_to(source) else path.name
        if not any(problem.startswith(f"{name} ") for problem in problems):
            problems.append(f"{name} has rows of the data set but would stay here; give it a name that is published.")
    return Content(content.files, content.left_out, tuple(problems))


def _sorted(
    folder: Path,
    reason_to_leave: Callable[[PurePosixPath], tuple[str | None, str]],
    file_problem: Callable[[str, Path], str | None],
) -> Content:
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    problems: list[str] = []
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        reason, at = reason_to_leave(PurePosixPath(name))
        is_link = path.is_symlink()
        if path.is_dir() and not is_link:
            if name in (CARD_FILE, FACTS_FILE):
                problems.append(f"{name} is a folder, expected a file; move it away.")
            continue
        problem = None
        if reason is None:
            reason, problem = _read_link(root, name, path) if is_link else (None, None)
        if reason is None and problem is None and not path.is_file():
            reason = "neither a file nor a folder"
        if reason:
            left_out[at] = reason
            continue
        problem = problem or _name_problem(name) or file_problem(name, path)
        if problem:
            problems.append(problem)
        else:
            files[name] = path
    return Content(files, left_out, tuple(problems))


def _reason_to_leave(
    name: PurePosixPath, names: Mapping[str, str], patterns: Collection[tuple[re.Pattern[str], str]]
) -> tuple[str | None, str]:
    """Why a file stays here, and the file or the folder above it that says so."""
    for depth, part in enumerate(name.parts, 1):
        for pattern, reason in patterns:
            if pattern.search(part):
                return reason, _at(name, depth)
        if part in names:
            return names[part], _at(name, depth)
    return None, name.as_posix()


def _at(name: PurePosixPath, depth: int) -> str:
    return "/".join(name.parts[:depth]) + ("/" if depth < len(name.parts) else "")


def _read_link(root: Path, name: str, path: Path) -> tuple[str | None, str | None]:
    """Why a link stays here, or what is wrong with it; neither for one to a file of the same folder.

    In the cache of huggingface_hub all files of a checkpoint are links, to where their contents are kept.
    """
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # the latter where links go round in a circle
        return "a link to nothing", None
    first = Path(os.path.normpath(path.parent.resolve() / path.readlink()))
    is_cached = root.parent.name == "snapshots" and first.parent == root.parent.parent / "blobs"
    if not target.is_relative_to(root) and not is_cached:
        return None, f"{name} is a link out of the folder; put what it links to in its place, or delete it."
    return ("a link to a folder", None) if target.is_dir() else (None, None)


def _name_problem(name: str) -> str | None:
    if name.isprintable():
        return None
    return f"{name!a} is a name with a line break or another character that cannot be shown; rename it."


def _no_plain_file(path: Path) -> str | None:
    return None if path.is_file() else f"{path.name} is neither a file nor a folder; give one of these."


def _is_licence(name: str) -> bool:
    return PurePosixPath(name).stem == "LICENSE"


def _stray_data(name: str) -> str:
    from ..pipelines.record_files import file_format

    if file_format(name) is None:
        return f"{name} is no data file; move it out, so that it is not published by mistake."
    return (
        f"{name} belongs to no split; name it by one (train, validation or test), or move it out, so that it is not "
        "published by mistake."
    )


def _file_problem(name: str, path: Path) -> str | None:
    """What is wrong with a file by its name and first bytes; None if nothing is."""
    path_in = PurePosixPath(name)
    try:
        if not path.stat().st_size and name != CARD_FILE:  # an empty card is none, and one is written
            return f"{name} is empty; delete it, or write it again."
        with path.open("rb") as file:
            beginning = file.read(64)
    except OSError as error:
        return f"{name} cannot be read ({error.strerror}); give yourself the right to, or move it out."
    # The first eight bytes of safetensors are a length, which may be 0x280.
    is_safe = path_in.suffix == ".safetensors" and beginning[2:10] == b'\0\0\0\0\0\0{"'
    is_pickle = (re.match(rb"\x80[\x02-\x05]", beginning) and not is_safe) or b"data.pkl" in beginning
    if path_in.suffix in PICKLES or is_pickle:
        return (
            f"{name} is a pickle or a file of that kind, which can run code where it is opened; save the weights as "
            "model.safetensors and delete it."
        )
    if path_in.name in NAMES or _is_licence(name) or path_in.suffix in SUFFIXES:
        return None
    if path_in.suffix in IN_FOLDERS.get(path_in.parts[0], ()):
        return None
    return f"{name} is no part of a checkpoint; move it out of the folder, so that it is not published by mistake."
