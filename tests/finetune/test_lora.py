"""What LoRA and freezing refuse."""

import pytest
import torch
from quintet.finetune.lora import LowRankAdditions, freeze_body
from quintet.finetune.settings import FinetuneSettings
from quintet.pipelines.errors import UsageError
from quintet.pipelines.models import build_model
from transformers import AutoModelForSequenceClassification


def test_unknown_targets_are_named_with_those_there_are(tiny_bert):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_bert)
    given = FinetuneSettings(task="t", model="m", dataset="d", output="o", lora=True, lora_targets=("q_proj", "query"))
    with pytest.raises(UsageError, match=r"--lora-targets q_proj: .* it has: dense, key, query, value"):
        LowRankAdditions(model, given, "m")


def test_a_model_without_a_head_cannot_be_frozen():
    with pytest.raises(UsageError, match="--freeze found no classification head"):
        freeze_body(torch.nn.Sequential(torch.nn.Linear(2, 2)))


def test_a_model_without_linear_layers_says_to_train_it_whole():
    model = build_model("lstm", vocab_size=9, labels=["a", "b"], problem_type="single_label_classification")
    given = FinetuneSettings(task="t", model="lstm", dataset="d", output="o", lora=True)
    with pytest.raises(UsageError, match="it has: none, so train it without --lora"):
        LowRankAdditions(model, given, "lstm")
