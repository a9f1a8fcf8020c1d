"""Average precision: by hand, and the resamples against pycocotools on pictures that were really drawn again."""

import numpy as np
import pytest
from quintet.finetune import detection_metrics as module
from quintet.finetune.detection_metrics import Boxes, detection_metrics, mean_boxes
from quintet.pipelines.errors import DataError, ShapeError, WeightsError

NAMES = ("cat", "dog", "bird")


def boxes(rows, scores=None):
    table = np.array([row[:4] for row in rows], dtype=float).reshape(-1, 4)
    labels = np.array([row[4] for row in rows], dtype=np.int64)
    return Boxes(table, labels, None if scores is None else np.array(scores, dtype=float))


def random_pictures(count, seed=0):
    """Objects, and answers that are some of them moved, and some that are made up."""
    generator = np.random.default_rng(seed)
    true, answers = [], []
    for _ in range(count):
        rows = [
            [*generator.uniform(0, 60, 2), *generator.uniform(10, 30, 2), generator.integers(0, 3)]
            for _ in range(generator.integers(0, 6))
        ]
        moved = [[*(np.array(row[:4]) + generator.normal(0, 2, 4)), row[4]] for row in rows if generator.random() < 0.8]
        made_up = [[*generator.uniform(0, 60, 2), 20, 20, generator.integers(0, 3)] for _ in range(2)]
        true.append(boxes(rows))
        answers.append(boxes(moved + made_up, generator.uniform(0, 1, len(moved) + 2)))
    return answers, true


def test_precision_at_each_recall_by_hand():
    # One class: right (0.9), wrong (0.8), right (0.7) of two objects. Precision is 1 up to recall 0.5 (51 of the 101
    # levels), and 2/3 beyond.
    true = [boxes([[0, 0, 10, 10, 0], [50, 50, 10, 10, 0]])]
    answers = [boxes([[0, 0, 10, 10, 0], [20, 20, 10, 10, 0], [50, 50, 10, 10, 0]], [0.9, 0.8, 0.7])]
    scores = detection_metrics(answers, true, ["cat"], bootstrap=0)
    expected = (51 * 1 + 50 * 2 / 3) / 101
    assert [fact.name for fact in scores.metrics] == ["ap", "ap50", "ap75"]
    assert [scores.value("ap"), scores.value("ap50")] == pytest.approx([expected, expected])
    assert scores.per_class[0].count == 2


def test_overlap_decides():
    # Moved by a quarter of its width: overlap 0.6, so right at 0.50, 0.55 and 0.60 of the ten overlaps.
    scores = detection_metrics(
        [boxes([[2.5, 0, 10, 10, 0]], [1.0])], [boxes([[0, 0, 10, 10, 0]])], ["cat"], bootstrap=0
    )
    assert scores.value("ap50") == pytest.approx(1.0) and scores.value("ap75") == 0.0
    assert scores.value("ap") == pytest.approx(0.3)


def test_a_class_without_objects_is_left_out_of_the_mean_and_noted():
    true = [boxes([[0, 0, 10, 10, 0]])]
    answers = [boxes([[0, 0, 10, 10, 0], [0, 0, 10, 10, 2]], [0.9, 0.9])]
    scores = detection_metrics(answers, true, NAMES, bootstrap=20)
    assert scores.value("ap") == pytest.approx(1.0)
    assert [row.count for row in scores.per_class] == [1, 0, 0] and scores.per_class[2].metrics == ()
    assert scores.notes == ("average precision of 'dog' and 'bird' is undefined: no picture has one of them",)


def test_resamples_are_those_of_pycocotools():
    answers, true = random_pictures(12)
    _, matches = module._evaluated(answers, true, 3)
    generator = np.random.default_rng(1)
    drawn = [np.arange(12), generator.integers(0, 12, 12), generator.integers(0, 12, 12), np.full(12, 3)]
    counts = np.stack([np.bincount(rows, minlength=12) for rows in drawn], 1).astype(float)
    found = module._summary(np.stack([module._average_precision(one, counts) for one in matches], 1))
    for column, rows in enumerate(drawn):
        scores = detection_metrics([answers[row] for row in rows], [true[row] for row in rows], NAMES, bootstrap=0)
        for name in ("ap", "ap50", "ap75"):
            assert found[name][column] == pytest.approx(scores.value(name), abs=1e-9), (name, column)
        for index, row in enumerate(scores.per_class):
            for fact in row.metrics:
                assert found[f"class_{fact.name}"][index, column] == pytest.approx(fact.value, abs=1e-9)
    assert 0.1 < found["ap"][0] < found["ap50"][0] < 1


def test_intervals_hold_the_value_and_can_be_repeated():
    answers, true = random_pictures(40, seed=3)
    scores = detection_metrics(answers, true, NAMES, bootstrap=200, seed=1)
    for fact in scores.metrics:
        assert fact.low is not None and fact.high is not None and fact.low < fact.value < fact.high
    assert detection_metrics(answers, true, NAMES, bootstrap=200, seed=1) == scores
    assert all(fact.low is None for fact in detection_metrics(answers, true, NAMES, bootstrap=0).metrics)


def test_of_too_many_boxes_there_are_fewer_resamples(monkeypatch):
    answers, true = random_pictures(5)
    drawn = []
    monkeypatch.setattr(module, "RESAMPLED_CELLS", 1000)
    monkeypatch.setattr(module.resampling, "intervals", lambda *_, resamples, **__: drawn.append(resamples) or {})
    detection_metrics(answers, true, NAMES, bootstrap=1000)
    assert 1 < drawn[0] < 100


def test_pycocotools_keeps_quiet(capsys):
    answers, true = random_pictures(3)
    detection_metrics(answers, true, NAMES, bootstrap=0)
    assert capsys.readouterr().out == ""


def test_mean_boxes_are_those_of_the_classes():
    objects = [boxes([[0, 0, 10, 10, 0], [20, 0, 10, 10, 0], [5, 5, 50, 40, 2]]), boxes([[0, 0, 20, 40, 0]])]
    found = mean_boxes(objects, [(100, 50), (200, 100)], 3)
    assert found.labels.tolist() == [0, 2]
    assert found.scores is not None and found.scores.tolist() == [1.0, 0.5]
    assert found.boxes[0].tolist() == pytest.approx([(0.2 + 0) / 3, 0, (0.1 + 0.1 + 0.1) / 3, (0.2 + 0.2 + 0.4) / 3])
    assert found.boxes[1].tolist() == pytest.approx([0.05, 0.1, 0.5, 0.8])


def test_wrong_input_is_told():
    good = boxes([[0, 0, 10, 10, 0]])
    with pytest.raises(DataError, match="the split has no rows"):
        detection_metrics([], [], NAMES)
    with pytest.raises(DataError, match="no picture of the split has an object, so average precision is not defined"):
        detection_metrics([boxes([], [])], [boxes([])], NAMES)
    with pytest.raises(ShapeError, match="there are 0 answers for 1 pictures, expected one for each"):
        detection_metrics([], [good], NAMES)
    with pytest.raises(WeightsError, match="the checkpoint answers row 1 with boxes or scores that are not finite"):
        detection_metrics([boxes([[0, 0, np.nan, 10, 0]], [0.5])], [good], NAMES)
