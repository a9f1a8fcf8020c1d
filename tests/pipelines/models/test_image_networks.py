"""What AlexNet, VGG, the small residual networks and U-Net owe as models of transformers, all of them alike."""

import json
import os
import subprocess
import sys

import pytest
import torch
from quintet.pipelines.models.modeling_alexnet import AlexNetConfig, AlexNetForImageClassification
from quintet.pipelines.models.modeling_resnet_cifar import CifarResNetConfig, CifarResNetForImageClassification
from quintet.pipelines.models.modeling_unet import UNetConfig, UNetForSemanticSegmentation
from quintet.pipelines.models.modeling_vgg import VggConfig, VggForImageClassification

SIDE = 16
NEURONS = {"pooled_size": 2, "hidden_size": 16, "dropout": 0.0}
MODELS = {
    "alexnet": (
        AlexNetForImageClassification,
        AlexNetConfig,
        {"stem": (3, 1, 1), "filters": (8, 8, 8, 8, 8), **NEURONS},
    ),
    "vgg": (VggForImageClassification, VggConfig, {"depth": 9, "batch_norm": True, "width": 4, **NEURONS}),
    "resnet-cifar": (CifarResNetForImageClassification, CifarResNetConfig, {"depth": 8, "width": 4, "shortcut": "A"}),
    "unet": (
        UNetForSemanticSegmentation,
        UNetConfig,
        {"base_filters": 4, "levels": 1, "batch_norm": True, "dropout": 0.0},
    ),
}


def small(name, *, labels=3, channels=3):
    torch.manual_seed(0)
    model_class, config_class, fields = MODELS[name]
    names = {index: f"class {index}" for index in range(labels)}
    return model_class(config_class(**fields, channels=channels, id2label=names)).eval()


@pytest.mark.parametrize("name", MODELS)
def test_runs_in_bfloat16_both_ways(name):
    model, pictures = small(name), torch.randn(2, 3, SIDE, SIDE)
    exact = model(pictures).logits
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(pictures).logits
    torch.testing.assert_close(mixed.float(), exact, rtol=0.05, atol=0.08)
    pure = model.to(torch.bfloat16)(pictures.to(torch.bfloat16)).logits
    assert pure.dtype == torch.bfloat16
    torch.testing.assert_close(pure.float(), exact, rtol=0.05, atol=0.08)


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_gives_what_its_pictures_give(name):
    model, pictures = small(name), torch.randn(3, 3, SIDE, SIDE)
    together = model(pictures).logits
    for index in range(3):
        torch.testing.assert_close(model(pictures[index : index + 1]).logits[0], together[index], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_eight_pictures_can_be_learned_by_heart(name):
    model = small(name, channels=1).train()
    pictures, labels = torch.randn(8, 1, SIDE, SIDE), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    if name == "unet":
        pictures = torch.nn.functional.interpolate(torch.randn(8, 1, 4, 4), SIDE)  # of patches
        labels = (pictures[:, 0] > -0.3).long() + (pictures[:, 0] > 0.3).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(80):
        loss = model(pictures, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = (model(pictures).logits.argmax(dim=1) == labels).float().mean()
    assert right > (0.97 if name == "unet" else 0.99)


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_gives_the_same_weights_and_statistics(name, tmp_path):
    model = small(name).train()
    model(torch.randn(4, 3, SIDE, SIDE))  # moves the statistics of the norms
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    state = again.state_dict()
    assert set(state) == set(model.state_dict()) and len(state) > 10
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[key]), key


@pytest.mark.parametrize("name", MODELS)
def test_another_number_of_labels_draws_the_classifier_as_torch_does(name, tmp_path):
    model = small(name)
    model.save_pretrained(tmp_path)
    config = type(model).config_class.from_pretrained(tmp_path, id2label={index: str(index) for index in range(400)})
    torch.manual_seed(3)
    again = type(model).from_pretrained(tmp_path, config=config, ignore_mismatched_sizes=True)
    classifier = again.network.classifier
    bound = classifier.weight[0].numel() ** -0.5  # torch's own start is uniform in ± 1 / sqrt(inputs)
    assert classifier.weight.shape[0] == 400
    assert 0.95 * bound < classifier.weight.abs().max().item() <= bound
    kept = {key: tensor for key, tensor in model.state_dict().items() if "classifier" not in key}
    for key, tensor in kept.items():
        assert torch.equal(again.state_dict()[key], tensor), key


def test_layers_that_a_checkpoint_lacks_are_drawn_with_their_own_start(tmp_path):
    from safetensors.torch import load_file, save_file

    small("unet").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    kept = {key: tensor for key, tensor in load_file(file).items() if ".down.1." not in key}
    save_file(kept, file, metadata={"format": "pt"})
    norm_and_convolution = UNetForSemanticSegmentation.from_pretrained(tmp_path).network.down[1]
    assert norm_and_convolution[3].weight.std().item() == pytest.approx((2 / (8 * 9)) ** 0.5, rel=0.1)
    assert torch.equal(norm_and_convolution[4].running_var, torch.ones(8))
    assert torch.equal(norm_and_convolution[4].weight, torch.ones(8))


PLAIN_TRANSFORMERS = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "quintet":
            raise ModuleNotFoundError("quintet is blocked in this test")

sys.meta_path.insert(0, Blocker())
import torch
from transformers import AutoModelForImageClassification, AutoModelForSemanticSegmentation
pictures = torch.load("pictures.pt")
results = {}
for name in json.loads(sys.argv[1]):
    auto = AutoModelForSemanticSegmentation if name == "unet" else AutoModelForImageClassification
    model = auto.from_pretrained(name, trust_remote_code=True).eval()
    with torch.inference_mode():
        results[name] = model(pixel_values=pictures).logits
torch.save(results, "results.pt")
"""


def test_plain_transformers_loads_them_without_quintet(tmp_path):
    pictures, expected = torch.randn(2, 3, SIDE, SIDE), {}
    torch.save(pictures, tmp_path / "pictures.pt")
    for name in MODELS:
        model = small(name)
        model.save_pretrained(tmp_path / name)
        assert (tmp_path / name / "relu_layers.py").is_file()
        expected[name] = model(pictures).logits
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN_TRANSFORMERS, json.dumps(list(MODELS))],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = torch.load(tmp_path / "results.pt")
    assert set(results) == set(MODELS)
    for name, logits in results.items():
        torch.testing.assert_close(logits, expected[name], rtol=0, atol=1e-6)
