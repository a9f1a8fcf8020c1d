"""The card of what answers questions: written, checked, verified, published, loaded again."""

import pytest
import quintet
from quintet.cards.facts import read_facts
from quintet.finetune import finetune

PEOPLE, PLACES = ["Jim", "Ann", "Bob", "Eve"], ["Rome", "Oslo", "Lima"]


def rows(first, count):
    made = []
    for number in range(first, first + count):
        person, place = PEOPLE[number % 4], PLACES[number % 3]
        context = f"{person} went to {place} on day {number}."
        asked, answer = (("Who went?", person), ("Where to?", place))[number // 12 % 2]
        answers = {"text": [answer], "answer_start": [context.index(answer)]}
        made.append({"question": asked, "context": context, "answers": answers})
    return made


@pytest.fixture(scope="module")
def data():
    return {"train": rows(0, 96), "validation": rows(100, 24), "test": rows(200, 24)}


@pytest.fixture(scope="module")
def answerer(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("answerers") / "places"
    finetune(
        "qa",
        model="bidaf",
        dataset=data,
        output=folder,
        model_args={"word_size": 8, "byte_size": 8, "filters": 8, "hidden_size": 8, "dropout": 0.0},
        epochs=6,
        batch_size=8,
        learning_rate=1e-2,
    )
    quintet.card(folder, license="mit", language="en")
    return folder


def test_the_card_says_what_it_answers_and_against_what_rules(answerer):
    text = (answerer / "README.md").read_text(encoding="utf-8")
    assert "Finds the answers to questions in English texts: a network of bidirectional attention flow (BiDAF)" in text
    assert "pipeline_tag: question-answering" in text
    assert "| metric | value | 95 % interval | first sentence | words of the question |" in text
    assert "| exact match |" in text and "seo2017bidirectional" in text
    assert "question and context together. Quintet reads a longer context in windows" in text


def test_both_snippets_ran_and_answer_alike(answerer):
    facts = read_facts(answerer)
    assert [dict(example.inputs)["question"] for example in facts.examples] == [
        "Where does Maria Silva work?",
        "What flows through Dresden?",
    ]
    assert all({"answer", "score", "start", "end"} == set(example.outputs[0]) for example in facts.examples)
    assert [usage.library for usage in facts.usages] == ["quintet", "transformers"]
    assert "AutoModelForQuestionAnswering" in facts.usages[1].code
    answers = [example.outputs[0]["answer"] for example in facts.examples]
    assert facts.usages[0].output.splitlines() == facts.usages[1].output.splitlines() == answers


def test_nothing_is_wrong_with_it_and_every_number_is_computed_again(answerer, data):
    assert quintet.card(answerer, check=True).problems == ()
    report = quintet.verify(answerer, dataset=data)
    assert report.is_verified, report.differing


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """A checkpoint that was trained on questions of which most have no answer, in data that misplaces the others'."""
    train = rows(0, 24)
    for number, row in enumerate(train):
        if number % 4:
            row["answers"] = {"text": [], "answer_start": []}
        else:
            row["answers"]["answer_start"] = [row["answers"]["answer_start"][0] + 2]
    folder = tmp_path_factory.mktemp("answerers") / "silent"
    finetune(
        "qa",
        model="bert-tiny",
        dataset={"train": train, "validation": rows(100, 8)},
        output=folder,
        max_steps=12,
        batch_size=8,
        learning_rate=3e-3,
    )
    quintet.card(folder, license="mit", language="en")
    return folder


def test_where_questions_had_no_answer_the_card_lets_it_say_so(silent):
    text, facts = (silent / "README.md").read_text(encoding="utf-8"), read_facts(silent)
    assert "Finds the answers to questions in English texts, or that there is none: " in text
    assert 'pipeline("question-answering", model="silent", handle_impossible_answer=True)' in text
    assert "75.0 % of the training questions have no answer. With `handle_impossible_answer=True` an empty" in text
    assert "Questions without an answer: 18 of train." in text
    assert "and is nearby: 6 of train." in text
    assert [example.outputs[0]["answer"] for example in facts.examples] == ["", ""]
    assert [usage.output for usage in facts.usages] == ["no answer\nno answer\n"] * 2
    assert quintet.card(silent, check=True).problems == ()


def test_where_all_had_one_the_card_says_nothing_of_it(answerer):
    assert "handle_impossible_answer" not in (answerer / "README.md").read_text(encoding="utf-8")
