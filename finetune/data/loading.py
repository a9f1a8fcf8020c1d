"""`load_data`: any data set as the splits of a task, with everything that happened on the way in a report."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...pipelines.errors import DataError, UsageError
from ...pipelines.image_inputs import picture_name
from ...pipelines.record_files import split_of
from ...pipelines.records import open_writer
from ...pipelines.tasks import Task
from ..problems import DETECTION, MULTI_LABEL, REGRESSION, SINGLE_LABEL, TAGGING, ProblemType
from .arrow_files import cache_folder
from .cells import PICTURE_KINDS
from .fingerprints import content_order, count_duplicates, count_shared, fingerprint, length_percentiles
from .label_checks import check_classes, check_seen, label_notices
from .mask_targets import MaskClasses
from .object_targets import CATEGORIES, read_objects
from .pool import Pool, fill_pool
from .report import DataReport, RejectedRow, SplitReport
from .rows import bad_row_error
from .sources import BLOCKS, Source, in_text_units, of_documents, open_sources
from .splits import ROLES, carve, check_disjoint, draw_rows, find_split, missing_split, parse_split, slice_rows
from .targets import MOVED, UNANSWERED

if TYPE_CHECKING:
    import datasets

_ROW_NUMBER = np.uint32  # 4 bytes a row; a table has fewer than 4 billion
_KEPT_REJECTED = 20  # rejected rows that the report shows
_SAMPLES = 5
_MANY_ROWS = 100_000

# How carving spreads rows, as it is recorded.
_STRATIFIED: defaultdict[str, str] = defaultdict(
    str,
    {
        SINGLE_LABEL: "stratified by label, ",
        MULTI_LABEL: "stratified by label, ",
        REGRESSION: "stratified by tenths of the value, ",
        TAGGING: "stratified by the rarest tag, ",
        DETECTION: "stratified by the rarest class, ",
    },
)


@dataclass(frozen=True)
class TaskData:
    """A data set as a task sees it.

    Attributes:
        splits: ``train``, ``validation``, ``test``, as there are, with the task's columns; ``label`` is an int64 class
            id, a float32 zero or one for each label (multi-label), or float32 (regression); ``tags`` are int64 ids, and
            so are the ``categories`` of ``objects``.
        labels: class names in id order, the same for all splits; None for regression.
        problem_type: as in transformers' config.
        report: what was found, with ``report.facts()`` for the facts of a run.
        text_keys: split -> (rows,) uint64, in the order of its rows; equal for texts (with the second text of a pair)
            that differ in case and spacing only.
        content_order: split -> (rows,) uint32, positions in the order of the rows' contents; of what is measured only,
            so not of a split to train on. Pieces of one text stay in theirs.
        text_unit: what a row is where the task only reads text, one of `record_files.TEXT_UNITS`; None for others.
        mask_classes: which class each index in masks is; None for other targets.
    """

    splits: Mapping[str, datasets.Dataset]
    labels: tuple[str, ...] | None
    problem_type: ProblemType
    report: DataReport
    text_keys: Mapping[str, np.ndarray]
    content_order: Mapping[str, np.ndarray]
    text_unit: str | None = None
    mask_classes: MaskClasses | None = None

    @property
    def is_one_text(self) -> bool:
        """Whether the rows of a split are the pieces of one text, which follow each other."""
        return self.text_unit == BLOCKS

    def by_content(self, role: str) -> TaskData:
        """The same data with the rows of the split ``role`` in the order of their contents."""
        order = self.content_order[role]
        return replace(
            self,
            splits={**self.splits, role: self.splits[role].select(order)},
            text_keys={**self.text_keys, role: self.text_keys[role][order]},
            content_order={**self.content_order, role: np.arange(len(order), dtype=order.dtype)},
        )


@dataclass(frozen=True)
class _Role:
    """Row numbers in the pool, and how they were chosen."""

    rows: np.ndarray
    rule: str
    seed: int | None = None


def load_data(
    dataset: Any,
    *,
    task: Task,
    columns: Mapping[str, str] | None = None,
    config: str | None = None,
    revision: str | None = None,
    train_split: str | None = None,
    validation_split: str | None = None,
    test_split: str | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.0,
    seed: int = 0,
    bad_rows: Literal["raise", "skip"] = "raise",
    rejected_path: str | Path | None = None,
    label_names: Sequence[str] | None = None,
    need_train: bool = True,
    max_rows: int | None = None,
    problem_type: ProblemType | None = None,
    list_problems: bool = False,
    text_unit: str | None = None,
) -> TaskData:
    """The splits of ``dataset`` with the task's columns and one set of labels, and a report of what was found.

    Memory holds 40 bytes a row while reading and 24 after it (28 of those to measure on), whatever the texts: these
    stay in Arrow files on disk.

    Args:
        dataset: a file, folder, glob, URL or Hub id (``owner/name:config@revision``), several separated by commas, a
            list of dicts, a dict of columns or of splits, a pandas or polars frame, a `datasets.Dataset` or
            `DatasetDict`.
        task: says which columns are read.
        columns: task column -> the data set's column, where names do not tell.
        config: configuration on the Hub.
        revision: branch, tag or commit on the Hub.
        train_split: split to train on, perhaps sliced (``train[:10%]``); None for ``train``, or the only split.
        validation_split: None for the given one, else carved from train by ``validation_fraction``.
        test_split: None for the given one, else carved from train by ``test_fraction``.
        validation_fraction: share of train in [0, 1); 0 carves none.
        test_fraction: share of train in [0, 1).
        seed: of carving and of ``max_rows``.
        bad_rows: a row that is broken, or has no text or label, is an error, or is skipped and counted.
        rejected_path: jsonl file for the rows that were skipped.
        label_names: the labels in id order that the data must go with; None takes them from the data.
        need_train: False for evaluation: nothing is carved, and of unasked splits only test and validation are read
            (train where there is neither; a single file or list is ``test``).
        max_rows: rows of each split at most, drawn by ``seed``.
        problem_type: decides what the labels would not tell, for instance whole numbers as ``regression``.
        list_problems: True puts into ``report.problems`` what is an error only because nothing can be trained on such
            data, for a look at it: one class only, nothing to carve, labels that train never saw.
        text_unit: what a row of plain text is, one of `record_files.TEXT_UNITS`, for tasks that only read text; None
            for the task's own. Of ``blocks`` the end is carved, and ``max_rows`` keeps the beginning: nothing is drawn.

    Raises:
        UsageError: a fraction, slice or column mapping is wrong in itself.
        DataError: the data is not there or cannot be used; the message says what was found and what to do.
    """
    _check_fractions(validation_fraction, test_fraction, max_rows)
    sources = open_sources(dataset, config=config, revision=revision)
    task, text_unit = of_documents(task, sources, text_unit, columns)
    sources, text_unit = in_text_units(sources, task, text_unit)
    is_one_text = text_unit == BLOCKS
    asked = {"train": train_split, "validation": validation_split, "test": test_split}
    expressions = _choose_splits(sources, asked, need_train=need_train)
    wanted = [name for name in _found_splits(sources) if any(name in _names(e) for e in expressions.values())]
    unasked = [
        _names(expressions[role])[0] for role in ("validation", "test") if role in expressions and not asked[role]
    ]
    pool = fill_pool(
        sources,
        wanted,
        task=task,
        columns=columns,
        skip_bad=bad_rows == "skip",
        label_names=label_names,
        problem_type=problem_type,
        may_lack_labels=unasked if need_train or len(unasked) > 1 else (),
    )
    expressions = {role: e for role, e in expressions.items() if all(name in pool.splits for name in _names(e))}

    roles = {role: _select(pool, role, expression) for role, expression in expressions.items()}
    check_disjoint({role: chosen.rows for role, chosen in roles.items()}, expressions)
    everything = pool.dataset()
    rejected = _reject(pool, roles, everything, skip=bad_rows == "skip")
    bad = np.fromiter(pool.scanned.bad, np.int64, len(pool.scanned.bad))
    for role, chosen in roles.items():
        roles[role] = replace(chosen, rows=np.setdiff1d(chosen.rows, bad) if len(bad) else chosen.rows)
        if not len(roles[role].rows):
            raise _none_usable(role, rejected[0])
    notices, problems = list(pool.notices), []
    if need_train:
        collected = problems if list_problems else None
        with _problems(collected):
            check_classes(pool, roles["train"].rows)
        fractions = {"test": test_fraction, "validation": validation_fraction}
        for role, fraction in fractions.items():
            if role not in roles and fraction:
                with _problems(collected):
                    roles |= (
                        _carve_end(roles["train"], role, fraction)
                        if is_one_text
                        else _carve(pool, roles["train"], role, fraction, seed)
                    )
        with _problems(collected):
            check_seen(pool, {role: chosen.rows for role, chosen in roles.items()})
        notices += label_notices(pool, roles["train"].rows)
    if max_rows is not None:
        roles = {
            role: _beginning(chosen, max_rows) if is_one_text else _draw(pool, chosen, max_rows, seed)
            for role, chosen in roles.items()
        }
    roles = {role: roles[role] for role in ROLES if role in roles}

    splits = {role: _rows_of(everything, chosen.rows) for role, chosen in roles.items()}
    reports = tuple(_report_split(pool, role, chosen) for role, chosen in roles.items())
    notices += _answer_notices(reports)
    keys = pool.scanned.text_keys
    report = DataReport(
        name=",".join(source.name for source in sources),
        kind=sources[0].kind,
        revision=sources[0].revision,
        config=sources[0].config,
        licence=sources[0].licence,
        task=task.name,
        found_columns=pool.found_columns,
        columns=dict(pool.wanted.columns),
        problem_type=pool.plan.problem_type,
        labels=pool.plan.labels if pool.mask_classes is None else None,
        splits=reports,
        leakage={f"{a}/{b}": count_shared(keys, roles[a].rows, roles[b].rows) for a, b in combinations(roles, 2)},
        rejected_rows=len(rejected),
        rejected=tuple(rejected[:_KEPT_REJECTED]),
        samples=_samples(pool, next(iter(roles.values())).rows, everything, seed),
        notices=tuple(notices),
        problems=tuple(problems),
        text_unit=text_unit,
    )
    if rejected and rejected_path is not None:
        with open_writer(rejected_path, "jsonl") as writer:
            writer.write([{"source": r.source, "row": r.row, "reason": r.reason, "raw": r.raw} for r in rejected])
    text_keys = {role: keys[chosen.rows] for role, chosen in roles.items()}
    measured = {role: chosen.rows for role, chosen in roles.items() if role != "train" or not need_train}
    orders = {
        role: np.arange(len(rows), dtype=_ROW_NUMBER) if is_one_text else content_order(pool.scanned.digests, rows)
        for role, rows in measured.items()
    }
    masks = pool.mask_classes
    names = pool.plan.labels if masks is None else masks.labels
    return TaskData(splits, names, pool.plan.problem_type, report, text_keys, orders, text_unit, masks)


@contextmanager
def _problems(collected: list[str] | None) -> Iterator[None]:
    """While open, errors of the data end as sentences in ``collected``; None lets them be errors."""
    try:
        yield
    except DataError as error:
        if collected is None:
            raise
        collected.append(str(error))


def _check_fractions(validation_fraction: float, test_fraction: float, max_rows: int | None) -> None:
    for name, value in (("validation", validation_fraction), ("test", test_fraction)):
        if not 0 <= value < 1:
            raise UsageError(f"--{name}-fraction {value} is out of range; expected a fraction in [0, 1)")
    if validation_fraction + test_fraction >= 1:
        raise UsageError(
            f"--validation-fraction {validation_fraction} and --test-fraction {test_fraction} leave nothing for "
            "training; expected a sum below 1"
        )
    if max_rows is not None and max_rows < 1:
        raise UsageError(f"--max-rows {max_rows} is out of range; expected 1 or more")


# --- which rows ---------------------------------------------------------------------------------------------------


def _found_splits(sources: Sequence[Source]) -> list[str]:
    return list(dict.fromkeys(name for source in sources for name in source.splits))


def _names(expression: str) -> list[str]:
    return [name for name, _, _ in parse_split(expression)]


def _choose_splits(sources: Sequence[Source], asked: Mapping[str, str | None], *, need_train: bool) -> dict[str, str]:
    """Role -> expression over the splits that there are."""
    found, name = _found_splits(sources), ", ".join(source.name for source in sources)
    chosen = {role: _checked(expression, found, role, name) for role, expression in asked.items() if expression}
    is_single = len(found) == 1 and not any(source.is_named for source in sources)
    if need_train:
        if "train" not in chosen:
            train = find_split("train", found) or (found[0] if len(found) == 1 else None)
            if train is None:
                raise DataError(
                    f"{name} has no split 'train' (found: {', '.join(found)}). Choose one with --train-split {found[0]}"
                )
            chosen["train"] = train
        # What was asked for as one role is not taken for another: with --test-split validation, validation is carved.
        for role in ("validation", "test"):
            free = [split for split in found if not any(split in _names(taken) for taken in chosen.values())]
            if role not in chosen and (split := find_split(role, free)):
                chosen[role] = split
    elif not chosen and is_single:
        chosen["validation" if found[0] == "validation" else "test"] = found[0]
    elif not chosen:
        given = {role: split for role in ROLES if (split := find_split(role, found))}
        chosen = {role: split for role, split in given.items() if role != "train"} or given
        if not chosen and len(found) > 1:
            raise DataError(
                f"{name} is a whole set of splits ({', '.join(found)}) where one is needed; "
                f"choose it with --split {found[0]}"
            )
        chosen = chosen or {"test": found[0]}
    return {role: chosen[role] for role in ROLES if role in chosen}


def _checked(expression: str, found: Sequence[str], role: str, source: str) -> str:
    """``expression`` with the names that the splits have here (``dev`` may be called ``validation``)."""
    parts = []
    for name, start, stop in parse_split(expression):
        known = name if name in found else split_of(name)
        if known not in found:
            raise missing_split(name, found, role, source)
        parts.append(f"{known}[{start}:{stop}]" if start or stop else str(known))
    return "+".join(parts)


def _select(pool: Pool, role: str, expression: str) -> _Role:
    rows = []
    for name, start, stop in parse_split(expression):
        first, end = pool.span(name)
        if first == end:
            raise _none_usable(role, pool.unreadable(name)[0])
        low, high = slice_rows(end - first, start, stop, expression=expression)
        rows.append(np.arange(first + low, first + high, dtype=_ROW_NUMBER))
    chosen = rows[0] if len(rows) == 1 else np.unique(np.concatenate(rows))
    is_plain = expression in (role, *pool.splits)
    return _Role(chosen, "given" if is_plain else expression)


def _carve(pool: Pool, train: _Role, role: str, fraction: float, seed: int) -> dict[str, _Role]:
    """What stays of train, and what ``role`` gets of it."""
    strata = pool.scanned.labels.strata(pool.plan.problem_type, pool.names)[train.rows]
    stay, carved = carve(strata, pool.scanned.carving_keys[train.rows], fraction, seed, purpose=role)
    if len(train.rows) == 1:
        raise DataError(
            f"{role} cannot be carved from train, which has one row only; give more rows, or a {role} split, or set "
            f"--{role}-fraction 0"
        )
    if not len(carved):
        none_has = "it has no" if pool.plan.labels is None else "no class has"
        raise DataError(
            f"{role} cannot be carved from train: {none_has} two different texts in its "
            f"{len(train.rows)} rows. "
            f"Give a {role} split, or set --{role}-fraction 0"
        )
    origin = "train" if train.rule == "given" else train.rule.removesuffix(", less what was carved")
    together = "equal texts" if pool.scanned.context_keys is None else "questions about one context"
    rule = f"{fraction * 100:g} % of {origin}, {_STRATIFIED[pool.plan.problem_type]}{together} together"
    return {
        "train": _Role(train.rows[stay], f"{origin}, less what was carved", seed),
        role: _Role(train.rows[carved], rule, seed),
    }


def _carve_end(train: _Role, role: str, fraction: float) -> dict[str, _Role]:
    """Of the pieces of one text the last ones for ``role``, the others for train, exact to the piece."""
    count = max(1, round(fraction * len(train.rows)))
    if count >= len(train.rows):
        raise DataError(
            f"{role} cannot be carved from train: its text is a single piece. Give a {role} split, or set "
            f"--{role}-fraction 0"
        )
    origin = "train" if train.rule == "given" else train.rule.removesuffix(", less what was carved")
    return {
        "train": _Role(train.rows[:-count], f"{origin}, less what was carved"),
        role: _Role(train.rows[-count:], f"the last {fraction * 100:g} % of {origin}, {count} of its pieces"),
    }


def _beginning(chosen: _Role, max_rows: int) -> _Role:
    if len(chosen.rows) <= max_rows:
        return chosen
    return _Role(chosen.rows[:max_rows], f"{chosen.rule}; the first {max_rows} pieces", chosen.seed)


def _draw(pool: Pool, chosen: _Role, max_rows: int, seed: int) -> _Role:
    if len(chosen.rows) <= max_rows:
        return chosen
    return _Role(
        draw_rows(pool.scanned.digests, chosen.rows, max_rows, seed), f"{chosen.rule}; {max_rows} rows drawn", seed
    )


def _rows_of(everything: datasets.Dataset, rows: np.ndarray) -> datasets.Dataset:
    if len(rows) == len(everything):
        return everything
    if rows[-1] - rows[0] + 1 == len(rows):
        return everything.select(range(int(rows[0]), int(rows[-1]) + 1))  # a range needs no list of row numbers
    if len(rows) < _MANY_ROWS:
        return everything.select(rows)
    # Many row numbers are kept in a file that is mapped into memory, like the rows themselves.
    numbers = cache_folder() / f"rows-{hashlib.sha256(rows.tobytes()).hexdigest()[:32]}.arrow"
    return everything.select(rows, indices_cache_file_name=str(numbers))


# --- bad rows -----------------------------------------------------------------------------------------------------


def _reject(pool: Pool, roles: Mapping[str, _Role], everything: datasets.Dataset, *, skip: bool) -> list[RejectedRow]:
    """The rows that cannot be used.

    Raises:
        DataError: there is one, and ``skip`` is False.
    """
    found = np.fromiter(pool.scanned.bad, np.int64, len(pool.scanned.bad))
    bad = sorted(
        {row for chosen in roles.values() for row in np.intersect1d(chosen.rows, found).tolist()} if len(found) else ()
    )
    if bad and not skip:
        first = pool.rejected(bad[0], everything)
        more = f" ({len(bad)} rows are like that or otherwise bad)" if len(bad) > 1 else ""
        raise bad_row_error(first.place, first.reason + more)
    return pool.unreadable() + [pool.rejected(row, everything) for row in bad]


def _none_usable(role: str, first: RejectedRow) -> DataError:
    return DataError(f"no row of {role} can be used; the first: {first.place}: {first.reason}")


# --- what was found -----------------------------------------------------------------------------------------------


def _report_split(pool: Pool, role: str, chosen: _Role) -> SplitReport:
    histogram = {}
    if pool.plan.labels is not None:
        counts = pool.label_counts(chosen.rows)
        histogram = {label: int(count) for label, count in zip(pool.plan.labels, counts, strict=True)}
    return SplitReport(
        name=role,
        rows=len(chosen.rows),
        fingerprint=fingerprint(pool.scanned.digests, chosen.rows),
        rule=chosen.rule,
        seed=chosen.seed,
        label_histogram=histogram,
        length_percentiles=length_percentiles(pool.scanned.lengths[chosen.rows]),
        duplicates=count_duplicates(pool.scanned.text_keys, chosen.rows),
        label_mean=_label_mean(pool, chosen.rows),
        unanswered=_marked(pool, chosen.rows, UNANSWERED),
        moved_answers=_marked(pool, chosen.rows, MOVED),
    )


def _marked(pool: Pool, rows: np.ndarray, mark: int) -> int | None:
    """How many of ``rows`` have a mark of `targets`; None where no row can have one."""
    return None if pool.scanned.marks is None else int((pool.scanned.marks[rows] == mark).sum())


def _answer_notices(reports: Sequence[SplitReport]) -> list[str]:
    """Notices about answers that do not stand where the data says, and about questions without one."""
    moved = [f"{split.moved_answers:,} of {split.rows:,} in {split.name}" for split in reports if split.moved_answers]
    without = [f"{split.unanswered:,} of {split.rows:,} in {split.name}" for split in reports if split.unanswered]
    notices = []
    if moved:
        notices.append(
            f"questions with an answer that does not stand at its answer_start: {', '.join(moved)}; it is taken at the "
            "nearest place where it stands"
        )
    if without:
        notices.append(f"questions without an answer: {', '.join(without)}")
    return notices


def _label_mean(pool: Pool, rows: np.ndarray) -> float | None:
    if pool.plan.problem_type != REGRESSION:
        return None
    # fsum rounds once, so that no order of the rows gives another mean
    return math.fsum(pool.scanned.labels.numbers(pool.names)[rows]) / len(rows)


def _samples(pool: Pool, rows: np.ndarray, everything: datasets.Dataset, seed: int) -> tuple[dict[str, Any], ...]:
    labels, column = pool.plan.labels, pool.wanted.labels

    pictures = [name for name, kind in pool.wanted.kinds.items() if kind in PICTURE_KINDS]

    def readable(value: Any) -> Any:
        if labels is None:
            return value
        if pool.plan.problem_type == TAGGING:
            return [labels[i] for i in value]
        return [labels[i] for i, mark in enumerate(value) if mark] if isinstance(value, list) else labels[value]

    drawn = draw_rows(pool.scanned.digests, rows, _SAMPLES, seed)
    rows_drawn = (
        row | {name: picture_name(row[name]) for name in pictures}
        for row in map(everything.__getitem__, drawn.tolist())
    )
    if pool.plan.problem_type == DETECTION and labels is not None and column is not None:
        return tuple({**row, column: _objects_shown(row, column, labels)} for row in rows_drawn)
    return tuple(row if column is None else {**row, column: readable(row[column])} for row in rows_drawn)


def _objects_shown(row: Mapping[str, Any], column: str, labels: Sequence[str]) -> list[str]:
    """The objects of a row for people: ``RBC (12, 30, 100 x 98)``."""
    boxes, _ = read_objects(row[column])
    return [
        f"{labels[label]} ({box[0]:.0f}, {box[1]:.0f}, {box[2]:.0f} x {box[3]:.0f})"
        for label, box in zip(row[CATEGORIES], boxes, strict=True)
    ]
