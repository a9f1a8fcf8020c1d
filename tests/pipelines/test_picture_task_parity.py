"""Tasks on pictures that transformers has: its own pipeline on the same tiny random checkpoint is the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from quintet import pipeline
from quintet.pipelines.errors import UsageError

TOLERANCE = {"rtol": 0, "atol": 1e-5}


def pictures() -> list[Image.Image]:
    """Three pictures of different sizes, in colour."""
    generator = np.random.default_rng(0)
    sizes = ((40, 52), (64, 48), (33, 33))
    return [
        Image.fromarray(generator.integers(0, 255, (*size, 3), dtype=np.uint8)).resize(size[::-1]) for size in sizes
    ]


def saved(folder: Path, model: Any, *others: Any) -> Path:
    """A checkpoint folder of a model with what prepares its inputs."""
    for each in (model, *others):
        each.save_pretrained(folder)
    return folder


def processor(name: str, **settings: Any) -> Any:
    return getattr(transformers, name)(**settings)


def clip(folder: Path) -> Path:
    torch.manual_seed(0)
    texts = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config=texts | {"vocab_size": 40, "max_position_embeddings": 32, "eos_token_id": 2, "bos_token_id": 1},
        vision_config=texts | {"image_size": 32, "patch_size": 8},
        projection_dim=8,
    )
    return saved(
        folder,
        transformers.CLIPModel(config),
        processor("CLIPImageProcessorPil", size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        words(folder),
    )


def siglip(folder: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.SiglipConfig(
        text_config=sizes | {"vocab_size": 40, "max_position_embeddings": 64, "projection_size": 16},
        vision_config=sizes | {"image_size": 32, "patch_size": 8},
    )
    return saved(
        folder,
        transformers.SiglipModel(config),
        processor("SiglipImageProcessorPil", size={"height": 32, "width": 32}),
        words(folder),
    )


def words(folder: Path) -> Any:
    """A tokenizer of a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = ["<pad>", "<s>", "</s>", "<unk>", "This", "is", "a", "photo", "of", ".", "cat", "dog", "bird"]
    tokenizer = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )


def vit(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
    )
    return saved(
        folder, transformers.ViTModel(config), processor("ViTImageProcessorPil", size={"height": 32, "width": 32})
    )


def resnet(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return saved(
        folder,
        transformers.ResNetModel(config),
        processor("ConvNextImageProcessorPil", size={"shortest_edge": 32}),
    )


def dpt(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
    )
    return saved(
        folder,
        transformers.DPTForDepthEstimation(config),
        processor("DPTImageProcessorPil", size={"height": 32, "width": 32}),
    )


def segformer(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=16,
        num_labels=4,
    )
    return saved(
        folder,
        transformers.SegformerForSemanticSegmentation(config),
        processor("SegformerImageProcessorPil", size={"height": 32, "width": 32}),
    )


def maskformer(folder: Path) -> Path:
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        image_size=32,
        patch_size=2,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2],
        window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    decoder = transformers.DetrConfig(
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=5,
    )
    config = transformers.MaskFormerConfig(
        backbone_config=backbone, decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, num_labels=3
    )
    return saved(
        folder,
        transformers.MaskFormerForInstanceSegmentation(config),
        processor("MaskFormerImageProcessorPil", size={"height": 64, "width": 64}),
    )


CASES: list[tuple[str, Callable[[Path], Path], dict[str, Any]]] = [
    ("zero-shot-image-classification", clip, {"candidate_labels": ["cat", "dog", "bird"]}),
    ("zero-shot-image-classification", siglip, {"candidate_labels": ["cat", "dog"], "hypothesis_template": "a {}"}),
    ("image-feature-extraction", vit, {}),
    ("image-feature-extraction", vit, {"pool": True}),
    ("image-feature-extraction", resnet, {}),
    ("depth-estimation", dpt, {}),
    ("image-segmentation", segformer, {}),
    ("image-segmentation", maskformer, {"threshold": 0.0}),
    ("image-segmentation", maskformer, {"subtask": "semantic"}),
]


def names(case: Any) -> str:
    return case if isinstance(case, str) else getattr(case, "__name__", "")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], Path]], Path]:
    made: dict[str, Path] = {}

    def folder_of(make: Callable[[Path], Path]) -> Path:
        if make.__name__ not in made:
            made[make.__name__] = make(tmp_path_factory.mktemp(make.__name__))
        return made[make.__name__]

    return folder_of


def _is_nested_numbers(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, list) and bool(value) and _is_nested_numbers(value[0]))


def assert_alike(one: Any, other: Any) -> None:
    """The same structure, words and pictures, and numbers within the tolerance."""
    assert type(one) is type(other) or {type(one), type(other)} <= {int, float}
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_alike(one[name], other[name])
    elif isinstance(one, list) and one and _is_nested_numbers(one):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), **TOLERANCE)
    elif isinstance(one, list):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_alike(first, second)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, **TOLERANCE)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-5)
    elif isinstance(one, Image.Image):
        assert one.size == other.size and one.mode == other.mode
        # a depth within the tolerance may round to the next shade
        assert int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max()) <= 1
    else:
        assert one == other


@pytest.mark.parametrize(("task", "make", "options"), CASES, ids=names)
def test_answers_are_those_of_transformers(
    task: str, make: Callable[[Path], Path], options: dict[str, Any], folders: Any
) -> None:
    folder = folders(make)
    ours = pipeline(task, folder)
    theirs = transformers.pipeline(task, str(folder))
    single = pictures()[0]
    assert_alike(ours(single, **options), theirs(single, **options))
    expected = [theirs(picture, **options) for picture in pictures()]
    assert_alike(ours(pictures(), **options), expected)
    assert_alike(list(ours(iter(pictures()), **options)), expected)


def test_a_batch_of_any_size_gives_the_answers_to_single_pictures(folders: Any) -> None:
    segment = pipeline("image-segmentation", folders(segformer))
    expected = [segment(picture) for picture in pictures()]
    for size in (1, 2, 3):
        assert_alike(segment(pictures(), batch_size=size), expected)


def test_labels_are_needed(folders: Any) -> None:
    classify = pipeline("zero-shot-image-classification", folders(clip))
    with pytest.raises(UsageError, match=r"needs labels to choose from; give candidate_labels=\['cat', 'dog'\]"):
        classify(pictures()[0])
    with pytest.raises(UsageError, match=r"hypothesis_template is 'a photo'; expected a sentence with \{\} where"):
        classify(pictures()[0], candidate_labels="cat,dog", hypothesis_template="a photo")
    assert_alike(
        classify(pictures()[0], candidate_labels="cat, dog"), classify(pictures()[0], candidate_labels=["cat", "dog"])
    )


def test_a_pooler_is_needed_to_pool(folders: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.ViTConfig.from_pretrained(folders(vit))
    model = transformers.ViTModel(config, add_pooling_layer=False)
    images = transformers.AutoImageProcessor.from_pretrained(folders(vit), backend="pil")
    extract = pipeline("image-feature-extraction", model, image_processor=images)
    with pytest.raises(UsageError, match="has no pooler; leave pool=True out"):
        extract(pictures()[0], pool=True)
    assert torch.is_tensor(extract(pictures()[0], return_tensors=True))


def test_a_subtask_that_the_checkpoint_cannot_do(folders: Any) -> None:
    with pytest.raises(UsageError, match=r"subtask is 'panoptic', but checkpoint '.*' does semantic\."):
        pipeline("image-segmentation", folders(segformer), subtask="panoptic")
    with pytest.raises(UsageError, match="threshold is 2; expected a fraction in"):
        pipeline("image-segmentation", folders(maskformer))(pictures()[0], threshold=2)
