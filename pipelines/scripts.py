"""Which writing system a text is in, as far as choosing a checkpoint for it needs to know."""

from __future__ import annotations

import re
from typing import Literal

Script = Literal["han", "other"]

# Where a text is long its beginning says enough, and 10 MB are not searched through.
HEAD_CHARACTERS = 10_000

# CJK ideographs: extension A, the main block, compatibility forms, and the supplementary planes. Kana and Hangul are
# not among them: Japanese and Korean text is not what a Chinese checkpoint has learned.
_HAN_RANGES = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN = re.compile(f"[{_HAN_RANGES}]")
_OTHER_WORDS = re.compile(rf"[^\W\d_{_HAN_RANGES}]+")


def find_script(text: str) -> Script:
    """``han`` if the text has more Han characters than words of other scripts, else ``other``.

    A Han character is counted like a word, since it carries about as much: a Chinese review that names a few English
    brands is Chinese, an English one that names a Chinese dish is not.

    >>> find_script("这部电影很好看")
    'han'
    >>> find_script("iPhone 的屏幕很清楚")
    'han'
    >>> find_script("The 麻婆豆腐 was far too salty for me, and cold.")
    'other'
    """
    head = text[:HEAD_CHARACTERS]
    return "han" if len(_HAN.findall(head)) > len(_OTHER_WORDS.findall(head)) else "other"
