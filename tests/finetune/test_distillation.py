"""Teachers: the losses by hand, altered texts, and logits that are computed once."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quintet.finetune.distillation import (
    AlteredRows,
    LabelledRows,
    altered_text,
    distillation_losses,
    order_of_labels,
    teacher_logits,
)
from quintet.finetune.settings import ALTERATIONS, FinetuneSettings
from quintet.finetune.text_classification import TextClassificationRecipe
from quintet.pipelines.errors import UsageError


def settings(**changes) -> FinetuneSettings:
    return FinetuneSettings(task="t", model="m", dataset="d", output="o", **changes)


class Texts:
    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def fetch(self, indices):
        return {"text": [self.texts[index] for index in indices], "label": [int(index) for index in indices]}


def test_squared_error_is_averaged_over_classes():
    student, teacher = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    assert distillation_losses(student, teacher, settings()).tolist() == [(1 + 4) / 2, 4 / 2]


def test_divergence_is_that_of_softened_probabilities_times_the_squared_temperature():
    student, teacher = torch.tensor([[1.0, -1.0]]), torch.tensor([[3.0, 1.0]])
    given = settings(teacher_loss="kl", teacher_temperature=2.0)
    assert float(distillation_losses(student, teacher, given)) == pytest.approx(0.0, abs=1e-7)  # equal differences
    teacher = torch.tensor([[4.0, 0.0]])
    p, q = (np.exp([x / 2, 0]) / np.exp([x / 2, 0]).sum() for x in (4, 2))
    expected = 4 * float((p * np.log(p / q)).sum())
    assert float(distillation_losses(student, teacher, given)) == pytest.approx(expected, rel=1e-5)


def test_each_way_of_altering_does_what_it_says():
    text, other = "one two three four five six", "uno dos tres quatro"
    for seed in range(20):
        masked = altered_text(text, other, ["mask"], "#", (seed,)).split()
        assert len(masked) == 6 and masked.count("#") >= 1 and set(masked) <= {*text.split(), "#"}
        part = altered_text(text, other, ["ngram"], "#", (seed,))
        assert part in text and 1 <= len(part.split()) <= 5
        replaced = altered_text(text, other, ["replace"], "#", (seed,)).split()
        assert len(replaced) == 6 and any(word in other.split() for word in replaced)
        spliced = altered_text(text, other, ["splice"], "#", (seed,))
        cut = next(end for end in range(6, 0, -1) if spliced.startswith(" ".join(text.split()[:end])))
        assert other.endswith(" ".join(spliced.split()[cut:])) and spliced.endswith("quatro")


def test_texts_without_spaces_are_altered_by_characters():
    text = "这家餐厅的菜非常好吃而且服务员很热情我们还会再来的强烈推荐给大家"
    altered = altered_text(text, "房间又脏又吵", ["replace"], "", (1,))
    assert len(altered) == len(text) and altered != text and " " not in altered


def test_copies_are_the_same_whenever_and_with_whatever_they_are_fetched():
    rows = AlteredRows(Texts([f"a{index} b c d e f" for index in range(10)]), 3, ALTERATIONS, "#", seed=5)
    assert len(rows) == 40
    together = rows.fetch(np.arange(40))
    assert together["text"][:10] == rows.rows.texts
    assert together["label"] == [index % 10 for index in range(40)]
    assert together["altered"] == [False] * 10 + [True] * 30
    alone = [rows.fetch(np.array([index]))["text"][0] for index in reversed(range(40))]
    assert alone[::-1] == together["text"]
    assert len(set(together["text"][10:])) > 25
    other = AlteredRows(rows.rows, 3, ALTERATIONS, "#", seed=6).fetch(np.arange(40))
    assert other["text"] != together["text"]


def test_logits_are_computed_once_and_go_on_where_they_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("quintet.finetune.distillation.BLOCK_ROWS", 4)
    rows, calls = Texts([str(index) for index in range(10)]), []

    def label(columns, fail_at=None):
        calls.append(len(columns["text"]))
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        return [np.array([float(text), 0.0]) for text in columns["text"]]

    with pytest.raises(KeyboardInterrupt):
        teacher_logits(rows, 2, lambda columns: label(columns, 2), tmp_path / "t.npy")
    logits = teacher_logits(rows, 2, label, tmp_path / "t.npy")
    assert calls == [4, 4, 4, 2]  # the first block is not done again
    assert logits[:, 0].tolist() == list(range(10))
    teacher_logits(rows, 2, label, tmp_path / "t.npy")
    assert len(calls) == 4
    assert LabelledRows(rows, logits).fetch(np.array([7, 2]))["teacher"][0].tolist() == [7.0, 0.0]


def test_labels_of_the_teacher_are_matched_by_name():
    assert order_of_labels(["a", "b", "c"], ["c", "a", "b"], "x") == [2, 0, 1]


@pytest.mark.parametrize(
    ("teacher", "data", "way_out"),
    [
        (["a", "b"], ["0", "1"], "If 0 is a, 1 is b, give --label-names a,b; else a teacher that was trained on the"),
        (["Good", "Bad"], ["bad", "good"], "Give --label-names Good,Bad$"),
        (["down", "up"], ["bad", "good"], "Give a teacher that was trained on the labels of the data set, or rename"),
        (["a", "b"], ["a", "b", "c"], "Give a teacher that was trained on the labels of the data set, or rename"),
    ],
)
def test_other_labels_than_the_teachers_are_told_with_what_helps(teacher, data, way_out):
    said = f"--teacher x answers with the labels {', '.join(teacher)}, but the data set has {', '.join(data)}; "
    with pytest.raises(UsageError, match=f"{said}they must be the same. {way_out}"):
        order_of_labels(teacher, data, "x")


class Answers(torch.nn.Module):
    """Gives the logits that it was told, whatever it is asked."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, **inputs):
        return SimpleNamespace(logits=self.logits)


def loss_of(logits, batch, *, class_weights=None, **changes):
    """The recipe's loss, and the rows it counts, of a batch of single labels."""
    recipe = TextClassificationRecipe.__new__(TextClassificationRecipe)
    recipe.settings, recipe.problem_type, recipe.class_weights = (
        settings(teacher="t", **changes),
        "single_label_classification",
        class_weights,
    )
    return recipe.loss(Answers(logits), batch, "model"), recipe.count(batch)


@pytest.fixture
def batch():
    """A text with the label 0, and an altered copy of it, which the teacher takes for 1."""
    return {
        "input_ids": torch.zeros(2, 1),
        "targets": torch.tensor([0, 0]),
        "teacher": torch.tensor([[2.0, 0.0], [0.0, 2.0]]),
        "altered": torch.tensor([0.0, 1.0]),
    }


def test_of_an_altered_text_only_the_teachers_scores_count(batch):
    logits = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    label, near, far = float(np.log1p(np.exp(-1))), 1 / 2, (1 + 4) / 2
    for share in (0.0, 0.25, 1.0):
        (total, _), _ = loss_of(logits, batch, teacher_weight=share)
        assert total.item() == pytest.approx((1 - share) * label + share * near + far, rel=1e-6)


def test_the_label_of_the_unaltered_text_does_not_weigh_the_altered_one(batch):
    _, rows = loss_of(torch.zeros(2, 2), batch, class_weights=torch.tensor([3.0, 0.5]))
    assert rows == 3.0 + 1.0


def test_the_accuracy_on_an_altered_text_is_agreement_with_the_teacher(batch):
    for second, right in (([0.0, 1.0], 2), ([1.0, 0.0], 1)):
        (_, metrics), _ = loss_of(torch.tensor([[1.0, 0.0], second]), batch)
        assert int(metrics["accuracy"]) == right
