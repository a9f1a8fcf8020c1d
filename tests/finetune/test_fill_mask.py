"""Training for masked words as a user has it: trained, measured, loaded elsewhere, gone on with for other tasks."""

import json
import math
import random

import numpy as np
import peft
import pytest
import quintet
import torch
import transformers
from quintet.cards.facts import read_facts
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.fill_mask import FillMaskRecipe
from quintet.finetune.mask_answers import DIRECTIONS, TextScore, judged, mask_metrics
from quintet.finetune.masking import Masking, measuring_generator
from quintet.finetune.settings import FinetuneSettings
from quintet.finetune.step_log import read_log
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.models.shapes import IGNORED
from quintet.pipelines.tasks import find_task
from safetensors.torch import load_file

SIZES = {"hidden_size": 32, "layers": 1, "heads": 2, "feed_forward_size": 64, "dropout": 0}
SETTINGS = {"model_args": SIZES, "vocab_size": 340, "max_length": 24, "batch_size": 16, "learning_rate": 1e-2}
HOMES = {"cat": "barn", "dog": "yard", "fish": "pond", "bird": "tree"}


def texts(count, seed=0):
    """Sentences in which each word follows from the others, save for a number."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        animal = draw.choice(sorted(HOMES))
        rows.append({"text": f"The {animal} lives in the {HOMES[animal]}, says {draw.choice('abc')}{seed}{number}."})
    return rows


DATA = {"train": texts(150), "validation": texts(40, seed=1), "test": texts(30, seed=2)}


def train(folder, **settings):
    given = {"model": "bert-tiny", "dataset": DATA, "output": folder, "epochs": 10, **SETTINGS, **settings}
    return finetune("fill-mask", **given)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks") / "homes"
    train(folder)
    return folder


@pytest.fixture(scope="module")
def bert_without_head(tmp_path_factory):
    """A folder with a random BERT that has neither a head nor a padding to the right, and a mask token."""
    folder = tmp_path_factory.mktemp("bases") / "base"
    tokenizer = train_tokenizer((row["text"] for row in DATA["train"]), "masked-bpe", 340, 24)
    config = transformers.BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=24,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save(folder)
    return folder


def recipe_of(tmp_path, **settings):
    task = find_task("fill-mask")
    data = load_data(DATA, task=task)
    given = {"model": "bert-tiny", **SETTINGS, **settings}
    chosen = FinetuneSettings(task="fill-mask", dataset="d", output=str(tmp_path), **given)
    return FillMaskRecipe.start(task, chosen, data, tmp_path)


# --------------------------------------------------------------------------------------- trained and measured


def test_it_learns_what_stands_behind_a_mask(checkpoint):
    facts = read_facts(checkpoint)
    assert (facts.task, facts.problem_type, facts.family) == ("fill-mask", "language_modelling", "bert-tiny")
    assert facts.training.metric == "perplexity" and not facts.labels
    test = facts.evaluations[-1]
    assert [one.split for one in facts.evaluations] == ["validation", "test"]
    assert {metric.name: metric.higher_is_better for metric in test.metrics} == DIRECTIONS
    (rule,) = test.baselines
    assert rule.name == "most frequent tokens" and "the most frequent of the training split" in rule.description
    ours, free = ({metric.name: metric.value for metric in each.metrics} for each in (test, rule))
    assert ours["perplexity"] < 0.5 * free["perplexity"] and ours["accuracy"] > 2 * free["accuracy"]
    assert ours["perplexity"] == pytest.approx(math.exp(ours["loss"]))
    assert all(metric.low < metric.value < metric.high for metric in test.metrics)
    assert test.protocol["masks"].startswith("15% of the tokens of each text") and test.protocol["seed"] == 0


def test_the_checkpoint_fills_masks_here_and_in_plain_transformers(checkpoint):
    text = "The dog lives in the [MASK]."
    ours = quintet.pipeline("fill-mask", str(checkpoint))(text)
    assert ours[0]["token_str"] in HOMES.values()
    assert ours[0]["sequence"] == f"the dog lives in the {ours[0]['token_str']} ."
    theirs = transformers.pipeline("fill-mask", str(checkpoint), device="cpu")(text)
    assert [each["token_str"] for each in ours] == [each["token_str"] for each in theirs]
    assert [each["score"] for each in ours] == pytest.approx([each["score"] for each in theirs], abs=1e-5)
    config = json.loads((checkpoint / "tokenizer_config.json").read_text())
    assert config["mask_token"] == "[MASK]" and "id2label" not in json.loads((checkpoint / "config.json").read_text())


@pytest.mark.parametrize(
    ("text", "word"), [("The cat lives (in the barn).", "in"), ("The cat lives in the barn.", "barn")]
)
def test_a_mask_is_read_with_what_stands_beside_it_as_a_word_is(checkpoint, text, word):
    tokenizer = quintet.pipeline("fill-mask", str(checkpoint)).tokenizer
    whole, masked = (each.input_ids for each in tokenizer.encode([text, text.replace(word, "[MASK]")]))
    place = masked.index(tokenizer.mask_id)
    assert [*masked[:place], whole[place], *masked[place + 1 :]] == whole


def test_measuring_again_gives_the_same_numbers_whatever_the_order(checkpoint, tmp_path):
    recorded = read_facts(checkpoint).evaluations[1]
    facts = quintet.evaluate(checkpoint, dataset=DATA["test"][::-1], output=tmp_path)
    values, before = ({metric.name: metric for metric in one.metrics} for one in (facts, recorded))
    for name, metric in values.items():
        for end in ("value", "low", "high"):
            assert getattr(metric, end) == pytest.approx(getattr(before[name], end), rel=1e-6)
    assert {(each.label, each.prediction) for each in facts.mistakes} == {
        (each.label, each.prediction) for each in recorded.mistakes
    }
    other = quintet.evaluate(checkpoint, dataset=DATA["test"], output=tmp_path, seed=5)
    assert other.metrics[0].value != recorded.metrics[0].value  # other masks


def test_mistakes_show_the_words_around_the_mask(checkpoint):
    mistakes = read_facts(checkpoint).evaluations[1].mistakes
    assert mistakes and [each.confidence for each in mistakes] == sorted(
        (each.confidence for each in mistakes), reverse=True
    )
    for each in mistakes:
        assert each.text.count("[MASK]") == 1 and each.label != each.prediction
        whole = DATA["test"][each.row - 1]["text"].lower().replace(" ", "")
        assert each.text.replace("[MASK]", each.label).replace(" ", "") == whole


def test_the_judgement_is_that_of_the_plain_model(checkpoint):
    """An oracle: every masked text through transformers, one by one."""
    pipe = quintet.pipeline("fill-mask", str(checkpoint))
    model = transformers.AutoModelForMaskedLM.from_pretrained(checkpoint).eval()
    masking, rows = Masking.of(pipe.tokenizer), [row["text"] for row in DATA["test"]]
    for text, found in zip(rows, judged(pipe, rows), strict=True):
        ids = pipe.tokenizer.encode([text])[0].input_ids
        places = 1 + masking.places(np.asarray(ids[1:-1]), measuring_generator(0, ids[1:-1]))
        masked = torch.tensor([ids])
        masked[0, places] = masking.mask_id
        with torch.no_grad():
            logits = model(masked).logits[0, places]
        right = torch.tensor([ids[place] for place in places])
        losses = torch.nn.functional.cross_entropy(logits, right, reduction="sum")
        order = logits.argsort(-1, descending=True)
        five = int((order[:, :5] == right[:, None]).any(-1).sum())
        assert found.score == TextScore(
            len(places), pytest.approx(float(losses), abs=1e-4), int((order[:, 0] == right).sum()), five
        )


def test_a_long_text_is_measured_in_parts_that_leave_nothing_out(checkpoint):
    pipe = quintet.pipeline("fill-mask", str(checkpoint))
    long = " ".join(row["text"] for row in DATA["test"])
    (found,) = judged(pipe, [long])
    assert len(found.parts) > 5
    ids = []
    for part in found.parts:
        restored = list(part.part.encoded.input_ids)
        assert len(restored) <= 24
        for place, word in zip(part.part.places, part.part.words, strict=True):
            assert restored[place] == pipe.mask_id
            restored[place] = word
        ids += restored[1:-1]
    assert ids == pipe.tokenizer.encode([long])[0].input_ids[1:-1]


def test_metrics_are_sums_over_all_masks_with_intervals_over_texts():
    scores = [TextScore(2, 1.0, 1, 2), TextScore(1, 4.0, 0, 0), TextScore(0, 0.0, 0, 0)]
    values = {metric.name: metric.value for metric in mask_metrics(scores, bootstrap=0)}
    assert values == pytest.approx(
        {"perplexity": math.exp(5 / 3), "accuracy": 1 / 3, "accuracy@5": 2 / 3, "loss": 5 / 3}
    )
    generator = np.random.default_rng(3)
    drawn = generator.integers(0, 3, size=(400, 3))
    sums = np.asarray(scores, dtype=float)[drawn].sum(1)
    sums = sums[sums[:, 0] > 0]  # a resample may have nothing but the text without a mask
    losses = sums[:, 1] / sums[:, 0]
    loss = next(metric for metric in mask_metrics(scores, bootstrap=400, seed=3) if metric.name == "loss")
    assert (loss.low, loss.high) == pytest.approx(tuple(np.quantile(losses, [0.025, 0.975])))
    with pytest.raises(DataError, match="no text of the split has a token that can be masked"):
        mask_metrics([TextScore(0, 0.0, 0, 0)])


# --------------------------------------------------------------------------------------- the recipe


def test_samples_are_masked_anew_each_epoch_and_alike_in_every_process(tmp_path):
    recipe = recipe_of(tmp_path)
    rows = np.arange(20)
    features = recipe.features(recipe.rows.fetch(rows))
    kept = [sample["input_ids"].copy() for sample in features]
    first, again, later = (recipe.vary(features, epoch, rows) for epoch in (0, 0, 1))
    share = recipe.vary(features[1::2], 0, rows[1::2])  # what another process computes
    for row, sample in enumerate(first):
        assert (again[row]["input_ids"] == sample["input_ids"]).all()
        is_target = sample["target"] != IGNORED
        assert is_target.any() and (sample["target"][is_target] == kept[row][is_target]).all()
        assert (sample["input_ids"][~is_target] == kept[row][~is_target]).all()
        assert (features[row]["input_ids"] == kept[row]).all()  # they are cached for the next epoch
    assert all((one["target"] == other["target"]).all() for one, other in zip(share, first[1::2], strict=True))
    assert any((one["target"] != other["target"]).any() for one, other in zip(first, later, strict=True))


@pytest.mark.parametrize("has_separate_head", [True, False])
def test_the_loss_is_that_of_the_masked_tokens_only(tmp_path, has_separate_head):
    recipe = recipe_of(tmp_path)
    assert recipe.has_separate_head
    recipe.has_separate_head = has_separate_head
    rows = np.arange(8)
    batch = recipe.collate(recipe.vary(recipe.features(recipe.rows.fetch(rows)), 0, rows))
    recipe.model.eval()
    with torch.no_grad():
        total, sums = recipe.loss(recipe.model, batch, "model")
        inputs = {name: batch[name] for name in batch if name != "targets"}
        expected = recipe.model(**inputs, labels=batch["targets"]).loss * recipe.count(batch)
    assert float(total) == pytest.approx(float(expected), rel=1e-5)
    assert 0 <= float(sums["accuracy"]) <= 8


def test_long_texts_give_several_rows_and_whole_words_are_masked(tmp_path):
    recipe = recipe_of(tmp_path, max_length=9, mask_words=True, mask_share=0.4)
    assert len(recipe.rows) >= 300 and max(map(len, recipe.rows.fetch(np.arange(300))["input_ids"])) <= 7
    rows = np.arange(200)
    broken = 0
    fetched = recipe.rows.fetch(rows)
    assert not all(is_start.all() for is_start in fetched["is_start"])
    for sample, is_start in zip(recipe.vary(recipe.features(fetched), 0, rows), fetched["is_start"], strict=True):
        assert (sample["is_start"][2:-1] == is_start[1:]).all()  # behind [CLS] and the first token
        masked = sample["target"] != IGNORED
        words = np.cumsum(sample["is_start"])
        broken += sum(not masked[words == word].all() for word in np.unique(words[masked]))
    assert broken == 0
    batch = recipe.collate(recipe.vary(recipe.features(recipe.rows.fetch(rows[:4])), 0, rows[:4]))
    assert set(batch) <= {"input_ids", "attention_mask", "token_type_ids", "targets"}


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    whole = train(tmp_path / "whole", epochs=3, save_every="1steps", model_args={**SIZES, "dropout": 0.1})
    from quintet.finetune.loop import Loop

    run = Loop.run

    def stopped(self, steps=None):
        run(self, 13)  # in the middle of the second epoch
        raise KeyboardInterrupt

    given = {"epochs": 3, "save_every": "1steps", "model_args": {**SIZES, "dropout": 0.1}}
    monkeypatch.setattr(Loop, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", **given)
    monkeypatch.setattr(Loop, "run", run)
    parts = train(tmp_path / "parts", resume=True, **given)
    assert parts.training.resumes == 1 and parts.weights_sha256 == whole.weights_sha256
    logs = [[line["loss"] for line in read_log(tmp_path / name)] for name in ("whole", "parts")]
    assert logs[0] == logs[1] and len(logs[0]) == 30


# --------------------------------------------------------------------------------------- pretrained


def test_a_body_without_a_head_gets_one_and_is_trained_further(bert_without_head, tmp_path):
    facts = train(tmp_path / "out", model=str(bert_without_head), model_args={}, vocab_size=None, epochs=4)
    assert (facts.family, facts.base_model, facts.training.metric) == ("bert", "base", "perplexity")
    losses = [line["loss"] for line in read_log(tmp_path / "out")]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert quintet.pipeline("fill-mask", str(tmp_path / "out"))("The [MASK] lives in the pond.")[0]["score"] > 0


@pytest.mark.parametrize("way", ["freeze", "lora"])
def test_parts_of_a_pretrained_model_can_be_trained(checkpoint, tmp_path, way):
    facts = train(tmp_path / "out", model=str(checkpoint), model_args={}, vocab_size=None, epochs=1, **{way: True})
    assert facts.trainable_parameters < 0.5 * facts.parameters
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoint, tmp_path / "out"))
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(before[name], after[name]) == (way == "freeze")
    assert torch.equal(
        before["bert.embeddings.word_embeddings.weight"], after["bert.embeddings.word_embeddings.weight"]
    )


def test_low_rank_additions_train_a_new_head_whole(bert_without_head, tmp_path):
    facts = train(
        tmp_path / "out",
        model=str(bert_without_head),
        model_args={},
        vocab_size=None,
        epochs=8,
        lora=True,
        keep_adapter=True,
    )
    torch.manual_seed(facts.seed)
    drawn = transformers.AutoModelForMaskedLM.from_pretrained(bert_without_head)
    trained = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    before, after = drawn.state_dict(), trained.state_dict()
    head = [name for name in before if name.startswith("cls.") and name != "cls.predictions.decoder.weight"]
    assert len(head) == 6
    assert not any(torch.equal(before[name], after[name]) for name in head)
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(before[words], after[words])  # the body changes by additions alone
    assert torch.equal(after[words], after["cls.predictions.decoder.weight"])

    adapted = peft.PeftModel.from_pretrained(drawn, tmp_path / "out" / "adapter").eval()
    ids = torch.tensor([[2, 20, 30, 40, 3]])
    torch.testing.assert_close(adapted(input_ids=ids).logits, trained(input_ids=ids).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", ["sentiment", "ner"])
def test_other_tasks_start_from_the_trained_body(checkpoint, tmp_path, task):
    """With the body frozen: what is exported beside the new head is what was learnt from masked words."""
    rows = [{"text": row["text"], "label": ("wet", "dry")["fish" not in row["text"]]} for row in DATA["train"]]
    if task == "ner":
        rows = [
            {"tokens": (words := row["text"].split()), "tags": ["B-HOME" if "," in word else "O" for word in words]}
            for row in rows
        ]
    facts = finetune(
        task, model=str(checkpoint), dataset=rows, output=tmp_path / "out", freeze=True, epochs=1, learning_rate=1e-2
    )
    assert facts.base_model == "homes" and facts.family == "bert"
    before, after = (load_file(folder / "model.safetensors") for folder in (checkpoint, tmp_path / "out"))
    body = [name for name in before if name.startswith("bert.")]
    assert len(body) > 15 and all(torch.equal(before[name], after[name]) for name in body)
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (checkpoint / "tokenizer.json").read_bytes()


# --------------------------------------------------------------------------------------- what is wrong


def test_a_checkpoint_without_a_mask_token_is_refused(tiny_bert, tmp_path):
    with pytest.raises(UsageError, match=r"the tokenizer of 'tiny-bert' has no mask token, so masked words cannot be"):
        train(tmp_path / "out", model=str(tiny_bert), model_args={}, vocab_size=None)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_cannot_be_is_refused(tmp_path, share):
    with pytest.raises(UsageError, match=rf"--mask-share {share} must be above 0 and below 1"):
        train(tmp_path / "out", mask_share=share)


def test_settings_of_other_tasks_are_refused_by_name(tmp_path, reviews, tiny):
    with pytest.raises(UsageError, match="--teacher means nothing to fill-mask; leave it out"):
        train(tmp_path / "out", teacher="bert-mini")
    with pytest.raises(UsageError, match=r"--mask-words means nothing to text-classification; .* It is for fill-mask"):
        finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny, mask_words=True)


def test_texts_without_a_word_are_refused(tmp_path):
    with pytest.raises(DataError, match="column 'text' is missing or empty"):
        train(tmp_path / "out", dataset=[{"text": " "}, {"text": ""}])


def test_texts_of_a_single_token_can_be_learnt(tmp_path):
    words = [{"text": word} for word in ("cat", "dog", "barn", "yard") for _ in range(8)]
    facts = train(tmp_path / "out", dataset={"train": words, "validation": words[::8]}, epochs=1)
    assert facts.evaluations[0].notes[0] == "4 tokens were masked"
