"""Rows of running text for language models: token after token, each with the one that comes next.

one text          rows are consecutive pieces, cut at another place in each epoch
texts in a row    the same of all texts one behind another, where the model can keep neighbours apart by the places
                  of their tokens
texts by themselves   a row is a text, or a piece of a long one, as a recurrent network reads it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..pipelines.models.shapes import IGNORED
from ..pipelines.tokenization import TextTokenizer
from .recipe import Features
from .tokenized_texts import TokenizedTexts

CLOSE = 1e-4
"""How far logits of packed texts may lie from those of each text alone, in float32."""


def frame_of(tokenizer: TextTokenizer) -> tuple[list[int], list[int]]:
    """The tokens before and behind each text: the one for the beginning, or else that for the end; and the end's."""
    end = tokenizer.end_id
    start = tokenizer.start_id if tokenizer.start_id is not None else end
    return [] if start is None else [start], [] if end is None else [end]


class NumberedRows:
    """Rows that are only numbers; what they hold depends on the epoch, see ``vary`` of the recipe."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence[Any]]:
        """The numbers themselves."""
        return {"row": indices.tolist()}


class Stream:
    """Texts one behind another, in rows of ``length`` tokens that begin at other places in each epoch.

    An epoch leaves out less than two rows' tokens, at its ends.

    Args:
        texts: tokenized.
        length: tokens of a row.
        frame: tokens before and behind each text; None where the texts are the pieces of one.
        seed: of the run.
    """

    def __init__(
        self, texts: TokenizedTexts, length: int, frame: tuple[list[int], list[int]] | None, seed: int
    ) -> None:
        self._texts, self._length, self._seed = texts, length, seed
        self._before, self._behind = (np.asarray(part, dtype=np.int32) for part in (frame or ([], [])))
        framing = len(self._before) + len(self._behind)
        # Where each text begins in the stream; of one text only where it begins.
        count = len(texts.starts) - 1 if framing else 0
        self._starts = texts.starts + framing * np.arange(len(texts.starts)) if count else texts.starts[:1]
        total = int(texts.starts[-1]) + framing * count
        whole = (total - 1) // length
        self.rows = NumberedRows(max(0, whole - 1 if whole > 1 else min(1, total - 1)))
        self._spare = total - 1 - len(self.rows) * length

    def features(self, row: int, epoch: int) -> Features:
        """The tokens of a row, what comes after each of them, and the place of each in its text."""
        shift = 0
        if self._spare > 0:
            shift = int(np.random.default_rng([self._seed, epoch]).integers(0, self._spare + 1))
        first = shift + row * self._length
        last = first + min(self._length, self._length + self._spare)
        tokens, places = self._read(first, last + 1)
        targets = tokens[1:].astype(np.int64)
        targets[places[1:] == 0] = IGNORED  # what text comes next, nobody can know
        return {"input_ids": tokens[:-1], "position_ids": places[:-1], "target": targets}

    def _read(self, first: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens ``first`` to ``stop`` of the stream, and their places, which each text and the row count from 0."""
        places = np.arange(stop - first, dtype=np.int32)
        if not len(self._before) + len(self._behind):
            return np.array(self._texts.ids[first:stop]), places
        number = int(np.searchsorted(self._starts, first, side="right")) - 1
        parts, position = [], first
        while position < stop:
            begin, end = int(self._starts[number]), int(self._starts[number + 1])
            source = self._texts.ids[self._texts.starts[number] : self._texts.starts[number + 1]]
            text = np.concatenate([self._before, source, self._behind])
            parts.append(text[position - begin : stop - begin])
            if position == begin:
                places[position - first :] = np.arange(stop - position)
            position, number = end, number + 1
        return np.concatenate(parts), places


class SingleTexts:
    """Each text by itself; one that is longer than ``length`` in pieces of like size.

    Args:
        texts: tokenized.
        length: tokens of a piece at most, those before and behind included.
        frame: tokens before and behind each text.
    """

    def __init__(self, texts: TokenizedTexts, length: int, frame: tuple[list[int], list[int]]) -> None:
        self._texts = texts
        self._before, self._behind = (np.asarray(part, dtype=np.int32) for part in frame)
        self._pieces = texts.pieces(max(1, length - len(self._before)))
        self.rows = NumberedRows(len(self._pieces))

    def features(self, row: int, epoch: int) -> Features:
        """The tokens of a row, and what comes after each of them."""
        start, stop = self._pieces[row].tolist()
        is_first = bool(np.isin(start, self._texts.starts))
        before = self._before if is_first else self._texts.ids[start - 1 : start]
        behind = self._behind if np.isin(stop, self._texts.starts) else self._behind[:0]
        tokens = np.concatenate([before, self._texts.ids[start:stop], behind])
        return {"input_ids": tokens[:-1], "target": tokens[1:].astype(np.int64)}


def looks_ahead(model: Any) -> bool:
    """Whether what a model foretells depends on tokens that come later, as in BERT, which reads both ways; tried out.

    Args:
        model: of transformers, with a vocabulary of more than eight tokens.
    """
    ids = torch.arange(1, 9, device=next(model.parameters()).device).repeat(2, 1)
    ids[1, -1] = 1
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        one, other = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    model.train(was_training)
    return not torch.allclose(one, other, rtol=CLOSE, atol=CLOSE)


def keeps_apart(model: Any) -> bool:
    """Whether texts that stand in one row leave each other alone, if the places of their tokens begin anew; tried out.

    transformers tells them apart by the places where there is neither a mask nor a cache; not every model does.
    """
    device = next(model.parameters()).device
    ids = torch.arange(1, 9, device=device)[None]  # two texts of four tokens
    places = torch.arange(4, device=device).repeat(2)[None]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            packed = model(input_ids=ids, position_ids=places, use_cache=False).logits
            alone = model(input_ids=ids[:, 4:], use_cache=False).logits
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return False
    finally:
        model.train(was_training)
    return torch.allclose(packed[:, 4:].float(), alone.float(), rtol=CLOSE, atol=CLOSE)
