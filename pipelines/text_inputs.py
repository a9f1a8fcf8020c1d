"""What a text pipeline accepts as one input, and the sentence that says what is wrong with anything else."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import InputError

_SURROGATE = re.compile("[\ud800-\udfff]")


class TextInput(NamedTuple):
    """One text, or a pair of texts."""

    text: str
    pair: str | None = None


def is_single_text(inputs: Any) -> bool:
    """Whether ``inputs`` is one input (a text, a dict, or a wrong one, such as None) rather than several."""
    if isinstance(inputs, str | bytes | bytearray | Mapping):
        return True
    return not hasattr(inputs, "__iter__") and not (hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__"))


def read_text_input(item: Any) -> TextInput:
    """The text, or pair of texts, that ``item`` stands for.

    Args:
        item: a text, ``{"text": …, "text_pair": …}``, or, as older transformers had it, ``[[text, pair]]``.

    Raises:
        InputError: it is anything else, or a text that is not valid Unicode.
    """
    if isinstance(item, str):
        return TextInput(checked_text(item, "a text"))
    if isinstance(item, Mapping):
        return _read_mapping(item)
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], list) and len(item[0]) == 2:
        text, pair = item[0]
        return TextInput(checked_text(text, "a text"), checked_text(pair, "a text as the second of the pair"))
    if isinstance(item, list | tuple):
        raise InputError(
            f"expected a text, got a {type(item).__name__} of {len(item)}; "
            'a pair of texts is given as {"text": "first", "text_pair": "second"}.'
        )
    return TextInput(checked_text(item, "a text"))


def read_one_text(item: Any) -> str:
    """The text that ``item`` stands for, where a task reads one text at a time.

    Raises:
        InputError: it is a pair of texts, or as for `read_text_input`.
    """
    text, pair = read_text_input(item)
    if pair is not None:
        raise InputError("expected one text, got a pair of texts; give each text by itself.")
    return text


def _read_mapping(item: Mapping[Any, Any]) -> TextInput:
    keys = ", ".join(map(repr, item))
    if type(item).__name__ in ("DatasetDict", "IterableDatasetDict"):
        raise InputError(
            f"expected texts, got a whole {type(item).__name__} with the splits {keys}; "
            "give a column of one split, for instance dataset['test']['text']."
        )
    if "text" not in item or not item.keys() <= {"text", "text_pair"}:
        raise InputError(
            f"expected a dict with 'text' and perhaps 'text_pair', got one with {keys or 'no keys'}; "
            "of a data set give the column with the texts, for instance dataset['text']."
        )
    pair = item.get("text_pair")
    return TextInput(
        checked_text(item["text"], "a text as 'text'"),
        None if pair is None else checked_text(pair, "a text as 'text_pair'"),
    )


def checked_text(text: Any, expected: str) -> str:
    """``text``, if it is one.

    Args:
        text: what was given.
        expected: what it should have been, in the words of the error: ``a text as 'context'``.

    Raises:
        InputError: it is none, or not valid Unicode.
    """
    if isinstance(text, str):
        surrogate = _SURROGATE.search(text)
        if surrogate is None:
            return text
        raise InputError(
            f"the text is not valid Unicode: position {surrogate.start()} holds {surrogate.group()!a}, half of a "
            "surrogate pair, which is left where bytes were decoded wrongly; decode them with the right encoding, "
            "or with errors='replace'."
        )
    if text is None:
        raise InputError(f"expected {expected}, got None; leave missing values out.")
    if isinstance(text, bytes | bytearray):
        raise InputError(f"expected {expected}, got {type(text).__name__}; decode it first: value.decode('utf-8').")
    if isinstance(text, float) and math.isnan(text):
        raise InputError(f"expected {expected}, got nan, a missing value; leave missing values out.")
    if isinstance(text, int | float):
        raise InputError(f"expected {expected}, got the number {text}; if it is meant as text, give str({text}).")
    raise InputError(f"expected {expected}, got {type(text).__name__}.")
