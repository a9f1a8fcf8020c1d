"""Zero-shot classification measured: candidate labels are the data's own, or what they are called."""

import pytest
import quintet
from quintet.finetune import finetune
from quintet.pipelines.errors import DataError, UsageError

TEXTS = ["good film", "bad film", "good plot", "bad plot", "film", "plot"]


def rows(labels):
    return [{"text": text, "label": label} for text, label in zip(TEXTS * 2, labels, strict=True)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A classifier of pairs, as one for natural language inference: does the text have the label's first word?"""
    folder = tmp_path_factory.mktemp("nli") / "nli"
    pairs = [
        {
            "premise": text,
            "hypothesis": f"This example is {word}.",
            "label": ("contradiction", "entailment")[word in text],
        }
        for text in TEXTS
        for word in ("good", "bad", "film", "plot")
    ]
    finetune(
        "text-classification",
        model="textcnn",
        dataset=pairs * 4,
        output=folder,
        max_steps=20,
        validation_fraction=0,
        model_args={"filters": 4, "embedding_size": 8},
    )
    return folder


def evaluate(checkpoint, tmp_path, labels, **options):
    given = {"task": "zero-shot-classification", "dataset": rows(labels), "output": tmp_path / "out"}
    return quintet.evaluate(checkpoint, **given, **options)


def test_the_labels_of_the_data_are_the_candidates(checkpoint, tmp_path):
    classify = quintet.pipeline("zero-shot-classification", model=checkpoint)
    answers = [answer["labels"][0] for answer in classify(TEXTS * 2, candidate_labels=["bad", "good"])]
    other = {"bad": "good", "good": "bad"}
    labels = [answer if row % 4 else other[answer] for row, answer in enumerate(answers)]  # three of four right
    facts = evaluate(checkpoint, tmp_path, labels)
    assert facts.metric("accuracy").value == 0.75
    assert facts.labels == ("bad", "good") and facts.baselines[0].name == "majority class"


def test_a_map_gives_the_labels_words(checkpoint, tmp_path):
    named = evaluate(checkpoint, tmp_path, ["good", "bad"] * 6)
    mapped = evaluate(checkpoint, tmp_path, ["1", "0"] * 6, label_map="0=bad,1=good")
    assert mapped.labels == ("bad", "good")
    assert mapped.metric("accuracy").value == named.metric("accuracy").value
    # both labels of the data may mean the same
    joined = evaluate(checkpoint, tmp_path, ["a", "b", "bad"] * 4, label_map={"a": "good", "b": "good"})
    assert joined.labels == ("good", "bad") and joined.per_class[0].count == 8


def test_several_labels_a_text_are_scored_one_by_one(checkpoint, tmp_path):
    facts = evaluate(checkpoint, tmp_path, [["good", "film"], ["bad"]] * 6)
    assert facts.problem_type == "multi_label_classification" and facts.labels == ("bad", "film", "good")
    assert facts.metrics[0].name == "micro_f1"


def test_numbers_are_no_words_to_choose_from(checkpoint, tmp_path):
    with pytest.raises(DataError, match=r"the label '0' of the data set has no word in it .* --label-map 0=…,1=…"):
        evaluate(checkpoint, tmp_path, ["1", "0"] * 6)
    with pytest.raises(DataError, match="needs words to choose from; name the column with the classes"):
        evaluate(checkpoint, tmp_path, [0.5, 1.5] * 6)


def test_training_says_what_to_train_instead(tmp_path):
    with pytest.raises(
        UsageError, match="learns no labels, so there is nothing to train; train text-classification on"
    ):
        finetune("zero-shot-classification", model="lstm", dataset=rows(["a", "b"] * 6), output=tmp_path / "out")


def test_vectors_of_tokens_have_no_target(checkpoint, tmp_path):
    with pytest.raises(
        UsageError, match="feature-extraction gives a vector for each token and has no target, so there"
    ):
        quintet.evaluate(checkpoint, task="feature-extraction", dataset=rows(["a", "b"] * 6))
