"""A checkpoint folder made ready to be published, with its card, everything checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..pipelines.errors import PublishError, UsageError
from .architectures import is_own_family
from .checking import check_card, hub_problems, missing_pictures, stray_pictures
from .existing_card import read_card
from .facts import FILE_NAME as FACTS_FILE
from .facts import RunFacts
from .number_sources import source_problems
from .owner_choices import LICENCE_FLAGS, Licence, checked_flags
from .preflight import Content, check_folder, check_recorded, collect, private_names, read_run, reload
from .prepared import Prepared, require_ready
from .publish_plan import LocalFile
from .publish_report import size_text
from .render import FILE_NAME as CARD_FILE
from .render import Readme, read_readme, render
from .sharding import INDEX_FILE, WEIGHTS_FILE, Shard, has_room, index_bytes, plan_shards, split_weights
from .writing import card as write_card


def prepare_checkpoint(
    folder: Path, repository: str, licence: Licence, *, dry_run: bool, scratch: Path, announce: Callable[[str], None]
) -> Prepared:
    """The files of a checkpoint folder, with its card written for ``repository``, everything checked.

    Args:
        folder: the checkpoint's.
        repository: Hub id that the card is to name.
        licence: as the user gave it.
        dry_run: write nothing into the folder; what would be written is put into ``scratch``.
        scratch: a folder that is deleted afterwards.
        announce: told what takes long.

    Raises:
        UsageError: no folder, or an unknown licence.
        PublishError: something is to be corrected first; the message lists all of it.
    """
    name = _existing(folder, repository)
    licence = checked_flags(licence)
    content = collect(folder)
    facts, problems = read_run(folder)
    problems = [*content.problems, *check_folder(folder), *problems]
    readme = read_card(folder)
    problems += _licence_problems(readme, facts, licence)
    problems += private_names(replace(content, files=_without_card(content)))
    require_ready(name, problems)

    notices: list[str] = []
    shards = _shards(folder)
    if shards:
        notices.append(_split(folder, shards, dry_run=dry_run, announce=announce))
        content = collect(folder)
    card = folder / CARD_FILE
    if _is_due(readme, facts, repository, licence) or (shards and readme is not None and readme.card is not None):
        card = _write_card(folder, readme, facts, repository, licence, dry_run=dry_run, scratch=scratch, say=announce)
        facts, _ = read_run(folder)
        content = collect(folder)
    text = card.read_text(encoding="utf-8") if card.is_file() else None
    if text is None:
        notices.append("README.md and run.json are written at publishing; a dry run does not say what is in them.")
    else:
        refused, doubts = _card_problems(text, facts, folder, is_draft=card.parent == scratch)
        notices += [f"README.md: {each}" for each in doubts]
        problems = [f"README.md: {each}" for each in refused]
        problems += private_names(Content({CARD_FILE: card, **_facts_file(content)}))
    require_ready(name, problems)
    announce("Loading the checkpoint from disk to compare its answers …")
    require_ready(name, check_recorded(folder, facts))
    problems, remarks = reload(folder, facts)
    require_ready(name, problems)
    files = {**content.files, **({CARD_FILE: card} if text is not None else {})}
    if shards and dry_run:
        files = _as_if_split(files, shards, scratch)
    prepared = tuple(LocalFile.of(path, source) for path, source in sorted(files.items()))
    if shards and dry_run:
        sizes = {shard.name: shard.size for shard in shards}
        prepared = tuple(replace(file, size=sizes.get(file.path, file.size)) for file in prepared)
    return Prepared(prepared, content.left_out, (*notices, *remarks))


def _existing(folder: Path, repository: str) -> str:
    """The base name of a checkpoint folder that is there.

    Raises:
        UsageError: it is not, or comes with Quintet.
    """
    from ..pipelines.checkpoint_sources import EMBEDDED_FOLDER, embedded_names

    name = folder.resolve().name
    if folder.resolve().parent == EMBEDDED_FOLDER.resolve() or str(folder) in embedded_names():
        raise UsageError(
            f"checkpoint '{name}' comes with Quintet, and publishing writes into its folder; copy the folder, then "
            "publish the copy."
        )
    if folder.is_dir():
        return name
    if folder.is_file():
        raise UsageError(
            f"'{folder.name}' is a file; give the checkpoint's folder, or --dataset to publish it as a data set."
        )
    raise UsageError(
        f"there is no folder '{folder.name}'; give the folder of a checkpoint, such as `quintet finetune` writes, then "
        f"the repository: quintet publish out/reviews {repository}"
    )


def _without_card(content: Content) -> dict[str, Path]:
    return {name: path for name, path in content.files.items() if name != CARD_FILE}


def _facts_file(content: Content) -> dict[str, Path]:
    return {name: path for name, path in content.files.items() if name == FACTS_FILE}


def _licence_problems(readme: Readme | None, facts: RunFacts | None, licence: Licence) -> list[str]:
    """That no licence is chosen, or that one was given for a card that is not ours to change."""
    stated = (readme.metadata or {}).get("license") if readme is not None else None
    is_by_hand = readme is not None and readme.card is None
    if licence["license"] is not None and is_by_hand and stated != licence["license"]:
        given = f"--license {licence['license']} was given, but README.md was written by hand and says {stated}"
        return [f"{given}; put it into its front matter, or let `quintet card --append` add a card."]
    if licence["license"] or stated or (not is_by_hand and facts is not None and facts.licence):
        return []
    return [f"no licence is chosen, without which nobody may use it; choose one: {LICENCE_FLAGS}."]


def _is_due(readme: Readme | None, facts: RunFacts | None, repository: str, licence: Licence) -> bool:
    """Whether the card is to be written: there is none, or ours names another repository or licence."""
    if readme is None:
        return True
    if readme.card is None or facts is None:
        return False
    keys = ("license", "license_name", "license_link")
    recorded = (facts.licence, facts.licence_name, facts.licence_link)
    wanted = tuple(licence[key] for key in keys) if licence["license"] else recorded
    return facts.repository != repository or wanted != recorded


def _write_card(
    folder: Path,
    readme: Readme | None,
    facts: RunFacts | None,
    repository: str,
    licence: Licence,
    *,
    dry_run: bool,
    scratch: Path,
    say: Callable[[str], None],
) -> Path:
    """The card for ``repository``, in the folder, or for a dry run in ``scratch``, where facts suffice for one."""
    if not dry_run:
        say("Writing the card: its snippets are run …")
        return write_card(
            folder,
            repository=repository,
            license=licence["license"],
            license_name=licence["license_name"],
            license_link=licence["license_link"],
        ).path
    path = scratch / CARD_FILE
    if facts is not None:
        keys = {"licence": "license", "licence_name": "license_name", "licence_link": "license_link"}
        chosen = {ours: licence[theirs] for ours, theirs in keys.items()} if licence["license"] else {}
        planned = replace(facts, repository=repository, **chosen)
        parts = readme or Readme()
        text = render(planned, own_words=parts.own_words, extra=parts.extra, before=parts.before, after=parts.after)
        path.write_text(text, encoding="utf-8")
    return path


def _card_problems(text: str, facts: RunFacts | None, folder: Path, *, is_draft: bool) -> tuple[list[str], list[str]]:
    """What of a card stops its publication, and what is only told: all of our own, of one by hand what a Hub refuses.

    Args:
        text: the card.
        facts: of the checkpoint.
        folder: the checkpoint's.
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
