"""Whether the labels of a training split can be learnt, and those of the others measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...pipelines.errors import DataError
from .pool import Pool
from .tags import OUTSIDE

_MANY_CLASSES = 100  # more than these, and more than half as many as rows, are no classes
_SHOWN = 20  # labels in a message


def check_classes(pool: Pool, train: np.ndarray) -> None:
    """Checks that there is something to learn.

    Args:
        pool: all rows.
        train: row numbers of the training split, before anything is carved from it.

    Raises:
        DataError: the labels are of one class, are none, or are too many to be classes.
    """
    labels = pool.plan.labels
    if labels is None or pool.wanted.labels is None:
        return
    column = pool.wanted.columns[pool.wanted.labels]
    seen = [label for label, count in zip(labels, pool.label_counts(train), strict=True) if count]
    if not seen:
        raise DataError(
            f"column '{column}' holds no label in any of the {len(train)} rows of train; training needs some"
        )
    if pool.plan.problem_type == "tagging" and seen == [OUTSIDE]:
        raise DataError(
            f"column '{column}' holds no tag but {OUTSIDE} in all {len(train)} rows of train, so there is nothing to "
            "learn; are the tags elsewhere? See --columns tags=…"
        )
    if pool.plan.problem_type != "single_label_classification":
        return
    if len(train) == 1:
        raise DataError(
            f"train has one row only, with the label '{seen[0]}'; training needs rows of two classes at least"
        )
    if len(seen) < 2:
        raise DataError(
            f"column '{column}' holds one class only ('{seen[0]}' in all {len(train)} rows of train); training needs "
            "at least two. Are the rows sorted by label and cut off, or is the label elsewhere? See --columns "
            f"{pool.wanted.labels}=…"
        )
    if len(seen) > _MANY_CLASSES and len(seen) * 2 > len(train):
        raise DataError(
            f"column '{column}' holds {len(seen)} different values in {len(train)} rows, such as '{seen[0]}', so they "
            f"are hardly classes. Name the right column with --columns {pool.wanted.labels}=…"
        )


def check_seen(pool: Pool, roles: Mapping[str, np.ndarray]) -> None:
    """Checks that training sees every label that it is measured on.

    Args:
        pool: all rows.
        roles: ``train``, perhaps ``validation`` and ``test`` -> row numbers.

    Raises:
        DataError: validation or test ask for labels that training never saw.
    """
    labels = pool.plan.labels
    if labels is None or pool.plan.problem_type in ("tagging", "detection"):
        # A tag that was never seen is a word wrong, and a class an object missed, no more.
        return
    counts = {role: pool.label_counts(rows) for role, rows in roles.items()}
    seen = [label for label, count in zip(labels, counts["train"], strict=True) if count]
    for role in roles:
        unseen = [label for label, count in zip(labels, counts[role], strict=True) if count and label not in seen]
        if unseen:
            raise DataError(
                f"{role} has labels that train never saw: {', '.join(unseen[:_SHOWN])} "
                f"(train has {', '.join(seen[:_SHOWN])}). Add rows with them to train, or take them out of {role}"
            )


def label_notices(pool: Pool, train: np.ndarray) -> list[str]:
    """Notices about labels that training sees once or never; ``train`` are its row numbers."""
    labels = pool.plan.labels
    if labels is None:
        return []
    counts = dict(zip(labels, pool.label_counts(train), strict=True))
    notices = []
    if absent := [label for label in labels if not counts[label]]:
        notices.append(f"train has no row with the label {', '.join(absent[:_SHOWN])}; the model cannot learn it")
    if pool.plan.problem_type == "single_label_classification":
        single = [label for label in labels if counts[label] == 1]
        notices += [f"the label '{label}' has one row in train; nothing can be learnt from that" for label in single]
    return notices
