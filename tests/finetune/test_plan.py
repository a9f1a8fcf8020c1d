"""The order of training: every row once an epoch, like lengths together, a function of seed and epoch."""

import numpy as np
import pytest
from quintet.finetune.plan import Plan, micro_batches, share_of_process


def epoch_steps(plan: Plan, epoch: int, lengths: np.ndarray) -> list[np.ndarray]:
    """Rows of each step of an epoch."""
    steps, chunk = [], 0
    while len(steps) < plan.steps_per_epoch:
        rows = plan.chunk_rows(epoch, chunk)
        steps += [rows[positions] for positions in plan.chunk_steps(epoch, chunk, lengths[rows])]
        chunk += 1
    return steps


@pytest.mark.parametrize("rows, batch_size", [(1000, 8), (1, 8), (513, 8), (4097, 32), (50, 64)])
def test_every_row_comes_once_an_epoch(rows, batch_size):
    plan = Plan(rows, batch_size, 10**6, seed=3)
    lengths = np.random.default_rng(0).integers(1, 100, rows)
    for epoch in (0, 5):
        steps = epoch_steps(plan, epoch, lengths)
        assert len(steps) == plan.steps_per_epoch
        assert sorted(np.concatenate(steps)) == list(range(rows))
        assert sorted({len(step) for step in steps})[-1] == min(rows, batch_size)


def test_seed_and_epoch_change_the_order_and_nothing_else_does():
    lengths = np.ones(300, dtype=int)
    first = [epoch_steps(Plan(300, 8, 10, seed), epoch, lengths) for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))]
    flat = [np.concatenate(steps).tolist() for steps in first]
    assert flat[0] == flat[1]
    assert len({tuple(order) for order in flat}) == 3


def test_steps_hold_rows_of_like_length_and_come_in_no_order_of_length():
    lengths = np.random.default_rng(0).integers(4, 60, 4096)
    steps = epoch_steps(Plan(4096, 32, 10**6, seed=0), 0, lengths)
    padded = sum(len(step) * lengths[step].max() for step in steps)
    assert padded < 1.03 * lengths.sum()  # random steps of 32 have 1.8 times as many tokens
    longest = [lengths[step].max() for step in steps]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.3


def test_the_position_of_a_step_is_where_an_epoch_has_it():
    plan = Plan(1000, 8, 10**6, seed=0)
    assert plan.steps_per_epoch == 125 and plan.steps_per_chunk == 64
    assert [plan.position(step) for step in (0, 63, 64, 124, 125)] == [
        (0, 0, 0), (0, 0, 63), (0, 1, 0), (0, 1, 60), (1, 0, 0),
    ]  # fmt: skip


def test_shares_of_processes_make_up_the_step():
    step = np.arange(10)
    shares = [share_of_process(step, rank, 3) for rank in range(3)]
    assert sorted(np.concatenate(shares)) == list(range(10))
    assert [len(share) for share in shares] == [4, 3, 3]


def test_parts_hold_few_pairs_of_tokens_where_texts_are_long():
    lengths = np.asarray([400, 390, 100, 90, 80, 10, 10, 10])
    parts = micro_batches(lengths, 1, 10**6, 20_000)
    assert [lengths[part].tolist() for part in parts] == [[400], [390], [100, 90], [80, 10, 10], [10]]
    assert micro_batches(lengths, 1, 10**6) == [slice(0, 8)]


@pytest.mark.parametrize("accumulation, batch_tokens", [(1, 10**6), (4, 10**6), (1, 64), (3, 50), (100, 1)])
def test_parts_cover_the_step_within_the_budget(accumulation, batch_tokens):
    lengths = np.sort(np.random.default_rng(1).integers(5, 40, 32))[::-1]
    parts = micro_batches(lengths, accumulation, batch_tokens)
    assert np.concatenate([np.arange(32)[part] for part in parts]).tolist() == list(range(32))
    assert len(parts) >= min(accumulation, 32)
    for part in parts:
        own = lengths[part]
        assert len(own) == 1 or len(own) * own.max() <= batch_tokens
