"""Labels of a data set as class ids of a checkpoint: by name, never by count or position."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..pipelines.errors import DataError, UsageError, unknown_name
from .problems import MULTI_LABEL, REGRESSION


def matched_labels(
    found: np.ndarray,
    found_names: Sequence[str] | None,
    found_type: str,
    names: Sequence[str],
    problem_type: str,
    label_map: Mapping[str, str] | None = None,
) -> np.ndarray:
    """The labels as the checkpoint numbers them: class ids (rows,), 0 and 1 (rows, classes), or numbers (rows,).

    Args:
        found: labels of the data set in the same three forms.
        found_names: the data set's label names in id order; None for numbers.
        found_type: the data set's kind of labels, as in transformers' ``problem_type``.
        names: the checkpoint's class names in id order.
        problem_type: the checkpoint's.
        label_map: the data set's name -> the checkpoint's name, for those that differ.

    Raises:
        DataError: the data set has a label that the checkpoint does not know, or labels of another kind.
        UsageError: ``label_map`` names something that is not there.
    """
    if problem_type == REGRESSION:
        return _numbers(found, found_names, found_type)
    if found_type == REGRESSION or found_names is None:
        raise DataError(
            f"the labels of the data set are numbers (the first is {float(found[0]):g}), the checkpoint answers with "
            f"classes ({_listed(names)}); name the column with the classes: --columns label=…"
        )
    if (problem_type == MULTI_LABEL) != (found_type == MULTI_LABEL):
        many, one = "several labels a row", "one label a row"
        raise DataError(
            f"the data set has {many if found_type == MULTI_LABEL else one}, the checkpoint was trained for "
            f"{many if problem_type == MULTI_LABEL else one}; choose another label column with --columns label=…"
        )
    if problem_type != MULTI_LABEL:
        found = found.astype(np.int64)
        return label_ids(found_names, names, label_map, set(np.unique(found).tolist()))[found]
    used = np.flatnonzero((found >= 0.5).any(0)).tolist()
    ids = label_ids(found_names, names, label_map, used)
    hot = np.zeros((len(found), len(names)), dtype=np.int64)
    for column in used:
        hot[:, ids[column]] |= found[:, column] >= 0.5
    return hot


def label_ids(
    found: Sequence[str],
    names: Sequence[str],
    label_map: Mapping[str, str] | None = None,
    used: Collection[int] | None = None,
) -> np.ndarray:
    """The checkpoint's class id of each of the data set's label names, int64 (found,).

    Names are compared as they are, then without regard to case. A data set may declare labels that no row has: only
    those at the positions ``used`` (default: all) must be known, the others get -1.

    Raises:
        DataError: a name that the checkpoint does not have; the message lists both sides and a map to start from.
        UsageError: ``label_map`` names something that is not there.
    """
    label_map = dict(label_map or {})
    for theirs, ours in label_map.items():
        if theirs not in found:
            raise unknown_name("label in --label-map", theirs, found, hint="These are the labels of the data set.")
        if ours not in names:
            raise unknown_name("label in --label-map", ours, names, hint="These are the labels of the checkpoint.")
    exact = {name: index for index, name in enumerate(names)}
    folded = {name.casefold(): index for index, name in enumerate(names)}
    if len(folded) < len(names):  # two classes that differ in case only cannot be told apart without it
        folded = {}
    ids = []
    for name in found:
        wanted = label_map.get(name, name)
        ids.append(exact.get(wanted, folded.get(wanted.casefold(), -1)))
    unknown = [name for index, name in enumerate(found) if ids[index] < 0 and (used is None or index in used)]
    if unknown:
        labels = "label" if len(unknown) == 1 else "labels"
        raise DataError(
            f"the checkpoint does not know the {labels} {_listed(unknown)} of the data set "
            f"(data set: {_listed(found)}; checkpoint: {_listed(names)}). {_way_out(unknown, found, names)}"
        )
    return np.array(ids, dtype=np.int64)


def parse_label_map(text: str) -> dict[str, str]:
    """``0=negative,1=positive`` as a mapping.

    Raises:
        UsageError: a part without ``=``, or a name twice.
    """
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    pairs = {theirs.strip(): ours.strip() for theirs, _, ours in parts}
    if not all(equals for _, equals, _ in parts) or len(pairs) < len(parts):
        raise UsageError(f"--label-map '{text}' expected name=name pairs, as in 0=negative,1=positive")
    return pairs


def _numbers(found: np.ndarray, found_names: Sequence[str] | None, found_type: str) -> np.ndarray:
    if found_type == REGRESSION or found_names is None:
        return found.astype(np.float64)
    try:  # whole numbers look like classes to the data layer
        values = np.array([float(name) for name in found_names])
    except ValueError:
        raise DataError(
            f"the checkpoint answers with a number, the labels of the data set are names ({_listed(found_names)}); "
            "name the column with the numbers: --columns label=…"
        ) from None
    return values[found.astype(np.int64)]


def _way_out(unknown: Sequence[str], found: Sequence[str], names: Sequence[str]) -> str:
    """A map to start from where one can be guessed: equal beginnings, then likeness, then the order that is left."""
    pairs: dict[str, str] = {}
    left = [name for name in names if name not in found]
    for theirs in unknown:
        begins = [ours for ours in left if len(theirs) > 1 and ours.casefold().startswith(theirs.casefold())]
        near = begins or difflib.get_close_matches(theirs, left, n=1, cutoff=0.6)
        if len(near) == 1:
            pairs[theirs] = near[0]
            left.remove(near[0])
    rest = [name for name in unknown if name not in pairs]
    if len(rest) == len(left):
        pairs |= dict(zip(rest, left, strict=True))
    if len(pairs) < len(unknown) or len(pairs) > 10:
        return "Name the pairs with --label-map theirs=ours,…, or leave these rows out"
    shown = ",".join(f"{theirs}={pairs[theirs]}" for theirs in unknown)
    return f"If that is what they mean: --label-map {shlex.quote(shown)}"


def _listed(names: Sequence[str], limit: int = 20) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return shown + (f", … ({len(names)} in all)" if len(names) > limit else "")
