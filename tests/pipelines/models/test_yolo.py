"""The one-stage detector: its loss by definition, its answers decoded by a loop, and a few shapes learnt by heart."""

import math

import pytest
import torch
from quintet.pipelines.models import task_alignment
from quintet.pipelines.models.boxes import generalized_iou, pairwise_iou
from quintet.pipelines.models.detection_backbone import centres_of
from quintet.pipelines.models.detections import Targets, pad_targets
from quintet.pipelines.models.shapes import IGNORED
from quintet.pipelines.models.yolo import FIRST_SCORE, YoloDetector, YoloOutputs

SMALL = {"filters": (4, 6, 8, 10, 12), "blocks": (1, 1, 1, 1), "head_filters": 8}


def network(**changes):
    torch.manual_seed(0)
    return YoloDetector(channels=3, num_labels=2, **{**SMALL, **changes}).eval()


def squares(count, *, seed=0, size=64):
    """Pictures with a light square (class 0) or a dark upright bar (class 1) each, and their boxes."""
    generator = torch.Generator().manual_seed(seed)
    pictures, boxes, labels = torch.zeros(count, 3, size, size), [], []
    for row in range(count):
        label = row % 2
        wide, high = (24, 24) if label == 0 else (12, 32)
        x = int(torch.randint(0, size - wide, (), generator=generator))
        y = int(torch.randint(0, size - high, (), generator=generator))
        pictures[row, :, y : y + high, x : x + wide] = 1.0 if label == 0 else -1.0
        boxes.append(torch.tensor([[x, y, x + wide, y + high]], dtype=torch.float32))
        labels.append(torch.tensor([label]))
    return pictures, pad_targets(boxes, labels)


def test_every_place_of_the_three_maps_answers():
    outputs = network()(torch.zeros(2, 3, 64, 96))
    places = 8 * 12 + 4 * 6 + 2 * 3
    assert outputs.logits.shape == (2, places, 2) and outputs.boxes.shape == (2, places, 4)
    assert outputs.centres[0].tolist() == [4.0, 4.0] and outputs.centres[1].tolist() == [12.0, 4.0]
    assert outputs.centres[12].tolist() == [4.0, 12.0] and outputs.centres[-1].tolist() == [80.0, 48.0]
    assert outputs.size == (64, 96)


def test_before_training_nothing_is_seen_and_boxes_are_two_strides_wide():
    outputs = network()(torch.randn(1, 3, 64, 64))
    assert outputs.logits.sigmoid().mean().item() == pytest.approx(FIRST_SCORE, rel=0.5)
    wide = outputs.boxes[0, :, 2] - outputs.boxes[0, :, 0]
    _, strides = centres_of([torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 2)])
    assert (wide / strides).tolist() == pytest.approx([2.0] * 84, rel=0.3)


def test_the_loss_is_that_of_the_definition(monkeypatch):
    monkeypatch.setattr(task_alignment, "BEST", 2)
    generator = torch.Generator().manual_seed(0)
    centres, _ = centres_of([torch.zeros(1, 1, 2, 2)])
    boxes = torch.cat([centres - 8, centres + 8], -1).expand(2, 4, 4) + torch.rand(2, 4, 4, generator=generator)
    logits = torch.randn(2, 4, 3, generator=generator)
    true = torch.tensor([[[0.0, 0.0, 15.0, 9.0]], [[0.0, 0.0, 1.0, 1.0]]])
    targets = Targets(true, torch.tensor([[1], [IGNORED]]))
    model = YoloDetector(channels=3, num_labels=3, **SMALL)
    found = model.loss(YoloOutputs(logits, boxes, centres, (16, 16)), targets).item()

    # The two upper places lie within the object of the first picture; nothing is to be learnt in the second one.
    fits = pairwise_iou(true[0], boxes[0, :2])[0].tolist()
    ranks = [logits[0, place, 1].sigmoid().item() * fits[place] ** 6 for place in (0, 1)]
    weights = [rank / max(ranks) * max(fits) for rank in ranks]
    expected = 0.0
    for picture in range(2):
        for place in range(4):
            for label in range(3):
                wanted = weights[place] if picture == 0 and place < 2 and label == 1 else 0.0
                score = logits[picture, place, label].sigmoid().item()
                expected -= wanted * math.log(score) + (1 - wanted) * math.log(1 - score)
    for place in (0, 1):
        expected += 5.0 * weights[place] * (1 - generalized_iou(boxes[0, place], true[0, 0]).item())
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_a_batch_is_the_sum_over_its_pictures():
    model = network()
    pictures, targets = squares(4)
    with torch.no_grad():
        outputs = model(pictures)
        together = model.loss(outputs, targets)
        alone = [
            model.loss(model(pictures[row : row + 1]), Targets(*(one[row : row + 1] for one in targets)))
            for row in range(4)
        ]
    torch.testing.assert_close(together, torch.stack(alone).sum(), rtol=1e-4, atol=1e-4)


def test_detections_are_those_of_a_loop():
    centres, _ = centres_of([torch.zeros(1, 1, 2, 2)])
    boxes = torch.tensor([[[0.0, 0, 8, 8], [1, 0, 8, 8], [-5, 3, 30, 14], [2, 2, 6, 6]]])
    scores = torch.tensor([[[0.9, 0.3], [0.8, 0.2], [0.001, 0.7], [0.005, 0.006]]])
    (found,) = network().detect(YoloOutputs(scores.logit(), boxes, centres, (16, 16)), threshold=0.01, overlap=0.5)
    # The second box is the first one's double in both classes; the third sticks out; the fourth is below the threshold.
    assert found.labels.tolist() == [0, 1, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.3])
    assert found.boxes.tolist() == [[0, 0, 8, 8], [0, 3, 16, 14], [0, 0, 8, 8]]
    (few,) = network().detect(YoloOutputs(scores.logit(), boxes, centres, (16, 16)), most=1)
    assert few.labels.tolist() == [0]


def test_shapes_can_be_learnt_by_heart():
    pictures, targets = squares(8)
    model = network().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = model.loss(model(pictures), targets) / 8
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.detect(model(pictures), threshold=0.3)
    for row, answer in enumerate(found):
        assert answer.labels[0].item() == targets.labels[row, 0].item()
        assert pairwise_iou(answer.boxes[:1], targets.boxes[row]).item() > 0.6


def test_a_batch_without_objects_has_a_loss_and_a_gradient():
    model = network()
    empty = pad_targets([torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2)
    loss = model.loss(model(torch.zeros(2, 3, 64, 64)), empty)
    loss.backward()
    assert 0 < loss.item() < 10 and model.classifier.bias.grad.abs().sum() > 0


def test_parameters_of_the_default_size():
    model = YoloDetector(channels=3, num_labels=3, filters=(16, 32, 64, 96, 128), blocks=(1, 2, 2, 1), head_filters=64)
    count = sum(weight.numel() for weight in model.parameters())

    def unit(inputs, outputs, side):
        return inputs * outputs * side * side + 2 * outputs

    def stage(inputs, outputs, blocks):
        half = outputs // 2
        return 2 * unit(inputs, half, 1) + 2 * blocks * unit(half, half, 3) + unit(outputs, outputs, 1)

    expected = unit(3, 16, 3)
    for inputs, outputs, blocks in ((16, 32, 1), (32, 64, 2), (64, 96, 2), (96, 128, 1)):
        expected += unit(inputs, outputs, 3) + stage(outputs, outputs, blocks)
    expected += stage(128 + 96, 96, 1) + stage(96 + 64, 64, 1) + stage(64 + 96, 96, 1) + stage(96 + 128, 128, 1)
    expected += unit(64, 64, 3) + unit(96, 96, 3)
    expected += sum(unit(inputs, 64, 1) for inputs in (64, 96, 128)) + 6 * unit(64, 64, 3) + 64 * 3 + 3 + 64 * 4 + 4
    assert count == expected


def test_wrong_input_is_told():
    with pytest.raises(
        ValueError, match=r"pixel_values has shape \(1, 3, 64, 50\), expected \(batch, 3, height, width\)"
    ):
        network()(torch.zeros(1, 3, 64, 50))
    with pytest.raises(ValueError, match=r"filters is \(4, 6\) and blocks \(1, 1, 1, 1\), expected five numbers"):
        network(filters=(4, 6))
