"""`load_data` as training and evaluation call it, and the words of everything that can be wrong with data."""

import json

import datasets
import numpy as np
import pytest
from quintet.finetune.data.fingerprints import _text_key
from quintet.finetune.data.loading import load_data
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task

from .conftest import reviews


def shape(data):
    return {name: len(split) for name, split in data.splits.items()}


def labelled(*labels):
    return [{"text": f"text {number}", "label": label} for number, label in enumerate(labels)]


ONE_TWO = {"one": labelled("a"), "two": labelled("b")}


# --- splits -------------------------------------------------------------------------------------------------------


def test_validation_is_carved_stratified_and_recorded(write_csv, load_stars):
    data = load_stars(write_csv(), seed=3)
    train, validation = data.report.splits
    assert validation.label_histogram == {"negative": 3, "positive": 3}
    assert (validation.rule, validation.seed) == ("10 % of train, stratified by label, equal texts together", 3)
    assert (train.rule, train.seed) == ("train, less what was carved", 3)
    assert data.report.leakage == {"train/validation": 0}


def test_same_seed_same_splits_and_another_seed_others(write_csv, load_stars):
    path = write_csv()
    first, again, other = (load_stars(path, seed=seed).report.splits for seed in (0, 0, 1))
    assert first == again
    assert first[1].fingerprint != other[1].fingerprint


def test_carved_splits_keep_equal_texts_together(load):
    rows = [{"text": f"Review {i % 40}" if i % 2 else f"review  {i % 40}", "label": i % 2} for i in range(400)]
    data = load(rows, validation_fraction=0.2, test_fraction=0.2)
    keys = [{_text_key(text, "") for text in split["text"]} for split in data.splits.values()]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    assert shape(data) == {"train": 240, "validation": 80, "test": 80} or sum(shape(data).values()) == 400
    assert data.report.splits[0].duplicates > 0
    assert set(data.report.leakage.values()) == {0}


def test_given_splits_are_taken_and_leakage_is_counted_and_left(load):
    train = labelled(*"ab" * 10)
    data = load({"train": train, "test": [*train[:3], {"text": "new", "label": "a"}]}, validation_fraction=0)
    assert shape(data) == {"train": 20, "test": 4}
    assert data.report.leakage == {"train/test": 3}


def test_slices_choose_rows(write_csv, load_stars):
    data = load_stars(
        write_csv(), train_split="train[:50%]", validation_split="train[50%:75%]", test_split="train[-15:]"
    )
    assert shape(data) == {"train": 30, "validation": 15, "test": 15}
    assert data.splits["test"]["text"][-1] == reviews()[-1][0]
    assert [split.rule for split in data.report.splits] == ["train[:50%]", "train[50%:75%]", "train[-15:]"]


def test_evaluation_carves_nothing_and_reads_what_is_asked_for(write_csv, load_stars, tmp_path):
    assert shape(load_stars(write_csv(), need_train=False)) == {"test": 60}
    for name in ("train", "dev", "test"):
        write_csv(f"set/{name}.csv")
    assert shape(load_stars(tmp_path / "set", need_train=False)) == {"validation": 60, "test": 60}
    assert shape(load_stars(tmp_path / "set", need_train=False, test_split="train[:5]")) == {"test": 5}
    assert shape(load_stars(tmp_path / "set", test_split="dev", validation_fraction=0))["test"] == 60


def test_max_rows_draws_from_every_split(write_csv, load_stars):
    data = load_stars(write_csv(), max_rows=4)
    assert shape(data) == {"train": 4, "validation": 4}
    assert data.report.splits[1].rule.endswith("; 4 rows drawn")
    assert load_stars(write_csv(), max_rows=4).report == data.report


def test_classes_with_one_row_stay_in_train_and_are_noticed(load):
    data = load(labelled(*"ab" * 10, "c"))
    assert data.report.splits[0].label_histogram["c"] == 1
    assert data.report.notices == ("the label 'c' has one row in train; nothing can be learnt from that",)


# --- labels -------------------------------------------------------------------------------------------------------


def test_labels_are_the_same_over_all_splits(load):
    data = load({"train": labelled("b", "a", "b", "a"), "test": labelled("b", "b")}, validation_fraction=0)
    assert data.labels == ("a", "b")
    assert data.splits["test"]["label"][:] == [1, 1]
    assert data.splits["test"].features == data.splits["train"].features


def test_wanted_names_give_the_ids(write_csv, load_stars, load):
    data = load_stars(write_csv(), label_names=("positive", "neutral", "negative"))
    assert data.labels == ("positive", "neutral", "negative")
    assert set(data.splits["train"]["label"]) == {0, 2}
    assert "train has no row with the label neutral; the model cannot learn it" in data.report.notices
    with pytest.raises(DataError, match=r"labels that are not among the expected ones: negative, positive"):
        load_stars(write_csv(), label_names=("NEG", "POS"))
    ids = load(labelled(*[0, 1] * 10), label_names=("negative", "positive"))
    assert ids.report.notices == ("the data numbers its labels; they were taken for ids: 0 = negative, 1 = positive",)
    assert load(labelled(*[0, 1] * 10)).labels == ("0", "1")


def test_multi_label_becomes_zeros_and_ones(load):
    rows = [{"text": f"text {i}", "label": ["joy", "fear"][: i % 3]} for i in range(30)]
    data = load(rows, validation_fraction=0)
    assert data.problem_type == "multi_label_classification"
    assert data.labels == ("fear", "joy")
    assert data.splits["train"]["label"][:3] == [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    assert data.report.splits[0].label_histogram == {"fear": 10, "joy": 20}
    hot = [{**row, "label": [float("fear" in row["label"]), float("joy" in row["label"])]} for row in rows]
    assert load(hot, validation_fraction=0).splits["train"]["label"][:] == data.splits["train"]["label"][:]


def test_numbers_with_fractions_are_regression(load):
    data = load(labelled(*np.linspace(0, 5, 41).tolist()))
    assert (data.problem_type, data.labels) == ("regression", None)
    assert data.splits["train"].features["label"] == datasets.Value("float32")
    assert sorted([*data.splits["train"]["label"], *data.splits["validation"]["label"]]) == pytest.approx(
        np.linspace(0, 5, 41)
    )
    assert load(labelled(*range(10)), problem_type="regression").labels is None


def test_the_mean_of_the_numbers_is_kept_whatever_the_order_of_the_rows(load):
    rows = labelled(*[0.1, 1e16, 0.7, -1e16, 3.25] * 4, *np.linspace(0, 5, 21).tolist())
    reports = [load(given).report.splits for given in (rows, rows[::-1])]
    for split, reverse in zip(*reports, strict=True):
        assert split.label_mean == reverse.label_mean
        assert split.fingerprint == reverse.fingerprint
    train, validation = reports[0]
    total = train.rows * train.label_mean + validation.rows * validation.label_mean
    assert total == pytest.approx(4 * 4.05 + 52.5, abs=4)
    (whole,) = load(labelled(1.5, 2.0, 4.0), validation_fraction=0).report.splits
    assert whole.label_mean == 2.5
    assert load(labelled(*"ab" * 10)).report.facts().splits[0].label_mean is None


def test_pairs_keep_their_second_text(load):
    rows = [{"sentence1": f"a {i}", "sentence2": f"b {i}", "label": i % 2} for i in range(20)]
    data = load(rows)
    assert data.splits["train"].column_names == ["text", "text_pair", "label"]
    assert data.report.columns == {"text": "sentence1", "text_pair": "sentence2", "label": "label"}


def test_hidden_labels_leave_their_split_out(load):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
    train = datasets.Dataset.from_list(labelled(*[0, 1] * 10), features=features)
    hidden = datasets.Dataset.from_list(labelled(*[-1] * 4), features=features)
    data = load(datasets.DatasetDict({"train": train, "test": hidden}))
    assert "test" not in data.splits
    assert data.report.notices == ("split 'test' of the data set given has no labels and was left out",)
    bare = load({"train": labelled(*"ab" * 10), "test": [{"text": "x"}]})
    assert bare.report.notices == ("split 'test' of rows given has no labels and was left out",)
    with pytest.raises(DataError, match="split 'test' of rows given has no column 'label'; found: text"):
        load({"train": labelled(*"ab" * 10), "test": [{"text": "x"}]}, test_split="test")


# --- bad rows -----------------------------------------------------------------------------------------------------


def test_bad_rows_name_file_row_and_column(write_csv, load_stars):
    path = write_csv(rows=[*reviews(20), ("", "positive"), ("no stars", ""), *reviews(24)[20:]])
    with pytest.raises(
        DataError, match=r"reviews\.csv, row 21: column 'review' is missing or empty \(2 rows .*--bad-rows skip"
    ):
        load_stars(path)


def test_skipped_rows_are_counted_and_written(write_csv, load_stars, tmp_path):
    path = write_csv(rows=[*reviews(20), ("", "positive"), ("no stars", ""), ("a", "b", "c"), *reviews(24)[20:]])
    data = load_stars(path, bad_rows="skip", rejected_path=tmp_path / "rejected.jsonl")
    assert sum(shape(data).values()) == 24
    assert data.report.rejected_rows == data.report.facts().rejected_rows == 3
    written = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert {(row["source"], row["row"]) for row in written} == {("reviews.csv", number) for number in (21, 22, 23)}
    assert {row["reason"][:28] for row in written} >= {"column 'review' is missing o", "column 'stars' is missing or"}
    assert [row["raw"] for row in written if row["row"] == 22] == ["no stars"]


def test_bad_rows_in_memory_and_in_datasets_have_places(load):
    rows = [*labelled(*"ab" * 5), {"text": None, "label": "a"}]
    with pytest.raises(DataError, match=r"the rows given, row 11: column 'text' is missing"):
        load(rows)
    with pytest.raises(DataError, match=r"split 'train', row 11: column 'text' is missing"):
        load(datasets.Dataset.from_list(rows))
    with pytest.raises(DataError, match=r"row 3: column 'text' holds the int 3; expected text"):
        load([*labelled("a", "b"), {"text": 3, "label": "a"}])
    with pytest.raises(DataError, match=r"column 'text' of train holds int64; expected text"):
        load(datasets.Dataset.from_dict({"text": [1, 2], "label": [0, 1]}))


def test_bad_rows_outside_of_the_slice_do_not_matter(write_csv, load_stars):
    path = write_csv(rows=[*reviews(40), ("", "positive")])
    assert shape(load_stars(path, train_split="train[:40]", validation_fraction=0)) == {"train": 40}


def test_nothing_but_bad_rows_is_an_error(load):
    with pytest.raises(
        DataError, match=r"no row of train can be used; the first: the rows given, row 1: column 'text' is"
    ):
        load([{"text": "", "label": "a"}], bad_rows="skip")
    with pytest.raises(DataError, match=r"row 1: column 'label' is missing or empty"):
        load(labelled(None, None))


# --- what cannot be trained on ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (labelled("a", "a", "a"), {}, r"one class only \('a' in all 3 rows of train\); training needs at least two"),
        (labelled("a"), {}, "train has one row only, with the label 'a'; training needs rows of two classes at least"),
        (labelled("a", "b"), {}, r"validation cannot be carved from train: no class has two different texts in its 2"),
        (
            {"train": labelled(*"ab" * 5), "test": labelled("c", "a")},
            {},
            r"test has labels that train never saw: c \(train has a, b\)",
        ),
        (ONE_TWO, {}, r"has no split 'train' \(found: one, two\)\. Choose one with --train-split one"),
        (ONE_TWO, {"need_train": False}, r"is a whole set of splits \(one, two\) where one is needed"),
        (
            {"train": labelled("a", "b")},
            {"validation_split": "dev"},
            r"--validation-split 'dev' is not in rows given \(found: train\)",
        ),
        (
            labelled("a", "b"),
            {"test_split": "test"},
            r"--test-split 'test' is not in rows given \(found: train\)\. Use --test-split train",
        ),
        (labelled(*"ab" * 5), {"test_split": "train[:2]"}, r"share 2 rows; what is trained on must not be evaluated"),
        (labelled(*range(300)), {}, r"300 different values in 300 rows, such as '0', so they are hardly classes"),
        ([{"text": "a", "label": []}] * 3, {}, r"holds no label in any of the 3 rows of train"),
    ],
)
def test_data_that_cannot_be_trained_on_is_told(load, data, options, words):
    with pytest.raises(DataError, match=words):
        load(data, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation_fraction": 1.0}, r"--validation-fraction 1\.0 is out of range; expected a fraction in \[0, 1\)"),
        ({"validation_fraction": 0.5, "test_fraction": 0.5}, r"leave nothing for training; expected a sum below 1"),
        ({"max_rows": 0}, r"--max-rows 0 is out of range; expected 1 or more"),
        ({"train_split": "train[:10"}, r"'train\[:10' is no split"),
    ],
)
def test_settings_that_cannot_be_are_told(load, options, words):
    with pytest.raises(UsageError, match=words):
        load(labelled(*"ab" * 5), **options)


def test_one_class_is_enough_for_evaluation(load):
    assert shape(load(labelled("a", "a"), need_train=False)) == {"test": 2}


def test_facts_hold_what_the_report_holds_and_no_text(write_csv, load_stars):
    data = load_stars(write_csv())
    facts = data.report.facts()
    assert (facts.name, facts.kind, facts.columns) == ("reviews.csv", "local", {"text": "review", "label": "stars"})
    assert [split.fingerprint for split in facts.splits] == [split.fingerprint for split in data.report.splits]
    assert "film" not in str(facts)


def test_questions_about_one_context_stay_on_one_side():
    rows = []
    for number in range(60):
        context = f"Ada went to Rome on day {number // 3}."
        rows.append(
            {"question": f"Who? {number}", "context": context, "answers": {"text": ["Ada"], "answer_start": [0]}}
        )
    data = load_data(rows, task=find_task("qa"), validation_fraction=0.2)
    sides = {role: set(data.splits[role]["context"]) for role in ("train", "validation")}
    assert len(sides["validation"]) == 4 and not sides["train"] & sides["validation"]
    assert len(data.splits["validation"]) == 12
    (report,) = [split for split in data.report.splits if split.name == "validation"]
    assert report.rule == "20 % of train, questions about one context together"


def asked(question, texts, starts, context="Ada went to Rome in May."):
    return {"question": question, "context": context, "answers": {"text": texts, "answer_start": starts}}


def test_answers_that_stand_elsewhere_and_questions_without_are_counted_for_each_split():
    """Counted are the rows that are used, of which the bad one is none, whatever the order of the sources."""
    train = [
        asked("Who?", ["Ada"], [0]),
        asked("Where?", ["Rome"], [13]),
        asked("When?", ["May", "in May"], [20, -1]),
        asked("Why?", [], []),
        asked("Whom?", ["Bob"], [5]),
    ]
    splits = {"train": train, "validation": [asked("Who? 2", ["Ada"], [0]), asked("Who? 3", [], [])]}
    data = load_data(splits, task=find_task("qa"), bad_rows="skip")
    counted = [(split.name, split.rows, split.moved_answers, split.unanswered) for split in data.report.splits]
    assert counted == [("train", 4, 2, 1), ("validation", 2, 0, 1)]
    assert data.report.notices == (
        (
            "questions with an answer that does not stand at its answer_start: 2 of 4 in train; it is taken "
            "at the nearest place where it stands"
        ),
        "questions without an answer: 1 of 4 in train, 1 of 2 in validation",
    )
    assert [(split.moved_answers, split.unanswered) for split in data.report.facts().splits] == [(2, 1), (0, 1)]


def test_other_tasks_have_no_answers_to_count(write_csv, load_stars):
    (split, *_) = load_stars(write_csv()).report.splits
    assert (split.moved_answers, split.unanswered) == (None, None)


def test_whole_numbers_are_places_however_they_are_kept():
    rows = [asked("Where?", ["Rome"], [start]) for start in (12, 12.0, np.int32(12))]
    data = load_data(rows, task=find_task("qa"), validation_fraction=0)
    assert data.splits["train"]["answers"][:] == [{"text": ["Rome"], "answer_start": [12]}] * 3


@pytest.mark.parametrize("start", [None, "12", 12.5])
def test_a_place_that_is_no_number_is_named(start):
    """Also by a look at the data, in which all rows are like that."""
    said = rf"row 1: column 'answers' holds an answer_start that is {start!r}; expected the number of the context's"
    with pytest.raises(DataError, match=said):
        load_data([asked("Where?", ["Rome"], [start])], task=find_task("qa"))
    with pytest.raises(DataError, match=f"no row of train can be used; the first: .*{said}"):
        load_data([asked("Where?", ["Rome"], [start])], task=find_task("qa"), bad_rows="skip")


def test_of_one_row_nothing_can_be_carved():
    with pytest.raises(DataError, match="validation cannot be carved from train, which has one row only; give more"):
        load_data([asked("Where?", ["Rome"], [12])], task=find_task("qa"))
