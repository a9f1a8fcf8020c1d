"""A checkpoint folder made ready to be published, with its card, everything checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..pipelines.errors import DataError, PublishError, UsageError
from .architectures import is_own_family
from .card_draft import draft_card
from .checking import check_card, hub_problems, missing_pictures, stray_pictures
from .content import Content, collect
from .existing_card import read_strictly, read_text
from .facts import FILE_NAME as FACTS_FILE
from .facts import RunFacts
from .number_sources import source_problems
from .owner_choices import Licence
from .preflight import check_folder, check_recorded, read_run, reload
from .prepared import Prepared, require_ready
from .private_names import private_names
from .publish_licence import licence_problems
from .publish_plan import LocalFile
from .publish_report import size_text
from .render import FILE_NAME as CARD_FILE
from .render import Readme, read_readme, render
from .sharding import INDEX_FILE, WEIGHTS_FILE, Shard, has_room, index_bytes, plan_shards, split_weights


def prepare_checkpoint(
    folder: Path, repository: str, licence: Licence, *, dry_run: bool, scratch: Path, announce: Callable[[str], None]
) -> Prepared:
    """The files of a checkpoint folder, with its card written for ``repository``, everything checked.

    Nothing is written into the folder, but weights too large for a Hub are split there.

    Args:
        folder: the checkpoint's.
        repository: Hub id that the card is to name.
        licence: as the user gave it, checked.
        dry_run: say what would be split and written, and do neither.
        scratch: a folder for the card, deleted afterwards.
        announce: told what takes long.

    Raises:
        PublishError: something is to be corrected first; the message lists all of it.
    """
    name = folder.resolve().name
    content = collect(folder)
    facts, problems = read_run(folder)
    readme, unreadable = _readme_of(folder)
    problems = [*content.problems, *check_folder(folder), *problems, *unreadable]
    if not unreadable:
        problems += licence_problems(readme, licence, _recorded_licence(facts), content.files)
    problems += private_names(replace(content, files=_without_card(content)))
    problems += check_recorded(folder, facts, content.files)
    require_ready(name, problems)

    notices: list[str] = []
    outcome = "Nothing was changed."
    shards = _shards(folder)
    if shards:
        notices.append(_split(folder, shards, dry_run=dry_run, announce=announce))
        outcome = outcome if dry_run else "Nothing was sent; the weights stay split."
        content = collect(folder)
    files = dict(content.files) if readme is not None else _without_card(content)
    written: dict[str, Path] = {}
    carded = folder
    is_draft = False
    if _is_due(readme, facts, repository, licence) or (shards and readme is not None and readme.card is not None):
        is_draft = dry_run
        if dry_run:
            files |= _planned_card(readme, facts, repository, licence, scratch)
        else:
            announce("Writing the card: its snippets are run …")
            carded, written = draft_card(folder, repository, licence, scratch)
            files |= written
            facts, _ = read_run(carded)
    if CARD_FILE not in files:
        notices.append("README.md and run.json are written at publishing; a dry run does not say what is in them.")
    else:
        text = read_text(files[CARD_FILE])
        refused, doubts = _card_problems(text, facts, carded, is_draft=is_draft)
        notices += [f"README.md: {each}" for each in doubts]
        problems = [f"README.md: {each}" for each in refused]
        problems += private_names(Content({name: files[name] for name in (CARD_FILE, FACTS_FILE) if name in files}))
        require_ready(name, problems, outcome)
    announce("Loading the checkpoint from disk to compare its answers …")
    problems, remarks = reload(folder, facts)
    require_ready(name, problems, outcome)
    if shards and dry_run:
        files = _as_if_split(files, shards, scratch)
    prepared = tuple(LocalFile.of(path, source) for path, source in sorted(files.items()))
    if shards and dry_run:
        sizes = {shard.name: shard.size for shard in shards}
        prepared = tuple(replace(file, size=sizes.get(file.path, file.size)) for file in prepared)
    new = {folder / name: path for name, path in written.items()}
    return Prepared(prepared, content.left_out, (*notices, *remarks), new)


def check_source(folder: Path, repository: str) -> None:
    """Nothing, if there is a checkpoint folder that may be published.

    Raises:
        UsageError: there is not, or it comes with Quintet.
    """
    from ..pipelines.checkpoint_sources import EMBEDDED_FOLDER, embedded_names

    name = folder.resolve().name
    if folder.resolve().parent == EMBEDDED_FOLDER.resolve() or str(folder) in embedded_names():
        raise UsageError(
            f"checkpoint '{name}' comes with Quintet, and publishing writes into its folder; copy the folder, then "
            "publish the copy."
        )
    if folder.is_file():
        raise UsageError(
            f"'{folder.name}' is a file; give the checkpoint's folder, or --dataset to publish it as a data set."
        )
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder '{folder.name}'; give the folder of a checkpoint, such as `quintet finetune` writes, "
            f"then the repository: quintet publish out/reviews {repository}"
        )


def _readme_of(folder: Path) -> tuple[Readme | None, list[str]]:
    """The card so far, None where there is none or no more than blank lines, and why it cannot be read."""
    try:
        readme = read_strictly(folder / CARD_FILE)
    except DataError as error:
        return None, [str(error)]
    return readme, [f"{CARD_FILE}: {readme.damage}"] if readme is not None and readme.damage else []


def _without_card(content: Content) -> dict[str, Path]:
    return {name: path for name, path in content.files.items() if name != CARD_FILE}


def _recorded_licence(facts: RunFacts | None) -> dict[str, str | None]:
    if facts is None:
        return {}
    return {"license": facts.licence, "license_name": facts.licence_name, "license_link": facts.licence_link}


def _is_due(readme: Readme | None, facts: RunFacts | None, repository: str, licence: Licence) -> bool:
    """Whether the card is to be written: there is none, or ours names another repository or licence."""
    if readme is None:
        return True
    if readme.card is None or facts is None:
        return False
    recorded = _recorded_licence(facts)
    wanted = licence if licence["license"] else recorded
    return facts.repository != repository or dict(wanted) != recorded


def _planned_card(
    readme: Readme | None, facts: RunFacts | None, repository: str, licence: Licence, scratch: Path
) -> dict[str, Path]:
    """The card of a dry run, which runs no snippets, where facts suffice for one."""
    if facts is None:
        return {}
    keys = {"licence": "license", "licence_name": "license_name", "licence_link": "license_link"}
    chosen = {ours: licence[theirs] for ours, theirs in keys.items()} if licence["license"] else {}
    planned = replace(facts, repository=repository, **chosen)
    parts = readme or Readme()
    text = render(planned, own_words=parts.own_words, extra=parts.extra, before=parts.before, after=parts.after)
    path = scratch / CARD_FILE
    path.write_text(text, encoding="utf-8", newline="\n")
    return {CARD_FILE: path}


def _card_problems(text: str, facts: RunFacts | None, folder: Path, *, is_draft: bool) -> tuple[list[str], list[str]]:
    """What of a card stops its publication, and what is only told: all of our own, of one by hand what a Hub refuses.

    Args:
        text: the card.
        facts: of the checkpoint.
        folder: with the pictures.
        is_draft: whether it is of a dry run: its snippets did not run, its pictures are not drawn, and the facts do not
            know of its repository and licence yet, so it is compared with neither.
    """
    refused = [*hub_problems(text), *stray_pictures(text)]
    if is_draft:
        return refused, []
    if read_readme(text).card is not None:
        return check_card(text, facts, folder), []
    return refused, [*source_problems(text, facts), *missing_pictures(text, folder)]


def _shards(folder: Path) -> list[Shard]:
    """The files that the weights are to be split into; none if one file is fine.

    Raises:
        PublishError: the checkpoint is of a family that is read from one file only.
    """
    shards = plan_shards(folder / WEIGHTS_FILE) if (folder / WEIGHTS_FILE).is_file() else []
    family = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type") if shards else None
    if is_own_family(family):
        raise PublishError(
            f"{WEIGHTS_FILE} is larger than a file on the Hub may be, and models of the family {family} are read from "
            "one file; train a smaller one."
        )
    return shards


def _split(folder: Path, shards: Sequence[Shard], *, dry_run: bool, announce: Callable[[str], None]) -> str:
    """Splits the weights, unless it is a dry run; a notice about it."""
    largest = size_text(max(shard.size for shard in shards))
    if dry_run:
        return (
            f"{WEIGHTS_FILE} is larger than a file may be, so publishing splits it in the folder into {len(shards)} "
            f"files of up to {largest}, as transformers does."
        )
    if not has_room(folder, list(shards)):
        raise PublishError(
            f"{WEIGHTS_FILE} is to be split into {len(shards)} files, for which the disk has no room; free "
            f"{size_text(sum(shard.size for shard in shards))}."
        )
    announce(f"Splitting {WEIGHTS_FILE} into {len(shards)} files of up to {largest} …")
    split_weights(folder, list(shards))
    return f"{WEIGHTS_FILE} was split in the folder into {len(shards)} files of up to {largest}, as transformers does."


def _as_if_split(files: Mapping[str, Path], shards: Sequence[Shard], scratch: Path) -> dict[str, Path]:
    """The files of a dry run with parts in the place of the whole; empty ones stand for them."""
    planned = {name: path for name, path in files.items() if name != WEIGHTS_FILE}
    for shard in shards:
        planned[shard.name] = scratch / shard.name
        planned[shard.name].touch()
    planned[INDEX_FILE] = scratch / INDEX_FILE
    planned[INDEX_FILE].write_bytes(index_bytes(list(shards)))
    return planned
