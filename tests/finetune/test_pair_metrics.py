"""Metrics of similarities against scikit-learn on resampled rows and against counting by hand."""

import numpy as np
import pytest
from quintet.finetune.pair_metrics import (
    average_precision_statistic,
    best_threshold,
    correlation_metrics,
    label_metrics,
    rank_metrics,
)
from quintet.pipelines.errors import WeightsError
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score


def test_average_precision_of_resamples_is_scikit_learn_s():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 12, 40) / 12  # with ties
    positive = generator.random(40) < 0.4
    counts = generator.multinomial(40, np.full(40, 1 / 40), size=6).T.astype(float)
    found = average_precision_statistic(scores, positive)(counts)
    for column in range(6):
        rows = np.repeat(np.arange(40), counts[:, column].astype(int))
        assert found[column] == pytest.approx(average_precision_score(positive[rows], scores[rows]), abs=1e-12)


def test_the_threshold_is_the_best_of_all_and_lies_between_two_rows():
    generator = np.random.default_rng(1)
    similarities = np.concatenate([generator.normal(0.4, 0.2, 30), generator.normal(0.6, 0.2, 30)])
    alike = np.arange(60) >= 30
    threshold = best_threshold(similarities, alike)
    tried = [((similarities >= at) == alike).mean() for at in (*similarities, 2.0)]
    assert ((similarities >= threshold) == alike).mean() == pytest.approx(max(tried))
    assert np.abs(similarities - threshold).min() > 0
    assert best_threshold(np.full(4, 0.5), np.array([False, True, True, True])) < 0.5


def test_labelled_pairs_have_accuracy_and_f1_only_with_a_threshold():
    similarities, alike = np.array([0.9, 0.8, 0.3, 0.7, 0.1]), np.array([True, False, True, True, False])
    plain = label_metrics(similarities, alike, bootstrap=50)
    assert [fact.name for fact in plain.metrics] == ["average_precision", "auroc"]
    assert plain.notes == (
        "accuracy and f1 are left out: the checkpoint has no threshold, which training on labelled pairs learns",
    )
    at = label_metrics(similarities, alike, 0.5, bootstrap=200)
    assert at.value("accuracy") == 0.6
    assert at.value("f1") == pytest.approx(f1_score(alike, similarities >= 0.5))
    assert all(fact.low <= fact.value <= fact.high for fact in at.metrics)


def test_labels_of_one_kind_leave_a_note():
    scores = label_metrics(np.array([0.1, 0.2]), np.array([True, True]), 0.15)
    assert [fact.name for fact in scores.metrics] == ["accuracy", "f1"]
    assert scores.notes == ("average_precision and auroc are undefined: all rows have the same label",)


def test_correlations_are_scipy_s_and_undefined_ones_are_left_out():
    generator = np.random.default_rng(2)
    similarities, scores = generator.random(30), generator.integers(0, 6, 30).astype(float)
    found = correlation_metrics(similarities, scores)
    assert found.value("spearman") == pytest.approx(stats.spearmanr(similarities, scores)[0])
    assert found.value("pearson") == pytest.approx(stats.pearsonr(similarities, scores)[0])
    assert correlation_metrics(similarities, np.ones(30)).notes == (
        "spearman and pearson are undefined: all rows have the same score",
    )


def test_ranks_become_recall_and_reciprocal_ranks():
    scores = rank_metrics(np.array([1.0, 2.0, 10.0, np.inf]), bootstrap=0)
    assert {fact.name: fact.value for fact in scores.metrics} == {
        "recall@10": 0.75,
        "recall@1": 0.25,
        "mrr@10": pytest.approx((1 + 1 / 2 + 1 / 10) / 4),
    }


def test_a_similarity_that_is_no_number_is_named():
    with pytest.raises(WeightsError, match=r"vectors that are not finite \(first: row 2\)"):
        correlation_metrics(np.array([0.1, np.nan]), np.array([1.0, 2.0]))
