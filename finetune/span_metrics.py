"""How good answers out of a text are: exact match and F1 of words, in %, as SQuAD's official script counts them.

Rajpurkar et al. 2016, "SQuAD", section 6.1; with unanswerable questions Rajpurkar et al. 2018, "Know What You Don't
Know". Of several right answers the one that fits best counts. Case, punctuation, the articles a, an and the, and white
space make no difference.

In a language without spaces there are no such words: each of its characters is one (as in Cui et al. 2019, "A
Span-Extraction Dataset for Chinese Machine Reading Comprehension"), all punctuation is left out, and articles stay. A
split is read so if most letters of its questions are Chinese, Japanese, Thai, Lao, Khmer or Burmese.

torchmetrics has the same for whole splits without unanswerable questions; tests/finetune/test_span_metrics.py compares.
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cards.facts import MetricFact
from ..pipelines.errors import DataError
from . import bootstrap as resampling
from .metrics import Scores

_SPACELESS = (
    "\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese, Japanese
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai and Lao, Burmese, Khmer
)
_SPACELESS_CHARACTER = re.compile(f"([{_SPACELESS}])")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ALL_PUNCTUATION = {
    code: None
    for code in range(sys.maxunicode + 1)
    if chr(code) in string.punctuation or unicodedata.category(chr(code)).startswith("P")
}


@dataclass(frozen=True)
class Reading:
    """How the answers to the questions of a split are given and counted.

    Attributes:
        by_character: whether each character of a language without spaces is a word.
        has_null: whether some questions have no answer, so that "no answer" is an answer like others.
    """

    by_character: bool
    has_null: bool

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Reading:
        """What suits rows with the columns question and answers."""
        letters = spaceless = 0
        has_null = False
        for row in rows:
            letters += sum(map(str.isalpha, row["question"]))
            spaceless += len(_SPACELESS_CHARACTER.findall(row["question"]))
            has_null = has_null or not len(row["answers"]["text"])
        return cls(2 * spaceless > letters, has_null)

    @property
    def options(self) -> dict[str, bool]:
        """The options of the pipeline for such questions."""
        return {"align_to_words": not self.by_character, "handle_impossible_answer": self.has_null}

    def words(self, text: str) -> list[str]:
        """The words of an answer that count.

        >>> Reading(False, False).words("The  U.S. Army"), Reading(True, False).words("大元 (1271年)。")
        (['us', 'army'], ['大', '元', '1271', '年'])
        """
        if not self.by_character:
            return _ARTICLES.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split()
        return _SPACELESS_CHARACTER.sub(r" \1 ", text.lower().translate(_ALL_PUNCTUATION)).split()


def span_scores(answer: str, references: Sequence[str], reading: Reading) -> tuple[float, float]:
    """Exact match and F1 of one answer, each in [0, 1].

    Args:
        answer: empty for "no answer".
        references: the right answers; none for a question that has no answer.
        reading: how words are counted.
    """
    given = reading.words(answer)
    right = [reading.words(text) for text in references]
    if reading.has_null:  # the script for SQuAD 2.0 leaves out answers of which nothing is left
        right = [words for words in right if words] or [[]]
    exact = max((float(given == words) for words in right), default=0.0)
    return exact, max((_f1(given, words) for words in right), default=0.0)


def _f1(given: Sequence[str], right: Sequence[str]) -> float:
    if not (given and right):
        return float(given == right)
    shared = sum((Counter(given) & Counter(right)).values())
    return 2 * shared / (len(given) + len(right)) if shared else 0.0


def span_metrics(
    answers: Sequence[str],
    references: Sequence[Sequence[str]],
    reading: Reading,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Scores:
    """F1 and exact match in %, with 95 % bootstrap percentile intervals.

    Where some questions have an answer and some have none, also both for those that have one, and for the others how
    many were answered with nothing.

    Args:
        answers: of the model, empty for "no answer".
        references: the right answers to each question; none where there is no answer.
        reading: how words are counted.
        bootstrap: number of resamples; 0 leaves the intervals out.
        seed: of the resamples.

    Raises:
        DataError: there are no questions.
    """
    if not len(references):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    pairs = [span_scores(answer, right, reading) for answer, right in zip(answers, references, strict=True)]
    return metrics_of(pairs, [bool(len(right)) for right in references], bootstrap=bootstrap, seed=seed)


def metrics_of(
    pairs: Sequence[tuple[float, float]], has_answer: Sequence[bool], *, bootstrap: int, seed: int
) -> Scores:
    """The metrics that exact match and F1 of each question, in [0, 1], make; see `span_metrics`."""
    exact, f1 = 100 * np.asarray(pairs, dtype=np.float64).T  # each (questions,)
    answerable = np.asarray(has_answer, dtype=np.float64)
    columns = {"f1": (f1, np.ones_like(f1)), "exact_match": (exact, np.ones_like(f1))}
    if 0 < answerable.sum() < len(answerable):
        columns["has_answer_f1"] = (f1, answerable)
        columns["has_answer_exact_match"] = (exact, answerable)
        columns["no_answer_exact_match"] = (exact, 1 - answerable)

    def statistics(counts: resampling.Counts) -> dict[str, np.ndarray]:
        return {
            name: resampling.ratio((values * weights) @ counts, weights @ counts)
            for name, (values, weights) in columns.items()
        }

    ends = resampling.intervals(statistics, len(f1), resamples=bootstrap, seed=seed)
    return Scores(
        tuple(
            MetricFact(name, float((values * weights).sum() / weights.sum()), *resampling.end(ends, name))
            for name, (values, weights) in columns.items()
        )
    )
