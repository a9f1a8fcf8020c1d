"""Checkpoints of transformers: what it would draw at random without a word is an error here."""

import json

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import UsageError, WeightsError
from quintet.pipelines.models import build_model
from quintet.pipelines.saving import save_checkpoint
from safetensors.torch import load_file, save_file

TEXTS = ["a gorgeous witty film", "dull", "", "a dull and far far too long film"]
SIZES = {"vocab_size": 300, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, "byte-bpe", 300, 16, has_token_types=True)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def bert(labels=("negative", "positive")):
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(**SIZES, id2label=dict(enumerate(labels)))).eval()


@pytest.fixture
def classifier(tokenizer, tmp_path):
    save_checkpoint(bert(), tokenizer, tmp_path / "reviews")
    return tmp_path / "reviews"


@pytest.fixture
def encoder(tokenizer, tmp_path):
    """A checkpoint without a classifier, as pretraining leaves it."""
    folder = tmp_path / "pretrained"
    bert().bert.save_pretrained(folder)
    tokenizer.save(folder)
    return folder


def logits_of(checkpoint):
    return checkpoint.logits(checkpoint.tokenizer.pad(checkpoint.tokenizer.encode(TEXTS)))


def test_without_a_classifier_running_is_refused(encoder):
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(encoder)
    assert str(caught.value).startswith(
        "checkpoint 'pretrained' has no trained text classifier (missing classifier.bias, classifier.weight); fine-"
        "tune it first: quintet finetune sentiment --model pretrained "
    )


def test_training_draws_a_new_classifier_for_the_labels(encoder):
    checkpoint = load_checkpoint(
        encoder, new_head=True, labels=("a", "b", "c"), problem_type="multi_label_classification"
    )
    assert checkpoint.config.labels == ("a", "b", "c")
    assert checkpoint.model.config.problem_type == "multi_label_classification"
    assert checkpoint.model.classifier.weight.shape == (3, 8)
    assert 0 < checkpoint.model.classifier.weight.std() < 0.1


def test_training_for_one_value_gives_one(encoder):
    checkpoint = load_checkpoint(encoder, new_head=True, labels=None, problem_type="regression")
    assert logits_of(checkpoint).shape == (4, 1)


def test_training_keeps_a_classifier_of_the_same_labels(classifier):
    stored = load_file(classifier / "model.safetensors")["classifier.weight"]
    kept = load_checkpoint(classifier, new_head=True, labels=("negative", "positive"))
    assert torch.equal(kept.model.classifier.weight, stored)
    assert torch.equal(load_checkpoint(classifier, new_head=True).model.classifier.weight, stored)


@pytest.mark.parametrize("labels", [("positive", "negative"), ("spam", "ham"), ("a", "b", "c")])
@pytest.mark.parametrize("family", ["bert", "lstm"])
def test_training_forgets_a_classifier_of_other_labels(family, labels, classifier, tokenizer, tmp_path):
    folder = classifier
    if family == "lstm":
        folder = tmp_path / "lstm"
        model = build_model(
            "lstm",
            vocab_size=tokenizer.vocab_size,
            labels=("negative", "positive"),
            problem_type="single_label_classification",
            arguments={"embedding_size": 6, "hidden_size": 5},
        )
        save_checkpoint(model, tokenizer, folder)
    stored = load_file(folder / "model.safetensors")
    new = load_checkpoint(folder, new_head=True, labels=labels).model.state_dict()
    changed = {key for key in stored if not torch.equal(stored[key], new[key][: len(stored[key])])}
    prefix = "network." if family == "lstm" else ""
    assert f"{prefix}classifier.weight" in changed <= {f"{prefix}classifier.weight", f"{prefix}classifier.bias"}


@pytest.mark.parametrize("new_head", [True, False])
def test_a_missing_layer_of_the_encoder_is_an_error_for_training_too(classifier, new_head):
    tensors = load_file(classifier / "model.safetensors")
    key = "bert.encoder.layer.0.output.dense.weight"
    del tensors[key]
    save_file(tensors, classifier / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        WeightsError, match=f"the weights of checkpoint 'reviews' do not fit its config.json: missing {key}"
    ):
        load_checkpoint(classifier, new_head=new_head)


def test_a_wrong_shape_in_the_encoder_is_an_error(classifier):
    config = json.loads((classifier / "config.json").read_text())
    (classifier / "config.json").write_text(json.dumps({**config, "intermediate_size": 9}))
    with pytest.raises(WeightsError, match=r"intermediate.dense.bias is \(8,\), expected \(9,\)"):
        load_checkpoint(classifier, new_head=True)


def test_shards_load(tokenizer, tmp_path):
    model = bert()
    model.save_pretrained(tmp_path / "sharded", max_shard_size="5KB")
    tokenizer.save(tmp_path / "sharded")
    assert (tmp_path / "sharded" / "model.safetensors.index.json").is_file()
    expected = model(**tokenizer.pad(tokenizer.encode(TEXTS))).logits
    torch.testing.assert_close(logits_of(load_checkpoint(tmp_path / "sharded")), expected, rtol=0, atol=1e-6)


class Attack:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return (open, ("attacked", "w"))


def test_a_pickle_is_read_if_it_holds_tensors_only(classifier, monkeypatch):
    monkeypatch.chdir(classifier)
    expected = logits_of(load_checkpoint(classifier))
    tensors = load_file(classifier / "model.safetensors")
    (classifier / "model.safetensors").unlink()
    torch.save(tensors, classifier / "pytorch_model.bin")
    torch.testing.assert_close(logits_of(load_checkpoint(classifier)), expected)
    torch.save({**tensors, "extra": Attack()}, classifier / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="of checkpoint 'reviews' is a pickle that holds more than tensors"):
        load_checkpoint(classifier)
    assert not (classifier / "attacked").exists()


def test_code_in_a_checkpoint_runs_only_when_asked_for(classifier):
    config = json.loads((classifier / "config.json").read_text())
    config |= {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.TheirConfig"}}
    (classifier / "config.json").write_text(json.dumps(config))
    (classifier / "theirs.py").write_text("raise OSError('their code ran')")
    with pytest.raises(UsageError, match="'reviews' brings its own code, which runs only if you ask for it; read that"):
        load_checkpoint(classifier)
    with pytest.raises(WeightsError, match="checkpoint 'reviews' cannot be loaded: their code ran"):
        load_checkpoint(classifier, trust_remote_code=True)


@pytest.mark.parametrize(
    ("model_type", "words"),
    [
        ("vit", "is of an architecture for which transformers has no text classifier"),
        ("nonsense", "names no model_type that the installed transformers knows; upgrade"),
        (None, "names no model_type that the installed transformers knows"),
    ],
)
def test_an_architecture_that_is_no_text_classifier_is_refused(classifier, model_type, words):
    config = json.loads((classifier / "config.json").read_text())
    config["model_type"] = model_type
    (classifier / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value}))
    with pytest.raises(WeightsError, match=f"checkpoint 'reviews' {words}"):
        load_checkpoint(classifier)


def test_a_checkpoint_without_tokenizer_says_so(classifier):
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (classifier / file).unlink()
    with pytest.raises(WeightsError, match="checkpoint 'reviews' has no tokenizer that transformers can read; save it"):
        load_checkpoint(classifier)


def test_a_decoder_without_padding_token_reads_batches_as_it_reads_single_texts(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<|endoftext|>", "a", "dull", "gorgeous", "film"])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>").save_pretrained(tmp_path / "gpt")
    model = GPT2ForSequenceClassification(
        GPT2Config(vocab_size=5, n_embd=8, n_layer=2, n_head=2, n_positions=32)
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.5)
    model.save_pretrained(tmp_path / "gpt")
    assert model.config.pad_token_id is None
    checkpoint = load_checkpoint(tmp_path / "gpt")
    texts = ["a dull film", "gorgeous", "a gorgeous gorgeous film a"]
    together = checkpoint.logits(checkpoint.tokenizer.pad(checkpoint.tokenizer.encode(texts)))
    alone = [model(torch.tensor([checkpoint.tokenizer.encode([text])[0].input_ids])).logits[0] for text in texts]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-5, atol=1e-5)
    assert checkpoint.config.max_length == 32
    assert together.std(dim=0).min() > 1e-3


def test_token_types_that_a_model_does_not_read_are_left_out(tokenizer):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    model = DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=300, dim=8, n_layers=1, n_heads=2, hidden_dim=8)
    )
    checkpoint = load_checkpoint(model, tokenizer=tokenizer)
    batch = tokenizer.pad(tokenizer.encode(TEXTS))
    assert "token_type_ids" in batch
    assert checkpoint.logits(batch).shape == (4, 2)
