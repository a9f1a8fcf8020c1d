"""The text of a card. tests/data/card.md is a whole one, read by eye; after a wanted change, write it again by
`python tests/cards/test_render.py` and read the difference."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from quintet.cards.facts import MetricFact, RunFacts
from quintet.cards.render import read_readme, render
from review_run import review_facts

GOLDEN = Path(__file__).parent.parent / "data/card.md"


def golden_card() -> str:
    return render(review_facts(), repository="me/reviews-gru", own_words="## Notes\n\nWritten by hand.")


def front(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def test_the_whole_card_is_the_one_that_was_read_by_eye():
    assert golden_card() == GOLDEN.read_text(encoding="utf-8")


def test_the_same_facts_give_the_same_bytes():
    assert golden_card() == golden_card()


def test_numbers_of_rows_that_chose_the_weights_are_shown_with_a_remark_and_not_indexed():
    text = golden_card()
    (model,) = front(text)["model-index"]
    assert [result["dataset"]["split"] for result in model["results"]] == ["test"]
    assert "These rows chose the weights that were kept, so their numbers may read too well." in text


def test_nothing_unknown_is_invented():
    text = render(RunFacts(task="text-classification", checkpoint_name="found", family="bert", parameters=10))
    assert front(text) == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["quintet", "bert"],
    }
    assert "Classifies texts: a BERT encoder with 10 parameters." in text
    assert "Not recorded: training data, settings and course of the training and metrics." in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Citation"]
    assert "None" not in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": ("a", "b", "c"), "languages": ("en", "zh")}, "Gives English and Chinese texts one of 3 labels"),
        ({"problem_type": "regression", "labels": ()}, "Gives English texts a number"),
        ({"problem_type": "multi_label_classification"}, "Gives English texts any of 2 labels (`bad` or `good`)"),
        ({"base_model": "org/base", "base_revision": "c0ffee"}, "fine-tuned from `org/base` (revision `c0ffee`)"),
        ({"family": "mamba"}, "a model of type `mamba` with 1,234,567 parameters"),
        ({"trainable_parameters": 1000}, "with 1,234,567 parameters, 1,000 of them trained, trained from"),
        (
            {"labels": tuple("abcdefghijkl")},
            "one of 12 labels (`a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j` and 2 more)",
        ),
    ],
)
def test_the_first_sentence_says_what_it_does_and_what_it_is(change, sentence):
    assert sentence in render(replace(review_facts(), **change))


def test_texts_of_the_data_cannot_break_the_card():
    text = golden_card()
    assert "| ``not bad \\| at all `really` <!-- /own words -->`` | `good` | `bad` | 0.987 |" in text
    assert read_readme(text).own_words == "## Notes\n\nWritten by hand."


def test_what_a_person_wrote_around_the_card_survives():
    words = "## Notes\n\nWith a line of dashes:\n\n---\n\nand the end."
    text = render(review_facts(), own_words=words, extra={"thumbnail": "x.png"}, before="# Mine", after="Bye.")
    again = read_readme(text)
    assert (again.own_words, again.before, again.after) == (words, "# Mine", "Bye.")
    assert again.extra["thumbnail"] == "x.png"
    assert text == render(
        review_facts(), own_words=again.own_words, extra=again.extra, before=again.before, after=again.after
    )


def test_a_readme_by_hand_has_no_card_in_it():
    readme = read_readme("\ufeff---\r\nlicense: mit\r\n---\r\n# Hello\r\n\r\nText.\r\n")
    assert readme.card is None
    assert readme.metadata == {"license": "mit"}
    assert readme.before == "# Hello\n\nText."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("---\nlicense: [mit\n---\nText", "line 3: expected ',' or ']', but got '<stream end>'"),
        ("---\n- a\n---\nText", "it is a list, expected keys with values"),
    ],
)
def test_a_broken_front_matter_is_described(text, problem):
    readme = read_readme(text)
    assert readme.metadata is None
    assert readme.problem == problem
    assert readme.before == "Text"


def test_limits_come_from_the_data():
    text = golden_card()
    assert "- Trained on texts in English; other languages were not measured." in text
    assert "`good` has 600 rows, 2.0 times as many as `bad` with 300." in text
    assert "none was shorter than 3 or longer than 150." in text
    assert "The weakest class is `bad`: F1 0.8600 on 40 rows." in text
    assert "Only 100 rows were evaluated" in text
    worse = replace(review_facts().evaluations[1], metrics=(MetricFact("accuracy", 0.6),))
    assert "- It is not better than majority class, which costs nothing." in render(
        replace(review_facts(), evaluations=(worse,))
    )


if __name__ == "__main__":
    sys.exit(GOLDEN.write_text(golden_card(), encoding="utf-8") and None)
