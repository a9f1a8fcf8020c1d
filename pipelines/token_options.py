"""What a call for token classification may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .call_options import check_choice, check_count
from .entities import STRATEGIES, Strategy
from .errors import UsageError

OUTSIDE = "O"
"""The label of words that belong to no entity."""


@dataclass(frozen=True)
class TokenClassificationOptions:
    """What a call may ask for.

    Attributes:
        aggregation_strategy: ``none`` for each token by itself; ``simple`` for neighbouring tokens with the same tag as
            one entity; ``first``, ``average`` or ``max`` for whole words, see `entities.labelled_units`. In any case.
        ignore_labels: tokens with these labels, or entities of them, are left out; None for "O".
        stride: tokens that neighbouring windows share, which are then placed and merged as transformers does; None for
            windows of our own. Not with ``none``.
        is_split_into_words: takes a list of texts for the words of one text, and a list of lists for several.
        delimiter: what stands between the words of a list in the text in which ``start`` and ``end`` count; None for a
            space.
        truncation: True cuts long texts to what the model takes; otherwise they are read in windows.
        max_length: tokens, special ones included, to which texts are cut, or with ``truncation=False`` or ``stride``
            that a window holds; None for what the model takes.
    """

    aggregation_strategy: Strategy = "none"
    ignore_labels: tuple[str, ...] = (OUTSIDE,)
    stride: int | None = None
    is_split_into_words: bool = False
    delimiter: str = " "
    truncation: bool | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_choice("aggregation_strategy", self.aggregation_strategy, STRATEGIES)
        check_choice("is_split_into_words", self.is_split_into_words, (True, False))
        check_choice("truncation", self.truncation, (True, False, None))
        if not all(isinstance(label, str) for label in self.ignore_labels):
            raise UsageError(f"ignore_labels is {list(self.ignore_labels)!r}; expected labels, for instance ['O'].")
        if not isinstance(self.delimiter, str):
            raise UsageError(f"delimiter is {self.delimiter!r}; expected a text, for instance ' '.")
        if self.max_length is not None:
            check_count("max_length", self.max_length)
        if self.stride is None:
            return
        if not isinstance(self.stride, int) or isinstance(self.stride, bool) or self.stride < 0:
            raise UsageError(f"stride is {self.stride!r}; expected a number of tokens from 0.")
        if self.aggregation_strategy == "none":
            raise UsageError(
                "stride merges the entities of windows, but aggregation_strategy is 'none'; name another one, or leave "
                "stride out: long texts are read in windows anyway."
            )
        if self.truncation:
            raise UsageError("stride reads a long text in windows and truncation=True cuts it; leave one of them out.")

    @property
    def truncates(self) -> bool:
        """Whether long texts are cut; also where only ``max_length`` is given."""
        if self.truncation is None:
            return self.max_length is not None and self.stride is None
        return self.truncation


def normalised_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options in the forms that `TokenClassificationOptions` has them in."""
    given = dict(options)
    if "aggregation_strategy" in given:  # transformers has an enumeration of them
        strategy = getattr(given["aggregation_strategy"], "value", given["aggregation_strategy"])
        given["aggregation_strategy"] = strategy.lower() if isinstance(strategy, str) else strategy or "none"
    if "ignore_labels" in given:
        labels = given["ignore_labels"]
        given["ignore_labels"] = (
            (OUTSIDE,) if labels is None else (labels,) if isinstance(labels, str) else tuple(labels)
        )
    if given.get("delimiter", "") is None:
        given["delimiter"] = " "
    return given
