import numpy as np
import pytest
from quintet.finetune.label_matching import label_ids, matched_labels, parse_label_map
from quintet.pipelines.errors import DataError, UnknownNameError, UsageError

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


def test_names_in_another_order_get_the_ids_of_the_checkpoint():
    assert label_ids(["positive", "negative"], ["negative", "positive"]).tolist() == [1, 0]
    assert label_ids(["Positive"], ["negative", "positive"]).tolist() == [1]


def test_case_tells_two_classes_apart_where_the_checkpoint_has_both():
    assert label_ids(["US", "us"], ["us", "US"]).tolist() == [1, 0]
    with pytest.raises(DataError, match="does not know the label 'Us'"):
        label_ids(["Us"], ["us", "US"])


def test_unknown_labels_list_both_sides_and_the_flag_to_map_them():
    with pytest.raises(DataError) as caught:
        label_ids(["0", "1"], ["negative", "positive"])
    assert str(caught.value) == (
        "the checkpoint does not know the labels '0', '1' of the data set (data set: '0', '1'; checkpoint: 'negative', "
        "'positive'). If that is what they mean: --label-map 0=negative,1=positive"
    )


@pytest.mark.parametrize(
    ("found", "names", "flag"),
    [
        (["pos", "neg"], ["negative", "positive"], "--label-map pos=positive,neg=negative"),
        (["postive", "negative"], ["negative", "positive"], "--label-map postive=positive"),
        (["a b", "c"], ["x", "y"], "--label-map 'a b=x,c=y'"),
        (["1", "2", "3"], ["negative", "positive"], "Name the pairs with --label-map theirs=ours"),
    ],
)
def test_the_suggested_map_pairs_what_belongs_together(found, names, flag):
    with pytest.raises(DataError) as caught:
        label_ids(found, names)
    assert flag in str(caught.value)


def test_a_map_is_followed_and_must_name_what_exists():
    assert label_ids(["0", "1"], ["negative", "positive"], {"0": "negative", "1": "positive"}).tolist() == [0, 1]
    assert label_ids(["4", "5", "1"], ["bad", "good"], {"4": "good", "5": "good", "1": "bad"}).tolist() == [1, 1, 0]
    with pytest.raises(UnknownNameError, match=r"unknown label in --label-map '2'; .*labels of the data set"):
        label_ids(["0"], ["negative"], {"2": "negative"})
    with pytest.raises(UnknownNameError, match="'postive'; did you mean positive"):
        label_ids(["1"], ["negative", "positive"], {"1": "postive"})


def test_a_map_is_read_from_text():
    assert parse_label_map("0=negative, 1=positive") == {"0": "negative", "1": "positive"}
    for wrong in ("0", "0=a,0=b", "=,x"):
        with pytest.raises(UsageError, match="expected name=name pairs"):
            parse_label_map(wrong)


def test_declared_labels_that_no_row_has_need_not_be_known():
    found = np.array([1, 1, 0])
    ids = matched_labels(found, ["negative", "positive", "unsure"], SINGLE, ["positive", "negative"], SINGLE)
    assert ids.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="'unsure'"):
        matched_labels(np.array([2]), ["negative", "positive", "unsure"], SINGLE, ["positive", "negative"], SINGLE)


def test_multi_label_columns_are_put_in_the_order_of_the_checkpoint():
    found = np.array([[1.0, 0, 0], [0, 1, 0]])
    hot = matched_labels(found, ["joy", "anger", "unused"], MULTI, ["anger", "fear", "joy"], MULTI)
    assert hot.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_whole_numbers_that_looked_like_classes_are_numbers_for_a_regression():
    assert matched_labels(np.array([1, 0]), ["2", "5"], SINGLE, (), REGRESSION).tolist() == [5, 2]
    assert matched_labels(np.array([0.5]), None, REGRESSION, (), REGRESSION).tolist() == [0.5]
    with pytest.raises(DataError, match=r"answers with a number, .* are names \('good'\)"):
        matched_labels(np.array([0]), ["good"], SINGLE, (), REGRESSION)


def test_labels_of_another_kind_are_refused():
    with pytest.raises(
        DataError, match=r"are numbers \(the first is 3.5\), the checkpoint answers with classes \('a', 'b'\)"
    ):
        matched_labels(np.array([3.5]), None, REGRESSION, ["a", "b"], SINGLE)
    with pytest.raises(
        DataError, match="the data set has several labels a row, the checkpoint was trained for one label"
    ):
        matched_labels(np.array([[1, 0]]), ["a", "b"], MULTI, ["a", "b"], SINGLE)
    with pytest.raises(DataError, match="the data set has one label a row, the checkpoint was trained for several"):
        matched_labels(np.array([0]), ["a"], SINGLE, ["a", "b"], MULTI)
