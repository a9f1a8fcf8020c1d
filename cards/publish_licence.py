"""The licence of what is published: chosen by its owner, stated once, and found where it is linked to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .owner_choices import LICENCE_FLAGS, Licence
from .render import Readme

KEYS = ("license", "license_name", "license_link")


def stated_licence(readme: Readme | None) -> dict[str, Any]:
    """What the front matter of a card says of the licence."""
    metadata = (readme.metadata or {}) if readme is not None else {}
    return {key: metadata.get(key) for key in KEYS}


def licence_problems(
    readme: Readme | None, given: Licence, recorded: Mapping[str, Any], published: Collection[str]
) -> list[str]:
    """What is wrong with the licence, one sentence each.

    Args:
        readme: the card so far; None where there is none.
        given: by the user, with flags; ``license`` is None where nothing was.
        recorded: what a card of ours is written from where nothing was given.
        published: names of the files, one of which a link may be.
    """
    stated = stated_licence(readme)
    is_by_hand = readme is not None and readme.card is None
    if readme is not None and readme.problem:
        return [f"README.md: the front matter is no YAML: {readme.problem}"]
    if is_by_hand:
        differing = [key for key in KEYS if given[key] is not None and given[key] != stated[key]]
        if differing:
            key = differing[0]
            said = f"README.md was written by hand and says {stated[key] or 'nothing of it'}"
            flag = f"--{key.replace('_', '-')} {given[key]}"
            return [f"{flag} was given, but {said}; put it into its front matter, or leave the flag out."]
    if not (given["license"] or stated["license"] or (not is_by_hand and recorded.get("license"))):
        return [f"no licence is chosen, without which nobody may use it; choose one: {LICENCE_FLAGS}."]
    chosen = given if given["license"] else stated if stated["license"] else recorded
    link = chosen.get("license_link")
    if is_by_hand or not isinstance(link, str) or "://" in link or link in published:
        return []
    advice = "put the licence's text into the folder as LICENSE and give that, or give a URL"
    return [f"--license-link {link} is neither a URL nor a file that is published with it; {advice}."]
