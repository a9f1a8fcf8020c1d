"""From a label for each token to entities, by the strategies of ``transformers.TokenClassificationPipeline``.

    probabilities (tokens, labels) -> one label a token, or a word -> neighbours with one tag are an entity

Labels are written ``B-TAG`` (an entity begins), ``I-TAG`` (it goes on) or otherwise, and then they go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

import numpy as np

if TYPE_CHECKING:
    from .token_texts import TokenText
    from .token_words import TokenWords

Strategy = Literal["none", "simple", "first", "average", "max"]
STRATEGIES: tuple[Strategy, ...] = ("none", "simple", "first", "average", "max")
WORD_STRATEGIES: tuple[Strategy, ...] = ("first", "average", "max")


class TokenEntity(TypedDict):
    """A token and its label, with the strategy ``none``.

    ``index`` is its place among the tokens that the model reads, special ones included; ``start`` and ``end`` are its
    first character and the one after its last, None where the tokenizer does not tell.
    """

    entity: str
    score: float
    index: int
    word: str
    start: int | None
    end: int | None


class EntityGroup(TypedDict):
    """An entity, with every other strategy; its label is without ``B-`` and ``I-``."""

    entity_group: str
    score: float
    word: str
    start: int | None
    end: int | None


Entity = TokenEntity | EntityGroup


class Units(NamedTuple):
    """What gets one label: tokens or words.

    Attributes:
        starts: place of the first token of each, int64 ``(units,)``; the last one ends with the text.
        labels: number of the label, int64 ``(units,)``.
        scores: its probability, float32 ``(units,)``.
        are_words: whether they are words, whose text is joined before that of the entity.
    """

    starts: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    are_words: bool


@dataclass(frozen=True)
class LabelTable:
    """The labels of a model, read as tags.

    Attributes:
        names: the labels, in the order of the logits.
        tags: number of the tag of each, int64 ``(labels,)``; ``B-PER`` and ``I-PER`` have one tag.
        begins: whether it begins an entity, bool ``(labels,)``.
        groups: how an entity of it is called.
    """

    names: tuple[str, ...]
    tags: np.ndarray
    begins: np.ndarray
    groups: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> LabelTable:
        """The table of these labels."""
        tags = [name[2:] if name.startswith(("B-", "I-")) else name for name in names]
        numbers = {tag: number for number, tag in enumerate(dict.fromkeys(tags))}
        return cls(
            tuple(names),
            np.array([numbers[tag] for tag in tags], dtype=np.int64),
            np.array([name.startswith("B-") for name in names], dtype=bool),
            tuple(name.split("-", 1)[-1] for name in names),
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def token_entities(
    tokens: TokenText, probabilities: np.ndarray, labels: LabelTable, ignored: Collection[str], words: TokenWords
) -> list[TokenEntity]:
    """Every token whose label is not ignored.

    Args:
        tokens: the text.
        probabilities: float32 ``(tokens, labels)``.
        labels: names of the labels.
        ignored: labels that are left out.
        words: texts of the tokens.
    """
    best = probabilities.argmax(axis=-1)
    is_kept = np.array([name not in ignored for name in labels.names], dtype=bool)
    entities: list[TokenEntity] = []
    for place in np.flatnonzero(is_kept[best]).tolist():
        start, end = _characters(tokens, place, place)
        entities.append(
            {
                "entity": labels.names[best[place]],
                "score": float(probabilities[place, best[place]]),
                "index": len(tokens.before) + place,
                "word": words.token(tokens, place),
                "start": start,
                "end": end,
            }
        )
    return entities


def labelled_units(probabilities: np.ndarray, strategy: Strategy, starts: np.ndarray) -> Units:
    """The label of each unit: of each token (``simple``), or of each word.

    Args:
        probabilities: float32 ``(tokens, labels)``.
        strategy: how the labels of a word's tokens become one: ``first`` takes the first token's, ``max`` those of the
            token that is surest, ``average`` the mean of their probabilities.
        starts: places of the tokens with which words begin; with ``simple`` of all.
    """
    of_units = probabilities[starts]
    if strategy == "average" and len(starts):
        counts = np.diff(starts, append=len(probabilities))[:, None].astype(np.float32)
        of_units = np.add.reduceat(probabilities, starts, axis=0) / counts
    elif strategy == "max" and len(starts):
        of_units = probabilities[_surest(probabilities, starts)]
    best = of_units.argmax(axis=-1)
    return Units(starts, best, of_units[np.arange(len(best)), best], are_words=strategy != "simple")


def group_units(
    tokens: TokenText, units: Units, labels: LabelTable, ignored: Collection[str], words: TokenWords
) -> list[EntityGroup]:
    """Neighbouring units of one tag as one entity, whose score is their mean; ``B-`` begins a new one.

    Args:
        tokens: the text.
        units: its tokens or words.
        labels: names of the labels.
        ignored: entities of these are left out.
        words: texts of the tokens.
    """
    if len(units.starts) == 0:
        return []
    is_new = (np.diff(labels.tags[units.labels], prepend=-1) != 0) | labels.begins[units.labels]
    firsts = np.flatnonzero(is_new)
    is_kept = np.array([name not in ignored for name in labels.groups], dtype=bool)[units.labels[firsts]]
    ends = np.append(units.starts[1:], len(tokens))
    lasts = np.append(firsts[1:], len(units.starts)) - 1
    groups: list[EntityGroup] = []
    for first, last in zip(firsts[is_kept].tolist(), lasts[is_kept].tolist(), strict=True):
        parts = list(zip(units.starts[first : last + 1].tolist(), ends[first : last + 1].tolist(), strict=True))
        start, end = _characters(tokens, parts[0][0], parts[-1][1] - 1)
        groups.append(
            {
                "entity_group": labels.groups[units.labels[first]],
                "score": float(units.scores[first : last + 1].mean()),
                "word": words.entity(tokens, parts, are_words=units.are_words),
                "start": start,
                "end": end,
            }
        )
    return groups


def merge_overlapping(entities: Sequence[EntityGroup]) -> list[EntityGroup]:
    """The entities of windows that share text, each once: of two that overlap the longer one, then the surer one."""
    merged: list[EntityGroup] = []
    for entity in sorted(entities, key=lambda entity: entity["start"] or 0):
        if merged and (entity["start"] or 0) < (merged[-1]["end"] or 0):
            if _weight(entity) > _weight(merged[-1]):
                merged[-1] = entity
        else:
            merged.append(entity)
    return merged


def _weight(entity: EntityGroup) -> tuple[int, float]:
    return (entity["end"] or 0) - (entity["start"] or 0), entity["score"]


def _surest(probabilities: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """For each word the place of its token with the greatest probability, the first of several."""
    highest = probabilities.max(axis=-1)
    words = np.zeros(len(highest), dtype=np.int64)
    words[starts[1:]] = 1
    words = np.cumsum(words)
    places = np.flatnonzero(highest == np.maximum.reduceat(highest, starts)[words])
    return places[np.unique(words[places], return_index=True)[1]]


def _characters(tokens: TokenText, first: int, last: int) -> tuple[int | None, int | None]:
    """Where the tokens from ``first`` to ``last`` begin and end in the text."""
    if tokens.spans is None:
        return None, None
    return int(tokens.spans[first, 0]), int(tokens.spans[last, 1])
