"""What LoRA and freezing train, and what they refuse."""

import pytest
import torch
from quintet.finetune.lora import LowRankAdditions, freeze_body
from quintet.finetune.settings import FinetuneSettings
from quintet.pipelines.errors import UsageError
from quintet.pipelines.models import build_model
from transformers import AutoModelForSequenceClassification, DistilBertConfig, DistilBertForSequenceClassification

DISTILBERT = DistilBertConfig(vocab_size=30, dim=8, n_layers=1, n_heads=2, hidden_dim=16)


def trained_of(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad and "lora_" not in name}


def test_unknown_targets_are_named_with_those_there_are(tiny_bert):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert)
    given = FinetuneSettings(
        task="sentiment", model="m", dataset="d", output="o", lora=True, lora_targets=("q_proj", "query")
    )
    with pytest.raises(UsageError, match=r"--lora-targets q_proj: .* it has: dense, key, query, value"):
        LowRankAdditions(model, given, "m")


def test_a_model_without_a_head_cannot_be_frozen():
    with pytest.raises(UsageError, match="--freeze found no classification head"):
        freeze_body(torch.nn.Sequential(torch.nn.Linear(2, 2)))


def test_a_model_without_linear_layers_says_to_train_it_whole():
    model = build_model("lstm", vocab_size=9, labels=["a", "b"], problem_type="single_label_classification")
    given = FinetuneSettings(task="sentiment", model="lstm", dataset="d", output="o", lora=True)
    with pytest.raises(UsageError, match="it has: none, so train it without --lora"):
        LowRankAdditions(model, given, "lstm")


def test_next_to_additions_all_new_weights_are_trained():
    model = DistilBertForSequenceClassification(DISTILBERT)
    given = FinetuneSettings(task="sentiment", model="m", dataset="d", output="o", lora=True)
    new = {f"{layer}.{kind}" for layer in ("pre_classifier", "classifier") for kind in ("weight", "bias")}
    embeddings = "distilbert.embeddings.word_embeddings.weight"  # a layer that peft knows no head by
    LowRankAdditions(model, given, "m", {*new, embeddings})
    assert {name.replace(".modules_to_save.default", "") for name in trained_of(model)} == {*new, embeddings}


def test_freezing_leaves_a_new_pooler_to_be_trained(tiny_bert):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert)
    pooler = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    freeze_body(model, pooler)
    assert trained_of(model) == {"classifier.weight", "classifier.bias", *pooler}
