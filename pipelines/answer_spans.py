"""From logits to answers: the most probable spans of each window, and the answers of all windows as one list.

The rule is that of ``transformers.QuestionAnsweringPipeline`` in its last form, version 4.57 (pull requests 38761 and
39193 of huggingface/transformers). In each window the start and the end have a probability each: the softmax over
the tokens of the context and the classification token, on which a model that was trained with unanswerable
questions puts "no answer" (Devlin et al. 2019, BERT, section 4.3). The score of a span is the product of the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy as np

from .context_windows import ContextWindow


class Answer(TypedDict):
    """An answer: its score, its first character in the context, the one after its last, and its text."""

    score: float
    start: int
    end: int
    answer: str


def find_answers(
    windows: Iterable[tuple[np.ndarray, ContextWindow]],
    *,
    top_k: int,
    max_answer_tokens: int,
    align_to_words: bool,
    has_null: bool,
) -> list[Answer]:
    """The best answers of all windows, best first; fewer than ``top_k`` where there are no more.

    Spans with the same text, without regard to case, are one answer: its scores are added up, and it stands where it
    was found first, in the order of windows and then of scores. So the score of an answer that stands in several
    windows can be over 1.

    Args:
        windows: logits of the starts and the ends, float32 ``(2, length)``, of each window.
        top_k: answers wanted.
        max_answer_tokens: the most tokens of an answer, before it is aligned.
        align_to_words: widens answers to whole words. Several spans may then be the same, so that more of them are
            taken from each window: twice as many as wanted, and ten.
        has_null: adds the empty answer; its score is the least that a window gives to "no answer".
    """
    count = 2 * top_k + 10 if align_to_words else top_k
    answers: dict[str, Answer] = {}
    null_score = float("inf")
    for logits, window in windows:
        probabilities, null_probability = span_probabilities(logits, window)
        null_score = min(null_score, null_probability)
        firsts, lasts, scores = best_spans(probabilities[0], probabilities[1], max_answer_tokens, count)
        starts, ends = window.characters(firsts, lasts, align_to_words=align_to_words)
        for score, start, end in zip(scores.tolist(), starts.tolist(), ends.tolist(), strict=True):
            text = window.context[start:end]
            known = answers.setdefault(text.lower(), {"score": 0.0, "start": start, "end": end, "answer": text})
            known["score"] += score
    found = list(answers.values())
    if has_null:
        found.append({"score": null_score, "start": 0, "end": 0, "answer": ""})
    return sorted(found, key=lambda answer: answer["score"], reverse=True)[:top_k]


def span_probabilities(logits: np.ndarray, window: ContextWindow) -> tuple[np.ndarray, float]:
    """The probabilities that each token of the context starts and ends the answer, and that there is none.

    Args:
        logits: float32 ``(2, length)``, for the starts and the ends.
        window: says which of the tokens are of the context.

    Returns:
        float32 ``(2, tokens)``, and the product of the classification token's two probabilities, 0 if there is no
        such token.
    """
    chosen = list(range(window.first, window.first + len(window.tokens)))
    if window.null is not None:
        chosen.append(window.null)
    shifted = logits[:, chosen]
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    null = 0.0 if window.null is None else float(probabilities[0, -1] * probabilities[1, -1])
    return probabilities[:, : len(window.tokens)], null


def best_spans(
    starts: np.ndarray, ends: np.ndarray, max_tokens: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most probable spans, best first; of equal ones the earlier and shorter comes first.

    Only spans of at most ``max_tokens`` are formed, ``tokens × max_tokens`` in all.

    Args:
        starts: float32 ``(tokens,)``, the probability of each token to be the first.
        ends: float32 ``(tokens,)``, to be the last.
        max_tokens: the most tokens of a span.
        count: spans wanted; there may be fewer.

    Returns:
        The first token of each span, its last one, and its score; ``(spans,)``.

    >>> firsts, lasts, scores = best_spans(np.array([0.75, 0.25]), np.array([0.5, 0.5]), 2, 3)
    >>> firsts.tolist(), lasts.tolist(), scores.tolist()
    ([0, 0, 1], [0, 1, 1], [0.375, 0.375, 0.125])
    """
    width = min(max_tokens, len(starts))
    # Past the last token no span ends; -1 is below every product.
    padded = np.concatenate([ends, np.full(width - 1, -1, dtype=ends.dtype)])
    following = np.lib.stride_tricks.sliding_window_view(padded, width)  # (tokens, width)
    scores = np.where(following < 0, -1, starts[:, None] * following).ravel()
    count = min(count, int(np.count_nonzero(scores >= 0)))
    chosen = np.argpartition(-scores, count - 1)[:count]
    chosen = chosen[np.lexsort((chosen, -scores[chosen]))]
    return chosen // width, chosen // width + chosen % width, scores[chosen]
