"""The engine, with functions in place of a model."""

import itertools
import time
import tracemalloc
import warnings

import pytest
import torch
from quintet.pipelines import batching
from quintet.pipelines.batching import Batcher, BatchLimits, Sample, pack, read_ahead
from quintet.pipelines.errors import InputError


class Recorder:
    """A model that returns each sample's number, and remembers the batches that it was given."""

    def __init__(self, *, bad=(), capacity=None, error=None):
        self.batches, self.bad, self.capacity, self.error = [], set(bad), capacity, error or RuntimeError("boom")

    def prepare(self, items):
        if None in items:
            raise InputError("expected a number.")
        return [[Sample(item, item)] for item in items]

    def forward(self, samples):
        lengths = [sample.length for sample in samples]
        if self.capacity is not None and len(lengths) * max(lengths) > self.capacity:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        if self.bad & set(lengths):
            raise self.error
        self.batches.append(lengths)
        return [sample.features for sample in samples]

    def batcher(self, **limits):
        return Batcher(self.prepare, self.forward, BatchLimits(**({"budget": 64, "overhead": 8} | limits)))


def test_outputs_come_in_the_order_of_the_inputs():
    inputs = [5, 1, 30, 2, 2, 17, 1, 40, 3]
    assert list(Recorder().batcher().stream(inputs)) == [[number] for number in inputs]


def test_batches_hold_samples_of_like_length_within_the_budget():
    model = Recorder()
    list(model.batcher().stream([length for length in range(1, 33) for _ in range(4)]))
    assert len(model.batches) > 10
    for batch in model.batches:
        assert len(batch) * max(batch) <= 64
        assert len(batch) * max(batch) - sum(batch) <= 8


def test_a_batch_size_is_obeyed():
    model = Recorder()
    list(model.batcher(batch_size=3).stream([7, 1, 50, 2, 2, 9, 4]))
    assert sorted(map(len, model.batches)) == [1, 3, 3]


def test_a_sample_over_the_budget_runs_alone():
    model = Recorder()
    assert list(model.batcher().stream([500, 1])) == [[500], [1]]
    assert [500] in model.batches


def test_an_input_may_give_several_samples():
    batcher = Batcher(
        lambda items: [[Sample((item, part), 1) for part in range(item)] for item in items],
        lambda samples: [sample.features for sample in samples],
        BatchLimits(2),
    )
    assert list(batcher.stream([2, 0, 1])) == [[(2, 0), (2, 1)], [], [(1, 0)]]


def test_groups_do_not_share_a_batch():
    batches = []

    def forward(samples):
        batches.append({sample.group for sample in samples})
        return [0] * len(samples)

    batcher = Batcher(lambda items: [[Sample(0, 1, group=item)] for item in items], forward, BatchLimits(64))
    list(batcher.stream(list("abab")))
    assert sorted(map(sorted, batches)) == [["a"], ["b"]]


def test_a_generator_is_read_a_window_at_a_time():
    taken = []
    outcomes = Recorder().batcher().stream(taken.append(n) or n % 5 + 1 for n in itertools.count())
    assert taken == []
    assert next(outcomes) == [1]
    assert len(taken) == 1
    for _ in range(100):
        next(outcomes)
    assert len(taken) < 101 + batching.WINDOW_ITEMS


def test_memory_stays_flat_over_an_endless_generator(monkeypatch):
    monkeypatch.setattr(batching, "WINDOW_ITEMS", 256)
    batcher = Batcher(
        lambda items: [[Sample(item, item[0] % 9 + 1)] for item in items],
        lambda samples: [sample.length for sample in samples],
        BatchLimits(64),
    )
    outcomes = batcher.stream(bytes([n % 256]) * 1000 for n in itertools.count())
    tracemalloc.start()
    for _ in itertools.islice(outcomes, 20_000):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000  # 256 inputs of 1 kB, twice, and what belongs to them; all 20,000 would be 20 MB


def test_a_window_is_bounded_by_the_size_of_its_items(monkeypatch):
    monkeypatch.setattr(batching, "WINDOW_SIZE", 100)
    windows = list(read_ahead(["x" * 40] * 10, len))
    assert [len(window) for window in windows] == [3, 3, 3, 1]


def test_a_slow_source_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(batching, "PATIENCE", 0.02)

    def slow():
        for number in range(6):
            time.sleep(0.03)
            yield number

    assert [len(window) for window in read_ahead(slow())] == [1] * 6


def test_windows_of_a_quick_source_grow():
    sizes = [len(window) for window in read_ahead(iter(range(4000)))]
    assert sizes[:4] == [1, 4, 16, 64]
    assert max(sizes) <= batching.WINDOW_ITEMS
    assert sum(sizes) == 4000


def test_an_error_of_the_source_comes_after_the_outcomes_before_it():
    def source():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    outcomes = Recorder().batcher().stream(source())
    assert [next(outcomes), next(outcomes)] == [[1], [2]]
    with pytest.raises(OSError, match="the disk is gone"):
        next(outcomes)


def test_a_bad_input_is_found_among_good_ones():
    outcomes = list(Recorder().batcher().stream([3, None, 4, None]))
    assert [outcomes[0], outcomes[2]] == [[3], [4]]
    assert [str(outcomes[1]), str(outcomes[3])] == ["input 1: expected a number.", "input 3: expected a number."]


def test_an_input_that_makes_the_model_fail_is_found_in_its_batch():
    model = Recorder(bad=[7])
    outcomes = list(model.batcher(budget=1000, overhead=1000).stream([5, 6, 7, 8, 9]))
    assert [outcome for outcome in outcomes if not isinstance(outcome, InputError)] == [[5], [6], [8], [9]]
    assert str(outcomes[2]) == "input 2: it makes the model fail (RuntimeError: boom)."
    assert isinstance(outcomes[2].__cause__, RuntimeError)


def test_an_input_that_is_an_error_already_keeps_its_source():
    outcomes = list(Recorder().batcher().stream([1, InputError("broken row.", source="a.csv, row 2"), 3]))
    assert str(outcomes[1]) == "input 1 (a.csv, row 2): broken row."
    assert [outcomes[0], outcomes[2]] == [[1], [3]]


def test_errors_that_are_no_fault_of_an_input_end_the_run():
    with pytest.raises(KeyboardInterrupt):
        list(Recorder(bad=[2], error=KeyboardInterrupt()).batcher().stream([1, 2]))


@pytest.mark.parametrize("limits", [{"budget": 4096, "overhead": 4096}, {"batch_size": 100}])
def test_out_of_memory_halves_the_batches_and_is_said_once(limits):
    model = Recorder(capacity=100)
    inputs = [10, 3, 10, 20, 5, 5, 10, 7] * 8
    shared = BatchLimits(**({"budget": 64} | limits))
    with pytest.warns(UserWarning, match="did not fit into memory; going on with smaller batches") as caught:
        assert list(Batcher(model.prepare, model.forward, shared).stream(inputs)) == [[number] for number in inputs]
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(Batcher(model.prepare, model.forward, shared).stream(inputs))) == len(inputs)


def test_a_sample_that_does_not_fit_alone_is_an_error_of_its_input():
    model = Recorder(capacity=100)
    with pytest.warns(UserWarning, match="did not fit"):
        outcomes = list(model.batcher(budget=1000, overhead=1000).stream([3, 300, 4]))
    assert [outcomes[0], outcomes[2]] == [[3], [4]]
    assert "does not fit into memory even alone (length 300)" in str(outcomes[1])


def test_torch_running_out_of_memory_is_recognised():
    assert batching.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert batching.is_out_of_memory(MemoryError())
    assert not batching.is_out_of_memory(RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="allocate") as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert batching.is_out_of_memory(caught.value)


def test_packing_takes_the_longest_first():
    samples = [Sample("", length) for length in (4, 90, 4)]
    assert pack(samples, range(3), BatchLimits(64))[-1] == [1]


def test_the_model_runs_in_inference_mode():
    modes = []

    def forward(samples):
        modes.append(torch.is_inference_mode_enabled())
        return samples

    list(Batcher(Recorder().prepare, forward, BatchLimits(64)).stream([1]))
    assert modes == [True]
