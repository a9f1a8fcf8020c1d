"""Pictures out: what is drawn is where it should be, in the right colour, readable, for every size of picture."""

import itertools

import numpy as np
import pytest
from PIL import Image
from quintet.pipelines.class_colours import class_colour, contrast, letters_on, name_colour
from quintet.pipelines.drawing import (
    LEAST_SIDE,
    RIGHT,
    WRONG,
    Tile,
    contact_sheet,
    draw_detections,
    overlay_heat,
    overlay_mask,
)
from quintet.pipelines.errors import ShapeError
from quintet.pipelines.lettering import shortened, text_size

GREY = (90, 90, 90)
NAMES = ["cat", "dog"]


def plain(width, height, colour=GREY):
    return Image.new("RGB", (width, height), colour)


def found(label, xmin, ymin, xmax, ymax, **more):
    return {"label": label, "box": {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}, **more}


def share_of(picture, colour):
    return (np.asarray(picture) == colour).all(axis=-1).mean()


# --- detections ---------------------------------------------------------------------------------------------------


def test_frames_are_where_the_boxes_are_in_the_colour_of_the_class():
    given = plain(500, 400)
    drawn = np.asarray(draw_detections(given, [found("dog", 100, 120, 300, 250, score=0.9)], NAMES))
    colour = class_colour(1)
    for x, y in [(101, 180), (298, 180), (200, 248), (250, 121)]:
        assert tuple(drawn[y, x]) == colour, (x, y)
    inside = drawn[130:240, 110:290]
    assert (inside == GREY).all()
    outside = drawn.copy()
    outside[85:252, 98:302] = GREY
    assert (outside == GREY).all()
    # the label stands on its colour above the frame, and is written
    label = drawn[100:118, 101:180]
    assert (label == colour).all(axis=-1).mean() > 0.4
    assert (label != colour).any(axis=-1).mean() > 0.02
    assert np.asarray(given).max() == 90, "what was given is changed"


def test_lines_are_thicker_in_larger_pictures():
    def thickness(side):
        edges = (side // 4, side // 4, side // 2, side // 2)
        drawn = np.asarray(draw_detections(plain(side, side), [found("cat", *edges)], NAMES))
        row = (drawn[round(side * 0.45)] == class_colour(0)).all(axis=-1)
        return row[: side // 3].sum()  # the left line alone

    assert 2 <= thickness(480) < thickness(1600) < thickness(4000)


def test_boxes_grow_with_a_tiny_picture():
    drawn = draw_detections(plain(28, 28), [found("cat", 7, 7, 21, 21)], NAMES)
    factor = drawn.width // 28
    assert factor > 10
    assert drawn.getpixel((7 * factor + 1, 14 * factor)) == class_colour(0)
    assert drawn.getpixel((21 * factor - 2, 14 * factor)) == class_colour(0)
    assert drawn.getpixel((14 * factor, 14 * factor)) == GREY


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (3, 200), (401, 1), (2000, 30)])
def test_tiny_and_odd_pictures_have_room_for_labels(size):
    drawn = draw_detections(plain(*size), [found("cat", 0, 0, size[0] / 2, size[1] / 2, score=0.5)], NAMES)
    assert drawn.width % size[0] == 0 and drawn.width // size[0] == drawn.height // size[1]
    assert max(drawn.size) >= LEAST_SIDE
    assert share_of(drawn, class_colour(0)) > 0


def test_boxes_outside_the_picture_and_without_area_do_no_harm():
    objects = [found("cat", -50, -50, 900, 900), found("dog", 30, 30, 30, 30), found("dog", 600, 600, 700, 700)]
    assert draw_detections(plain(450, 420), objects).size == (450, 420)
    assert np.array_equal(np.asarray(draw_detections(plain(450, 420), [])), np.asarray(plain(450, 420)))


def test_labels_do_not_cover_each_other():
    """Four objects in one place: each label's colour can still be seen as a whole strip."""
    objects = [found(str(index), 100, 100, 300, 300, score=0.9 - index / 10) for index in range(4)]
    drawn = draw_detections(plain(500, 400), objects, ["0", "1", "2", "3"])
    height = text_size("0 0.90", 13)[1]
    for index in range(4):
        rows = (np.asarray(drawn) == class_colour(index)).all(axis=-1)
        assert (rows.sum(axis=1) > 20).sum() >= height - 4, index


def test_transparency_palette_and_grey_become_rgb():
    with_alpha = Image.new("RGBA", (450, 450), (255, 0, 0, 0))
    assert draw_detections(with_alpha, []).getpixel((5, 5)) == (255, 255, 255)
    for mode in ("L", "P", "1", "LA", "CMYK"):
        assert draw_detections(Image.new(mode, (450, 450)), []).mode == "RGB"


# --- masks and heat -----------------------------------------------------------------------------------------------


def test_classes_are_laid_over_in_their_colours():
    mask = np.zeros((400, 400), dtype=np.uint8)
    mask[:, 200:] = 1
    mask[300:] = 255
    drawn = overlay_mask(plain(400, 400), mask, NAMES, strength=0.5)
    for x, index in ((100, 0), (300, 1)):
        expected = [round(0.5 * value + 45) for value in class_colour(index)]
        assert np.abs(np.array(drawn.getpixel((x, 100))) - expected).max() <= 1
    assert drawn.getpixel((100, 350)) == GREY, "what is not labelled stays as it is"
    assert drawn.getpixel((200, 100)) == (25, 25, 25), "the edge between two classes"
    assert drawn.height > 400
    legend = drawn.crop((0, 400, 400, drawn.height))
    assert share_of(legend, class_colour(0)) > 0.005 and share_of(legend, class_colour(1)) > 0.005
    assert overlay_mask(plain(400, 400), mask, NAMES, has_legend=False).size == (400, 400)


def test_a_mask_of_another_size_is_brought_to_the_picture():
    mask = np.array([[0, 1], [1, 0]])
    drawn = np.asarray(overlay_mask(plain(600, 400), mask, strength=1, has_legend=False))
    for x, y, index in ((100, 100, 0), (500, 100, 1), (100, 300, 1), (500, 300, 0)):
        assert tuple(drawn[y, x]) == class_colour(index)


def test_a_legend_of_many_classes_takes_more_lines():
    many = np.arange(40).repeat(10)[None].repeat(400, axis=0)
    few = np.where(many > 1, 1, many)
    names = [f"class number {index}" for index in range(40)]
    assert overlay_mask(plain(400, 400), many, names).height > overlay_mask(plain(400, 400), few, names).height + 100


def test_heat_is_brightest_where_it_is_highest():
    heat = np.zeros((7, 7))
    heat[2, 5] = 3.0
    drawn = np.asarray(overlay_heat(plain(420, 420), heat)).astype(int)
    assert tuple(np.unravel_index(drawn.sum(axis=2).argmax(), (420, 420))) == pytest.approx((150, 330), abs=25)
    assert drawn[150, 330].sum() > drawn[400, 20].sum() + 150
    flat = np.asarray(overlay_heat(plain(420, 420), np.ones((2, 2))))
    assert (flat == flat[0, 0]).all()
    assert flat[0, 0].tolist() == pytest.approx([76.5, 76.5, 77.1], abs=0.6)  # 15 % of the coldest colour


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (
            lambda: overlay_mask(plain(9, 9), np.zeros((9, 9))),
            "a mask of shape (9, 9) and type float64 cannot be drawn",
        ),
        (lambda: overlay_mask(plain(9, 9), np.zeros((1, 9, 9), int)), "expected (height, width) of integers"),
        (lambda: overlay_heat(plain(9, 9), np.array([[np.nan]])), "expected (height, width) of finite numbers"),
        (lambda: contact_sheet([]), "a contact sheet needs at least one picture, got none"),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, sentence):
    with pytest.raises(ShapeError) as caught:
        draw()
    assert sentence in str(caught.value)


# --- sheets -------------------------------------------------------------------------------------------------------


def test_a_sheet_shows_each_picture_whole_with_its_frame():
    colours = [(10, 20, 30), (200, 40, 60), (70, 80, 250), (5, 130, 5), (240, 240, 10)]
    tiles = [
        Tile(plain(20, 10, colour), "a", is_right)
        for colour, is_right in zip(colours, [True, False, None, True, False], strict=True)
    ]
    sheet = contact_sheet(tiles, columns=2, side=100)
    for colour in colours:
        assert share_of(sheet, colour) * sheet.width * sheet.height == 100 * 50, "enlarged five times, and whole"
    assert sheet.getpixel((7, 7)) == RIGHT and sheet.getpixel((7 + 106 + 6, 7)) == WRONG
    with_caption = contact_sheet([Tile(plain(20, 10), "two\nlines")], side=100)
    assert with_caption.height > contact_sheet([Tile(plain(20, 10))], side=100).height + 20
    assert contact_sheet(tiles, title="Mistakes").height > sheet.height * 0.5


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (5000, 3000), (160, 160), (161, 40)])
def test_pictures_of_every_size_fit_their_square(size):
    sheet = np.asarray(contact_sheet([Tile(plain(*size, (200, 0, 0)))], side=160))
    red = (sheet == (200, 0, 0)).all(axis=-1)
    height, width = red.any(axis=1).sum(), red.any(axis=0).sum()
    assert 80 < max(height, width) <= 160
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05) or min(height, width) == 1


# --- colours and letters ------------------------------------------------------------------------------------------


def test_letters_can_be_read_on_every_colour():
    """WCAG 2.1 asks for a contrast of 4.5."""
    assert min(contrast(class_colour(index), letters_on(class_colour(index))) for index in range(100)) >= 4.5
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


def test_the_first_colours_differ():
    colours = [np.array(class_colour(index)) for index in range(20)]
    assert min(np.abs(one - other).sum() for one, other in itertools.combinations(colours, 2)) > 60
    assert name_colour("x", ["a", "x"]) == class_colour(1)
    assert name_colour("x") == name_colour("x", ["a"])


def test_texts_are_cut_to_the_room_there_is():
    long = "a caption that is much longer\nthan its picture"
    short = shortened(long, 12, 100)
    assert short.endswith("…") and long.replace("\n", " ").startswith(short[:-1])
    letters = "abcdefghij" * 5
    cut = shortened(letters, 12, 100)
    assert text_size(cut, 12)[0] <= 100 < text_size(f"{letters[: len(cut)]}…", 12)[0]
    assert shortened("two\nlines", 12, 100) == "two lines"
    assert shortened("anything", 12, 0) == "…"
