"""The assignment of places to objects against its definition in loops."""

import pytest
import torch
from quintet.pipelines.models import task_alignment
from quintet.pipelines.models.boxes import pairwise_iou
from quintet.pipelines.models.detections import pad_targets
from quintet.pipelines.models.task_alignment import assign


def by_definition(scores, boxes, centres, true, labels, finest, best):
    """Object and weight of every place of one picture that learns, and how many places another object wanted, too."""
    places = len(centres)
    fits = [[pairwise_iou(one[None], box[None]).item() for box in boxes] for one in true]
    taken = {place: [] for place in range(places)}
    ranks = {}
    for number, (box, label) in enumerate(zip(true.tolist(), labels.tolist(), strict=True)):
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        reach = (max(box[2] - box[0], finest) / 2, max(box[3] - box[1], finest) / 2)
        inside = [
            place
            for place, (x, y) in enumerate(centres.tolist())
            if abs(x - middle[0]) <= reach[0] and abs(y - middle[1]) <= reach[1]
        ]
        for place in inside:
            ranks[number, place] = scores[place, label].item() * fits[number][place] ** 6
        for place in sorted(inside, key=lambda place: -ranks[number, place])[:best]:
            taken[place].append(number)
    owner = {place: max(numbers, key=lambda n: fits[n][place]) for place, numbers in taken.items() if numbers}
    weights = {}
    for place, number in owner.items():
        own = [other for other, owned in owner.items() if owned == number]
        most = max(ranks[number, other] for other in own)
        weights[place] = ranks[number, place] / most * max(fits[number][other] for other in own)
    disputed = sum(len(numbers) > 1 and owner[place] != numbers[0] for place, numbers in taken.items())
    return owner, weights, disputed


def test_assignment_is_that_of_the_definition(monkeypatch):
    monkeypatch.setattr(task_alignment, "BEST", 8)
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    centres = torch.stack([x, y], -1).flatten(0, 1) * 8 + 4
    away = torch.rand(2, 64, 4, generator=generator) * 20 + 2
    boxes = torch.cat([centres - away[..., :2], centres + away[..., 2:]], -1)
    scores = torch.rand(2, 64, 3, generator=generator)
    true = [
        torch.tensor([[3.0, 5.0, 40.0, 30.0], [10.0, 8.0, 50.0, 40.0], [33.0, 33.0, 35.0, 36.0]]),
        torch.tensor([[0.0, 0.0, 64.0, 64.0]]),
    ]
    labels = [torch.tensor([0, 2, 1]), torch.tensor([1])]
    found = assign(scores, boxes, centres, pad_targets(true, labels), finest=8)
    learning = disputes = 0
    for picture in range(2):
        owner, weights, disputed = by_definition(
            scores[picture], boxes[picture], centres, true[picture], labels[picture], 8.0, best=8
        )
        disputes += disputed
        assert found.learns[picture].nonzero()[:, 0].tolist() == sorted(owner)
        for place, number in owner.items():
            assert found.objects[picture, place].item() == number
            assert found.weights[picture, place].item() == pytest.approx(weights[place], rel=1e-4)
            learning += 1
        assert found.weights[picture][~found.learns[picture]].abs().sum() == 0
    assert learning >= 8 and disputes >= 1  # and the object of 2 x 3 pixels, in which no place lies, has one
    assert 2 in found.objects[0][found.learns[0]]


def test_a_picture_without_objects_learns_nothing():
    targets = pad_targets([torch.zeros(0, 4)], [torch.zeros(0, dtype=torch.int64)])
    found = assign(torch.rand(1, 4, 2), torch.rand(1, 4, 4), torch.rand(4, 2), targets, finest=8)
    assert not found.learns.any() and found.weights.sum() == 0
