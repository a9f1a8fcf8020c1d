"""Files with the same text in several languages, and columns that hold several texts by name."""

import gzip
import itertools
import json
from string import ascii_lowercase

import pytest
from quintet.cards.languages import LANGUAGES
from quintet.finetune.data import load_data
from quintet.finetune.data.description import describe_data
from quintet.pipelines.errors import DataError
from quintet.pipelines.nested_columns import nested_names, stored_column, value_at
from quintet.pipelines.parallel_texts import group_parallel, is_language, language_of
from quintet.pipelines.records import find_files, read_records
from quintet.pipelines.tasks import find_task, in_languages, task_options

EN_DE = in_languages(find_task("translation"), task_options("translation_en_to_de"))
DE_EN = in_languages(find_task("translation"), task_options("translation_de_to_en"))


@pytest.fixture
def folder(tmp_path):
    files = {
        "train.en": "a dog\na cat\na man\n",
        "train.de": "ein Hund\neine Katze\nein Mann\n",
        "val.en": "two dogs\n",
        "val.de": "zwei Hunde\n",
        "README.md": "not data\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for language, text in (("en", "three dogs\n"), ("de", "drei Hunde\n")):
        (tmp_path / f"test_2016_flickr.{language}.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_a_folder_is_three_splits(folder):
    data = load_data(str(folder), task=EN_DE)
    assert {name: list(rows) for name, rows in data.splits.items()} == {
        "train": [
            {"text": "a dog", "target": "ein Hund"},
            {"text": "a cat", "target": "eine Katze"},
            {"text": "a man", "target": "ein Mann"},
        ],
        "validation": [{"text": "two dogs", "target": "zwei Hunde"}],
        "test": [{"text": "three dogs", "target": "drei Hunde"}],
    }
    back = load_data(str(folder), task=DE_EN)
    assert back.splits["test"][0] == {"text": "drei Hunde", "target": "three dogs"}
    assert back.report.columns == {"text": "de", "target": "en"}


def test_a_list_of_files_and_columns_by_name(folder):
    names = ",".join(str(folder / name) for name in ("train.en", "train.de", "val.en", "val.de"))
    data = load_data(names, task=find_task("translation"), columns={"text": "de", "target": "en"})
    assert data.splits["train"][0] == {"text": "ein Hund", "target": "a dog"}
    assert data.report.name == "train.en,train.de,val.en,val.de"


def test_other_lines_are_read_again(folder):
    assert load_data(str(folder), task=EN_DE).splits["train"][0]["target"] == "ein Hund"
    (folder / "train.de").write_text("der Hund\neine Katze\nein Mann\n", encoding="utf-8")
    assert load_data(str(folder), task=EN_DE).splits["train"][0]["target"] == "der Hund"


def test_files_of_different_length_are_an_error_with_their_lines(folder):
    (folder / "train.de").write_text("ein Hund\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"train\.de has 1 lines and train\.en has 3 lines; .* files of the same length"
    ):
        load_data(str(folder), task=EN_DE)


def test_a_blank_line_is_a_bad_row_and_shifts_nothing(folder):
    (folder / "train.en").write_text("a dog\n\na man\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.de,train\.en, row 2: column 'en' is missing or empty"):
        load_data(str(folder), task=EN_DE)
    data = load_data(str(folder), task=EN_DE, bad_rows="skip")
    assert list(data.splits["train"]["target"]) == ["ein Hund", "ein Mann"]


def test_marks_within_a_line_do_not_end_it(folder):
    (folder / "train.en").write_bytes("a\u2028dog\r\na\rcat\na\x85man\n".encode())
    rows = load_data(str(folder), task=EN_DE).splits["train"]
    assert [row["target"] for row in rows] == ["ein Hund", "eine Katze", "ein Mann"]
    assert rows[0]["text"] == "a\u2028dog"


def test_a_byte_that_is_no_utf8_is_a_bad_row(folder):
    (folder / "train.en").write_bytes(b"a dog\na c\xe4t\na man\n")
    with pytest.raises(DataError, match=r"row 2: column 'en' holds the byte 0xe4, which is not UTF-8"):
        load_data(str(folder), task=EN_DE)


def test_a_file_without_its_other_side(folder):
    with pytest.raises(DataError, match=r"train\.en is a text in one language \(en\) without its other side"):
        load_data(f"{folder / 'train.en'},{folder / 'val.de'}", task=EN_DE)
    with pytest.raises(DataError, match=r"there is no file or folder '.*train\.fr'"):
        load_data(f"{folder / 'train.en'},{folder / 'train.fr'}", task=EN_DE)


def test_a_split_without_its_other_side_is_not_left_out_in_silence(folder):
    (folder / "val.de").unlink()
    with pytest.raises(
        DataError,
        match=r"^val\.en is a text in one language \(en\) without its other side; .* such as train\.en,train\.de$",
    ):
        load_data(str(folder), task=EN_DE)
    (folder / "val.en").rename(folder / "notes.en")  # of no split: nobody asked for it
    assert set(load_data(str(folder), task=EN_DE).splits) == {"train", "test", "validation"}
    for name in ("train.de", "test_2016_flickr.de.gz", "test_2016_flickr.en.gz"):
        (folder / name).unlink()
    with pytest.raises(DataError, match=r"^train\.en is a text in one language \(en\) without its other side"):
        load_data(str(folder), task=EN_DE)


def test_a_script_beside_the_texts_is_no_language(folder):
    (folder / "train.py").write_text("print()\n", encoding="utf-8")
    assert load_data(str(folder), task=EN_DE).splits["train"][0] == {"text": "a dog", "target": "ein Hund"}


def test_a_side_in_utf_16(folder):
    (folder / "train.en").write_text("a dog\r\na cat\r\na man\r\n", encoding="utf-16")
    rows = load_data(str(folder), task=EN_DE).splits["train"]
    assert list(rows["text"]) == ["a dog", "a cat", "a man"]


def test_languages_are_those_that_cards_know():
    assert {code for code in map("".join, itertools.product(ascii_lowercase, repeat=2)) if is_language(code)} == {
        *LANGUAGES
    }


def test_one_side_alone_is_a_text_file(folder):
    assert [record.values for record in read_records(folder / "val.de")] == [{"text": "zwei Hunde"}]


def test_which_files_belong_together():
    assert [language_of(name) for name in ("a.zh", "a.en_XX", "a.eng_Latn.gz", "a.csv", "README.md", "a.target")] == [
        "zh", "en_XX", "eng_Latn", None, None, "target",
    ]  # fmt: skip
    assert group_parallel(["x.en", "y.de", "x.de", "x.csv"]) == [{"en": "x.en", "de": "x.de"}]


def test_a_folder_with_tables_keeps_to_them(folder):
    (folder / "train.csv").write_text("en,de\na bird,ein Vogel\n", encoding="utf-8")
    assert [file.name for file in find_files(folder)] == ["train.csv"]


NESTED = [{"id": n, "translation": {"en": f"dog {n}", "de": f"Hund {n}"}} for n in range(4)]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "memory", "datasets"])
def test_texts_by_name_are_columns_of_their_own(tmp_path, kind):
    import datasets

    source = NESTED
    if kind == "jsonl":
        source = str(tmp_path / "train.jsonl")
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in NESTED))
    elif kind == "parquet":
        source = str(tmp_path / "train.parquet")
        datasets.Dataset.from_list(NESTED).to_parquet(source)
    elif kind == "datasets":
        source = datasets.Dataset.from_list(NESTED)
    data = load_data(source, task=DE_EN, validation_fraction=0)
    assert data.splits["train"][1] == {"text": "Hund 1", "target": "dog 1"}
    assert data.report.columns == {"text": "translation.de", "target": "translation.en"}
    given = load_data(
        source, task=find_task("translation"), columns={"text": "en", "target": "de"}, validation_fraction=0
    )
    assert given.splits["train"][1] == {"text": "dog 1", "target": "Hund 1"}


def test_a_language_that_the_data_does_not_have():
    other = in_languages(find_task("translation"), task_options("translation_en_to_fr"))
    with pytest.raises(
        DataError, match=r"no column 'target'; found: id, translation\.en, translation\.de\. Use --columns"
    ):
        load_data(NESTED, task=other)
    assert describe_data(NESTED, task="translation_de_to_en").columns["text"] == "translation.de"


def test_the_parts_of_names():
    assert nested_names("answers", {"text": ["a"], "answer_start": [0]}) == []
    assert nested_names("t", {"en": "a", "de": None}) == ["t.en", "t.de"]
    assert value_at({"t.en": "x", "t": {"en": "y"}}, "t.en") == "x" and value_at({"t": {"en": "y"}}, "t.en") == "y"
    assert value_at({"t": None}, "t.en") is None
    assert stored_column("t.en", ["t"]) == "t" and stored_column("t.en", ["t.en"]) == "t.en"
