import time

import numpy as np
import pytest
from quintet.cards.facts import SplitFacts
from quintet.finetune import bootstrap
from quintet.finetune.baselines import constant_baseline
from quintet.finetune.metrics import classification_metrics, expected_calibration_error
from quintet.finetune.mistakes import most_confident_mistakes, shorten
from quintet.finetune.text_classification import known_metrics
from quintet.pipelines.errors import DataError, ShapeError, WeightsError
from scipy import stats
from sklearn import metrics as sklearn_metrics


def answers(rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are somewhat right, with ties, and labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, rows)
    logits = generator.normal(size=(rows, classes)).round(1)
    logits[np.arange(rows), labels] += 1
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels


def resamples(rows: int, seed: int):
    """Counts of a few resamples, with the rows that each one draws."""
    counts = next(bootstrap.resampled_counts(rows, 8, seed))
    assert counts.shape == (rows, 8)
    return counts, [np.repeat(np.arange(rows), column.astype(int)) for column in counts.T]


@pytest.mark.parametrize(("rows", "classes"), [(60, 2), (40, 5), (6, 4)])
def test_bootstrap_values_are_those_of_scikit_learn_on_the_resampled_rows(rows, classes):
    probabilities, labels = answers(rows, classes)
    counts, draws = resamples(rows, seed=3)
    values = bootstrap.single_label_statistics(probabilities, labels)(counts)
    compared = 0
    for index, drawn in enumerate(draws):
        truth, scores = labels[drawn], probabilities[drawn]
        predicted = scores.argmax(1)
        means = sklearn_metrics.precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
        expected = {
            "accuracy": sklearn_metrics.accuracy_score(truth, predicted),
            "macro_precision": means[0],
            "macro_recall": means[1],
            "macro_f1": means[2],
            "log_loss": sklearn_metrics.log_loss(truth, scores, labels=np.arange(classes)),
            "ece": expected_calibration_error(scores, truth),
        }
        if classes == 2:
            expected["auroc"] = sklearn_metrics.roc_auc_score(truth, scores[:, 1])
        for name, value in expected.items():
            assert values[name][index] == pytest.approx(value, abs=1e-12), name
            compared += 1
        each = sklearn_metrics.precision_recall_fscore_support(
            truth, predicted, labels=np.arange(classes), zero_division=np.nan
        )
        for name, column in zip(("precision", "recall", "f1"), each, strict=False):
            np.testing.assert_allclose(values[f"class_{name}"][:, index], column, atol=1e-12)
    assert compared == 8 * (7 if classes == 2 else 6)


def test_bootstrap_of_multi_label_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    truth = generator.random((30, 4)) < [0.5, 0.3, 0.1, 0.02]
    predicted = truth ^ (generator.random((30, 4)) < 0.2)
    counts, draws = resamples(30, seed=1)
    values = bootstrap.multi_label_statistics(predicted, truth)(counts)
    for index, drawn in enumerate(draws):
        for average in ("micro", "macro"):
            means = sklearn_metrics.precision_recall_fscore_support(
                truth[drawn], predicted[drawn], average=average, zero_division=0
            )
            for name, value in zip(("precision", "recall", "f1"), means, strict=False):
                assert values[f"{average}_{name}"][index] == pytest.approx(value, abs=1e-12)
        exact = sklearn_metrics.accuracy_score(truth[drawn], predicted[drawn])
        assert values["subset_accuracy"][index] == pytest.approx(exact)


def test_bootstrap_of_regression_agrees_with_scikit_learn_and_scipy():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 6, 50).astype(float)  # ties
    predicted = labels + generator.normal(size=50).round(1)
    counts, draws = resamples(50, seed=2)
    values = bootstrap.regression_statistics(predicted, labels)(counts)
    for index, drawn in enumerate(draws):
        truth, guess = labels[drawn], predicted[drawn]
        expected = {
            "mse": sklearn_metrics.mean_squared_error(truth, guess),
            "mae": sklearn_metrics.mean_absolute_error(truth, guess),
            "r2": sklearn_metrics.r2_score(truth, guess),
            "pearson": stats.pearsonr(truth, guess)[0],
            "spearman": stats.spearmanr(truth, guess)[0],
        }
        assert len(expected) == len(values)
        for name, value in expected.items():
            assert values[name][index] == pytest.approx(value, abs=1e-9), name


def test_the_interval_holds_the_middle_of_the_resampled_values():
    probabilities, labels = answers(200, 2)
    scores = classification_metrics(probabilities, labels, ["no", "yes"], bootstrap=2000)
    accuracy = scores.metrics[0]
    # percentiles of a binomial with the observed rate
    low, high = stats.binom.ppf([0.025, 0.975], 200, accuracy.value) / 200
    assert accuracy.low == pytest.approx(low, abs=0.011)
    assert accuracy.high == pytest.approx(high, abs=0.011)


def test_resamples_have_every_row_equally_often_and_do_not_depend_on_chunks(monkeypatch):
    whole = np.concatenate(list(bootstrap.resampled_counts(50, 400, seed=5)), axis=1)
    assert (whole.sum(0) == 50).all()
    np.testing.assert_allclose(whole.mean(1), 1, atol=0.25)
    np.testing.assert_allclose(whole.var(), 1 - 1 / 50, atol=0.05)
    monkeypatch.setattr(bootstrap, "CHUNK_CELLS", 1000)
    parts = list(bootstrap.resampled_counts(50, 400, seed=5))
    assert len(parts) == 20
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others():
    probabilities, labels = answers(50, 2)
    one, same, other = (
        classification_metrics(probabilities, labels, ["no", "yes"], bootstrap=100, seed=seed) for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other
    assert classification_metrics(probabilities, labels, ["no", "yes"], bootstrap=0).metrics[0].low is None


def test_ten_thousand_rows_take_less_than_two_seconds():
    probabilities, labels = answers(10_000, 2)
    start = time.process_time()
    classification_metrics(probabilities, labels, ["no", "yes"], bootstrap=1000)
    assert time.process_time() - start < 2


def test_confusion_per_class_table_and_values():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    scores = classification_metrics(probabilities, [0, 1, 1, 1], ["no", "yes"], bootstrap=50)
    assert scores.confusion == ((1, 0), (1, 2))
    assert [metric.name for metric in scores.metrics] == [
        "accuracy", "macro_f1", "macro_precision", "macro_recall", "f1:no", "f1:yes", "auroc", "ece", "log_loss",
    ]  # fmt: skip
    assert scores.value("accuracy") == 0.75
    assert scores.value("auroc") == 1
    no, yes = scores.per_class
    assert (no.label, no.count, yes.label, yes.count) == ("no", 1, "yes", 3)
    assert {metric.name: metric.value for metric in yes.metrics} == {"precision": 1, "recall": 2 / 3, "f1": 0.8}
    assert [metric.higher_is_better for metric in scores.metrics] == [True] * 7 + [False] * 2


def test_of_two_classes_each_has_its_f1_with_interval_and_baseline():
    """That of the class `equivalent` is the usual figure for MRPC, whichever place the data gives it."""
    probabilities, labels = answers(200, 2)
    scores = classification_metrics(probabilities, labels, ["equivalent", "different"])
    found = {metric.name: metric for metric in scores.metrics}
    for index, name in enumerate(("f1:equivalent", "f1:different")):
        expected = sklearn_metrics.f1_score(labels, probabilities.argmax(1), pos_label=index)
        assert found[name].value == pytest.approx(expected, abs=1e-12)
        (of_class,) = [metric for metric in scores.per_class[index].metrics if metric.name == "f1"]
        assert (found[name].low, found[name].high) == (of_class.low, of_class.high)
        assert found[name].low < expected < found[name].high
    rule = constant_baseline(labels, ["equivalent", "different"], "single_label_classification")
    guessed = np.full(200, np.bincount(labels).argmax())
    values = {metric.name: metric.value for metric in rule.metrics}
    assert values["f1:equivalent"] == sklearn_metrics.f1_score(labels, guessed, pos_label=0, zero_division=0)
    assert values["f1:different"] == sklearn_metrics.f1_score(labels, guessed, pos_label=1, zero_division=0)


def test_of_three_classes_none_has_a_metric_of_its_own():
    scores = classification_metrics(*answers(60, 3), ["a", "b", "c"], bootstrap=0)
    assert not any(metric.name.startswith("f1:") for metric in scores.metrics)


def test_the_f1_of_a_class_may_choose_the_checkpoint():
    known = known_metrics(("no", "yes"), "single_label_classification")
    assert known["f1:yes"] is True and next(iter(known)) == "accuracy"


def test_calibration_error_by_hand():
    # two rows in the bin (14/15, 1], one right: |0.5 - 0.96| * 2/3; one in (0.6, 2/3], right: |1 - 0.62| * 1/3
    probabilities = np.array([[0.96, 0.04], [0.96, 0.04], [0.62, 0.38]])
    expected = abs(0.5 - 0.96) * 2 / 3 + abs(1 - 0.62) / 3
    assert expected_calibration_error(probabilities, np.array([0, 1, 0])) == pytest.approx(expected)
    assert bootstrap.confidence_bins(np.array([1 / 15, 1 / 15 + 1e-9, 1.0, 0.0])).tolist() == [0, 1, 14, 0]


def test_one_class_only_leaves_out_what_is_undefined_and_says_so():
    probabilities = np.array([[0.2, 0.8], [0.4, 0.6], [0.6, 0.4]])
    scores = classification_metrics(probabilities, [1, 1, 1], ["negative", "positive"], bootstrap=20)
    assert scores.value("accuracy") == 2 / 3
    assert scores.value("auroc") is None
    assert "auroc is undefined: all rows have the label 'positive'" in scores.notes
    assert "recall of 'negative' is undefined: no row has this label" in scores.notes
    assert [metric.name for metric in scores.per_class[0].metrics] == ["precision", "f1"]


def test_a_class_that_is_never_predicted_has_no_precision():
    scores = classification_metrics(np.array([[0.9, 0.1], [0.8, 0.2]]), [0, 1], ["a", "b"], bootstrap=20)
    assert scores.notes == ("precision of 'b' is undefined: it was never predicted",)
    assert [metric.name for metric in scores.per_class[1].metrics] == ["recall", "f1"]


def test_many_undefined_numbers_are_one_note():
    names = [f"class {index}" for index in range(200)]
    scores = classification_metrics(np.eye(200)[[0, 0, 1]], [0, 1, 2], names, bootstrap=0)
    assert scores.notes == (
        "recall of 197 of 200 classes is undefined: no row has these labels",
        "precision of 198 of 200 classes is undefined: they were never predicted",
    )
    few = classification_metrics(np.array([[1.0, 0, 0]]), [0], ["a", "b", "new\nline " + "x" * 60], bootstrap=0)
    assert few.notes[1] == f"precision of 'b' and 'new line {'x' * 50}…' is undefined: they were never predicted"


def test_a_single_row_works():
    scores = classification_metrics(np.array([[0.9, 0.1]]), [0], ["a", "b"])
    # one row says nothing of how far others differ
    assert (scores.metrics[0].value, scores.metrics[0].low, scores.metrics[0].high) == (1, None, None)


def test_regression_values_and_constant_labels():
    scores = classification_metrics(np.array([[1.0], [2.0], [4.0]]), [1.0, 2.0, 3.0], None, "regression", bootstrap=50)
    assert scores.value("mse") == pytest.approx(1 / 3)
    assert [metric.name for metric in scores.metrics] == ["mse", "mae", "r2", "pearson", "spearman"]
    constant = classification_metrics(np.array([1.0, 2.0]), [3.0, 3.0], None, "regression")
    assert [metric.name for metric in constant.metrics] == ["mse", "mae"]
    assert constant.notes == ("r2, pearson and spearman are undefined: all rows have the same label",)


def test_multi_label_values():
    probabilities = np.array([[0.9, 0.5], [0.2, 0.7]])
    scores = classification_metrics(probabilities, [[1, 0], [0, 1]], ["a", "b"], "multi_label_classification")
    assert scores.metrics[0].name == "micro_f1"
    assert scores.value("micro_f1") == pytest.approx(0.8)
    assert scores.value("subset_accuracy") == 0.5
    assert scores.confusion is None


@pytest.mark.parametrize(
    ("probabilities", "labels", "names", "error", "message"),
    [
        (np.zeros((0, 2)), [], ["a", "b"], DataError, "the split has no rows, so nothing can be measured"),
        (np.full((2, 2), 0.5), [0], ["a", "b"], ShapeError, "there are 2 answers for 1 labels"),
        (np.full((2, 2), 0.5), [0, 2], ["a", "b"], DataError, "row 2 has the class id 2, expected 0 to 1"),
        (np.full((1, 2), 0.5), [0], ["a", "b", "c"], ShapeError, r"the shape \(1, 2\), expected .* 3 classes"),
        (np.array([[0.5, 0.5], [np.nan, 1]]), [0, 1], ["a", "b"], WeightsError, r"1 of 2 rows .* \(first: row 2\)"),
        (np.array([[3.0, -1.0]]), [0], ["a", "b"], ShapeError, r"row 1 are \[3.0, -1.0\], .* pass the softmax"),
        (np.full((1, 2), 0.5), [[0, 1]], ["a", "b"], ShapeError, r"labels have the shape \(1, 2\)"),
    ],
)
def test_wrong_input_is_said_in_words(probabilities, labels, names, error, message):
    with pytest.raises(error, match=message):
        classification_metrics(probabilities, labels, names)


def test_the_baseline_learns_from_the_training_split_where_it_is_known():
    labels = np.array([0, 0, 0, 1])
    training = SplitFacts(name="train", rows=5, fingerprint="", label_histogram={"no": 1, "yes": 4})
    informed = constant_baseline(labels, ["no", "yes"], "single_label_classification", training=training)
    assert informed.metrics[0].value == 0.25
    assert informed.description == "answers 'yes', the most frequent label of the training split"
    blind = constant_baseline(labels, ["no", "yes"], "single_label_classification")
    assert blind.metrics[0].value == 0.75
    assert "of the evaluated rows themselves (no training split is recorded)" in blind.description
    names = ["accuracy", "macro_f1", "macro_precision", "macro_recall", "f1:no", "f1:yes"]
    assert [metric.name for metric in blind.metrics] == names


def test_the_baseline_of_regression_is_the_mean():
    training = SplitFacts(name="train", rows=5, fingerprint="", label_mean=2.0)
    baseline = constant_baseline(np.array([1.0, 3.0, 5.0]), (), "regression", training=training)
    assert baseline.name == "mean"
    assert baseline.metrics[0].value == pytest.approx((1 + 1 + 9) / 3)
    assert baseline.description == "answers 2, the mean of the training split"
    assert constant_baseline(np.array([1.0, 3.0]), (), "regression").metrics[0].value == 1


def test_a_baseline_says_what_the_record_of_the_training_split_lacks():
    training = SplitFacts(name="train", rows=5, fingerprint="", label_histogram={"other": 5})
    numbers = constant_baseline(np.array([1.0, 3.0]), (), "regression", training=training)
    assert "of the evaluated rows themselves (the training split is recorded without its mean)" in numbers.description
    classes = constant_baseline(np.array([0, 1]), ["a\nb", "c"], "single_label_classification", training=training)
    assert classes.description == (
        "answers 'a b', the most frequent label of the evaluated rows themselves (the training split is recorded "
        "without any of these labels)"
    )


def test_mistakes_are_the_most_confident_first_and_cut_short():
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.9, 0.1]])
    texts = ["good\nindeed", "x" * 1000, "right", "tie"]
    mistakes = most_confident_mistakes(probabilities, np.array([1, 1, 1, 1]), ["no", "yes"], "single", texts, count=2)
    assert [(mistake.row, mistake.confidence) for mistake in mistakes] == [(2, 0.9), (4, 0.9)]
    assert mistakes[0].text == "x" * 239 + "…"
    assert (mistakes[0].label, mistakes[0].prediction) == ("yes", "no")
    assert shorten("good\nindeed\t!") == "good indeed !"


def test_mistakes_of_multi_label_and_regression():
    (wrong,) = most_confident_mistakes(
        np.array([[0.9, 0.8], [0.1, 0.2]]), np.array([[1, 0], [0, 0]]), ["a", "b"], "multi_label_classification",
        ["one", "two"], ["other", None],
    )  # fmt: skip
    assert (wrong.row, wrong.label, wrong.prediction, wrong.confidence) == (1, "a", "a, b", 0.8)
    assert wrong.text_pair == "other"
    far, near = most_confident_mistakes(np.array([1.0, 2.5, 3.0]), np.array([1.0, 2.0, 5.0]), [], "regression", "abc")
    assert (far.row, far.label, far.prediction, far.confidence) == (3, "5", "3", 2.0)
    assert near.row == 2
