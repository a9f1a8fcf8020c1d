"""Each way in which a weight file can be wrong has its sentence."""

import json
import pickle
import struct
import zipfile

import pytest
import torch
from quintet.pipelines.errors import WeightsError
from quintet.pipelines.weights import check_weight_files, fit_weights, read_weights
from safetensors.torch import save_file

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    save_file(TENSORS, folder / "model.safetensors")
    return folder


def test_tensors_are_read_by_their_keys(folder):
    read = read_weights(folder, name="reviews")
    assert sorted(read) == ["bias", "weight"]
    assert torch.equal(read["weight"], TENSORS["weight"])


def test_a_missing_file_lists_what_is_there(folder):
    (folder / "model.safetensors").rename(folder / "wrong.safetensors")
    for read in (read_weights, check_weight_files):
        with pytest.raises(
            WeightsError, match=r"checkpoint 'reviews' has no model.safetensors \(found: wrong.safetensors\); fetch"
        ):
            read(folder, name="reviews")


@pytest.mark.parametrize(
    ("kept", "words"), [(-5, "is cut off: 141 of 146 bytes"), (30, "is cut off within its header")]
)
def test_a_file_that_is_cut_off_says_so(folder, kept, words):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    expected = words.replace("141", str(len(whole) - 5)).replace("146", str(len(whole)))
    path.write_bytes(whole[:kept])
    for read in (read_weights, check_weight_files):
        with pytest.raises(WeightsError, match=f"model.safetensors of checkpoint 'reviews' {expected}"):
            read(folder, name="reviews")


def test_a_file_that_is_too_long_says_so(folder):
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"more")
    with pytest.raises(WeightsError, match=r"is \d+ bytes long, its header says \d+; fetch it again"):
        read_weights(folder, name="reviews")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; fetch or save the checkpoint again"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "is not safetensors but a web page; the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a git-lfs pointer, not the file itself; run"),
        (
            pickle.dumps({"weight": [1.0]}, protocol=4),
            "is not safetensors but a pickle; save the tensors as safetensors",
        ),
        (b"\x1f\x8b" + bytes(40), "is not safetensors but a gzip archive; unpack it"),
        (b"nonsense, and more of it", r"is not safetensors \(24 bytes\); fetch or save"),
        (struct.pack("<Q", 40) + b"{" + b"x" * 39, "has a broken header; fetch or save the checkpoint again"),
    ],
)
def test_a_file_of_another_format_says_which(folder, content, words):
    (folder / "model.safetensors").write_bytes(content)
    for read in (read_weights, check_weight_files):
        with pytest.raises(WeightsError, match=f"model.safetensors of checkpoint 'reviews' {'.*' + words}"):
            read(folder, name="reviews")


def test_a_file_of_torch_save_under_the_name_says_so(folder):
    torch.save(TENSORS, folder / "model.safetensors")
    assert zipfile.is_zipfile(folder / "model.safetensors")
    with pytest.raises(
        WeightsError, match=r"not safetensors but a pickle written by torch.save; save it as safetensors"
    ):
        read_weights(folder, name="reviews")


def test_a_pickle_of_tensors_is_read(folder):
    (folder / "model.safetensors").unlink()
    torch.save(TENSORS, folder / "pytorch_model.bin")
    check_weight_files(folder, name="reviews")
    assert torch.equal(read_weights(folder, name="reviews")["bias"], torch.ones(2))


class Attack:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return (open, ("attacked", "w"))


@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(folder, save, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    save({"weight": Attack()}, folder / "pytorch_model.bin")
    with pytest.raises(
        WeightsError, match=r"pytorch_model.bin of checkpoint 'reviews' is a pickle that holds more than tensors"
    ):
        read_weights(folder, name="reviews")
    assert not (folder / "attacked").exists()


def test_a_pickle_of_something_else_is_refused(folder):
    (folder / "model.safetensors").unlink()
    torch.save([1, 2], folder / "model.pt")
    with pytest.raises(WeightsError, match=r"model.pt of checkpoint 'reviews' is not a mapping of names to tensors"):
        read_weights(folder, name="reviews")


def test_shards_are_checked_each(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=r"checkpoint 'reviews' has no model-00002-of-00002.safetensors; fetch"):
        check_weight_files(folder, name="reviews")
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"<html></html>")
    with pytest.raises(WeightsError, match=r"model-00002-of-00002.safetensors .* a web page"):
        check_weight_files(folder, name="reviews")
    save_file(TENSORS, folder / "model-00002-of-00002.safetensors")
    check_weight_files(folder, name="reviews")
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(WeightsError, match=r"model.safetensors.index.json of checkpoint 'reviews' is broken"):
        check_weight_files(folder, name="reviews")


def test_all_keys_that_do_not_fit_are_listed_together():
    network = torch.nn.Linear(3, 2)
    given = {"weight": torch.zeros(2, 4), "scale": torch.zeros(2), "offset": torch.zeros(1)}
    with pytest.raises(
        WeightsError,
        match=r"the weights of checkpoint 'reviews' do not fit its config.json: missing bias; unexpected offset, "
        r"scale; wrong shape weight is \(2, 4\), expected \(2, 3\)\. Fetch or save the checkpoint again\.",
    ):
        fit_weights(network, given, name="reviews")


def test_of_many_keys_that_do_not_fit_the_first_are_listed():
    network = torch.nn.Sequential(*(torch.nn.Linear(1, 1, bias=False) for _ in range(40)))
    words = r"missing 0\.weight, 1\.weight, 10\.weight, 11\.weight, 12\.weight and 35 more; unexpected"
    with pytest.raises(WeightsError, match=words) as error:
        fit_weights(network, {f"w{index}": torch.zeros(1) for index in range(6)}, name="reviews")
    assert "unexpected w0, w1, w2, w3, w4 and 1 more. Fetch" in str(error.value)


def test_half_precision_becomes_the_network_s():
    network = torch.nn.Linear(3, 2)
    fit_weights(network, {key: tensor.half() for key, tensor in TENSORS.items()}, name="reviews")
    assert network.weight.dtype == torch.float32
    assert torch.equal(network.weight, TENSORS["weight"])
