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
from .languages import LANGUAGES, is_language
from .metadata import LICENCES
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
        UsageError: as `checked_licence`.
    """
    given, name, link = (licence[key] for key in ("license", "license_name", "license_link"))
    if given is None and (name or link):
        given = "other"
    if given is None:
        return licence
    return {**licence, "license": checked_licence(given, name, link)}


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
    given = language if language is not None else by_hand.get("language") or ()
    codes = [code.strip() for code in given.split(",")] if isinstance(given, str) else list(given) if given else []
    for code in codes:
        if not is_language(code):
            by_name = {name.lower(): known for known, name in LANGUAGES.items()}
            near = difflib.get_close_matches(str(code).lower(), by_name, n=1)
            hint = f"did you mean {by_name[near[0]]}?" if near else "expected one such as en or zh"
            raise UsageError(f"language {code!r} is no code of ISO 639; {hint}")
    return tuple(dict.fromkeys(codes))


def edited_words(words: str) -> str:
    """``words`` as they are after the owner had them in the editor.

    Raises:
        UsageError: no editor is set, or it does not work.
        DataError: what it wrote is not text in UTF-8.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UsageError(
            "--edit opens the editor that VISUAL or EDITOR names, and neither is set; set one, or write between the "
            f"marks of own words in {FILE_NAME} yourself"
        )
    with tempfile.TemporaryDirectory(prefix="quintet-card-") as folder:
        file = Path(folder) / "own-words.md"
        file.write_text(words + "\n" if words else "", encoding="utf-8")
        try:
            code = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode
        except OSError as error:
            raise UsageError(f"the editor '{editor}' cannot be started ({error.strerror}); set EDITOR") from error
        if code:
            raise UsageError(f"the editor '{editor}' ended with exit code {code}; the card is as it was")
        return read_text(file).strip("\n")
