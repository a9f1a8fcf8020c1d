"""Training detectors: samples, batches, losses that fall, and the command from rows to a checkpoint that answers."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.detection_answers import compared, matched_classes
from quintet.finetune.detection_metrics import Boxes
from quintet.finetune.measuring import Conditions
from quintet.finetune.object_detection import ObjectDetectionRecipe
from quintet.finetune.settings import FinetuneSettings
from quintet.pipelines import pipeline
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task

BACKBONE = {"filters": "4-6-8-10-12", "blocks": "1-1-1-1", "head_filters": 8}
MODELS = {
    "yolo-small": BACKBONE,
    "faster-rcnn-small": {**BACKBONE, "neurons": 16, "anchor_sizes": "16-32", "proposals": 20},
}


def rows(count=8, seed=0):
    """Pictures of 80 x 60 pixels with a light square, or a dark bar and a square."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        pixels = np.full((60, 80, 3), 128, np.uint8)
        boxes, names = [], []
        for name, wide, high, grey in (("square", 24, 24, 250), ("bar", 12, 36, 5))[: 1 + number % 2]:
            x, y = int(generator.integers(0, 80 - wide)), int(generator.integers(0, 60 - high))
            pixels[y : y + high, x : x + wide] = grey
            boxes.append([x, y, wide, high])
            names.append(name)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        found.append(
            {
                "image": {"bytes": buffer.getvalue(), "path": f"{number}.png"},
                "objects": {"bbox": boxes, "category": names},
            }
        )
    return found


def recipe(tmp_path, model="yolo-small", **settings):
    task = find_task("object-detection")
    data = load_data({"train": rows(), "validation": rows(4, seed=1)}, task=task)
    given = FinetuneSettings(
        task="object-detection",
        model=model,
        dataset="rows",
        model_args=MODELS[model],
        image_size=64,
        output=str(tmp_path / "out"),
        **settings,
    )
    return ObjectDetectionRecipe.start(task, given, data, tmp_path), data


def samples(made, data, rows=range(8)):
    return made.features(data.splits["train"].select(rows)[:])


def test_boxes_go_with_the_picture_to_its_new_size(tmp_path):
    made, data = recipe(tmp_path)
    found = samples(made, data)
    first = data.splits["train"][0]["objects"]["bbox"][0]
    assert found[0]["pixels"].shape == (3, 64, 64)
    expected = np.array(first) * [64 / 80, 64 / 60, 64 / 80, 64 / 60]
    assert found[0]["boxes"][0] == pytest.approx(expected, rel=1e-5)
    batch = made.collate(found[:3])
    assert batch["class_labels"].tolist() == [[1, -100], [1, 0], [1, -100]]  # bar, square
    x, y, width, height = batch["boxes"][0, 0].tolist()
    assert [x - width / 2, y - height / 2, width, height] == pytest.approx([number / 64 for number in expected])
    assert made.count(batch) == 4.0
    # What stands at the middle of a box is the light of the square.
    place = (int(y * 64), int(x * 64))
    assert batch["pixel_values"][0, :, *place].min() > batch["pixel_values"][0].mean() + 0.5


def test_varied_boxes_stay_on_their_objects(tmp_path):
    made, data = recipe(tmp_path, augmentation=("flip=1", "mosaic=0"))
    found = made.vary(samples(made, data), 0, np.arange(8))
    plain = recipe(tmp_path)[0].collate(samples(made, data))
    flipped = made.collate(found)
    assert flipped["boxes"][0, 0, 0].item() == pytest.approx(1 - plain["boxes"][0, 0, 0].item())
    assert torch.equal(flipped["class_labels"], plain["class_labels"])
    mosaic, _ = recipe(tmp_path, augmentation=("mosaic=1",))
    batch = mosaic.collate(mosaic.vary(samples(mosaic, data), 0, np.arange(8)))
    again = mosaic.collate(mosaic.vary(samples(mosaic, data), 0, np.arange(8)))
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    is_object = batch["class_labels"] != -100
    boxes = batch["boxes"][is_object]
    assert ((boxes[:, :2] - boxes[:, 2:] / 2 > -1e-6) & (boxes[:, :2] + boxes[:, 2:] / 2 < 1 + 1e-6)).all()


@pytest.mark.parametrize("model", MODELS)
def test_steps_lower_the_loss_and_parts_add_up(tmp_path, model):
    made, data = recipe(tmp_path, model)
    batch = made.collate(samples(made, data))
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=0.01)
    losses = []
    for _ in range(12):
        total = made.loss(made.model.train(), batch, "model").total
        optimizer.zero_grad()
        (total / made.count(batch)).backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < 0.8 * losses[0]
    if model == "yolo-small":  # the other one draws by chance what it learns from
        made.model.eval()
        halves = [made.collate(samples(made, data, part)) for part in (range(4), range(4, 8))]
        with torch.no_grad():
            parts = [made.loss(made.model, half, "model").total.item() for half in halves]
            assert sum(parts) == pytest.approx(made.loss(made.model, batch, "model").total.item(), rel=1e-4)


def test_a_checkpoint_comes_out_with_its_metrics(tmp_path):
    folder = tmp_path / "out"
    result = finetune(
        "object-detection",
        model="yolo-small",
        dataset={"train": rows(12), "validation": rows(4, seed=1), "test": rows(4, seed=2)},
        output=folder,
        model_args=BACKBONE,
        image_size=64,
        max_steps=4,
        batch_size=4,
        eval_every="2steps",
        augmentation=["flip", "mosaic"],
        device="cpu",
    )
    assert result is not None
    facts = json.loads((folder / "run.json").read_text())
    assert facts["labels"] == ["bar", "square"] and facts["training"]["metric"] == "ap"
    for evaluation in facts["evaluations"]:
        assert [metric["name"] for metric in evaluation["metrics"]] == ["ap", "ap50", "ap75"]
        assert evaluation["baselines"][0]["name"] == "mean box of each class"
        assert [row["label"] for row in evaluation["per_class"]] == ["bar", "square"]
    detect = pipeline("object-detection", folder, threshold=0.0)
    picture = rows(1)[0]["image"]["bytes"]
    for answer in detect(picture):
        assert answer["label"] in ("bar", "square")
        assert 0 <= answer["box"]["xmin"] <= answer["box"]["xmax"] <= 80


def test_settings_that_mean_nothing_are_refused():
    settings = FinetuneSettings(
        task="object-detection", model="yolo-small", dataset="rows", output="out", class_weights="balanced"
    )
    with pytest.raises(UsageError, match="--class-weights means nothing to object-detection"):
        ObjectDetectionRecipe.check(settings)
    settings = FinetuneSettings(
        task="object-detection", model="yolo-small", dataset="rows", output="out", augmentation=("mixup",)
    )
    with pytest.raises(UsageError, match="mixup mixes the labels of whole pictures"):
        ObjectDetectionRecipe.check(settings)
    settings = FinetuneSettings(
        task="object-detection", model="yolo-small", dataset="rows", output="out", image_size=250
    )
    with pytest.raises(
        UsageError, match="--image-size 250 is no multiple of 32 pixels, which yolo-small needs; give --im"
    ):
        ObjectDetectionRecipe.check(settings)


def test_classes_are_matched_by_name():
    conditions = Conditions(labels=("cat", "dog"), problem_type="detection", label_map={"hound": "dog"})
    assert matched_classes(("bird", "hound"), conditions) == (("cat", "dog", "bird"), [2, 1])
    with pytest.raises(
        DataError, match="the data has the classes fish, and the checkpoint cat, dog; they have none in"
    ):
        matched_classes(("fish",), conditions)


def test_each_object_is_found_once():
    answer = Boxes(
        np.array([[0, 0, 10, 10], [1, 0, 10, 10], [50, 50, 10, 10], [0, 0, 10, 10.0]]),
        np.array([0, 0, 0, 1]),
        np.array([0.8, 0.9, 0.95, 0.4]),
    )
    objects = Boxes(np.array([[0, 0, 10, 10], [80, 80, 5, 5.0]]), np.array([0, 1]))
    wrong, missed = compared(answer, objects)
    assert wrong.tolist() == [2, 0] and missed.tolist() == [1]  # the second answer is surer; the fourth is not sure
