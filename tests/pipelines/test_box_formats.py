"""COCO, VOC and YOLO files of the same two pictures give the same rows, and each kind of broken row is told."""

import json

import pytest
from PIL import Image
from quintet.pipelines.box_layouts import is_coco, is_voc
from quintet.pipelines.coco_format import read_coco
from quintet.pipelines.errors import DataError
from quintet.pipelines.object_rows import box_fault
from quintet.pipelines.record_rows import BadRow
from quintet.pipelines.records import find_files, read_records
from quintet.pipelines.voc_format import read_voc
from quintet.pipelines.yolo_format import class_names, read_yolo

# Two pictures of 80 x 40 pixels; the second one is empty.
BOXES = [([8.0, 4.0, 16.0, 20.0], "cat"), ([40.0, 10.0, 40.0, 30.0], "dog")]


def picture(path, size=(80, 40), orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", size, (10, 200, 30)).save(path, exif=exif)
    return path


def coco(folder, *, images=None, annotations=None, **more):
    document = {
        "info": {},
        "images": images
        or [
            {"id": 7, "file_name": "a.png", "width": 80, "height": 40},
            {"id": 9, "file_name": "b.png", "width": 80, "height": 40},
        ],
        "annotations": [
            {"id": number, "image_id": 7, "bbox": box, "category_id": {"cat": 3, "dog": 1}[name]}
            for number, (box, name) in enumerate(BOXES)
        ]
        if annotations is None
        else annotations,
        "categories": [{"id": 1, "name": "dog"}, {"id": 3, "name": "cat"}],
        **more,
    }
    file = folder / "annotations" / "instances_train.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def voc_xml(objects, *, size=(80, 40), name="a.png"):
    marked = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for (x, y, w, h), label in objects
    )
    return (
        f"<annotation><filename>{name}</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        f"{marked}</annotation>"
    )


def voc(folder, objects=BOXES, **options):
    (folder / "Annotations").mkdir(parents=True)
    (folder / "Annotations" / "a.xml").write_text(voc_xml(objects, **options), encoding="utf-8")
    (folder / "Annotations" / "b.xml").write_text(voc_xml([], name="b.png"), encoding="utf-8")
    return folder


def yolo(folder, lines="1 0.2 0.35 0.2 0.5\n0 0.75 0.625 0.5 0.75\n"):
    for part in ("images", "labels"):
        (folder / part / "train").mkdir(parents=True, exist_ok=True)
    (folder / "labels" / "train" / "a.txt").write_text(lines, encoding="utf-8")
    (folder / "data.yaml").write_text("names: [dog, cat]\nnc: 2\n", encoding="utf-8")
    return folder


def expect_rows(rows):
    first, second = rows
    assert not isinstance(first, BadRow), first.reason
    values = first.values
    assert values["objects"]["category"] == ["cat", "dog"]
    for found, (box, _) in zip(values["objects"]["bbox"], BOXES, strict=True):
        assert found == pytest.approx(box)
    assert (values["width"], values["height"]) == (80, 40)
    assert values["image"]["bytes"].startswith(b"\x89PNG") and values["image"]["path"].endswith("a.png")
    assert second.values["objects"] == {"bbox": [], "category": []}
    assert second.row == 2


def test_the_three_formats_give_the_same_rows(tmp_path):
    file = coco(tmp_path / "coco")
    for name in ("a.png", "b.png"):
        picture(tmp_path / "coco" / "train" / name)
        picture(tmp_path / "voc" / "JPEGImages" / name)
        picture(tmp_path / "yolo" / "images" / "train" / name)
    assert is_coco(file) and is_voc(voc(tmp_path / "voc"))
    yolo(tmp_path / "yolo")
    expect_rows(list(read_coco(file)))
    expect_rows(list(read_voc(tmp_path / "voc")))
    expect_rows(list(read_yolo(tmp_path / "yolo" / "images" / "train")))
    for folder, split in (("coco", "train"), ("voc", None), ("yolo", "train")):
        assert [(found.format, found.split) for found in find_files(tmp_path / folder)] == [(folder, split)]
        expect_rows(list(read_records(tmp_path / folder)))
    expect_rows(list(read_records(file)))  # named alone, it is no table
    files = {path.rsplit("/", 1)[-1] for path in find_files(tmp_path / "yolo")[0].paths}
    assert files == {"a.png", "b.png", "a.txt", "data.yaml"}  # a change of any of them is noticed
    (one, _) = read_coco(file, columns=["image_id"])
    assert one.values == {"image_id": 7}
    with pytest.raises(DataError, match=r"a\.xml: unknown column 'labels'; known: height, image, objects, width"):
        list(read_voc(tmp_path / "voc", columns=["labels"]))


def test_other_places_for_the_files(tmp_path):
    # Roboflow: pictures beside the JSON file; train/images and train/labels; labelImg: XML files beside pictures
    file = coco(tmp_path / "coco").rename(tmp_path / "_annotations.coco.json")
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
        picture(tmp_path / "yolo" / "valid" / "images" / name)
        picture(tmp_path / "mixed" / name)
    expect_rows(list(read_coco(file)))
    (tmp_path / "yolo" / "valid" / "labels").mkdir()
    (tmp_path / "yolo" / "valid" / "labels" / "a.txt").write_text("1 0.2 0.35 0.2 0.5\n0 0.75 0.625 0.5 0.75\n")
    (tmp_path / "yolo" / "obj.names").write_text("dog\ncat\n")
    assert [found.split for found in find_files(tmp_path / "yolo")] == ["validation"]
    expect_rows(list(read_records(tmp_path / "yolo")))
    (tmp_path / "mixed" / "a.xml").write_text(voc_xml(BOXES, name="C:\\photos\\a.png", size=(0, 0)))
    (tmp_path / "mixed" / "b.xml").write_text(voc_xml([], name="renamed-since.png"))
    expect_rows(list(read_voc(tmp_path / "mixed")))


def test_lists_of_voc(tmp_path):
    for name in ("a.png", "b.png"):
        picture(tmp_path / "JPEGImages" / name)
    voc(tmp_path)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("b\nc\n", encoding="utf-8")
    (found,) = find_files(tmp_path)
    assert (found.format, found.split) == ("voc", "validation")
    good, bad = read_records(tmp_path, on_bad_row="yield")
    assert good.values["objects"]["bbox"] == [] and good.source == "b.xml"
    assert bad.reason == "it cannot be read (No such file or directory)" and bad.source == "c.xml"


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([10.0, 10.0, 0.0, 5.0], "has no area"),
        ([90.0, 10.0, 5.0, 5.0], "is not within the picture of 80 x 40 pixels"),
        ([70.0, 10.0, 12.0, 5.0], "is not within the picture of 80 x 40 pixels"),
        ([-3.0, 10.0, 12.0, 5.0], "is not within the picture of 80 x 40 pixels"),
        ([80.0, 10.0, 0.5, 5.0], "has no area within the picture of 80 x 40 pixels"),
        ([float("nan"), 10.0, 12.0, 5.0], "is not of numbers"),
    ],
)
def test_boxes_that_cannot_be(tmp_path, box, reason):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    assert reason in str(box_fault(box, 80, 40))
    annotation = {"image_id": 7, "bbox": box, "category_id": 3}
    bad, good = read_coco(coco(tmp_path, annotations=[annotation]))
    assert isinstance(bad, BadRow) and bad.place == "instances_train.json, row 1"
    assert bad.reason.startswith("object 1 ('cat') has the box [") and bad.reason.endswith(reason)
    assert not isinstance(good, BadRow)
    (bad, _) = read_voc(voc(tmp_path, [(box, "cat")]))
    assert isinstance(bad, BadRow) and bad.source == "a.xml" and bad.reason.endswith(reason)


def test_a_box_that_stands_out_by_a_pixel_is_cut(tmp_path):
    picture(tmp_path / "JPEGImages" / "a.png")
    picture(tmp_path / "JPEGImages" / "b.png")
    (row, _) = read_voc(voc(tmp_path, [([-1.0, 0.0, 82.0, 41.0], "cat")]))
    assert row.values["objects"]["bbox"] == [[0.0, 0.0, 80.0, 40.0]]


def test_broken_rows_of_coco(tmp_path):
    picture(tmp_path / "a.png", size=(40, 80))
    (tmp_path / "b.png").write_text("no picture")
    images = [
        {"id": 7, "file_name": "a.png", "width": 80, "height": 40},
        {"id": 9, "file_name": "b.png", "width": 80, "height": 40},
        {"id": 10, "file_name": "../../c.png"},
        {"id": 11},
        {"id": 12, "file_name": "a.png"},
        {"id": 13, "file_name": "a.png"},
        {"id": 14, "file_name": "a.png"},
    ]
    annotations = [
        {"image_id": 12, "bbox": [1, 1, 2, 2], "category_id": 5},
        {"image_id": 13, "bbox": [1, 1, 2], "category_id": 1},
        {"image_id": 14, "bbox": [0, 0, 900, 900], "category_id": 1, "iscrowd": 1},
        {"image_id": 99, "bbox": [1, 1, 2, 2], "category_id": 1},
    ]
    rows = list(read_coco(coco(tmp_path, images=images, annotations=annotations)))
    reasons = [row.reason if isinstance(row, BadRow) else None for row in rows]
    assert reasons == [
        (
            "the boxes are for 80 x 40 pixels, and 'a.png' has 40 x 80 (as its EXIF data turns it); mark it again, or "
            "write its true size"
        ),
        "b.png is no picture that can be decoded; expected PNG, JPEG, WebP, GIF or the like",
        "there is no picture 'c.png' in folder 'annotations'",
        "it is no picture with 'id' and 'file_name'",
        "object 1 has the class id 5; 'categories' lists 1 dog, 3 cat",
        "object 1 has the box [1, 1, 2]; expected [x, y, width, height]",
        None,
        "it marks 1 objects in a picture with the id 99, which 'images' does not list",
    ]
    assert [row.row for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert rows[6].values["objects"]["bbox"] == []  # the crowd is left out


def test_files_that_are_not_coco(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [], "annotations": []}')
    assert not is_coco(tmp_path / "a.json") and not is_coco(tmp_path / "missing.json")
    with pytest.raises(DataError, match=r"a\.json has no list 'categories'; expected COCO's 'images', 'annotations'"):
        list(read_coco(tmp_path / "a.json"))
    (tmp_path / "a.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"a\.json is not JSON"):
        list(read_coco(tmp_path / "a.json"))
    with pytest.raises(DataError, match="holds no pictures in VOC's form; expected Annotations"):
        list(read_voc(tmp_path))
    with pytest.raises(DataError, match=r"folder 'images' of '.*' holds no pictures"):
        (tmp_path / "images").mkdir()
        list(read_yolo(tmp_path / "images"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<annotation><object>", "it is not XML"),
        ("<annotation><object><name>cat</name></object></annotation>", "object 1 has no name, or no bndbox with xmin"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "it declares XML entities, which are not followed"),
        ("<annotation><filename>away.png</filename></annotation>", "there is no picture 'away.png' in folder"),
    ],
)
def test_broken_rows_of_voc(tmp_path, content, reason):
    (tmp_path / "x.xml").write_text(content, encoding="utf-8")
    (bad,) = read_voc(tmp_path)
    assert isinstance(bad, BadRow) and bad.reason.startswith(reason) and bad.place == "x.xml, row 1"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2 0.5 0.5 0.1 0.1", "line 2 has the class id 2; the names are of 0 to 1"),
        ("cat 0.5 0.5 0.1 0.1", "line 2 is 'cat 0.5 0.5 0.1 0.1'; expected a class id and four fractions"),
        ("1 0.5 0.5 0.1", "line 2 has 3 numbers after the class id; expected middle x, middle y, width and height"),
        ("1 40 20 10 10", "line 2 has the number 40; expected fractions of the picture, from 0 to 1"),
        ("1 0.95 0.5 0.2 0.1", "is not within the picture of 80 x 40 pixels"),
        ("1 0.5 0.5 0 0.1", "has no area"),
    ],
)
def test_broken_rows_of_yolo(tmp_path, line, reason):
    yolo(tmp_path, f"0 0.5 0.5 0.5 0.5\n{line}\n")
    picture(tmp_path / "images" / "train" / "a.png")
    (bad,) = read_yolo(tmp_path / "images" / "train")
    assert isinstance(bad, BadRow) and reason in bad.reason and bad.place == "a.txt, row 1"


def test_outlines_lonely_texts_and_names(tmp_path):
    yolo(tmp_path, "1 0.1 0.1 0.3 0.1 0.3 0.6 0.1 0.5\n")
    picture(tmp_path / "images" / "train" / "a.png")
    (tmp_path / "labels" / "train" / "z.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    good, bad = read_yolo(tmp_path / "images" / "train")
    assert good.values["objects"]["bbox"][0] == pytest.approx([8.0, 4.0, 16.0, 20.0])
    assert bad.reason == "there is no picture 'z' in folder 'train'"
    (tmp_path / "data.yaml").write_text("names:\n  0: dog\n  7: cat\n", encoding="utf-8")
    assert class_names(tmp_path / "images" / "train") == {0: "dog", 7: "cat"}
    (tmp_path / "data.yaml").unlink()
    assert class_names(tmp_path / "images" / "train") is None
    assert next(read_yolo(tmp_path / "images" / "train")).values["objects"]["category"] == ["1"]
    (tmp_path / "bad.yaml").write_text("names: [a, b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.yaml cannot be read as YAML"):
        class_names(tmp_path / "images" / "train")


def test_fractions_are_of_the_picture_as_it_is_seen(tmp_path):
    yolo(tmp_path)
    (tmp_path / "images" / "train").mkdir(exist_ok=True)
    picture(tmp_path / "images" / "train" / "a.jpg", size=(40, 80), orientation=6)  # turned by a quarter: 80 x 40
    (row,) = read_yolo(tmp_path / "images" / "train")
    assert row.values["objects"]["bbox"][0] == pytest.approx(BOXES[0][0])
    assert row.values["width"] == 80
