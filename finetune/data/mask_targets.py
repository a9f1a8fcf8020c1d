"""Masks as what is to be found out: which class indices they hold, and which class each of these is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...pipelines.errors import DataError, InputError
from ...pipelines.image_inputs import picture_bytes, picture_size
from ...pipelines.image_masks import UNLABELLED, read_mask
from ...pipelines.mask_classes import NO_CLASS
from .cells import Wanted, as_text
from .labels import RowLabels


@dataclass(frozen=True)
class MaskClasses:
    """The classes of masks.

    Attributes:
        labels: their names in the order of the ids that are learnt.
        ids: uint8 (256,): index in the mask files -> id, `UNLABELLED` for what is no class.
    """

    labels: tuple[str, ...]
    ids: np.ndarray

    @classmethod
    def of(cls, seen: np.ndarray, names: Sequence[str] | None, *, column: str) -> MaskClasses:
        """The classes of the indices that masks hold.

        Args:
            seen: bool (256,), which indices occur.
            names: of the indices from 0 upwards; None calls them ``class 0`` and so on.
            column: that holds the masks, for messages.

        Raises:
            DataError: an index has no name, or there are fewer than two classes.
        """
        indices = np.flatnonzero(seen[:UNLABELLED])
        last = int(indices[-1]) if len(indices) else 0
        given = list(names) if names else [f"class {index}" for index in range(last + 1)]
        if last >= len(given):
            raise DataError(
                f"the masks in column '{column}' hold the class index {last}, but there are {len(given)} class names "
                f"({', '.join(given[:8])}{', …' if len(given) > 8 else ''}); name all from 0 on with --label-names"
            )
        ids = np.full(256, UNLABELLED, np.uint8)
        kept = [index for index, name in enumerate(given) if name.casefold() not in NO_CLASS]
        ids[kept] = np.arange(len(kept))
        if len(kept) < 2:
            raise DataError(
                f"the masks in column '{column}' hold one class only ({', '.join(given)}); expected two or more"
            )
        return cls(tuple(given[index] for index in kept), ids)


class MaskTargets:
    """The masks of the rows of a split, see `targets.Targets`.

    Attributes:
        seen: bool (256,), which indices the masks read so far hold.
    """

    marks = None  # of answers only

    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._name = wanted, wanted.target or ""
        self.seen = np.zeros(256, bool)

    def read(self, block: Any) -> Iterator[tuple[str | None, str | None]]:
        """The hash of each mask, or why it cannot be used."""
        theirs = self._wanted.columns[self._name]
        pictures = block.column(self._wanted.inputs[0]).to_pylist()
        for picture, mask in zip(pictures, block.column(self._name).to_pylist(), strict=True):
            if mask is None or picture is None:
                yield None, f"column '{theirs}' is missing or empty" if mask is None else None
                continue
            try:
                indices = read_mask(mask)
                width, height = picture_size(picture_bytes(picture), "the picture")
            except InputError as error:
                yield None, f"column '{theirs}' holds a mask that cannot be used: {error.reason.removesuffix('.')}"
                continue
            if indices.shape != (height, width):
                yield (
                    None,
                    (
                        f"column '{theirs}' holds a mask of {indices.shape[1]} x {indices.shape[0]} pixels for a "
                        f"picture of {width} x {height}; each pixel needs a class"
                    ),
                )
                continue
            self.seen[np.unique(indices)] = True
            yield as_text("mask", mask), None

    def labels(self, rows: int) -> RowLabels:
        """None: the classes are within the masks."""
        return RowLabels(np.zeros(rows, np.int32))
