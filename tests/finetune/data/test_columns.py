"""Columns are found by name and type, and a near miss says what to type."""

import pytest
from quintet.finetune.data.columns import find_columns
from quintet.finetune.data.rows import Sample
from quintet.pipelines.errors import DataError, UnknownNameError
from quintet.pipelines.tasks import find_task

TASK = find_task("sentiment")
REVIEWS = Sample({"review": ["a fine meal", "a cold room", "no"], "stars": ["5", "1", "1"]})


def find(sample, given=None):
    return find_columns(sample, TASK, given, source="reviews.csv")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("text", "label"), {"text": "text", "label": "label"}),
        (("Sentence", "LABEL", "idx"), {"text": "Sentence", "label": "LABEL"}),
        (("review", "sentiment"), {"text": "review", "label": "sentiment"}),
        (("sentence1", "sentence2", "label"), {"text": "sentence1", "text_pair": "sentence2", "label": "label"}),
        (("sentence", "text", "labels"), {"text": "text", "label": "labels"}),
    ],
)
def test_columns_are_found_by_name(names, found):
    assert find(Sample({name: ["x"] for name in names})) == found


def test_the_only_column_with_class_names_is_the_label():
    sample = Sample({"text": ["x"], "rating": [0]}, {"rating": ("bad", "good")})
    assert find(sample) == {"text": "text", "label": "rating"}


def test_near_miss_lists_what_was_found_and_a_command_that_works():
    with pytest.raises(
        DataError, match=r"no column 'label'; found: review, stars\. Use --columns text=review,label=stars$"
    ):
        find(REVIEWS)
    assert find(REVIEWS, {"text": "review", "label": "stars"}) == {"text": "review", "label": "stars"}
    assert find(REVIEWS, {"label": "stars"}) == {"text": "review", "label": "stars"}


def test_suggestion_goes_by_contents_where_names_say_nothing():
    rows = {"id": ["1", "2", "3", "4"], "kind": ["a", "b", "a", "b"], "note": ["long words"] * 3 + ["longer words"]}
    with pytest.raises(DataError, match=r"Use --columns text=note,label=kind$"):
        find(Sample(rows))


def test_misspelled_column_is_recognised():
    with pytest.raises(
        DataError, match=r"no column 'reviw'; found: review, stars\. Did you mean review\? Use --columns"
    ):
        find(REVIEWS, {"text": "reviw", "label": "stars"})
    with pytest.raises(UnknownNameError, match=r"--columns lable=stars: .*has no column 'lable'; did you mean label\?"):
        find(REVIEWS, {"lable": "stars"})


def test_wide_table_is_shortened_and_headerless_one_is_suspected():
    with pytest.raises(DataError, match=r"found: c0, c1, .*, c19, … \(100 columns\)\. Use"):
        find(Sample({f"c{number}": ["x"] for number in range(100)}))
    with pytest.raises(DataError, match="if the first line is a row, put a line with column names above it"):
        find(Sample({"a really lovely film indeed": ["x"], "positive": ["positive"]}))


def test_one_column_cannot_be_two():
    with pytest.raises(DataError, match="column 'review' cannot be two of the task's columns at once"):
        find(REVIEWS, {"text": "review", "label": "review"})


def test_who_names_the_text_names_the_pair_too():
    sample = Sample({"sentence1": ["a"], "sentence2": ["b"], "label": ["x"]})
    assert find(sample, {"text": "sentence2"}) == {"text": "sentence2", "label": "label"}
    both = {"text": "sentence2", "text_pair": "sentence1"}
    assert find(sample, both) == {**both, "label": "label"}
