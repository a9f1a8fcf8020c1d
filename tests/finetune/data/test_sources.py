"""One data set in every shape gives the same rows, labels and fingerprints."""

import json

import datasets
import pandas
import polars
import pytest
from quintet.pipelines.errors import DataError, UsageError

from .conftest import reviews

ROWS = [{"text": text, "label": label} for text, label in reviews()]


def as_features(names):
    return datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})


def as_dataset():
    return datasets.Dataset.from_list(ROWS)


def as_classes():
    return as_dataset().cast(as_features(["negative", "positive"]))


SHAPES = {
    "csv": lambda folder: pandas.DataFrame(ROWS).to_csv(folder / "d.csv", index=False) or folder / "d.csv",
    "tsv": lambda folder: pandas.DataFrame(ROWS).to_csv(folder / "d.tsv", index=False, sep="\t") or folder / "d.tsv",
    "csv.gz": lambda folder: pandas.DataFrame(ROWS).to_csv(folder / "d.csv.gz", index=False) or folder / "d.csv.gz",
    "jsonl": lambda folder: (folder / "d.jsonl").write_text("\n".join(map(json.dumps, ROWS))) and folder / "d.jsonl",
    "json": lambda folder: (folder / "d.json").write_text(json.dumps(ROWS)) and folder / "d.json",
    "parquet": lambda folder: as_dataset().to_parquet(folder / "d.parquet") and folder / "d.parquet",
    "classes": lambda folder: as_classes().to_parquet(folder / "c.parquet") and folder / "c.parquet",
    "url": lambda folder: pandas.DataFrame(ROWS).to_csv(folder / "d.csv", index=False) or f"file://{folder}/d.csv",
    "save_to_disk": lambda folder: as_dataset().save_to_disk(folder / "saved") or str(folder / "saved"),
    "list": lambda folder: ROWS,
    "columns": lambda folder: {name: [row[name] for row in ROWS] for name in ("text", "label")},
    "pandas": lambda folder: pandas.DataFrame(ROWS).astype({"label": "category"}),
    "polars": lambda folder: polars.DataFrame(ROWS),
    "Dataset": lambda folder: as_dataset(),
    "DatasetDict": lambda folder: datasets.DatasetDict({"train": as_dataset()}),
    "dict of splits": lambda folder: {"train": ROWS},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_splits(tmp_path, capfd, load, shape):
    data = load(SHAPES[shape](tmp_path))
    assert data.labels == ("negative", "positive")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 54, "validation": 6}
    assert data.splits["train"].features == as_features(["negative", "positive"])
    assert [split.fingerprint[:8] for split in data.report.splits] == ["aefb6c87", "1e89eb76"]
    assert str(tmp_path) not in json.dumps(data.report.to_json())


def test_class_folders_with_splits_are_read(tmp_path, load):
    for number, (text, stars) in enumerate(reviews(20)):
        path = tmp_path / "set" / ("train" if number < 16 else "test") / stars / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    data = load(tmp_path / "set", validation_fraction=0)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 16, "test": 4}
    assert data.report.name == "set"
    assert sorted(data.splits["test"]["label"]) == [0, 0, 1, 1]


def test_files_named_after_splits_are_these_splits(write_csv, tmp_path, load_stars):
    rows = reviews(90)
    for name, part in (
        ("train.csv", rows[:60]),
        ("dev.csv", rows[60:80]),
        ("x_test.csv", rows[80:]),
        ("other.csv", rows),
    ):
        write_csv(f"set/{name}", part)
    data = load_stars(tmp_path / "set")
    assert [(split.name, split.rows, split.rule) for split in data.report.splits] == [
        ("train", 60, "given"), ("validation", 20, "given"), ("test", 10, "given"),
    ]  # fmt: skip
    assert data.report.notices == ("other.csv of set belong to no split by their names and were left out",)


def test_what_was_named_is_recorded_however_many_files_it_holds(write_csv, tmp_path, load_stars, monkeypatch):
    file = write_csv("set/reviews.csv", reviews(40))
    monkeypatch.chdir(tmp_path / "set")
    for given, name in (
        (file, "reviews.csv"),
        (tmp_path / "set", "set"),
        (f"{tmp_path}/set/", "set"),
        (".", "set"),
        ("*.csv", "*.csv"),
    ):
        assert load_stars(given).report.name == name


def test_several_files_are_united_by_split(write_csv, load_stars):
    rows = reviews(80)
    train, more, test = (
        write_csv(name, part)
        for name, part in (("train.csv", rows[:40]), ("a/train.csv", rows[40:60]), ("test.csv", rows[60:]))
    )
    data = load_stars(f"{train}, {more},{test}", validation_fraction=0)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 60, "test": 20}
    assert data.report.name == "train.csv,train.csv,test.csv"


def test_sources_of_different_kinds_are_united_by_label_name(tmp_path, write_csv, load):
    folder = tmp_path / "saved"
    names = ["positive", "negative"]
    split = datasets.Dataset.from_list(ROWS[:20]).cast(as_features(names))
    datasets.DatasetDict({"train": split}).save_to_disk(folder)
    path = write_csv(rows=reviews(60)[20:], header=("text", "label"))
    data = load(f"{folder},{path}", validation_fraction=0)
    assert data.labels == ("positive", "negative")
    found = {row["text"]: data.labels[row["label"]] for row in data.splits["train"]}
    assert found == dict(reviews())


# --- what is no data set ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], r"the list given for 'train' is empty; expected rows such as"),
        (["a", "b"], r"row 1 of the list given is a str; expected a dict"),
        (7, r"a data set cannot be of type int; expected a path"),
        ({"text": ["a"], "label": []}, r"the columns given have different lengths"),
        ({"x": datasets.DatasetDict({"a": as_dataset()})}, r"split 'x' is a whole DatasetDict .*Pass dataset\['a'\]"),
        (as_dataset().to_iterable_dataset(), r"is streaming data, which has no length"),
        (" ", r"the data set has no name; give a file"),
    ],
)  # fmt: skip
def test_what_is_no_data_set_is_told(load, data, words):
    with pytest.raises((DataError, UsageError), match=words):
        load(data)


def test_missing_files_are_not_looked_for_on_the_hub(tmp_path, write_csv, load, monkeypatch):
    write_csv()
    monkeypatch.chdir(tmp_path)
    for name in ("reviws.csv", "./reviws"):
        with pytest.raises(DataError, match=rf"there is no file or folder '{name}'; did you mean reviews\.csv\?"):
            load(name)


def test_files_without_rows_are_told(tmp_path, write_csv, load):
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.csv is empty; expected rows"):
        load(tmp_path / "empty.csv")
    with pytest.raises(DataError, match=r"reviews\.csv holds no rows; expected a header and rows"):
        load(write_csv(rows=[]))


def test_folders_that_cannot_be_read_are_told(tmp_path, load):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"folder 'nothing' holds no data \(found: nothing\)"):
        load(tmp_path / "nothing")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.json").write_text("{}")
    with pytest.raises(DataError, match="folder 'broken' looks like one of save_to_disk but cannot be read"):
        load(tmp_path / "broken")
