"""Beam search: of all beginnings of a text the most probable ones are followed at once (Sutskever et al. 2014).

The rules are those of ``generate`` in transformers, so that the same weights give the same texts: at each step twice as
many continuations as beams are looked at, so that there are enough that go on; a text's score is the sum of the
logarithms of its tokens' probabilities, divided by its length to the power of the length penalty (Wu et al. 2016,
section 7, have another formula for the same end).
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from .decoding import DecodingRules, StatefulEncoderDecoder, penalise, without_repeats

IMPOSSIBLE = -1e9
"""The score of a beam that is none, as transformers has it."""


@dataclass(frozen=True)
class BeamRules:
    """How beginnings are compared.

    Attributes:
        width: beginnings followed at once.
        length_penalty: above 0 longer texts are favoured, below 0 shorter ones.
        early_stopping: whether to stop as soon as there are as many texts as beams; False stops where none of the
            beginnings has a better score than the worst of these texts; ``never`` where none could get one, however
            long it grows.
    """

    width: int
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False


@dataclass
class _Search:
    """The beams of one text.

    Attributes:
        number: of the text.
        finished: score and tokens of the texts that have ended, best first, as many as beams at most.
    """

    number: int
    finished: list[tuple[float, list[int]]] = field(default_factory=list)

    def add(self, score: float, tokens: list[int], width: int) -> None:
        """Keeps a text that has ended, if it is among the best."""
        bisect.insort(self.finished, (score, tokens), key=lambda text: -text[0])
        del self.finished[width:]


def beam_search(
    model: StatefulEncoderDecoder,
    state: Any,
    count: int,
    start: int,
    rules: DecodingRules,
    beams: BeamRules,
    *,
    device: torch.device,
    is_finished: Callable[[Sequence[int]], bool] | None = None,
) -> list[list[list[int]]]:
    """For each of ``count`` texts the tokens written, best first, as many as beams; with the token that ended each.

    What has ended leaves the batch, and no text depends on the others in it.

    Args:
        model: writes.
        state: by ``model.encode``.
        count: of the texts that were encoded.
        start: the token with which writing begins.
        rules: lengths, rules on repetition and the tokens that end a text.
        beams: how many, and how they are compared.
        device: where the model computes.
        is_finished: told the tokens of a text, ``start`` first, whether it ends with them, as at a stop string.

    Raises:
        ValueError: the logits of a text are not numbers.
    """
    width = beams.width
    candidates = max(2, 1 + len(rules.ends)) * width
    ends = torch.tensor(sorted(rules.ends), dtype=torch.int64, device=device)
    searches = [_Search(number) for number in range(count)]
    active = searches
    state = model.reorder(state, torch.arange(count, device=device).repeat_interleave(width))
    texts = torch.full((count, width, 1), start, device=device)  # (active, width, tokens)
    scores = torch.full((count, width), IMPOSSIBLE, device=device)
    scores[:, 0] = 0.0  # at first all beams of a text are the same one
    for length in range(1, rules.max_new_tokens + 1):
        logits, state = model.step(texts[:, :, -1].reshape(-1, 1), state)
        added = logits.float().log_softmax(-1)  # (active * width, vocab)
        if bool(added.isnan().any()):
            raise ValueError("the model's output is not finite")
        added = _allowed(added, texts, rules, ends, length)
        vocab = added.shape[-1]
        of_all = (added.view(len(active), width, vocab) + scores[:, :, None]).flatten(1)
        found, places = of_all.topk(min(candidates, of_all.shape[1]))  # (active, candidates)
        parents, tokens = places // vocab, places % vocab
        grown = torch.cat([_of_beams(texts, parents), tokens[:, :, None]], -1)  # (active, candidates, tokens)
        has_ended = torch.isin(tokens, ends)
        if length == rules.max_new_tokens:
            has_ended = torch.ones_like(has_ended)
        elif is_finished is not None:
            told = [[is_finished(text) for text in row] for row in grown.tolist()]
            has_ended = has_ended | torch.tensor(told, device=device)

        # Texts that have ended, among the best as many as beams; the others are there to go on in their place.
        divisor = length**beams.length_penalty
        is_open = [beams.early_stopping is not True or len(search.finished) < width for search in active]
        for row, candidate in has_ended[:, :width].nonzero().tolist():
            if is_open[row]:
                score = float(found[row, candidate]) / divisor
                active[row].add(score, grown[row, candidate, 1:].tolist(), width)

        # Beginnings that go on.
        going = found + has_ended.float() * IMPOSSIBLE
        scores, kept = going.topk(width)  # (active, width)
        texts = _of_beams(grown, kept)
        best = scores[:, 0].tolist()
        hopeful = [row for row, search in enumerate(active) if _may_improve(search, best[row], rules, beams, length)]
        if not hopeful:
            break
        rows = torch.tensor(hopeful, device=device)
        parents = parents.gather(1, kept)[rows]  # (hopeful, width)
        state = model.reorder(state, (parents + rows[:, None] * width).flatten())
        active, texts, scores = [active[row] for row in hopeful], texts[rows], scores[rows]
    return [[tokens for _, tokens in search.finished] for search in searches]


def _allowed(
    added: torch.Tensor, texts: torch.Tensor, rules: DecodingRules, ends: torch.Tensor, length: int
) -> torch.Tensor:
    """The logarithms of the probabilities, ``(rows, vocab)``, by the rules on repetition and the least length."""
    if rules.repetition_penalty not in (None, 1.0):
        seen = torch.zeros_like(added, dtype=torch.bool).scatter(1, texts.flatten(0, 1), True)
        added = penalise(added, seen, float(rules.repetition_penalty or 1))
    if rules.no_repeat_ngram_size:
        added = without_repeats(added, texts.flatten(0, 1).tolist(), rules.no_repeat_ngram_size)
    if len(ends) and length <= rules.min_new_tokens:
        added = added.index_fill(1, ends, -torch.inf)
    return added


def _of_beams(texts: torch.Tensor, beams: torch.Tensor) -> torch.Tensor:
    """``texts`` (active, width, tokens) of the beams ``beams`` (active, any number)."""
    return texts.gather(1, beams[:, :, None].expand(-1, -1, texts.shape[2]))


def _may_improve(search: _Search, best: float, rules: DecodingRules, beams: BeamRules, length: int) -> bool:
    """Whether a beginning of score ``best`` after ``length`` tokens may become a better text than those finished."""
    if length == rules.max_new_tokens:
        return False
    if len(search.finished) < beams.width:
        return best > IMPOSSIBLE / 2  # all of them have ended, at a stop string for instance
    if beams.early_stopping is True:
        return False
    is_patient = beams.early_stopping == "never" and beams.length_penalty > 0
    reach = rules.max_new_tokens if is_patient else length
    return best / reach**beams.length_penalty > search.finished[-1][0]
