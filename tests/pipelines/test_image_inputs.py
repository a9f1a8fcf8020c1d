"""What counts as a picture, how each form and mode is read, and the words about what is none."""

import base64
import io
import struct
import threading
import warnings
import zlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image
from quintet.pipelines import pipeline
from quintet.pipelines.errors import DataError, InputError
from quintet.pipelines.file_runs import run
from quintet.pipelines.image_inputs import decode_picture, is_single_picture, picture_size, read_picture
from quintet.pipelines.models import build_model
from quintet.pipelines.saving import save_checkpoint

WIDTH, HEIGHT = 7, 5


@pytest.fixture(scope="module")
def pixels():
    """A picture that differs in every pixel and channel: uint8 (HEIGHT, WIDTH, 3)."""
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random LeNet-5 for pictures of 12 pixels in colour, with its image processor."""
    from quintet.pipelines.image_processor import ImageProcessor, PictureSettings

    torch.manual_seed(0)
    sizes = {"filters": (2, 3), "neurons": (6, 5)}
    model = build_model(
        "lenet5",
        labels=("a", "b", "c"),
        problem_type="single_label_classification",
        arguments=sizes,
        image_size=12,
    )
    images = ImageProcessor(PictureSettings(12, 12, 3, (0.5,) * 3, (0.25,) * 3))
    target = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(model.eval(), None, target, images=images, task="image-classification")
    return target


@pytest.fixture(scope="module")
def classify(folder):
    return pipeline("image-classification", folder, device="cpu")


def file_of(picture, format="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, format=format, **options)
    return buffer.getvalue()


def sized_png(width, height):
    """A PNG file whose header claims a size, with the pixels of a small one."""
    raw = bytearray(file_of(Image.new("L", (4, 4))))
    raw[16:24] = struct.pack(">II", width, height)
    raw[29:33] = struct.pack(">I", zlib.crc32(raw[12:29]))
    return bytes(raw)


# --- forms ----------------------------------------------------------------------------------------------------------


def test_every_form_gives_the_same_pixels(pixels, tmp_path):
    picture = Image.fromarray(pixels)
    raw = file_of(picture)
    path = tmp_path / "a picture.png"
    path.write_bytes(raw)
    text = base64.b64encode(raw).decode()
    forms = {
        "path": str(path),
        "Path": path,
        "PIL": picture,
        "array": pixels,
        "channels first": np.moveaxis(pixels, -1, 0),
        "floats": pixels / 255.0,
        "16 bits": pixels.astype(np.uint16) * 257,
        "tensor": torch.from_numpy(pixels),
        "tensor, channels first": torch.from_numpy(pixels).permute(2, 0, 1),
        "tensor of floats": (torch.from_numpy(pixels).permute(2, 0, 1) / 255).requires_grad_(),
        "with alpha": np.concatenate([pixels, np.full((HEIGHT, WIDTH, 1), 9, np.uint8)], axis=2),
        "bytes": raw,
        "bytearray": bytearray(raw),
        "base64": text,
        "data URL": f"data:image/png;base64,{text}",
        "cell with bytes": {"bytes": raw, "path": None},
        "cell with a path": {"bytes": None, "path": str(path)},
        "row": {"image": picture},
    }
    for name, form in forms.items():
        assert is_single_picture(form), name
        found = read_picture(form)
        assert found.mode == "RGB" and found.size == (WIDTH, HEIGHT), name
        assert np.array_equal(np.asarray(found), pixels), name


def test_grey_arrays_stay_grey(pixels):
    grey = pixels[..., 0]
    for form in (grey, grey[..., None], grey[None], torch.from_numpy(grey), grey.astype(np.int64), grey / 255):
        assert np.array_equal(np.asarray(read_picture(form)), grey)
    mask = grey > 100
    assert np.array_equal(np.asarray(read_picture(mask)), mask * 255)


def test_lists_and_batches_are_several_pictures(pixels):
    assert not is_single_picture([pixels]) and not is_single_picture(np.stack([pixels, pixels]))
    assert not is_single_picture(picture for picture in [pixels])
    assert is_single_picture(None)


def test_a_url_is_fetched(pixels, tmp_path):
    (tmp_path / "served.png").write_bytes(file_of(Image.fromarray(pixels)))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert np.array_equal(np.asarray(read_picture(f"{address}/served.png")), pixels)
        with pytest.raises(InputError, match=r"/missing\.png cannot be fetched \(.*\); check the address and the net"):
            read_picture(f"{address}/missing.png")
    finally:
        server.shutdown()
        server.server_close()


# --- modes and formats ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_exif_data_says(pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw = file_of(Image.fromarray(pixels), exif=exif)
    turned = {  # EXIF 2.3, table 6: where row 0 and column 0 of what is stored belong
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, -1)[:, ::-1][::-1, ::-1],
        8: np.rot90(pixels, 1),
    }[orientation]
    found = read_picture(raw)
    assert np.array_equal(np.asarray(found), turned)
    assert picture_size(raw, "x") == found.size


def test_a_palette_becomes_its_colours():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    for transparency in ({}, {"transparency": 1}):
        found = np.asarray(read_picture(file_of(picture, **transparency)))
        assert found.tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_sixteen_bits_are_scaled_rather_than_cut_off():
    deep = np.array([[0, 257, 40_000, 65_535]], dtype=np.uint16)
    found = read_picture(file_of(Image.fromarray(deep)))
    assert found.mode == "L" and np.asarray(found).tolist() == [[0, 1, 156, 255]]
    assert np.asarray(read_picture(Image.fromarray(deep.astype(np.int32), mode="I"))).tolist() == [[0, 1, 156, 255]]
    floats = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert np.asarray(read_picture(floats)).tolist() == [[0, 128, 255]]


def test_one_bit_grey_with_alpha_and_cmyk():
    assert np.asarray(read_picture(file_of(Image.new("1", (2, 1), 1)))).tolist() == [[255, 255]]
    found = read_picture(file_of(Image.new("LA", (1, 1), (120, 0))))
    assert found.mode == "L" and np.asarray(found).tolist() == [[120]]
    found = read_picture(file_of(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG", quality=100))
    assert found.mode == "RGB"
    assert np.abs(np.asarray(found).astype(int) - [0, 255, 255]).max() < 12  # no red


@pytest.mark.parametrize("format", ["GIF", "WebP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(format):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WebP" else {}
    raw = file_of(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert np.asarray(read_picture(raw))[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("format", "mode"), [("JPEG", "RGB"), ("WebP", "RGB"), ("BMP", "RGB"), ("PPM", "RGB")])
def test_formats_people_have(pixels, format, mode):
    options = {"lossless": True} if format == "WebP" else {"quality": 100} if format == "JPEG" else {}
    found = read_picture(file_of(Image.fromarray(pixels), format, **options))
    assert found.mode == mode and found.size == (WIDTH, HEIGHT)


# --- large ones -----------------------------------------------------------------------------------------------------


def test_a_hundred_megapixels_are_read(classify):
    raw = file_of(Image.new("1", (10_000, 10_000), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's warning is for sizes that are allowed
        assert classify(raw) == classify(Image.new("L", (12, 12), 255))
    assert picture_size(raw, "x") == (10_000, 10_000)


def test_a_decompression_bomb_is_refused_before_it_is_decoded():
    words = (
        r"bomb\.png has more than 178 million pixels, which is refused before it is decoded; make it smaller, or raise "
        r"PIL\.Image\.MAX_IMAGE_PIXELS if you trust it"
    )
    raw = sized_png(60_000, 60_000)
    with pytest.raises(InputError, match=words):
        decode_picture(raw, "bomb.png")
    with pytest.raises(InputError, match="more than 178 million pixels"):
        picture_size(raw, "bomb.png")


# --- what is no picture ---------------------------------------------------------------------------------------------


def bad_inputs(tmp_path):
    """Name -> what is no picture, and the words about it."""
    whole = file_of(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), "JPEG")
    text, empty = tmp_path / "text.png", tmp_path / "empty.png"
    text.write_text("this is no picture")
    empty.write_bytes(b"")
    holes = np.zeros((4, 4, 3))
    holes[1, 1] = np.nan
    return {
        "truncated": (whole[: len(whole) // 2], r"the picture cannot be decoded \(.*truncated.*\); is it whole\?"),
        "header only": (whole[:20], r"the picture (is no picture that can be decoded|cannot be decoded)"),
        "text": (str(text), r"text\.png is no picture that can be decoded; expected PNG, JPEG, WebP, GIF or the like"),
        "empty": (str(empty), r"empty\.png is empty \(0 bytes\); expected a picture"),
        "no bytes": (b"", r"the picture is empty \(0 bytes\)"),
        "missing": (str(tmp_path / "gone.png"), r"there is no picture 'gone\.png'; expected a path, URL, PIL image"),
        "folder": (str(tmp_path), "there is no picture"),
        "words": ("not base64 " * 10, "there is no picture 'not base64 .*…', and it is no base64 text"),
        "nan": (holes, r"an array of shape \(4, 4, 3\) and type float64 with pixels that are nan or infinite; replace"),
        "too large": (np.full((4, 4, 3), 200.0), r"values from 200 to 200; expected floats in \[0, 1\], or uint8"),
        "channels": (np.zeros((6, 6, 5), np.uint8), r"shape \(6, 6, 5\) .*with 1, 3 or 4 channels"),
        "no pixels": (np.zeros((0, 4, 3), np.uint8), "expected a picture, got an array of shape"),
        "negative": (np.full((4, 4), -1), "expected uint8, uint16, bool, or float"),
        "complex": (np.zeros((4, 4), complex), "expected uint8, uint16, bool, or float"),
        "none": (None, "expected a picture .*, got None; leave missing ones out"),
        "number": (3, "expected a picture .*, got int"),
        "dict": ({"file": "x"}, r"expected a picture as \{'bytes': …, 'path': …\}, got a dict with 'file'"),
        "empty cell": ({"bytes": None, "path": None}, "the picture has neither bytes nor a path; leave it out"),
        "infinite": (Image.fromarray(np.full((2, 2), np.inf, np.float32)), r"pixels that are no numbers"),
        "base64": ("data:image/png;base64,@@@", "it is no base64 text"),
    }


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return bad_inputs(tmp_path_factory.mktemp("bad"))


def test_each_bad_input_is_told_what_is_wrong(bad):
    assert len(bad) == 20
    for name, (item, words) in bad.items():
        with pytest.raises(InputError, match=words):
            read_picture(item)
            pytest.fail(f"{name} was taken")


def test_bad_ones_among_good_ones_raise_or_are_recorded(classify, folder, bad, pixels):
    good = Image.fromarray(pixels)
    expected = classify(good)
    mixed = [good, *(item for item, _ in bad.values()), good]
    with pytest.raises(InputError, match=r"input 1: .*truncated"):
        classify(mixed)
    with pytest.raises(InputError, match=r"the picture is empty"):
        classify(b"")
    recording = pipeline("image-classification", folder, device="cpu", on_error="record")
    for answers in (recording(mixed), list(recording(item for item in mixed))):
        assert len(answers) == len(mixed) and answers[0] == answers[-1] == expected
        assert all(list(answer) == ["error"] for answer in answers[1:-1])
    assert recording(b"")["error"] == "the picture is empty (0 bytes); expected a picture."


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path, pixels):
    """A folder with two pictures, a text named as one, and a stray file."""
    target = tmp_path / "photos"
    target.mkdir()
    for number in (1, 2):
        Image.fromarray(pixels[:, :: -1 if number == 2 else 1]).save(target / f"{number}.png")
    (target / "3.png").write_text("no picture")
    (target / "Thumbs.db").write_bytes(b"?")
    return target


@pytest.mark.parametrize("given", ["folder", "glob", "files"])
def test_a_run_takes_folders_globs_and_files(folder, classify, photos, given):
    inputs = {"folder": photos, "glob": str(photos / "*.png"), "files": sorted(map(str, photos.glob("*.png")))}
    summary = run("image-classification", inputs[given], model=folder, device="cpu")
    assert (summary.total, summary.failed) == (3, 1)
    first, second, third = summary.results
    assert third["error"].startswith("3.png is no picture that can be decoded")
    for row, file in ((first, "1.png"), (second, "2.png")):
        assert row["label"] == classify(photos / file)[0]["label"]
        assert row["score"] == pytest.approx(classify(photos / file)[0]["score"], abs=1e-5)
        assert row["image"] == file


def test_a_run_reads_columns_of_paths_and_of_pictures(folder, classify, photos, tmp_path):
    import datasets

    table = photos / "list.csv"
    table.write_text("file,who\n1.png,me\n2.png,you\n9.png,they\n")
    found = run("image-classification", table, model=folder, device="cpu", columns={"image": "file"})
    assert [row["who"] for row in found.results] == ["me", "you", "they"]
    assert found.failed == 1 and "there is no picture '9.png'" in found.results[2]["error"]
    assert found.results[0]["label"] == classify(photos / "1.png")[0]["label"]

    stored = datasets.Dataset.from_dict({"img": [str(photos / "1.png"), str(photos / "2.png")]})
    stored = stored.cast_column("img", datasets.Image())
    assert list(classify(stored["img"])) == classify([photos / "1.png", photos / "2.png"])
    file = tmp_path / "pictures.parquet"
    stored.to_parquet(str(file))
    again = run("image-classification", file, model=folder, device="cpu")
    assert [row["label"] for row in again.results] == [row["label"] for row in found.results[:2]]


def test_a_file_that_is_not_there_is_an_error_before_anything_runs(folder, photos):
    with pytest.raises(DataError, match=r"there is no file or folder '.*12\.png'"):
        run("image-classification", str(photos / "12.png"), model=folder, device="cpu")
