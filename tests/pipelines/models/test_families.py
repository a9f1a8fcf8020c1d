from pathlib import Path

import pytest
import quintet
from quintet.pipelines.errors import UnknownNameError, UsageError
from quintet.pipelines.models import FAMILIES, build_model, find_family
from quintet.pipelines.models.families import own_family
from quintet.pipelines.tasks import TASKS


def build(name, **arguments):
    return build_model(
        name, vocab_size=30522, labels=("a", "b"), problem_type="single_label_classification", arguments=arguments
    )


def test_table_is_what_the_tasks_name():
    names = [(family.name, task, family.reads_pairs) for family in FAMILIES for task in family.tasks]
    assert len(names) == len(set(names)) >= 59
    for task in TASKS:
        assert task.families == tuple(dict.fromkeys(family.name for family in FAMILIES if task.name in family.tasks))


def test_the_document_states_the_defaults():
    text = (Path(quintet.__file__).parent / "docs" / "models.md").read_text(encoding="utf-8")
    stated = 0
    for family in FAMILIES:
        for name, value in family.sizes.items() if family.network else ():
            shown = "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
            shown = shown.lower() if isinstance(value, bool) else shown
            assert f"`{name}={shown}`" in text, f"{family.name}: {name}={shown}"
            stated += 1
    assert stated >= 150


def test_an_unknown_family_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown model family 'ltsm'; did you mean lstm"):
        find_family("ltsm")


def test_arguments_are_read_as_the_default_s_type():
    given = {"layers": "2", "bidirectional": "false", "pooling": "attention", "dropout": "0.1", "hidden_size": 64}
    values = find_family("lstm").arguments(given)
    assert values == {
        "cell": "lstm",
        "embedding_size": 200,
        "hidden_size": 64,
        "layers": 2,
        "bidirectional": False,
        "pooling": "attention",
        "dropout": 0.1,
    }
    assert find_family("textcnn").arguments({"kernel_sizes": "2-3"})["kernel_sizes"] == (2, 3)
    assert find_family("textcnn").arguments({"kernel_sizes": [2, 7]})["kernel_sizes"] == (2, 7)
    assert find_family("textcnn").arguments({"kernel_sizes": 4})["kernel_sizes"] == (4,)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("layers", "two", "a whole number of at least 1, for instance layers=1"),
        ("layers", "0", "a whole number of at least 1"),
        ("layers", True, "a whole number of at least 1"),
        ("dropout", "1", r"a fraction in \[0, 1\), for instance dropout=0.4"),
        ("bidirectional", "maybe", "true or false, for instance bidirectional=true"),
        ("pooling", "median", "one of last, max, mean, attention, for instance pooling=max"),
    ],
)
def test_a_value_out_of_range_says_what_is_expected(name, value, expected):
    with pytest.raises(UsageError, match=f"argument {name} of model lstm is '{value}', expected {expected}"):
        find_family("lstm").arguments({name: value})


def test_widths_that_are_no_numbers_are_refused():
    with pytest.raises(UsageError, match="whole numbers of at least 1 joined by -, for instance kernel_sizes=3-4-5"):
        find_family("textcnn").arguments({"kernel_sizes": "3-x"})


def test_an_unknown_argument_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown argument of model lstm 'layer'; did you mean layers"):
        find_family("lstm").arguments({"layer": 2})


def test_arguments_that_contradict_each_other_are_a_usage_error():
    with pytest.raises(
        UsageError, match=r"model transformer cannot be built: hidden_size is 256, expected an even mult"
    ):
        build("transformer", heads=3)
    with pytest.raises(UsageError, match="model bert-tiny cannot be built"):
        build("bert-tiny", heads=3)


def test_an_unknown_problem_type_lists_the_known_ones():
    with pytest.raises(UsageError, match="problem_type is 'ranking', expected one of single_label_classification"):
        build_model("lstm", vocab_size=9, labels=("a", "b"), problem_type="ranking")


def test_a_regression_has_one_value():
    model = build_model("bert-tiny", vocab_size=9, labels=None, problem_type="regression")
    assert model.config.num_labels == 1
    assert model.config.id2label == {0: "LABEL_0"}


PAPER_VGG = {"batch_norm": False, "width": 64, "pooled_size": 7, "hidden_size": 4096}
PAPER_ALEXNET = {"stem": "11-4-2", "pooled_size": 6, "hidden_size": 4096}


@pytest.mark.parametrize(
    ("name", "labels", "arguments", "expected"),
    [
        # Counted by others: torchvision 0.20 for AlexNet, VGG and the two large residual networks, timm for DeiT-tiny.
        ("alexnet", 1000, PAPER_ALEXNET, 61_100_840),
        ("vgg11", 1000, PAPER_VGG, 132_863_336),
        ("vgg16", 1000, PAPER_VGG, 138_357_544),
        ("resnet-18", 1000, {}, 11_689_512),
        ("resnet-50", 1000, {}, 25_557_032),
        ("vit-tiny", 1000, {"patch_size": 16}, 5_717_416),
        # He et al. 2015, table 6, in millions with two digits.
        ("resnet-20", 10, {}, 0.27e6),
        ("resnet-32", 10, {}, 0.46e6),
        ("resnet-44", 10, {}, 0.66e6),
        ("resnet-56", 10, {}, 0.85e6),
        ("resnet-110", 10, {}, 1.7e6),
        # 5 x 5 filters and layers of the paper's sizes, by hand.
        ("lenet5", 10, {}, 6 * 26 + 16 * 151 + 120 * 401 + 84 * 121 + 10 * 85),
    ],
)
def test_networks_for_pictures_have_the_published_number_of_parameters(name, labels, arguments, expected):
    import torch

    channels, side = (1, 28) if name == "lenet5" else (3, 224)
    with torch.device("meta"):  # 138 million numbers need not be drawn
        model = build_model(
            name,
            labels=[str(label) for label in range(labels)],
            problem_type="single_label_classification",
            arguments=arguments,
            channels=channels,
            image_size=side,
        )
    found = sum(weight.numel() for weight in model.parameters())
    assert found == expected if isinstance(expected, int) else found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("name", "millions"), [("bert-tiny", 4.4), ("bert-mini", 11.3), ("bert-small", 29.1)])
def test_bert_sizes_have_the_published_number_of_parameters(name, millions):
    """Turc et al. 2019, table 1, count the pre-training head: a dense layer, a norm, and a bias for each word."""
    model = build_model(
        name, vocab_size=30522, labels=("a", "b"), problem_type="single_label_classification", max_length=512
    )
    hidden = model.config.hidden_size
    encoder = sum(weight.numel() for weight in model.bert.parameters())
    head = hidden * hidden + hidden + 2 * hidden + 30522
    assert round((encoder + head) / 1e6, 1) == millions


def test_bert_has_a_position_for_each_token_of_the_longest_text():
    model = build_model(
        "bert-tiny", vocab_size=9, labels=("a", "b"), problem_type="single_label_classification", max_length=40
    )
    assert model.bert.embeddings.position_embeddings.num_embeddings == 40
    assert build("bert-tiny").config.max_position_embeddings == find_family("bert-tiny").max_length


def test_a_checkpoint_s_family_is_found_by_its_configuration():
    assert own_family({"model_type": "quintet-recurrent", "cell": "gru"}).name == "gru"
    assert own_family({"model_type": "quintet-recurrent", "cell": "none"}) is None
    assert own_family({"model_type": "bert"}) is None
