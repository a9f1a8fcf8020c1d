"""Reading rows: every format, every kind of dirt, and the words of every complaint."""

import csv
import gzip
import io
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quintet.pipelines.errors import DataError
from quintet.pipelines.records import BadRow, file_format, find_files, read_records

ROWS = [{"review": "good, really", "stars": "5"}, {"review": "好吃！\nagain", "stars": "1"}]
CSV = 'review,stars\n"good, really",5\n"好吃！\nagain",1\n'


def values(source, **options):
    return [record.values for record in read_records(source, **options)]


def bad_rows(source):
    return [row for row in read_records(source, on_bad_row="yield") if isinstance(row, BadRow)]


@pytest.fixture
def write(tmp_path):
    """Writes text or bytes to a file and gives its path."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", CSV),
        ("rows.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("rows.tsv", CSV.replace('"good, really",5', "good, really\t5").replace('",1', '"\t1').replace("w,s", "w\ts")),
        ("rows.jsonl", "\n\n".join(json.dumps(row) for row in ROWS)),
        ("rows.json", json.dumps(ROWS, indent=2, ensure_ascii=False)),
        ("lines.json", "\n".join(json.dumps(row) for row in ROWS)),
        ("data.json", json.dumps({"version": 1, "data": ROWS})),
        ("columns.json", json.dumps({"review": [row["review"] for row in ROWS], "stars": ["5", "1"]})),
    ],
)
def test_text_formats_give_the_same_rows(write, name, content):
    assert values(write(name, content)) == ROWS


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "stream.arrow"])
def test_arrow_formats_give_the_same_rows(tmp_path, name):
    table, path = pa.Table.from_pylist(ROWS), tmp_path / name
    if name == "rows.parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        make = pa.ipc.new_file if name == "rows.arrow" else pa.ipc.new_stream
        with make(str(path), table.schema) as writer:
            writer.write_table(table)
    assert values(path) == ROWS
    assert values(path, columns=["stars"]) == [{"stars": "5"}, {"stars": "1"}]


def test_txt_rows_are_its_lines_and_blank_ones_are_none(write):
    records = list(read_records(write("lines.txt", "one\n\n two \n")))
    assert [(record.row, record.values) for record in records] == [(1, {"text": "one"}), (3, {"text": " two "})]


def test_places_name_file_and_row_and_never_a_folder(write):
    records = list(read_records(write("deep/rows.csv", CSV)))
    assert [record.place for record in records] == ["rows.csv, row 1", "rows.csv, row 2"]


def test_class_folders_give_text_and_label(write, tmp_path):
    write("set/pos/1.txt", "fine\n".encode("utf-8-sig"))
    write("set/neg/1.txt", "poor\n")
    write("set/README.txt", "not a row")
    assert values(tmp_path / "set") == [{"text": "poor", "label": "neg"}, {"text": "fine", "label": "pos"}]


def test_globs_and_folders_take_files_in_order(write, tmp_path):
    write("parts/b.csv", "text\nsecond\n")
    write("parts/a.csv", "text\nfirst\n")
    write("parts/README.md", "no data")
    assert (
        values(tmp_path / "parts") == values(str(tmp_path / "parts/*.csv")) == [{"text": "first"}, {"text": "second"}]
    )


def test_folder_knows_the_splits_of_its_files(write, tmp_path):
    for name in ("train.csv", "dev.csv", "test/pos/a.txt", "test/neg/b.txt"):
        write(f"one/{name}" if name.endswith("csv") else f"two/{name}", "text\nx\n")
    assert [file.split for file in find_files(tmp_path / "one")] == ["validation", "train"]
    assert {(file.split, file.label) for file in find_files(tmp_path / "two")} == {("test", "pos"), ("test", "neg")}


# --- dirt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [CSV.encode("utf-8-sig"), CSV.encode("utf-16"), CSV.replace("\n", "\r\n").replace("！\r\n", "！\n").encode()],
    ids=["byte order mark", "utf-16", "windows line ends"],
)
def test_encodings_of_spreadsheets_are_read(write, content):
    assert values(write("rows.csv", content)) == ROWS


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_wrong_delimiter_is_noticed(write, delimiter):
    content = f'review{delimiter}stars\n"good, really"{delimiter}5\nbad{delimiter}1\n'
    assert values(write("rows.csv", content))[0] == ROWS[0]


def test_single_column_with_semicolons_in_its_rows_stays_one_column(write):
    assert values(write("rows.csv", "text\na;b\nc\n")) == [{"text": "a;b"}, {"text": "c"}]


def test_hundred_columns_are_read_and_chosen_from(write):
    names = [f"column_{number}" for number in range(100)]
    path = write("wide.csv", ",".join(names) + "\n" + ",".join(map(str, range(100))) + "\n")
    assert len(values(path)[0]) == 100
    assert values(path, columns=["column_99", "column_7"]) == [{"column_99": "99", "column_7": "7"}]


def test_missing_values_come_as_they_are(write):
    assert values(write("rows.csv", "a,b\n,2\n")) == [{"a": "", "b": "2"}]
    assert values(write("rows.jsonl", '{"a": null}\n{"b": 1}\n'), columns=["a"]) == [{"a": None}, {"a": None}]


def test_unnamed_and_repeated_columns_get_names(write):
    assert values(write("rows.csv", ",a,a\n0,1,2\n")) == [{"column 1": "0", "a": "1", "a.1": "2"}]


def test_ten_megabytes_in_one_field_are_read(write):
    assert len(values(write("rows.csv", "text,label\n" + "a b " * 2_500_000 + ",1\n"))[0]["text"]) == 10_000_000


def test_ragged_row_names_file_row_and_fields(write):
    path = write("rows.csv", "review,stars\ngood,5\nbad, really bad,1\nno stars\n")
    with pytest.raises(
        DataError, match=r"rows\.csv, row 2: it has 3 fields where the header names 2 \(review, stars\)"
    ):
        values(path)
    found = list(read_records(path, on_bad_row="yield"))
    assert [type(row).__name__ for row in found] == ["Record", "BadRow", "BadRow"]
    assert found[1].raw == "bad, really bad,1"
    assert "column 'stars' is missing" in found[2].reason


def test_invalid_utf8_names_file_row_and_column(write):
    path = write("rows.csv", b"review,stars\ngood,5\n\xc4\xe3\xba\xc3,1\n")
    with pytest.raises(DataError, match=r"rows\.csv, row 2: column 'review' holds the byte 0xc4, which is not UTF-8"):
        values(path)
    assert [row.row for row in bad_rows(path)] == [2]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.txt", "rows.json"])
def test_invalid_utf8_outside_tables_names_file_and_row(write, name):
    lines = b'{"a": "x"}\n{"a": "\xff"}\n{"a": "y"}\n'
    content = (
        b"[" + b",".join(lines.split()[i] + lines.split()[i + 1] for i in (0, 2, 4)) + b"]"
        if name == "rows.json"
        else lines
    )
    with pytest.raises(DataError, match=rf"{name}, row 2: it holds the byte 0xff, which is not UTF-8"):
        values(write(name, content))


def test_stray_quote_costs_its_row_and_not_the_rest_of_the_file(write):
    rows = list(read_records(write("rows.csv", 'a,b\n1,x\n2,"y\n3,z\n'), on_bad_row="yield"))
    assert isinstance(rows[1], BadRow)
    assert (rows[1].row, rows[1].reason) == (2, "a quote is opened in this row and never closed")
    assert [row.values["a"] for row in rows if not isinstance(row, BadRow)] == ["1", "3"]


def test_broken_json_names_file_and_row(write):
    with pytest.raises(DataError, match=r"rows\.jsonl, row 2: it is not JSON"):
        values(write("rows.jsonl", '{"a": 1}\n{"a": \n{"a": 3}\n'))
    with pytest.raises(DataError, match=r"rows\.json, row 2: it is not JSON .*no row after it can be read"):
        values(write("rows.json", '[{"a": 1}, {"a": }, {"a": 3}]' + " " * 100))
    with pytest.raises(DataError, match=r"row 1: it is a JSON number; expected an object"):
        values(write("numbers.jsonl", "1\n2\n"))
    with pytest.raises(DataError, match=r"row 1: column 'a' holds half of a surrogate pair"):
        values(write("surrogate.jsonl", '{"a": "\\ud800"}\n'))


def test_long_json_list_is_read_in_pieces(write, monkeypatch):
    monkeypatch.setattr("quintet.pipelines.record_formats._JSON_BLOCK", 7)
    rows = [{"text": "x" * number, "label": number % 2} for number in range(50)]
    for indent in (None, 1):
        assert values(write("rows.json", json.dumps(rows, indent=indent))) == rows
    assert values(write("lines.json", "\n\n".join(map(json.dumps, rows)))) == rows


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.csv", b"", r"rows\.csv is empty; expected rows"),
        ("rows.csv", b"\n\n", r"rows\.csv has no header"),
        ("rows.json", b"{", r"rows\.json is not JSON"),
        ("rows.json", b'{"a": [{"x": 1}], "b": [{"x": 1}]}', r"rows\.json holds several lists \(a, b\)"),
        ("rows.csv.gz", gzip.compress(CSV.encode() * 100, mtime=0)[:-20], r"rows\.csv\.gz cannot be read to its end"),
        ("rows.parquet", b"PAR1 but not really", r"rows\.parquet is not a whole parquet file"),
        ("rows.xyz", b"?", r"'rows\.xyz' has no ending that stands for a format; expected csv, tsv, json, jsonl"),
    ],
)
def test_broken_files_say_what_is_wrong(write, name, content, words):
    with pytest.raises(DataError, match=words):
        values(write(name, content))


def test_file_that_is_not_there_suggests_near_names(write, tmp_path):
    write("reviews.csv", CSV)
    with pytest.raises(DataError, match=r"there is no file or folder '.*reviws\.csv'; did you mean reviews\.csv\?"):
        values(tmp_path / "reviws.csv")
    with pytest.raises(DataError, match=r"holds reviews\.csv"):
        values(tmp_path / "something_else_altogether")
    with pytest.raises(DataError, match=r"no data file matches"):
        values(str(tmp_path / "*.parquet"))


def test_folder_without_data_lists_what_it_holds(write, tmp_path):
    write("photos/cat.xcf", b"")
    with pytest.raises(
        DataError, match=r"folder 'photos' holds no data \(found: cat\.xcf\); expected files ending in csv"
    ):
        values(tmp_path / "photos")


def test_unknown_column_suggests_near_names(write):
    with pytest.raises(DataError, match=r"rows\.csv: unknown column 'reviw'; did you mean review\?"):
        values(write("rows.csv", CSV), columns=["reviw"])


def test_formats_by_ending():
    assert [file_format(n) for n in ("a.CSV", "b.tsv.gz", "https://x.org/c.jsonl?v=1", "d", "e.xcf")] == [
        "csv",
        "tsv",
        "jsonl",
        None,
        None,
    ]
    assert [file_format(n) for n in ("a.PNG", "b.jpeg", "https://x.org/c.webp?v=1")] == ["image"] * 3


# --- properties ---------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"), max_size=20)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_whatever_csv_writes_is_read_back(write, rows):
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    found = values(write("rows.csv", stream.getvalue()))
    assert [(row["text"], row["label"]) for row in found] == rows


def test_reading_is_lazy(write):
    path = write("rows.csv", "a,b\n1,2\nragged\n")
    assert next(iter(read_records(path))).values == {"a": "1", "b": "2"}


def test_reading_a_csv_imports_nothing_heavy(write):
    code = (
        "import sys; from quintet.pipelines.records import read_records; list(read_records(sys.argv[1])); "
        "print([m for m in ('torch', 'pandas', 'datasets', 'pyarrow', 'numpy', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, write("rows.csv", CSV)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
