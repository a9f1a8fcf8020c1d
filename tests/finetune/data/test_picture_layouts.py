"""Data of pictures that is more than one file: converted once, and anew when any of its files changes."""

import gzip
import os
import struct

import numpy as np
import pytest
from PIL import Image
from quintet.finetune.data import load_data
from quintet.finetune.data.arrow_files import FileRows
from quintet.finetune.data.cells import Wanted
from quintet.pipelines.records import find_files
from quintet.pipelines.tasks import find_task

WANTED = Wanted({"image": "image"}, {"image": "image"}, ("image",))


def picture(path, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)


def idx(values):
    return gzip.compress(struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes())


def masks(folder):
    for name in "ab":
        picture(folder / f"images/{name}.png")
        picture(folder / f"masks/{name}.png", 1)
    (folder / "classes.txt").write_text("sky\nroad\n")


def numbers(folder):
    labels = np.arange(40, dtype=np.uint8) % 2
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(idx(pixels))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(idx(labels))


def metadata(folder):
    for name in "ab":
        picture(folder / f"{name}.png")
    (folder / "metadata.csv").write_text("file_name,label\na.png,x\nb.png,y\n")


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (masks, ["images/a.png", "masks/b.png", "classes.txt"]),
        (numbers, ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]),
        (metadata, ["metadata.csv", "b.png"]),
    ],
)
def test_a_change_of_any_file_is_seen(tmp_path, make, names):
    make(tmp_path)
    rows = FileRows(find_files(tmp_path), "data")
    keys = {rows._key(WANTED)}
    assert rows._key(WANTED) in keys
    for second, name in enumerate(names, 1):
        os.utime(tmp_path / name, (second, second))
        keys.add(rows._key(WANTED))
    assert len(keys) == 1 + len(names)


def test_idx_files_are_loaded_for_training(tmp_path):
    numbers(tmp_path)
    data = load_data(tmp_path, task=find_task("image-classification"), validation_fraction=0.25, seed=0)
    assert list(data.labels) == ["0", "1"]
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 30, "validation": 10}


def test_stray_and_broken_files_are_skipped_and_counted(tmp_path):
    for label in ("cat", "dog"):
        for number in range(6):
            picture(tmp_path / label / f"{number}.png", number + 20 * (label == "cat"))
    (tmp_path / "cat/notes.txt").write_text("stray")
    (tmp_path / "dog/5.png").write_bytes(b"")
    options = {"task": find_task("image-classification"), "validation_fraction": 0.0}
    data = load_data(tmp_path, **options, bad_rows="skip")
    assert len(data.splits["train"]) == 11
    assert data.report.rejected_rows == 2
