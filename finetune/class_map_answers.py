"""Measuring segmentation: the class of every pixel against what it should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from ..cards.facts import BaselineFact, MistakeFact
from ..pipelines.errors import DataError
from ..pipelines.image_inputs import picture_name
from ..pipelines.image_masks import UNLABELLED, read_mask
from .label_matching import label_ids
from .measuring import Conditions, Measured
from .segmentation_metrics import pixel_counts, segmentation_metrics

if TYPE_CHECKING:
    from datasets import Dataset

    from .data import TaskData
    from .data.mask_targets import MaskClasses

ROWS_AT_A_TIME = 16
"""Pictures whose masks are in memory at a time."""

PROTOCOL = {"unit": "pixels at the size of the picture; those without a class count for nothing"}


def true_classes(rows: Dataset, classes: MaskClasses, *, first: int = 0, step: int = 1) -> Iterator[np.ndarray]:
    """The class id of each pixel of each mask, uint8 (height, width), `UNLABELLED` where there is none; lazily."""
    for row in range(first, len(rows), step):
        yield classes.ids[read_mask(rows[row]["mask"])]


def judged(
    pipe: Any, rows: Dataset, ids: np.ndarray, classes: MaskClasses, *, first: int = 0, step: int = 1
) -> Iterator[tuple[np.ndarray, float]]:
    """Of each picture how many pixels of each class got which answer, int64 (classes, classes), and their summed loss.

    Args:
        pipe: a pipeline for semantic segmentation.
        rows: with the columns image and mask.
        ids: uint8 (256,): class id of the data -> that of the checkpoint, `UNLABELLED` for none.
        classes: of the data.
        first: number of the first row to answer.
        step: from each row that is answered to the next.
    """
    pictures = (rows[row]["image"] for row in range(first, len(rows), step))
    count = len(pipe.checkpoint.config.labels)
    truths = true_classes(rows, classes, first=first, step=step)
    for output, truth in zip(pipe.outputs(pictures), truths, strict=True):
        logits, right = pipe.class_logits(output), ids[truth]
        target = torch.from_numpy(right.astype(np.int64))
        loss = functional.cross_entropy(logits[None], target[None], ignore_index=UNLABELLED, reduction="sum")
        yield pixel_counts(logits.argmax(0).numpy(), right, count), float(loss)


def measure_class_maps(pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How good the class maps of ``pipe`` are on the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    rows, names, classes = data.splits[role], conditions.labels, data.mask_classes
    if classes is None:
        raise DataError("the split has no masks; expected a class index for each pixel")
    ids = ids_of_checkpoint(classes, conditions)
    counts = []
    for of_picture, _ in judged(pipe, rows, ids, classes):
        counts.append(of_picture)
        if conditions.progress is not None:
            conditions.progress(len(counts), len(rows))
    scores = segmentation_metrics(counts, names, bootstrap=conditions.bootstrap, seed=conditions.seed)
    return Measured(
        count=len(rows),
        metrics=scores.metrics,
        problem_type=conditions.problem_type,
        labels=names,
        per_class=scores.per_class,
        confusion=scores.confusion,
        baselines=(_most_frequent(data, role, counts, ids, classes, conditions),),
        mistakes=_worst(rows, counts, names, conditions.mistakes),
        notes=scores.notes,
        protocol=PROTOCOL,
    )


def ids_of_checkpoint(classes: MaskClasses, conditions: Conditions) -> np.ndarray:
    """Class id of the data -> that of the checkpoint, uint8 (256,), `UNLABELLED` for what is no class; by name.

    Raises:
        DataError: the data has a class that the checkpoint does not know.
    """
    found = label_ids(classes.labels, conditions.labels, conditions.label_map, range(len(classes.labels)))
    ids = np.full(256, UNLABELLED, np.uint8)
    ids[: len(found)] = found
    return ids


def _most_frequent(
    data: TaskData,
    role: str,
    counts: Sequence[np.ndarray],
    ids: np.ndarray,
    classes: MaskClasses,
    conditions: Conditions,
) -> BaselineFact:
    """The metrics of answering the class that most pixels of the training split have, everywhere."""
    training = data.splits.get("train")
    pixels, source = np.sum([each.sum(1) for each in counts], axis=0), "of the evaluated rows themselves"
    if training is not None and role != "train":
        seen = sum((np.bincount(ids[mask].ravel(), minlength=256) for mask in true_classes(training, classes)), start=0)
        pixels, source = np.asarray(seen)[: len(conditions.labels)], "of the training split"
    most = int(np.argmax(pixels))
    answered = []
    for of_picture in counts:
        table = np.zeros_like(of_picture)
        table[:, most] = of_picture.sum(1)
        answered.append(table)
    scores = segmentation_metrics(answered, conditions.labels, bootstrap=conditions.bootstrap, seed=conditions.seed)
    name = conditions.labels[most]
    return BaselineFact(
        "most frequent class", scores.metrics, f"answers '{name}' for every pixel, the most frequent class {source}"
    )


def _worst(rows: Dataset, counts: Sequence[np.ndarray], names: Sequence[str], most: int) -> tuple[MistakeFact, ...]:
    """The pictures with the largest share of wrong pixels; of each the pair of classes that was confused most."""
    shares = np.array([1 - np.trace(each) / max(1, each.sum()) for each in counts])
    facts = []
    for row in np.argsort(-shares, kind="stable")[:most]:
        if shares[row] == 0:
            break
        wrong = counts[row].copy()
        np.fill_diagonal(wrong, 0)
        true, answer = np.unravel_index(int(wrong.argmax()), wrong.shape)
        name = picture_name(rows[int(row)]["image"]) or f"picture {row + 1}"
        facts.append(MistakeFact(int(row) + 1, name, names[int(true)], names[int(answer)], float(shares[row])))
    return tuple(facts)
