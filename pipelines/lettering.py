"""Letters on pictures: a font that has them, their size, and texts cut to the room there is."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

# Fonts of the common systems with Chinese, Japanese and Korean letters; Pillow knows the folders of fonts.
_EASTERN = (
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "simhei.ttf",
)
_FIRST_EASTERN = 0x2E80  # from here on the letters of East Asia begin


def text_size(text: str, size: int) -> tuple[int, int]:
    """(width, height) in pixels of a line of text; the height is the same for every text."""
    font = _font(size, is_eastern=_is_eastern(text))
    left, _, right, _ = font.getbbox(text)
    return round(right - min(0, left)), round(size * 1.25)


def write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]
) -> None:
    """Writes a line of text with its upper left corner at ``place``."""
    draw.text(place, text, fill=colour, font=_font(size, is_eastern=_is_eastern(text)))


def shortened(text: str, size: int, width: int) -> str:
    """``text`` in one line, cut off with … where it is wider than ``width`` pixels."""
    text = " ".join(text.split())
    if text_size(text, size)[0] <= width:
        return text
    low, high = 0, len(text)  # letters that fit with the mark behind them
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text_size(f"{text[:middle]}…", size)[0] <= width else (low, middle - 1)
    return f"{text[:low].rstrip()}…"


def _is_eastern(text: str) -> bool:
    return any(ord(letter) >= _FIRST_EASTERN for letter in text)


@functools.lru_cache(maxsize=64)
def _font(size: int, *, is_eastern: bool) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The first font that is here: of the system for East Asia, DejaVu (which matplotlib brings), Pillow's own."""
    from PIL import ImageFont

    names: list[str] = [*_EASTERN] if is_eastern else []
    for name in [*names, *_dejavu(), "DejaVuSans.ttf"]:
        try:
            return ImageFont.truetype(name, size)
        except OSError:  # it is not on this machine
            continue
    return ImageFont.load_default(size)


def _dejavu() -> list[str]:
    found = find_spec("matplotlib")
    folders = found.submodule_search_locations if found else None
    return [str(Path(folder) / "mpl-data/fonts/ttf/DejaVuSans.ttf") for folder in folders or ()]
