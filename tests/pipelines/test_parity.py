"""The same calls give the same structure, labels and scores as ``transformers.pipeline``.

Tiny random checkpoints of many architectures, with one label a text, several labels, and a number.
"""

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import pipeline

SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = SIZES | {"intermediate_size": 32, "max_position_embeddings": 66, "pad_token_id": 0, "initializer_range": 0.3}
GPT2 = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 66, "initializer_range": 0.3}
GPT2 |= {"bos_token_id": 3, "eos_token_id": 3}

# name: (configuration class, its arguments, the tokenizer's)
ARCHITECTURES = {
    "bert": (transformers.BertConfig, BERT, {}),
    "distilbert": (
        transformers.DistilBertConfig,
        {"vocab_size": 40, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "initializer_range": 0.3},
        {"model_input_names": ["input_ids", "attention_mask"]},
    ),
    "roberta": (transformers.RobertaConfig, BERT | {"type_vocab_size": 2}, {}),
    "albert": (transformers.AlbertConfig, BERT | {"embedding_size": 8}, {}),
    "electra": (transformers.ElectraConfig, BERT | {"embedding_size": 8}, {}),
    "deberta-v2": (
        transformers.DebertaV2Config,
        BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 2},
        {},
    ),
    "mobilebert": (
        transformers.MobileBertConfig,
        BERT | {"embedding_size": 8, "intra_bottleneck_size": 16, "true_hidden_size": 16},
        {},
    ),
    "modernbert": (
        transformers.ModernBertConfig,
        BERT | {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3, "local_attention": 8},
        {"model_input_names": ["input_ids", "attention_mask"]},
    ),
    "gpt2": (
        transformers.GPT2Config,
        GPT2 | {"pad_token_id": 0},
        {"single": "", "model_input_names": ["input_ids", "attention_mask"]},
    ),
    "gpt2-without-padding": (
        transformers.GPT2Config,
        GPT2,
        {"single": "", "pad_token": None, "eos_token": "[SEP]", "model_input_names": ["input_ids", "attention_mask"]},
    ),
    "xlnet": (
        transformers.XLNetConfig,
        {"vocab_size": 40, "d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 32, "initializer_range": 0.3},
        {"single": "$A [SEP] [CLS]:2", "pair": "$A [SEP] $B:1 [SEP]:1 [CLS]:2", "padding_side": "left"},
    ),
}
PROBLEMS = {
    "single": {"num_labels": 3, "problem_type": "single_label_classification"},
    "multi": {"num_labels": 3, "problem_type": "multi_label_classification"},
    "regression": {"num_labels": 1, "problem_type": "regression"},
    "unstated": {"num_labels": 2},
    "one": {"num_labels": 1},
}
CASES = [(name, problem) for name in ARCHITECTURES for problem in ("single", "multi", "regression")]
CASES += [("bert", "unstated"), ("bert", "one")]


pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def texts(tiny_words):
    generator = np.random.default_rng(0)
    lengths = [1, 50, 3, 3, 17, 8, 30, 3, 1, 44]
    return [" ".join(generator.choice(tiny_words, length)) for length in lengths]


def build(folder, name, problem, fast_tokenizer):
    """Both libraries' pipelines of the same checkpoint."""
    config_class, arguments, tokenizer_arguments = ARCHITECTURES[name]
    torch.manual_seed(0)
    config = config_class(**arguments, **PROBLEMS[problem])
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(folder)
    fast_tokenizer(**tokenizer_arguments).save_pretrained(folder)
    theirs = transformers.pipeline("text-classification", model=str(folder), device="cpu")
    return theirs, pipeline("text-classification", model=str(folder), device="cpu")


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
        assert type(ours["score"]) is type(theirs["score"])
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)


def test_the_architectures_are_many():
    assert len(ARCHITECTURES) >= 9
    assert len(CASES) == 3 * len(ARCHITECTURES) + 2


@pytest.mark.parametrize(("name", "problem"), CASES)
def test_calls_give_what_transformers_gives(tmp_path, texts, name, problem, fast_tokenizer):
    theirs, ours = build(tmp_path, name, problem, fast_tokenizer)
    pair = {"text": texts[4], "text_pair": texts[2]}
    assert_alike(ours(texts), theirs(texts))
    assert_alike(ours(texts, top_k=None), theirs(texts, top_k=None))
    assert_alike(ours(texts[0]), theirs(texts[0]))
    assert_alike(ours(texts[0], top_k=None), theirs(texts[0], top_k=None))
    assert_alike(ours(texts[1], top_k=1), theirs(texts[1], top_k=1))
    assert_alike(ours(pair), theirs(pair))
    assert_alike(ours(pair, top_k=2), theirs(pair, top_k=2))
    assert_alike(ours([pair, texts[0]]), [theirs(pair), theirs(texts[0])[0]])
    assert_alike(ours([[[texts[4], texts[2]]]]), theirs([[[texts[4], texts[2]]]]))
    assert_alike(list(ours(iter(texts))), list(theirs(text for text in texts)))
    scores = [answer["score"] for answer in ours(texts)]
    assert np.ptp(scores) > 1e-3, "the scores hardly differ, so that comparing them says little"


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none", "SIGMOID"])
def test_function_to_apply(tmp_path, texts, function, fast_tokenizer):
    theirs, ours = build(tmp_path, "bert", "single", fast_tokenizer)
    options = {"function_to_apply": function, "top_k": None}
    assert_alike(ours(texts, **options), theirs(texts, **options))


@pytest.mark.parametrize("top_k", [None, 1, 2, 9])
def test_top_k_of_the_pipeline_and_of_the_call(tmp_path, texts, top_k, fast_tokenizer):
    build(tmp_path, "bert", "single", fast_tokenizer)
    theirs = transformers.pipeline("text-classification", model=str(tmp_path), device="cpu", top_k=top_k)
    ours = pipeline("text-classification", model=str(tmp_path), device="cpu", top_k=top_k)
    pair = {"text": texts[0], "text_pair": texts[2]}
    for inputs in (texts[0], texts[:2], pair, [pair]):
        assert_alike(ours(inputs), theirs(inputs))
        assert_alike(ours(inputs, top_k=1), theirs(inputs, top_k=1))


def test_truncation_and_padding(tmp_path, texts, fast_tokenizer):
    theirs, ours = build(tmp_path, "bert", "single", fast_tokenizer)
    long = " ".join(texts)
    pairs = [{"text": long, "text_pair": texts[1]}, {"text": texts[2], "text_pair": long}]
    for inputs in ([long, texts[0]], pairs):
        for options in ({"truncation": True}, {"truncation": True, "max_length": 9}, {"max_length": 12}):
            assert_alike(ours(inputs, **options), theirs(inputs, **options))
    options = {"truncation": True, "padding": True, "max_length": 20}
    assert_alike(ours([long, texts[0]], **options), theirs([long, texts[0]], **options))
    options = {"truncation": "only_second", "max_length": 20}
    assert_alike(ours(pairs[1:], **options), theirs(pairs[1:], **options))


def test_empty_and_odd_texts(tmp_path, fast_tokenizer):
    theirs, ours = build(tmp_path, "bert", "single", fast_tokenizer)
    odd = ["", " ", "\n\t", "a\x00b\x07", "👍🏽 good", "فيلم جيد", "good\u202efilm", "G" * 1000, "[PAD] good [SEP]"]
    assert_alike(ours(odd), theirs(odd))


def test_data_set_columns_and_batch_sizes(tmp_path, texts, fast_tokenizer):
    import datasets
    from transformers.pipelines.pt_utils import KeyDataset, KeyPairDataset

    theirs, ours = build(tmp_path, "bert", "single", fast_tokenizer)
    data = datasets.Dataset.from_dict({"text": texts, "other": texts[::-1]})
    for inputs in (KeyDataset(data, "text"), KeyPairDataset(data, "text", "other")):
        assert_alike(list(ours(inputs, batch_size=4)), list(theirs(inputs, batch_size=4)))
    assert_alike(list(ours(data["text"])), theirs(texts))
    assert_alike(ours(texts, batch_size=3, num_workers=0), theirs(texts, batch_size=3))


def test_half_precision(tmp_path, texts, fast_tokenizer):
    build(tmp_path, "bert", "single", fast_tokenizer)
    theirs = transformers.pipeline("text-classification", model=str(tmp_path), device="cpu", dtype=torch.bfloat16)
    ours = pipeline("text-classification", model=str(tmp_path), device="cpu", dtype=torch.bfloat16)
    for one, other in zip(ours(texts), theirs(texts), strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=0.02)
