"""Tags of words in one scheme: IOB2, in which every entity begins with ``B-`` and goes on with ``I-``."""

from __future__ import annotations

import re
from collections.abc import Sequence

OUTSIDE = "O"

# The schemes that mark the end of an entity, or a single word: BIOES, BILOU, BMES.
_SCHEMES = re.compile(r"[BIOESLUM]-.+|O")
_BEGINS = frozenset("BSU")


def to_iob2(tags: Sequence[str]) -> tuple[list[str], int]:
    """Tags of one text in IOB2, and how many of them stood where their scheme does not allow it.

    >>> to_iob2(["S-PER", "O", "B-LOC", "E-LOC"])
    (['B-PER', 'O', 'B-LOC', 'I-LOC'], 0)
    >>> to_iob2(["O", "I-PER", "I-LOC"])
    (['O', 'B-PER', 'B-LOC'], 2)
    >>> to_iob2(["NN", "O"])
    (['NN', 'O'], 0)

    A tag that goes on with an entity that never began (as IOB1 has it) begins one. Tags without such a scheme, parts of
    speech for instance, stay as they are.
    """
    if not all(_SCHEMES.fullmatch(tag) for tag in tags):
        return list(tags), 0
    found: list[str] = []
    repaired = 0
    inside = None  # the kind of the entity that the last word is in
    for tag in tags:
        prefix, _, kind = tag.partition("-")
        if not kind:
            inside = None
            found.append(tag)
            continue
        begins = prefix in _BEGINS
        repaired += not begins and kind != inside
        found.append(f"{'B' if begins or kind != inside else 'I'}-{kind}")
        inside = kind
    return found, repaired


def is_scheme(labels: Sequence[str]) -> bool:
    """Whether the labels are those of entities in IOB2, rather than one for each word, as parts of speech are."""
    return all(label == OUTSIDE or label.startswith(("B-", "I-")) for label in labels) and len(labels) > 1


def tag_order(label: str) -> tuple[bool, str, str]:
    """Sorts labels: words outside entities first, then by kind, ``B-`` before ``I-``."""
    prefix, _, kind = label.partition("-")
    return label != OUTSIDE, kind or label, prefix
