"""Training to tell whether one text follows another."""

import json
import shutil

import pytest
import quintet
import torch
import transformers
from quintet.cards.facts import read_facts
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.following_texts import paired, pairs_of, sentences_of
from quintet.finetune.step_log import read_log
from quintet.pipelines.errors import DataError, QuintetError
from quintet.pipelines.next_sentence_prediction import LABELS
from quintet.pipelines.tasks import find_task

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


def test_low_rank_additions_train_a_new_head_whole(tiny_bert, tmp_path):
    settings = {"model": str(tiny_bert), "batch_size": 16, "learning_rate": 1e-2, "epochs": 2, "lora": True}
    facts = finetune("next-sentence-prediction", dataset=DATA, output=tmp_path / "out", **settings)
    torch.manual_seed(facts.seed)
    drawn = transformers.AutoModelForNextSentencePrediction.from_pretrained(tiny_bert)
    trained = transformers.AutoModelForNextSentencePrediction.from_pretrained(tmp_path / "out")
    before, after = drawn.cls.seq_relationship, trained.cls.seq_relationship
    assert not torch.equal(before.weight, after.weight) and not torch.equal(before.bias, after.bias)


STORIES = {
    role: "\n\n".join(
        "\n".join(
            f"The door {role} {number} was {each}." for each in ("open", "shut", "gone", "here")[: 2 + number % 3]
        )
        for number in range(count)
    )
    for role, count in (("train", 40), ("validation", 15))
}


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stories")
    for role, text in STORIES.items():
        (folder / f"{role}.txt").write_text(text, encoding="utf-8")
    return folder


def test_documents_give_pairs_half_of_which_follow_each_other(stories, tmp_path):
    task = find_task("next-sentence-prediction")
    data = load_data(str(stories), task=task)
    documents = [text.split("\n") for text in data.splits["train"]["text"]]
    pairs = paired(data, LABELS, {"train": 3}, tmp_path).splits["train"]
    assert len(pairs) == sum(len(sentences) - 1 for sentences in documents)
    assert sum(pairs["label"]) == len(pairs) // 2
    firsts = [(number, sentence) for number, text in enumerate(documents) for sentence in text[:-1]]
    assert list(zip(pairs["document"], pairs["text"], strict=True)) == firsts
    for pair in pairs:
        own = documents[pair["document"]]
        if pair["label"] == LABELS.index("IsNext"):
            assert pair["text_pair"] == own[own.index(pair["text"]) + 1]
        else:
            assert pair["text_pair"] not in own and any(pair["text_pair"] in text for text in documents)
    again = pairs_of(data.splits["train"], 3, "train")
    assert again.to_dict() == pairs.to_dict() == paired(data, LABELS, {"train": 9}, tmp_path).splits["train"].to_dict()
    assert pairs_of(data.splits["train"], 9, "train")["label"][:] != pairs["label"][:]


def test_it_learns_from_documents_and_every_number_is_computed_again(stories, tmp_path):
    facts = finetune("next-sentence-prediction", dataset=str(stories), output=tmp_path / "out", epochs=1, **SETTINGS)
    assert facts.data.text_unit == "documents" and facts.labels == LABELS
    (validation,) = facts.evaluations
    assert validation.count == sum(text.count("\n") for text in STORIES["validation"].split("\n\n"))
    assert all(1 <= mistake.row <= 15 for mistake in validation.mistakes)
    (line,) = [line["validation"] for line in read_log(tmp_path / "out") if "validation" in line]
    assert line["accuracy"] == validation.metrics[0].value  # of the same pairs
    report = quintet.card(tmp_path / "out", license="mit", language="en")
    assert report.problems == ()
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Tells whether the second of two English texts follows the first" in card
    assert "Rows are pairs made of the documents by the seed: half of them follow each other" in card
    assert 'follows = pipeline("next-sentence-prediction"' in card
    first, second = (usage.output for usage in read_facts(tmp_path / "out").usages)
    assert first == second and first.startswith(("IsNext 0.", "NotNext 0."))
    verified = quintet.verify(tmp_path / "out", dataset=str(stories))
    assert verified.is_verified, verified.differing


def test_a_document_of_one_line_is_cut_into_sentences():
    assert sentences_of('He said "no." Then? (Yes.) It cost 3.5 pounds.') == [
        'He said "no."',
        "Then?",
        "(Yes.)",
        "It cost 3.5 pounds.",
    ]
    assert sentences_of("天气很好。我们走吧！") == ["天气很好。", "我们走吧！"]
    assert sentences_of(" one.\n\n two. three") == ["one.", "two. three"]


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        ("One line\nand another", {}, "no pairs can be made of train: documents: 1, sentences of the longest: 2"),
        ("One\n\nTwo\n\nThree", {}, "no pairs can be made of train: documents: 3, sentences of the longest: 1"),
        (
            "One\n\nTwo",
            {"text_unit": "lines"},
            "--text-unit lines means nothing to .*; leave it out, or give documents",
        ),
    ],
)
def test_documents_of_which_no_pairs_can_be_made_are_refused(tmp_path, text, settings, words):
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    given = {"output": tmp_path / "out", "epochs": 1, "validation_fraction": 0, **SETTINGS, **settings}
    with pytest.raises(QuintetError, match=words):
        finetune("next-sentence-prediction", dataset=str(tmp_path / "text.txt"), **given)


def test_labelled_pairs_are_read_as_such_by_who_learnt_from_documents():
    task = find_task("next-sentence-prediction")
    data = load_data(DATA, task=task, text_unit="documents")
    assert set(data.labels) == {"yes", "no"} and data.text_unit is None


def test_every_number_of_its_card_is_computed_again(checkpoint):
    report = quintet.card(checkpoint, license="mit", language="en")
    assert report.problems == ()
    verified = quintet.verify(checkpoint, dataset=DATA)
    assert verified.is_verified, verified.differing


def test_labels_that_do_not_say_whether_a_text_follows_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"the labels are \w+, \w+; expected whether a text follows the other: IsNext"):
        rows = {"train": pairs(8, names=("good", "bad")), "validation": pairs(4, 10, ("good", "bad"))}
        finetune("next-sentence-prediction", dataset=rows, output=tmp_path / "out", epochs=1, **SETTINGS)
