"""Folders of pictures and masks: every form of a mask and of the table of classes, and everything that can be wrong."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from quintet.finetune.data.arrow_files import _stated_classes
from quintet.pipelines.errors import DataError
from quintet.pipelines.mask_classes import read_mask_classes
from quintet.pipelines.records import BadRow, find_files, read_data_file, read_records

INDICES = np.array([[0, 0, 1], [2, 1, 1]], dtype=np.uint8)  # a mask of 3 x 2 pixels
COLOURS = np.array([[128, 128, 128], [128, 64, 128], [64, 0, 128]], dtype=np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def data(folder, masks, *, classes=None, suffix="", ending=".png"):
    """A folder with a picture and a mask for each of ``masks``."""
    for name, mask in masks.items():
        save(folder / "images" / f"{name}.jpg", np.full((2, 3, 3), 90, np.uint8))
        save(folder / "masks" / f"{name}{suffix}{ending}", mask)
    if classes is not None:
        file, content = classes
        (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def masks_of(folder):
    return [np.asarray(Image.open(io.BytesIO(record.values["mask"]["bytes"]))) for record in read_records(folder)]


def reasons(folder):
    rows = read_records(folder, on_bad_row="yield")
    return [f"{row.source}: {row.reason}" for row in rows if isinstance(row, BadRow)]


def test_pictures_come_with_their_masks_in_order(tmp_path):
    data(tmp_path / "set", {"b": INDICES, "a": 2 - INDICES})
    records = list(read_records(tmp_path / "set"))
    assert [record.place for record in records] == ["a.jpg, row 1", "b.jpg, row 1"]
    found = masks_of(tmp_path / "set")
    assert np.array_equal(found[0], 2 - INDICES)
    assert np.array_equal(found[1], INDICES)
    assert records[0].values["image"]["bytes"] == (tmp_path / "set/images/a.jpg").read_bytes()
    (file,) = find_files(tmp_path / "set")
    assert (file.name, file.format) == ("set", "masks")
    assert sorted(path.rsplit("/", 2)[1] for path in file.paths) == ["images", "images", "masks", "masks"]
    assert [list(record.values) for record in read_records(tmp_path / "set", columns=["mask"])] == [["mask"]] * 2


@pytest.mark.parametrize("suffix", ["_mask", "_label", "_L"])
def test_names_of_masks_may_have_a_suffix(tmp_path, suffix):
    assert np.array_equal(masks_of(data(tmp_path, {"a": INDICES}, suffix=suffix))[0], INDICES)


def test_splits_are_folders_above_or_below(tmp_path):
    for split in ("train", "val"):
        data(tmp_path / "above" / split, {"a": INDICES}, classes=("classes.txt", "x\ny\nz"))
        save(tmp_path / "below/images" / split / "a.png", np.zeros((2, 3, 3), np.uint8))
        save(tmp_path / "below/labels" / split / "a.png", INDICES)
    for name in ("above", "below"):
        files = find_files(tmp_path / name)
        assert [(file.split, file.format) for file in files] == [("train", "masks"), ("validation", "masks")]
        assert [np.array_equal(mask, INDICES) for mask in masks_of(tmp_path / name)] == [True, True]


def test_palette_sixteen_bits_and_one_bit_are_indices(tmp_path):
    with_palette = Image.fromarray(INDICES).convert("P")
    with_palette.putdata(INDICES.flatten().tolist())
    with_palette.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200])
    data(tmp_path, {"a": INDICES.astype(np.uint16), "b": INDICES == 1})
    save(tmp_path / "images/c.png", np.zeros((2, 3, 3), np.uint8))
    with_palette.save(tmp_path / "masks/c.png")
    save(tmp_path / "images/d.png", np.zeros((2, 3, 3), np.uint8))
    save(tmp_path / "masks/d.png", np.repeat(INDICES[..., None], 3, axis=2))  # grey, written as colours
    found = masks_of(tmp_path)
    assert len(found) == 4
    for mask, want in zip(found, [INDICES, INDICES == 1, INDICES, INDICES], strict=True):
        assert np.array_equal(mask, want)


TABLES = {
    "names": ("classes.json", ["sky", "road", "car"]),
    "index to name": ("classes.json", {"0": "sky", "1": "road", "2": "car"}),
    "name to index": ("classes.json", {"sky": 0, "road": 1, "car": 2}),
    "lines": ("classes.txt", "sky\nroad\n\ncar\n"),
    "numbered lines": ("classes.txt", "# of the set\n0: sky\n1: road\n2: car\n"),
}
COLOUR_TABLES = {
    "name to colour": ("classes.json", {"sky": [128, 128, 128], "road": [128, 64, 128], "car": [64, 0, 128]}),
    "objects": (
        "classes.json",
        [{"name": n, "color": c.tolist()} for n, c in zip(("sky", "road", "car"), COLOURS, strict=True)],
    ),
    "name first": ("classes.txt", "sky 128 128 128\nroad 128 64 128\ncar 64 0 128"),
    "colour first": ("label_colors.txt", "128 128 128\tsky\n128 64 128\troad\n64 0 128\tcar\n"),
    "csv": ("class_dict.csv", "name,r,g,b\nsky,128,128,128\nroad,128,64,128\ncar,64,0,128\n"),
    "numbered": ("classes.txt", "0 sky 128 128 128\n1 road 128 64 128\n2 car 64 0 128"),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_name_indices(tmp_path, table):
    folder = data(tmp_path, {"a": INDICES}, classes=table)
    assert np.array_equal(masks_of(folder)[0], INDICES)
    assert _stated_classes(find_files(folder)[0]) == {"mask": ("sky", "road", "car")}


@pytest.mark.parametrize("table", COLOUR_TABLES.values(), ids=COLOUR_TABLES)
def test_tables_name_colours(tmp_path, table):
    folder = data(tmp_path, {"a": COLOURS[INDICES]}, classes=table)
    assert np.array_equal(masks_of(folder)[0], INDICES)
    assert read_mask_classes(tmp_path / table[0]).names == ("sky", "road", "car")


def test_names_of_several_words_are_kept(tmp_path):
    (tmp_path / "classes.txt").write_text("traffic light 250 170 30\n255 128 0 road work sign\n")
    found = read_mask_classes(tmp_path / "classes.txt")
    assert found.names == ("traffic light", "road work sign")
    assert found.of_colour == {(250, 170, 30): 0, (255, 128, 0): 1}


def test_void_is_not_labelled_and_the_others_count_without_it(tmp_path):
    folder = data(tmp_path, {"a": INDICES}, classes=("classes.txt", "sky\nVoid\ncar"))
    assert read_mask_classes(folder / "classes.txt").names == ("sky", "car")
    assert np.array_equal(masks_of(folder)[0], [[0, 0, 255], [1, 255, 255]])


def test_masks_of_0_and_255_have_two_classes(tmp_path):
    black_and_white = (INDICES == 1).astype(np.uint8) * 255
    folder = data(tmp_path / "pair", {"a": black_and_white, "b": black_and_white * 0})
    assert [mask.tolist() for mask in masks_of(folder)] == [(INDICES == 1).tolist(), [[0] * 3] * 2]
    named = data(tmp_path / "named", {"a": black_and_white}, classes=("classes.txt", "ground\nbuilding"))
    assert masks_of(named)[0].max() == 1
    # where there are other indices, or more classes, 255 keeps its meaning
    other = data(tmp_path / "other", {"a": black_and_white, "b": INDICES})
    assert masks_of(other)[0].max() == 255
    more = data(tmp_path / "more", {"a": black_and_white}, classes=("classes.txt", "sky\nroad\ncar"))
    assert masks_of(more)[0].max() == 255


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_every_bad_picture_and_mask_is_told_and_the_others_are_read(tmp_path):
    good = dict.fromkeys(("good", "lonely", "size", "index", "text", "empty", "cut", "lossy", "picture"), INDICES)
    folder = data(tmp_path, good, classes=("classes.txt", "sky\nroad\ncar"))
    (folder / "masks/lonely.png").unlink()
    save(folder / "masks/size.png", np.zeros((3, 3), np.uint8))
    save(folder / "masks/index.png", (INDICES + 3 * (INDICES == 1)).astype(np.uint8))
    (folder / "masks/text.png").write_text("no picture")
    (folder / "masks/empty.png").write_bytes(b"")
    big = save(folder / "masks/cut.png", np.random.default_rng(0).integers(0, 3, (2, 3), dtype=np.uint8))
    big.write_bytes(big.read_bytes()[:-28])
    (folder / "masks/lossy.png").unlink()
    save(folder / "masks/lossy.jpg", INDICES)
    (folder / "images/picture.jpg").write_text("no picture")
    (folder / "images/notes.txt").write_text("stray")
    save(folder / "masks/orphan.png", INDICES)
    assert [row.source for row in read_records(folder, on_bad_row="yield") if not isinstance(row, BadRow)] == [
        "good.jpg"
    ]
    found = reasons(folder)
    expected = [
        "cut.jpg: its mask cut.png cannot be decoded (",
        "empty.jpg: its mask empty.png is no picture that can be decoded; expected a PNG",
        "index.jpg: its mask index.png has 3 pixels of index 4, which classes.txt does not name; expected 0, 1, 2, or",
        "lonely.jpg: there is no mask for it in folder 'masks'; expected lonely.png",
        "lossy.jpg: its mask lossy.jpg is a JPEG, which does not keep indices as they are; save masks as PNG",
        "notes.txt: it lies among the pictures and is none; take it away",
        "picture.jpg: picture.jpg is no picture that can be decoded",
        "size.jpg: its mask size.png is 3 x 3 pixels, but the picture 3 x 2; expected the same size",
        "text.jpg: its mask text.png is no picture",
        "orphan.png: there is no picture for this mask in folder 'images'",
    ]
    matched = [any(line.startswith(want) for line in found) for want in expected]
    assert matched == [True] * len(expected), found
    assert len(found) == len(expected)


def test_a_colour_that_no_class_has_is_told(tmp_path):
    colours = COLOURS[INDICES].copy()
    colours[0, 0] = (1, 2, 3)
    folder = data(tmp_path, {"a": colours}, classes=COLOUR_TABLES["name first"])
    assert reasons(folder) == [
        "a.jpg: its mask a.png has 1 pixels of colour (1, 2, 3), which classes.txt does not name"
    ]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (None, "mask a.png is in colours, and no table says which class a colour is; expected classes.txt"),
        (("classes.txt", "# nothing\n"), "classes.txt names no classes; expected a line for each"),
        (("classes.txt", "sky\nroad\nsky"), "classes.txt has the class sky twice; expected it once"),
        (("classes.txt", "0 sky\n0 road"), "classes.txt has the index 0 twice"),
        (("classes.txt", "sky 1 2 3\nroad 1 2 3"), "classes.txt has the colour (1, 2, 3) twice"),
        (("classes.json", {"0": "sky", "one": "road"}), "classes.json is no table of classes; expected for instance"),
        (("classes.json", {"sky": [1, 2]}), "classes.json is no table of classes"),
        (("classes.json", "{"), "classes.json is not JSON"),
        (("classes.json", [f"class {index}" for index in range(255)]), "names 255 classes; a mask can tell up to 254"),
    ],
)
def test_wrong_tables_are_told(tmp_path, table, sentence):
    folder = data(tmp_path, {"a": COLOURS[INDICES]}, classes=table)
    with pytest.raises(DataError) as caught:
        list(read_records(folder))
    assert sentence in str(caught.value)


def test_a_camera_picture_is_compared_as_its_exif_data_turns_it(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.zeros((3, 2, 3), np.uint8)).save(tmp_path / "x.jpg", exif=turned)
    folder = data(tmp_path / "set", {"a": INDICES})
    (tmp_path / "x.jpg").rename(folder / "images/a.jpg")
    (row,) = read_data_file(find_files(folder)[0])
    assert not isinstance(row, BadRow)
