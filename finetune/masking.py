"""Which tokens of a text are masked, and by what: Devlin et al. 2019, BERT, section 3.1 and appendix A.

Of the tokens of a text a share is drawn; of those 80 % become [MASK], 10 % another word drawn at random, and 10 % stay
as they are, so that the network cannot tell which words it need not doubt. For measuring all of them become [MASK].
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..pipelines.errors import UsageError
from ..pipelines.tokenization import TextTokenizer

SHARE = 0.15
"""Of the tokens, in training unless asked otherwise and in measuring always."""

MASKED, REPLACED = 0.8, 0.1
"""Of the drawn tokens; the others stay."""


@dataclass(frozen=True)
class Masking:
    """How the tokens of texts are masked.

    Attributes:
        mask_id: of the token for a masked word.
        special_ids: int64, sorted: tokens that are never masked.
        word_ids: int64: tokens that one may be replaced by.
        share: of the tokens of a text, in (0, 1); at least one is drawn.
    """

    mask_id: int
    special_ids: np.ndarray
    word_ids: np.ndarray
    share: float = SHARE

    @classmethod
    def of(cls, tokenizer: TextTokenizer, share: float = SHARE, *, name: str = "this model") -> Masking:
        """As ``tokenizer`` has it; ``name`` is the model's, for the error.

        Raises:
            UsageError: it has no token for a masked word.
        """
        if tokenizer.mask_id is None:
            raise UsageError(
                f"the tokenizer of '{name}' has no mask token, so masked words cannot be learnt or measured with it; "
                "expected one such as [MASK]: use a checkpoint that was trained to fill masks, or a family such as "
                "bert-mini"
            )
        special = np.asarray(sorted(tokenizer.special_ids), dtype=np.int64)
        words = np.setdiff1d(np.arange(tokenizer.vocab_size), special)
        return cls(tokenizer.mask_id, special, words, share)

    def places(self, ids: np.ndarray, generator: np.random.Generator, is_start: np.ndarray | None = None) -> np.ndarray:
        """Places of the tokens that are drawn, ascending, int64; none where there are only special tokens.

        Args:
            ids: of a text, int (tokens,).
            generator: draws.
            is_start: whether a word begins with the token, bool (tokens,); whole words are drawn then, as long as they
                do not make up more than the share. None draws tokens.
        """
        candidates = np.flatnonzero(~np.isin(ids, self.special_ids))
        if not len(candidates):
            return candidates
        wanted = max(1, round(self.share * len(candidates)))
        if is_start is None:
            return np.sort(generator.permutation(candidates)[:wanted])
        words = np.cumsum(is_start)[candidates]
        drawn: list[np.ndarray] = []
        count = 0
        for word in generator.permutation(np.unique(words)):
            of_word = candidates[words == word]
            if not drawn or count + len(of_word) <= wanted:
                drawn.append(of_word)
                count += len(of_word)
            if count >= wanted:
                break
        return np.sort(np.concatenate(drawn))

    def replacements(self, ids: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """What stands in place of the drawn tokens ``ids`` in training, int of the same shape and type."""
        chance = generator.random(len(ids))
        others = self.word_ids[generator.integers(0, len(self.word_ids), len(ids))]
        replaced = np.where(chance < MASKED + REPLACED, others, ids)
        return np.where(chance < MASKED, self.mask_id, replaced).astype(ids.dtype)


def training_generator(seed: int, epoch: int, row: int) -> np.random.Generator:
    """Draws the masks of the row with that number in an epoch: the same in every process and in a resumed run."""
    return np.random.default_rng([seed, epoch, row])


def measuring_generator(seed: int, ids: Sequence[int] | np.ndarray) -> np.random.Generator:
    """Draws the masks of a text that is measured on: by what it says, so that no order of texts matters."""
    digest = hashlib.sha256(np.asarray(ids, dtype="<i4").tobytes()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype="<u4").tolist()])
