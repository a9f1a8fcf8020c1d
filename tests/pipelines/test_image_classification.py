"""The same calls give the same structure, labels and scores as ``transformers.pipeline("image-classification")``.

Tiny random checkpoints of many architectures, each with the image processor that its kind of checkpoint has.
"""

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from quintet.pipelines import pipeline
from quintet.pipelines.errors import UsageError

SIDE = 32
VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VIT |= {"image_size": SIDE, "patch_size": 8, "initializer_range": 0.3}
STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]}
SQUARE = {"size": {"height": SIDE, "width": SIDE}}
CROPPED = {"crop_size": {"height": SIDE, "width": SIDE}}

# name: (the model's class without its ending, its arguments, image processor, its arguments)
ARCHITECTURES = {
    "resnet": (
        "ResNet",
        STAGES | {"embedding_size": 8, "layer_type": "basic"},
        "ConvNextImageProcessorPil",
        {"size": {"shortest_edge": SIDE}, "crop_pct": 0.875},
    ),
    "vit": ("ViT", VIT, "ViTImageProcessorPil", SQUARE),
    "convnext": (
        "ConvNext",
        STAGES | {"initializer_range": 0.3},
        "ConvNextImageProcessorPil",
        {"size": {"shortest_edge": SIDE}, "crop_pct": 0.875},
    ),
    "swin": (
        "Swin",
        {"image_size": SIDE, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
        | {"initializer_range": 0.3},
        "ViTImageProcessorPil",
        SQUARE,
    ),
    "beit": ("Beit", VIT | {"use_mean_pooling": True}, "BeitImageProcessorPil", SQUARE | CROPPED),
    "mobilenet_v2": (
        "MobileNetV2",
        {"image_size": SIDE, "depth_multiplier": 0.25},
        "MobileNetV2ImageProcessorPil",
        {"size": {"shortest_edge": 36}} | CROPPED,
    ),
    "deit": ("DeiT", VIT, "DeiTImageProcessorPil", {"size": {"height": 36, "width": 36}} | CROPPED),
    "regnet": (
        "RegNet",
        STAGES | {"embedding_size": 8, "groups_width": 8},
        "ConvNextImageProcessorPil",
        {"size": {"shortest_edge": SIDE}, "crop_pct": 0.875},
    ),
}
PROBLEMS = {
    "single": {"num_labels": 7, "problem_type": "single_label_classification"},
    "multi": {"num_labels": 7, "problem_type": "multi_label_classification"},
    "regression": {"num_labels": 1, "problem_type": "regression"},
    "unstated": {"num_labels": 2},
    "one": {"num_labels": 1},
}
CASES = [(name, "single") for name in ARCHITECTURES]
CASES += [("vit", problem) for problem in PROBLEMS if problem != "single"]

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def pictures():
    """Of many sizes, wide and tall, colour and grey, with and without transparency."""
    generator = np.random.default_rng(0)
    made = []
    for mode, width, height in [("RGB", 40, 40), ("RGB", 90, 33), ("L", 32, 64), ("RGBA", 50, 48), ("P", 40, 40)]:
        channels = {"RGB": 3, "RGBA": 4}.get(mode)
        shape = (height, width, channels) if channels else (height, width)
        picture = Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8))
        made.append(picture.convert("P") if mode == "P" else picture)
    return made


def build(folder, name, problem):
    """Writes a checkpoint with its image processor."""
    class_name, arguments, processor_class, settings = ARCHITECTURES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{class_name}Config")(**arguments, **PROBLEMS[problem])
    model = getattr(transformers, f"{class_name}ForImageClassification")(config)
    with torch.no_grad():
        for _ in range(20):  # settles the statistics of batch norms, without which all pictures are answered alike
            model.train()(torch.randn(16, 3, SIDE, SIDE))
    model.eval().save_pretrained(folder)
    getattr(transformers, processor_class)(**settings).save_pretrained(folder)


def both(folder, **options):
    """Their pipeline and ours, of the same checkpoint."""
    theirs = transformers.pipeline("image-classification", model=str(folder), device="cpu", **options)
    return theirs, pipeline("image-classification", model=str(folder), device="cpu", **options)


def assert_alike(ours, theirs):
    """The same nesting, keys and labels; scores to 1e-5."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
    else:
        assert list(ours) == list(theirs) == ["label", "score"]
        assert ours["label"] == theirs["label"]
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)


@pytest.mark.parametrize(("name", "problem"), CASES)
def test_answers_are_those_of_transformers(name, problem, tmp_path, pictures):
    build(tmp_path, name, problem)
    theirs, ours = both(tmp_path)
    expected = theirs(pictures)
    assert len({round(answer[0]["score"], 6) for answer in expected}) > 1  # the pictures do differ
    assert_alike(ours(pictures), expected)
    assert_alike(ours(pictures[1]), theirs(pictures[1]))
    assert_alike(list(ours(picture for picture in pictures)), expected)
    assert_alike([ours(picture) for picture in pictures], expected)  # a mixed batch gives the single results
    assert_alike(ours(pictures, batch_size=2), expected)
    for options in ({"top_k": 2}, {"top_k": 100}, *({"function_to_apply": each} for each in ("softmax", "sigmoid"))):
        assert_alike(ours(pictures[0], **options), theirs(pictures[0], **options))
    for size in ((1, 1), (3, 50), (50, 3)):
        odd = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
        assert_alike(ours(odd), theirs(odd))


def test_options_of_the_pipeline_hold_for_all_calls(tmp_path, pictures):
    build(tmp_path, "vit", "single")
    theirs, ours = both(tmp_path, top_k=2, function_to_apply="none")
    assert_alike(ours(pictures), theirs(pictures))
    assert_alike(ours(pictures[0], timeout=3), theirs(pictures[0], timeout=3))


def test_a_file_s_answer_is_that_of_transformers(tmp_path, pictures):
    build(tmp_path / "model", "vit", "single")
    theirs, ours = both(tmp_path / "model")
    file = tmp_path / "picture.jpg"
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    pictures[1].save(file, exif=turned)
    assert_alike(ours(str(file)), theirs(str(file)))
    assert_alike(ours([str(file), pictures[0]]), theirs([str(file), pictures[0]]))


def test_a_loaded_model_takes_its_image_processor(tmp_path, pictures):
    build(tmp_path, "vit", "single")
    model = transformers.ViTForImageClassification.from_pretrained(tmp_path)
    processor = transformers.ViTImageProcessorPil.from_pretrained(tmp_path)
    expected = pipeline("image-classification", tmp_path)(pictures)
    theirs = transformers.pipeline("image-classification", model=model, image_processor=processor, device="cpu")
    assert_alike(theirs(pictures), expected)
    assert_alike(pipeline("image-classification", model, image_processor=processor)(pictures), expected)
    assert_alike(pipeline("image-classification", model, image_processor=str(tmp_path))(pictures), expected)
    assert_alike(pipeline("image-classification", model)(pictures), expected)  # it knows the folder it came from
    model.config.name_or_path = ""
    with pytest.raises(UsageError, match="a live model was given without its image processor; pass image_processor="):
        pipeline("image-classification", model)


def test_another_image_processor_goes_before_the_checkpoint_s(tmp_path, pictures):
    build(tmp_path, "vit", "single")
    other = transformers.ViTImageProcessorPil(**SQUARE, image_mean=[0.1] * 3, image_std=[0.9] * 3)
    theirs, ours = both(tmp_path, image_processor=other)
    assert_alike(ours(pictures), theirs(pictures))
    assert ours(pictures) != pipeline("image-classification", tmp_path)(pictures)


def test_options_that_cannot_be_are_refused(tmp_path, pictures):
    build(tmp_path, "vit", "single")
    ours = pipeline("image-classification", tmp_path)
    for options, words in (
        ({"top_k": 0}, "top_k is 0; expected a whole number from 1, or None for the five best"),
        ({"function_to_apply": "tanh"}, "function_to_apply is 'tanh'; expected softmax, sigmoid or none"),
        ({"topk": 3}, "unknown option 'topk'; did you mean top_k"),
    ):
        with pytest.raises(UsageError, match=words):
            ours(pictures[0], **options)
