"""What a user may give by mistake, and the sentence that she gets."""

import datasets
import numpy as np
import pytest
from quintet.pipelines import InputError, UsageError, WeightsError, pipeline

BAD = [
    (None, "expected a text, got None; leave missing values out"),
    (3, r"expected a text, got the number 3; if it is meant as text, give str\(3\)"),
    (2.5, "expected a text, got the number 2.5"),
    (float("nan"), "expected a text, got nan, a missing value"),
    (np.float64("nan"), "expected a text, got nan, a missing value"),
    (b"good", r"expected a text, got bytes; decode it first: value.decode\('utf-8'\)"),
    (["good", "bad"], 'expected a text, got a list of 2; a pair of texts is given as {"text": "first"'),
    ({"txt": "good"}, "expected a dict with 'text' and perhaps 'text_pair', got one with 'txt'"),
    ({"text": "good", "stars": 3}, "got one with 'text', 'stars'; of a data set give the column with the texts"),
    ({}, "got one with no keys"),
    ({"text": None}, "expected a text as 'text', got None"),
    ({"text": "good", "text_pair": 4}, "expected a text as 'text_pair', got the number 4"),
    ([["good", None]], "expected a text as the second of the pair, got None"),
    ("good \ud83d film", r"the text is not valid Unicode: position 5 holds '\\ud83d', half of a surrogate pair"),
    (b"caf\xe9".decode("utf-8", "surrogateescape"), r"position 3 holds '\\udce9'"),
    (object(), "expected a text, got object"),
]


@pytest.mark.parametrize(("item", "words"), BAD)
def test_a_bad_item_of_a_list_is_named_with_its_index(bert, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}") as caught:
        bert(["good", item, "bad"])
    assert caught.value.index == 1


@pytest.mark.parametrize(("item", "words"), BAD)
def test_a_bad_item_is_recorded_and_the_others_are_answered(bert, item, words):
    answers = bert(["good", item, "bad"], on_error="record")
    assert list(answers[1]) == ["error"]
    assert [answers[0]["label"], answers[2]["label"]] == [bert("good")[0]["label"], bert("bad")[0]["label"]]


@pytest.mark.parametrize("item", [None, 3, b"good", {"txt": "good"}])
def test_a_bad_single_input_is_an_error(bert, item):
    with pytest.raises(InputError, match="expected a"):
        bert(item)
    assert "error" in bert(item, on_error="record")


def test_answers_before_a_bad_item_of_a_stream_are_given_first(bert):
    answers = bert(text for text in ["good", "bad", None, "film"])
    assert [next(answers)["label"], next(answers)["label"]] == [answer["label"] for answer in bert(["good", "bad"])]
    with pytest.raises(InputError, match="input 2: expected a text, got None"):
        next(answers)


def test_a_whole_data_set_is_refused(bert):
    data = datasets.Dataset.from_dict({"text": ["good"], "label": [1]})
    with pytest.raises(InputError, match="got one with 'text', 'label'; of a data set give the column with the texts"):
        list(bert(data))
    with pytest.raises(InputError, match="got a whole DatasetDict with the splits 'test'; give a column of one split"):
        bert(datasets.DatasetDict({"test": data}))


def test_odd_texts_are_texts(bert):
    odd = [
        "",
        "   ",
        "\x00\x07\x1b[31m",
        "👍🏽👩‍👩‍👧",
        "فيلم جيد جدا",
        "\u202egood",
        "\ufeffgood",
        "e\u0301" * 50,
        "\n",
    ]
    answers = bert(odd)
    assert len(answers) == len(odd)
    assert all(0 < answer["score"] <= 1 for answer in answers)


def test_a_family_without_weights_says_train_it_first():
    with pytest.raises(UsageError, match="is a family without trained weights; train it first: quintet finetune"):
        pipeline("sentiment", "lstm")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        pipeline("sentiment", tmp_path)


def test_a_whole_data_frame_is_refused_with_the_way_out(bert):
    import pandas

    with pytest.raises(UsageError, match=r"got a whole data frame; give the column with the texts: frame\['text'\]"):
        bert(pandas.DataFrame({"text": ["good"]}))


def test_an_empty_model_name_is_refused():
    with pytest.raises(UsageError, match="model is empty; give an embedded name, a folder, or a Hub id"):
        pipeline("sentiment", model="")


def test_neutral_must_be_a_number(bert):
    with pytest.raises(UsageError, match=r"neutral is '0\.6'; expected a probability in \[0, 1\]"):
        bert("good", neutral="0.6")
