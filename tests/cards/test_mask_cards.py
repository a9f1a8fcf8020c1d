"""The card of a network for masked words: written, checked, published, loaded by name, verified."""

import json
import os
import subprocess
import sys

import pytest
import quintet
from quintet.cards.facts import RunFacts, read_facts
from quintet.cards.metadata import widget
from quintet.cards.publishing import publish
from quintet.cards.snippets import MASK, MASKED_SENTENCES, SENTENCES, default_examples
from quintet.finetune import finetune
from quintet.pipelines.errors import InputError

REPOSITORY = "tester/animals"
ANIMALS, HOMES = ["cat", "dog", "fish"], ["barn", "yard", "pond"]


def rows(first, count):
    return [
        {"text": f"The {ANIMALS[number % 3]} lives in the {HOMES[number % 3]}, says {number}."}
        for number in range(first, first + count)
    ]


DATA = {"train": rows(0, 60), "validation": rows(100, 20), "test": rows(200, 20)}


@pytest.fixture(scope="module")
def filler(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fillers") / "animals"
    finetune(
        "fill-mask",
        model="bert-tiny",
        dataset=DATA,
        output=folder,
        model_args={"hidden_size": 16, "layers": 1, "heads": 2, "feed_forward_size": 16, "dropout": 0.0},
        vocab_size=300,
        max_length=32,
        epochs=6,
        batch_size=8,
        learning_rate=1e-2,
    )
    report = quintet.card(folder, license="mit", language="en", repository=REPOSITORY)
    assert report.problems == ()
    return folder


def test_the_card_says_what_it_does(filler):
    text = (filler / "README.md").read_text(encoding="utf-8")
    assert "Fills masked words of English texts: a BERT encoder with" in text
    assert "| perplexity ↓ |" in text and "| accuracy@5 |" in text and "most frequent tokens" in text
    assert "Masked: 15% of the tokens of each text, all replaced by the mask token" in text
    assert "pipeline_tag: fill-mask" in text and "- perplexity" in text
    assert f'fill = pipeline("fill-mask", model="{REPOSITORY}", top_k=3)' in text
    assert "Quintet reads the part of a longer text that is around a mask" in text
    assert "Devlin" in text


def test_its_examples_have_the_mask_of_its_tokenizer_and_both_snippets_print_the_same(filler):
    facts = read_facts(filler)
    assert [example.inputs["text"] for example in facts.examples] == [
        "Paris is the [MASK] of France.",
        "In winter it is very [MASK].",
    ]
    assert all(len(example.outputs) == 5 for example in facts.examples)
    assert [usage.library for usage in facts.usages] == ["quintet", "transformers"]
    assert facts.usages[0].output == facts.usages[1].output
    first = widget(facts)[0]
    assert first["text"] == facts.examples[0].inputs["text"]
    assert first["output"][0]["label"] == facts.examples[0].outputs[0]["token_str"]


def test_every_number_is_computed_again(filler):
    assert quintet.card(filler, check=True).problems == ()
    report = quintet.verify(filler, dataset=DATA)
    assert report.is_verified, report.differing


def test_an_example_with_several_masks_has_a_list_for_each(filler, tmp_path):
    examples = ["The [MASK] lives in the [MASK].", "The cat [MASK]."]
    report = quintet.card(filler, examples=examples)
    assert report.problems == () and not any("does not run" in note or "alike" in note for note in report.notes)
    assert [len(example.outputs) for example in report.facts.examples] == [2, 5]
    assert len(report.facts.usages[0].output.splitlines()) == 3
    assert [each["text"] for each in widget(report.facts)] == ["The cat [MASK]."]
    quintet.card(filler, examples=["Paris is the [MASK] of France.", "In winter it is very [MASK]."])
    with pytest.raises(InputError, match=r"the text has no mask; write \[MASK\] where a word is to be filled in"):
        quintet.card(filler, examples=["no mask at all"])


def test_each_language_with_sentences_has_some_with_masks():
    assert MASKED_SENTENCES.keys() == SENTENCES.keys()
    assert all(sentence.count(MASK) == 1 for pair in MASKED_SENTENCES.values() for sentence in pair)
    facts = RunFacts(task="fill-mask", checkpoint_name="x", languages=("zh",))
    assert default_examples(facts, "<mask>")[1] == {"text": "冬天的天气很<mask>。"}


@pytest.mark.parametrize("transport", ["lfs"], indirect=True)
def test_it_is_published_loaded_by_name_and_verified_from_there(loopback, filler, tmp_path):
    publish(filler, REPOSITORY, endpoint=loopback.url)
    text = "The fish lives in the [MASK]."
    environment = {**os.environ, "HF_ENDPOINT": loopback.url, "HF_HOME": str(tmp_path / "cache")}
    environment["HF_HUB_DISABLE_XET"] = "1"
    answers = []
    for library in ("quintet", "transformers"):
        code = f"import json\nfrom {library} import pipeline\nfill = pipeline('fill-mask', model={REPOSITORY!r})\n"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}print(json.dumps(fill({text!r})))"],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answers.append(json.loads(done.stdout.splitlines()[-1]))
    here = quintet.pipeline("fill-mask", str(filler))(text)
    for answer in answers:
        assert [each["token_str"] for each in answer] == [each["token_str"] for each in here]
        assert [each["score"] for each in answer] == pytest.approx([each["score"] for each in here], abs=1e-5)
    report = quintet.verify(REPOSITORY, dataset=DATA, endpoint=loopback.url)
    assert report.is_verified, report.differing
