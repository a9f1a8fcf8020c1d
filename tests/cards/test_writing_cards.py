"""The card of a language model: samples drawn with a seed, snippets that write, numbers computed again."""

from dataclasses import replace

import pytest
import quintet
from quintet.cards.answers import answers_to, difference
from quintet.cards.facts import read_facts
from quintet.cards.publishing import publish
from quintet.cards.snippets import default_examples
from quintet.finetune import finetune

PLAY = "".join(f"Speaker {number % 10}:\nThe cat sat on the mat.\n\n" for number in range(500))
SIZES = {
    "lstm-lm": {"embedding_size": 12, "hidden_size": 24, "layers": 1, "dropout": 0.0},
    "gpt2-mini": {"hidden_size": 16, "layers": 1, "heads": 2, "dropout": 0.0},
}


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "play.txt"
    path.write_text(PLAY, encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["lstm-lm", "gpt2-mini"])
def writer(request, tmp_path_factory, play):
    folder = tmp_path_factory.mktemp("writers") / "play"
    finetune(
        "text-generation",
        model=request.param,
        dataset=str(play),
        output=folder,
        model_args=SIZES[request.param],
        epochs=2,
        batch_size=8,
        learning_rate=1e-2,
        max_length=48,
        device="cpu",
    )
    quintet.card(folder, license="mit", language="en", examples=["Speaker 3:", "The cat"])
    return folder


def test_the_card_shows_samples_and_what_they_were_drawn_with(writer):
    text = (writer / "README.md").read_text(encoding="utf-8")
    assert "Continues English texts: " in text and "pipeline_tag: text-generation" in text
    assert "| bits per character ↓ |" in text and "| all tokens alike | token frequencies |" in text.replace(
        "interval | all", "| all"
    )
    assert "read as one text whose pieces are its rows" in text
    assert "Every token is foretold once, in windows of " in text
    facts = read_facts(writer)
    assert facts.max_length == (48 if facts.family == "gpt2-mini" else None)
    tokens = 24 if facts.family == "gpt2-mini" else 100  # half of what fits, where that is less
    assert f"Drawn with `max_new_tokens={tokens}, do_sample=True, temperature=0.8, top_k=0, seed=0`" in text
    for example, prompt in zip(facts.examples, ("Speaker 3:", "The cat"), strict=True):
        (answer,) = example.outputs
        assert answer["generated_text"].startswith(prompt)
        assert answer["generated_text"].strip().splitlines()[-1] in text
    assert "Half of the training texts" not in text


def test_both_snippets_ran_and_wrote_the_same(writer):
    quintet_usage, transformers_usage = read_facts(writer).usages
    assert quintet_usage.output == transformers_usage.output and "Speaker 3:" in quintet_usage.output
    assert ("trust_remote_code=True" in transformers_usage.code) == (read_facts(writer).family == "lstm-lm")


def test_samples_are_drawn_again_to_the_letter_and_every_number_is_computed_again(writer, play):
    assert quintet.card(writer, check=True).problems == ()
    report = quintet.verify(writer, dataset=str(play))
    assert report.is_verified, report.differing
    pipe = quintet.pipeline("text-generation", model=str(writer))
    example = read_facts(writer).examples[0]
    assert answers_to(pipe, [example.inputs]) == [list(example.outputs)]
    other = [{"generated_text": example.outputs[0]["generated_text"][:-1] + "~"}]
    assert difference(other, list(example.outputs)).startswith("the generated_text is ")


def test_a_prompt_that_leaves_no_room_is_cut_at_its_beginning(writer):
    pipe = quintet.pipeline("text-generation", model=str(writer))
    prompt = "The cat sat on the mat.\n\n" * 4
    ((answer,),) = answers_to(pipe, [{"text": prompt}])
    assert answer["generated_text"].startswith(prompt) and len(answer["generated_text"]) > len(prompt) + 10


def test_without_examples_a_card_begins_texts_in_its_language(writer):
    facts = read_facts(writer)
    assert default_examples(replace(facts, languages=("de",))) == [{"text": "Es war"}, {"text": "Die"}]
    assert default_examples(replace(facts, languages=("xx",))) == [{"text": "It was"}, {"text": "The"}]


def test_published_it_comes_back_and_writes_the_same(loopback, writer, monkeypatch):
    report = publish(writer, "tester/play", endpoint=loopback.url)
    assert report.status == "published"
    example = read_facts(writer).examples[0]
    monkeypatch.setenv("HF_ENDPOINT", loopback.url)
    from huggingface_hub import snapshot_download

    folder = snapshot_download("tester/play", endpoint=loopback.url)
    pipe = quintet.pipeline(model=folder)
    assert pipe.task == "text-generation"
    assert answers_to(pipe, [example.inputs]) == [list(example.outputs)]
