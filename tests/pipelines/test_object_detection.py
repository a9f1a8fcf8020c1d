"""Object detection: the answers of transformers' pipeline on tiny random models, singles and lists, and errors."""

import pytest
import torch
from PIL import Image
from quintet.pipelines import pipeline
from quintet.pipelines.errors import InputError, UsageError

LABELS = {0: "cat", 1: "dog", 2: "N/A"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, quiet):
    """Tiny DETR and YOLOS with random weights, as transformers saves them."""
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig, YolosConfig, YolosForObjectDetection
    from transformers.models.detr.image_processing_pil_detr import DetrImageProcessorPil
    from transformers.models.yolos.image_processing_pil_yolos import YolosImageProcessorPil

    torch.manual_seed(0)
    common = {"id2label": LABELS, "num_labels": len(LABELS)}
    backbone = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic")
    backbone.out_features = ["stage4"]
    detr = DetrForObjectDetection(
        DetrConfig(
            use_timm_backbone=False,
            use_pretrained_backbone=False,
            backbone=None,
            backbone_config=backbone,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            num_queries=9,
            init_std=1.0,
            **common,
        )
    )
    yolos = YolosForObjectDetection(
        YolosConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            image_size=[64, 96],
            patch_size=16,
            num_detection_tokens=9,
            initializer_range=0.5,
            **common,
        )
    )
    size = {"shortest_edge": 64, "longest_edge": 96}
    found = {}
    for name, model, processor in (
        ("detr", detr, DetrImageProcessorPil(size=size)),
        ("yolos", yolos, YolosImageProcessorPil(size=size)),
    ):
        found[name] = tmp_path_factory.mktemp("checkpoints") / name
        model.eval().save_pretrained(found[name])
        processor.save_pretrained(found[name])
    return found


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Pictures of several sizes, as files."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number, (width, height) in enumerate([(80, 60), (60, 80), (200, 90), (80, 60)]):
        pixels = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(number))
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(pixels.to(torch.uint8).numpy()).save(paths[-1])
    return paths


@pytest.mark.parametrize("name", ["detr", "yolos"])
def test_answers_are_those_of_transformers(name, folders, pictures, quiet):
    import transformers

    theirs = transformers.pipeline("object-detection", model=str(folders[name]), device="cpu")
    ours = pipeline("object-detection", folders[name], device="cpu")
    compared = 0
    for threshold in (0.5, 0.2):
        for path in pictures:
            expected = theirs(path, threshold=threshold)
            found = ours(path, threshold=threshold)
            assert [one["label"] for one in found] == [one["label"] for one in expected]
            for one, other in zip(found, expected, strict=True):
                assert list(one) == list(other) and list(one["box"]) == list(other["box"])
                assert one["score"] == pytest.approx(other["score"], abs=1e-5)
                assert one["box"] == pytest.approx(other["box"], abs=1)
                compared += 1
    assert compared > 20
    assert ours(pictures[0]) == ours(pictures[0], threshold=0.5)  # the default of transformers


def test_a_list_of_mixed_sizes_gives_the_single_answers(folders, pictures):
    detect = pipeline("object-detection", folders["detr"], device="cpu", threshold=0.2)
    together = detect(pictures)
    assert len(next(detect(iter(pictures)))) == len(together[0]) > 1  # lazily
    for path, found in zip(pictures, together, strict=True):
        alone = detect(path)
        assert len(alone) == len(found)
        for one, other in zip(alone, found, strict=True):
            assert one["label"] == other["label"] and one["score"] == pytest.approx(other["score"], abs=1e-5)


def test_objects_are_numbers_in_pixels_of_the_picture(folders, pictures):
    detect = pipeline("object-detection", folders["yolos"], device="cpu")
    (output,) = detect.outputs([pictures[2]])
    found = detect.objects(output)
    assert found.boxes.shape == (len(found.scores), 4) and len(found.labels) == len(found.scores) > 0
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    assert (middles >= 0).all() and (middles <= [200, 90]).all()
    assert len(detect.objects(output, 1.0).scores) == 0


def test_wrong_calls_are_told(folders, pictures, tmp_path):
    detect = pipeline("object-detection", folders["detr"], device="cpu")
    with pytest.raises(UsageError, match=r"threshold is 2; expected a fraction in \[0, 1\]"):
        detect(pictures[0], threshold=2)
    with pytest.raises(UsageError, match="unknown option 'treshold'"):
        detect(pictures[0], treshold=0.5)
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(InputError, match=r"no\.png is no picture"):
        detect(str(tmp_path / "no.png"))
    answers = detect([pictures[0], str(tmp_path / "no.png")], on_error="record")
    assert isinstance(answers[0], list) and answers[1]["error"].startswith("no.png is no picture")
