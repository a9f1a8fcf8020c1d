"""How a tokenizer's tokens are written, joined into words, and told to begin a word; as transformers does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .token_texts import TokenText
    from .tokenization import TextTokenizer


class TokenWords:
    """The tokens of one tokenizer as text.

    Args:
        tokenizer: of a light one a word is what its pre-tokenizer takes for one. Of one of transformers it is what
            ``transformers.TokenClassificationPipeline`` takes for one, so that answers are the same: with a tokenizer
            that marks continued words (WordPiece: ``##ing``) a token that is not as long as its text goes on with the
            word; with any other one, every token before which no space stands.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._of_transformers, backend = tokenizer.transformers_tokenizer, tokenizer.backend
        self._backend = backend
        self._texts: dict[int, str] = {}
        if self._of_transformers is not None:
            self._unknown = self._of_transformers.unk_token_id
        else:
            name = tokenizer.settings.get("unk_token")
            self._unknown = backend.token_to_id(name) if backend is not None and isinstance(name, str) else None
        self._marks_continued = bool(backend and getattr(backend.model, "continuing_subword_prefix", None))

    def token(self, tokens: TokenText, place: int) -> str:
        """A token as the vocabulary has it; one that it does not know as the text has it."""
        token_id = int(tokens.ids[place])
        if token_id == self._unknown and tokens.spans is not None:
            begin, end = tokens.spans[place]
            return tokens.text[begin:end]
        return self._of_vocabulary(token_id)

    def entity(self, tokens: TokenText, units: Sequence[tuple[int, int]], *, are_words: bool) -> str:
        """An entity as text: that between its ends, or with a tokenizer of transformers its tokens joined.

        Args:
            tokens: the text.
            units: first token of each of the entity's parts, and the one after the last.
            are_words: whether the parts are words, which transformers joins before it joins the entity.
        """
        if self._of_transformers is None and tokens.spans is not None:
            return tokens.text[tokens.spans[units[0][0], 0] : tokens.spans[units[-1][1] - 1, 1]]
        parts = [[self.token(tokens, place) for place in range(*unit)] for unit in units]
        return self._join([self._join(part) for part in parts] if are_words else [part for (part,) in parts])

    def starts(self, tokens: TokenText) -> np.ndarray:
        """Places of the tokens with which words begin, int64 ``(words,)``; the first token always is one.

        Raises:
            UsageError: the tokenizer does not tell where its tokens stand.
        """
        if self._of_transformers is None or tokens.spans is None:
            return tokens.word_starts()[0]
        begins, ends = np.minimum(tokens.spans, len(tokens.text)).T
        if self._marks_continued:
            lengths = np.array([len(self._of_vocabulary(token_id)) for token_id in tokens.ids.tolist()], dtype=np.int64)
            is_continued = lengths != np.maximum(ends - begins, 0)
        else:
            text = tokens.text
            is_continued = np.array(
                [begin > 0 and " " not in text[begin - 1 : begin + 1] for begin in begins.tolist()], dtype=bool
            )
        if self._unknown is not None:
            is_continued &= tokens.ids != self._unknown
        is_continued[:1] = False
        return np.flatnonzero(~is_continued)

    def _join(self, texts: list[str]) -> str:
        return (
            " ".join(texts) if self._of_transformers is None else self._of_transformers.convert_tokens_to_string(texts)
        )

    def _of_vocabulary(self, token_id: int) -> str:
        if token_id not in self._texts:
            if self._of_transformers is not None:
                text = self._of_transformers.convert_ids_to_tokens(token_id)
            else:
                text = None if self._backend is None else self._backend.id_to_token(token_id)
            self._texts[token_id] = str(text) if text is not None else ""
        return self._texts[token_id]
