"""A data set made ready to be published, with its card, everything checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..pipelines.errors import DataError, UsageError
from .checking import hub_problems
from .content import Content, collect_data
from .existing_card import read_strictly
from .owner_choices import Licence
from .prepared import Prepared, require_ready
from .private_names import private_names
from .private_rows import private_rows
from .publish_licence import licence_problems, stated_licence
from .publish_plan import LocalFile
from .render import FILE_NAME as CARD_FILE
from .render import Readme

if TYPE_CHECKING:
    from ..finetune.data import DataReport


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
        licence: as the user gave it, checked.
        columns: the task's name of a column -> the data set's.
        scratch: a folder for the card, deleted afterwards.
        announce: told what takes long.

    Raises:
        DataError: the data cannot be read.
        PublishError: something is to be corrected first; the message lists all of it.
    """
    from ..finetune.data import describe_data
    from .dataset_card import render_dataset

    name = source.resolve().name
    read = _files_with_rows(source)
    content = collect_data(source, read)
    files = dict(content.files)
    problems = list(content.problems)
    readme = None
    try:
        readme = read_strictly(files[CARD_FILE]) if CARD_FILE in files else None
        problems += [f"{CARD_FILE}: {readme.damage}"] if readme is not None and readme.damage else []
        problems += licence_problems(readme, licence, {}, files)
    except DataError as error:
        problems.append(str(error))
    announce("Reading the data …")
    notices = []
    for path, file in files.items():
        refused, doubts = private_rows(path, file) if file in read else (private_names(Content({path: file})), [])
        problems += refused
        notices += doubts
    require_ready(name, problems)
    report = describe_data(str(source), columns=columns, validation_fraction=0.0)
    if readme is None or readme.card is not None:
        files[CARD_FILE] = scratch / CARD_FILE
        chosen = licence if licence["license"] else stated_licence(readme)
        text = render_dataset(report.facts(), report.labels, repository, chosen, readme or Readme())
        files[CARD_FILE].write_text(text, encoding="utf-8", newline="\n")
    # nothing is said of its numbers: a data set has no facts that they could be in
    problems = [f"{CARD_FILE}: {each}" for each in hub_problems(files[CARD_FILE].read_text(encoding="utf-8"))]
    problems += private_names(Content({CARD_FILE: files[CARD_FILE]}))
    require_ready(name, [*_bad_rows(report), *problems])
    prepared = tuple(LocalFile.of(path, at) for path, at in sorted(files.items()))
    return Prepared(prepared, content.left_out, (*notices, *report.notices))


def check_data(source: Path) -> None:
    """Nothing, if there is a file or folder that may be a data set.

    Raises:
        UsageError: there is not.
    """
    if not source.exists():
        raise UsageError(f"there is no file or folder '{source.name}'; give the data set's.")


def _files_with_rows(source: Path) -> frozenset[Path]:
    """The files that the splits of a data set are read from.

    Raises:
        DataError: there are none.
    """
    from ..finetune.data.arrow_files import FileRows
    from ..finetune.data.rows import DatasetRows
    from ..finetune.data.sources import open_sources

    splits = [split for each in open_sources(source) for split in each.splits.values()]
    files = [file.path for split in splits if isinstance(split, FileRows) for file in split.files]
    saved = [split.dataset for split in splits if isinstance(split, DatasetRows)]
    files += [file["filename"] for dataset in saved for file in dataset.cache_files]
    return frozenset(Path(file) for file in files)


def _bad_rows(report: DataReport) -> list[str]:
    """A sentence for each of the first rows that are not on the card, since nobody could read them or learn of them."""
    problems = [f"{row.place}: {row.reason}; correct the row, or take it out." for row in report.rejected[:3]]
    more = report.rejected_rows - len(problems)
    return problems + ([f"{more} more row{'s'[: more - 1]} of the data cannot be used."] if more else [])
