"""What the detectors owe as models of transformers, both of them alike."""

import json
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image
from quintet.pipelines import pipeline
from quintet.pipelines.image_processor import ImageProcessor, PictureSettings
from quintet.pipelines.models import build_model
from quintet.pipelines.models.building import adapter_classes
from quintet.pipelines.models.detection_adapter import picture_sizes, read_targets
from quintet.pipelines.models.families import find_family
from quintet.pipelines.saving import save_checkpoint

BACKBONE = {"filters": (4, 6, 8, 10, 12), "blocks": (1, 1, 1, 1), "head_filters": 8}
SMALL = {
    "yolo-small": BACKBONE,
    "faster-rcnn-small": {**BACKBONE, "neurons": 16, "anchor_sizes": (16, 32), "proposals": 20},
}
SETTINGS = PictureSettings(height=64, width=64, channels=3, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def small(name, *, labels=("cat", "dog"), channels=3):
    torch.manual_seed(0)
    family = find_family(name, "object-detection")
    model = build_model(
        family, labels=labels, problem_type=None, arguments=SMALL[name], channels=channels, image_size=64
    )
    with torch.no_grad():  # before training nothing scores; so that there is something to compare
        model.network.classifier.weight.mul_(30)
        model.network.classifier.bias.zero_()
    return model.eval()


def objects():
    return [
        {"class_labels": torch.tensor([1, 0]), "boxes": torch.tensor([[0.5, 0.5, 0.5, 0.25], [0.2, 0.2, 0.2, 0.2]])},
        {"class_labels": torch.tensor([], dtype=torch.int64), "boxes": torch.zeros(0, 4)},
    ]


@pytest.mark.parametrize("name", SMALL)
def test_answers_are_detr_s(name):
    model = small(name)
    with torch.no_grad():
        output = model(torch.randn(2, 3, 64, 96))
    assert output.logits.shape == (2, 100, 3) and output.pred_boxes.shape == (2, 100, 4)
    assert ((output.pred_boxes >= 0) & (output.pred_boxes <= 1)).all()
    scores = output.logits.softmax(-1)[..., :-1].amax(-1)
    assert (scores[:, :5] > 0.05).all() and (scores.diff(dim=1) <= 1e-6).all()


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_gives_what_its_pictures_give_in_every_number_format(name):
    model, pictures = small(name), torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        together = model(pictures)
        for row in range(3):
            alone = model(pictures[row : row + 1])
            torch.testing.assert_close(alone.logits[0], together.logits[row], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(alone.pred_boxes[0], together.pred_boxes[row], rtol=1e-4, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(pictures)
        pure = model.to(torch.bfloat16)(pictures.to(torch.bfloat16))
    best = together.logits.softmax(-1)[..., :-1].amax((1, 2))
    for output in (mixed, pure):
        assert output.logits.isfinite().all() and output.pred_boxes.isfinite().all()
        torch.testing.assert_close(output.logits.float().softmax(-1)[..., :-1].amax((1, 2)), best, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("name", SMALL)
def test_both_forms_of_labels_give_the_loss(name):
    model, pictures = small(name), torch.randn(2, 3, 64, 64)
    padded = {
        "boxes": torch.stack([objects()[0]["boxes"], torch.zeros(2, 4)]),
        "class_labels": torch.tensor([[1, 0], [-100, -100]]),
    }
    losses = []
    for labels in (objects(), padded):
        torch.manual_seed(1)  # Faster R-CNN draws what it learns from
        losses.append(model(pictures, labels=labels).loss)
    assert torch.equal(losses[0], losses[1]) and losses[0] > 0
    torch.manual_seed(1)
    targets = read_targets(objects(), torch.tensor([[64, 64], [64, 64]]))
    assert targets.boxes[0, 0].tolist() == [16.0, 24.0, 48.0, 40.0]
    with torch.no_grad():
        total = model.network.loss(model.network(pictures), targets)
    # two objects in two pictures: both families divide by two
    torch.testing.assert_close(losses[0].detach(), total / 2)
    output = model.train()(pictures, labels=objects())
    assert output.logits is None and output.loss.requires_grad


def test_boxes_are_fractions_of_the_picture_without_its_padding():
    mask = torch.zeros(2, 64, 64, dtype=torch.int64)
    mask[0, :32, :64], mask[1, :64, :16] = 1, 1
    assert picture_sizes(torch.zeros(2, 3, 64, 64), mask).tolist() == [[32, 64], [64, 16]]
    model, pictures = small("yolo-small"), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        whole, masked = model(pictures), model(pictures, pixel_mask=mask)
    corners = whole.pred_boxes[0, 0, :2] - whole.pred_boxes[0, 0, 2:] / 2
    expected = (corners * torch.tensor([1.0, 2.0])).clamp(0, 1)
    torch.testing.assert_close(masked.pred_boxes[0, 0, :2] - masked.pred_boxes[0, 0, 2:] / 2, expected)


@pytest.mark.parametrize("name", SMALL)
def test_colour_is_made_grey_for_a_network_that_reads_grey(name):
    model = small(name, channels=1)
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        given, expected = model(grey.expand(1, 3, 64, 64)), model(grey)
    torch.testing.assert_close(given.pred_boxes, expected.pred_boxes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_saved_and_loaded_gives_the_same_and_other_labels_a_new_classifier(name, tmp_path, capfd):
    model = small(name)
    save_checkpoint(model, None, tmp_path / "a", images=ImageProcessor(SETTINGS), task="object-detection")
    _, adapter = adapter_classes(find_family(name, "object-detection"))
    again = adapter.from_pretrained(tmp_path / "a")
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key
    config = adapter.config_class.from_pretrained(tmp_path / "a", id2label={i: str(i) for i in range(7)})
    other = adapter.from_pretrained(tmp_path / "a", config=config, ignore_mismatched_sizes=True)
    weight = other.network.classifier.weight
    assert weight.shape[0] in (7, 8) and 0.01 < weight.std().item() < 1.0


PLAIN = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "quintet":
            raise ModuleNotFoundError("quintet is blocked in this test")

sys.meta_path.insert(0, Blocker())
from transformers import logging, pipeline
logging.set_verbosity_error()
logging.disable_progress_bar()
results = {}
for folder in json.loads(sys.argv[1]):
    detect = pipeline("object-detection", model=folder, trust_remote_code=True, device="cpu")
    results[folder] = detect(sys.argv[2], threshold=0.05)
print()
print(json.dumps(results))
"""


def test_plain_transformers_answers_as_quintet_does(tmp_path):
    torch.manual_seed(0)
    pixels = (torch.rand(48, 80, 3) * 255).to(torch.uint8)
    Image.fromarray(pixels.numpy()).save(tmp_path / "picture.png")
    folders = []
    for name in SMALL:
        folders.append(str(tmp_path / name))
        save_checkpoint(small(name), None, folders[-1], images=ImageProcessor(SETTINGS), task="object-detection")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-c", PLAIN, json.dumps(folders), str(tmp_path / "picture.png")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(done.stdout.splitlines()[-1])
    for folder in folders:
        ours = pipeline("object-detection", folder)(str(tmp_path / "picture.png"), threshold=0.05)
        assert len(ours) == len(theirs[folder]) > 3
        for one, other in zip(ours, theirs[folder], strict=True):
            assert one["label"] == other["label"] and one["score"] == pytest.approx(other["score"], abs=1e-4)
            assert one["box"] == pytest.approx(other["box"], abs=1)
