import numpy as np
import pytest
import torch
from quintet.finetune.calibration import fit_temperature, fold_temperature
from quintet.finetune.metrics import expected_calibration_error
from quintet.pipelines.errors import DataError, ShapeError
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)


def logits_and_labels(rows: int, classes: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax at temperature ``sharpness`` is the true distribution of the labels."""
    generator = np.random.default_rng(0)
    calibrated = generator.normal(scale=2, size=(rows, classes))
    noise = -np.log(-np.log(generator.random((rows, classes))))  # Gumbel: argmax samples from the softmax
    return calibrated * sharpness, (calibrated + noise).argmax(1)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found_again(sharpness):
    logits, labels = logits_and_labels(8000, 3, sharpness)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(sharpness, rel=0.05)

    def error(values):
        scores = np.exp(values - values.max(1, keepdims=True))
        return expected_calibration_error(scores / scores.sum(1, keepdims=True), labels)

    assert error(logits / temperature) < 0.02
    assert error(logits / temperature) <= error(logits) + 1e-3


def test_multi_label_is_fitted_by_the_sigmoid():
    generator = np.random.default_rng(0)
    calibrated = generator.normal(scale=2, size=(4000, 3))
    labels = generator.random((4000, 3)) < 1 / (1 + np.exp(-calibrated))
    assert fit_temperature(torch.tensor(calibrated * 2.5), torch.tensor(labels)) == pytest.approx(2.5, rel=0.05)


def test_separable_data_stops_at_the_bounds():
    logits = np.array([[0.1, 0.0], [0.0, 0.1]] * 5)
    assert fit_temperature(logits, np.array([0, 1] * 5)) == pytest.approx(0.05, rel=1e-3)
    assert fit_temperature(logits * 1000, np.array([1, 0] * 5)) == pytest.approx(20, rel=1e-3)


def test_logits_that_say_nothing_keep_their_scale():
    assert fit_temperature(np.zeros((4, 2)), np.array([0, 1, 0, 1])) == 1


def test_large_logits_do_not_overflow():
    assert np.isfinite(fit_temperature(np.array([[1e4, 0], [0, 1e4], [1e4, 0]]), np.array([0, 1, 1])))


def test_wrong_input_is_said_in_words():
    with pytest.raises(DataError, match="no rows to fit a temperature on; give a validation split"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0))
    with pytest.raises(ShapeError, match=r"logits \(2, 2\) and labels \(3,\) do not fit"):
        fit_temperature(np.zeros((2, 2)), np.zeros(3))
    with pytest.raises(ShapeError, match="expected finite logits"):
        fit_temperature(np.full((1, 2), np.nan), np.zeros(1))
    with pytest.raises(ShapeError, match="the temperature is 0, expected a number greater than 0"):
        fold_temperature(nn.Linear(2, 2), 0, 2)


class Network(nn.Module):
    """Mean of embeddings, LayerNorm in the head, and an unused layer of the same width after it."""

    def __init__(self, ending: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.classifier = nn.Linear(6, 3)
        self.unused = nn.Linear(6, 3)
        self.ending = ending

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None].float()
        pooled = (self.embedding(input_ids) * mask).sum(1) / mask.sum(1)
        return self.ending(self.classifier(self.norm(pooled)))


def transformers_model(kind: str) -> nn.Module:
    sizes = {"num_labels": 3, "vocab_size": 40}
    if kind == "gpt2":  # a head without bias; the last token is found by the padding token
        return GPT2ForSequenceClassification(GPT2Config(n_embd=8, n_layer=1, n_head=2, pad_token_id=0, **sizes))
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    if kind == "bert":
        return BertForSequenceClassification(BertConfig(**sizes, **small))
    return RobertaForSequenceClassification(RobertaConfig(max_position_embeddings=40, pad_token_id=1, **sizes, **small))


@pytest.mark.parametrize("kind", ["own", "bert", "roberta", "gpt2"])
def test_folding_divides_the_logits_and_changes_nothing_else(kind):
    torch.manual_seed(0)
    model = Network(nn.Identity()) if kind == "own" else transformers_model(kind)
    model.train()
    batch = {"input_ids": torch.randint(2, 11, (3, 5)), "attention_mask": torch.ones(3, 5, dtype=torch.long)}

    def logits():
        model.eval()
        with torch.no_grad():
            output = model(**batch)
        return output if isinstance(output, torch.Tensor) else output.logits

    before, weights = logits(), {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    assert fold_temperature(model, 1.7, 3)
    assert model.training
    torch.testing.assert_close(logits() * 1.7, before, rtol=1e-5, atol=1e-6)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, weights[name])}
    heads = {"own": "classifier", "bert": "classifier", "roberta": "classifier.out_proj", "gpt2": "score"}
    assert changed in ({f"{heads[kind]}.weight"}, {f"{heads[kind]}.weight", f"{heads[kind]}.bias"})


@pytest.mark.parametrize("ending", [nn.Tanh(), nn.LayerNorm(3)])
def test_a_head_that_cannot_be_scaled_keeps_its_weights(ending):
    torch.manual_seed(0)
    model = Network(ending)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    assert fold_temperature(model, 2.0, 3) is False
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_a_batch_can_be_given_and_temperature_one_needs_none():
    model = nn.Sequential(nn.Linear(4, 2))
    assert fold_temperature(model, 2.0, 2, batch={"input": torch.randn(3, 4)})
    assert fold_temperature(model, 1.0, 2)
