"""What vectors learn from pairs, against sums written out, and in two processes against one."""

import json
import subprocess
import sys

import pytest
import torch
from quintet.finetune.pair_losses import MARGIN, SCALE, contrastive_losses, cosine_losses, in_batch_losses
from torch.nn.functional import normalize


def vectors(rows, seed):
    torch.manual_seed(seed)
    return normalize(torch.randn(rows, 6), dim=-1)


def test_cosine_and_contrastive_are_what_their_papers_say():
    firsts, seconds = vectors(4, 0), vectors(4, 1)
    cosines = [float(one @ other) for one, other in zip(firsts, seconds, strict=True)]
    targets = torch.tensor([0.2, 0.9, 0.0, 1.0])
    expected = [(cosine - float(target)) ** 2 for cosine, target in zip(cosines, targets, strict=True)]
    assert cosine_losses(firsts, seconds, targets).tolist() == pytest.approx(expected, abs=1e-6)

    labels = torch.tensor([1.0, 0.0, 1.0, 0.0])
    expected = [
        (1 - cosine) ** 2 if label else max(0.0, MARGIN - (1 - cosine)) ** 2
        for cosine, label in zip(cosines, labels.tolist(), strict=True)
    ]
    assert contrastive_losses(firsts, seconds, labels).tolist() == pytest.approx(expected, abs=1e-6)


def in_batch(firsts, seconds, first_keys, second_keys):
    own = torch.arange(len(firsts))
    return in_batch_losses(
        firsts, seconds, torch.tensor(first_keys), own, torch.tensor(first_keys), torch.tensor(second_keys)
    )


def test_a_text_picks_its_partner_out_of_all_of_the_batch():
    firsts, seconds = vectors(3, 0), vectors(3, 1)
    losses, right = in_batch(firsts, seconds, [1, 2, 3], [4, 5, 6])
    logits = SCALE * firsts @ seconds.T
    expected = [float(-logits[row].log_softmax(0)[row]) for row in range(3)]
    assert losses.tolist() == pytest.approx(expected, abs=1e-5)
    assert right.tolist() == [int(logits[row].argmax()) == row for row in range(3)]


def test_what_is_right_too_is_no_wrong_answer_and_a_repeated_text_counts_once():
    firsts, seconds = vectors(5, 0), vectors(5, 1)
    seconds[1], seconds[4] = seconds[0], seconds[3]
    # rows 0 and 1 have the same second text; rows 2 and 3 the same first; row 4's second is row 3's again
    losses, _ = in_batch(firsts, seconds, [1, 2, 3, 3, 5], [7, 7, 8, 9, 9])
    logits = SCALE * firsts @ seconds.T
    seen = [[0, 2, 3], [1, 2, 3], [0, 2], [0, 3], [0, 2, 4]]  # by row: the candidates that remain
    expected = [float(logits[row][kept].logsumexp(0) - logits[row][row]) for row, kept in enumerate(seen)]
    assert losses.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_batch_of_equal_texts_teaches_nothing_and_breaks_nothing():
    same = vectors(1, 0).expand(4, -1)
    losses, _ = in_batch(same, same, [1] * 4, [2] * 4)
    assert losses.tolist() == [0.0] * 4


TWO_PROCESSES = """
import json, sys, torch
from quintet.finetune.pair_losses import in_batch_losses, of_all_processes
rank, world = int(sys.argv[1]), int(sys.argv[2])
if world > 1:
    torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank, world_size=world)
torch.manual_seed(0)
layer, inputs = torch.nn.Linear(4, 3), torch.randn(10, 4)
firsts, seconds, keys = inputs[:5], inputs[5:], torch.tensor([[0, 10], [1, 11], [2, 10], [3, 13], [4, 14]])
own = list(range(5)) if world == 1 else [[0, 1, 2], [3, 4]][rank]
u, v = (torch.nn.functional.normalize(layer(part[own]), dim=-1) for part in (firsts, seconds))
start, (candidates, all_keys) = of_all_processes(v, keys[own])
places = torch.arange(start, start + len(own))
losses, _ = in_batch_losses(u, candidates, keys[own][:, 0], places, all_keys[:, 0], all_keys[:, 1])
losses.sum().backward()
gradient, total = layer.weight.grad, losses.sum().detach()
if world > 1:
    torch.distributed.all_reduce(gradient)
    torch.distributed.all_reduce(total)
print(json.dumps([total.item(), gradient.flatten().tolist()]))
if world > 1:
    torch.distributed.destroy_process_group()
"""


def test_two_processes_give_the_loss_and_the_gradient_of_one(tmp_path):
    def start(rank, world):
        command = [sys.executable, "-c", TWO_PROCESSES, str(rank), str(world), str(tmp_path / "meeting")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    alone, *both = [start(0, 1), start(0, 2), start(1, 2)]
    outputs = [process.communicate(timeout=300)[0] for process in (alone, *both)]
    expected, first, second = (json.loads(output.splitlines()[-1]) for output in outputs)
    for loss, gradient in (first, second):
        assert loss == pytest.approx(expected[0], abs=1e-5)
        assert gradient == pytest.approx(expected[1], abs=1e-5)
    assert max(map(abs, expected[1])) > 0.1
