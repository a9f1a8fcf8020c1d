"""Baselines by words alone against sums over Python sets and counters."""

import math
from collections import Counter

import numpy as np
import pytest
from quintet.finetune.word_overlap import K1, B, comparisons, paired_comparisons
from sklearn.feature_extraction.text import TfidfVectorizer

FIRSTS = ["Who wrote the book?", "the soup", "完全 不同 soup"]
SECONDS = ["The author wrote the long book about soup.", "A soup", "...", "完了"]


def words(text):
    found, word = [], ""
    for letter in text.lower() + " ":
        if letter.isalnum() and not "\u3400" <= letter <= "\u9fff":
            word += letter
            continue
        found += [word] if word else []
        word = ""
        found += [letter] if not letter.isspace() else []
    return found


def test_word_overlap_is_shared_over_all_words():
    (overlap, _) = comparisons(FIRSTS, SECONDS)["word overlap"]
    expected = [[len({*words(a)} & {*words(b)}) / len({*words(a)} | {*words(b)}) for b in SECONDS] for a in FIRSTS]
    assert overlap(slice(0, 3)) == pytest.approx(np.array(expected))
    paired, _ = paired_comparisons(FIRSTS, SECONDS[:3])["word overlap"]
    assert paired == pytest.approx(np.diag(expected))


def test_bm25_is_robertson_s_sum():
    (bm25, _) = comparisons(FIRSTS, SECONDS)["bm25"]
    documents = [Counter(words(text)) for text in SECONDS]
    mean = sum(document.total() for document in documents) / len(documents)

    def score(query, document):
        total = 0.0
        for word in {*words(query)}:
            having = sum(word in each for each in documents)
            rarity = math.log((len(documents) - having + 0.5) / (having + 0.5) + 1)
            count = document[word]
            total += rarity * count / (count + K1 * (1 - B + B * document.total() / mean))
        return total

    expected = [[score(query, document) for document in documents] for query in FIRSTS]
    assert bm25(slice(0, 3)) == pytest.approx(np.array(expected))


def test_tf_idf_is_scikit_learn_s_with_rarity_among_the_second_texts():
    (tf_idf, _) = comparisons(FIRSTS, SECONDS)["tf-idf"]
    vectorizer = TfidfVectorizer(analyzer=words).fit(SECONDS)
    expected = (vectorizer.transform(FIRSTS) @ vectorizer.transform(SECONDS).T).toarray()
    assert tf_idf(slice(1, 3)) == pytest.approx(expected[1:])
    paired, _ = paired_comparisons(FIRSTS[:2], FIRSTS[:2])["tf-idf"]
    assert paired == pytest.approx([1.0, 1.0])
