"""Rows with text columns as the inputs of a text pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def inputs_of(rows: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    """Rows as a pipeline takes them: pictures, texts, or dicts of text and text_pair."""
    if "image" in rows:
        yield from rows["image"]
    elif "text_pair" not in rows:
        yield from rows["text"]
    else:
        for text, pair in zip(rows["text"], rows["text_pair"], strict=True):
            yield {"text": text, "text_pair": pair}


def inputs_of_split(split: Any) -> Iterator[Any]:
    """The rows of a split of `datasets`, lazily, as a pipeline takes them."""
    for rows in split.iter(batch_size=1000):
        yield from inputs_of(rows)
