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
    is_divisible = True

    def __init__(self, settings: FinetuneSettings, rows: NumberRows) -> None:
        self.settings, self.rows = settings, rows

    def features(self, rows):
        return [
            {"numbers": numbers, "label": label} for numbers, label in zip(rows["numbers"], rows["label"], strict=True)
        ]

    def vary(self, features, epoch, rows):
        return features

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
        reader = StepReader(task, data, plan, accumulation=settings.accumulation, batch_tokens=settings.batch_tokens)
        state = StateFolder(output, {"seed": settings.seed})
        return Loop(model, task, reader, plan, settings, Accelerator(cpu=True), state, Silence())

    return make


@pytest.fixture
def number_recipe() -> type[NumberRecipe]:
    """The recipe class, to derive others from."""
    return NumberRecipe


def review_rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Made-up reviews of 3 to 12 words with the labels good and bad; the words tell, some of the time both ways."""
    generator = np.random.default_rng(seed)
    words = {"good": ["great", "lovely", "warm", "fine"], "bad": ["awful", "dull", "cold", "bland"]}
    rows = []
    for index in range(count):
        label = ("good", "bad")[index % 2]
        fill = generator.choice(["the", "film", "meal", "room", "was", "and", "very"], size=generator.integers(2, 11))
        text = [*fill, generator.choice(words[label]), f"n{generator.integers(40)}"]
        rows.append({"text": " ".join(text), "label": label})
    return rows


@pytest.fixture
def reviews(tmp_path):
    """A file reviews.csv of 120 rows."""
    path = tmp_path / "reviews.csv"
    lines = [f"{row['text']},{row['label']}" for row in review_rows(120)]
    path.write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def tiny():
    """Settings of a model that trains in a second."""
    return {
        "model": "textcnn",
        "model_args": {"embedding_size": 8, "filters": 4, "kernel_sizes": "2-3", "dropout": 0.1},
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 0.01,
        "device": "cpu",
    }


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A folder with a random BERT of two layers and its tokenizer, without a classification head."""
    from quintet.finetune.tokenizer_training import train_tokenizer
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-bert"
    tokenizer = train_tokenizer((row["text"] for row in review_rows(200)), "byte-bpe", 300, 64, has_token_types=True)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_id,
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    tokenizer.save(folder)
    return folder
