"""Choosing the next token: greedy or drawn, with seeds of one's own, and the loop for networks that carry a state.

Models of transformers decode by their own ``generate`` (see ``generation.py``), which takes seeds from here. A network
of our own needs no ``generate``: with the two methods of `StatefulLanguageModel` it is decoded by `decode_steps` under
the same options, at the same cost for every token; one with those of `StatefulEncoderDecoder` also by the beam search
in ``beam_search.py``.

**The rule of seeds.** With a seed each sequence is drawn by a generator of its own, which is started from the seed, the
prompt's tokens and the number of the sequence among those of its prompt. So the text depends neither on the size or
the order of batches nor on the other prompts; equal prompts get equal texts, and the sequences of one prompt differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch


@runtime_checkable
class StatefulLanguageModel(Protocol):
    """A language model that reads tokens one after another and keeps what it read in a state of fixed size."""

    def start(self, batch: int) -> Any:
        """The state before the first token, for ``batch`` texts."""
        ...

    def step(self, input_ids: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        """Logits ``(batch, vocab)`` of the token after ``input_ids`` ``(batch, length)``, and the state after them."""
        ...


@runtime_checkable
class StatefulEncoderDecoder(Protocol):
    """A network that reads a text and then writes another one, token after token."""

    def encode(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        """The state before the first written token, of texts ``(batch, length)`` with 1 in the mask at their tokens."""
        ...

    def step(self, input_ids: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        """Logits ``(batch, vocab)`` of the token after ``input_ids`` ``(batch, steps)``, and the state after them."""
        ...

    def reorder(self, state: Any, rows: torch.Tensor) -> Any:
        """The state of the texts ``rows``, int64 (any number,), in this order; a text may come several times."""
        ...


@dataclass(frozen=True)
class DecodingRules:
    """How each next token is chosen.

    Attributes:
        max_new_tokens: after so many a text ends.
        min_new_tokens: before so many no token of ``ends`` is chosen.
        do_sample: whether tokens are drawn; otherwise the most probable one is taken.
        temperature: the logits are divided by it before drawing.
        top_k: only so many most probable tokens can be drawn; None or 0 for all.
        top_p: only the most probable tokens that together have this probability can be drawn, in (0, 1].
        min_p: only tokens with at least this share of the highest probability can be drawn; None for all.
        repetition_penalty: logits of tokens that the prompt or the text holds are divided by it where they are
            positive, and multiplied where they are negative (Keskar et al. 2019, CTRL, section 4.1).
        no_repeat_ngram_size: no run of so many tokens comes twice, the prompt's included (Paulus et al. 2018, section
            2.5); None or 0 where it may.
        ends: tokens that end a text.
    """

    max_new_tokens: int
    min_new_tokens: int = 0
    do_sample: bool = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    ends: frozenset[int] = frozenset()


def sequence_generator(seed: int, prompt: Sequence[int], number: int) -> torch.Generator:
    """The generator, on the CPU, that draws one sequence; see the rule of seeds above.

    Args:
        seed: what the user gave.
        prompt: token ids of the text that the sequence continues or is made from.
        number: of the sequence among those of its prompt, from 0.
    """
    content = f"{seed} {number} {' '.join(map(str, prompt))}".encode()
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(content).digest()[:8]) >> 1)


def restrict(scores: torch.Tensor, rules: DecodingRules) -> torch.Tensor:
    """``scores`` ``(rows, vocab)`` by temperature, then -inf where top_k, top_p and min_p allow no drawing, in turn."""
    if rules.temperature is not None:
        scores = scores / rules.temperature
    if rules.top_k:
        lowest = scores.topk(min(rules.top_k, scores.shape[-1])).values[:, -1:]
        scores = scores.masked_fill(scores < lowest, -torch.inf)
    if rules.top_p is not None and rules.top_p < 1:
        ordered, places = scores.sort(descending=True)
        probabilities = ordered.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities  # of the more probable tokens together
        is_out = before >= rules.top_p
        scores = scores.masked_fill(is_out.scatter(-1, places, is_out), -torch.inf)
    if rules.min_p is not None:
        probabilities = scores.softmax(-1)
        scores = scores.masked_fill(probabilities < rules.min_p * probabilities.amax(-1, keepdim=True), -torch.inf)
    return scores


def draw(scores: torch.Tensor, generators: Sequence[torch.Generator] | None) -> torch.Tensor:
    """A token for each row of ``scores`` ``(rows, vocab)``, drawn with the probabilities that they stand for.

    Args:
        scores: logits; -inf for what is not to be drawn.
        generators: one for each row, so that a row's token does not depend on the others; None for torch's global one.
    """
    cumulative = scores.double().softmax(-1).cumsum(-1)
    numbers = (
        torch.rand(len(scores), dtype=torch.float64)
        if generators is None
        else torch.cat([torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators])
    )
    aims = numbers.to(scores.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, aims, right=True).squeeze(-1).clamp(max=scores.shape[-1] - 1)


def penalise(scores: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """``scores`` with the repetition penalty where ``seen`` (bool, of the same shape) is True."""
    return torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)


def repeated(text: Sequence[int], size: int) -> list[int]:
    """The tokens after which ``text`` would hold a run of ``size`` tokens twice.

    >>> repeated([5, 6, 7, 5, 6], 3), repeated([5, 6], 1)
    ([7], [5, 6])
    """
    last = list(text[len(text) - size + 1 :]) if len(text) >= size > 1 else []
    starts = range(len(text) - size + 1)
    return [text[start + size - 1] for start in starts if list(text[start : start + size - 1]) == last]


def without_repeats(scores: torch.Tensor, texts: Sequence[Sequence[int]], size: int | None) -> torch.Tensor:
    """``scores`` ``(rows, vocab)``, -inf for what would repeat a run of ``size`` tokens of its text."""
    found = [(row, token) for row, text in enumerate(texts) for token in repeated(text, size)] if size else []
    if not found:
        return scores
    rows, tokens = torch.tensor(found, device=scores.device).T
    return scores.index_put((rows, tokens), torch.tensor(-torch.inf, device=scores.device))


def decode_steps(
    model: StatefulLanguageModel | StatefulEncoderDecoder,
    state: Any,
    prompts: Sequence[Sequence[int]],
    rules: DecodingRules,
    *,
    device: torch.device,
    generators: Sequence[torch.Generator] | None = None,
    is_finished: Callable[[Sequence[int]], bool] = lambda text: False,
) -> Iterator[list[int | None]]:
    """The next token of each text, step by step, until all texts have ended; None for one that got no token.

    Nothing is padded: while the longer prompts are still read, the shorter ones are continued already, so each row's
    state has read its own text and nothing else.

    Args:
        model: reads the tokens.
        state: before the first of them, for ``len(prompts)`` texts.
        prompts: token ids, each at least one.
        rules: how tokens are chosen.
        device: where the model computes.
        generators: one for each prompt; None for torch's global one.
        is_finished: told a prompt with its new tokens, whether the text ends with them, as at a stop string.

    Raises:
        ValueError: the logits of a text are not numbers.
    """
    texts = [list(prompt) for prompt in prompts]
    active = [True] * len(texts)
    read = min(map(len, texts))
    ids = torch.tensor([text[:read] for text in texts], device=device)
    seen: torch.Tensor | None = None
    while any(active):
        logits, state = model.step(ids, state)
        scores = logits.float()
        if bool(scores.isnan().any()):
            raise ValueError("the model's output is not finite")
        if rules.repetition_penalty not in (None, 1.0):
            if seen is None:
                seen = torch.zeros_like(scores, dtype=torch.bool)
                for row, prompt in enumerate(prompts):
                    seen[row, list(prompt)] = True
            scores = penalise(scores, seen, float(rules.repetition_penalty or 1))
        scores = without_repeats(scores, texts, rules.no_repeat_ngram_size)
        tokens = _choose(scores, texts, prompts, rules, generators, active, read)
        given: list[int | None] = [None] * len(texts)
        for row, text in enumerate(texts):
            if not active[row] or len(text) > read:
                continue  # it has ended, or its prompt is still being read
            token = tokens[row]
            text.append(token)
            given[row] = token
            if seen is not None:
                seen[row, token] = True
            is_full = len(text) - len(prompts[row]) >= rules.max_new_tokens
            active[row] = not (is_full or token in rules.ends or is_finished(text))
        if any(token is not None for token in given):
            yield given
        # A text that has ended is fed its last token again: its row stands in the batch, but nobody reads it.
        ids = torch.tensor([[text[min(read, len(text) - 1)]] for text in texts], device=device)
        read += 1


def _choose(
    scores: torch.Tensor,
    texts: Sequence[Sequence[int]],
    prompts: Sequence[Sequence[int]],
    rules: DecodingRules,
    generators: Sequence[torch.Generator] | None,
    active: Sequence[bool],
    read: int,
) -> list[int]:
    """A token for each row; of a row that gets none now its generator is left alone."""
    if rules.ends and rules.min_new_tokens:
        young = [row for row, text in enumerate(texts) if len(text) - len(prompts[row]) < rules.min_new_tokens]
        ends = torch.tensor(sorted(rules.ends), device=scores.device)
        scores = scores.index_put(
            (torch.tensor(young, device=scores.device)[:, None], ends), torch.tensor(-torch.inf, device=scores.device)
        )
    if not rules.do_sample:
        return scores.argmax(-1).tolist()
    rows = [row for row, text in enumerate(texts) if active[row] and len(text) <= read]
    tokens = [0] * len(texts)
    if rows:
        own = None if generators is None else [generators[row] for row in rows]
        for row, token in zip(rows, draw(restrict(scores[rows], rules), own).tolist(), strict=True):
            tokens[row] = token
    return tokens
