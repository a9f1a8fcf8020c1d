"""A checkpoint on disk: what is in it, and what a failure leaves."""

import json
import os

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import UsageError, WeightsError
from quintet.pipelines.models import build_model
from quintet.pipelines.saving import save_checkpoint
from safetensors.torch import load_file

SIZES = {
    "lstm": {"embedding_size": 6, "hidden_size": 5, "layers": 2},
    "textcnn": {"embedding_size": 6, "filters": 4},
    "transformer": {"hidden_size": 8, "layers": 1, "heads": 2, "feed_forward_size": 12},
}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["a dull film", "a witty film"], "wordlevel", 50, 16)


def small(family="lstm", tokenizer=None, seed=0, labels=("negative", "positive")):
    torch.manual_seed(seed)
    return build_model(
        family,
        vocab_size=20,
        labels=labels,
        problem_type="single_label_classification",
        arguments=SIZES[family],
    ).eval()


@pytest.mark.parametrize("family", SIZES)
def test_the_configuration_holds_everything_a_loader_needs(family, tokenizer, tmp_path):
    model = small(family)
    names = save_checkpoint(model, tokenizer, tmp_path / "reviews", task="text-classification", dtype="float16")
    assert names == sorted(path.name for path in (tmp_path / "reviews").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} < set(names)
    config = json.loads((tmp_path / "reviews" / "config.json").read_text())
    expected = {
        "id2label": {"0": "negative", "1": "positive"},
        "label2id": {"negative": 0, "positive": 1},
        "problem_type": "single_label_classification",
        "task": "text-classification",
        "max_length": 16,
        "dtype": "float32",
        "vocab_size": 20,
        "pad_token_id": 0,
        "architectures": [type(model).__name__],
        "model_type": model.config.model_type,
        **SIZES[family],
    }
    assert {key: config[key] for key in expected} == expected
    assert sorted(config["auto_map"]) == ["AutoConfig", "AutoModelForSequenceClassification"]
    for reference in config["auto_map"].values():
        assert f"{reference.split('.')[0]}.py" in names


def test_nothing_in_the_folder_says_where_it_was_made(tokenizer, tmp_path):
    save_checkpoint(small(), tokenizer, tmp_path / "one")
    again = load_checkpoint(tmp_path / "one", light=False)
    save_checkpoint(again.model, again.tokenizer, tmp_path / "two")
    checked = 0
    for path in (tmp_path / "two").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name
        checked += 1
    assert checked >= 9


def test_saving_twice_gives_the_same_bytes(tokenizer, tmp_path):
    for folder in ("one", "two"):
        save_checkpoint(small(), tokenizer, tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_light_checkpoint_saves_the_weights_that_it_has_now(tokenizer, tmp_path):
    save_checkpoint(small(), tokenizer, tmp_path / "one", task="text-classification")
    light = load_checkpoint(tmp_path / "one")
    with torch.no_grad():
        light.model.classifier.weight /= 2
    save_checkpoint(light, light.tokenizer, tmp_path / "two")
    again = load_checkpoint(tmp_path / "two")
    assert torch.equal(again.model.classifier.weight, light.model.classifier.weight)
    assert again.config.raw == light.config.raw


def test_labels_can_be_named_and_are_counted(tokenizer, tmp_path):
    save_checkpoint(small(), tokenizer, tmp_path / "reviews", labels=("bad", "good"))
    assert load_checkpoint(tmp_path / "reviews").config.labels == ("bad", "good")
    with pytest.raises(UsageError, match="3 labels were given for a model with 2; name each class once"):
        save_checkpoint(small(), tokenizer, tmp_path / "reviews", labels=("a", "b", "c"))


def test_an_unknown_number_format_lists_the_known_ones(tokenizer, tmp_path):
    with pytest.raises(UsageError, match="dtype is 'int8', expected one of float32, bfloat16, float16"):
        save_checkpoint(small(), tokenizer, tmp_path / "reviews", dtype="int8")


def test_views_of_one_buffer_are_saved_each(tokenizer, tmp_path):
    """As flatten_parameters leaves them on CUDA."""
    model = small()
    cell = model.network.layers[0].forwards
    expected = {name: weight.detach().clone() for name, weight in cell.named_parameters()}
    buffer = torch.cat([weight.detach().reshape(-1) for weight in expected.values()])
    start = 0
    for weight in cell.parameters():
        weight.data = buffer[start : start + weight.numel()].view_as(weight)
        start += weight.numel()
    save_checkpoint(model, tokenizer, tmp_path / "reviews")
    stored = load_file(tmp_path / "reviews" / "model.safetensors")
    for name, tensor in expected.items():
        assert torch.equal(stored[f"network.layers.0.forwards.{name}"], tensor)


def test_files_of_other_names_stay_and_nothing_is_left_over(tokenizer, tmp_path):
    folder = tmp_path / "reviews"
    save_checkpoint(small(), tokenizer, folder)
    (folder / "log.jsonl").write_text("{}")
    save_checkpoint(small(seed=1), tokenizer, folder)
    assert (folder / "log.jsonl").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["reviews"]
    assert torch.equal(load_checkpoint(folder).model.classifier.weight, small(seed=1).network.classifier.weight)


def test_a_failure_leaves_what_was_there(tokenizer, tmp_path, monkeypatch):
    folder = tmp_path / "reviews"
    save_checkpoint(small(), tokenizer, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tokenizer), "save", full)
    with pytest.raises(
        WeightsError,
        match=r"cannot be written to folder 'reviews' \(No space left on device\); what was there",
    ):
        save_checkpoint(small(seed=1), tokenizer, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["reviews"]


def test_config_is_moved_last(tokenizer, tmp_path, monkeypatch):
    folder = tmp_path / "reviews"
    save_checkpoint(small(), tokenizer, folder)
    moved = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (moved.append(target.name), replace(source, target)))
    save_checkpoint(small(), tokenizer, folder)
    assert len(moved) >= 9
    assert moved[-1] == "config.json"


def test_a_place_that_cannot_be_written_to_is_a_sentence(tokenizer, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        WeightsError, match=r"the checkpoint cannot be written to folder 'reviews' \((File exists|Not a directory)\)"
    ):
        save_checkpoint(small(), tokenizer, tmp_path / "file" / "reviews")


def test_weights_may_be_read_by_whoever_may_read_the_configuration(tmp_path):
    model = build_model("lstm", vocab_size=9, labels=["a", "b"], problem_type="single_label_classification")
    tokenizer = train_tokenizer(["a b c"], "wordlevel", 16, 8)
    save_checkpoint(model, tokenizer, tmp_path / "out", labels=["a", "b"], task="text-classification")
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "out").iterdir() if path.is_file()}
    assert modes["model.safetensors"] == modes["config.json"]
