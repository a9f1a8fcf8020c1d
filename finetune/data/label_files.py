"""Final labels as an Arrow file on disk, mapped into memory beside the texts, for both to take no memory by the row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrow_files import cache_folder, written_whole
from .labels import LabelPlan, RowLabels

if TYPE_CHECKING:
    import datasets

_BLOCK_ROWS = 65_536


def label_rows(labels: RowLabels, plan: LabelPlan, names: Sequence[str], *, column: str = "label") -> datasets.Dataset:
    """A data set with one column: int64 class ids, float32 numbers, or a list of ids or of float32 zeros and ones.

    Args:
        labels: of all rows, with provisional ids.
        plan: what the labels are.
        names: those of the provisional ids.
        column: its name.

    A row without a label has -1, NaN or no ones; such rows are bad and are in no split.

    Raises:
        DataError: the cache folder cannot be written to.
    """
    import datasets
    import pyarrow

    classes = list(plan.labels or ())
    if plan.problem_type == "regression":
        final, offsets = labels.numbers(names).astype(np.float32), None
        feature: Any = datasets.Value("float32")
    elif plan.problem_type in ("tagging", "detection"):
        final, offsets = plan.final_ids[labels.ids], labels.offsets
        feature = datasets.List(datasets.Value("int64"))
    else:
        final = np.append(plan.final_ids, -1).astype(np.int32)[labels.ids]  # a missing label's id -1 finds the last, -1
        is_multi = plan.problem_type == "multi_label_classification"
        offsets = (np.arange(len(final) + 1) if labels.offsets is None else labels.offsets) if is_multi else None
        feature = datasets.List(datasets.Value("float32")) if is_multi else datasets.ClassLabel(names=classes)
    schema = datasets.Features({column: feature}).arrow_schema

    def blocks() -> Iterator[Any]:
        for start in range(0, len(labels), _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, len(labels))
            if offsets is None:
                values = pyarrow.array(final[start:stop], type=schema.field(column).type)
            elif plan.problem_type in ("tagging", "detection"):
                ends = pyarrow.array((offsets[start : stop + 1] - offsets[start]).astype(np.int32))
                values = pyarrow.ListArray.from_arrays(ends, final[offsets[start] : offsets[stop]])
            else:
                values = _multi_hot(
                    final[offsets[start] : offsets[stop]], np.diff(offsets[start : stop + 1]), len(classes)
                )
            yield pyarrow.RecordBatch.from_arrays([values], schema=schema)

    content = hashlib.sha256(f"{column} {plan.problem_type} {classes} ".encode())
    content.update(final.tobytes())
    content.update(b"" if offsets is None else offsets.tobytes())
    path = cache_folder() / f"labels-{content.hexdigest()[:32]}.arrow"
    if not path.exists():
        with (
            written_whole(path) as partial,
            pyarrow.OSFile(str(partial), "wb") as stream,
            pyarrow.ipc.new_stream(stream, schema) as writer,
        ):
            for batch in blocks():
                writer.write_batch(batch)
    return datasets.Dataset.from_file(str(path))


def _multi_hot(ids: np.ndarray, counts: np.ndarray, width: int) -> Any:
    """A list of ``width`` zeros and ones for each row; row i has ones at its ``counts[i]`` ids."""
    import pyarrow

    marks = np.zeros((len(counts), width), np.float32)
    marks[np.repeat(np.arange(len(counts)), counts), ids] = 1.0
    ends = pyarrow.array(np.arange(0, marks.size + 1, max(1, width), dtype=np.int32))
    return pyarrow.ListArray.from_arrays(ends, marks.ravel())
