"""A card written beside its checkpoint: everything that `quintet card` would change, and nothing changed yet."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path

from .facts import FILE_NAME as FACTS_FILE
from .owner_choices import Licence
from .render import FILE_NAME as CARD_FILE
from .result_sections import CONFUSION
from .training_sections import CURVES
from .writing import card

WRITTEN = (CARD_FILE, FACTS_FILE, CONFUSION, CURVES)
"""What `quintet card` may write."""


def draft_card(folder: Path, repository: str, licence: Licence, scratch: Path) -> tuple[Path, dict[str, Path]]:
    """Writes the card of a checkpoint as `quintet card` does, but into a folder of links to its files.

    Args:
        folder: of the checkpoint; nothing in it changes.
        repository: Hub id that the card is to name.
        licence: as the user gave it.
        scratch: an empty folder for it.

    Returns:
        The folder of links, with the card in it, and the files of it that are new or changed.

    Raises:
        UsageError, DataError, PublishError: as `quintet.card`.
    """
    copy = scratch / folder.resolve().name
    copy.mkdir()
    for entry in folder.iterdir():
        if entry.name not in WRITTEN:
            _link(entry, copy / entry.name)
        elif entry.is_file():  # copied: what is written through a link would change its target
            shutil.copyfile(entry, copy / entry.name)
    card(
        copy,
        repository=repository,
        license=licence["license"],
        license_name=licence["license_name"],
        license_link=licence["license_link"],
    )
    there = {name: copy / name for name in WRITTEN if (copy / name).is_file()}
    return copy, {name: path for name, path in there.items() if not _is_same(path, folder / name)}


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.absolute())
    except OSError:  # Windows lets only some users make links
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


def _is_same(path: Path, other: Path) -> bool:
    return os.path.isfile(other) and filecmp.cmp(path, other, shallow=False)
