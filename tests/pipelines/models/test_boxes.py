"""Box algebra against loops over numbers."""

import math

import pytest
import torch
from quintet.pipelines.models.boxes import (
    areas,
    centres_to_corners,
    clip,
    corners_to_centres,
    generalized_iou,
    moved,
    nms,
    offsets,
    pairwise_iou,
    roi_align,
    unsuppressed,
)


def random_boxes(count, *, size=40.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=generator) * size
    return torch.cat([corners.amin(1), corners.amax(1) + 0.5], 1)


def slow_iou(first, second):
    """Intersection over union and over the box around, of two lists of four numbers."""
    width = max(0.0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0.0, min(first[3], second[3]) - max(first[1], second[1]))
    sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    union = sum(sizes) - width * height
    around = (max(first[2], second[2]) - min(first[0], second[0])) * (
        max(first[3], second[3]) - min(first[1], second[1])
    )
    return width * height / union, width * height / union - (around - union) / around


def slow_nms(boxes, scores, threshold, labels=None):
    left = sorted(range(len(boxes)), key=lambda index: (-scores[index], index))
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        left = [
            index
            for index in left
            if slow_iou(boxes[best], boxes[index])[0] <= threshold
            or (labels is not None and labels[index] != labels[best])
        ]
    return kept


def slow_roi_align(feature_map, box, stride, size, samples):
    """One channel of one box: every point interpolated by itself."""
    height, width = len(feature_map), len(feature_map[0])

    def at(y, x):
        y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
        top, left = min(int(y), max(height - 2, 0)), min(int(x), max(width - 2, 0))
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        down, along = y - top, x - left
        upper = feature_map[top][left] * (1 - along) + feature_map[top][right] * along
        lower = feature_map[bottom][left] * (1 - along) + feature_map[bottom][right] * along
        return upper * (1 - down) + lower * down

    x1, y1, x2, y2 = box
    cells = []
    for row in range(size):
        for column in range(size):
            points = [
                at(
                    (y1 + (row + (i + 0.5) / samples) * (y2 - y1) / size) / stride - 0.5,
                    (x1 + (column + (j + 0.5) / samples) * (x2 - x1) / size) / stride - 0.5,
                )
                for i in range(samples)
                for j in range(samples)
            ]
            cells.append(sum(points) / len(points))
    return cells


def test_corners_and_centres():
    boxes = torch.tensor([[1.0, 2.0, 5.0, 10.0]])
    assert corners_to_centres(boxes).tolist() == [[3.0, 6.0, 4.0, 8.0]]
    assert centres_to_corners(corners_to_centres(boxes)).tolist() == boxes.tolist()
    assert areas(torch.tensor([[1.0, 2.0, 5.0, 10.0], [5.0, 0.0, 1.0, 3.0]])).tolist() == [32.0, 0.0]
    assert clip(torch.tensor([[-3.0, 4.0, 50.0, 9.0]]), height=8, width=20).tolist() == [[0.0, 4.0, 20.0, 8.0]]


def test_overlaps_are_those_of_a_loop():
    first, second = random_boxes(12), random_boxes(9, seed=1)
    found = pairwise_iou(first, second)
    for row, one in enumerate(first.tolist()):
        for column, other in enumerate(second.tolist()):
            assert found[row, column].item() == pytest.approx(slow_iou(one, other)[0], abs=1e-5)
    assert (found > 0).sum() > 20
    together = generalized_iou(first[:9], second)
    for value, one, other in zip(together.tolist(), first.tolist(), second.tolist(), strict=False):
        assert value == pytest.approx(slow_iou(one, other)[1], abs=1e-5)
    assert together.min() < -0.3  # some lie far apart
    batch = pairwise_iou(torch.stack([first[:9], second]), torch.stack([second, first[:9]]))
    torch.testing.assert_close(batch[0], found[:9])
    torch.testing.assert_close(batch[1], found[:9].T)


def test_boxes_without_area_overlap_nothing():
    point = torch.tensor([[3.0, 3.0, 3.0, 3.0]])
    assert pairwise_iou(point, point).item() == 0.0
    assert pairwise_iou(point, torch.tensor([[0.0, 0.0, 9.0, 9.0]])).item() == 0.0


def test_offsets_lead_from_one_box_to_the_other():
    boxes, references = random_boxes(7), random_boxes(7, seed=3)
    torch.testing.assert_close(moved(references, offsets(boxes, references)), boxes, rtol=1e-4, atol=1e-4)
    # Equation 2 of the paper: t_x = (x - x_a) / w_a, t_w = log(w / w_a)
    by = offsets(torch.tensor([[4.0, 0.0, 8.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 4.0]]))
    assert by[0].tolist() == pytest.approx([2.5, -0.25, math.log(2), math.log(0.5)])
    assert moved(references, torch.full((7, 4), 100.0)).isfinite().all()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_suppression_is_the_greedy_one(threshold):
    for seed in range(5):
        boxes = random_boxes(30, size=12.0, seed=seed)
        boxes = torch.cat([boxes, boxes + 0.05])  # doubles, but for the smallest
        scores = torch.rand(60, generator=torch.Generator().manual_seed(seed))
        scores[10:20] = scores[10]  # equal ones keep their order
        labels = torch.arange(60) % 3
        assert nms(boxes, scores, threshold).tolist() == slow_nms(boxes.tolist(), scores.tolist(), threshold)
        found = nms(boxes, scores, threshold, labels).tolist()
        assert found == slow_nms(boxes.tolist(), scores.tolist(), threshold, labels.tolist())
        assert 3 <= len(found) < 60


def test_a_chain_of_overlaps_keeps_every_other_box():
    left = torch.arange(20.0)
    chain = torch.stack([left, left * 0, left + 2, left * 0 + 1], 1)  # each covers a third of its neighbours' union
    assert unsuppressed(chain, 0.3).tolist() == [True, False] * 10
    assert unsuppressed(torch.stack([chain, chain.flip(0)]), 0.3).tolist() == [[True, False] * 10] * 2
    assert nms(chain[:0], chain[:0, 0], 0.5).tolist() == []


def test_roi_align_is_that_of_a_loop():
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 3, 6, 9, generator=generator)
    boxes = random_boxes(8, size=50.0, seed=5).view(2, 4, 4)
    boxes[0, 0] = torch.tensor([-6.0, -2.0, 80.0, 60.0])  # sticks out on all sides
    boxes[1, 3] = torch.tensor([20.0, 20.0, 20.0, 20.0])  # a point
    for size, samples in ((3, 2), (1, 1), (2, 3)):
        found = roi_align(features, boxes, stride=8, size=size, samples=samples)
        assert found.shape == (2, 4, 3, size, size)
        for picture in range(2):
            for number in range(4):
                for channel in range(3):
                    expected = slow_roi_align(
                        features[picture, channel].tolist(), boxes[picture, number].tolist(), 8, size, samples
                    )
                    got = found[picture, number, channel].flatten().tolist()
                    assert got == pytest.approx(expected, abs=1e-5)


def test_roi_align_of_a_slope_gives_the_middles_of_the_cells():
    # The features are their own x in pixels, so a cell must give the x of its middle.
    features = ((torch.arange(10.0) + 0.5) * 4).expand(1, 1, 5, 10)
    (cells,) = roi_align(features, torch.tensor([[[8.0, 4.0, 28.0, 16.0]]]), stride=4, size=2)[0]
    assert cells[0].tolist() == [[13.0, 23.0], [13.0, 23.0]]


def test_gradient_flows_to_the_features_but_not_to_the_boxes():
    features = torch.rand(1, 1, 4, 4, requires_grad=True)
    boxes = torch.tensor([[[4.0, 4.0, 20.0, 20.0]]], requires_grad=True)
    roi_align(features, boxes, stride=8, size=2).sum().backward()
    assert features.grad is not None and features.grad.sum().item() == pytest.approx(4.0)
    assert boxes.grad is None


def test_wrong_axes_are_told():
    with pytest.raises(ValueError, match=r"boxes has shape \(3, 5\), expected \(boxes, 4\)"):
        nms(torch.zeros(3, 5), torch.zeros(3), 0.5)
    with pytest.raises(ValueError, match=r"scores has shape \(2,\), expected \(3\)"):
        nms(torch.zeros(3, 4), torch.zeros(2), 0.5)
    with pytest.raises(ValueError, match=r"boxes has shape \(1, 3, 4\), expected \(2, boxes, 4\)"):
        roi_align(torch.zeros(2, 1, 4, 4), torch.zeros(1, 3, 4), stride=8, size=2)
