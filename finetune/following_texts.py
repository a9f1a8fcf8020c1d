"""Pairs of sentences out of documents: half of them follow each other, half are strangers.

That is what BERT learns beside masked words (Devlin et al. 2019, section 3.1, task 2). A document's sentences are its
lines; one of a single line is cut behind full stops, question and exclamation marks. Each sentence but the last of its
document begins a pair. Its partner is the next sentence, or in half of the pairs a sentence of another document.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..pipelines.errors import DataError
from .problems import LANGUAGE_MODELLING, SINGLE_LABEL

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset

    from .data import TaskData

IS_NEXT, NOT_NEXT = 0, 1
"""Class ids, as in `pipelines.next_sentence_prediction.LABELS`."""

DOCUMENT = "document"
"""Column of the pairs: the position of the document, counted from 0, whose sentence is the first."""

_DRAWS = 10  # until a stranger is another text than the sentence that follows
_ROWS_AT_ONCE = 1000

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=\S)|(?<=[。！？])(?=\S)")


def is_unpaired(data: TaskData) -> bool:
    """Whether the rows of ``data`` are documents, of which pairs are still to be made."""
    return data.problem_type == LANGUAGE_MODELLING


def paired(data: TaskData, labels: tuple[str, ...], seeds: Mapping[str, int], folder: Path | None = None) -> TaskData:
    """``data`` with pairs in place of documents.

    Args:
        data: with the column text.
        labels: names of the classes `IS_NEXT` and `NOT_NEXT`.
        seeds: the splits to make pairs of -> the seed of the draws.
        folder: where the pairs are kept, and taken from when a run goes on; None keeps them in memory.

    Raises:
        DataError: a split has too few documents or sentences.
    """
    pairs = {
        role: pairs_of(data.splits[role], seed, role, folder and folder / f"pairs-{role}.arrow")
        for role, seed in seeds.items()
    }
    return replace(data, labels=labels, problem_type=SINGLE_LABEL, splits={**data.splits, **pairs})


def pairs_of(documents: Dataset, seed: int, role: str, file: Path | None = None) -> Dataset:
    """The pairs of ``documents``, in their order: text, text_pair, label (int64), and `DOCUMENT`.

    Args:
        documents: with the column text.
        seed: of the draws; with the documents in the same order it gives the same pairs.
        role: of the split, for errors.
        file: where they are kept; None for memory.

    Raises:
        DataError: there are less than two documents, or none has two sentences.
    """
    import datasets
    import pyarrow

    if file is not None and file.is_file():
        return datasets.Dataset.from_file(str(file))
    counts = np.fromiter((len(sentences_of(text)) for text in _texts(documents)), np.int64, len(documents))
    if np.count_nonzero(counts) < 2 or counts.max() < 2:
        raise DataError(
            f"no pairs can be made of {role}: documents: {len(counts)}, sentences of the longest: "
            f"{counts.max(initial=0)}; expected two or more of each. In a plain text a sentence is a line, and a blank "
            "line stands between documents"
        )
    batches = _batches(documents, counts, np.random.default_rng(seed))
    if file is None:
        return datasets.Dataset(pyarrow.Table.from_batches(batches))  # pyright: ignore[reportArgumentType]
    temporary = file.with_suffix(".tmp")
    with pyarrow.OSFile(str(temporary), "wb") as stream:
        first = next(batches)
        with pyarrow.ipc.new_stream(stream, first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)
    temporary.rename(file)
    return datasets.Dataset.from_file(str(file))


def sentences_of(document: str) -> list[str]:
    """The sentences of a document, none of them blank.

    >>> sentences_of("It rained. We stayed."), sentences_of("First line\\nSecond. Line")
    (['It rained.', 'We stayed.'], ['First line', 'Second. Line'])
    """
    lines = [line.strip() for line in document.splitlines() if line.strip()]
    if len(lines) != 1:
        return lines
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(lines[0])), len(lines[0])]
    return [lines[0][start:end].strip() for start, end in itertools.pairwise(ends)]


def _batches(documents: Dataset, counts: np.ndarray, generator: np.random.Generator) -> Iterator[pyarrow.RecordBatch]:
    """The pairs, some at a time; half of them, drawn beforehand, are strangers."""
    import pyarrow

    total = int((counts - 1).clip(min=0).sum())
    is_stranger = np.zeros(total, dtype=np.bool_)
    is_stranger[generator.permutation(total)[: total // 2]] = True
    filled = np.flatnonzero(counts)
    rows: list[dict[str, Any]] = []
    number = 0
    for document, text in enumerate(_texts(documents)):
        sentences = sentences_of(text)
        for first, following in itertools.pairwise(sentences):
            label, second = IS_NEXT, following
            if is_stranger[number]:
                label, second = NOT_NEXT, _stranger(documents, filled, document, following, generator)
            rows.append({"text": first, "text_pair": second, "label": label, DOCUMENT: document})
            number += 1
        if len(rows) >= _ROWS_AT_ONCE:
            yield pyarrow.RecordBatch.from_pylist(rows)
            rows = []
    if rows:
        yield pyarrow.RecordBatch.from_pylist(rows)


def _stranger(
    documents: Dataset, filled: np.ndarray, document: int, following: str, generator: np.random.Generator
) -> str:
    """A sentence of another document: each of these is as probable, and so is each sentence of it."""
    others = len(filled) - 1
    own = int(np.searchsorted(filled, document))
    found = following
    for _ in range(_DRAWS):
        drawn = int(generator.integers(others))
        sentences = sentences_of(documents[int(filled[drawn + (drawn >= own)])]["text"])
        found = sentences[int(generator.integers(len(sentences)))]
        if found != following:
            break
    return found


def _texts(documents: Any) -> Iterator[str]:
    for rows in documents.iter(batch_size=_ROWS_AT_ONCE):
        yield from rows["text"]
