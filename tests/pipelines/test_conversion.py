"""`convert`: weights in the layouts of torchvision, timm, akamaster and chenyaofo give the logits that theirs gave.

Those packages are not installed; what they compute is written out here over their state dictionaries, with torch's
functions only.
"""

import json

import pytest
import torch
from quintet.pipelines.conversion import convert, foreign_families
from quintet.pipelines.errors import UsageError, WeightsError
from torch.nn import functional

LABELS = ["cat", "dog", "owl"]


class Weights(dict):
    """A state dictionary that draws its entries."""

    def convolution(self, key, filters, inputs, side, *, bias=False):
        self[f"{key}.weight"] = torch.randn(filters, inputs, side, side) * (2 / inputs / side**2) ** 0.5
        if bias:
            self[f"{key}.bias"] = torch.randn(filters) * 0.1

    def linear(self, key, outputs, inputs):
        self[f"{key}.weight"] = torch.randn(outputs, inputs) * inputs**-0.5
        self[f"{key}.bias"] = torch.randn(outputs) * 0.1

    def norm(self, key, size):
        self[f"{key}.weight"], self[f"{key}.bias"] = torch.rand(size) + 0.5, torch.randn(size) * 0.1
        self[f"{key}.running_mean"], self[f"{key}.running_var"] = torch.randn(size) * 0.1, torch.rand(size) + 0.5
        self[f"{key}.num_batches_tracked"] = torch.tensor(7)


def convolve(state, key, maps, stride=1, padding=0):
    return functional.conv2d(maps, state[f"{key}.weight"], state.get(f"{key}.bias"), stride, padding)


def normalise(state, key, maps):
    entries = (state[f"{key}.{entry}"] for entry in ("running_mean", "running_var", "weight", "bias"))
    return functional.batch_norm(maps, *entries)


def connect(state, key, values):
    return functional.linear(values, state[f"{key}.weight"], state[f"{key}.bias"])


def torchvision_resnet(blocks, *, is_bottleneck):
    """A ResNet with a sixteenth of the filters, and what it computes."""
    state, inputs, widening = Weights(), 4, 4 if is_bottleneck else 1
    state.convolution("conv1", 4, 3, 7)
    state.norm("bn1", 4)
    for stage, count in enumerate(blocks, start=1):
        filters = 2 ** (stage + 1)
        for block in range(count):
            key = f"layer{stage}.{block}"
            sides = (1, 3, 1) if is_bottleneck else (3, 3)
            outputs = (filters, filters, widening * filters) if is_bottleneck else (filters, filters)
            given = inputs
            for number, (side, output) in enumerate(zip(sides, outputs, strict=True), start=1):
                state.convolution(f"{key}.conv{number}", output, given, side)
                state.norm(f"{key}.bn{number}", output)
                given = output
            if inputs != given:
                state.convolution(f"{key}.downsample.0", given, inputs, 1)
                state.norm(f"{key}.downsample.1", given)
            inputs = given
    state.linear("fc", 3, inputs)

    def forward(pictures):
        maps = normalise(state, "bn1", convolve(state, "conv1", pictures, 2, 3)).relu()
        maps = functional.max_pool2d(maps, 3, 2, 1)
        for stage, count in enumerate(blocks, start=1):
            for block in range(count):
                key, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                past = maps
                if f"{key}.downsample.0.weight" in state:
                    past = normalise(state, f"{key}.downsample.1", convolve(state, f"{key}.downsample.0", maps, stride))
                if is_bottleneck:  # the stride in the middle: version 1.5
                    maps = normalise(state, f"{key}.bn1", convolve(state, f"{key}.conv1", maps)).relu()
                    maps = normalise(state, f"{key}.bn2", convolve(state, f"{key}.conv2", maps, stride, 1)).relu()
                    maps = normalise(state, f"{key}.bn3", convolve(state, f"{key}.conv3", maps))
                else:
                    maps = normalise(state, f"{key}.bn1", convolve(state, f"{key}.conv1", maps, stride, 1)).relu()
                    maps = normalise(state, f"{key}.bn2", convolve(state, f"{key}.conv2", maps, 1, 1))
                maps = (maps + past).relu()
        return connect(state, "fc", maps.mean((2, 3)))

    return state, forward


def cifar_resnet(n, *, head, past_name, channels=3):
    state, inputs = Weights(), 4
    state.convolution("conv1", 4, channels, 3)
    state.norm("bn1", 4)
    for stage, filters in ((1, 4), (2, 8), (3, 16)):
        for block in range(n):
            key = f"layer{stage}.{block}"
            state.convolution(f"{key}.conv1", filters, inputs, 3)
            state.norm(f"{key}.bn1", filters)
            state.convolution(f"{key}.conv2", filters, filters, 3)
            state.norm(f"{key}.bn2", filters)
            if past_name and inputs != filters:
                state.convolution(f"{key}.{past_name}.0", filters, inputs, 1)
                state.norm(f"{key}.{past_name}.1", filters)
            inputs = filters
    state.linear(head, 3, 16)

    def forward(pictures):
        maps = normalise(state, "bn1", convolve(state, "conv1", pictures, 1, 1)).relu()
        for stage in (1, 2, 3):
            for block in range(n):
                key, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                past = maps
                if stride == 2 and past_name:
                    past = convolve(state, f"{key}.{past_name}.0", maps, 2)
                    past = normalise(state, f"{key}.{past_name}.1", past)
                elif stride == 2:
                    zeros = torch.zeros_like(maps[:, : maps.shape[1] // 2, ::2, ::2])
                    past = torch.cat([zeros, maps[:, :, ::2, ::2], zeros], dim=1)
                maps = normalise(state, f"{key}.bn1", convolve(state, f"{key}.conv1", maps, stride, 1)).relu()
                maps = normalise(state, f"{key}.bn2", convolve(state, f"{key}.conv2", maps, 1, 1))
                maps = (maps + past).relu()
        return connect(state, head, maps.mean((2, 3)))

    return state, forward


def torchvision_vgg(blocks, *, has_norm):
    state, place, inputs, plan = Weights(), 0, 3, []
    for block, count in enumerate(blocks):
        for _ in range(count):
            filters = 2 * min(2**block, 8)
            state.convolution(f"features.{place}", filters, inputs, 3, bias=True)
            if has_norm:
                state.norm(f"features.{place + 1}", filters)
            plan.append(place)
            place, inputs = place + (3 if has_norm else 2), filters
        plan.append(None)
        place += 1
    for key, outputs, given in ((0, 6, 16 * 49), (3, 6, 6), (6, 3, 6)):
        state.linear(f"classifier.{key}", outputs, given)

    def forward(pictures):
        maps = pictures
        for place in plan:
            if place is None:
                maps = functional.max_pool2d(maps, 2, 2)
                continue
            maps = convolve(state, f"features.{place}", maps, 1, 1)
            maps = (normalise(state, f"features.{place + 1}", maps) if has_norm else maps).relu()
        values = functional.adaptive_avg_pool2d(maps, 7).flatten(1)
        values = connect(state, "classifier.3", connect(state, "classifier.0", values).relu()).relu()
        return connect(state, "classifier.6", values)

    return state, forward


def torchvision_alexnet():
    state = Weights()
    plan = ((0, 3, 3, 11), (3, 4, 3, 5), (6, 5, 4, 3), (8, 4, 5, 3), (10, 3, 4, 3))
    for place, filters, inputs, side in plan:
        state.convolution(f"features.{place}", filters, inputs, side, bias=True)
    for key, outputs, given in ((1, 6, 3 * 36), (4, 6, 6), (6, 3, 6)):
        state.linear(f"classifier.{key}", outputs, given)

    def forward(pictures):
        maps = functional.max_pool2d(convolve(state, "features.0", pictures, 4, 2).relu(), 3, 2)
        maps = functional.max_pool2d(convolve(state, "features.3", maps, 1, 2).relu(), 3, 2)
        for place in (6, 8, 10):
            maps = convolve(state, f"features.{place}", maps, 1, 1).relu()
        values = functional.adaptive_avg_pool2d(functional.max_pool2d(maps, 3, 2), 6).flatten(1)
        values = connect(state, "classifier.4", connect(state, "classifier.1", values).relu()).relu()
        return connect(state, "classifier.6", values)

    return state, forward


def timm_vit(*, hidden=6, heads=3, layers=2, patch=8, side=32):
    state = Weights()
    state["cls_token"] = torch.randn(1, 1, hidden)
    state["pos_embed"] = torch.randn(1, (side // patch) ** 2 + 1, hidden)
    state.convolution("patch_embed.proj", hidden, 3, patch, bias=True)
    for block in range(layers):
        for part, outputs, inputs in (
            ("attn.qkv", 3 * hidden, hidden),
            ("attn.proj", hidden, hidden),
            ("mlp.fc1", 4 * hidden, hidden),
            ("mlp.fc2", hidden, 4 * hidden),
        ):
            state.linear(f"blocks.{block}.{part}", outputs, inputs)
    for key in (*(f"blocks.{block}.norm{number}" for block in range(layers) for number in (1, 2)), "norm"):
        state[f"{key}.weight"], state[f"{key}.bias"] = torch.rand(hidden) + 0.5, torch.randn(hidden) * 0.1
    state.linear("head", 3, hidden)

    def layer_norm(key, values):
        return functional.layer_norm(values, (hidden,), state[f"{key}.weight"], state[f"{key}.bias"], 1e-6)

    def forward(pictures):
        patches = convolve(state, "patch_embed.proj", pictures, patch).flatten(2).transpose(1, 2)
        values = torch.cat([state["cls_token"].expand(len(pictures), -1, -1), patches], 1) + state["pos_embed"]
        for block in range(layers):
            key = f"blocks.{block}"
            qkv = connect(state, f"{key}.attn.qkv", layer_norm(f"{key}.norm1", values))
            qkv = qkv.reshape(len(values), -1, 3, heads, hidden // heads).permute(2, 0, 3, 1, 4)
            weights = (qkv[0] @ qkv[1].transpose(-2, -1) * (hidden // heads) ** -0.5).softmax(-1)
            found = (weights @ qkv[2]).transpose(1, 2).flatten(2)
            values = values + connect(state, f"{key}.attn.proj", found)
            inner = functional.gelu(connect(state, f"{key}.mlp.fc1", layer_norm(f"{key}.norm2", values)))
            values = values + connect(state, f"{key}.mlp.fc2", inner)
        return connect(state, "head", layer_norm("norm", values)[:, 0])

    return state, forward


def load(folder):
    """The checkpoint through its own model class."""
    from quintet.pipelines.models import modeling_alexnet, modeling_resnet_cifar, modeling_vgg
    from transformers import ResNetForImageClassification, ViTForImageClassification

    classes = (
        modeling_alexnet.AlexNetForImageClassification,
        modeling_resnet_cifar.CifarResNetForImageClassification,
        modeling_vgg.VggForImageClassification,
        ResNetForImageClassification,
        ViTForImageClassification,
    )
    model_type = json.loads((folder / "config.json").read_text())["model_type"]
    (found,) = (each for each in classes if each.config_class.model_type == model_type)
    return found.from_pretrained(folder).eval()


# family -> its foreign network; pixels of the pictures, large enough that the mean before the neurons has work to do
CASES = {
    "resnet-18": (lambda: torchvision_resnet((2, 2, 2, 2), is_bottleneck=False), 64, {}),
    "resnet-50": (lambda: torchvision_resnet((3, 4, 6, 3), is_bottleneck=True), 64, {}),
    "resnet-20": (lambda: cifar_resnet(3, head="linear", past_name=None), 32, {}),
    "resnet-32": (lambda: cifar_resnet(5, head="linear", past_name="shortcut"), 32, {}),
    "resnet-44": (lambda: cifar_resnet(7, head="fc", past_name="downsample"), 32, {}),
    "vgg11": (lambda: torchvision_vgg((1, 1, 2, 2, 2), has_norm=False), 256, {}),
    "vgg16": (lambda: torchvision_vgg((2, 2, 3, 3, 3), has_norm=True), 256, {}),
    "alexnet": (torchvision_alexnet, 256, {}),
    "vit": (timm_vit, 32, {"heads": 3}),
}


@pytest.mark.parametrize("family", CASES)
def test_the_logits_are_those_of_the_library(family, tmp_path):
    torch.manual_seed(0)
    build, side, options = CASES[family]
    state, forward = build()
    done = convert(state, tmp_path / "out", labels=LABELS, **options)  # the family is found by the keys
    model = load(tmp_path / "out")
    pictures = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        logits, expected = model(pixel_values=pictures).logits, forward(pictures)
    assert expected.std(dim=0).max() > 1e-3  # the pictures do differ
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    assert (done.family, done.labels) == (family, tuple(LABELS))
    trained = [tensor for key, tensor in state.items() if not key.endswith(("running_mean", "running_var", "tracked"))]
    assert done.parameters == sum(tensor.numel() for tensor in trained)


@pytest.fixture
def cifar():
    torch.manual_seed(0)
    return cifar_resnet(3, head="linear", past_name=None)


def test_wrappers_and_prefixes_of_training_scripts_are_taken_off(cifar, tmp_path):
    state, forward = cifar
    wrapped = {"state_dict": {f"module.{key}": tensor for key, tensor in state.items()}, "best_prec1": 91.7}
    torch.save(wrapped, tmp_path / "resnet20.th")
    done = convert(tmp_path / "resnet20.th", tmp_path / "out", family="resnet-20")
    assert done.labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    pictures = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(load(tmp_path / "out")(pictures).logits, forward(pictures), rtol=1e-4, atol=1e-5)


def test_safetensors_and_a_folder_of_it_are_read(cifar, tmp_path):
    from safetensors.torch import save_file

    save_file(cifar[0], tmp_path / "model.safetensors")
    for number, source in enumerate((tmp_path / "model.safetensors", tmp_path)):
        done = convert(source, tmp_path / f"out{number}")
        assert done.family == "resnet-20"
    first, second = (tmp_path / f"out{number}" / "model.safetensors" for number in (0, 1))
    assert first.read_bytes() == second.read_bytes()


def test_the_checkpoint_says_what_it_is_and_how_pictures_are_prepared(cifar, tmp_path):
    done = convert(cifar[0], tmp_path / "out", labels=LABELS)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["task"] == "image-classification"
    assert config["id2label"] == {"0": "cat", "1": "dog", "2": "owl"}
    assert config["shortcut"] == "A" and config["width"] == 4
    processor = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert processor["size"] == {"height": 32, "width": 32}
    assert processor["image_mean"] == list(done.mean) == [0.485, 0.456, 0.406]
    assert not done.are_statistics_given
    assert set(done.files) == {path.name for path in (tmp_path / "out").iterdir()}
    assert "modeling_resnet_cifar.py" in done.files


@pytest.mark.parametrize("family", ["resnet-20", "resnet-18"])
def test_the_checkpoint_is_used_as_any_other(family, tmp_path):
    from PIL import Image
    from quintet import pipeline

    torch.manual_seed(0)
    state, forward = CASES[family][0]()
    done = convert(state, tmp_path / "out", labels=LABELS, image_size=32)
    picture = Image.frombytes("RGB", (32, 32), bytes(torch.randint(0, 256, (3072,)).tolist()))
    pixels = torch.tensor(list(picture.tobytes())).view(32, 32, 3).permute(2, 0, 1) / 255
    if family == "resnet-18":  # first made 36 pixels wide, of which the middle is taken
        larger = picture.resize((36, 36), Image.Resampling.BILINEAR).crop((2, 2, 34, 34))
        pixels = torch.tensor(list(larger.tobytes())).view(32, 32, 3).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (done.mean, done.std))
    scores = forward(((pixels - mean) / std)[None])[0].softmax(0)
    found = {
        entry["label"]: entry["score"] for entry in pipeline("image-classification", model=tmp_path / "out")(picture)
    }
    assert found == pytest.approx(dict(zip(LABELS, scores.tolist(), strict=True)), abs=1e-4)


def test_a_resnet_is_given_the_middle_of_a_picture_by_transformers(tmp_path):
    from PIL import Image
    from transformers import AutoImageProcessor

    state, _ = torchvision_resnet((2, 2, 2, 2), is_bottleneck=False)
    convert(state, tmp_path / "out", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    processor = AutoImageProcessor.from_pretrained(tmp_path / "out")
    picture = Image.new("RGB", (512, 256))
    picture.paste((255, 255, 255), (144, 16, 368, 240))  # the middle 224 of the 256 rows and of the columns
    pixels = processor(picture, return_tensors="pt").pixel_values
    assert pixels.shape == (1, 3, 224, 224)
    torch.testing.assert_close(pixels, torch.full_like(pixels, 2.0))


def test_grey_weights_need_their_mean_and_deviation(tmp_path):
    state, forward = cifar_resnet(3, head="linear", past_name=None, channels=1)
    with pytest.raises(UsageError, match=r"grey pictures, .* pass mean= and std="):
        convert(state, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = convert(state, tmp_path / "out", mean=[0.286], std=[0.353], image_size=28)
    assert (done.mean, done.image_size, done.are_statistics_given) == ((0.286,), 28, True)
    pictures = torch.randn(2, 1, 28, 28)
    with torch.inference_mode():
        torch.testing.assert_close(load(tmp_path / "out")(pictures).logits, forward(pictures), rtol=1e-4, atol=1e-5)


def test_nothing_is_written_where_keys_do_not_fit(cifar, tmp_path):
    state = dict(cifar[0])
    del state["linear.bias"], state["bn1.weight"]
    with pytest.raises(WeightsError, match=r"do not fit resnet-20: missing bn1\.weight, linear\.bias; check which"):
        convert(state, tmp_path / "out", family="resnet-20")
    with pytest.raises(WeightsError, match=r"keys are those of no family that can be converted; name the one"):
        convert(state, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["cat", "dog"]}, r"2 labels \(2 different ones\) were given, and .* tells 3 classes apart"),
        ({"labels": ["cat", "dog", "cat"]}, r"3 labels \(2 different ones\)"),
        ({"mean": (0.5, 0.5, 0.5)}, r"std is None, expected 3 numbers each"),
        ({"mean": (0.5,), "std": (0.5,)}, r"expected 3 numbers each, one a channel"),
        ({"mean": (0, 0, 0), "std": (1, 0, 1)}, r"std above 0"),
        ({"image_size": 0}, r"image_size is 0, expected a number of pixels"),
        ({"heads": 3}, r"heads is 3, and .* is a resnet-20, which has none"),
        ({"family": "resnet20"}, r"no family of foreign weights|unknown family of foreign weights"),
    ],
)
def test_wrong_arguments_are_told(cifar, options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        convert(cifar[0], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_size_of_a_vit_is_fixed_and_its_heads_are_asked_for(tmp_path):
    state, _ = timm_vit()
    with pytest.raises(UsageError, match="a ViT of 6 features with an unknown number of heads"):
        convert(state, tmp_path / "out")
    with pytest.raises(UsageError, match="image_size is 224, and the weights are for 32; leave it out"):
        convert(state, tmp_path / "out", heads=3, image_size=224)
    assert convert(state, tmp_path / "out", heads=3).mean == (0.5, 0.5, 0.5)


class Runs:
    """What a harmful pickle holds."""

    def __reduce__(self):
        return (print, ("this must not be printed",))


def test_a_pickle_that_holds_more_than_tensors_is_refused_unread(cifar, tmp_path, capsys):
    torch.save({"state_dict": dict(cifar[0]), "arguments": Runs()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"bad\.pth .* holds more than tensors, and loading it could run any code"):
        convert(tmp_path / "bad.pth", tmp_path / "out")
    assert "must not" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"weights\.pth"),
        (b"<html>not found</html>", r"weights\.pth"),
        (b"PK\x03\x04 cut off", r"weights\.pth is neither safetensors nor written by torch\.save, or it is cut off"),
    ],
)
def test_files_of_another_kind_are_told(content, message, tmp_path):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        convert(tmp_path / "weights.pth", tmp_path / "out")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"state_dict": {"a": 1}}, [torch.zeros(1)]])
def test_a_file_without_a_mapping_of_tensors_is_told(content, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"no mapping of names to tensors, nor has one under state_dict, .*; save"):
        convert(tmp_path / "weights.pth", tmp_path / "out")


def test_a_missing_file_is_told_by_its_name_only(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file 'none\.pth' to convert") as error:
        convert(tmp_path / "none.pth", tmp_path / "out")
    assert str(tmp_path) not in str(error.value)


def test_the_families_are_listed():
    assert {*CASES} <= set(foreign_families())


def test_the_command_says_what_it_assumed(tmp_path, capsys):
    from quintet.cli import main

    torch.manual_seed(0)
    state, _ = torchvision_resnet((2, 2, 2, 2), is_bottleneck=False)
    torch.save(dict(state), tmp_path / "resnet18.pth")
    (tmp_path / "names.txt").write_text("\n".join(LABELS) + "\n")
    command = ["convert", str(tmp_path / "resnet18.pth"), "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--labels", str(tmp_path / "names.txt")])
    printed = capsys.readouterr().out
    assert ended.value.code == 0 and printed.startswith("resnet-18, ") and "3 classes" in printed
    assert "(assumed, as weights do not say: --mean and --std set them)" in printed
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"]["2"] == "owl"
    with pytest.raises(SystemExit) as ended:
        main([*command, "--mean", "0.5,a,0.5", "--std", "1,1,1"])
    assert ended.value.code == 2
    assert "--mean is '0.5,a,0.5'; expected numbers with commas between them" in capsys.readouterr().err
