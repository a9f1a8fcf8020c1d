"""The maps of keys: complete on both sides, counted, and every misfit told at once."""

import importlib

import pytest
import torch
from quintet.pipelines.errors import UnknownNameError, UsageError, WeightsError
from quintet.pipelines.models.foreign_weights import FOREIGN_FAMILIES, find_foreign_family, recognise, translate


def load(dotted):
    module, name = dotted.split(":")
    path = module if module == "transformers" else f"quintet.pipelines.models.{module}"
    return getattr(importlib.import_module(path), name)


def model_of(foreign):
    with torch.device("meta"):
        return load(foreign.model)(load(foreign.config)(**foreign.fields, num_labels=foreign.num_labels))


def shapes_of(foreign):
    return {key: tensor.shape for key, tensor in model_of(foreign).state_dict().items()}


def state_for(foreign):
    """Tensors of the right shapes under their keys."""
    shapes = shapes_of(foreign)
    return {
        key: torch.zeros((len(ours) * shapes[ours[0]][0], *shapes[ours[0]][1:]) if len(ours) > 1 else shapes[ours[0]])
        for key, ours in foreign.keys.items()
    }


# Entries of the state dictionaries of torchvision, timm (vit_base_patch16_224) and akamaster, counters included, and
# the weights that they publish.
PUBLISHED = {
    "alexnet": (16, 61_100_840),
    "vgg11": (22, 132_863_336),
    "vgg16": (32, 138_357_544),
    "resnet-18": (122, 11_689_512),
    "resnet-34": (218, 21_797_672),
    "resnet-50": (320, 25_557_032),
    "resnet-101": (626, 44_549_160),
    "resnet-20": (116, 269_722),
    "resnet-56": (332, 853_018),
    "vit": (152, 86_567_656),
}


@pytest.mark.parametrize("row", FOREIGN_FAMILIES, ids=lambda row: row.name)
def test_every_weight_of_the_model_has_one_key_of_theirs(row):
    foreign = row.read({}, None)
    model = model_of(foreign)
    reached = [key for ours in foreign.keys.values() for key in ours]
    assert sorted(reached) == sorted(model.state_dict())
    if row.name in PUBLISHED:
        parameters = sum(parameter.numel() for parameter in model.parameters())
        assert (len(foreign.keys), parameters) == PUBLISHED[row.name]


def test_all_rows_are_walked_and_names_are_unique():
    names = [row.name for row in FOREIGN_FAMILIES]
    assert len(names) == len(set(names)) == 16


@pytest.mark.parametrize("name", ["resnet-20", "resnet-32", "resnet-18"])
def test_a_family_is_recognised_by_all_its_keys(name):
    state = state_for(find_foreign_family(name).read({}, None))
    assert recognise(state).name == name
    assert recognise({key: tensor for key, tensor in state.items() if key != "conv1.weight"}) is None
    assert recognise({**state, "more": torch.zeros(1)}) is None


def test_counters_of_the_norms_may_be_absent():
    foreign = find_foreign_family("resnet-20").read({}, None)
    state = {key: tensor for key, tensor in state_for(foreign).items() if not key.endswith("num_batches_tracked")}
    translated = translate(state, foreign.keys, shapes_of(foreign), name="old.pth", family="resnet-20")
    assert set(translated) == set(model_of(foreign).state_dict())
    assert translated["network.stem_norm.num_batches_tracked"] == 0


def test_every_misfit_is_listed_in_one_sentence():
    foreign = find_foreign_family("resnet-20").read({}, None)
    state = state_for(foreign)
    for key in ("layer1.0.conv1.weight", "layer1.1.conv1.weight", "layer2.0.bn1.bias", "linear.bias"):
        del state[key]
    state |= {f"extra.{index}": torch.zeros(1) for index in range(7)}
    state["layer3.2.conv2.weight"] = torch.zeros(64, 64, 1, 1)
    state["linear.weight"] = torch.zeros(10, 32)
    with pytest.raises(WeightsError) as error:
        translate(state, foreign.keys, shapes_of(foreign), name="broken.pth", family="resnet-20")
    assert str(error.value) == (
        "the weights of 'broken.pth' do not fit resnet-20: missing layer1.0.conv1.weight, layer1.1.conv1.weight, "
        "layer2.0.bn1.bias, linear.bias; unexpected extra.0, extra.1, extra.2, extra.3, extra.4, extra.5, extra.6; "
        "wrong shape layer3.2.conv2.weight is (64, 64, 1, 1), expected (64, 64, 3, 3), linear.weight is (10, 32), "
        "expected (10, 64); check which model wrote it."
    )


def test_weights_of_another_family_are_told_by_its_name():
    state = state_for(find_foreign_family("resnet-32").read({}, None))
    foreign = find_foreign_family("resnet-20").read(state, None)
    with pytest.raises(WeightsError, match=r"resnet-20: unexpected layer1\.3\..*; convert it as resnet-32\.$"):
        translate(state, foreign.keys, shapes_of(foreign), name="resnet32.th", family="resnet-20")


def test_half_precision_becomes_float32():
    foreign = find_foreign_family("resnet-20").read({}, None)
    state = {key: tensor.half() for key, tensor in state_for(foreign).items()}
    translated = translate(state, foreign.keys, shapes_of(foreign), name="half.pth", family="resnet-20")
    assert translated["network.stem.weight"].dtype == torch.float32


def test_the_heads_of_an_unpublished_vit_must_be_given():
    vit = find_foreign_family("vit")
    state = {"patch_embed.proj.weight": torch.zeros(100, 3, 16, 16)}
    with pytest.raises(UsageError, match=r"a ViT of 100 features with an unknown number of heads .* pass heads="):
        vit.read(state, None)
    with pytest.raises(UsageError, match="a ViT of 100 features with 3 heads"):
        vit.read(state, 3)
    assert vit.read(state, 5).fields["num_attention_heads"] == 5
    assert recognise(state) is None


def test_an_unknown_family_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"resnet-50"):
        find_foreign_family("resnet50")
