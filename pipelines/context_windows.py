"""A question and its context as the model reads them: overlapping windows, each with the whole question.

Windows lie as the tokenizers package lays them, and with it version 4 of transformers: the next one begins where
the last but ``stride`` tokens of this one end, and the last one is as short as it comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .encodings import Encoded
from .errors import InputError
from .windows import PIECE_CHARACTERS, split_text

if TYPE_CHECKING:
    from .question_inputs import QuestionInput
    from .tokenization import TextTokenizer


MOST_SHARED = 128
"""Words, or pieces of words, of the context that neighbouring windows share at most, unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class ContextTokens:
    """The tokens of a context, or of a part of it; int32 ``(tokens,)`` each.

    Attributes:
        starts: the first character of each token, counted in the whole context.
        ends: the character after its last one.
        words: the number of its word, as the tokenizer splits the context; -1 where it does not.
    """

    starts: np.ndarray
    ends: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, start: int, stop: int) -> ContextTokens:
        """The tokens from ``start`` up to ``stop``; nothing is copied."""
        return ContextTokens(self.starts[start:stop], self.ends[start:stop], self.words[start:stop])

    def aligned(self, firsts: np.ndarray, lasts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Spans of tokens widened to whole words, as far as they are here; not where an end belongs to no word.

        Args:
            firsts: the first token of each span, int64 ``(spans,)``.
            lasts: the last one.
        """
        # A word is a run of tokens with one number.
        begins = np.flatnonzero(np.diff(self.words, prepend=self.words[:1] - 1))
        ends = np.append(begins[1:], len(self)) - 1
        has_words = (self.words[firsts] >= 0) & (self.words[lasts] >= 0)
        return (
            np.where(has_words, begins[np.searchsorted(begins, firsts, side="right") - 1], firsts),
            np.where(has_words, ends[np.searchsorted(ends, lasts)], lasts),
        )


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """A question with a part of its context.

    Attributes:
        encoded: what the model reads.
        context: the whole context.
        tokens: those of the context that are in this window.
        first: the place of the first of them in ``encoded``.
        null: the place of the token that stands for "no answer", the classification token; None if there is none.
    """

    encoded: Encoded
    context: str
    tokens: ContextTokens
    first: int
    null: int | None

    def features(self) -> dict[str, list[int]]:
        """The ids under the names that a model reads them by."""
        return self.encoded.features()

    def characters(
        self, firsts: np.ndarray, lasts: np.ndarray, *, align_to_words: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where spans of tokens stand in the context: first characters, and the ones after the last; ``(spans,)``.

        Args:
            firsts: the first token of each span, counted from the context's first one in this window.
            lasts: the last one.
            align_to_words: widens the spans to whole words, as far as they are in this window.
        """
        if align_to_words:
            firsts, lasts = self.tokens.aligned(firsts, lasts)
        return self.tokens.starts[firsts], self.tokens.ends[lasts]

    def places(self, start: int, end: int) -> tuple[int, int] | None:
        """The places in ``encoded`` of the first and last token of an answer; what a model learns to find.

        Args:
            start: the answer's first character in the context.
            end: the character after its last one.

        Returns:
            None if the answer, or a part of it, is not in this window.
        """
        starts, ends = self.tokens.starts, self.tokens.ends
        answer = self.context[start:end]
        start, end = start + len(answer) - len(answer.lstrip()), end - len(answer) + len(answer.rstrip())
        (touched,) = np.nonzero((starts < end) & (ends > start))
        if not len(touched):
            return None
        first, last = int(touched[0]), int(touched[-1])
        # At the window's edge the answer may go on outside; elsewhere its first character may be in no token.
        if (first == 0 and starts[0] > start) or (last == len(ends) - 1 and ends[-1] < end):
            return None
        return self.first + first, self.first + last


def context_windows(
    tokenizer: TextTokenizer,
    questions: Sequence[QuestionInput],
    *,
    max_length: int,
    stride: int | None,
    max_question: int,
) -> list[list[ContextWindow]]:
    """The windows of each question.

    Args:
        tokenizer: where it pads on the left the context comes first and then the question, as in transformers.
        questions: with their contexts.
        max_length: the most tokens of a window, special ones included.
        stride: tokens of context that neighbouring windows share; None for half a window, and 128 at most, as in
            transformers, or where the question leaves no room for as many for half the room.
        max_question: the most tokens of a question; the rest is cut off.

    Raises:
        InputError: a context has no token, or a question leaves no room for it.
        UsageError: the tokenizer cannot tell where its tokens stand in the text.
    """
    has_context_first = tokenizer.padding_side == "left"
    null_id = tokenizer.class_id
    pieces = [split_text(question.context) for question in questions]
    pairs = [(question.question, piece) for question, of in zip(questions, pieces, strict=True) for piece in of]
    if has_context_first:
        pairs = [(piece, question) for question, piece in pairs]
    encoded = _encode(tokenizer, pairs)
    windows = []
    for question, of_context in zip(questions, pieces, strict=True):
        # Each piece is read before the next one is encoded: what the tokenizer gives takes far more memory.
        framed = _join([_read(piece, next(encoded), int(not has_context_first), max_question) for piece in of_context])
        room = max_length - len(framed.before) - len(framed.after)
        shared = stride
        if shared is None:
            shared = _default_stride(max_length, room, MOST_SHARED * tokenizer.tokens_per_word)
        _check_room(framed, room, shared, max_length)
        windows.append(list(_windows(framed, question.context, room, shared, null_id)))
    return windows


@dataclass(frozen=True, slots=True)
class _Framed:
    """A context, or a piece of it, between what stands around it in every window: question and special tokens."""

    before: Encoded
    body: Encoded
    after: Encoded
    tokens: ContextTokens
    characters: int


def _encode(tokenizer: TextTokenizer, pairs: Sequence[tuple[str, str]]) -> Iterator[Encoded]:
    """The pairs as ids, some at a time."""
    start = 0
    while start < len(pairs):
        stop, held = start, 0
        while stop < len(pairs) and (held == 0 or held + len(pairs[stop][0]) + len(pairs[stop][1]) <= PIECE_CHARACTERS):
            held += len(pairs[stop][0]) + len(pairs[stop][1])
            stop += 1
        firsts, seconds = zip(*pairs[start:stop], strict=True)
        yield from tokenizer.encode(firsts, seconds, aligned=True)
        start = stop


def _read(text: str, encoded: Encoded, owner: int, max_question: int) -> _Framed:
    """A piece of a context out of its encoding with the question.

    Args:
        text: the piece.
        encoded: the pair, aligned.
        owner: 0 if the context is the first of the pair, 1 if it is the second.
        max_question: the most tokens of the question.
    """
    alignment = encoded.alignment
    if alignment is None:
        raise ValueError("encoded without alignment")
    inside = [place for place, whose in enumerate(alignment.owners) if whose == owner]
    start, stop = (inside[0], inside[-1] + 1) if inside else (0, 0)
    cut = {place for place, whose in enumerate(alignment.owners) if whose == 1 - owner}
    cut -= set(sorted(cut)[:max_question])
    offsets = np.array(alignment.offsets[start:stop], dtype=np.int32).reshape(-1, 2)
    words = np.array([-1 if word is None else word for word in alignment.words[start:stop]], dtype=np.int32)
    types = encoded.token_type_ids
    return _Framed(
        encoded.take([place for place in range(start) if place not in cut], None),
        Encoded(encoded.input_ids[start:stop], None if types is None else types[start:stop]),
        encoded.take([place for place in range(stop, len(encoded)) if place not in cut], None),
        ContextTokens(offsets[:, 0], offsets[:, 1], words),
        len(text),
    )


def _join(pieces: Sequence[_Framed]) -> _Framed:
    """The pieces of a context as one; characters and words are counted on.

    Raises:
        InputError: there is no token in any of them.
    """
    if len(pieces) == 1 and len(pieces[0].tokens):
        return pieces[0]
    ids: list[int] = []
    types: list[int] = []
    starts, ends, words = [], [], []
    num_characters, num_words = 0, 0
    for piece in pieces:
        ids += piece.body.input_ids
        types += piece.body.token_type_ids or []
        starts.append(piece.tokens.starts + num_characters)
        ends.append(piece.tokens.ends + num_characters)
        words.append(np.where(piece.tokens.words < 0, -1, piece.tokens.words + num_words))
        num_characters += piece.characters
        num_words += int(piece.tokens.words.max(initial=-1)) + 1
    if not ids:
        raise InputError("the context has no token for this model, so there is no answer in it; leave it out.")
    whole = next(piece for piece in pieces if len(piece.tokens))
    tokens = ContextTokens(np.concatenate(starts), np.concatenate(ends), np.concatenate(words))
    return replace(whole, body=Encoded(ids, types or None), tokens=tokens, characters=num_characters)


def _default_stride(max_length: int, room: int, most: int) -> int:
    """How many tokens neighbouring windows share, of the ``room`` that they have for the context; ``most`` at most.

    >>> _default_stride(384, 300, 128), _default_stride(64, 40, 128), _default_stride(64, 30, 128)
    (128, 32, 15)
    """
    stride = min(max_length // 2, most)
    return stride if stride < room else room // 2


def _check_room(framed: _Framed, room: int, stride: int, max_length: int) -> None:
    """Refuses a question beside which there is no room in a window.

    Raises:
        InputError: ``room``, in tokens of context, is less than one, or so little that windows bring nothing new.
    """
    if room < 1:
        taken = len(framed.before) + len(framed.after)
        raise InputError(
            f"the question and the special tokens take {taken} tokens, which leaves no room for the context in "
            f"max_seq_len={max_length}; shorten the question, or cut it with a smaller max_question_len."
        )
    if len(framed.tokens) > room <= stride:
        raise InputError(
            f"beside this question a window has room for {room} tokens of the context, of which the next one shares "
            f"doc_stride={stride}, so that it brings nothing new; choose a smaller doc_stride."
        )


def _windows(framed: _Framed, context: str, room: int, stride: int, null_id: int | None) -> Iterator[ContextWindow]:
    """The windows with at most ``room`` tokens of the context, of which neighbours share ``stride``."""
    before, body, after = framed.before, framed.body, framed.after
    for start in range(0, len(body) - stride, room - stride) if len(body) > room else (0,):
        stop = min(start + room, len(body))
        ids = before.input_ids + body.input_ids[start:stop] + after.input_ids
        types = None
        if body.token_type_ids is not None:
            types = [*(before.token_type_ids or ()), *body.token_type_ids[start:stop], *(after.token_type_ids or ())]
        yield ContextWindow(
            Encoded(ids, types),
            context,
            framed.tokens.part(start, stop),
            len(before),
            _null_place(before, stop - start, after, null_id),
        )


def _null_place(before: Encoded, num_tokens: int, after: Encoded, null_id: int | None) -> int | None:
    """Where the classification token stands that the tokenizer added; None if it adds none."""
    for shift, part in ((0, before), (len(before) + num_tokens, after)):
        owners = part.alignment.owners if part.alignment is not None else []
        for place, (token, owner) in enumerate(zip(part.input_ids, owners, strict=True)):
            if token == null_id and owner is None:
                return shift + place
    return None
