"""Files become Arrow files in the cache: once, whole, and knowing where each row came from."""

import gzip

import pyarrow as pa
import pytest
from quintet.finetune.data.arrow_files import FileRows, cache_folder
from quintet.finetune.data.cells import Wanted
from quintet.pipelines.errors import DataError
from quintet.pipelines.records import find_files
from quintet.pipelines.tasks import find_task

from .conftest import reviews

COLUMNS = {"text": "review", "label": "stars"}


def read(path, *, skip_bad=True, columns=COLUMNS):
    return FileRows(find_files(path), path.name).read(Wanted.of(find_task("sentiment"), columns), skip_bad=skip_bad)


def test_conversion_is_done_once_and_again_when_the_file_changes(write_csv, load_stars, monkeypatch):
    from quintet.finetune.data import arrow_files

    read = []
    original = arrow_files.FileRows._convert
    monkeypatch.setattr(
        arrow_files.FileRows, "_convert", lambda self, *a, **k: read.append(1) or original(self, *a, **k)
    )
    path = write_csv(rows=reviews(62))
    first = load_stars(path).report
    assert load_stars(path).report == first and len(read) == 1
    write_csv(rows=[*reviews(61), ("entirely new", "positive")])
    assert load_stars(path).report.splits[0].fingerprint != first.splits[0].fingerprint
    assert len(read) == 2


def test_conversion_that_was_cut_off_is_done_again(write_csv, load_stars):

    path = write_csv(rows=reviews(64))
    first = load_stars(path).report
    for notes in cache_folder().glob("*.json"):
        notes.write_text('{"brea')
    assert load_stars(path).report == first
    assert not list(cache_folder().glob("*.partial"))


def test_cache_that_cannot_be_written_is_told(tmp_path, write_csv, load_stars, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "file")
    with pytest.raises(DataError, match=r"cache folder .*file/quintet cannot be written to .*HF_DATASETS_CACHE"):
        load_stars(write_csv())


def test_gz_of_a_csv_is_the_csv(tmp_path, write_csv, load_stars):
    path = write_csv()
    zipped = tmp_path / "zipped.csv.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert load_stars(zipped).report.splits == load_stars(path).report.splits


def test_places_survive_bad_and_blank_rows_and_several_files(tmp_path):
    (tmp_path / "a.csv").write_text("review,stars\none,1\nragged\n\nthree,1\n")
    (tmp_path / "b.csv").write_text("review,stars\nfour,1\n")
    rows = read(tmp_path)
    assert list(zip(rows.dataset["text"], map(rows.place, range(3)), strict=True)) == [
        ("one", ("a.csv", 1)), ("three", ("a.csv", 3)), ("four", ("b.csv", 1)),
    ]  # fmt: skip
    assert [(row.source, row.row) for row in rows.rejected] == [("a.csv", 2)]


def test_only_the_columns_wanted_are_kept(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("review,stars," + ",".join(f"c{i}" for i in range(98)) + "\ngood,1," + ",".join("x" * 98) + "\n")
    assert read(path).dataset.to_list() == [{"text": "good", "label": "1"}]


def test_bad_row_ends_the_reading_even_if_it_was_skipped_before(write_csv):
    path = write_csv(rows=[*reviews(5), ("too", "many", "fields")])
    assert len(read(path).dataset) == 5
    for _ in range(2):
        with pytest.raises(
            DataError, match=r"reviews\.csv, row 6: it has 3 fields .*skip such rows with --bad-rows skip"
        ):
            read(path, skip_bad=False)


def test_text_of_another_type_is_a_bad_row(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"review": "a", "stars": 1}\n{"review": 2, "stars": 1}\n{"review": "c", "stars": {"a": 1}}\n')
    assert [row.reason for row in read(path).rejected] == [
        "column 'review' holds the int 2; expected text",
        "column 'stars' holds the dict {'a': 1}; expected a label",
    ]


def test_blocks_are_the_rows_of_the_map(write_csv):
    rows = read(write_csv(rows=reviews(5000)))
    blocks = list(rows.blocks())
    assert [len(block) for block in blocks] == [2000, 2000, 1000]
    assert pa.Table.from_batches(blocks).column("text").to_pylist() == list(rows.dataset["text"])
    assert rows.dataset.cache_files and len(list(rows.blocks())) == 3
