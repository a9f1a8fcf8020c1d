"""The loop on a task of numbers: parts equal the whole, bad losses stop it, the best weights are kept."""

from typing import ClassVar

import pytest
import torch
from quintet.finetune.step_log import read_log
from quintet.pipelines.errors import TrainingError


def weights(loop) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in loop.model.parameters()])


def test_training_lowers_the_loss_and_logs_a_line_a_step(numbers, tmp_path):
    loop = numbers(tmp_path, epochs=20)
    position = loop.run()
    lines = list(read_log(tmp_path))
    assert [line["step"] for line in lines] == list(range(1, 141))
    assert position.step == 140 and position.stopped_by == "epochs" and position.samples == 1000
    assert sum(line["loss"] for line in lines[-7:]) < 0.5 * sum(line["loss"] for line in lines[:7])
    assert [line["epoch"] for line in lines if "validation" in line] == list(range(1, 21))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(numbers, tmp_path):
    loops = [numbers(tmp_path / str(index), seed=seed) for index, seed in enumerate((1, 1, 2))]
    for index, loop in enumerate(loops):
        (tmp_path / str(index)).mkdir()
        loop.run()
    assert torch.equal(weights(loops[0]), weights(loops[1]))
    assert not torch.equal(weights(loops[0]), weights(loops[2]))


@pytest.mark.parametrize("changes", [{"accumulation": 4}, {"batch_tokens": 10}], ids=str)
def test_accumulation_equals_the_big_batch(numbers, tmp_path, changes):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = numbers(tmp_path / "whole", dropout=0.0, optimizer="sgd")
    parts = numbers(tmp_path / "parts", dropout=0.0, optimizer="sgd", **changes)
    assert max(len(step.parts) for step in parts.reader.steps(0)) > 2
    whole.run()
    parts.run()
    assert torch.allclose(weights(whole), weights(parts), atol=1e-6)
    losses = [[line["loss"] for line in read_log(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_uneven_parts_weigh_by_their_samples(numbers, tmp_path):
    """55 rows by 8 leave a step of 7, which falls into parts of 4 and 3."""
    loop = numbers(tmp_path, rows=55, dropout=0.0, accumulation=2, optimizer="sgd")
    step = next(step for step in loop.reader.steps(0) if len(step.rows) == 7)
    assert len({len(part["label"]) for part in step.parts}) > 1
    whole = loop.recipe.collate(loop.recipe.features(loop.recipe.rows.fetch(step.rows)))
    loss = loop.recipe.loss(loop.model, whole, "model").total / len(step.rows)
    loss.backward()
    expected = [parameter.grad.clone() for parameter in loop.model.parameters()]
    loop.model.zero_grad()
    measured, _ = loop._forward_and_backward(step, float(len(step.rows)), "model")
    assert measured == pytest.approx(loss.item())
    for parameter, gradient in zip(loop.model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)


class DivergingRecipe:
    """Makes the recipe it is mixed into give an infinite loss at its tenth batch."""

    calls = 0

    def loss(self, model, batch, optimizer):
        self.calls += model.training
        loss = super().loss(model, batch, optimizer)
        return loss._replace(total=loss.total * float("inf")) if self.calls == 10 else loss


def test_an_infinite_loss_names_step_rate_and_rows_and_leaves_the_weights(numbers, number_recipe, tmp_path):
    class Recipe(DivergingRecipe, number_recipe):
        pass

    loop = numbers(tmp_path, recipe=Recipe)
    steps = list(loop.reader.steps(0))
    with pytest.raises(TrainingError, match=r"the loss is inf at step 10 with learning rate 0.0") as caught:
        loop.run()
    rows = ", ".join(str(row) for row in sorted(steps[9].rows))
    assert f"on the training rows {rows} (counted from 0)" in str(caught.value)
    assert all(torch.isfinite(parameter).all() for parameter in loop.model.parameters())
    assert len(list(read_log(tmp_path))) == 9


def test_the_best_weights_are_kept_not_the_last(numbers, number_recipe, tmp_path):
    class Worsening(number_recipe):
        values: ClassVar = [0.5, 0.9, 0.6, 0.7]

        def evaluate(self, model, rank, world_size):
            return {"loss": 1.0, "accuracy": self.values.pop(0)}

    loop = numbers(tmp_path, recipe=Worsening, epochs=4)
    position = loop.run()
    assert (position.best_step, position.best_metric) == (14, 0.9)
    best = loop.state.load_best(14)
    assert not torch.equal(best["embedding.weight"], loop.model.embedding.weight)
    assert [path.name for path in (tmp_path / "state").glob("best-*")] == ["best-00000014.safetensors"]


def test_patience_stops_training(numbers, number_recipe, tmp_path):
    class Stuck(number_recipe):
        def evaluate(self, model, rank, world_size):
            return {"loss": 1.0, "accuracy": 0.5}

    position = numbers(tmp_path, recipe=Stuck, epochs=9, patience=2).run()
    assert (position.stopped_by, position.step) == ("early stopping", 21)


def test_max_minutes_stops_training_and_measures(numbers, tmp_path):
    position = numbers(tmp_path, epochs=1000, max_minutes=1 / 600, save_every="1h").run()
    assert position.stopped_by == "max-minutes" and position.step < 7000
    assert "validation" in list(read_log(tmp_path))[-1]


def test_average_weights_are_measured_and_kept(numbers, tmp_path):
    loop = numbers(tmp_path, ema=0.9, eval_every="3steps", max_steps=6, epochs=None)
    position = loop.run()
    best = loop.state.load_best(position.best_step)
    assert not torch.equal(best["embedding.weight"], loop.model.embedding.weight)
    if position.best_step == 6:
        assert torch.equal(best["embedding.weight"], loop.average.averages[0])


def test_a_second_optimizer_steps_after_the_first(numbers, number_recipe, tmp_path):
    class TwoOptimizers(number_recipe):
        seen: ClassVar[list[str]] = []

        def optimizers(self, model):
            group = super().optimizers(model)["model"][0]
            halves = [[model.embedding.weight], [model.classifier.weight]]
            return {name: [type(group)(half, 0.05, 0.0)] for name, half in zip(("body", "head"), halves, strict=True)}

        def loss(self, model, batch, optimizer):
            self.seen.append(optimizer)
            return super().loss(model, batch, optimizer)

    numbers(tmp_path, recipe=TwoOptimizers, epochs=1).run()
    assert TwoOptimizers.seen[:4] == ["body", "head", "body", "head"]
    assert {"loss_body", "loss_head", "gradient_norm_head"} <= set(next(read_log(tmp_path)))
