"""A data set made ready to be published, with its card, everything checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ..pipelines.errors import UsageError
from .checking import hub_problems
from .owner_choices import LICENCE_FLAGS, Licence, checked_flags
from .preflight import Content, private_names
from .prepared import Prepared, require_ready
from .publish_plan import LocalFile
from .render import FILE_NAME as CARD_FILE
from .render import Readme, read_readme

DATA_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".parquet", ".arrow", ".txt"})


def prepare_dataset(
    source: Path,
    repository: str,
    licence: Licence,
    *,
    columns: Mapping[str, str] | None,
    scratch: Path,
    announce: Callable[[str], None],
) -> Prepared:
    """The files of a data set, with a card, everything checked.

    A card of ours is written anew; one by hand is published as it is.

    Args:
        source: file or folder of the data.
        repository: Hub id that the card is to name.
        licence: as the user gave it.
        columns: the task's name of a column -> the data set's.
        scratch: a folder for the card, deleted afterwards.
        announce: told what takes long.

    Raises:
        UsageError: there is no such file or folder, or an unknown licence.
        DataError: the data cannot be read.
        PublishError: something is to be corrected first.
    """
    from ..finetune.data import describe_data
    from .dataset_card import render_dataset

    licence = checked_flags(licence)
    if not source.exists():
        raise UsageError(f"there is no file or folder '{source.name}'; give the data set's.")
    name = source.resolve().name
    files = _data_files(source)
    strays = [path for path in files if Path(path).suffix not in DATA_SUFFIXES and not _is_beside(path)]
    problems = [f"{path} is no data file; move it out, so that it is not published by mistake." for path in strays]
    by_hand = files.get(CARD_FILE)
    readme = read_readme(by_hand.read_text(encoding="utf-8", errors="replace")) if by_hand else Readme()
    so_far = readme.metadata or {}
    if not licence["license"]:
        licence = {key: so_far.get(key) for key in licence}
    if not licence["license"]:
        problems.append(f"no licence is chosen, without which nobody may use it; choose one: {LICENCE_FLAGS}.")
    require_ready(name, problems)
    announce("Reading the data …")
    report = describe_data(str(source), columns=columns, validation_fraction=0.0)
    if by_hand is None or readme.card is not None:
        files[CARD_FILE] = scratch / CARD_FILE
        text = render_dataset(report.facts(), report.labels, repository, licence, readme)
        files[CARD_FILE].write_text(text, encoding="utf-8")
    # nothing is said of its numbers: a data set has no facts that they could be in
    problems = [f"README.md: {each}" for each in hub_problems(files[CARD_FILE].read_text(encoding="utf-8"))]
    problems += private_names(Content({CARD_FILE: files[CARD_FILE]}))
    require_ready(name, problems)
    prepared = tuple(LocalFile.of(path, at) for path, at in sorted(files.items()))
    return Prepared(prepared, {}, tuple(report.notices))


def _data_files(source: Path) -> dict[str, Path]:
    if source.is_file():
        return {source.name: source}
    return {
        path.relative_to(source).as_posix(): path
        for path in sorted(source.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts)
    }


def _is_beside(path: str) -> bool:
    return Path(path).name in (CARD_FILE, "LICENSE", "NOTICE") or Path(path).stem == "LICENSE"
