"""What only the owner of a checkpoint can say: its licence, the languages of its texts, and own words."""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..pipelines.errors import UsageError
from .existing_card import read_text
from .languages import is_language, unknown_language
from .marks import mark_in
from .metadata import LICENCES, as_list
from .render import FILE_NAME

Licence = Mapping[str, str | None]
"""``license``, ``license_name`` and ``license_link``, as the user gave them or a front matter has them."""

LICENCE_FLAGS = "--license apache-2.0, or --license other --license-name NAME --license-link URL"


def checked_licence(licence: str, name: str | None = None, link: str | None = None) -> str:
    """``licence`` in the Hub's spelling.

    Raises:
        UsageError: the Hub does not have it, or it is ``other`` without a name and a link.
    """
    spelt = licence.strip().lower().replace(" ", "-")
    if not spelt:
        raise UsageError("license is empty; choose one, such as apache-2.0, or leave it out")
    if spelt not in LICENCES:
        begun = [each for each in LICENCES if len(each) > 2 and (spelt.startswith(each) or each.startswith(spelt))]
        near = sorted(begun, key=len, reverse=True) or difflib.get_close_matches(spelt, LICENCES, n=3, cutoff=0.7)
        hint = f"did you mean {' or '.join(near[:3])}? " if near else ""
        raise UsageError(
            f"license '{licence}' is not one that the Hub has; {hint}For any other give --license other "
            "--license-name NAME --license-link URL (https://huggingface.co/docs/hub/repositories-licenses lists them)"
        )
    if spelt == "other" and not (name and link):
        raise UsageError(
            "license 'other' needs a name and a link: --license-name NAME --license-link URL, where a file in the "
            "checkpoint's folder such as LICENSE may stand for the URL"
        )
    return spelt


def checked_flags(licence: Licence) -> Licence:
    """What the user gave, in the Hub's spelling; a name or a link alone is of a licence that is ``other``.

    Raises:
        UsageError: as `checked_licence`, or a name or a link was given for a licence that has its own.
    """
    given, name, link = (licence[key] for key in ("license", "license_name", "license_link"))
    if given is None and (name or link):
        given = "other"
    if given is None:
        return licence
    spelt = checked_licence(given, name, link)
    if spelt != "other" and (name or link):
        flag = f"--license-name {name}" if name else f"--license-link {link}"
        raise UsageError(
            f"{flag} was given with --license {spelt}, whose name and text are known; leave it out, or give --license "
            "other"
        )
    return {**licence, "license": spelt}


def chosen_licence(
    licence: str | None, name: str | None, link: str | None, by_hand: Mapping[str, Any]
) -> tuple[str, str | None, str | None] | None:
    """Licence, name and link: as given, else as the front matter has them; None where neither says anything.

    Raises:
        UsageError: as `checked_licence`, or the front matter has more than a word.
    """
    if licence is None and (name or link):
        licence = "other"
    if licence is None:
        licence, name, link = (by_hand.get(key) for key in ("license", "license_name", "license_link"))
    if licence is None:
        return None
    if not isinstance(licence, str):
        raise UsageError(f"license {licence!r} in the front matter is not one word; choose one by --license")
    return checked_licence(licence, name, link), name, link


def chosen_languages(language: str | Sequence[str] | None, by_hand: Mapping[str, Any]) -> tuple[str, ...]:
    """Codes: as given, with commas between, else as the front matter has them.

    Raises:
        UsageError: one of them is no language.
    """
    given = language if language is not None else by_hand.get("language")
    codes: list[Any] = list(given) if isinstance(given, tuple) else as_list(given)
    if isinstance(given, str):
        codes = [code.strip() for code in given.split(",")]
    for code in codes:
        if not is_language(code):
            raise UsageError(unknown_language(code))
    return tuple(dict.fromkeys(codes))


def checked_words(words: Any) -> str:
    """Own words as they can stand on a card.

    Raises:
        UsageError: they are no text, cannot be written in UTF-8, or have a mark of the card, at which they would end.
    """
    if not isinstance(words, str):
        raise UsageError(f"own words are of type {type(words).__name__}, expected Markdown as text")
    words = words.replace("\r\n", "\n").replace("\r", "\n")
    try:
        words.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(words[error.start]):04X}"
        raise UsageError(f"own words hold half of a letter ({half} at {error.start}); leave it out") from error
    mark = mark_in(words)
    if mark is not None:
        raise UsageError(
            f"own words have the line '{mark}', which is a mark of the card; put a space before it, or leave it out"
        )
    return words


def edited_words(words: str) -> str:
    """``words`` as they are after the owner had them in the editor.

    Raises:
        UsageError: no editor is set, or it does not work.
        DataError: what it wrote is not text in UTF-8.
    """
    set_to = (os.environ.get(name, "").strip() for name in ("VISUAL", "EDITOR"))
    editor = next(filter(None, set_to), None)
    if editor is None:
        raise UsageError(
            "--edit opens the editor that VISUAL or EDITOR names, and neither is set; set one, or write between the "
            f"marks of own words in {FILE_NAME} yourself"
        )
    try:
        command = shlex.split(editor)
    except ValueError as error:
        raise UsageError(
            f"the editor '{editor}' is no command ({str(error).lower()}); set EDITOR to one, such as nano"
        ) from error
    with tempfile.TemporaryDirectory(prefix="quintet-card-") as folder:
        file = Path(folder) / "own-words.md"
        file.write_text(words + "\n" if words else "", encoding="utf-8")
        try:
            code = subprocess.run([*command, str(file)], check=False).returncode
        except OSError as error:
            raise UsageError(f"the editor '{editor}' cannot be started ({error.strerror}); set EDITOR") from error
        if code:
            raise UsageError(f"the editor '{editor}' ended with exit code {code}; the card is as it was")
        if not file.is_file():
            raise UsageError(f"the editor '{editor}' left no text behind; the card is as it was")
        return read_text(file).strip("\n")
