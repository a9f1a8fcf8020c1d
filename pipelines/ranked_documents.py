"""The documents that a query is ranked against: where they come from, the best of them, a file with their vectors."""

from __future__ import annotations

import hashlib
import heapq
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import numpy as np

from .errors import DataError, InputError, UsageError
from .record_files import find_files
from .record_rows import BadRow
from .records import read_data_file
from .run_parts import file_digest
from .text_inputs import read_one_text

DOCUMENT_COLUMNS = (
    "document",
    "text",
    "passage",
    "content",
    "body",
    "sentence",
    "answer",
    "description",
    "context",
    "title",
)
"""Names under which files keep the text of a document, the first one found is taken."""


class Documents:
    """Texts, in an order that stays.

    Args:
        given: a list of texts or of dicts with the text under ``column`` (``text`` if None), or a data file, folder or
            glob.
        column: the column with the text; None finds it by its name.

    Raises:
        DataError: there is no such file.
        UsageError: ``given`` is neither, or empty.
    """

    def __init__(self, given: Any, column: str | None = None) -> None:
        self._column = column
        self._files = find_files(given) if isinstance(given, str | Path) else []
        self._texts: Any = () if self._files else given
        is_sequence = hasattr(given, "__len__") and hasattr(given, "__getitem__") and not isinstance(given, Mapping)
        if not self._files and not is_sequence:
            raise UsageError(
                f"documents is {type(given).__name__}; expected a list of texts, or a data file such as 'docs.csv'."
            )
        if not self._files and len(self._texts) == 0:
            raise UsageError("documents is empty; give at least one text.")

    def __iter__(self) -> Iterator[str | InputError]:
        """The texts; in place of one that cannot be read, why.

        Raises:
            DataError: a file cannot be read, or lacks the column.
        """
        if not self._files:
            yield from (self._checked(self._texts[index], None) for index in range(len(self._texts)))
        for file in self._files:
            column = None
            for record in read_data_file(file):
                if isinstance(record, BadRow):
                    yield InputError(record.reason, source=record.place)
                    continue
                if column is None:
                    column = self._find_column(list(record.values), record.source)
                yield self._checked(record.values.get(column), record.place)

    def __repr__(self) -> str:
        """Their digest: a run that is resumed compares it."""
        return f"Documents({self.digest()})"

    def digest(self) -> str:
        """sha256 that changes when a text does; of files when their size, time of change or ends do."""
        digest = hashlib.sha256(str(self._column).encode())
        for file in self._files:
            digest.update(file_digest(file.path).encode())
        for text in self._texts:
            digest.update(repr(text).encode("utf-8", "backslashreplace") + b"\0")
        return digest.hexdigest()

    def _checked(self, value: Any, place: str | None) -> str | InputError:
        if isinstance(value, Mapping) and (self._column or "text") in value:
            value = value[self._column or "text"]
        try:
            text = read_one_text(value)
        except InputError as error:
            return InputError(error.reason, source=place)
        return text if text.strip() else InputError("the document is empty; leave it out.", source=place)

    def _find_column(self, names: Sequence[str], source: str) -> str:
        if self._column is not None and self._column not in names:
            raise DataError(f"{source}: no column '{self._column}'; found: {', '.join(names)}. Set document_column.")
        if self._column is not None:
            return self._column
        by_case = {name.casefold(): name for name in reversed(names)}
        found = next((by_case[name] for name in DOCUMENT_COLUMNS if name in by_case), None)
        if found is None and len(names) > 1:
            raise DataError(
                f"{source}: none of the columns is known to hold documents; found: {', '.join(names)}. Set "
                f"document_column={names[0]}."
            )
        return found or names[0]


Texts = Sequence[str | InputError]
"""Documents, in place of those that cannot be read why."""


class RankedDocument(TypedDict):
    """A document: its place in the documents counted from 0, its score, and its text."""

    corpus_id: int
    score: float
    text: str


@dataclass
class Ranking:
    """The best documents of one query so far.

    Attributes:
        count: how many are kept.
        best: (score, minus corpus_id, text), the worst one first.
    """

    count: int
    best: list[tuple[float, int, str]] = field(default_factory=list)

    def add(self, first_id: int, scores: np.ndarray, texts: Texts) -> None:
        """Takes in the documents from ``first_id`` on.

        Args:
            first_id: number of the first one.
            scores: float32 ``(n,)``; nan for a document that is left out.
            texts: what they say.
        """
        least = self.best[0][0] if len(self.best) == self.count else -np.inf
        for place in np.flatnonzero(scores > least).tolist():
            entry = (float(scores[place]), -(first_id + place), str(texts[place]))
            if len(self.best) < self.count:
                heapq.heappush(self.best, entry)
            else:
                heapq.heappushpop(self.best, entry)

    def rows(self) -> list[RankedDocument]:
        """The documents, best first; of equal scores the earlier one first."""
        ordered = sorted(self.best, reverse=True)
        return [{"corpus_id": -minus_id, "score": score, "text": text} for score, minus_id, text in ordered]


class VectorFile:
    """The vectors of documents in a ``.npy`` file, beside it what they were made of.

    Args:
        path: where it is or shall be.
        fingerprint: of the documents, the checkpoint and the settings.

    Raises:
        UsageError: ``path`` does not end in .npy, or is a file that was not written here.
    """

    def __init__(self, path: str | Path, fingerprint: str) -> None:
        self.path, self._fingerprint = Path(path), fingerprint
        self._facts = self.path.with_name(f"{self.path.name}.json")
        if self.path.suffix != ".npy":
            raise UsageError(f"vectors is '{self.path.name}'; expected a file that ends in .npy.")
        if not self.path.parent.is_dir():
            raise DataError(f"the folder '{self.path.parent.name}' for {self.path.name} does not exist; make it first.")
        if self.path.exists() and not self._facts.is_file():
            raise UsageError(
                f"'{self.path.name}' exists and has no {self._facts.name} beside it, so text-ranking did not write it; "
                "give another name."
            )

    def read(self) -> np.ndarray | None:
        """The vectors, float32 ``(documents, hidden)``, still on disk; None if there are none of this fingerprint.

        The row of a document that could not be read is nan.
        """
        try:
            facts = json.loads(self._facts.read_text(encoding="utf-8"))
            if facts.get("fingerprint") != self._fingerprint:
                return None
            return np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, AttributeError):
            return None  # written anew

    @contextmanager
    def writing(self) -> Iterator[Callable[[np.ndarray], None]]:
        """Gives a function that adds vectors ``(n, hidden)``; the file appears at the end, if nothing went wrong."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")  # of this process alone
        rows, width = 0, 0
        try:
            with partial.open("wb") as stream:

                def add(vectors: np.ndarray) -> None:
                    nonlocal rows, width
                    if not rows:
                        width = vectors.shape[1]
                        _write_header(stream, 0, width)
                    stream.write(np.ascontiguousarray(vectors, np.float32).tobytes())
                    rows += len(vectors)

                yield add
                # numpy leaves room in a header for the number of rows to grow in place.
                stream.seek(0)
                _write_header(stream, rows, width)
            self._write_facts(None)
            os.replace(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)  # there only where something went wrong
        self._write_facts(self._fingerprint)

    def _write_facts(self, fingerprint: str | None) -> None:
        partial = self._facts.with_name(f".{self._facts.name}.partial")
        partial.write_text(json.dumps({"fingerprint": fingerprint}) + "\n", encoding="utf-8")
        os.replace(partial, self._facts)


def _write_header(stream: BinaryIO, rows: int, width: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(stream, header)
