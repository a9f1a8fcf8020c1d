"""Training on pictures: from scratch, from checkpoints, with augmentation, stopped and taken up, in two processes."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from quintet import pipeline
from quintet.cards.facts import read_facts
from quintet.finetune import evaluate, finetune
from quintet.finetune.step_log import read_log
from quintet.pipelines.errors import UsageError
from safetensors.torch import load_file

TASK = "image-classification"
TINY = {"filters": "4-4", "neurons": "8-8"}
SETTINGS = {"model": "lenet5", "model_args": TINY, "image_size": 12, "epochs": 3, "batch_size": 16}
SETTINGS |= {"learning_rate": 1e-2, "device": "cpu"}


def stripes(count, seed, *, colour=False, side=12):
    """Pictures with a bright line across or down, each with its label."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        pixels = generator.integers(0, 60, (side, side, 3) if colour else (side, side), dtype=np.uint8)
        place = generator.integers(1, side - 1)
        pixels[(place, slice(None)) if number % 2 else (slice(None), place)] = 250
        made.append({"image": Image.fromarray(pixels), "label": ("down", "across")[number % 2]})
    return made


@pytest.fixture(scope="module")
def data():
    return {"train": stripes(96, 0), "validation": stripes(24, 1), "test": stripes(24, 2)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The same as folders of classes within folders of splits, in colour."""
    root = tmp_path_factory.mktemp("photos") / "stripes"
    for split, count, seed in (("train", 64, 0), ("test", 16, 2)):
        for number, row in enumerate(stripes(count, seed, colour=True)):
            folder = root / split / row["label"]
            folder.mkdir(parents=True, exist_ok=True)
            row["image"].save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def tiny_vit(tmp_path_factory):
    """A random ViT with labels of its own and its image processor."""
    folder = tmp_path_factory.mktemp("models") / "tiny-vit"
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=12,
        patch_size=4,
        initializer_range=0.2,
        num_labels=5,
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 12, "width": 12}).save_pretrained(folder)
    return folder


# --- from scratch ---------------------------------------------------------------------------------------------------


def test_a_family_learns_and_its_checkpoint_gives_the_same_numbers(data, tmp_path):
    output = tmp_path / "out"
    facts = finetune(TASK, dataset=data, output=output, **{**SETTINGS, "epochs": 6})
    assert (facts.family, facts.base_model, facts.labels) == ("lenet5", None, ("across", "down"))
    assert facts.max_length is None and facts.settings["image_size"] == 12
    test = next(each for each in facts.evaluations if each.split == "test")
    assert test.metric("accuracy").value > 0.8 > test.baselines[0].metrics[0].value
    assert test.protocol.get("long_texts") is None
    again = evaluate(output, dataset=data, device="cpu")
    assert [metric.value for metric in again.metrics] == pytest.approx([m.value for m in test.metrics], abs=1e-6)
    config = transformers.AutoConfig.from_pretrained(output, trust_remote_code=True)
    assert (config.channels, config.image_size) == (1, 12)  # all of them are grey
    theirs = transformers.pipeline(TASK, model=str(output), trust_remote_code=True, device="cpu")
    for row in data["test"][:4]:
        ours = pipeline(TASK, output, device="cpu")(row["image"])
        for one, other in zip(ours, theirs(row["image"]), strict=True):
            assert one["label"] == other["label"] and one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("alexnet", {"stem": "3-1-1", "filters": "4-4-4-4-4", "pooled_size": 1, "hidden_size": 8, "dropout": 0.1}),
        ("vgg9", {"width": 4, "pooled_size": 1, "hidden_size": 8, "dropout": 0.1}),
        ("resnet-20", {"width": 4}),
        ("resnet-18", {"embedding_size": 4, "hidden_sizes": "4-4-8-8", "depths": "1-1-1-1"}),
        ("resnet-50", {"embedding_size": 4, "hidden_sizes": "8-8-16-16", "depths": "1-1-1-1"}),
        ("vit-tiny", {"hidden_size": 12, "layers": 1, "feed_forward_size": 16}),
    ],
)
def test_every_family_trains_and_answers_as_transformers_does(model, arguments, data, tmp_path):
    given = {**SETTINGS, "model": model, "model_args": arguments, "image_size": 16, "max_steps": 4, "epochs": None}
    facts = finetune(TASK, dataset=data, output=tmp_path, **given)
    assert facts.family == model and facts.training.steps == 4
    ours = pipeline(TASK, tmp_path, device="cpu")
    theirs = transformers.pipeline(TASK, model=str(tmp_path), trust_remote_code=True, device="cpu")
    for row in data["test"][:2]:
        expected = {each["label"]: each["score"] for each in theirs(row["image"])}
        assert {each["label"]: each["score"] for each in ours(row["image"])} == pytest.approx(expected, abs=1e-5)


def test_several_labels_and_numbers_can_be_learned(data, tmp_path):
    def relabelled(label):
        return {split: [{**row, "label": label(row["label"])} for row in rows] for split, rows in data.items()}

    several = relabelled(lambda name: ["line", name])
    facts = finetune(TASK, dataset=several, output=tmp_path / "several", **SETTINGS)
    assert (facts.problem_type, facts.labels) == ("multi_label_classification", ("across", "down", "line"))
    answer = pipeline(TASK, tmp_path / "several", device="cpu")(data["test"][0]["image"])
    assert sum(each["score"] for each in answer) > 1.01  # each label has a probability of its own

    numbers = relabelled(lambda name: 2.5 if name == "down" else -1.0)
    facts = finetune(TASK, dataset=numbers, output=tmp_path / "numbers", **SETTINGS)
    assert facts.problem_type == "regression"
    (answer,) = pipeline(TASK, tmp_path / "numbers", device="cpu")(data["test"][0]["image"])
    assert list(answer) == ["label", "score"]


# --- checkpoints ----------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_trained_further_with_a_new_head(photos, tiny_vit, tmp_path):
    given = {"model": str(tiny_vit), "dataset": photos, "batch_size": 16, "learning_rate": 5e-3, "device": "cpu"}
    whole = finetune(TASK, output=tmp_path / "whole", epochs=5, **given)
    assert (whole.family, whole.base_model, whole.labels) == ("vit", "tiny-vit", ("across", "down"))
    losses = [line["loss"] for line in read_log(tmp_path / "whole")]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    theirs = transformers.pipeline(TASK, model=str(tmp_path / "whole"), device="cpu")
    picture = str(next((photos / "test" / "down").iterdir()))
    ours = pipeline(TASK, tmp_path / "whole", device="cpu")(picture)
    assert [each["label"] for each in ours] == [each["label"] for each in theirs(picture)]

    before = load_file(tiny_vit / "model.safetensors")
    finetune(TASK, output=tmp_path / "frozen", epochs=1, freeze=True, calibrate=False, **given)
    after = load_file(tmp_path / "frozen" / "model.safetensors")
    assert before.keys() == after.keys()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "classifier.weight",
        "classifier.bias",
    }

    low = finetune(TASK, output=tmp_path / "low", epochs=1, lora=True, lora_rank=2, keep_adapter=True, **given)
    after = load_file(tmp_path / "low" / "model.safetensors")
    assert before.keys() == after.keys() and low.trainable_parameters < low.parameters
    changed = {name for name in before if before[name].shape != after[name].shape}
    changed |= {name for name in before.keys() - changed if not torch.equal(before[name], after[name])}
    assert any("attention" in name for name in changed) and not any("layernorm" in name for name in changed)
    assert (tmp_path / "low" / "adapter" / "adapter_model.safetensors").is_file()


def test_what_a_checkpoint_decides_itself_is_refused(photos, tiny_vit, tmp_path):
    given = {"model": str(tiny_vit), "dataset": photos, "output": tmp_path / "out", "device": "cpu"}
    with pytest.raises(
        UsageError, match=r"--image-size is for a family trained from scratch, and --model .* is a check"
    ):
        finetune(TASK, image_size=32, **given)
    for name, value in (
        ("teacher", "x"),
        ("augment", 2),
        ("max_length", 40),
        ("vocab_size", 100),
        ("text_unit", "lines"),
    ):
        teacher = {"teacher": "x"} if name == "augment" else {}
        with pytest.raises(UsageError, match=r"--[-\w ]+ means nothing to image-classification; leave it out"):
            finetune(TASK, **{**given, name: value, **teacher})


# --- augmentation ---------------------------------------------------------------------------------------------------


AUGMENTED = {**SETTINGS, "augmentation": ("crop", "flip", "erase", "mixup"), "save_every": "1steps"}


def test_augmentation_changes_what_is_learnt_and_nothing_else_about_it(data, tmp_path):
    plain = finetune(TASK, dataset=data, output=tmp_path / "plain", **SETTINGS)
    varied = [finetune(TASK, dataset=data, output=tmp_path / name, **AUGMENTED) for name in ("a", "b")]
    assert varied[0].weights_sha256 == varied[1].weights_sha256 != plain.weights_sha256
    assert list(varied[0].settings["augmentation"]) == ["crop", "flip", "erase", "mixup"]
    assert "--augmentation crop,flip,erase,mixup" in varied[0].command
    with pytest.raises(UsageError, match="did you mean flip"):
        finetune(TASK, dataset=data, output=tmp_path / "c", **{**SETTINGS, "augmentation": ("flp",)})
    with pytest.raises(UsageError, match="mosaic"):  # for boxes alone
        finetune(TASK, dataset=data, output=tmp_path / "c", **{**SETTINGS, "augmentation": ("mosaic",)})


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(data, tmp_path, monkeypatch):
    from quintet.finetune.loop import Loop

    whole = finetune(TASK, dataset=data, output=tmp_path / "whole", **AUGMENTED)
    run = Loop.run

    def stopped(self, steps=None):
        run(self, 8)  # in the middle of the second epoch
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            finetune(TASK, dataset=data, output=tmp_path / "parts", **AUGMENTED)
    parts = finetune(TASK, dataset=data, output=tmp_path / "parts", resume=True, **AUGMENTED)
    assert parts.training.resumes == 1 and parts.weights_sha256 == whole.weights_sha256
    losses = [[line["loss"] for line in read_log(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == losses[1] and len(losses[0]) == 18


def test_two_processes_equal_one(photos, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    arguments = [
        *("-m", "quintet.finetune", TASK, "--model", "lenet5", "--dataset", str(photos), "--image-size", "12"),
        *("--model-args", "filters=4-4,neurons=8-8", "--epochs", "2", "--batch-size", "16", "--learning-rate", "0.01"),
        *("--augmentation", "crop,flip,erase"),
    ]
    together = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    for name, before in (("one", []), ("two", together)):
        done = subprocess.run(
            [sys.executable, *before, *arguments, "--output", str(tmp_path / name)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one, two = (list(read_log(tmp_path / name)) for name in ("one", "two"))
    assert len(one) == len(two) == 8
    for single, several in zip(one, two, strict=True):
        assert several["loss"] == pytest.approx(single["loss"], abs=1e-5)
        assert several["rows"] == single["rows"]
    assert read_facts(tmp_path / "two").training.processes == 2


def test_mixing_counts_both_labels_by_their_shares(data):
    from quintet.finetune.image_classification import ImageClassificationRecipe

    class Model(torch.nn.Module):
        def forward(self, pixel_values):
            return transformers.modeling_outputs.ImageClassifierOutput(logits=torch.tensor([[2.0, 0.0], [0.0, 1.0]]))

    recipe = ImageClassificationRecipe.__new__(ImageClassificationRecipe)
    recipe.problem_type, recipe.class_weights = "single_label_classification", None
    recipe.settings = type("Settings", (), {"label_smoothing": 0.0})()
    batch = {
        "pixel_values": torch.zeros(2, 1, 4, 4),
        "targets": torch.tensor([0, 1]),
        "other_targets": torch.tensor([1, 1]),
        "own_share": torch.tensor([0.75, 1.0]),
    }
    log = torch.log_softmax(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), -1)
    expected = -(0.75 * log[0, 0] + 0.25 * log[0, 1]) - log[1, 1]
    torch.testing.assert_close(recipe.loss(Model(), batch, "model").total, expected)


# --- before and after -----------------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_plan_and_writes_nothing(photos, tmp_path):
    plan = finetune(TASK, dataset=photos, output=tmp_path / "out", **SETTINGS, augmentation=("crop",), dry_run=True)
    assert not (tmp_path / "out").exists()
    assert plan.steps == 3 * 4 and plan.parameters == plan.trainable_parameters > 100
    assert plan.seconds_per_step > 0 and plan.data.labels == ("across", "down")


def test_rows_weigh_by_their_class_where_asked(data, tmp_path):
    rows = {**data, "train": [row for row in data["train"] if row["label"] == "down"] + data["train"][:16]}
    assert Counter(row["label"] for row in rows["train"])["across"] == 8
    plain, balanced = (
        finetune(TASK, dataset=rows, output=tmp_path / name, **SETTINGS, class_weights=name).weights_sha256
        for name in ("none", "balanced")
    )
    assert plain != balanced


def test_mistakes_go_by_the_names_of_their_files(photos, tmp_path):
    facts = finetune(TASK, dataset=photos, output=tmp_path / "out", **{**SETTINGS, "epochs": 1, "learning_rate": 1e-6})
    names = {mistake.text for each in facts.evaluations for mistake in each.mistakes}
    assert names and names <= {path.name for path in photos.rglob("*.png")}
