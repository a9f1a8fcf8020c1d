"""Models that choose the tags of a sentence together, as a conditional random field does, rather than each by itself.

A network, or the transformers model around it, says that it is one by having a method

    decode(logits, mask) -> tags                 int64 (batch, words)

and it may have

    marginals(logits, mask) -> probabilities     float32 (batch, words, labels)

Both are given ``logits``, float32 ``(batch, words, labels)``: those of the first token of each word, without special
tokens, whatever the tokenizer; and ``mask``, bool ``(batch, words)``, True at the words, which come first. Training
computes its loss over the same rows. What ``decode`` and ``marginals`` give behind the words is not looked at.

A text of more than `LONGEST` words is read in parts that share an eighth of their words; a word's tag is that of the
part in which it stands farther from a cut. What is so far away has next to no say in it. Step by step through 100,000
words took minutes, and the sums of so many scores are no longer exact.

Lafferty et al. 2001, "Conditional Random Fields"; Lample et al. 2016, "Neural Architectures for Named Entity
Recognition", section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from .token_windows import merge_token_windows, window_spans

LONGEST = 1024
"""Words whose tags are chosen together."""

MOST_PARTS = 64
"""Sequences that are read together, of a text that has more parts."""


class Tagging(NamedTuple):
    """The tags of one text.

    Attributes:
        tags: number of each word's label, int64 ``(words,)``.
        probabilities: of each label at each word, float32 ``(words, labels)``.
    """

    tags: np.ndarray
    probabilities: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """The probability of each word's tag, float32 ``(words,)``."""
        return self.probabilities[np.arange(len(self.tags)), self.tags]


class TagDecoder:
    """Reads tags off logits with a network that has ``decode``."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def read(self, logits: Sequence[torch.Tensor]) -> list[Tagging]:
        """The tags of several texts.

        The probabilities are the network's marginals; of a network without them the softmax of the logits.

        Args:
            logits: of each text those of its words, float32 ``(words, labels)``, on the device of the network.
        """
        parts = [window_spans(len(rows), LONGEST, None, LONGEST) if len(rows) else [] for rows in logits]
        flat = [rows[slice(*span)] for rows, spans in zip(logits, parts, strict=True) for span in spans]
        read: list[Tagging] = []
        for start in range(0, len(flat), MOST_PARTS):
            read.extend(self._read_together(flat[start : start + MOST_PARTS]))
        of_parts = iter(read)
        taggings = []
        for rows, spans in zip(logits, parts, strict=True):
            own = [next(of_parts) for _ in spans]
            if own:
                tags = merge_token_windows([part.tags[:, None] for part in own], spans, len(rows))[:, 0]
                probabilities = merge_token_windows([part.probabilities for part in own], spans, len(rows))
                taggings.append(Tagging(tags, probabilities))
            else:
                taggings.append(Tagging(np.empty(0, dtype=np.int64), rows.cpu().numpy()))
        return taggings

    def _read_together(self, logits: Sequence[torch.Tensor]) -> list[Tagging]:
        """The tags of several sequences, each with a word at least."""
        padded = torch.nn.utils.rnn.pad_sequence(list(logits), batch_first=True)  # (batch, words, labels)
        lengths = torch.tensor([len(rows) for rows in logits], device=padded.device)
        mask = torch.arange(padded.shape[1], device=padded.device)[None, :] < lengths[:, None]  # (batch, words)
        with torch.inference_mode():
            tags = self._network.decode(padded, mask)
            if hasattr(self._network, "marginals"):
                probabilities = self._network.marginals(padded, mask).float()
            else:
                probabilities = padded.softmax(dim=-1)
        tags, probabilities = tags.cpu().numpy(), probabilities.cpu().numpy()
        return [Tagging(tags[row, :length], probabilities[row, :length]) for row, length in enumerate(lengths.tolist())]


def find_decoder(model: torch.nn.Module) -> TagDecoder | None:
    """The decoder of ``model``, or of the plain ``network`` in it; None where tags are chosen one by one."""
    for candidate in (model, getattr(model, "network", None)):
        if callable(getattr(candidate, "decode", None)):
            return TagDecoder(candidate)
    return None
