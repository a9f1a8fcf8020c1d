"""Metrics of masks: by scikit-learn on all pixels, by hand on a few, and their intervals by resampling pictures."""

import numpy as np
import pytest
from quintet.finetune.segmentation_metrics import pixel_counts, segmentation_metrics
from quintet.pipelines.errors import DataError
from sklearn import metrics as sklearn_metrics

NAMES = ("sky", "road", "tree", "pole")


def values(scores):
    return {fact.name: fact.value for fact in scores.metrics}


def drawn(pictures=6, classes=3, seed=0):
    """Masks of some classes with pixels that nobody labelled, and answers that are right at every second pixel."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, (pictures, 9, 7))
    answers = np.where(generator.random(truth.shape) < 0.5, truth, generator.integers(0, classes, truth.shape))
    truth[generator.random(truth.shape) < 0.1] = 255
    return answers, truth


def test_counts_are_a_confusion_matrix_of_the_labelled_pixels():
    answers, truth = drawn(pictures=1)
    kept = truth[0] != 255
    expected = sklearn_metrics.confusion_matrix(truth[0][kept], answers[0][kept], labels=range(4))
    np.testing.assert_array_equal(pixel_counts(answers[0], truth[0], 4), expected)


def test_means_are_those_of_scikit_learn_over_all_pixels():
    answers, truth = drawn()
    counts = [pixel_counts(*each, 3) for each in zip(answers, truth, strict=True)]
    found = values(segmentation_metrics(counts, NAMES[:3], bootstrap=0))
    kept = truth != 255
    right, given = truth[kept], answers[kept]
    assert found["mean_iou"] == pytest.approx(sklearn_metrics.jaccard_score(right, given, average="macro"))
    assert found["mean_dice"] == pytest.approx(sklearn_metrics.f1_score(right, given, average="macro"))
    assert found["pixel_accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(right, given))
    assert found["mean_class_accuracy"] == pytest.approx(sklearn_metrics.balanced_accuracy_score(right, given))


def test_a_class_that_does_not_occur_counts_for_nothing_and_is_told():
    answers, truth = drawn()
    counts = [pixel_counts(*each, 4) for each in zip(answers, truth, strict=True)]
    scores = segmentation_metrics(counts, NAMES, bootstrap=0)
    of_three = [each[:3, :3] for each in counts]
    assert values(scores) == values(segmentation_metrics(of_three, NAMES[:3], bootstrap=0))
    assert [fact.label for fact in scores.per_class] == list(NAMES)
    assert not scores.per_class[3].metrics
    assert any("'pole'" in note for note in scores.notes)


def test_intervals_come_from_resampled_pictures():
    answers, truth = drawn(pictures=5)
    counts = [pixel_counts(*each, 3) for each in zip(answers, truth, strict=True)]
    fact = segmentation_metrics(counts, NAMES[:3], bootstrap=400, seed=1).metrics[0]
    generator = np.random.default_rng(7)
    resampled = []
    for _ in range(400):
        chosen = [counts[index] for index in generator.integers(0, 5, 5)]
        resampled.append(values(segmentation_metrics(chosen, NAMES[:3], bootstrap=0))["mean_iou"])
    assert fact.name == "mean_iou" and fact.low is not None and fact.high is not None
    assert (fact.low, fact.high) == pytest.approx(tuple(np.percentile(resampled, [2.5, 97.5])), abs=0.02)


def test_nothing_to_measure():
    with pytest.raises(DataError, match="the split has no rows, so nothing can be measured; choose another"):
        segmentation_metrics([], NAMES)
    with pytest.raises(DataError, match="no pixel of the split is labelled"):
        segmentation_metrics([np.zeros((4, 4), np.int64)], NAMES)
