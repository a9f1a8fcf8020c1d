"""Which texts a checkpoint was trained on, as hashes beside its weights: by them an evaluation recognises them again.

The file holds no text, and none can be read out of it; but who has a text can look whether it was trained on. A key is
that of the data layer, 64 bits, equal for texts that differ in case and spacing only. Of more than `MOST_KEYS` texts
the smallest keys are kept. Keys are hashes, so these are a sample drawn by chance, and the same texts are in it on both
sides: the share found among the evaluated keys below the largest one kept is the share among all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..pipelines.errors import DataError

FILE_NAME = "training_keys.npz"

MOST_KEYS = 1_000_000
"""Keys kept at most: 8 MB."""

_LARGEST = np.iinfo(np.uint64).max


@dataclass(frozen=True)
class TrainingKeys:
    """Keys of the texts that were trained on.

    Attributes:
        keys: (keys,) uint64, ascending, each once.
        limit: all keys up to this one are in ``keys``; the largest number of 64 bits where none was left out.
    """

    keys: np.ndarray
    limit: int = int(_LARGEST)

    @classmethod
    def of(cls, text_keys: np.ndarray) -> TrainingKeys:
        """The keys to keep of all training rows; ``text_keys`` as in `TaskData`."""
        keys = np.unique(text_keys)
        if len(keys) <= MOST_KEYS:
            return cls(keys)
        return cls(keys[:MOST_KEYS], int(keys[MOST_KEYS - 1]))

    @property
    def is_sample(self) -> bool:
        """Whether keys were left out, so that `count` estimates."""
        return self.limit < _LARGEST

    def count(self, text_keys: np.ndarray) -> int | None:
        """How many rows with these keys have a text that was trained on; None where the sample says nothing of them."""
        if not self.is_sample:
            return int(np.isin(text_keys, self.keys).sum())
        sampled = text_keys[text_keys <= np.uint64(self.limit)]
        if not len(sampled):
            return None
        return round(float(np.isin(sampled, self.keys).mean()) * len(text_keys))

    def write(self, folder: Path) -> None:
        """Puts them into the checkpoint folder; the same keys give the same bytes."""
        np.savez(folder / FILE_NAME, keys=self.keys.astype("<u8"), limit=np.array(self.limit, "<u8"))


def read_training_keys(folder: Path) -> TrainingKeys | None:
    """The keys beside a checkpoint; None where it has none.

    Raises:
        DataError: the file is none that `TrainingKeys.write` wrote.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return TrainingKeys(file["keys"].astype(np.uint64), int(file["limit"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(
            f"{FILE_NAME} beside the checkpoint cannot be read ({type(error).__name__}), and it says which rows were "
            "trained on; expected the file that `quintet finetune` wrote. Copy it again, or delete it to evaluate "
            "without this check"
        ) from error
