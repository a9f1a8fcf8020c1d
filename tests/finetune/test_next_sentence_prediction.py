"""Training to tell whether one text follows another."""

import json
import shutil

import pytest
import quintet
import transformers
from quintet.cards.facts import read_facts
from quintet.finetune import finetune
from quintet.pipelines.errors import DataError

SIZES = {"hidden_size": 32, "layers": 2, "heads": 2, "feed_forward_size": 64, "dropout": 0}
SETTINGS = {"model": "bert-tiny", "model_args": SIZES, "vocab_size": 320, "batch_size": 16, "learning_rate": 5e-3}


def pairs(count, first=0, names=("yes", "no")):
    """A second text that answers, or one that begins anew."""
    rows = []
    for number in range(first, first + count):
        follows = number % 2 == 0
        second = "Then it was gone." if follows else "Once upon a time."
        rows.append({"text": f"The door number {number} was open.", "text_pair": second, "label": names[not follows]})
    return rows


DATA = {"train": pairs(80), "validation": pairs(20, 100), "test": pairs(21, 200)}


PAIRS = [{name: row[name] for name in ("text", "text_pair")} for row in DATA["test"]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("next") / "follows"
    finetune("next-sentence-prediction", dataset=DATA, output=folder, epochs=6, **SETTINGS)
    return folder


def test_it_learns_which_text_follows(checkpoint):
    facts = read_facts(checkpoint)
    assert facts.labels == ("IsNext", "NotNext") and facts.calibration is None
    test = facts.evaluations[-1]
    assert test.metrics[0].name == "accuracy" and test.metrics[0].value == 1.0
    assert test.confusion == ((11, 0), (0, 10))
    assert test.baselines[0].name == "majority class"
    answer = quintet.pipeline("next-sentence-prediction", str(checkpoint))(PAIRS[0])
    assert answer[0]["label"] == "IsNext"
    assert json.loads((checkpoint / "config.json").read_text())["id2label"] == {"0": "IsNext", "1": "NotNext"}


def test_plain_transformers_gives_the_same_scores(checkpoint):
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = transformers.AutoModelForNextSentencePrediction.from_pretrained(checkpoint)
    pair = PAIRS[1]
    scores = model(**tokenizer(pair["text"], pair["text_pair"], return_tensors="pt")).logits[0].softmax(-1).tolist()
    ours = quintet.pipeline("next-sentence-prediction", str(checkpoint))(pair, top_k=2)
    assert {each["label"]: each["score"] for each in ours} == pytest.approx(
        {"IsNext": scores[0], "NotNext": scores[1]}, abs=1e-5
    )


@pytest.mark.parametrize("names", [("IsNext", "NotNext"), ("1", "0"), ("true", "false")])
def test_labels_may_be_called_otherwise(checkpoint, tmp_path, names):
    recorded = read_facts(checkpoint).evaluations[-1]
    copied = shutil.copytree(checkpoint, tmp_path / "copy")  # an evaluation is kept beside the checkpoint
    facts = quintet.evaluate(copied, dataset=pairs(21, 200, names))
    values, before = ({metric.name: metric.value for metric in one.metrics} for one in (facts, recorded))
    assert facts.confusion == recorded.confusion and values == pytest.approx(before, rel=1e-6)


def test_every_number_of_its_card_is_computed_again(checkpoint):
    report = quintet.card(checkpoint, license="mit", language="en")
    assert report.problems == ()
    verified = quintet.verify(checkpoint, dataset=DATA)
    assert verified.is_verified, verified.differing


def test_labels_that_do_not_say_whether_a_text_follows_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"the labels are \w+, \w+; expected whether a text follows the other: IsNext"):
        rows = {"train": pairs(8, names=("good", "bad")), "validation": pairs(4, 10, ("good", "bad"))}
        finetune("next-sentence-prediction", dataset=rows, output=tmp_path / "out", epochs=1, **SETTINGS)
