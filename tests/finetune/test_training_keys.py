"""Keys of training texts: counted among other rows, sampled where there are many, and never a text."""

import numpy as np
import pytest
from quintet.finetune import training_keys
from quintet.finetune.training_keys import TrainingKeys, read_training_keys
from quintet.pipelines.errors import DataError


def random_keys(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def test_rows_with_a_text_that_was_trained_on_are_counted_each(tmp_path):
    keys = random_keys(1000)
    TrainingKeys.of(np.concatenate([keys, keys[:10]])).write(tmp_path)
    kept = read_training_keys(tmp_path)
    assert kept.keys.tolist() == sorted(keys.tolist()) and not kept.is_sample
    assert kept.count(np.concatenate([keys[:30], keys[:5], random_keys(200, seed=1)])) == 35
    assert kept.count(random_keys(200, seed=1)) == 0


def test_of_many_keys_the_smallest_are_kept_and_the_count_is_scaled_up(tmp_path, monkeypatch):
    monkeypatch.setattr(training_keys, "MOST_KEYS", 5_000)
    keys = random_keys(50_000)
    TrainingKeys.of(keys).write(tmp_path)
    kept = read_training_keys(tmp_path)
    assert len(kept.keys) == 5_000 and kept.is_sample and (tmp_path / "training_keys.npz").stat().st_size < 41_000
    mixed = np.concatenate([keys[:6_000], random_keys(14_000, seed=1)])
    # a tenth of 20,000 rows is looked at: 6,000 ± three standard errors of 205
    assert kept.count(mixed) == pytest.approx(6_000, abs=615)
    assert kept.count(keys[:20_000]) == 20_000
    assert kept.count(random_keys(14_000, seed=1)) == 0
    assert kept.count(np.array([2**64 - 1], np.uint64)) is None


def test_the_same_keys_give_the_same_bytes(tmp_path):
    for name, keys in (("one", random_keys(100)), ("other", random_keys(100)[::-1])):
        (tmp_path / name).mkdir()
        TrainingKeys.of(keys).write(tmp_path / name)
    first, second = ((tmp_path / name / "training_keys.npz").read_bytes() for name in ("one", "other"))
    assert first == second and len(first) < 8 * 100 + 600


def test_a_folder_without_keys_has_none_and_broken_ones_are_told(tmp_path):
    assert read_training_keys(tmp_path) is None
    TrainingKeys.of(random_keys(10)).write(tmp_path)
    whole = (tmp_path / "training_keys.npz").read_bytes()
    for broken in (b"", b"keys", whole[:100]):
        (tmp_path / "training_keys.npz").write_bytes(broken)
        with pytest.raises(DataError, match=r"training_keys.npz beside the checkpoint cannot be read .* or delete it"):
            read_training_keys(tmp_path)
