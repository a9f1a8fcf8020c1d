"""What a cell of each kind of column may hold: as it is found, as Arrow keeps it, and as the text that it counts as."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from ...pipelines.errors import InputError
from ...pipelines.image_inputs import (
    check_picture,
    picture_bytes,
    picture_file,
    picture_name,
    picture_size,
    read_picture,
)
from ...pipelines.tasks import Task
from .labels import LabelValueError, canonical_label
from .object_targets import BOX_NAMES, CATEGORY_NAMES, read_objects

if TYPE_CHECKING:
    import pyarrow

LABEL_KINDS = ("label", "tags", "objects")
TEXT_KINDS = ("text", "document")
PICTURE_KINDS = ("image", "mask")

_EXPECTED = {
    "text": "text",
    "document": "text",
    "tokens": "a list of words, or words with spaces between",
    "label": "a label",
    "tags": "a list with a tag for each word, or tags with spaces between",
    "answers": "answers as SQuAD has them: {'text': [...], 'answer_start': [...]}",
    "objects": "objects: {'bbox': [[x, y, width, height], ...] in pixels, 'category': [...]}",
    "mask": "a mask: a picture with a class index for each pixel",
    "image": "a picture: a path, or {'bytes': ..., 'path': ...} as datasets stores it",
}


@dataclass(frozen=True)
class Wanted:
    """The columns that are read.

    Attributes:
        columns: task column -> the data set's column.
        kinds: task column -> what it holds, as in `tasks.Column`.
        inputs: those of them that the task reads.
    """

    columns: Mapping[str, str]
    kinds: Mapping[str, str]
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, task: Task, columns: Mapping[str, str]) -> Wanted:
        """The columns of ``task`` that were found."""
        found = [column for column in task.columns if column.name in columns]
        inputs = tuple(column.name for column in found if column.role == "input")
        return cls(dict(columns), {column.name: column.kind for column in found}, inputs)

    @property
    def labels(self) -> str | None:
        """The column that holds labels, tags or objects with their classes; None where there is none."""
        return next((name for name, kind in self.kinds.items() if kind in LABEL_KINDS), None)

    @property
    def target(self) -> str | None:
        """The column that is to be found out; None where there is none."""
        return next((name for name in self.kinds if name not in self.inputs), None)


def expected(kind: str) -> str:
    """What a column of this kind should hold, in words."""
    return _EXPECTED[kind]


def arrow_type(kind: str, *, is_list: bool) -> pyarrow.DataType:
    """The Arrow type of a column; ``is_list`` for labels that come as lists."""
    import pyarrow

    texts = pyarrow.list_(pyarrow.string())
    if kind in PICTURE_KINDS:
        return pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    if kind == "answers":
        return pyarrow.struct([("text", texts), ("answer_start", pyarrow.list_(pyarrow.int64()))])
    if kind == "objects":
        return pyarrow.struct([("bbox", pyarrow.list_(pyarrow.list_(pyarrow.float64()))), ("category", texts)])
    return texts if kind in ("tokens", "tags") or (kind == "label" and is_list) else pyarrow.string()


def holds(kind: str, found: pyarrow.DataType) -> bool:
    """Whether a column of the Arrow type ``found`` can be one of this kind; labels are looked at one by one."""
    from pyarrow import types

    def is_text(each: Any) -> bool:
        return types.is_string(each) or types.is_large_string(each)

    if kind == "label":
        return True
    if kind in TEXT_KINDS:
        return is_text(found)
    if kind in PICTURE_KINDS:
        return types.is_struct(found) and {"bytes", "path"} <= {field.name for field in found}
    is_list = types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)
    if kind == "answers":
        return types.is_struct(found) and {"text", "answer_start"} <= {field.name for field in found}
    if kind == "objects":
        inner = found.value_type if is_list else found
        known = {field.name for field in inner} if types.is_struct(inner) else set()
        return not known.isdisjoint(BOX_NAMES) and not known.isdisjoint(CATEGORY_NAMES)
    return is_list and (kind == "tags" or is_text(found.value_type))


def cell(kind: str, value: Any, *, is_list: bool) -> Any:
    """A value as Arrow keeps it; None for a missing one.

    Raises:
        LabelValueError: it is of another kind.
    """
    if value is None or (isinstance(value, float) and value != value):  # NaN is how pandas writes a missing value
        return None
    if kind == "label":
        return _label(value, is_list)
    if kind in TEXT_KINDS:
        if isinstance(value, str):
            return value
    elif kind == "tokens":
        return _words(value)
    elif kind == "tags":
        return canonical_label(value.split() if isinstance(value, str) else value)
    elif kind in PICTURE_KINDS:
        return _picture(value)
    elif kind == "objects":
        boxes, categories = read_objects(value)
        return {"bbox": boxes, "category": categories}
    else:
        return _answers(value)
    raise _wrong(kind, value)


def as_text(kind: str, value: Any) -> str | None:
    """The text that a cell counts as; None for a missing one. A picture counts as the hash of its bytes."""
    if value is None or kind in TEXT_KINDS:
        return value
    if kind in PICTURE_KINDS:
        return hashlib.sha256(picture_bytes(value)).hexdigest()
    if kind == "tokens":
        return " ".join(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def length_of(kind: str, value: Any, text: str) -> int:
    """How large a cell is: characters of the text that it counts as, or pixels of the longer side of a picture."""
    return max(picture_size(picture_bytes(value), "the picture")) if kind == "image" and value else len(text)


def _label(value: Any, is_list: bool) -> Any:
    label = canonical_label(value)
    if label is None or isinstance(label, list) == is_list:
        return label
    if is_list:
        return [label]
    raise LabelValueError("a list of labels where other rows have one label")


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return list(value)
    raise _wrong("tokens", value)


def _answers(value: Any) -> dict[str, list[Any]]:
    """Answers as two lists, from these, or from a list of dicts with ``text`` and ``answer_start``."""
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, Mapping) for one in value):
        value = {key: [one.get(key) for one in value] for key in ("text", "answer_start")}
    if isinstance(value, Mapping) and {"text", "answer_start"} <= value.keys():
        texts, starts = value["text"], value["answer_start"]
        is_right = all(map(_is_list, (texts, starts))) and all(isinstance(text, str) for text in texts)
        if is_right and len(texts) == len(starts):
            return {"text": list(texts), "answer_start": [_whole(start) for start in starts]}
    raise _wrong("answers", value)


def _picture(value: Any) -> dict[str, Any]:
    """A picture as datasets stores it, with the bytes of its file, which are whole and can be decoded."""
    try:
        if isinstance(value, str | Path):
            value = {"bytes": None, "path": str(value)}
        if not isinstance(value, Mapping):
            value = {"bytes": value if isinstance(value, bytes) else picture_file(read_picture(value)), "path": None}
        name, raw = picture_name(value), picture_bytes(value)
        check_picture(raw, name or "the picture")
    except InputError as error:
        raise LabelValueError(f"no picture that can be used: {error.reason.removesuffix('.')}") from error
    return {"bytes": raw, "path": name or None}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) or hasattr(value, "tolist")


def _whole(start: Any) -> int:
    """A number of characters; tables with gaps keep whole numbers as 25.0."""
    if isinstance(start, SupportsFloat) and not isinstance(start, bool) and float(start).is_integer():
        return int(float(start))
    raise LabelValueError(
        f"an answer_start that is {start!r:.40}; expected the number of the context's character at which it begins"
    )


def _wrong(kind: str, value: Any) -> LabelValueError:
    return LabelValueError(f"the {type(value).__name__} {str(value)[:40]}; expected {_EXPECTED[kind]}")
