"""A colour for each class, the same in every picture, and letters that can be read on it."""

from __future__ import annotations

import colorsys
import functools
import zlib
from collections.abc import Sequence
from typing import Any

Colour = tuple[int, int, int]

# Okabe and Ito 2008, "Color Universal Design": told apart with the common forms of colour blindness. Their black is
# left out, since it is the colour of edges, and white and grey, since they are paper.
_SAFE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_HUES = 20
_LEVELS = ((0.95, 0.75), (0.65, 0.95), (1.0, 0.4))  # brightness and saturation


def class_colour(index: int) -> Colour:
    """Red, green and blue in [0, 255] of the class with this index; the first ones are the easiest to tell apart.

    >>> class_colour(0), class_colour(1)
    ((230, 159, 0), (86, 180, 233))
    """
    return _palette()[index % len(_palette())]


@functools.cache
def _palette() -> tuple[Colour, ...]:
    """The safe colours, then hues in three levels, always that next which differs most from all before it."""
    hues = [
        tuple(round(part * 255) for part in colorsys.hsv_to_rgb(number / _HUES, saturation, value))
        for number in range(_HUES)
        for value, saturation in _LEVELS
    ]
    chosen: list[Any] = list(_SAFE)
    distance = {hue: min(_difference(hue, other) for other in chosen) for hue in hues}
    while distance:
        farthest = max(distance, key=lambda hue: distance[hue])
        del distance[farthest]
        chosen.append(farthest)
        distance = {hue: min(least, _difference(hue, farthest)) for hue, least in distance.items()}
    return tuple(chosen)


def _difference(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How far apart two colours are: squares, weighed by how well the eye sees red, green and blue."""
    return sum(weight * (a - b) ** 2 for weight, a, b in zip((2, 4, 3), one, other, strict=True))


def name_colour(name: str, names: Sequence[str] | None = None) -> Colour:
    """The colour of a class by its name: that of its place among ``names``, or else one that follows from the name.

    >>> name_colour("cat", ["dog", "cat"]) == class_colour(1), name_colour("cat") == name_colour("cat", ["dog"])
    (True, True)
    """
    if names is not None and name in names:
        return class_colour(list(names).index(name))
    return class_colour(zlib.crc32(name.encode()) % len(_palette()))


def letters_on(colour: Colour) -> Colour:
    """Black or white, whichever can be read better on ``colour``: by contrast of WCAG 2.1, section 1.4.3."""
    luminance = _luminance(colour)
    return (0, 0, 0) if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else (255, 255, 255)


def contrast(one: Colour, other: Colour) -> float:
    """Contrast of two colours, from 1 (the same) to 21 (black on white): WCAG 2.1."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
