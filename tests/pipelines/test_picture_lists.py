"""Metadata, captions, class folders and videos: what is found in a folder, and what of it is bad."""

import json

import numpy as np
import pytest
from PIL import Image
from quintet.pipelines import video_files
from quintet.pipelines.errors import DataError, MissingExtraError, UnknownNameError
from quintet.pipelines.record_files import DataFile
from quintet.pipelines.records import BadRow, find_files, read_data_file, read_records


def pictures(folder, *names):
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), place * 20, np.uint8)).save(path)
    return folder


def rows_of(source):
    rows = list(read_records(source, on_bad_row="yield"))
    return [row for row in rows if not isinstance(row, BadRow)], [row for row in rows if isinstance(row, BadRow)]


# --- metadata -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_metadata_rows_have_their_pictures(tmp_path, name):
    folder = pictures(tmp_path / "train", "a.png", "deep/b.png")
    rows = [{"file_name": "deep/b.png", "label": "dog"}, {"file_name": "./a.png", "label": "cat"}]
    lines = (
        [json.dumps(row) for row in rows]
        if name.endswith("jsonl")
        else ["file_name,label", "deep/b.png,dog", "./a.png,cat"]
    )
    (folder / name).write_text("\n".join(lines))
    (file,) = find_files(tmp_path)
    assert (file.format, file.split) == ("metadata", "train")
    good, bad = rows_of(tmp_path)
    assert bad == []
    assert [row.values["label"] for row in good] == ["dog", "cat"]
    assert [row.place for row in good] == [f"{name}, row 1", f"{name}, row 2"]
    assert good[0].values["image"] == {
        "bytes": (folder / "deep/b.png").read_bytes(),
        "path": str(folder / "deep/b.png"),
    }
    assert "file_name" not in good[0].values
    assert sorted(path.rsplit("/", 1)[1] for path in file.paths) == ["a.png", "b.png", name]


def test_metadata_tells_missing_and_unnamed_pictures(tmp_path):
    folder = pictures(tmp_path, "a.png", "extra.png")
    (folder / "metadata.csv").write_text("file_name,label\na.png,cat\nb.png,dog\na.png\n")
    good, bad = rows_of(folder)
    assert [row.values["label"] for row in good] == ["cat"]
    assert [row.place for row in bad] == [f"metadata.csv, row {row}" for row in (2, 3, 4)]
    assert bad[0].reason.startswith("there is no picture 'b.png' in folder")
    assert bad[1].reason.startswith("it has 1 field where the header names 2")
    assert bad[2].reason == "no row names the picture 'extra.png'; add one, or take it away"


def test_metadata_without_file_names_is_told(tmp_path):
    pictures(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text("filename,label\na.png,cat\n")
    with pytest.raises(
        UnknownNameError, match=r"'file_name'; did you mean filename\? metadata.csv must name pictures\."
    ):
        list(read_records(tmp_path))


def test_metadata_without_pictures_is_a_table_like_any(tmp_path):
    (tmp_path / "metadata.csv").write_text("text,label\ngood,1\n")
    assert [row.values for row in read_records(tmp_path)] == [{"text": "good", "label": "1"}]


# --- captions -----------------------------------------------------------------------------------------------------

CAPTIONS = {"a.jpg": ["A dog, running.", "It runs."], "b.jpg": ["A cat."]}
LISTS = {
    "captions.csv": 'image,caption\na.jpg,"A dog, running."\nb.jpg,A cat.\na.jpg,It runs.\n',
    "captions.tsv": "file_name\ttext\na.jpg\tA dog, running.\nb.jpg\tA cat.\na.jpg\tIt runs.\n",
    "captions.txt": 'a.jpg,"A dog, running."\nb.jpg,A cat.\na.jpg,It runs.\n',
    "Flickr8k.token.txt": "a.jpg#0\tA dog, running.\nb.jpg#0\tA cat.\na.jpg#1\tIt runs.\n",
    "results_20130124.token": "a.jpg#0\tA dog, running.\na.jpg#1\tIt runs.\nb.jpg#0\tA cat.\n",
    "flickr_captions.csv": (
        "image_name| comment_number| comment\na.jpg| 0| A dog, running.\na.jpg| 1| It runs.\nb.jpg| 0| A cat.\n"
    ),
    "captions.json": json.dumps(CAPTIONS),
    "train_captions.json": json.dumps([{"image": name, "captions": texts} for name, texts in CAPTIONS.items()]),
    "captions.jsonl": "\n".join(
        json.dumps({"filename": name, "caption": text}) for name, texts in CAPTIONS.items() for text in texts
    ),
    "captions_train2017.json": json.dumps(
        {
            "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
            "annotations": [
                {"image_id": 7, "caption": "A dog, running."},
                {"image_id": 9, "caption": "A cat."},
                {"image_id": 7, "caption": "It runs.\n"},
            ],
        }
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_every_list_of_captions_gives_a_row_for_each_picture(tmp_path, name):
    pictures(tmp_path, "Images/a.jpg", "Images/b.jpg")
    (tmp_path / name).write_text(LISTS[name])
    for source in (tmp_path, tmp_path / name):
        (file,) = find_files(source)
        assert file.format == "captions"
        if source == tmp_path:
            assert file.split == ("train" if "train" in name else None)
        good, bad = rows_of(source)
        assert bad == []
        assert [row.values["captions"] for row in good] == list(CAPTIONS.values())
        assert [row.values["image"]["path"].rsplit("/", 1)[1] for row in good] == ["a.jpg", "b.jpg"]
        assert good[0].values["image"]["bytes"] == (tmp_path / "Images/a.jpg").read_bytes()


def test_a_name_that_two_pictures_have_needs_its_folder(tmp_path):
    pictures(tmp_path, "one/x.jpg", "two/x.jpg")
    (tmp_path / "captions.csv").write_text("image,caption\nx.jpg,Which?\ntwo/x.jpg,This.\n")
    good, bad = rows_of(tmp_path)
    assert [row.values["image"]["path"] for row in good] == [str(tmp_path / "two/x.jpg")]
    assert [row.reason.split(" in folder")[0] for row in bad] == ["there is no picture 'x.jpg'"]


def test_coco_keeps_its_lists_in_a_folder_beside_the_pictures(tmp_path):
    pictures(tmp_path, "train2017/a.jpg", "train2017/b.jpg")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/captions_train2017.json").write_text(LISTS["captions_train2017.json"])
    good, bad = rows_of(tmp_path / "annotations/captions_train2017.json")
    assert (len(good), bad) == (2, [])
    assert [file.format for file in find_files(tmp_path)] == ["captions"]


def test_a_list_without_pictures_is_a_table_like_any(tmp_path):
    (tmp_path / "captions.csv").write_text("text,label\ngood,1\n")
    assert [file.format for file in find_files(tmp_path)] == ["csv"]


def test_bad_captions_are_told_by_row(tmp_path):
    pictures(tmp_path, "a.jpg")
    (tmp_path / "Flickr8k.token.txt").write_bytes(
        b"a.jpg#0\tOne.\nb.jpg.1#0\tTwo.\na.jpg#1\t \nno tab\n\na.jpg#2\tcaf\xe9\na.jpg#3\tFive.\n"
    )
    good, bad = rows_of(tmp_path)
    assert [row.values["captions"] for row in good] == [["One.", "Five."]]
    assert [row.row for row in bad] == [2, 3, 4, 5]
    reasons = ["there is no picture 'b.jpg.1'", "the caption of 'a.jpg' is empty", "expected name.jpg#0, a tab", "0xe9"]
    assert all(reason in row.reason for reason, row in zip(reasons, bad, strict=True)), bad


def test_bad_annotations_of_coco_are_told(tmp_path):
    pictures(tmp_path, "a.jpg", "b.jpg")
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
    annotations = [{"image_id": 1, "caption": "One."}, {"image_id": 3, "caption": "No."}, {"image_id": 1}]
    (tmp_path / "captions.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    good, bad = rows_of(tmp_path)
    assert [row.values["captions"] for row in good] == [["One."]]
    assert [(row.row, row.reason[:40]) for row in bad] == [
        (2, "expected an annotation with 'caption' an"),
        (3, "expected an annotation with 'caption' an"),
        (4, "the picture 'b.jpg' has no caption"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("captions.csv", "", "captions.csv is empty; expected lines such as: name.jpg,A dog runs."),
        (
            "captions.csv",
            "image,label\na.jpg,cat\n",
            "captions.csv has the columns image, label; expected one that names",
        ),
        ("captions.json", "{", "captions.json is not JSON"),
    ],
)
def test_what_is_no_list_of_captions_is_told(tmp_path, name, content, sentence):
    pictures(tmp_path, "a.jpg")
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        list(read_records(tmp_path))
    assert sentence in str(caught.value)


# --- class folders ------------------------------------------------------------------------------------------------


def test_stray_files_in_class_folders_are_counted_and_nothing_else_is_lost(tmp_path):
    pictures(tmp_path, "train/cat/a.png", "train/dog/b.png", "test/cat/c.png", "test/dog/d.png", "train/dog/more/e.png")
    (tmp_path / "train/cat/notes.txt").write_text("about cats")
    (tmp_path / "train/cat/Thumbs.db").write_bytes(b"x")
    (tmp_path / "train/cat/.hidden").write_bytes(b"x")
    good, bad = rows_of(tmp_path)
    assert [(row.source, row.values["label"]) for row in good] == [
        ("c.png", "cat"),
        ("d.png", "dog"),
        ("a.png", "cat"),
        ("b.png", "dog"),
    ]
    assert [f"{row.source}: {row.reason.split(';')[0]}" for row in bad] == [
        "notes.txt: it is a file of another kind in the class folder 'cat'",
        "more: it is a folder in the class folder 'dog'",
    ]


@pytest.mark.parametrize(
    "paths", [("Cat/a.png", "cat/b.png"), ("train/cat/a.png", "train/dog/a.png", "test/Dog/b.png", "test/cat/b.png")]
)
def test_classes_that_differ_by_case_are_an_error(tmp_path, paths):
    pictures(tmp_path, *paths)
    with pytest.raises(
        DataError, match=r"differ only by capital letters; expected one folder for each class\. Move the"
    ):
        find_files(tmp_path)


# --- videos -------------------------------------------------------------------------------------------------------


def write_video(path, frames):
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for place in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), place * 40, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.start_encoding()  # writes the head of the file, also where there is no frame
        container.mux(stream.encode())


def test_videos_come_by_path_with_the_label_of_their_folder(tmp_path):
    write_video(tmp_path / "jump/a.mp4", 3)
    write_video(tmp_path / "run/b.mp4", 3)
    (tmp_path / "run/empty.mp4").write_bytes(b"")
    (tmp_path / "run/text.mp4").write_text("no video")
    (tmp_path / "run/notes.txt").write_text("stray")
    write_video(tmp_path / "run/none.mp4", 0)  # without a stream of pictures
    write_video(tmp_path / "run/zero.avi", 0)  # with one, which is empty
    good, bad = rows_of(tmp_path)
    assert [(row.source, row.values["label"]) for row in good] == [("a.mp4", "jump"), ("b.mp4", "run")]
    assert good[0].values["video"] == {"bytes": None, "path": str(tmp_path / "jump/a.mp4")}
    assert [(row.source, row.reason.split("(")[0]) for row in bad[:4]] == [
        ("empty.mp4", "it is empty "),
        ("none.mp4", "it has no frames; expected a video"),
        ("text.mp4", "it is no video that can be decoded "),
        ("zero.avi", "it has no frames; expected a video"),
    ]
    assert bad[4].reason.startswith("it is a file of another kind in the class folder 'run'; take it away, or give it")
    assert len(bad) == 5


def test_without_pyav_the_install_line_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(video_files, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'reading videos needs .* python -m pip install "quintet\[video\]"'):
        list(read_data_file(DataFile(str(tmp_path / "a.mp4"), "video", label="run")))
