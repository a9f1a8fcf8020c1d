"""The same text in several languages, a file each: ``train.en`` and ``train.de``, whose lines belong together.

A row is a line of each file, under the endings as columns: ``en`` and ``de``. Endings are languages as data sets write
them (``en``, ``en-US``, ``en_XX``, ``eng_Latn``), or ``src`` and ``tgt``, ``source`` and ``target``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from .errors import DataError
from .record_formats import text_stream
from .record_rows import BadRow, Record, Rows, chosen, invalid_byte, not_utf8, shown

_LANGUAGE = re.compile(r"([a-z]{2})([-_][A-Za-z]{2,4})?|[a-z]{3}_[A-Z][a-z]{3}")

# ISO 639-1, so that README.md and train.py are no texts in a language.
# fmt: off
_CODES = frozenset({
    "aa", "ab", "ae", "af", "ak", "am", "an", "ar", "as", "av", "ay", "az", "ba", "be", "bg", "bi", "bm", "bn", "bo",
    "br", "bs", "ca", "ce", "ch", "co", "cr", "cs", "cu", "cv", "cy", "da", "de", "dv", "dz", "ee", "el", "en", "eo",
    "es", "et", "eu", "fa", "ff", "fi", "fj", "fo", "fr", "fy", "ga", "gd", "gl", "gn", "gu", "gv", "ha", "he", "hi",
    "ho", "hr", "ht", "hu", "hy", "hz", "ia", "id", "ie", "ig", "ii", "ik", "io", "is", "it", "iu", "ja", "jv", "ka",
    "kg", "ki", "kj", "kk", "kl", "km", "kn", "ko", "kr", "ks", "ku", "kv", "kw", "ky", "la", "lb", "lg", "li", "ln",
    "lo", "lt", "lu", "lv", "mg", "mh", "mi", "mk", "ml", "mn", "mr", "ms", "mt", "my", "na", "nb", "nd", "ne", "ng",
    "nl", "nn", "no", "nr", "nv", "ny", "oc", "oj", "om", "or", "os", "pa", "pi", "pl", "ps", "pt", "qu", "rm", "rn",
    "ro", "ru", "rw", "sa", "sc", "sd", "se", "sg", "si", "sk", "sl", "sm", "sn", "so", "sq", "sr", "ss", "st", "su",
    "sv", "sw", "ta", "te", "tg", "th", "ti", "tk", "tl", "tn", "to", "tr", "ts", "tt", "tw", "ty", "ug", "uk", "ur",
    "uz", "ve", "vi", "vo", "wa", "wo", "xh", "yi", "yo", "za", "zh", "zu",
})
# fmt: on
_SIDES = ("src", "tgt", "source", "target")


def language_of(path: str) -> str | None:
    """The language that the ending of a file stands for, as it is written; None where it stands for none.

    >>> language_of("test_2016_flickr.de.gz"), language_of("train.csv"), language_of("README.md")
    ('de', None, None)
    """
    ending = PurePosixPath(path.removesuffix(".gz")).suffix[1:]
    return ending if is_language(ending) or ending in _SIDES else None


def is_language(name: str) -> bool:
    """Whether a word is written as data sets write languages."""
    found = _LANGUAGE.fullmatch(name)
    return found is not None and (found[1] is None or found[1] in _CODES)


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
        DataError: the files have not the same number of lines, one is empty, or there is no language of a name in
            ``columns``.
    """
    names = {language: name for language, (name, _) in streams.items()}
    counts = dict.fromkeys(streams, 0)
    with ExitStack() as files:
        # Lines end at a line feed and nowhere else, or other marks would shift one language.
        texts = {
            language: files.enter_context(text_stream(stream, name, newline="\n"))
            for language, (name, stream) in streams.items()
        }
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
