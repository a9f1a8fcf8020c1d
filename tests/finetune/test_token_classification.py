"""Token classification as a user has it: trained, measured, carded, published in part, loaded again."""

import json
import random

import pytest
import quintet
import torch
from quintet.cards.facts import read_facts
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.settings import FinetuneSettings
from quintet.finetune.token_classification import IGNORED, TokenClassificationRecipe
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task
from transformers import AutoModelForTokenClassification, AutoTokenizer

NAMES = ["Jim", "Ann", "Zoë", "Bob", "Eve", "Kim"]
PLACES = ["Rome", "Oslo", "Lima", "Bonn"]
SIZES = {
    "bilstm-crf": "word_size=12,byte_size=8,filters=12,hidden_size=12,dropout=0",
    "transformer": "hidden_size=32,layers=1,heads=2,feed_forward_size=32,dropout=0",
    "bert-tiny": "hidden_size=32,layers=1,heads=2,feed_forward_size=32,dropout=0",
}


def sentences(count, seed=0):
    """Sentences with names and places, each with a number of its own."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        name, place = draw.choice(NAMES), draw.choice(PLACES)
        words = draw.choice(
            [
                f"{name}/B-PER Smith/I-PER lives/O in/O {place}/B-LOC ./O",
                f"Yesterday/O {name}/B-PER slept/O",
                f"{place}/B-LOC is/O far/O ./O",
                f"It/O rains/O in/O {place}/B-LOC",
            ]
        )
        pairs = [word.split("/") for word in f"{words} on/O {seed}{number}/O".split()]
        rows.append({"tokens": [word for word, _ in pairs], "tags": [tag for _, tag in pairs]})
    return rows


def arguments(family):
    return dict(pair.split("=") for pair in SIZES[family].split(","))


def train(folder, family="bilstm-crf", **settings):
    rows = {"train": sentences(120), "validation": sentences(40, seed=1), "test": sentences(30, seed=2)}
    options = {
        "epochs": 12,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "vocab_size": 400 if family != "bilstm-crf" else None,
    }
    return finetune(
        "ner", model=family, dataset=rows, output=folder, model_args=arguments(family), **{**options, **settings}
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ner") / "names"
    train(folder)
    return folder


@pytest.mark.parametrize("family", ["transformer", "bert-tiny"])
def test_other_families_learn_it_too(tmp_path, family):
    facts = train(tmp_path / "out", family, epochs=6)
    assert facts.evaluations[-1].metric("f1").value > 0.9
    assert facts.family == family


def test_facts_of_a_tagger(checkpoint):
    facts = read_facts(checkpoint)
    assert facts.task == "token-classification" and facts.problem_type == "tagging"
    assert facts.labels == ("O", "B-LOC", "B-PER", "I-PER")
    assert [one.split for one in facts.evaluations] == ["validation", "test"]
    test = facts.evaluations[1]
    assert test.metrics[0].name == "f1" and test.metrics[0].value > 0.95
    assert {row.label for row in test.per_class} == {"LOC", "PER"}
    assert [one.name for one in test.baselines] == ["most frequent tag", "most frequent tag of the word"]
    assert test.baselines[0].metrics[0].value == 0.0 < test.baselines[1].metrics[0].value
    assert facts.training is not None and facts.training.metric == "f1"
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["task"] == "token-classification" and config["words"] < 40


def test_the_checkpoint_finds_entities_in_plain_text(checkpoint):
    ner = quintet.pipeline(model=str(checkpoint), aggregation_strategy="simple")
    text = "Yesterday Zoë slept. Rome is far."
    found = ner(text)
    assert [(entity["entity_group"], text[entity["start"] : entity["end"]]) for entity in found] == [
        ("PER", "Zoë"),
        ("LOC", "Rome"),
    ]
    assert all(entity["score"] > 0.5 for entity in found)


def test_plain_transformers_reads_it_with_the_same_logits(checkpoint):

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForTokenClassification.from_pretrained(checkpoint, trust_remote_code=True)
    light = load_checkpoint(checkpoint)
    text = "Ann lives in Lima."
    batch = tokenizer(text, return_tensors="pt")
    ids = light.tokenizer.encode([text])[0].input_ids
    assert batch["input_ids"][0].tolist() == ids and light.light
    torch.testing.assert_close(model(**batch).logits, light.model(torch.tensor([ids])), atol=1e-5, rtol=0)


def test_evaluating_the_same_rows_gives_the_same_numbers(checkpoint):
    recorded = read_facts(checkpoint).evaluations[1]
    facts = quintet.evaluate(checkpoint, dataset=sentences(30, seed=2), output=checkpoint.parent / "again")
    assert facts.metrics == recorded.metrics and facts.fingerprint == recorded.fingerprint
    assert (checkpoint.parent / "again" / "confusion.png").is_file()
    with pytest.raises(UsageError, match="was trained on 120 of the 120 rows"):
        quintet.evaluate(checkpoint, dataset=sentences(120))


def test_other_tags_can_be_mapped(checkpoint, tmp_path):
    other = [
        {"tokens": row["tokens"], "tags": [tag.replace("PER", "person").replace("LOC", "place") for tag in row["tags"]]}
        for row in sentences(30, seed=2)
    ]
    with pytest.raises(DataError, match=r"they have none in common\. Say which mean the same with --label-map"):
        quintet.evaluate(checkpoint, dataset=other, output=tmp_path)
    mapping = {"B-person": "B-PER", "I-person": "I-PER", "B-place": "B-LOC"}
    facts = quintet.evaluate(checkpoint, dataset=other, output=tmp_path, label_map=mapping)
    recorded = read_facts(checkpoint).evaluations[1]
    assert {fact.name: fact.value for fact in facts.metrics} == {fact.name: fact.value for fact in recorded.metrics}


def test_targets_stand_at_the_first_token_of_each_word(tmp_path):
    task = find_task("ner")
    data = load_data({"train": sentences(20), "validation": sentences(5, seed=1)}, task=task)
    settings = FinetuneSettings(
        task="ner", model="bilstm-crf", dataset="d", output=str(tmp_path), model_args=arguments("bilstm-crf")
    )
    recipe = TokenClassificationRecipe.start(task, settings, data, tmp_path)
    rows = {"tokens": [["Zoë", "Smith-Jones", "a.b"]], "tags": [[2, 3, 0]]}
    (features,) = recipe.features(rows)
    text = bytes(int(token) - 4 for token in features["input_ids"]).decode()
    assert text == " Zoë Smith-Jones a . b"
    tagged = {place: int(tag) for place, tag in enumerate(features["target"]) if tag != IGNORED}
    first = [0, len(" Zoë".encode()), len(" Zoë Smith-Jones".encode())]
    assert tagged == dict(zip(first, [2, 3, 0], strict=True))
    batch = recipe.collate([features, recipe.features({"tokens": [["x"]], "tags": [[0]]})[0]])
    assert batch["targets"].shape == batch["input_ids"].shape
    assert recipe.count(batch) == 4.0


def test_one_step_lowers_the_loss_and_eight_rows_can_be_learnt_by_heart(tmp_path):
    rows = sentences(8, seed=5)
    facts = finetune(
        "ner",
        model="bilstm-crf",
        dataset={"train": rows, "validation": rows},
        output=tmp_path / "out",
        model_args=arguments("bilstm-crf"),
        epochs=40,
        batch_size=8,
        learning_rate=2e-2,
    )
    assert facts.evaluations[0].metric("f1").value == 1.0


def test_a_family_for_other_tasks_is_refused():
    with pytest.raises(
        UsageError, match="model family textcnn is for text-classification, not for token-classification"
    ):
        finetune("ner", model="textcnn", dataset=sentences(20), output="out")


def test_known_words_can_start_from_pretrained_vectors(tmp_path, checkpoint):
    """Any checkpoint with input embeddings will do."""
    train(tmp_path / "bert", "bert-tiny", epochs=1)
    facts = train(tmp_path / "out", epochs=1, embeddings_from=str(tmp_path / "bert"))
    assert facts.settings["embeddings_from"] == "bert"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"class_weights": "balanced"}, "--class-weights means nothing to token-classification; leave it out"),
        ({"problem_type": "regression"}, "--problem-type means nothing to token-classification"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path, setting, sentence):
    with pytest.raises(UsageError, match=sentence):
        train(tmp_path / "out", **setting)
    assert not (tmp_path / "out").exists()
