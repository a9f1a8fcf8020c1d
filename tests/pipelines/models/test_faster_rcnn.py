"""Faster R-CNN: anchors, matching, drawing and losses put together by hand, and shapes learnt by heart."""

import math

import pytest
import torch
from quintet.pipelines.models import proposals as first_stage
from quintet.pipelines.models.boxes import offsets, pairwise_iou
from quintet.pipelines.models.detections import pad_targets
from quintet.pipelines.models.faster_rcnn import FasterRcnn
from quintet.pipelines.models.proposals import ProposalNetwork, draw, matched, proposal_loss, propose

SMALL = {
    "filters": (4, 6, 8, 10, 12),
    "blocks": (1, 1, 1, 1),
    "head_filters": 8,
    "neurons": 16,
    "anchor_sizes": (16, 32),
    "proposals": 20,
}


def network(**changes):
    torch.manual_seed(0)
    return FasterRcnn(channels=3, num_labels=2, **{**SMALL, **changes}).eval()


def squares(count, *, seed=0, size=64):
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


def test_anchors_have_their_sizes_shapes_and_places():
    proposer = ProposalNetwork(4, sizes=(16, 32), stride=8)
    logits, by, anchors = proposer(torch.zeros(2, 4, 3, 5))
    assert logits.shape == (2, 3 * 5 * 6) and by.shape == (2, 90, 4) and anchors.shape == (90, 4)
    expected = []
    for row in range(3):
        for column in range(5):
            for size in (16, 32):
                for ratio in (0.5, 1.0, 2.0):
                    wide, high = size / math.sqrt(ratio), size * math.sqrt(ratio)
                    x, y = column * 8 + 4, row * 8 + 4
                    expected.append([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2])
    torch.testing.assert_close(anchors, torch.tensor(expected))


def test_the_answers_stand_at_their_anchors():
    # With weights that copy one channel into the logit of the anchor 4 of each place.
    proposer = ProposalNetwork(1, sizes=(16, 32), stride=8)
    with torch.no_grad():
        proposer.sliding[0].weight.zero_()[0, 0, 1, 1] = 1.0
        proposer.sliding[0].bias.zero_()
        proposer.objectness.weight.zero_()[4] = 1.0
        proposer.offsets.weight.zero_()[4 * 4 + 2] = 1.0
        maps = torch.arange(6.0).view(1, 1, 2, 3)
        logits, by, _ = proposer(maps)
    assert logits.view(6, 6)[:, 4].tolist() == [0, 1, 2, 3, 4, 5] and logits.view(6, 6)[:, :4].abs().sum() == 0
    assert by.view(6, 6, 4)[:, 4, 2].tolist() == [0, 1, 2, 3, 4, 5] and by.abs().sum() == 15


def test_matching_takes_what_overlaps_and_the_best_of_each_object():
    overlaps = torch.tensor([[[0.8, 0.0], [0.2, 0.1], [0.4, 0.3], [0.1, 0.2], [0.0, 0.0]]])
    is_object, is_none, objects = matched(overlaps, 0.7, 0.3)
    assert is_object[0].tolist() == [True, False, True, False, False]  # the third is the best for the second object
    assert is_none[0].tolist() == [False, True, False, True, True]
    assert objects[0, :3].tolist() == [0, 0, 0]
    nothing = matched(torch.zeros(1, 3, 0), 0.7, 0.3)
    assert nothing[0].sum() == 0 and nothing[1].all()


def test_drawing_keeps_to_the_numbers_and_to_the_candidates():
    torch.manual_seed(0)
    is_object = torch.zeros(2, 50, dtype=torch.bool)
    is_object[0, :20], is_object[1, :2] = True, True
    is_none = ~is_object
    is_none[:, 40:] = False
    seen = torch.zeros(2, 50)
    for _ in range(40):
        objects, others = draw(is_object, is_none, 16, 0.25)
        assert not (objects & ~is_object).any() and not (others & ~is_none).any()
        assert objects.sum(1).tolist() == [4, 2] and others.sum(1).tolist() == [12, 14]
        seen += objects.float() + others.float()
    assert (seen[0, :40] > 0).all() and (seen[:, 40:] == 0).all()  # everything has its turn
    few, rest = draw(is_object, torch.zeros_like(is_none), 16, 0.25)
    assert few.sum(1).tolist() == [4, 2] and not rest.any()


def test_proposals_are_the_best_without_doubles():
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [-5, -5, 5, 5], [40, 40, 41, 41]])
    logits = torch.tensor([[1.0, 2.0, 0.0, -1.0, 5.0]])
    found = propose(logits, torch.zeros(1, 5, 4), anchors, size=(25, 40), number=4)
    # The fifth is outside; the first is the double of the second; boxes are cut at the edges.
    assert found.mask[0].tolist() == [True, True, True, False]
    assert found.boxes[0, :3].tolist() == [[0, 0, 10, 9], [20, 20, 30, 25], [0, 0, 5, 5]]


def test_the_loss_of_the_first_stage_is_the_mean_over_what_was_drawn(monkeypatch):
    monkeypatch.setattr(first_stage, "ANCHORS_LEARNT", 6)
    anchors = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 7], [8, 8, 16, 16], [0, 8, 8, 16], [-8, 8, 8, 16]])
    logits = torch.tensor([[0.3, -0.2, 0.5, 0.1, 9.0]])
    by = torch.full((1, 5, 4), 0.25)
    targets = pad_targets([torch.tensor([[0.0, 0.0, 8.0, 8.0]])], [torch.tensor([0])])
    found = proposal_loss(logits, by, anchors, targets, size=(16, 16)).item()
    # Two objects, two that are none; the last one sticks out, and is left out though it is none.
    expected = sum(math.log1p(math.exp(-value if is_object else value)) / 4 for value, is_object in (
        (0.3, True), (-0.2, True), (0.5, False), (0.1, False)
    ))  # fmt: skip
    for anchor in anchors[:2]:
        for wanted in offsets(targets.boxes[0, 0], anchor).tolist():
            error = abs(0.25 - wanted)
            expected += (error - 0.5 / 9 if error > 1 / 9 else error**2 * 4.5) / 4
    assert found == pytest.approx(expected, rel=1e-5)


def test_losses_are_finite_without_objects_and_go_to_all_weights_with_them():
    model = network().train()
    pictures, targets = squares(2)
    model.loss(model(pictures), targets).backward()
    untouched = [name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert untouched == []
    empty = pad_targets([torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2)
    assert model.loss(model(pictures), empty).isfinite()


def test_shapes_can_be_learnt_by_heart():
    pictures, targets = squares(8)
    model = network().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(80):
        loss = model.loss(model(pictures), targets) / 8
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = model.detect(model(pictures), threshold=0.3)
    for row, answer in enumerate(found):
        assert answer.labels[0].item() == targets.labels[row, 0].item()
        assert pairwise_iou(answer.boxes[:1], targets.boxes[row]).item() > 0.5


def test_detections_are_sorted_whole_and_within_the_picture():
    model = network()
    with torch.no_grad():
        outputs = model(torch.randn(2, 3, 64, 96))
        found = model.detect(outputs, threshold=0.0, most=5)
    for answer in found:
        assert 0 < len(answer.scores) <= 5
        assert (answer.scores.diff() <= 0).all()
        assert (answer.boxes >= 0).all() and (answer.boxes[:, 2] <= 96).all() and (answer.boxes[:, 3] <= 64).all()
    empty = outputs._replace(proposals=outputs.proposals._replace(mask=torch.zeros_like(outputs.proposals.mask)))
    assert [len(answer.scores) for answer in model.detect(empty)] == [0, 0]


def test_wrong_input_is_told():
    with pytest.raises(ValueError, match=r"anchor_sizes is \(\), expected one or more sizes of at least 1 pixel"):
        network(anchor_sizes=())
    model = network()
    with pytest.raises(ValueError, match=r"target boxes has shape \(1, 1, 4\), expected \(2, objects, 4\)"):
        model.loss(model(torch.zeros(2, 3, 64, 64)), squares(1)[1])
