"""Learning rates, groups of weights, clipping and averages."""

import math

import pytest
import torch
from quintet.finetune.optimization import AverageWeights, clip_gradients, learning_rate_factor, parameter_groups
from quintet.finetune.settings import FinetuneSettings


def settings(**changes) -> FinetuneSettings:
    return FinetuneSettings(task="t", model="m", dataset="d", output="o", **changes)


@pytest.mark.parametrize(
    "schedule, expected", [("linear", [0.5, 1, 1, 0.75, 0.5, 0.25]), ("constant", [0.5, 1, 1, 1, 1, 1])]
)
def test_the_rate_rises_over_the_warm_up_and_then_falls(schedule, expected):
    factor = learning_rate_factor(schedule, 2, 6)
    assert [factor(step) for step in range(6)] == expected


def test_the_cosine_goes_through_the_middle_and_near_zero():
    factor = learning_rate_factor("cosine", 0, 100)
    assert factor(0) == 1 and factor(50) == pytest.approx(0.5)
    assert factor(99) == pytest.approx((1 + math.cos(math.pi * 0.99)) / 2)


def bert() -> torch.nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=8)
    return BertForSequenceClassification(config)


def rates_by_name(model: torch.nn.Module, given: FinetuneSettings) -> dict[str, tuple[float, float]]:
    names = {id(weight): name for name, weight in model.named_parameters()}
    groups = parameter_groups(model, given)
    return {
        names[id(weight)]: (group.learning_rate, group.weight_decay) for group in groups for weight in group.parameters
    }


def test_matrices_decay_and_vectors_do_not():
    model = bert()
    groups = rates_by_name(model, settings(learning_rate=1e-4, weight_decay=0.1))
    assert len(groups) == len(list(model.parameters()))
    assert groups["classifier.weight"] == (1e-4, 0.1)
    assert groups["classifier.bias"] == groups["bert.encoder.layer.0.output.LayerNorm.weight"] == (1e-4, 0.0)


def test_rates_fall_with_depth_and_the_head_has_its_own():
    groups = rates_by_name(
        bert(), settings(learning_rate=1.0, layer_decay=0.5, head_learning_rate=3.0, weight_decay=0.0)
    )
    by_layer = {int(name.split(".")[3]): rate for name, (rate, _) in groups.items() if ".layer." in name}
    assert by_layer == {2: 0.5, 1: 0.25, 0: 0.125}
    assert groups["bert.embeddings.word_embeddings.weight"][0] == 0.0625
    assert groups["classifier.weight"][0] == 3.0


def test_frozen_weights_are_in_no_group():
    model = bert()
    model.bert.requires_grad_(False)
    assert set(rates_by_name(model, settings(learning_rate=1.0))) == {"classifier.weight", "classifier.bias"}


def test_gradients_are_clipped_to_the_norm_and_measured_without_a_limit():
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    for limit, expected in ((1.0, 1.0), (0.0, 5.0), (10.0, 5.0)):
        weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
        assert float(clip_gradients(weights, limit)) == 5.0
        assert float(torch.cat([weight.grad for weight in weights]).norm()) == pytest.approx(expected, rel=1e-5)


def test_the_average_follows_the_formula_and_swaps_both_ways():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    average = AverageWeights(model, decay=0.5)
    model.weight.data.fill_(2.0)
    average.update(step=0)  # decay (1 + 0) / (10 + 0) = 0.1: 0.1 * 1 + 0.9 * 2
    assert float(average.averages[0]) == pytest.approx(1.9)
    average.update(step=100)  # decay 0.5
    assert float(average.averages[0]) == pytest.approx(1.95)
    average.swap()
    assert float(model.weight) == pytest.approx(1.95)
    average.swap()
    assert float(model.weight) == 2.0


def test_what_batch_normalisation_measured_is_averaged_with_the_weights():
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1))
    average = AverageWeights(model, decay=0.5)
    model[1].running_mean.fill_(8.0)
    model[1].running_var.fill_(5.0)
    average.update(step=100)  # from 0 and 1, with decay 0.5
    average.swap()
    assert [float(model[1].running_mean), float(model[1].running_var)] == [4.0, 3.0]
    assert int(model[1].num_batches_tracked) == 0
    average.swap()
    assert float(model[1].running_mean) == 8.0
