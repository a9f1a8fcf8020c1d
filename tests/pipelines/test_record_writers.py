"""Writing rows: every format reads back, and a file is there whole or not at all."""

import pytest
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.records import open_writer, read_records

ROWS = [
    {"text": 'a "quoted", line\nand more', "label": "好", "error": None},
    {"text": "b", "label": "坏", "error": "too long"},
]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_rows_read_back_as_written(tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    with open_writer(path) as writer:
        writer.write(ROWS[:1])
        writer.write(ROWS[1:])
    found = [record.values for record in read_records(path)]
    missing = "" if ending in ("csv", "tsv") else None
    assert found == [{**ROWS[0], "error": missing}, ROWS[1]]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_an_error_leaves_no_file_and_the_old_one_untouched(tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="killed"), open_writer(path) as writer:
        writer.write(ROWS)
        raise RuntimeError("killed")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_named_columns_are_written_even_without_rows(tmp_path):
    for ending in ("csv", "parquet"):
        with open_writer(tmp_path / f"none.{ending}", columns=["text", "error"]) as writer:
            writer.write([])
        assert list(read_records(tmp_path / f"none.{ending}")) == []
    assert (tmp_path / "none.csv").read_text() == "text,error\n"


def test_lists_in_a_csv_are_json(tmp_path):
    with open_writer(tmp_path / "rows.csv") as writer:
        writer.write([{"scores": [0.5, {"a": 1}]}])
    assert next(iter(read_records(tmp_path / "rows.csv"))).values == {"scores": '[0.5, {"a": 1}]'}


def test_unknown_ending_and_late_columns_are_errors(tmp_path):
    with (
        pytest.raises(UsageError, match=r"'rows\.xls' cannot be written; expected an ending among csv"),
        open_writer(tmp_path / "rows.xls"),
    ):
        pass
    with (
        pytest.raises(DataError, match="a row has the column 'error', which the rows before it did not have"),
        open_writer(tmp_path / "rows.csv") as writer,
    ):
        writer.write([{"text": "a"}])
        writer.write([{"text": "a", "error": "x"}])
    with (
        pytest.raises(DataError, match="mixes types, which parquet cannot hold"),
        open_writer(tmp_path / "rows.parquet") as writer,
    ):
        writer.write([{"text": "a"}, {"text": 1}])
