"""The card of a tagger: written, checked, verified, published and loaded again."""

import pytest
import quintet
from quintet.cards.answers import difference
from quintet.cards.facts import read_facts
from quintet.finetune import finetune

NAMES, PLACES = ["Jim", "Ann", "Bob", "Eve"], ["Rome", "Oslo", "Lima"]


def rows(first, count):
    made = []
    for number in range(first, first + count):
        name, place = NAMES[number % 4], PLACES[number % 3]
        tokens = [name, "saw", place, "on", f"day{'x' * (number % 7)}{number}"]
        made.append({"tokens": tokens, "tags": ["B-PER", "O", "B-LOC", "O", "O"]})
    return made


@pytest.fixture(scope="module")
def data():
    return {"train": rows(0, 60), "validation": rows(100, 20), "test": rows(200, 20)}


@pytest.fixture(scope="module")
def tagger(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("taggers") / "names"
    finetune(
        "ner",
        model="bilstm-crf",
        dataset=data,
        output=folder,
        model_args={"word_size": 8, "byte_size": 8, "filters": 8, "hidden_size": 8, "dropout": 0.0},
        epochs=10,
        batch_size=8,
        learning_rate=2e-2,
    )
    quintet.card(folder, license="mit", language="en", examples=["Eve saw Oslo."])
    return folder


def test_the_card_says_what_it_finds(tagger):
    text = (tagger / "README.md").read_text(encoding="utf-8")
    assert "Finds entities of 2 kinds (`LOC` and `PER`) in English texts" in text
    assert "| class | entities | precision | recall | F1 |" in text
    assert "| tag of words | train | validation | test |" in text
    assert "pipeline_tag: token-classification" in text
    assert 'tag = pipeline("token-classification", model="names", aggregation_strategy="simple")' in text
    assert "the most frequent tag" in text and "Lample" in text


def test_its_examples_are_entities_and_both_snippets_ran(tagger):
    facts = read_facts(tagger)
    (example,) = facts.examples
    assert dict(example.inputs) == {"tokens": "Eve saw Oslo."}
    assert [(each["entity_group"], each["word"]) for each in example.outputs] == [("PER", "Eve"), ("LOC", "Oslo")]
    assert [usage.library for usage in facts.usages] == ["quintet", "transformers"]
    assert "('PER', 'Eve'" in facts.usages[0].output
    assert facts.usages[1].output == "[('Eve', 'B-PER'), ('Oslo', 'B-LOC')]\n"  # words, not bytes, as Quintet tags them


def test_nothing_is_wrong_with_it_and_every_number_is_computed_again(tagger, data):
    assert quintet.card(tagger, check=True).problems == ()
    report = quintet.verify(tagger, dataset=data)
    assert report.is_verified, report.differing


def test_other_entities_are_a_difference(tagger):
    (example,) = read_facts(tagger).examples
    changed = [dict(each) for each in example.outputs]
    changed[0]["word"] = "Eva"
    assert difference(changed, list(example.outputs)) == "the word is Eva, not Eve"
    changed = [{**each, "score": each["score"] - 0.01} for each in example.outputs]
    assert difference(changed, list(example.outputs)).startswith("the score is off by 0.01")
