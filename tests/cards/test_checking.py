"""Problems of cards, by their sentences; each case spoils a card that has none."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from loopback_hub import card_errors
from quintet.cards.checking import check_card, hub_problems, missing_pictures, stray_pictures
from quintet.cards.facts import RunFacts
from quintet.cards.number_sources import source_problems
from quintet.cards.render import render

GOLDEN = Path(__file__).parent.parent / "data/card.md"
FIX = "`quintet card` writes it again"


@pytest.fixture(scope="module")
def facts() -> RunFacts:
    """The facts behind tests/data/card.md."""
    spec = importlib.util.spec_from_file_location("rendered", Path(__file__).parent / "test_render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.review_facts()


@pytest.fixture
def text() -> str:
    return GOLDEN.read_text(encoding="utf-8")


def changed(text: str, old: str, new: str, *, count: int = 1) -> str:
    assert text.count(old) >= count, old
    return text.replace(old, new, count)


def test_a_card_from_its_facts_has_no_problem(text, facts):
    assert check_card(text, facts) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("license: apache-2.0", "license: gpl-2.0-or-later", "license 'gpl-2.0-or-later' is not one that the Hub has"),
        ("license: apache-2.0", "license: other", "license 'other' has no license_name and license_link"),
        ("language: en", "language: english", "language 'english' is no code of ISO 639; did you mean en?"),
        ("language: en", "language: no", "language False is no code of ISO 639; YAML reads an unquoted no as False"),
        ("language: en", "language: en\nbase_model: /home/me/base", "base_model '/home/me/base' is no Hub id"),
        ("language: en", "language: en\nbase_model: out/runs/base", "base_model 'out/runs/base' is no Hub id"),
        ("- me/reviews\n", "- ./reviews.csv\n", "datasets has './reviews.csv', which is no Hub id"),
        ("- quintet\n", "- 2024\n", "tags has 2024, expected text; put it in quotes"),
        ("library_name: quintet", "library_name: [quintet]", "library_name is ['quintet'], expected text"),
        (
            "pipeline_tag: text-classification",
            "pipeline_tag: text-clasification",
            "pipeline_tag 'text-clasification' is no task of the Hub; did you mean text-classification?",
        ),
    ],
)
def test_what_the_hub_refuses_is_named(text, facts, old, new, sentence):
    (problem,) = check_card(changed(text, old, new), facts)
    assert problem.startswith(sentence)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("-gru\n  results:", "-gru\n  result:", "model-index[0].results is None, expected a list"),
        ("- name: reviews-gru\n", "- title: reviews-gru\n", "model-index[0].name is missing or no text"),
        ("dataset:\n      type: me/reviews\n", "dataset:\n", "model-index[0].results[0].dataset.type is missing"),
        ("    task:\n", "    tusk:\n", "model-index[0].results[0].task.type is missing or no text"),
        ("value: 0.9\n", "value: high\n", "model-index[0].results[0].metrics[0].value is 'high', expected a finite"),
        ("value: 0.9\n", "value: .nan\n", "model-index[0].results[0].metrics[0].value is nan, expected a finite"),
        ("    - type: accuracy\n", "    - tipe: accuracy\n", "model-index[0].results[0].metrics[0].type is missing"),
    ],
)
def test_a_model_index_broken_by_hand_is_named(text, facts, old, new, sentence):
    spoilt = text.replace("  - task:\n", "  - \n    task:\n")
    assert check_card(spoilt, facts) == []
    problems = check_card(changed(spoilt, old, new), facts)
    assert problems[0].startswith(sentence)
    assert problems[0].endswith(FIX)


def test_a_model_index_that_is_no_list_is_named(text, facts):
    start, end = text.index("model-index:"), text.index("\n---\n", 4)
    (problem,) = check_card(text[:start] + "model-index: 0.95" + text[end:], facts)
    assert problem == f"model-index is 0.95, expected a list of models; {FIX}"


def test_everything_the_loopback_hub_refuses_is_a_problem_here(text, facts):
    """The other way round need not hold: a check may be stricter."""
    spoilt = [
        changed(text, "license: apache-2.0", "license: mit2"),
        changed(text, "language: en", "language: no"),
        changed(text, "- me/reviews\n", "- a/b/c\n"),
        changed(text, "language: en", "language: en\nbase_model: /base"),
        changed(text, "  results:", "  rezults:"),
        changed(text, "metrics:\n    - type", "metricks:\n    - type"),
        changed(text, "tags:\n- quintet", "tags:\n- 1"),
        changed(text, "license: apache-2.0", "license: [apache-2.0"),
    ]
    for each in spoilt:
        assert card_errors(each, "model") != []
        assert check_card(each, facts) != []


def test_what_the_hub_refuses_and_what_has_no_source_are_told_apart(facts, tmp_path):
    """By what they are about: a value that the Hub refuses may be called run.json as well."""
    text = render(facts, own_words="![a](../a.png) ![b](b.png)")
    spoilt = changed(changed(text, "license: apache-2.0", "license: run.json"), "value: 0.9\n", "value: 0.99\n")
    (refused,) = hub_problems(spoilt)
    assert refused.startswith("license 'run.json' is not one that the Hub has")
    (unknown,) = source_problems(spoilt, facts)
    assert unknown.startswith("model-index: accuracy on me/reviews, test is 0.99")
    (stray,) = stray_pictures(spoilt)
    assert stray.startswith("the picture 'a.png' is named by a path that leads out of the checkpoint")
    missing = missing_pictures(spoilt, tmp_path)
    assert missing == [f"the picture '{name}' is not in the folder; {FIX}" for name in ("b.png", *facts.pictures)]
    assert check_card(spoilt, facts, tmp_path) == [refused, unknown, stray, *missing]


def test_front_matter_that_is_no_yaml_or_missing(text, facts):
    (problem,) = check_card(changed(text, "license: apache-2.0", "license: [apache-2.0"), facts)
    assert problem.startswith("the front matter is no YAML: line ")
    (problem,) = check_card(text[text.index("<!-- quintet card") :], facts)
    assert problem.startswith("there is no front matter (--- at the top)")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| accuracy | 0.9000 |", "| accuracy | 0.9500 |"),
        ("**Accuracy 0.9000**", "**Accuracy 0.9700**"),
        ("on 100 rows of", "on 1,000 rows of"),
        ("majority class 0.6000", "majority class 0.5000"),
        ("| `bad` | 40 | 0.9000 (0.8000", "| `bad` | 40 | 0.9200 (0.8000"),
        ("| peak memory | 1.0 GiB |", "| peak memory | 0.1 GiB |"),
        ("| `epochs` | `3` |", "| `epochs` | `30` |"),
        ("| macro F1 | 0.8905 |", "| macro F1 | 0.9000 |"),  # a number that stands elsewhere on the card
    ],
)
def test_a_number_changed_by_hand_is_named_with_the_right_one(text, facts, old, new):
    (problem,) = check_card(changed(text, old, new), facts)
    assert new.strip("| ").rpartition("| ")[2] in problem
    assert "run.json gives" in problem
    assert problem.endswith(FIX)


def test_two_tables_put_in_each_others_place_are_noticed(text, facts):
    other = replace(facts.evaluations[0], metrics=(replace(facts.evaluations[0].metrics[0], value=0.99),))
    facts = replace(facts, evaluations=(other, facts.evaluations[1]))
    text = render(facts)
    assert check_card(text, facts) == []
    row = "| accuracy | {} | 0.8400 – 0.9500 |"
    high, low = row.format("0.9900"), row.format("0.9000")
    swapped = text.replace(high, "\0").replace(low, high).replace("\0", low)
    assert swapped.count(high) == swapped.count(low) == 1
    assert swapped.index(high) < swapped.index(low)
    assert check_card(swapped, facts) != []


def test_a_line_of_results_that_was_put_in_is_named(text, facts):
    put = "| accuracy | 0.9000 |"
    (problem,) = check_card(changed(text, put, "| accuracy on everything | 0.9999 |\n" + put), facts)
    assert "accuracy on everything" in problem


def test_numbers_of_the_index_are_compared_with_the_facts(text, facts):
    (problem,) = check_card(changed(text, "value: 0.9\n", "value: 0.99\n"), facts)
    assert problem == f"model-index: accuracy on me/reviews, test is 0.99, run.json has 0.9; {FIX}"
    (problem,) = check_card(changed(text, "name: macro F1", "name: micro F1"), facts)
    assert problem.startswith(
        "model-index: micro F1 on me/reviews, test is 0.8904761904761904, which run.json does not"
    )
    (problem,) = check_card(changed(text, "score: 0.9123", "score: 0.9999"), facts)
    assert problem == f"widget: the score 0.9999 is not in run.json; {FIX}"


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("It has 0.9712 accuracy.", "0.9712"),
        ("It is right in 97.1 % of cases.", "97.1 %"),
        ("Up to 99% accuracy!", "99%"),
        ("Right in 97 percent.", "97 percent"),
        ("F1 of 97.1 for all", "97.1"),
        ("Sure to .987 of it.", ".987"),  # the confidence of one wrong answer
    ],
)
def test_a_result_in_own_words_needs_a_source(facts, words, number):
    (problem,) = check_card(render(facts, own_words=words), facts)
    assert problem == f"the number {number} in your own words is not in run.json; leave it out or measure it"


@pytest.mark.parametrize(
    "words",
    [
        "Accuracy 0.9 and macro F1 0.89, that is 89.0 % or 0.890476.",
        "Two thirds (66.7 %) of the training rows are good; intervals are 95 %.",
        "Written in 2024 by 3 people with Python 3.11, CC-BY-4.0, version 1.2.3, see [there](https://x.org/0.99).",
        "`0.99` and\n\n```\nscore 0.99\n```\n",
    ],
)
def test_numbers_that_are_facts_or_no_results_are_left_alone(facts, words):
    assert check_card(render(facts, own_words=words), facts) == []


def test_without_facts_every_result_lacks_its_source(text):
    problems = check_card(text, None)
    assert (
        "model-index: accuracy on me/reviews, test is 0.9, and there is no run.json that it comes from" in problems[0]
    )
    assert "the card was written by Quintet, and the run.json that its numbers come from is not beside it" in problems
    problems = check_card("---\nlicense: mit\n---\n# Mine\n\nAccuracy: 0.93.\n", None)
    assert problems == [
        "the number 0.93 in your own words is not in a run.json, which there is none of; leave it out or measure it"
    ]


def test_pictures_must_be_in_the_folder(text, facts, tmp_path):
    (tmp_path / "curves.png").write_bytes(b"")
    assert check_card(text, facts, tmp_path) == [f"the picture 'confusion.png' is not in the folder; {FIX}"]
    (tmp_path / "confusion.png").write_bytes(b"")
    assert check_card(text, facts, tmp_path) == []
    words = "![a](https://x.org/a.png) ![b](/home/me/b.png) ![c](../c.png)"
    assert check_card(render(facts, own_words=words), facts, tmp_path) == [
        "the picture 'b.png' is named by a path that leads out of the checkpoint; put it into the folder",
        "the picture 'c.png' is named by a path that leads out of the checkpoint; put it into the folder",
    ]


def test_the_card_may_be_written_for_a_repository_that_the_facts_do_not_name(text, facts):
    assert facts.repository is None
    assert check_card(render(facts), facts) == []
    assert check_card(text, facts) == []  # written for me/reviews-gru
