"""The card of a translator: written, checked, verified, published and loaded again."""

import pytest
import quintet
from quintet.cards.facts import read_facts
from quintet.finetune import finetune

WORDS = {"dog": "Hund", "cat": "Katze", "runs": "läuft", "sleeps": "schläft"}


def rows(first, count):
    made = []
    for number in range(first, first + count):
        noun, verb = ("dog", "cat")[number % 2], ("runs", "sleeps")[number // 2 % 2]
        english = f"the {noun} {verb} on day {number}"
        made.append({"en": english, "de": f"am Tag {number} {WORDS[verb]} {WORDS[noun]}"})
    return made


@pytest.fixture(scope="module")
def data():
    return {"train": rows(0, 60), "validation": rows(100, 12), "test": rows(200, 12)}


@pytest.fixture(scope="module", params=["lstm-seq2seq", "transformer-seq2seq"])
def translator(request, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("translators") / "days"
    sizes = {"hidden_size": 16, "dropout": 0.0}
    sizes |= {"embedding_size": 16} if request.param == "lstm-seq2seq" else {"layers": 1, "heads": 2}
    finetune(
        "translation_en_to_de",
        model=request.param,
        dataset=data,
        output=folder,
        model_args=sizes,
        epochs=4,
        batch_size=16,
        learning_rate=1e-2,
        vocab_size=320,
        max_length=64,
    )
    quintet.card(folder, license="mit", examples=["the dog runs on day 7"])
    return folder


def test_the_card_says_what_it_does(translator):
    text = (translator / "README.md").read_text(encoding="utf-8")
    assert "Translates texts from English to German: " in text
    assert "- en\n- de\n" in text and "pipeline_tag: translation" in text
    assert "| BLEU (sacreBLEU) |" in text and "| chrF |" in text
    assert (
        "BLEU: `nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in text and "Written with num_beams=5." in text
    )
    assert "Quintet reads longer texts in pieces of whole sentences" in text
    assert "Answers farthest off" in text


def test_both_snippets_ran_and_say_the_same(translator):
    facts = read_facts(translator)
    (example,) = facts.examples
    assert dict(example.inputs) == {"text": "the dog runs on day 7"}
    assert [usage.library for usage in facts.usages] == ["quintet", "transformers"]
    assert facts.usages[0].output == facts.usages[1].output == example.outputs[0]["translation_text"] + "\n"
    assert 'translate = pipeline("translation", model=' in facts.usages[0].code
    is_own = facts.family == "lstm-seq2seq"
    assert ("trust_remote_code=True" in facts.usages[1].code) == is_own


def test_nothing_is_wrong_with_it_and_every_number_is_computed_again(translator, data):
    assert quintet.card(translator, check=True).problems == ()
    report = quintet.verify(translator, dataset=data)
    assert report.is_verified, report.differing
