"""Measuring object detection: the boxes that a pipeline finds in the pictures of a split against the true ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cards.facts import BaselineFact, MistakeFact
from ..pipelines.errors import DataError
from ..pipelines.image_inputs import picture_bytes, picture_name, picture_size
from ..pipelines.models.boxes import pairwise_iou
from .data.object_targets import CATEGORIES, read_objects
from .detection_metrics import MOST_BOXES, Boxes, detection_metrics, mean_boxes
from .measuring import Conditions, Measured
from .mistakes import shorten

if TYPE_CHECKING:
    from .data import TaskData

PROTOCOL = {"unit": "boxes, by pycocotools", "overlaps": "0.50 to 0.95", "boxes_of_a_picture": MOST_BOXES}

SURE = 0.5
"""Score from which an answer counts in the list of mistakes, and overlap from which it is right there."""


def measure_objects(pipe: Any, data: TaskData, role: str, conditions: Conditions) -> Measured:
    """How good the boxes of ``pipe`` are on the split ``role`` of ``data``; see `recipe.TaskRecipe.measure`."""
    rows = data.splits[role]
    names, ids = matched_classes(data.labels or (), conditions)
    true = true_boxes(rows, ids)
    answers = []
    for answer in answers_of(pipe, rows):
        answers.append(answer)
        if conditions.progress is not None:
            conditions.progress(len(answers), len(rows))
    scores = detection_metrics(answers, true, names, bootstrap=conditions.bootstrap, seed=conditions.seed)
    return Measured(
        count=len(rows),
        metrics=scores.metrics,
        problem_type=conditions.problem_type,
        labels=names,
        per_class=scores.per_class,
        baselines=(_baseline(data, role, true, ids, names, conditions),),
        mistakes=_mistakes(rows, answers, true, names, conditions.mistakes),
        notes=scores.notes,
        protocol=PROTOCOL,
    )


def answers_of(pipe: Any, rows: Any, *, first: int = 0, step: int = 1) -> Iterator[Boxes]:
    """The boxes that a pipeline finds in the pictures of every ``step``-th row, from row ``first`` on."""
    for output in pipe.outputs(row["image"] for row in islice(rows, first, None, step)):
        found = pipe.objects(output)
        boxes = found.boxes.astype(np.float64)
        yield Boxes(
            np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1),
            found.labels.astype(np.int64),
            found.scores.astype(np.float64),
        )


def true_boxes(rows: Any, ids: Sequence[int]) -> list[Boxes]:
    """The objects of each row of a split.

    Args:
        rows: with the columns objects and categories.
        ids: class id in the data -> id to be measured with.
    """
    found = []
    for value, labels in zip(rows["objects"], rows[CATEGORIES], strict=True):
        boxes = np.asarray(read_objects(value)[0], dtype=np.float64).reshape(-1, 4)
        found.append(Boxes(boxes, np.asarray([ids[label] for label in labels], dtype=np.int64)))
    return found


def matched_classes(of_data: Sequence[str], conditions: Conditions) -> tuple[tuple[str, ...], list[int]]:
    """The classes of the checkpoint, then those that only the data has; and for each class of the data its place there.

    Raises:
        DataError: they have no class in common.
    """
    renamed = [conditions.label_map.get(name, name) for name in of_data]
    if not {*renamed} & {*conditions.labels}:
        raise DataError(
            f"the data has the classes {', '.join(of_data[:20])}, and the checkpoint "
            f"{', '.join(conditions.labels[:20])}; they have none in common. Say which mean the same with "
            "--label-map bike=bicycle"
        )
    names = tuple(dict.fromkeys([*conditions.labels, *renamed]))
    return names, [names.index(name) for name in renamed]


def _baseline(
    data: TaskData, role: str, true: Sequence[Boxes], ids: Sequence[int], names: Sequence[str], conditions: Conditions
) -> BaselineFact:
    """What the mean box of each class reaches, in every picture the same."""
    training = data.splits.get("train")
    learnt, source = (true, "the evaluated rows themselves (no training split is at hand)")
    sizes = _sizes(data.splits[role])
    learnt_sizes = sizes
    if training is not None:
        learnt, source, learnt_sizes = true_boxes(training, ids), "the training split", _sizes(training)
    mean = mean_boxes(learnt, learnt_sizes, len(names))
    answers = [Boxes(mean.boxes * np.array([*size, *size]), mean.labels, mean.scores) for size in sizes]
    scores = detection_metrics(answers, true, names, bootstrap=conditions.bootstrap, seed=conditions.seed)
    description = f"answers with the mean box of each class in every picture, as often as it occurs in {source}"
    return BaselineFact("mean box of each class", scores.metrics, description)


def _sizes(rows: Any) -> list[tuple[int, int]]:
    return [picture_size(picture_bytes(row["image"]), "the picture") for row in rows]


def _mistakes(
    rows: Any, answers: Sequence[Boxes], true: Sequence[Boxes], names: Sequence[str], count: int
) -> tuple[MistakeFact, ...]:
    """The pictures with the surest answers that overlap no object of their class, surest first."""
    facts = []
    for row, (answer, objects) in enumerate(zip(answers, true, strict=True)):
        wrong, missed = compared(answer, objects)
        if not len(wrong):
            continue
        scores = answer.scores if answer.scores is not None else np.ones(len(answer.labels))
        facts.append(
            MistakeFact(
                row=row + 1,
                text=shorten(picture_name(rows[row]["image"]) or f"picture {row + 1}"),
                label=_listed([names[label] for label in objects.labels[missed].tolist()]),
                prediction=_listed([names[label] for label in answer.labels[wrong].tolist()]),
                confidence=float(scores[wrong].max()),
            )
        )
    return tuple(sorted(facts, key=lambda fact: -fact.confidence)[:count])


def compared(answer: Boxes, objects: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the sure answers that overlap no object of their class by half, and of the objects that none overlaps.

    An object counts as found once: of several answers for it the surest is right, the others are wrong.
    """
    import torch

    scores = answer.scores if answer.scores is not None else np.ones(len(answer.labels))
    sure = np.flatnonzero(scores > SURE)
    sure = sure[np.argsort(-scores[sure], kind="stable")]
    corners = [
        torch.from_numpy(np.concatenate([one[:, :2], one[:, :2] + one[:, 2:]], 1))
        for one in (answer.boxes[sure], objects.boxes)
    ]
    overlaps = pairwise_iou(*corners).numpy() * (answer.labels[sure][:, None] == objects.labels[None])
    wrong, found = [], np.zeros(len(objects.labels), dtype=bool)
    for place, row in zip(sure, overlaps, strict=True):
        free = np.where(found, 0.0, row)
        if len(free) and free.max() > SURE:
            found[free.argmax()] = True
        else:
            wrong.append(place)
    return np.asarray(wrong, dtype=np.int64), np.flatnonzero(~found)


def _listed(names: Sequence[str]) -> str:
    """Names with how often each occurs: ``2 RBC, WBC``; a dash for none."""
    counts = {name: list(names).count(name) for name in dict.fromkeys(names)}
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items()) or "–"
