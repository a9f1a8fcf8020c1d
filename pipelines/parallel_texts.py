"""The same text in several languages, a file each: ``train.en`` and ``train.de``, whose lines belong together.

A row is a line of each file, under the endings as columns: ``en`` and ``de``. Endings are languages as data sets write
them (``en``, ``en-US``, ``en_XX``, ``eng_Latn``), or ``src`` and ``tgt``, ``source`` and ``target``.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from .errors import DataError
from .record_rows import BadRow, Record, Rows, chosen, invalid_byte, not_utf8, shown

_LANGUAGE = re.compile(r"[a-z]{2}([-_][A-Za-z]{2,4})?|[a-z]{3}_[A-Z][a-z]{3}")
_SIDES = ("src", "tgt", "source", "target")


def language_of(path: str) -> str | None:
    """The language that the ending of a file stands for, as it is written; None where it stands for none.

    >>> language_of("test_2016_flickr.de.gz"), language_of("train.csv")
    ('de', None)
    """
    ending = PurePosixPath(path.removesuffix(".gz")).suffix[1:]
    return ending if is_language(ending) or ending in _SIDES else None


def is_language(name: str) -> bool:
    """Whether a word is written as data sets write languages."""
    return _LANGUAGE.fullmatch(name) is not None


def group_parallel(paths: Iterable[str]) -> list[dict[str, str]]:
    """Of ``paths`` those that differ in their languages only, as language -> path; each group has several.

    >>> group_parallel(["a/train.en", "a/val.en", "a/train.de", "README.md"])
    [{'en': 'a/train.en', 'de': 'a/train.de'}]
    """
    groups: dict[str, dict[str, str]] = {}
    for path in paths:
        language = language_of(path)
        if language is not None:
            groups.setdefault(path.removesuffix(".gz").removesuffix(language), {})[language] = path
    return [group for group in groups.values() if len(group) > 1]


def read_parallel(streams: Mapping[str, tuple[str, BinaryIO]], source: str, columns: Sequence[str] | None) -> Rows:
    """The lines that belong together, blank ones too, each numbered by its line.

    Args:
        streams: language -> name of the file and its bytes.
        source: what the files together are called.
        columns: languages wanted; None for all.

    Raises:
        DataError: the files have not the same number of lines, or there is no language of a name in ``columns``.
    """
    names = {language: name for language, (name, _) in streams.items()}
    counts = dict.fromkeys(streams, 0)
    with ExitStack() as files:
        texts = {language: files.enter_context(_text(stream)) for language, (_, stream) in streams.items()}
        for number, lines in enumerate(itertools.zip_longest(*texts.values()), 1):
            row = dict(zip(texts, lines, strict=True))
            counts |= {language: number for language, line in row.items() if line is not None}
            if None in lines:
                continue  # read on to the end, to tell how many lines there are
            yield _row({language: str(line).rstrip("\r\n") for language, line in row.items()}, source, number, columns)
    if len(set(counts.values())) > 1:
        listed = " and ".join(f"{names[language]} has {count:,} lines" for language, count in counts.items())
        raise DataError(f"{listed}; line by line they must be the same text, so give files of the same length")


def _row(values: dict[str, Any], source: str, number: int, columns: Sequence[str] | None) -> Record | BadRow:
    for language, text in values.items():
        if (byte := invalid_byte(text)) is not None:
            return BadRow(source, number, not_utf8(byte, language), shown(text))
    return Record(chosen(values, columns, source), source, number)


def _text(stream: BinaryIO) -> io.TextIOWrapper:
    """The file as text whose lines end at a line feed and nowhere else, or other marks would shift one language."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
