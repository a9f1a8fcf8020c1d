"""Loading: our own families lightly, everything else through transformers, and a sentence for what is wrong."""

import json
import os
import subprocess
import sys

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.checkpoints import from_model, load_checkpoint, position_limit
from quintet.pipelines.errors import UnknownNameError, UsageError, WeightsError
from quintet.pipelines.models import build_model
from quintet.pipelines.saving import save_checkpoint
from safetensors.torch import load_file, save_file

TEXTS = ["a gorgeous witty film", "dull", "", "a dull and far far too long film"]
LABELS = ("negative", "positive")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, "wordlevel", 50, 16)


def small_lstm(tokenizer, labels=LABELS, problem_type="single_label_classification"):
    torch.manual_seed(0)
    return build_model(
        "lstm",
        vocab_size=tokenizer.vocab_size,
        labels=labels,
        problem_type=problem_type,
        arguments={"embedding_size": 6, "hidden_size": 5},
    ).eval()


@pytest.fixture
def folder(tokenizer, tmp_path):
    """A checkpoint of an LSTM."""
    folder = tmp_path / "reviews"
    save_checkpoint(small_lstm(tokenizer), tokenizer, folder, task="text-classification")
    return folder


def logits_of(checkpoint):
    return checkpoint.logits(checkpoint.tokenizer.pad(checkpoint.tokenizer.encode(TEXTS)))


def change_config(folder, **changes):
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_light_and_through_transformers_give_the_model_s_logits(folder, tokenizer):
    expected = small_lstm(tokenizer)(**tokenizer.pad(tokenizer.encode(TEXTS))).logits
    for light in (True, False):
        checkpoint = load_checkpoint(folder, task="sentiment", light=light)
        assert checkpoint.light is light
        assert checkpoint.name == "reviews"
        assert checkpoint.config.labels == LABELS
        assert checkpoint.config.task == "text-classification"
        assert checkpoint.config.problem_type == "single_label_classification"
        assert checkpoint.config.max_length == checkpoint.tokenizer.max_length == 16
        assert not checkpoint.model.training
        torch.testing.assert_close(logits_of(checkpoint), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_in_half_precision_load_as_float32(folder, tokenizer, dtype):
    exact = small_lstm(tokenizer)
    save_checkpoint(exact, tokenizer, folder, dtype=dtype)
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {getattr(torch, dtype)}
    for light in (True, False):
        checkpoint = load_checkpoint(folder, light=light, dtype="auto")
        assert {weight.dtype for weight in checkpoint.model.parameters()} == {torch.float32}
        rounded = {key: tensor.float() for key, tensor in stored.items()}
        state = checkpoint.model.state_dict()
        for key, tensor in rounded.items():
            assert torch.equal(state[key.removeprefix("network.") if light else key], tensor)


@pytest.mark.parametrize("light", [True, False])
def test_the_number_format_asked_for_is_used(folder, light):
    checkpoint = load_checkpoint(folder, dtype="bfloat16", light=light)
    assert logits_of(checkpoint).dtype == torch.bfloat16
    with pytest.raises(UsageError, match="dtype is 'fp16', expected one of float32, bfloat16, float16, auto"):
        load_checkpoint(folder, dtype="fp16")


LIGHT = """
import sys
from quintet.pipelines.checkpoints import load_checkpoint
checkpoint = load_checkpoint(sys.argv[1], task="sentiment")
print(checkpoint.logits(checkpoint.tokenizer.pad(checkpoint.tokenizer.encode(["dull"]))).tolist())
heavy = ("transformers", "datasets", "diffusers", "pandas", "pyarrow", "sklearn", "huggingface_hub", "accelerate")
print([name for name in (*heavy, "torch._dynamo", "sympy") if name in sys.modules])
"""


def test_the_light_way_loads_nothing_heavy(folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LIGHT, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    scores, heavy = done.stdout.splitlines()
    assert len(json.loads(scores)[0]) == 2
    assert heavy == "[]"


def test_code_in_the_folder_of_our_own_families_never_runs(folder, tmp_path):
    marker = tmp_path / "ran"
    for name in ("modeling_recurrent.py", "recurrent.py"):
        (folder / name).write_text(f"open({str(marker)!r}, 'w')\n")
    for light in (True, False):
        load_checkpoint(folder, light=light, trust_remote_code=True)
    assert not marker.exists()


@pytest.mark.parametrize("light", [True, False])
def test_all_keys_that_do_not_fit_are_listed_together(folder, light):
    def change(tensors):
        del tensors["network.embedding.weight"]
        tensors["network.classifier.weight"] = torch.zeros(3, 10)
        tensors["network.unknown"] = torch.zeros(1)

    change_weights(folder, change)
    with pytest.raises(WeightsError, match=r"the weights of checkpoint 'reviews' do not fit its config.json") as caught:
        load_checkpoint(folder, light=light)
    assert "missing" in str(caught.value) and "embedding.weight" in str(caught.value)
    assert "classifier.weight is (3, 10), expected (2, 10)" in str(caught.value)
    assert ("unexpected unknown" in str(caught.value)) is light  # transformers takes what it does not need


@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"checkpoint 'reviews' has no model.safetensors \(found: adapter.py, config.json,"),
        (b"<html>not found</html>", "model.safetensors of checkpoint 'reviews' is not safetensors but a web page"),
        (-7, "model.safetensors of checkpoint 'reviews' is cut off"),
    ],
)
def test_a_bad_weight_file_is_named(folder, light, content, words):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else whole[:content])
    with pytest.raises(WeightsError, match=words):
        load_checkpoint(folder, light=light)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"hidden_size": None, "pooling": None},
            r"lacks hidden_size, pooling, which a model of type quintet-recurrent",
        ),
        ({"pooling": "median"}, "does not describe a lstm: pooling is 'median', expected one of last, max"),
        ({"hidden_size": -5}, "does not describe a lstm: "),
        ({"hidden_size": "five"}, "does not describe a lstm: "),
        ({"id2label": {"1": "good", "2": "bad"}}, "has no id2label from 0 upwards, which names its labels"),
        ({"model_type": "quintet-quantum"}, "is of type quintet-quantum, which this version of Quintet does not know"),
    ],
)
def test_a_bad_configuration_says_what_is_wrong(folder, changes, words):
    change_config(folder, **changes)
    with pytest.raises(WeightsError, match=f"checkpoint 'reviews' {words}"):
        load_checkpoint(folder)


def test_a_folder_without_configuration_lists_what_is_there(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("")
    with pytest.raises(
        WeightsError, match=r"folder 'empty' has no config.json \(found: notes.txt\); expected a checkpoint"
    ):
        load_checkpoint(tmp_path / "empty")


@pytest.mark.parametrize(("content", "words"), [("{", "is not JSON"), ("[]", "is no JSON object")])
def test_a_broken_configuration_is_named(folder, content, words):
    (folder / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=f"config.json of checkpoint 'reviews' {words}"):
        load_checkpoint(folder)


def test_a_checkpoint_of_another_task_is_refused(folder):
    change_config(folder, task="token-classification")
    with pytest.raises(UsageError, match="'reviews' was trained for token-classification, not for text-classification"):
        load_checkpoint(folder, task="sentiment")
    assert load_checkpoint(folder).config.task == "token-classification"


def test_a_family_has_no_weights_yet():
    with pytest.raises(
        UsageError, match="'lstm' is a family without trained weights; train it first: quintet finetune"
    ):
        load_checkpoint("lstm")


def test_a_file_is_no_checkpoint(folder):
    with pytest.raises(UsageError, match=r"model 'model.safetensors' is a file; expected the checkpoint's folder"):
        load_checkpoint(folder / "model.safetensors")


def test_a_folder_that_is_not_there_is_named_without_its_path(tmp_path):
    with pytest.raises(UsageError, match="there is no folder 'missing' at the path given as model") as caught:
        load_checkpoint(tmp_path / "missing")
    assert str(tmp_path) not in str(caught.value)


def test_a_live_model_needs_its_tokenizer(tokenizer):
    model = small_lstm(tokenizer)
    checkpoint = load_checkpoint(model, tokenizer=tokenizer)
    assert checkpoint.model is model
    assert logits_of(checkpoint).shape == (4, 2)
    with pytest.raises(UsageError, match="a live model was given without its tokenizer; pass tokenizer= as well"):
        load_checkpoint(model)
    with pytest.raises(UsageError, match="model is Linear, expected a name, a folder, a Hub id, or a model of transf"):
        load_checkpoint(torch.nn.Linear(1, 1))


def test_a_checkpoint_around_a_live_model_follows_its_weights(tokenizer):
    model = small_lstm(tokenizer)
    checkpoint = from_model(model, tokenizer)
    before = logits_of(checkpoint)
    with torch.no_grad():
        model.network.classifier.bias += 1
    torch.testing.assert_close(logits_of(checkpoint), before + 1)
    assert checkpoint.config.labels == LABELS


def test_a_live_model_keeps_its_configuration(tokenizer):
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=tokenizer.vocab_size, n_embd=8, n_layer=1, n_head=2, n_positions=16)
    model = GPT2ForSequenceClassification(config).eval()
    before = model.config.to_dict()
    assert model.config.pad_token_id is None
    checkpoint = load_checkpoint(model, tokenizer=tokenizer)
    together = checkpoint.logits(tokenizer.pad(tokenizer.encode(TEXTS)))
    for row, text in zip(together, TEXTS, strict=True):
        torch.testing.assert_close(row, checkpoint.logits(tokenizer.pad(tokenizer.encode([text])))[0])
    assert model.config.to_dict() == before
    with torch.no_grad():
        model.score.weight.mul_(2)
    torch.testing.assert_close(checkpoint.logits(tokenizer.pad(tokenizer.encode(TEXTS))), together * 2)


def test_another_tokenizer_can_be_given(folder, tokenizer, tmp_path):
    save_checkpoint(small_lstm(tokenizer), train_tokenizer(["dull film"], "wordlevel", 50, 9), tmp_path / "other")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(WeightsError, match=r"checkpoint 'reviews' has no tokenizer.json"):
        load_checkpoint(folder)
    assert load_checkpoint(folder, tokenizer=tokenizer).tokenizer is tokenizer
    assert load_checkpoint(folder, tokenizer=tmp_path / "other").tokenizer.encode(["a film"])[0].input_ids == [1, 5]


def test_an_unknown_name_suggests_the_nearest(monkeypatch):
    import huggingface_hub.constants

    with pytest.raises(UnknownNameError, match="unknown model 'lstm!'; did you mean lstm"):
        load_checkpoint("lstm!")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="checkpoint 'lsmt' is not in the cache"):
        load_checkpoint("lsmt")


def test_positions_limit_the_length():
    from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

    sizes = {
        "vocab_size": 20,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
    }
    bert = BertForSequenceClassification(BertConfig(**sizes, max_position_embeddings=40))
    roberta = RobertaForSequenceClassification(RobertaConfig(**sizes, max_position_embeddings=40, pad_token_id=1))
    assert position_limit(bert) == 40
    assert position_limit(roberta) == 38
    roberta(torch.full((1, 38), 5))
    with pytest.raises((IndexError, RuntimeError), match=r"out of (range|bounds)|expanded size"):
        roberta(torch.full((1, 39), 5))
