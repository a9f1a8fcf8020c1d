"""A card that there is: read as it is, or found where the user names its checkpoint and checked against its facts."""

from __future__ import annotations

from pathlib import Path

from ..pipelines.errors import DataError, UsageError
from .card_report import CardReport
from .checking import check_card
from .facts import FILE_NAME as FACTS_FILE
from .facts import FactsError, RunFacts, read_facts
from .render import FILE_NAME, Readme, read_readme


def check_existing_card(checkpoint: str | Path) -> CardReport:
    """What is wrong with the card of a checkpoint; nothing is written.

    Args:
        checkpoint: folder, README.md, Hub id with or without ``@revision``, or embedded name.

    Raises:
        UsageError: there is no such checkpoint, or it has no card.
        DataError: facts or card cannot be read.
        WeightsError: the Hub cannot be reached, or a file is not what the Hub has.
    """
    path, folder, name = _card_to_check(checkpoint)
    text, facts = read_text(path), read_recorded(folder, name)
    return CardReport(name, path, text, facts, written=False, problems=tuple(check_card(text, facts, folder)))


def _card_to_check(checkpoint: str | Path) -> tuple[Path, Path, str]:
    """Card, its folder, and the checkpoint's name."""
    from ..pipelines.checkpoint_sources import find_checkpoint

    path = Path(checkpoint).expanduser()
    if path.is_file():
        return path, path.parent, path.resolve().parent.name
    place = find_checkpoint(checkpoint)
    for file in (FILE_NAME, FACTS_FILE):
        place.fetch(file)
    card_path = place.folder / FILE_NAME
    if not card_path.is_file():
        raise UsageError(f"checkpoint '{place.name}' has no {FILE_NAME}; `quintet card` writes one into a folder")
    if place.repository is not None:
        recorded = read_recorded(place.folder, place.name)
        for picture in recorded.pictures if recorded is not None else ():
            place.fetch(picture)
    return card_path, place.folder, place.name


def read_strictly(path: Path) -> Readme | None:
    """A README.md that is to be written again or published, taken apart; None where there is none, or a blank one.

    Raises:
        DataError: it is not text in UTF-8, so that something a person wrote would be lost.
    """
    text = read_text(path) if path.is_file() else ""
    return read_readme(text) if text.strip() else None


def read_recorded(folder: Path, name: str) -> RunFacts | None:
    """The facts in a checkpoint's folder; None where it has none.

    Raises:
        DataError: they cannot be read; the sentence says ``name``.
    """
    if not (folder / FACTS_FILE).is_file():
        return None
    try:
        return read_facts(folder)
    except FactsError as error:
        raise DataError(f"checkpoint '{name}': {error}") from error


def read_text(path: Path) -> str:
    """The content of a file.

    Raises:
        DataError: it cannot be read, or is not text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror}); make it readable") from error
    except UnicodeDecodeError as error:
        reason = f"{error.reason} at byte {error.start}"
        raise DataError(f"{path.name} is not text in UTF-8 ({reason}); save it in UTF-8") from error
