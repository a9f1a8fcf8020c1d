"""How alike two texts are by their words alone: what vectors of texts are compared with.

    word overlap   shared words over all words of both, each counted once (Jaccard 1912)
    TF-IDF         cosine of word counts weighted by rarity (Salton and Buckley 1988), by scikit-learn
    BM25           Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", equation 3.15

Rarity is counted over the second texts, whose labels nobody looks at, so there is nothing to train.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

WORD = r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|\S"
"""A word, a character of a script without spaces, or a mark."""

K1, B = 1.2, 0.75  # within the ranges that Robertson and Zaragoza give in section 3.5

Matrix = Any  # scipy's sparse arrays have no useful type
Comparison = Callable[[slice], np.ndarray]
"""Some of the first texts -> their similarities to all second texts, float64 (those, second texts)."""


def comparisons(firsts: Sequence[str], seconds: Sequence[str]) -> Mapping[str, tuple[Comparison, str]]:
    """Name -> what compares ``firsts`` with ``seconds``, and what it does in one sentence."""
    counter = CountVectorizer(lowercase=True, token_pattern=WORD)
    second: Matrix = sparse.csr_array(counter.fit_transform(seconds))  # (seconds, words)
    first: Matrix = sparse.csr_array(counter.transform(firsts))
    own, other = (first > 0).astype(np.float64), (second > 0).astype(np.float64)
    # words of the first texts that no second text has are in no column, but among all words
    words_of_first = np.array([len(set(tokens)) for tokens in map(counter.build_analyzer(), firsts)], dtype=np.float64)
    words_of_second = np.asarray(other.sum(1)).reshape(-1)
    weigh = TfidfTransformer().fit(second)
    weighed: Matrix = sparse.csr_array(weigh.transform(first))
    weighed_second: Matrix = sparse.csr_array(weigh.transform(second))
    relevance = bm25_weights(second)

    def overlap(part: slice) -> np.ndarray:
        shared = (own[part] @ other.T).toarray()
        return shared / np.maximum(words_of_first[part, None] + words_of_second[None, :] - shared, 1)

    return {
        "word overlap": (overlap, "the share of words that both texts have"),
        "tf-idf": (
            lambda part: (weighed[part] @ weighed_second.T).toarray(),
            "cosine of word counts, rare words weighing more",
        ),
        "bm25": (
            lambda part: (own[part] @ relevance.T).toarray(),
            f"words of the first text found in the second, by BM25 with k1 {K1} and b {B}",
        ),
    }


def paired_comparisons(firsts: Sequence[str], seconds: Sequence[str]) -> Mapping[str, tuple[np.ndarray, str]]:
    """The same for each first text with its own second one, float64 (rows,); without BM25, which is for ranking."""
    counter = CountVectorizer(lowercase=True, token_pattern=WORD, binary=True)
    everything: Matrix = sparse.csr_array(counter.fit_transform([*firsts, *seconds])).astype(np.float64)
    first, second = everything[: len(firsts)], everything[len(firsts) :]
    shared = np.asarray((first * second).sum(1)).reshape(-1)
    union = np.asarray((first + second).sum(1)).reshape(-1) - shared
    counts: Matrix = sparse.csr_array(CountVectorizer(token_pattern=WORD).fit_transform([*firsts, *seconds]))
    weighed: Matrix = sparse.csr_array(TfidfTransformer().fit(counts[len(firsts) :]).transform(counts))
    cosine = np.asarray((weighed[: len(firsts)] * weighed[len(firsts) :]).sum(1)).reshape(-1)
    return {
        "word overlap": (shared / np.maximum(union, 1), "the share of words that both texts have"),
        "tf-idf": (cosine, "cosine of word counts, rare words weighing more"),
    }


def bm25_weights(counts: Matrix) -> Matrix:
    """What each word of each text adds to the score of a query that has it, sparse (texts, words).

    Args:
        counts: sparse (texts, words), how often each text has each word.
    """
    texts = counts.shape[0]
    lengths = np.asarray(counts.sum(1), dtype=np.float64).reshape(-1)
    having = np.asarray((counts > 0).sum(0), dtype=np.float64).reshape(-1)  # texts that have each word
    rarity = np.log((texts - having + 0.5) / (having + 0.5) + 1)  # + 1 as in Lucene, so that no word counts against
    weights = sparse.coo_array(counts.astype(np.float64))
    room = K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-12))  # (texts,)
    values = weights.data / (weights.data + room[weights.row]) * rarity[weights.col]
    return sparse.csr_array((values, (weights.row, weights.col)), shape=counts.shape)
