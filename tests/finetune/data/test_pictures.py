"""Pictures as data: tables of paths, folders of classes, parquet, lists in memory; what is bad, double or leaked."""

import base64
import io
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from quintet.finetune.data import load_data
from quintet.finetune.data.description import describe_data, print_report
from quintet.pipelines.errors import DataError
from quintet.pipelines.tasks import find_task

TASK = find_task("image-classification")


def picture(number, side=8):
    """A colour picture that no other number gives."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def raw(number):
    buffer = io.BytesIO()
    picture(number).save(buffer, format="PNG")
    return buffer.getvalue()


def load(dataset, **options):
    return load_data(dataset, task=TASK, **{"validation_fraction": 0.0, **options})


def labels_of(data, split="train"):
    return [data.labels[label] for label in data.splits[split]["label"]]


@pytest.fixture
def folder(tmp_path):
    """Folders of two splits with folders of two classes in them."""
    root = tmp_path / "animals"
    for number in range(12):
        split = "train" if number < 8 else "test"
        target = root / split / ("cat" if number % 2 else "dog")
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{number}.png").write_bytes(raw(number))
    return root


@pytest.fixture
def table(tmp_path):
    """A csv file of paths that count from where it lies."""
    (tmp_path / "files").mkdir()
    lines = ["file_name,label"]
    for number in range(8):
        (tmp_path / "files" / f"{number}.png").write_bytes(raw(number))
        lines.append(f"files/{number}.png,{'cat' if number % 2 else 'dog'}")
    path = tmp_path / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_folders_of_classes_in_folders_of_splits(folder):
    data = load(folder)
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 8, "test": 4}
    assert data.labels == ("cat", "dog") and labels_of(data, "test") == ["cat", "cat", "dog", "dog"]
    first = data.splits["test"][0]["image"]
    assert first == {"bytes": raw(9)[:0] + (folder / "test" / "cat" / "11.png").read_bytes(), "path": "11.png"}
    assert data.report.splits[0].length_percentiles["50"] == 8.0  # pixels of the longer side


def test_a_table_of_paths_counts_from_where_it_lies(table, tmp_path, monkeypatch):
    for place in (tmp_path, Path("/")):
        monkeypatch.chdir(place)
        data = load(table)
        assert labels_of(data) == ["dog", "cat"] * 4
        assert [row["image"]["bytes"] for row in data.splits["train"]] == [raw(number) for number in range(8)]
    assert data.report.columns == {"image": "file_name", "label": "label"}


def test_parquet_with_pictures_and_class_names(tmp_path):
    kinds = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat", "cow"])})
    rows = {"img": [picture(number) for number in range(6)], "label": [0, 1] * 3}
    stored = datasets.Dataset.from_dict(rows, features=kinds)
    stored.to_parquet(str(tmp_path / "train.parquet"))
    for given in (tmp_path / "train.parquet", stored, datasets.DatasetDict({"train": stored})):
        data = load(given)
        assert data.labels == ("dog", "cat", "cow") and labels_of(data) == ["dog", "cat"] * 3
        found = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) for row in data.splits["train"]]
        assert all(np.array_equal(each, np.asarray(picture(number))) for number, each in enumerate(found))
    assert [notice for notice in data.report.notices if "cow" in notice]


def test_lists_in_memory_of_any_form_are_the_same_rows(tmp_path):
    (tmp_path / "p.png").write_bytes(raw(1))
    pixels = np.asarray(picture(1))
    forms = [picture(1), pixels, raw(1), {"bytes": raw(1), "path": None}, str(tmp_path / "p.png"), tmp_path / "p.png"]
    forms += [base64.b64encode(raw(1)).decode()]
    rows = [{"image": form, "label": "a"} for form in forms] + [{"image": picture(2), "label": "b"}]
    data = load(rows)
    assert len({row["image"]["bytes"] for row in data.splits["train"].select(range(len(forms)))}) == 1
    columns = load({"image": [*forms, picture(2)], "label": ["a"] * len(forms) + ["b"]})
    assert columns.report.splits[0].fingerprint == data.report.splits[0].fingerprint
    assert data.report.splits[0].duplicates == len(forms) - 1


def test_doubles_are_counted_carved_together_and_leakage_is_told(folder, capsys):
    (folder / "test" / "dog" / "again.png").write_bytes((folder / "train" / "dog" / "0.png").read_bytes())
    (folder / "train" / "cat" / "twin.png").write_bytes((folder / "train" / "cat" / "1.png").read_bytes())
    data = load(folder)
    assert data.report.leakage == {"train/test": 1}
    assert [split.duplicates for split in data.report.splits] == [1, 0]

    from rich.console import Console

    print_report(describe_data(folder, task=TASK, validation_fraction=0.0), Console(width=200))
    shown = capsys.readouterr().out
    assert "leakage: 1 pictures are in both train and test" in shown
    assert "pixels: shortest" in shown

    rows = [{"image": picture(number % 20), "label": "ab"[number % 2]} for number in range(80)]
    carved = load(rows, validation_fraction=0.25)
    keys = [set(carved.text_keys[name].tolist()) for name in ("train", "validation")]
    assert len(keys[1]) >= 2 and not keys[0] & keys[1]


def test_a_bad_picture_stops_or_is_skipped_and_nothing_else_is_lost(table, tmp_path):
    (tmp_path / "files" / "1.png").write_bytes(b"")
    (tmp_path / "files" / "2.png").write_text("no picture")
    (tmp_path / "files" / "3.png").write_bytes(raw(3)[:60])
    (tmp_path / "files" / "4.png").unlink()
    with pytest.raises(
        DataError, match=r"list\.csv, row 2: column 'file_name' holds no picture that can be used: 1\.png is em"
    ):
        load(table)
    data = load(table, bad_rows="skip", rejected_path=tmp_path / "rejected.jsonl")
    assert [row["image"]["path"] for row in data.splits["train"]] == ["0.png", "5.png", "6.png", "7.png"]
    assert [(row.row, row.reason.split(": ", 1)[1][:24]) for row in data.report.rejected] == [
        (2, "1.png is empty (0 bytes)"),
        (3, "2.png is no picture that"),
        (4, "3.png cannot be decoded "),
        (5, "there is no picture '4.p"),
    ]
    assert len((tmp_path / "rejected.jsonl").read_text().splitlines()) == 4
    assert describe_data(table, task=TASK).rejected_rows == 4


def test_bad_pictures_in_memory_and_in_folders(folder):
    rows = [{"image": picture(n), "label": "ab"[n % 2]} for n in range(6)]
    bad = [
        {"image": np.full((4, 4, 3), np.nan), "label": "a"},
        {"image": 7, "label": "a"},
        {"image": None, "label": "b"},
    ]
    with pytest.raises(DataError, match=r"row 7: column 'image' holds no picture that can be used: .*nan or infinite"):
        load(rows + bad)
    data = load(rows + bad, bad_rows="skip")
    assert len(data.splits["train"]) == 6 and data.report.rejected_rows == 3
    (folder / "train" / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match=r"broken\.jpg.* (is no picture that can be decoded|cannot be decoded)"):
        load(folder)
    data = load(folder, bad_rows="skip")
    assert len(data.splits["train"]) == 8 and data.report.rejected_rows == 1


def test_a_picture_of_one_pixel_is_a_picture():
    rows = [{"image": Image.new("RGB", (1, 1), (n, 0, 0)), "label": "ab"[n % 2]} for n in range(4)]
    data = load(rows)
    assert data.report.splits[0].length_percentiles == dict.fromkeys(("0", "5", "50", "95", "99", "100"), 1.0)


def test_classes_that_differ_by_case_are_told(folder, table):
    (folder / "train" / "Cat").mkdir()
    (folder / "train" / "Cat" / "x.png").write_bytes(raw(99))
    with pytest.raises(DataError, match=r"the class folders '[Cc]at' and '[Cc]at' differ only by capital letters"):
        load(folder)
    table.write_text(table.read_text() + "files/0.png,Cat\nfiles/1.png,Cat\n")
    data = load(table)
    assert data.labels == ("Cat", "cat", "dog")
    assert any("'Cat' and 'cat'" in notice for notice in data.report.notices), data.report.notices


def test_a_table_without_pictures_says_what_was_found(tmp_path):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"rows\.csv.*image.*found: a, b"):
        load(tmp_path / "rows.csv")
