"""Pieces of Markdown as the Hub shows it: code spans, fences, tables, folded parts, and numbers for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .marks import without_marks

_PIPE, _ESCAPED_PIPE = re.compile(r"(?<!\\)[|]"), r"\\|"
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Letters that are not seen and change the order in which others are: what is shown would not be what is meant.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HALF = re.compile("[\ud800-\udfff]")  # of a pair that JSON may hold and UTF-8 may not

# Within a word an underscore is no markup, and an ampersand is one only where it begins the name of a letter.
_MARKUP = re.compile(r"[\\`*\[<|~$]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)")


def one_line(text: str) -> str:
    """``text`` on one line, every letter of which can be seen and written."""
    return _SPACE.sub(" ", _HALF.sub("\ufffd", _TURNING.sub("", text))).strip()


def plain(text: str) -> str:
    """``text`` as a part of a sentence: whatever it holds, it is shown as it is and cannot become markup."""
    return _MARKUP.sub(r"\\\g<0>", one_line(text))


def code(text: str) -> str:
    """``text`` as a code span: whatever it holds, it is shown as it is and cannot become markup or a second line."""
    text = one_line(text)
    if not text:
        return "(empty)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def block(text: str, language: str) -> str:
    """``text`` as a fenced block, in which no line can be taken for a mark of the card."""
    text = without_marks(_HALF.sub("\ufffd", text))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A table; the first ``left`` columns hold words, the others numbers, which stand to the right."""
    marks = ["---" if column < left else "---:" for column in range(len(headings))]
    return "\n".join(_row(cells) for cells in (headings, marks, *rows))


def folded(title: str, content: str) -> str:
    """A part that opens when its title is clicked."""
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"


def listed(items: Sequence[str], *, last: str = "and") -> str:
    """``a, b and c``."""
    return f" {last} ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def count(number: int) -> str:
    """A whole number with commas: ``66,002``."""
    return f"{number:,}"


def decimal(number: float) -> str:
    """A metric: four places, or four digits where it is 10 or more."""
    return f"{number:.4f}" if abs(number) < 10 else f"{number:,.4g}"


def share(part: float, whole: float) -> str:
    """``44.2 %``."""
    return f"{100 * part / whole:.1f} %"


def duration(seconds: float) -> str:
    """``less than a second``, ``42 s``, ``3.4 minutes`` or ``5.2 hours``."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def size(amount: int) -> str:
    """Bytes as ``6.8 KiB``, ``6.0 MiB`` or ``2.6 GiB``."""
    if amount < 2**20:
        return f"{amount / 2**10:.1f} KiB"
    return f"{amount / 2**20:.1f} MiB" if amount < 2**30 else f"{amount / 2**30:.1f} GiB"


def number_of(number: int, thing: str) -> str:
    """``1 thread`` or ``1,200 threads``."""
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def _row(cells: Sequence[str]) -> str:
    # a pipe ends a cell even within a code span, so it is escaped in both
    return f"| {' | '.join(_PIPE.sub(_ESCAPED_PIPE, cell) for cell in cells)} |"
