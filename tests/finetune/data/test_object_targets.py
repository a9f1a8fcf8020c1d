"""Objects with boxes out of data sets: the forms they are written in, their classes, and rows that cannot be used."""

import io

import numpy as np
import pytest
from PIL import Image
from quintet.finetune.data import load_data
from quintet.finetune.data.labels import LabelValueError
from quintet.finetune.data.object_targets import read_objects
from quintet.pipelines.errors import DataError
from quintet.pipelines.tasks import find_task

TASK = find_task("object-detection")


def png(number, size=(40, 30)):
    buffer = io.BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), number, np.uint8)).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": f"{number}.png"}


def rows(count=6):
    """The second object of every picture is a dog."""
    return [
        {
            "image": png(number),
            "objects": {
                "bbox": [[1, 2, 10, 9], [4, 4, 20, 20]][: 1 + number % 2],
                "category": ["cat", "dog"][: 1 + number % 2],
            },
        }
        for number in range(count)
    ]


def load(data, **options):
    return load_data(data, task=TASK, validation_fraction=0, **options)


def test_forms_of_objects():
    expected = [[1.0, 2.0, 3.0, 4.0]], ["7"]
    assert read_objects({"bbox": [[1, 2, 3, 4]], "category": [7]}) == expected
    assert read_objects({"boxes": np.array([[1, 2, 3, 4]]), "label": ["7"], "id": [99]}) == expected
    assert read_objects([{"bbox": (1, 2, 3, 4), "category_id": 7}]) == expected
    assert read_objects({"bbox": [], "category": []}) == ([], []) == read_objects([])
    with pytest.raises(LabelValueError, match="1 boxes and 2 classes; each box needs one"):
        read_objects({"bbox": [[1, 2, 3, 4]], "category": [7, 8]})
    with pytest.raises(LabelValueError, match=r"the box \[1, 2, 3\]; expected x, y, width and height in pixels"):
        read_objects({"bbox": [[1, 2, 3]], "category": [7]})
    with pytest.raises(LabelValueError, match=r"objects without 'category' \(found: bbox\)"):
        read_objects({"bbox": [[1, 2, 3, 4]]})
    with pytest.raises(LabelValueError, match="the str 1 2 3 4; expected objects: "):
        read_objects("1 2 3 4")


def test_classes_are_named_and_numbered():
    data = load(rows())
    assert data.labels == ("cat", "dog") and data.problem_type == "detection"
    train = data.splits["train"]
    assert train["categories"][:] == [[0], [0, 1]] * 3
    assert train[1]["objects"]["bbox"] == [[1, 2, 10, 9], [4, 4, 20, 20]]
    assert data.report.splits[0].label_histogram == {"cat": 6, "dog": 3}
    assert any("dog (4, 4, 20 x 20)" in sample["objects"] for sample in data.report.samples)


def test_several_objects_of_a_class_keep_their_order():
    objects = {"bbox": [[1, 1, 5, 5], [9, 1, 5, 5], [20, 1, 5, 5]], "category": ["dog", "cat", "dog"]}
    data = load([*rows(3), {"image": png(50), "objects": objects}])
    assert data.splits["train"]["categories"][3] == [1, 0, 1]


def test_a_data_set_with_class_ids_gives_the_same():
    import datasets

    numbered = [
        {
            "image": row["image"],
            "objects": {
                "bbox": row["objects"]["bbox"],
                "category": [["dog", "cat"].index(n) for n in row["objects"]["category"]],
            },
        }
        for row in rows()
    ]
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "objects": {
                "bbox": datasets.List(datasets.List(datasets.Value("float32"), length=4)),
                "category": datasets.List(datasets.ClassLabel(names=["dog", "cat"])),
            },
        }
    )
    data = load(datasets.Dataset.from_list(numbered, features=features))
    assert data.labels == ("dog", "cat")
    assert data.splits["train"]["categories"][:] == [[1], [1, 0]] * 3
    assert data.report.splits[0].fingerprint == load(rows()).report.splits[0].fingerprint


def test_pictures_without_objects_are_rows_and_carving_keeps_rare_classes_on_both_sides():
    found = [{"image": png(number), "objects": {"bbox": [], "category": []}} for number in range(100, 104)]
    data = load_data(rows(20) + found, task=TASK, validation_fraction=0.25, seed=1)
    kept = [labels for split in data.splits.values() for labels in split["categories"]]
    assert kept.count([]) == 4 and len(kept) == 24
    assert "stratified by the rarest class" in data.report.splits[1].rule
    assert all(split.label_histogram["dog"] >= 2 for split in data.report.splits)


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ({"bbox": [[30, 2, 20, 9]], "category": ["cat"]}, r"object 1 \('cat'\) in column 'objects' has the box "),
        ({"bbox": [[3, 2, 0, 9]], "category": ["cat"]}, "which has no area"),
        ({"bbox": [[3, 2, 5, 9]], "category": ["cat", "dog"]}, "column 'objects' holds 1 boxes and 2 classes"),
        (None, "column 'objects' is missing or empty"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used(objects, reason):
    wrong = [*rows(3), {"image": png(9), "objects": objects}, *rows(5)[3:]]
    with pytest.raises(DataError, match=reason):
        load(wrong)
    data = load(wrong, bad_rows="skip")
    assert data.splits["train"]["categories"][:] == [[0], [0, 1], [0], [0, 1], [0]]
    assert [row.row for row in data.report.rejected] == [4]


def test_a_class_id_without_a_name_is_a_bad_row():
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "objects": {
                "bbox": datasets.List(datasets.List(datasets.Value("float32"))),
                "category": datasets.List(datasets.ClassLabel(names=["cat", "dog"])),
            },
        }
    )
    table = [{"image": png(n), "objects": {"bbox": [[1, 1, 5, 5]], "category": [n % 2 if n else -1]}} for n in range(4)]
    with pytest.raises(DataError, match=r"an object of no class \(-1\)"):
        load(datasets.Dataset.from_list(table, features=features))


def test_files_of_coco_are_read(tmp_path):
    import json

    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number)["bytes"])
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 30} for n in range(3)],
        "annotations": [{"image_id": n, "bbox": [1, 2, 10, 9], "category_id": 5} for n in range(2)],
        "categories": [{"id": 5, "name": "cat"}],
    }
    (tmp_path / "train.json").write_text(json.dumps(document))
    data = load(tmp_path)
    assert data.labels == ("cat",) and data.splits["train"]["categories"][:] == [[0], [0], []]
