"""The text of a card. tests/data/card.md is a whole one, read by eye; after a wanted change, write it again by
`python tests/cards/test_render.py` and read the difference."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from quintet.cards.facts import (
    BaselineFact,
    CalibrationFacts,
    ClassFact,
    DataFacts,
    EvaluationFacts,
    ExampleFact,
    HardwareFacts,
    MetricFact,
    MistakeFact,
    RunFacts,
    SplitFacts,
    TrainingFacts,
    UsageFact,
)
from quintet.cards.render import read_readme, render

GOLDEN = Path(__file__).parent.parent / "data/card.md"


def review_facts() -> RunFacts:
    """Facts of a made-up run with something in every part of a card."""
    train = SplitFacts(
        name="train",
        rows=900,
        fingerprint="a1" * 32,
        rule="90 % of all rows",
        seed=7,
        label_histogram={"bad": 300, "good": 600},
        length_percentiles={"0": 3.0, "5": 10.0, "50": 39.0, "95": 90.0, "99": 120.0, "100": 150.0},
        duplicates=4,
    )
    validation = replace(
        train, name="validation", rows=50, fingerprint="b2" * 32, label_histogram={"bad": 10, "good": 40}
    )
    test = replace(train, name="test", rows=100, fingerprint="c3" * 32, label_histogram={"bad": 40, "good": 60})
    hardware = HardwareFacts(cpu="Xeon", cores=2, threads=2, memory_gib=23.5, bf16_units=True)
    measured = EvaluationFacts(
        split="test",
        count=100,
        data_name="me/reviews",
        fingerprint="c3" * 32,
        metrics=(
            MetricFact("accuracy", 0.9, 0.84, 0.95),
            MetricFact("macro_f1", 0.8904761904761904, 0.83, 0.94),
            MetricFact("ece", 0.05123, 0.03, 0.08, higher_is_better=False),
        ),
        checkpoint="reviews",
        weights_sha256="d4" * 32,
        protocol={"bootstrap": 1000, "dtype": "float32", "seed": 0, "label_map": {"0": "bad"}},
        labels=("bad", "good"),
        per_class=(
            ClassFact("bad", 40, (MetricFact("precision", 0.9, 0.8, 0.98), MetricFact("f1", 0.86, 0.77, 0.93))),
            ClassFact("good", 60, (MetricFact("precision", 0.9, 0.82, 0.96), MetricFact("f1", 0.92, 0.87, 0.96))),
        ),
        confusion=((33, 7), (3, 57)),
        baselines=(
            BaselineFact("majority class", (MetricFact("accuracy", 0.6),), "answers 'good', the most frequent"),
        ),
        mistakes=(MistakeFact(7, "not bad | at all `really`\n<!-- /own words -->", "good", "bad", 0.987),),
        notes=("3 of 100 rows were longer than the model takes",),
        training_rows=2,
    )
    chosen = replace(
        measured, split="validation", count=50, fingerprint="b2" * 32, mistakes=(), notes=(), training_rows=0
    )
    return RunFacts(
        task="text-classification",
        checkpoint_name="reviews",
        family="gru",
        teacher="teacher",
        problem_type="single_label_classification",
        labels=("bad", "good"),
        parameters=1_234_567,
        trainable_parameters=1_234_567,
        max_length=256,
        weights_sha256="d4" * 32,
        weights_bytes=4_938_268,
        command="quintet finetune sentiment --model gru --dataset me/reviews --output reviews",
        settings={"task": "sentiment", "epochs": 3, "learning_rate": 0.002, "columns": {"text": "review"}, "track": []},
        changed_settings=("epochs",),
        seed=7,
        versions={"python": "3.11.7", "torch": "2.13.0", "quintet": "0.1.0"},
        hardware=hardware,
        data=DataFacts(
            name="me/reviews",
            kind="hub",
            revision="c0ffee" * 6 + "c0ff",
            columns={"text": "review", "label": "stars"},
            splits=(train, validation, test),
            leakage={"train/test": 2, "train/validation": 0},
            rejected_rows=1,
            licence="cc-by-4.0",
        ),
        training=TrainingFacts(
            steps=87,
            epochs=3.0,
            metric="accuracy",
            best_step=58,
            best_metric=0.92,
            seconds=204.7,
            samples_per_second=1234.5,
            peak_memory_bytes=2**30,
            stopped_by="epochs",
            threads=2,
            precision="float32",
            device="cpu",
            train_loss=0.1234,
            energy_watt_hours=1.25,
            notes=("the loss rose at the end",),
        ),
        evaluations=(chosen, measured),
        calibration=CalibrationFacts(temperature=1.25, ece_before=0.08, ece_after=0.05, split="validation", count=50),
        licence="apache-2.0",
        languages=("en",),
        usages=(
            UsageFact("quintet", 'classify = pipeline("text-classification", model="<checkpoint>")\n', "good 0.9\n"),
            UsageFact("transformers", 'pipeline("text-classification", model="<checkpoint>")\n', "good 0.9\n"),
        ),
        examples=(
            ExampleFact(
                {"text": "no, fine"}, ({"label": "good", "score": 0.91234}, {"label": "bad", "score": 0.08766})
            ),
        ),
        pictures=("confusion.png", "curves.png"),
        finished="2025-01-31",
    )


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
