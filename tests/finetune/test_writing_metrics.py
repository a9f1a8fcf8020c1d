"""BLEU, chrF and ROUGE: the values are sacrebleu's and rouge-score's, and so are those of every resample."""

import random

import numpy as np
import pytest
from quintet.finetune.writing_metrics import (
    bleu,
    bleu_counts,
    chrf,
    chrf_counts,
    chrf_of_rows,
    rouge_metrics,
    rouge_of_rows,
    translation_metrics,
    translation_protocol,
)
from quintet.pipelines.errors import DataError, ShapeError
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu, corpus_chrf, sentence_chrf

WORDS = [*"ein Mann mit Hut, sitzt auf der Bank. Zwei Hunde rennen! über das Gras -".split()]  # noqa: SIM905


def texts(count, seed):
    """Texts that share words; every fourth of the second set is the one of the first."""
    draw = random.Random(seed)
    wanted = [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(count)]
    answers = [
        text if draw.random() < 0.3 else " ".join([*text.split()[: draw.randint(0, 6)], *draw.choices(WORDS, k=3)])
        for text in wanted
    ]
    return answers, wanted


@pytest.mark.parametrize("seed", range(4))
def test_every_resample_is_what_sacrebleu_says(seed):
    answers, wanted = texts(30, seed)
    words, characters = bleu_counts(answers, wanted), chrf_counts(answers, wanted)
    drawn = np.random.default_rng(seed).integers(0, 30, size=(20, 30))
    for rows in drawn:
        given, right = [answers[row] for row in rows], [wanted[row] for row in rows]
        counts = np.bincount(rows, minlength=30).astype(float)[:, None]
        assert bleu(words @ counts)[0] == pytest.approx(corpus_bleu(given, [right]).score, abs=1e-9)
        assert chrf(characters @ counts)[0] == pytest.approx(corpus_chrf(given, [right]).score, abs=1e-9)


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        (["x"], ["a b c d"]),
        (["a b c"], ["a b c"]),
        ([""], ["a"]),
        (["a b c d e"], ["a x c d q"]),
        (["ab"], ["abcdefgh"]),
    ],
)
def test_the_edges_are_those_of_sacrebleu(answers, wanted):
    assert bleu(bleu_counts(answers, wanted))[0] == pytest.approx(corpus_bleu(answers, [wanted]).score, abs=1e-9)
    assert chrf(chrf_counts(answers, wanted))[0] == pytest.approx(corpus_chrf(answers, [wanted]).score, abs=1e-9)


def test_values_and_intervals_of_translations():
    answers, wanted = texts(60, 7)
    scores = translation_metrics(answers, wanted, bootstrap=200, seed=1)
    assert [metric.name for metric in scores.metrics] == ["sacrebleu", "chrf"]
    assert scores.metrics[0].value == corpus_bleu(answers, [wanted]).score
    assert scores.metrics[1].value == corpus_chrf(answers, [wanted]).score
    for metric in scores.metrics:
        assert metric.low < metric.value < metric.high
    assert translation_metrics(answers, wanted, bootstrap=200, seed=1) == scores
    without = translation_metrics(answers, wanted, bootstrap=0)
    assert without.metrics[0].low is None
    assert translation_protocol()["sacrebleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_what_is_right_is_a_hundred_and_no_more():
    wanted = texts(40, 3)[1]
    scores = translation_metrics(wanted, wanted, bootstrap=50)
    assert [(metric.value, metric.low, metric.high) for metric in scores.metrics] == [(100.0, 100.0, 100.0)] * 2


def test_chrf_of_single_texts():
    answers, wanted = texts(10, 2)
    expected = [sentence_chrf(answer, [right]).score for answer, right in zip(answers, wanted, strict=True)]
    assert chrf_of_rows(answers, wanted) == pytest.approx(expected, abs=1e-9)


def test_rouge_of_english_is_that_of_rouge_score():
    answers = ["The cat sat on the mat.", "two dogs", "", "It rained 3 times - again"]
    wanted = ["A cat sat on a mat!", "Two dogs run.", "empty", "again it rained 3 times"]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    found = rouge_of_rows(answers, wanted)
    for name, values in found.items():
        expected = [
            100 * scorer.score(right, answer)[name].fmeasure for answer, right in zip(answers, wanted, strict=True)
        ]
        assert values == pytest.approx(expected)


def test_rouge_reads_other_letters_and_chinese():
    assert rouge_of_rows(["über alles"], ["über nichts"])["rouge1"] == pytest.approx([50.0])
    assert rouge_of_rows(["很好的电影"], ["电影很好"])["rouge1"] == pytest.approx([100 * 8 / 9])


def test_exact_matches_and_means():
    scores = rouge_metrics(["a b", "c"], ["a  b", "d"], with_exact=True, bootstrap=100)
    assert {metric.name: metric.value for metric in scores.metrics}["exact_match"] == 50.0
    assert scores.metrics[0].name == "rouge1" and scores.metrics[0].value == 50.0
    assert scores.metrics[0].low == 0.0 and scores.metrics[0].high == 100.0


def test_nothing_to_measure_and_a_missing_answer():
    with pytest.raises(DataError, match="the split has no rows, so nothing can be measured"):
        translation_metrics([], [])
    with pytest.raises(ShapeError, match="there are 1 answers for 2 rows, expected one for each"):
        rouge_metrics(["a"], ["a", "b"])
