"""Columns that hold several texts by name, as data sets of translations do: ``translation: {en: …, de: …}``.

Each of these texts is a column of its own, called ``translation.en``; its last part alone names it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MARK = "."


def nested_names(column: str, value: Any) -> list[str]:
    """The columns in a column, told by one of its cells; none where it holds no texts by name.

    >>> nested_names("translation", {"en": "two dogs", "de": "zwei Hunde"})
    ['translation.en', 'translation.de']
    """
    if not isinstance(value, Mapping) or not value:
        return []
    if not all(isinstance(name, str) and (text is None or isinstance(text, str)) for name, text in value.items()):
        return []
    return [f"{column}{MARK}{name}" for name in value]


def value_at(values: Mapping[str, Any], name: str) -> Any:
    """What stands in a row under ``name``, which may be a column in a column; None where nothing does."""
    if name in values:
        return values[name]
    column, _, inner = name.rpartition(MARK)
    cell = values.get(column)
    return cell.get(inner) if isinstance(cell, Mapping) else None


def stored_column(name: str, names: Sequence[str]) -> str:
    """The column of ``names`` in which ``name`` stands: itself, or the one it is in."""
    return name if name in names else name.rpartition(MARK)[0] or name
