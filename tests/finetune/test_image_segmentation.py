"""Segmentation trained end to end on pictures made here: a bright square on dark ground, a border without a class."""

import io
import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from quintet import pipeline
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.evaluation import evaluate
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task

SIZE = (24, 20)  # width and height
TINY = {
    "model": "unet",
    "model_args": {"base_filters": 4, "levels": 2},
    "label_names": ("ground", "square", "void"),
    "epochs": 12,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "validation_fraction": 0.25,
    "device": "cpu",
}


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return {"bytes": stream.getvalue(), "path": None}


def picture(number):
    """A grey picture and its mask: 0 ground, 1 square, 2 not labelled."""
    generator = np.random.default_rng(number)
    width, height = SIZE
    pixels = generator.integers(0, 80, (height, width), dtype=np.uint8)
    mask = np.zeros((height, width), np.uint8)
    top, left = generator.integers(2, height - 9), generator.integers(2, width - 9)
    pixels[top : top + 7, left : left + 7] += 150
    mask[top : top + 7, left : left + 7] = 1
    mask[0] = 2
    return {"image": png(pixels), "mask": png(mask)}


@pytest.fixture(scope="module")
def rows():
    return [picture(number) for number in range(24)]


@pytest.fixture(scope="module")
def trained(rows, tmp_path_factory):
    output = tmp_path_factory.mktemp("segment") / "squares"
    facts = finetune("image-segmentation", dataset=rows, output=output, **TINY)
    return output, facts


def test_squares_are_found_and_measured(trained, rows):
    output, facts = trained
    [evaluation] = facts.evaluations
    found = {fact.name: fact.value for fact in evaluation.metrics}
    assert (facts.labels, facts.problem_type) == (("ground", "square"), "segmentation")
    assert found["mean_iou"] > 0.8
    [baseline] = evaluation.baselines
    assert baseline.name == "most frequent class" and baseline.metrics[0].value < 0.5
    config = json.loads((output / "config.json").read_text())
    assert config["id2label"] == {"0": "ground", "1": "square"} and config["channels"] == 1
    sizes = json.loads((output / "preprocessor_config.json").read_text())["size"]
    assert (sizes["height"], sizes["width"]) == SIZE[::-1]


def test_answers_are_masks_of_the_size_of_the_picture(trained, rows):
    output, _ = trained
    segment = pipeline("image-segmentation", output)
    large = Image.open(io.BytesIO(rows[0]["image"]["bytes"])).resize((50, 41))
    answer = segment(large)
    assert [each["label"] for each in answer] == ["ground", "square"]
    assert all(each["score"] is None and each["mask"].size == (50, 41) for each in answer)
    total = sum(np.asarray(each["mask"]).astype(int) for each in answer)
    assert (total == 255).all()  # each pixel has one class
    shares = segment.as_columns(answer)["segments"]
    assert sum(each["share"] for each in shares) == pytest.approx(1, abs=1e-3)


def test_plain_transformers_gives_the_same_masks(trained, rows):
    output, _ = trained
    image = Image.open(io.BytesIO(rows[1]["image"]["bytes"]))
    [ours] = [each for each in pipeline("image-segmentation", output)(image) if each["label"] == "square"]
    model = transformers.AutoModelForSemanticSegmentation.from_pretrained(output, trust_remote_code=True).eval()
    images = transformers.AutoImageProcessor.from_pretrained(output, backend="pil")
    with torch.inference_mode():
        logits = model(**images(image.convert("RGB"), return_tensors="pt")).logits
    np.testing.assert_array_equal(np.asarray(ours["mask"]) > 0, logits[0].argmax(0).numpy() == 1)


def test_evaluating_gives_the_numbers_of_training(trained, rows):
    output, facts = trained
    again = evaluate(output, dataset=rows, task="image-segmentation", bootstrap=0, allow_training_rows=True)
    assert again.count == facts.evaluations[0].count == 6  # the validation rows that were carved
    now, then = ({fact.name: fact.value for fact in each.metrics} for each in (again, facts.evaluations[0]))
    assert now == pytest.approx(then, abs=1e-6)


def test_varied_pictures_take_their_masks_along_and_resume_repeats_them(rows, tmp_path):
    settings = {**TINY, "epochs": None, "max_steps": 4, "augmentation": ("flip", "shift")}
    whole = finetune("image-segmentation", dataset=rows, output=tmp_path / "whole", **settings)
    again = finetune("image-segmentation", dataset=rows, output=tmp_path / "again", **settings)
    assert whole.weights_sha256 == again.weights_sha256
    plain = finetune("image-segmentation", dataset=rows, output=tmp_path / "plain", **{**settings, "augmentation": ()})
    assert plain.weights_sha256 != whole.weights_sha256


def test_masks_that_cannot_be_used(rows):
    task = find_task("image-segmentation")
    small = {**rows[0], "mask": png(np.zeros((4, 4), np.uint8))}
    with pytest.raises(DataError, match=r"holds a mask of 4 x 4 pixels for a picture of 24 x 20; each pixel needs a"):
        load_data([*rows, small], task=task)
    colours = {**rows[0], "mask": png(np.random.default_rng(0).integers(0, 9, (20, 24, 3), dtype=np.uint8))}
    with pytest.raises(DataError, match="has colours, expected a class index for each pixel"):
        load_data([*rows, colours], task=task)
    with pytest.raises(DataError, match=r"hold the class index 2, but there are 2 class names \(ground, square\)"):
        load_data(rows, task=task, label_names=("ground", "square"))
    with pytest.raises(DataError, match=r"hold one class only \(ground, void, ignore\)"):
        load_data(rows, task=task, label_names=("ground", "void", "ignore"))
    data = load_data([*rows, small, colours], task=task, bad_rows="skip")
    assert data.report.rejected_rows == 2
    assert data.labels == ("class 0", "class 1", "class 2")


def test_what_means_nothing_to_masks_is_refused(rows, tmp_path):
    with pytest.raises(UsageError, match="mixup mixes the labels of whole pictures"):
        finetune("image-segmentation", dataset=rows, output=tmp_path / "a", **TINY, augmentation=("mixup",))
    with pytest.raises(UsageError, match="--class-weights means nothing to image-segmentation; leave it out"):
        finetune("image-segmentation", dataset=rows, output=tmp_path / "b", **TINY, class_weights="balanced")
