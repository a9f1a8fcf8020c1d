"""Pictures out: detections drawn, masks laid over, sheets of many pictures, heat maps; with Pillow alone.

    draw_detections(picture, pipeline("object-detection")(picture)).save("found.png")

Every function gives a new picture in mode RGB and leaves what it was given alone. Tiny pictures are enlarged by a whole
factor, so that lines and letters have room; lines and letters grow with the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .class_colours import Colour, class_colour, letters_on, name_colour
from .errors import ShapeError
from .lettering import shortened, text_size, write

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

LEAST_SIDE = 400
"""Pixels that the longer side of a picture with drawing on it has at least, where a whole factor makes it so."""

RIGHT, WRONG, PLAIN = (0, 135, 70), (213, 40, 40), (150, 150, 150)
"""Colours of frames: right, wrong, and neither. Green and red of different brightness, to be told apart in grey too."""

UNLABELLED = 255  # index of mask pixels without a class

_PAPER, _INK = (255, 255, 255), (25, 25, 25)
# Cold to hot with ever more brightness, so that it can be read in grey: black, violet, red, orange, pale yellow.
_HEAT = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64)


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet.

    Attributes:
        picture: in any mode.
        caption: lines below it, ended by line breaks.
        is_right: frames it green (True) or red (False); None for no judgement.
    """

    picture: Image.Image
    caption: str = ""
    is_right: bool | None = None


def draw_detections(
    picture: Image.Image, detections: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None
) -> Image.Image:
    """``picture`` with a frame around each object, and its label and score on it.

    Args:
        picture: in any mode.
        detections: as the pipeline for detection gives them: ``{"box": {"xmin", "ymin", "xmax", "ymax"}, "label": …,
            "score": …}`` in pixels of the picture; the score may be missing, as of objects that were marked by hand.
            Boxes may reach outside the picture.
        names: of all classes, in their order, which gives them colours that differ most; None for colours that follow
            from the labels. Either way a label has one colour in every picture.
    """
    from PIL import ImageDraw

    canvas, factor = _canvas(picture)
    draw = ImageDraw.Draw(canvas)
    width = _line_width(canvas)
    size = _letter_size(canvas)
    ordered = sorted(detections, key=lambda found: found.get("score", 1.0))  # the surest ones on top
    frames = [
        tuple(round(float(found["box"][edge]) * factor) for edge in ("xmin", "ymin", "xmax", "ymax"))
        for found in ordered
    ]
    for found, (left, top, right, bottom) in zip(ordered, frames, strict=True):
        colour = name_colour(str(found["label"]), names)
        right, bottom = max(left + 1, right), max(top + 1, bottom)
        # a thin dark line around it keeps a frame visible on its own colour
        draw.rectangle((left - 1, top - 1, right, bottom), outline=_INK, width=width + 2)
        draw.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=width)
    taken: list[tuple[int, int, int, int]] = []
    for found, frame in reversed(list(zip(ordered, frames, strict=True))):  # the surest have the first choice of place
        score = found.get("score")
        text = str(found["label"]) if score is None else f"{found['label']} {score:.2f}"
        _write_label(draw, canvas.size, frame, text, name_colour(str(found["label"]), names), size, taken)
    return canvas


def overlay_mask(
    picture: Image.Image,
    mask: np.ndarray,
    names: Sequence[str] | Mapping[int, str] | None = None,
    *,
    strength: float = 0.55,
    has_legend: bool = True,
) -> Image.Image:
    """``picture`` with each class in its colour laid over it, edges of areas drawn, and a legend below.

    Args:
        picture: in any mode.
        mask: (height, width) integers, class indices; `UNLABELLED` stays as it is in the picture. One of another size
            than the picture is brought to it by the nearest pixel.
        names: of the classes, by index; None for their numbers.
        strength: of the colours, in [0, 1]: 0 shows the picture, 1 the mask.
        has_legend: whether the classes that occur are listed below.

    Raises:
        ShapeError: the mask is no (height, width) of integers.
    """
    from PIL import Image

    indices = np.asarray(mask)
    if indices.ndim != 2 or indices.dtype.kind not in "iub":
        raise ShapeError(
            f"a mask of shape {indices.shape} and type {indices.dtype} cannot be drawn; expected (height, width) of "
            "integers, a class index for each pixel"
        )
    canvas, _ = _canvas(picture)
    rows = (np.arange(canvas.height) * indices.shape[0]) // canvas.height
    columns = (np.arange(canvas.width) * indices.shape[1]) // canvas.width
    indices = indices[rows[:, None], columns].astype(np.int64)  # (height, width) of the canvas
    shown = [int(index) for index in np.unique(indices) if index != UNLABELLED]
    pixels = np.asarray(canvas).astype(np.float64)
    labels = {index: _class_name(names, index) for index in shown}
    for index in shown:
        area = indices == index
        pixels[area] = (1 - strength) * pixels[area] + strength * np.array(class_colour(index))
    pixels[_edges(indices, _line_width(canvas))] = _INK
    result = Image.fromarray(np.rint(pixels).astype(np.uint8))
    if not has_legend or not shown:
        return result
    shares = {index: float((indices == index).mean()) for index in shown}
    entries = [(f"{labels[index]} {_percent(shares[index])}", class_colour(index)) for index in shown]
    return _above(result, _legend(entries, result.width, _letter_size(result)))


def overlay_heat(picture: Image.Image, heat: np.ndarray, *, strength: float = 0.6) -> Image.Image:
    """``picture`` in grey with the values of ``heat`` as colours over it, from black (lowest) over red to yellow.

    Args:
        picture: in any mode.
        heat: (height, width) finite numbers, of any size; it is stretched over the picture, and its values over the
            colours.
        strength: of the colours where the heat is highest, in [0, 1]; they fade with it.

    Raises:
        ShapeError: the heat is no (height, width) of finite numbers.
    """
    from PIL import Image

    values = np.asarray(heat, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ShapeError(
            f"a heat map of shape {values.shape} cannot be drawn; expected (height, width) of finite numbers"
        )
    canvas, _ = _canvas(picture)
    spread = values.max() - values.min()
    scaled = (values - values.min()) / spread if spread else np.zeros_like(values)
    stretched = Image.fromarray(scaled.astype(np.float32)).resize(canvas.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(stretched), 0, 1).astype(np.float64)  # (height, width)
    places = np.linspace(0, 1, len(_HEAT))
    colours = np.stack([np.interp(level, places, channel) for channel in _HEAT.T], axis=-1)
    weight = (strength * (0.25 + 0.75 * level))[..., None]  # cold parts keep more of the picture
    grey = np.asarray(canvas.convert("L").convert("RGB")).astype(np.float64)
    return Image.fromarray(np.rint((1 - weight) * grey + weight * colours).astype(np.uint8))


def contact_sheet(
    tiles: Sequence[Tile], *, columns: int | None = None, side: int = 160, title: str = ""
) -> Image.Image:
    """A sheet of pictures in rows, each with its caption below and a frame in the colour of right or wrong.

    Args:
        tiles: in reading order.
        columns: pictures in a row; None for about as many as there are rows, four thirds as wide as high.
        side: pixels of the square in which each picture is shown whole; small ones are enlarged by whole factors.
        title: a line above.

    Raises:
        ShapeError: there are no tiles.
    """
    from PIL import Image, ImageDraw

    if not tiles:
        raise ShapeError("a contact sheet needs at least one picture, got none")
    columns = max(1, min(len(tiles), columns or round((len(tiles) * 4 / 3) ** 0.5)))
    size = max(11, side // 12)
    frame, gap = max(3, side // 40), max(6, side // 16)
    line = round(size * 1.35)
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    cell = side + 2 * frame
    lines = [max(len(tile.caption.split("\n")) if tile.caption else 0 for tile in row) for row in rows]
    heading = 2 * line if title else 0
    height = gap + heading + sum(cell + (count * line + 4 if count else 0) + gap for count in lines)
    sheet = Image.new("RGB", (gap + columns * (cell + gap), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        write(draw, (gap, gap), shortened(title, size + 3, sheet.width - 2 * gap), size + 3, _INK)
    top = gap + heading
    for row, count in zip(rows, lines, strict=True):
        for place, tile in enumerate(row):
            left = gap + place * (cell + gap)
            colour = PLAIN if tile.is_right is None else RIGHT if tile.is_right else WRONG
            # without a judgement a hairline, so that green and red stand out
            draw.rectangle(
                (left, top, left + cell - 1, top + cell - 1),
                outline=colour,
                width=1 if tile.is_right is None else frame,
            )
            small = _fitted(tile.picture, side)
            sheet.paste(small, (left + frame + (side - small.width) // 2, top + frame + (side - small.height) // 2))
            for number, text in enumerate(tile.caption.split("\n") if tile.caption else ()):
                place_of_line = (left, top + cell + 2 + number * line)
                ink = _INK if tile.is_right is None else colour
                write(draw, place_of_line, shortened(text, size, cell), size, ink)
        top += cell + (count * line + 4 if count else 0) + gap
    return sheet


# --- parts --------------------------------------------------------------------------------------------------------


def _canvas(picture: Image.Image) -> tuple[Image.Image, int]:
    """A copy of ``picture`` in RGB to draw on, enlarged where it is tiny, and the factor by which it is."""
    from PIL import Image

    factor = max(1, -(-LEAST_SIDE // max(picture.size)))
    if min(picture.size) * factor > 4 * LEAST_SIDE:
        factor = 1
    plain = _on_paper(picture)
    size = (plain.width * factor, plain.height * factor)
    return (plain if factor == 1 else plain.resize(size, Image.Resampling.NEAREST)), factor


def _on_paper(picture: Image.Image) -> Image.Image:
    """A copy in RGB; what is transparent shows white."""
    from PIL import Image

    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB") if picture.mode != "RGB" else picture.copy()
    with_alpha = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, (*_PAPER, 255))
    return Image.alpha_composite(paper, with_alpha).convert("RGB")


def _line_width(canvas: Image.Image) -> int:
    return max(2, round(min(canvas.size) / 160))


def _letter_size(canvas: Image.Image) -> int:
    """Pixels of the letters: about a thirtieth of the shorter side, neither unreadable nor in the way."""
    return max(11, min(round(min(canvas.size) / 30), round(canvas.width / 12)))


def _write_label(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    frame: tuple[int, ...],
    text: str,
    colour: Colour,
    letters: int,
    taken: list[tuple[int, int, int, int]],
) -> None:
    """A label above its frame, or where that is outside or covers another label inside or below it."""
    text = shortened(text, letters, size[0] - 4)
    wide, high = text_size(text, letters)
    wide, high = wide + 6, high + 4
    left = max(0, min(frame[0], size[0] - wide))
    above, below, inside_top, inside_bottom = frame[1] - high, frame[3], frame[1] + 2, frame[3] - high - 2
    is_tall = frame[3] - frame[1] > 4 * high  # has room for a label that hides little of what is in it
    tops = [above, inside_top, below, inside_bottom] if is_tall else [above, below, inside_top, inside_bottom]
    inside = [min(max(0, top), max(0, size[1] - high)) for top in tops]
    places = [(left, top, left + wide, top + high) for top in inside]
    place = next((each for each in places if not any(_overlap(each, other) for other in taken)), places[0])
    taken.append(place)
    draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=colour)
    write(draw, (place[0] + 3, place[1] + 2), text, letters, letters_on(colour))


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _class_name(names: Sequence[str] | Mapping[int, str] | None, index: int) -> str:
    if isinstance(names, Mapping):
        return names.get(index, str(index))
    return names[index] if names is not None and index < len(names) else str(index)


def _percent(share: float) -> str:
    return "<1%" if share < 0.005 else f"{share:.0%}"


def _edges(indices: np.ndarray, width: int) -> np.ndarray:
    """(height, width) bool: pixels at the border of two classes, about half a line wide."""
    found = np.zeros(indices.shape, dtype=bool)
    for step in range(1, max(1, width // 2) + 1):
        found[step:] |= indices[step:] != indices[:-step]
        found[:, step:] |= indices[:, step:] != indices[:, :-step]
    return found


def _legend(entries: Sequence[tuple[str, Colour]], width: int, size: int) -> Image.Image:
    """Coloured squares with texts, in as many lines as they need."""
    from PIL import Image, ImageDraw

    gap, line = max(4, size // 2), round(size * 1.6)
    lines: list[list[tuple[int, str, Colour]]] = [[]]
    left = gap
    for text, colour in entries:
        text = shortened(text, size, max(1, width - 3 * gap - size))
        needed = size + gap + text_size(text, size)[0] + 2 * gap
        if lines[-1] and left + needed - gap > width:
            lines.append([])
            left = gap
        lines[-1].append((left, text, colour))
        left += needed
    strip = Image.new("RGB", (width, len(lines) * line + gap), _PAPER)
    draw = ImageDraw.Draw(strip)
    for number, line_entries in enumerate(lines):
        top = number * line + gap
        for left, text, colour in line_entries:
            draw.rectangle((left, top, left + size - 1, top + size - 1), fill=colour)
            write(draw, (left + size + gap // 2, top), text, size, _INK)
    return strip


def _above(upper: Image.Image, lower: Image.Image) -> Image.Image:
    from PIL import Image

    both = Image.new("RGB", (upper.width, upper.height + lower.height), _PAPER)
    both.paste(upper, (0, 0))
    both.paste(lower, (0, upper.height))
    return both


def _fitted(picture: Image.Image, side: int) -> Image.Image:
    """A picture in RGB that fits into a square: large ones made smaller, small ones larger by a whole factor."""
    from PIL import Image

    longest = max(picture.size)
    if longest > side:
        size = (max(1, round(picture.width * side / longest)), max(1, round(picture.height * side / longest)))
        plain = picture if picture.mode in ("RGB", "L") else _on_paper(picture)
        # whole pixels are averaged first, which is many times as fast for a huge picture
        return plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0).convert("RGB")
    factor = side // longest
    return _on_paper(picture).resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
