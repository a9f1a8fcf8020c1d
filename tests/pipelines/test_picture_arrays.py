"""idx files, CIFAR's batches and plain pickles: the same pixels and labels come out, and broken files are told."""

import gzip
import io
import pickle
import struct

import numpy as np
import pytest
from PIL import Image
from quintet.pipelines.errors import DataError
from quintet.pipelines.picture_arrays import png_bytes
from quintet.pipelines.plain_pickle import load_plain
from quintet.pipelines.records import find_files, read_records

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (7, 5, 4), dtype=np.uint8)
COLOURED = GENERATOR.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)


def pixels(record):
    return np.asarray(Image.open(io.BytesIO(record.values["image"]["bytes"])))


def idx(values):
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_idx(folder, pictures=GREY, labels=None, *, split="train", ending="-ubyte.gz"):
    pack = gzip.compress if ending.endswith(".gz") else bytes
    folder.mkdir(exist_ok=True)
    (folder / f"{split}-images-idx3{ending}").write_bytes(pack(idx(pictures)))
    if labels is not None:
        (folder / f"{split}-labels-idx1{ending}").write_bytes(pack(idx(np.array(labels, dtype=np.uint8))))
    return folder / f"{split}-images-idx3{ending}"


@pytest.mark.parametrize("array", [GREY[0], COLOURED[0].transpose(1, 2, 0), np.zeros((1, 1), np.uint8)])
def test_png_is_what_pillow_reads(array):
    picture = Image.open(io.BytesIO(png_bytes(array)))
    picture.load()
    assert picture.format == "PNG"
    assert picture.mode == ("RGB" if array.ndim == 3 else "L")
    assert np.array_equal(np.asarray(picture), array)


# --- idx ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["-ubyte.gz", "-ubyte"])
def test_idx_pictures_come_with_the_labels_beside_them(tmp_path, ending):
    path = write_idx(tmp_path, labels=[3, 1, 4, 1, 5, 9, 2], ending=ending)
    records = list(read_records(path))
    assert [record.values["label"] for record in records] == [3, 1, 4, 1, 5, 9, 2]
    assert [record.row for record in records] == list(range(1, 8))
    assert np.array_equal(np.stack([pixels(record) for record in records]), GREY)
    assert records[6].values["image"]["path"] == "train-images-7.png"
    assert [list(record.values) for record in read_records(path, columns=["label"])] == [["label"]] * 7


def test_a_folder_of_idx_files_has_two_splits(tmp_path):
    write_idx(tmp_path, labels=[0] * 7)
    write_idx(tmp_path, labels=[1] * 7, split="t10k")
    files = find_files(tmp_path)
    assert [(file.format, file.split) for file in files] == [("idx", "test"), ("idx", "train")]
    assert [record.values["label"] for record in read_records(tmp_path)] == [1] * 7 + [0] * 7


def test_idx_without_labels_has_pictures_only(tmp_path):
    assert [list(record.values) for record in read_records(write_idx(tmp_path))] == [["image"]] * 7


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.write_bytes(idx(GREY[:, 0])), "begins with 00 00 08 02, which is no idx file of pictures"),
        (cut, "train-images-idx3-ubyte ends too early, after 0 of 7 pictures; is it whole?"),
        (lambda path: path.write_bytes(b"\x00\x00"), "ends too early, in its first bytes"),
        (lambda path: cut(path.with_name("train-labels-idx1-ubyte")), "train-labels-idx1-ubyte ends too early"),
        (
            lambda path: path.with_name("train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8))),
            "train-images-idx3-ubyte holds 7 pictures, but train-labels-idx1-ubyte 3 labels; expected as many",
        ),
    ],
)
def test_broken_idx_files_are_told(tmp_path, spoil, sentence):
    path = write_idx(tmp_path, labels=[0] * 7, ending="-ubyte")
    spoil(path)
    with pytest.raises(DataError) as caught:
        list(read_records(path))
    assert sentence in str(caught.value)


def test_a_zipped_idx_file_that_is_cut_off_is_told(tmp_path):
    path = write_idx(tmp_path)
    cut(path)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be read to its end .* is it whole\?"):
        list(read_records(path))


# --- CIFAR --------------------------------------------------------------------------------------------------------

NAMES = ["airplane", "bird", "cat"]
LABELS = [2, 0, 1, 1, 2, 0]


def binary(heads):
    rows = zip(zip(*heads, strict=True), COLOURED, strict=True)
    return b"".join(bytes(head) + picture.tobytes() for head, picture in rows)


def write_cifar_10(folder, *, is_binary, protocol=2):
    folder.mkdir(exist_ok=True)
    for name in ("data_batch_1", "test_batch"):
        if is_binary:
            (folder / f"{name}.bin").write_bytes(binary([LABELS]))
            (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
        else:
            batch = {b"data": COLOURED.reshape(6, -1), b"labels": LABELS, b"filenames": [b"a.png"] * 6}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
            (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": NAMES}, protocol=protocol))


@pytest.mark.parametrize(("is_binary", "protocol"), [(True, 0), (False, 0), (False, 2), (False, 4), (False, 5)])
def test_cifar_10_gives_pictures_and_named_labels(tmp_path, is_binary, protocol):
    write_cifar_10(tmp_path, is_binary=is_binary, protocol=protocol)
    files = find_files(tmp_path)
    assert [(file.format, file.split) for file in files] == [("cifar", "train"), ("cifar", "test")]
    records = list(read_records(files[1].path))
    assert [record.values["label"] for record in records] == [NAMES[label] for label in LABELS]
    assert np.array_equal(np.stack([pixels(record) for record in records]), COLOURED.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("is_binary", [True, False])
def test_cifar_100_has_fine_and_coarse_labels(tmp_path, is_binary):
    coarse = [1, 1, 0, 0, 1, 0]
    if is_binary:
        (tmp_path / "train.bin").write_bytes(binary([coarse, LABELS]))
        (tmp_path / "fine_label_names.txt").write_text("\n".join(NAMES))
        (tmp_path / "coarse_label_names.txt").write_text("vehicles\nanimals\n")
    else:
        batch = {"data": COLOURED.reshape(6, -1), "fine_labels": LABELS, "coarse_labels": coarse}
        (tmp_path / "train").write_bytes(pickle.dumps(batch))
        meta = {"fine_label_names": NAMES, "coarse_label_names": ["vehicles", "animals"]}
        (tmp_path / "meta").write_bytes(pickle.dumps(meta))
    records = list(read_records(tmp_path))
    assert [record.values["label"] for record in records] == [NAMES[label] for label in LABELS]
    assert [record.values["coarse_label"] for record in records] == [["vehicles", "animals"][each] for each in coarse]
    assert np.array_equal(pixels(records[4]), COLOURED[4].transpose(1, 2, 0))


def test_broken_cifar_batches_are_told(tmp_path):
    write_cifar_10(tmp_path, is_binary=True)
    cut(tmp_path / "data_batch_1.bin")
    with pytest.raises(DataError, match=r"data_batch_1\.bin has 18429 bytes, .* pictures of 3073 bytes; is it whole\?"):
        list(read_records(tmp_path / "data_batch_1.bin"))
    (tmp_path / "batches.meta.txt").write_text("airplane\nbird\n")
    with pytest.raises(DataError, match=r"test_batch\.bin, row 1: label 2 has no name; there are names for 0 to 1"):
        list(read_records(tmp_path / "test_batch.bin"))


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        ({"data": np.zeros((2, 8), np.uint8), "labels": [0, 1]}, "is no batch of CIFAR; expected 'data'"),
        ({"data": COLOURED.reshape(6, -1), "labels": [0, 1]}, "has no label for each of its 6 pictures"),
        ({"data": COLOURED.reshape(6, -1)}, "expected 'labels' or 'fine_labels'"),
        ([1, 2], "expected 'data' with rows of 3072 bytes"),
    ],
)
def test_pickles_that_are_no_batches_are_told(tmp_path, batch, sentence):
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch))
    with pytest.raises(DataError) as caught:
        list(read_records(tmp_path / "test_batch"))
    assert sentence in str(caught.value)


# --- plain pickles ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_and_arrays_are_read(tmp_path, protocol):
    value = {"a": [1, 2.5, None, True, "é", b"bytes"], "b": np.arange(6, dtype=">i4").reshape(2, 3), "c": np.ones(2)}
    value["d"] = np.asfortranarray(np.arange(6).reshape(2, 3))
    (tmp_path / "x").write_bytes(pickle.dumps(value, protocol=protocol))
    found = load_plain(tmp_path / "x")
    assert found["a"] == [1, 2.5, None, True, "é", "bytes"]
    assert found["b"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["c"].dtype == np.float64
    assert found["d"].tolist() == [[0, 1, 2], [3, 4, 5]]


class Calls:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            Calls(print, "ran"),
            ".print, which is not loaded: of pickle files only numbers, texts, lists, dicts and numpy",
        ),
        (Calls(eval, "1"), ".eval, which is not loaded"),
        (Calls(np.fromfile, "x"), "fromfile, which is not loaded"),
        (np.array([print], dtype=object), "test_batch "),
        (np.array(["text"]), "test_batch is no whole pickle file (an array of U4)"),
    ],
)
def test_nothing_else_is_loaded_or_run(tmp_path, capsys, value, sentence, protocol):
    (tmp_path / "test_batch").write_bytes(pickle.dumps({"data": value}, protocol=protocol))
    with pytest.raises(DataError) as caught:
        load_plain(tmp_path / "test_batch")
    assert sentence in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_function_takes_no_state(tmp_path):
    """GLOBAL _codecs.encode, an empty tuple, BUILD: what sets attributes on what was found."""
    (tmp_path / "x").write_bytes(b"c_codecs\nencode\n(K\x01tb.")
    with pytest.raises(DataError, match=r"x is no whole pickle file \(a function is no data\)"):
        load_plain(tmp_path / "x")


@pytest.mark.parametrize("raw", [b"", b"hello", b"\x80\x04K", pickle.dumps(list(range(99)))[:40], b"\x80\x02\x8a\xff."])
def test_broken_pickles_are_told(tmp_path, raw):
    (tmp_path / "x").write_bytes(raw)
    with pytest.raises(DataError, match=r"x is no whole pickle file \(.*\); is it the file that its name says\?"):
        load_plain(tmp_path / "x")
