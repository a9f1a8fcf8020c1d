"""The pictures that an owner gives as examples for a card, in the form in which facts keep them."""

from __future__ import annotations

import base64

from ..pipelines.errors import UsageError
from .picture_usage import DATA_URL, DRAWN, LONGEST_URL


def stored_picture(given: str) -> str:
    """A picture as facts keep it: the name of a drawn one, or its pixels as a ``data:`` URL of a PNG file.

    Args:
        given: what `stored_picture` gave before, or a path, a URL or base64 text.

    Raises:
        InputError: it is no picture.
        UsageError: it is too large for a snippet.
    """
    from ..pipelines.image_inputs import picture_file, read_picture

    if given in DRAWN or (given.startswith(DATA_URL) and len(given) <= LONGEST_URL):
        return given
    url = DATA_URL + base64.b64encode(picture_file(read_picture(given))).decode("ascii")
    if len(url) > LONGEST_URL:
        shown = given.rpartition("/")[2][:40]
        raise UsageError(
            f"the example picture '{shown}' takes {len(url):,} characters in a snippet, at most {LONGEST_URL:,} are "
            "shown; make it smaller, 32 x 32 pixels for instance"
        )
    return url
