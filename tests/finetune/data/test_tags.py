import doctest

import pytest
from quintet.finetune.data import describe_data, load_data, tags
from quintet.finetune.data.tags import is_scheme, tag_order
from quintet.pipelines.errors import DataError
from quintet.pipelines.tasks import find_task

NER = find_task("ner")
ROWS = [
    {"tokens": ["Jim", "Smith", "sleeps"], "tags": ["B-PER", "I-PER", "O"]},
    {"tokens": ["Ann", "eats"], "tags": ["B-PER", "O"]},
    {"tokens": ["Rome"], "tags": ["B-LOC"]},
    {"tokens": ["It", "rains"], "tags": ["O", "O"]},
]


def load(rows, **options):
    return load_data(rows, task=NER, **{"validation_fraction": 0.0, **options})


def test_examples_in_docstrings():
    results = doctest.testmod(tags)
    assert results.attempted >= 3 and results.failed == 0


def test_tags_become_ids_in_the_order_of_words():
    data = load(ROWS)
    assert data.problem_type == "tagging"
    assert data.labels == ("O", "B-LOC", "B-PER", "I-PER")
    assert data.splits["train"]["tags"][:] == [[2, 3, 0], [2, 0], [1], [0, 0]]
    assert data.splits["train"]["tokens"][0] == ["Jim", "Smith", "sleeps"]
    assert data.report.splits[0].label_histogram == {"O": 4, "B-LOC": 1, "B-PER": 2, "I-PER": 1}


def test_other_schemes_are_read_as_iob2_and_repairs_are_counted():
    rows = [
        {"tokens": ["Jim", "Smith"], "tags": ["B-PER", "E-PER"]},
        {"tokens": ["Ann", "Rome"], "tags": ["S-PER", "I-LOC"]},
        {"tokens": ["x"], "tags": ["O"]},
    ]
    data = load(rows)
    names = [[data.labels[tag] for tag in row] for row in data.splits["train"]["tags"]]
    assert names == [["B-PER", "I-PER"], ["B-PER", "B-LOC"], ["O"]]
    assert "1 tags go on with an entity that never began, and were read as its beginning" in data.report.notices


def test_parts_of_speech_stay_as_they_are():
    data = load([{"tokens": ["a", "dog"], "tags": ["DT", "NN"]}, {"tokens": ["I"], "tags": ["PRP"]}])
    assert data.labels == ("DT", "NN", "PRP") and not is_scheme(data.labels)
    assert sorted(["I-PER", "B-PER", "O", "B-LOC"], key=tag_order) == ["O", "B-LOC", "B-PER", "I-PER"]


def test_words_and_tags_may_be_text_with_spaces(tmp_path):
    (tmp_path / "a.csv").write_text("words,tags\nJim sleeps,B-PER O\nRome,B-LOC\n", encoding="utf-8")
    data = load(str(tmp_path / "a.csv"))
    assert data.splits["train"]["tokens"][:] == [["Jim", "sleeps"], ["Rome"]]
    assert [[data.labels[tag] for tag in row] for row in data.splits["train"]["tags"]] == [["B-PER", "O"], ["B-LOC"]]


def test_the_same_rows_have_the_same_fingerprint_in_any_format(tmp_path):
    conll = "\n\n".join(
        "\n".join(f"{word} {tag}" for word, tag in zip(row["tokens"], row["tags"], strict=True)) for row in ROWS
    )
    (tmp_path / "train.conll").write_text(conll, encoding="utf-8")
    from_file, from_memory = load(str(tmp_path / "train.conll")), load(ROWS)
    assert from_file.report.splits[0].fingerprint == from_memory.report.splits[0].fingerprint
    changed = [{**ROWS[0], "tags": ["B-PER", "O", "O"]}, *ROWS[1:]]
    assert load(changed).report.splits[0].fingerprint != from_memory.report.splits[0].fingerprint


def test_numbers_are_named_by_the_data_set():
    import datasets

    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"])),
        }
    )
    rows = datasets.Dataset.from_dict({"tokens": [["Jim", "Smith"], ["x"]], "ner_tags": [[1, 2], [0]]}, features)
    data = load(rows)
    assert data.labels == ("O", "B-PER", "I-PER")
    assert data.splits["train"]["tags"][:] == [[1, 2], [0]]
    assert data.report.columns == {"tokens": "tokens", "tags": "ner_tags"}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "column 'tags' holds 1 tags for 2 words; each needs one"),
        ({"tokens": [], "tags": []}, "column 'tokens' is missing or empty"),
        ({"tokens": ["a"], "tags": None}, "column 'tags' is missing or empty"),
        (
            {"tokens": ["a", None], "tags": ["O", "O"]},
            r"column 'tokens' holds the list \['a', None\]; expected a list of",
        ),
        ({"tokens": 5, "tags": ["O"]}, "column 'tokens' holds the int 5; expected a list of words"),
        ({"tokens": ["a"], "tags": [None]}, "column 'tags' holds a list with a missing label"),
    ],
)
def test_bad_rows_are_told_or_skipped_and_counted(row, sentence):
    with pytest.raises(DataError, match=sentence):
        load([*ROWS, row])
    report = describe_data([*ROWS, row], task="ner", validation_fraction=0.0)
    assert report.rejected_rows == 1 and report.splits[0].rows == len(ROWS)


def test_nothing_but_words_outside_of_entities_teaches_nothing():
    with pytest.raises(DataError, match="column 'tags' holds no tag but O in all 2 rows of train, so there is nothing"):
        load([{"tokens": ["a"], "tags": ["O"]}, {"tokens": ["b"], "tags": ["O"]}])


def test_missing_columns_are_guessed():
    with pytest.raises(
        DataError, match=r"no column 'tags'; found: words, marks.*Use --columns tokens=words,tags=marks"
    ):
        load([{"words": ["a", "b", "c"], "marks": ["O", "O", "B-X"]}] * 3)


def test_validation_is_carved_by_the_rarest_tag():
    rows = [{"tokens": [f"name{i}"], "tags": ["B-PER" if i % 2 else "B-LOC"]} for i in range(40)]
    data = load(rows, validation_fraction=0.25, seed=3)
    assert data.report.splits[1].rule == "25 % of train, stratified by the rarest tag, equal texts together"
    assert data.report.splits[1].label_histogram == {"B-LOC": 5, "B-PER": 5}
