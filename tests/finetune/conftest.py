"""A task small enough to train in a blink, for tests of the loop: is the sum of some numbers positive?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from quintet.finetune.optimization import parameter_groups
from quintet.finetune.recipe import BatchLoss
from quintet.finetune.settings import FinetuneSettings
from torch.nn import functional


class NumberRows:
    """``count`` rows of 1 to 8 whole numbers in 1..19, labelled by whether they are mostly above ten."""

    def __init__(self, count: int) -> None:
        generator = np.random.default_rng(0)
        self.numbers = [generator.integers(1, 20, size=generator.integers(1, 9)) for _ in range(count)]

    def __len__(self) -> int:
        return len(self.numbers)

    def fetch(self, indices: np.ndarray) -> Mapping[str, Sequence]:
        rows = [self.numbers[index] for index in indices]
        return {"numbers": rows, "label": [int(row.mean() > 10) for row in rows]}


class NumberModel(torch.nn.Module):
    """Mean of embeddings (batch, length, 8), dropout, linear: a classifier that ignores padding."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 8, padding_idx=0)
        self.dropout = torch.nn.Dropout(dropout)
        self.classifier = torch.nn.Linear(8, 2)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        present = (numbers > 0).unsqueeze(-1).float()
        mean = (self.embedding(numbers) * present).sum(1) / present.sum(1)
        return self.classifier(self.dropout(mean))


class NumberRecipe:
    """The recipe of this task; see `quintet.finetune.recipe.Recipe`."""

    metric, higher_is_better, has_validation = "accuracy", True, True

    def __init__(self, settings: FinetuneSettings, rows: NumberRows) -> None:
        self.settings, self.rows = settings, rows

    def features(self, rows):
        return [{"numbers": numbers, "label": label} for numbers, label in zip(rows["numbers"], rows["label"], strict=True)]

    def length(self, features):
        return len(features["numbers"])

    def collate(self, features):
        numbers = [torch.as_tensor(sample["numbers"]) for sample in features]
        padded = torch.nn.utils.rnn.pad_sequence(numbers, batch_first=True)
        return {"numbers": padded, "label": torch.tensor([sample["label"] for sample in features])}

    def count(self, batch):
        return float(len(batch["label"]))

    def loss(self, model, batch, optimizer):
        logits = model(batch["numbers"])
        total = functional.cross_entropy(logits, batch["label"], reduction="sum")
        return BatchLoss(total, {"accuracy": (logits.argmax(-1) == batch["label"]).sum()})

    def optimizers(self, model):
        return {"model": parameter_groups(model, self.settings)}

    def evaluate(self, model, rank, world_size):
        batch = self.collate(self.features(self.rows.fetch(np.arange(len(self.rows)))))
        with torch.no_grad():
            loss, sums = self.loss(model, batch, "model")
        return {"loss": float(loss) / len(self.rows), "accuracy": float(sums["accuracy"]) / len(self.rows)}


@pytest.fixture
def numbers():
    """(settings, loop) of a run over the number task; ``numbers(output, **settings)``."""
    from accelerate import Accelerator
    from quintet.finetune.loop import Loop
    from quintet.finetune.plan import Plan
    from quintet.finetune.progress import Silence
    from quintet.finetune.step_reader import StepReader
    from quintet.finetune.training_state import StateFolder

    def make(output, *, dropout: float = 0.1, rows: int = 50, recipe=NumberRecipe, model=None, **changes) -> Loop:
        given = {"batch_size": 8, "learning_rate": 0.05, "weight_decay": 0.01, "epochs": 3, "save_every": "1steps"}
        settings = FinetuneSettings(task="numbers", model="m", dataset="d", output=str(output), **{**given, **changes})
        torch.manual_seed(settings.seed)
        model = model or NumberModel(dropout)
        data = NumberRows(rows)
        steps = settings.max_steps or settings.epochs * -(-rows // settings.batch_size)
        plan = Plan(rows, settings.batch_size, steps, settings.seed)
        task = recipe(settings, data)
        reader = StepReader(
            task, data, plan, accumulation=settings.accumulation, batch_tokens=settings.batch_tokens
        )
        state = StateFolder(output, {"seed": settings.seed})
        return Loop(model, task, reader, plan, settings, Accelerator(cpu=True), state, Silence())

    return make


@pytest.fixture
def number_recipe() -> type[NumberRecipe]:
    """The recipe class, to derive others from."""
    return NumberRecipe
