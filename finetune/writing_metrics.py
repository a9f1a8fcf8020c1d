"""How good written texts are: BLEU and chrF by sacrebleu, ROUGE by rouge-score, and how many are exactly right.

    translation              sacrebleu (BLEU of the whole split, detokenised; Post 2018), chrf (Popović 2015)
    summarization            rouge1, rouge2, rougeL (Lin 2004), F1, mean over the texts
    text2text-generation     rouge1, rouge2, rougeL, and exact_match: the share of texts that are the wanted one

All are from 0 to 100. The first metric of each list is the main one. Intervals resample whole texts: BLEU and chrF are
computed anew from the sums of their counts, as Koehn (2004) does, the others are means.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..cards.facts import MetricFact
from ..pipelines.errors import DataError, ShapeError
from . import bootstrap as resampling
from .metrics import Scores

ORDER = 4
"""The longest n-gram of words that BLEU counts (Papineni et al. 2002)."""

CHARACTER_ORDER, BETA = 6, 2
"""The longest n-gram of characters that chrF counts, and how much more recall weighs than precision."""

ROUGE = ("rouge1", "rouge2", "rougeL")

_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+")


def translation_metrics(
    answers: Sequence[str], wanted: Sequence[str], *, bootstrap: int = 1000, seed: int = 0
) -> Scores:
    """BLEU and chrF of the whole split, with 95 % bootstrap percentile intervals.

    Args:
        answers: a text for each row.
        wanted: the same, as it should be.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.

    Raises:
        DataError: there are no rows.
        ShapeError: there are not as many answers as rows.
    """
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    _check(answers, wanted)
    scores = {
        "sacrebleu": BLEU().corpus_score(list(answers), [list(wanted)]),
        "chrf": CHRF().corpus_score(list(answers), [list(wanted)]),
    }
    values = {name: min(100.0, found.score) for name, found in scores.items()}  # rounding may leave 100.00000000000004
    ends: Mapping = {}
    if bootstrap:
        words, characters = bleu_counts(answers, wanted), chrf_counts(answers, wanted)
        ends = resampling.intervals(
            lambda counts: {"sacrebleu": bleu(words @ counts), "chrf": chrf(characters @ counts)},
            len(wanted),
            resamples=bootstrap,
            seed=seed,
        )
    return _scores(values, ends)


def translation_protocol() -> dict[str, str]:
    """How `translation_metrics` counts: the signatures of sacrebleu."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    found = {}
    for name, metric in (("sacrebleu", BLEU()), ("chrf", CHRF())):
        metric.corpus_score(["a"], [["a"]])  # a signature says how many references there were
        found[name] = str(metric.get_signature())
    return found


def chrf_of_rows(answers: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """chrF of each text by itself, float64 (rows,), from 0 to 100."""
    return chrf(chrf_counts(answers, wanted))


def bleu_counts(answers: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """What BLEU adds up, float64 (2 * ORDER + 2, rows): n-grams found, n-grams there, and both lengths in words."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(effective_order=True)  # which only keeps it from warning of short texts
    rows = [metric.sentence_score(answer, [right]) for answer, right in zip(answers, wanted, strict=True)]
    return np.array([[*row.counts, *row.totals, row.sys_len, row.ref_len] for row in rows], dtype=np.float64).T


def bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU from 0 to 100 for each column of the sums of `bleu_counts`; exponential smoothing as sacrebleu has it."""
    found, there = sums[:ORDER], sums[ORDER : 2 * ORDER]
    own, right = sums[-2], sums[-1]
    # Of orders without a match each counts half as much as the one before.
    halvings = np.cumsum((found == 0) & (there > 0), axis=0)
    precisions = np.where(found > 0, found, 0.5**halvings) / np.maximum(there, 1)
    is_defined = (there > 0).all(0) & (found[0] > 0)
    means = np.exp(np.log(np.where(is_defined, precisions, 1)).mean(0))
    brevity = np.where(own < right, np.exp(1 - right / np.maximum(own, 1)), 1.0)
    return np.where(is_defined, np.minimum(100, 100 * brevity * means), 0.0)


def chrf_counts(answers: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """What chrF adds up, float64 (3 * CHARACTER_ORDER, rows): n-grams answered, wanted, and in both, by length."""
    counts = np.zeros((3, CHARACTER_ORDER, len(wanted)))
    for row, (answer, right) in enumerate(zip(answers, wanted, strict=True)):
        one, other = "".join(answer.split()), "".join(right.split())
        for order in range(1, CHARACTER_ORDER + 1):
            given, there = (
                Counter(text[start : start + order] for start in range(len(text) - order + 1)) for text in (one, other)
            )
            # as sacrebleu: n-grams longer than what is wanted do not count against the answer
            counts[:, order - 1, row] = given.total() if there else 0, there.total(), (given & there).total()
    return counts.reshape(3 * CHARACTER_ORDER, -1)


def chrf(sums: np.ndarray) -> np.ndarray:
    """chrF from 0 to 100 for each column of the sums of `chrf_counts`; precision and recall are means over orders."""
    answered, wanted, both = sums.reshape(3, CHARACTER_ORDER, -1)
    counts = (answered > 0) & (wanted > 0)  # longer n-grams than the texts are left out
    orders = np.maximum(counts.sum(0), 1)
    precision = (both / np.maximum(answered, 1) * counts).sum(0) / orders
    recall = (both / np.maximum(wanted, 1) * counts).sum(0) / orders
    return 100 * resampling.ratio((1 + BETA**2) * precision * recall, BETA**2 * precision + recall, otherwise=0.0)


def rouge_metrics(
    answers: Sequence[str],
    wanted: Sequence[str],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
    with_exact: bool = False,
) -> Scores:
    """ROUGE-1, -2 and -L as F1 and, ``with_exact``, the share of texts that are the wanted one; else as above."""
    _check(answers, wanted)
    rows = rouge_of_rows(answers, wanted)
    if with_exact:
        pairs = zip(answers, wanted, strict=True)
        rows["exact_match"] = np.array([100.0 * (answer.split() == right.split()) for answer, right in pairs])
    return mean_scores(rows, bootstrap=bootstrap, seed=seed)


def mean_scores(rows: Mapping[str, np.ndarray], *, bootstrap: int, seed: int) -> Scores:
    """The mean of each metric over its rows, float64 (rows,), with its interval."""
    count = len(next(iter(rows.values())))
    ends = resampling.intervals(
        lambda counts: {name: values @ counts / count for name, values in rows.items()},
        count,
        resamples=bootstrap,
        seed=seed,
    )
    return _scores({name: float(values.mean()) for name, values in rows.items()}, ends)


def rouge_of_rows(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The F1 of each kind of ROUGE for each text, float64 (rows,), from 0 to 100."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), tokenizer=_Words())
    rows = [scorer.score(right, answer) for answer, right in zip(answers, wanted, strict=True)]
    return {name: np.array([100 * row[name].fmeasure for row in rows]) for name in ROUGE}


ROUGE_PROTOCOL = "words of letters and digits in lower case, each Chinese character one; not stemmed"


class _Words:
    """Words as rouge-score counts them, of any language: its own way knows no letters but a to z."""

    def tokenize(self, text: str) -> list[str]:
        return _WORD.findall(text.lower())


def _check(answers: Sequence[str], wanted: Sequence[str]) -> None:
    if not len(wanted):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    if len(answers) != len(wanted):
        raise ShapeError(f"there are {len(answers)} answers for {len(wanted)} rows, expected one for each")


def _scores(values: Mapping[str, float], ends: Mapping) -> Scores:
    return Scores(tuple(MetricFact(name, float(value), *resampling.end(ends, name)) for name, value in values.items()))


Scorer = Callable[..., Scores]
"""Answers and wanted texts, with ``bootstrap`` and ``seed`` -> metrics."""
