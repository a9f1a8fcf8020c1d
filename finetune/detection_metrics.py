"""How good boxes are: COCO's average precision, by pycocotools.

    ap      mean over the classes, and over ten overlaps from 0.50 to 0.95 that a box must have with an object
    ap50    with the overlap 0.50 alone, as PASCAL VOC has it        ap75    with 0.75

Of each class in a picture the 100 surest boxes count (Lin et al. 2014, and pycocotools' COCOeval). Objects of all sizes
count alike. A class without a single object has no average precision, and is left out of the mean.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cards.facts import ClassFact, MetricFact
from ..pipelines.errors import DataError, MissingExtraError, ShapeError, WeightsError
from . import bootstrap as resampling
from .metrics import Scores, undefined

DIRECTIONS = {"ap": True, "ap50": True, "ap75": True}
"""Names of the metrics, the main one first → whether higher is better."""

OVERLAPS = np.linspace(0.5, 0.95, 10)
AT_50, AT_75 = 0, 5
RECALLS = np.linspace(0.0, 1.0, 101)
"""Levels of recall at which precision is read off, as in COCOeval."""

MOST_BOXES = 100
"""Boxes of a picture that count."""

RESAMPLED_CELLS = 5e8
"""Matched boxes times resamples that are computed at most; of more, there are fewer resamples."""


@dataclass(frozen=True)
class Boxes:
    """The objects of one picture, or the answers for it.

    Attributes:
        boxes: ``(objects, 4)`` float: x, y, width, height in pixels.
        labels: class ids ``(objects,)``.
        scores: ``(objects,)`` of answers, each in [0, 1]; None of true objects.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None


@dataclass(frozen=True)
class _Matches:
    """Of a class, the boxes answered in all pictures, the surest first.

    Attributes:
        pictures: number of each one's picture ``(answers,)``.
        is_right: whether it was matched with an object, at each overlap ``(overlaps, answers)``.
        objects: of the class in each picture ``(pictures,)``.
    """

    pictures: np.ndarray
    is_right: np.ndarray
    objects: np.ndarray


def detection_metrics(
    predicted: Sequence[Boxes], true: Sequence[Boxes], names: Sequence[str], *, bootstrap: int = 1000, seed: int = 0
) -> Scores:
    """Average precision with 95 % bootstrap percentile intervals; whole pictures are drawn.

    Args:
        predicted: boxes with scores, of each picture.
        true: the objects of each picture.
        names: of the classes, in id order.
        bootstrap: number of resamples; 0 leaves the intervals out. Where there are very many boxes, there are fewer.
        seed: of the resamples.

    Raises:
        DataError: there are no pictures, or no objects in any of them.
        MissingExtraError: pycocotools is not installed.
        ShapeError: there are more or fewer answers than pictures.
        WeightsError: a box or score is not finite.
    """
    if not len(true):
        raise DataError("the split has no rows, so nothing can be measured; choose another with --split")
    if len(predicted) != len(true):
        raise ShapeError(f"there are {len(predicted)} answers for {len(true)} pictures, expected one for each")
    counts = np.bincount(np.concatenate([one.labels for one in true]).astype(np.int64), minlength=len(names))
    if not counts.sum():
        raise DataError("no picture of the split has an object, so average precision is not defined; choose another")
    _check_finite(predicted)
    precision, matches = _evaluated(predicted, true, len(names))  # (overlaps, recalls, classes); -1 where undefined
    of_class = np.where(counts > 0, precision.mean(1), np.nan)  # (overlaps, classes)
    values = _summary(of_class[:, :, None])
    cells = sum(int(one.is_right.sum()) + len(one.pictures) for one in matches)
    resamples = min(bootstrap, int(RESAMPLED_CELLS // max(1, cells)))
    ends = resampling.intervals(
        lambda drawn: _summary(np.stack([_average_precision(one, drawn) for one in matches], 1)),
        len(true),
        resamples=resamples,
        seed=seed,
    )
    facts = [MetricFact(name, float(values[name][0]), *resampling.end(ends, name)) for name in DIRECTIONS]
    rows = []
    for index, name in enumerate(names):
        metrics = [
            MetricFact(
                metric, float(values[f"class_{metric}"][index, 0]), *resampling.end(ends, f"class_{metric}", index)
            )
            for metric in DIRECTIONS
            if counts[index]
        ]
        rows.append(ClassFact(name, int(counts[index]), tuple(metrics)))
    unseen = [name for name, count in zip(names, counts, strict=True) if not count]
    notes = undefined("average precision", unseen, names, "no picture has one", "no picture has one of them")
    return Scores(tuple(facts), tuple(rows), None, tuple(notes))


def mean_boxes(objects: Sequence[Boxes], sizes: Sequence[tuple[int, int]], classes: int) -> Boxes:
    """A free answer for any picture: the mean box of each class, with the share of pictures that have one as its score.

    Args:
        objects: of pictures to learn from.
        sizes: width and height of each of them in pixels.
        classes: number of classes.

    Returns:
        Boxes as fractions of a picture's sides; of a class without objects none.
    """
    scaled = [one.boxes / np.array([*size, *size]) for one, size in zip(objects, sizes, strict=True)]
    boxes, labels = np.concatenate(scaled).reshape(-1, 4), np.concatenate([one.labels for one in objects])
    seen = [label for label in range(classes) if (labels == label).any()]
    shares = [float(np.mean([(one.labels == label).any() for one in objects])) for label in seen]
    means = np.array([boxes[labels == label].mean(0) for label in seen]).reshape(-1, 4)
    return Boxes(means, np.array(seen, dtype=np.int64), np.array(shares))


def _summary(of_class: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics from average precisions ``(overlaps, classes, resamples)``, NaN where a class has no objects."""
    per_class = {"ap": of_class.mean(0), "ap50": of_class[AT_50], "ap75": of_class[AT_75]}  # each (classes, resamples)
    has_any = ~np.isnan(per_class["ap50"])
    number = has_any.sum(0)
    means = {
        name: resampling.ratio(np.where(has_any, values, 0.0).sum(0), number) for name, values in per_class.items()
    }
    return {**means, **{f"class_{name}": values for name, values in per_class.items()}}


def _evaluated(predicted: Sequence[Boxes], true: Sequence[Boxes], classes: int) -> tuple[np.ndarray, list[_Matches]]:
    """Precision ``(overlaps, recalls, classes)`` by pycocotools, and what it matched of each class."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ModuleNotFoundError as error:
        raise MissingExtraError("pycocotools", "vision", "measuring boxes") from error
    pictures: list[dict[str, Any]] = [{"id": number} for number in range(len(true))]
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of every step
        tables = []
        for rows in (true, predicted):
            table: Any = COCO()
            table.dataset = {
                "images": pictures,
                "annotations": _annotations(rows),
                "categories": [{"id": label} for label in range(classes)],
            }
            table.createIndex()
            tables.append(table)
        evaluation = COCOeval(tables[0], tables[1], "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [MOST_BOXES]
        evaluation.evaluate()
        evaluation.accumulate()
    found = evaluation.evalImgs  # one entry a class and picture, None where there is neither object nor answer
    matches = [_matches(found[label * len(true) : (label + 1) * len(true)]) for label in range(classes)]
    return evaluation.eval["precision"][:, :, :, 0, 0], matches


def _annotations(rows: Sequence[Boxes]) -> list[dict[str, Any]]:
    """The boxes of all pictures as COCO lists them; numbered from 1, since 0 is no match to COCOeval."""
    found: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        scores = row.scores if row.scores is not None else np.ones(len(row.labels))
        for box, label, score in zip(row.boxes.tolist(), row.labels.tolist(), scores.tolist(), strict=True):
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "score": score,
                }
            )
    return found


def _matches(found: Sequence[Mapping[str, Any] | None]) -> _Matches:
    """The answers of one class in the order of their scores."""
    objects = np.array([len(one["gtIds"]) if one else 0 for one in found], dtype=np.float64)
    present = [(number, one) for number, one in enumerate(found) if one and len(one["dtIds"])]
    if not present:
        return _Matches(np.zeros(0, dtype=np.int64), np.zeros((len(OVERLAPS), 0), dtype=bool), objects)
    scores = np.concatenate([one["dtScores"] for _, one in present])
    order = np.argsort(-scores, kind="mergesort")
    pictures = np.concatenate([np.full(len(one["dtIds"]), number) for number, one in present])
    is_right = np.concatenate([one["dtMatches"] > 0 for _, one in present], axis=1)
    return _Matches(pictures[order], is_right[:, order], objects)


def _average_precision(matches: _Matches, counts: resampling.Counts) -> np.ndarray:
    """Average precision of a class in each resample, as in COCOeval, ``(overlaps, resamples)``; NaN without objects.

    Precision is the largest at this recall or a later one, so only the right answers matter: between them it falls.

    Args:
        matches: of the class.
        counts: how often each picture was drawn ``(pictures, resamples)``.
    """
    objects = matches.objects @ counts  # (resamples,)
    answered = np.cumsum(counts[matches.pictures], axis=0)  # (answers, resamples)
    result = np.full((len(OVERLAPS), counts.shape[1]), np.nan)
    for place, is_right in enumerate(matches.is_right):
        right = np.flatnonzero(is_right)
        hits = np.cumsum(counts[matches.pictures[right]], axis=0)  # (right answers, resamples)
        precision = hits / (answered[right] + np.spacing(1))
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        recall = resampling.ratio(hits, np.broadcast_to(objects, hits.shape), otherwise=0.0)
        # How many of the 101 levels of recall are reached first by each right answer.
        reached = np.searchsorted(RECALLS, recall, side="right")
        levels = np.diff(reached, axis=0, prepend=np.zeros((1, counts.shape[1]), dtype=reached.dtype))
        result[place] = (precision * levels).sum(0) / len(RECALLS)
    return np.where(objects > 0, result, np.nan)


def _check_finite(predicted: Sequence[Boxes]) -> None:
    for row, one in enumerate(predicted, 1):
        if one.scores is None or not (np.isfinite(one.boxes).all() and np.isfinite(one.scores).all()):
            raise WeightsError(
                f"the checkpoint answers row {row} with boxes or scores that are not finite; its weights are damaged "
                "or training diverged"
            )
