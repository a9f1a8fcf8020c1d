"""Where the data of each recorded evaluation is now, and the evaluation made again on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..pipelines.errors import DataError, UsageError, WeightsError
from .comparison import NumberCheck
from .facts import DataFacts, EvaluationFacts, MetricFact, RunFacts, SplitFacts
from .published import Check
from .verification_checks import RunningCheckpoint

Progress = Callable[[int, int], None]
"""Called with the rows answered so far and the rows in all, anew for each split."""


def find_sources(dataset: Any, run: RunFacts) -> dict[str, Any]:
    """Recorded name of a data set -> where to read it; those that are nowhere are left out.

    Raises:
        UsageError: a data set was given that belongs to no evaluation, or there are several that it may be.
    """
    if not run.evaluations:  # which the report says; there is nothing to read
        return {}
    records: dict[str, DataFacts] = {}
    for evaluation in run.evaluations:
        record = evaluation.data or run.data
        if record is not None:
            records.setdefault(record.name, record)
    if dataset is not None and not records:
        raise UsageError(
            f"--dataset {_shown(dataset)} cannot be used: run.json does not record how the data of its evaluations was "
            "read; leave it out, or measure again with `quintet evaluate`"
        )
    names = {part for name in records for part in (name, *name.split(","))}
    sources: dict[str, Any] = {}
    parts: dict[str, str] = {}
    unnamed = []
    for name, value in _given_data(dataset, names):
        pieces = _pieces(name, value)
        known = name if name in records else next((each for each in records if _is_called(value, each)), None)
        if known is not None:
            sources[known] = value
        elif not pieces.keys() & names:
            unnamed.append(value)
        parts |= pieces
    # A data set recorded as several files may be given one by one, and each of them may be one that was evaluated on.
    for name in records:
        if name not in sources and all(part in parts for part in name.split(",")):
            sources[name] = ",".join(parts[part] for part in name.split(","))
    missing = [name for name in records if name not in sources]
    if unnamed and len(unnamed) == 1 and len(missing) == 1:
        sources[missing[0]] = unnamed[0]
    elif unnamed:
        known = ", ".join(records) or "none"
        raise UsageError(
            f"--dataset {_shown(unnamed[0])} is none of the data sets that were evaluated on ({known}); say which one "
            f"it is: --dataset {next(iter(missing), 'recorded')}={_shown(unnamed[0])}"
        )
    for name in missing:
        if name not in sources and records[name].kind == "hub":
            sources[name] = name
    return sources


def _given_data(dataset: Any, names: Collection[str]) -> list[tuple[str | None, Any]]:
    """What the user gave, one by one, each with the recorded name that she said it has; None where she did not."""
    if dataset is None:
        return []
    if isinstance(dataset, Mapping) and dataset and all(name in names for name in dataset):
        return list(dataset.items())
    is_list = (
        isinstance(dataset, list | tuple) and bool(dataset) and all(isinstance(one, str | Path) for one in dataset)
    )
    given: list[tuple[str | None, Any]] = []
    for one in dataset if is_list else [dataset]:
        name, _, rest = one.partition("=") if isinstance(one, str) else ("", "", "")
        given.append((name, rest) if rest and name in names else (None, one))
    return given


def _pieces(name: str | None, value: Any) -> dict[str, str]:
    """Recorded name -> path of each file or folder in what the user gave, which may be several with commas between."""
    from ..pipelines.record_files import given_name

    if not isinstance(value, str | Path):
        return {}
    paths = [path.strip() for path in str(value).split(",")]
    named = name.split(",") if name is not None else []
    names = named if len(named) == len(paths) else [given_name(path) for path in paths]
    return dict(zip(names, paths, strict=True))


def _is_called(value: Any, name: str) -> bool:
    """Whether what the user gave has the recorded name: the base names of its parts, or its Hub id."""
    from ..pipelines.record_files import given_name

    if not isinstance(value, str | Path):
        return False
    return name in (given_name(value), str(value), str(value).partition("@")[0])


def _shown(value: Any) -> str:
    return Path(value).name if isinstance(value, str | Path) else type(value).__name__


def check_tolerance(evaluation: EvaluationFacts, given: float | None) -> tuple[float, list[Check]]:
    """How far a number may be off. Facts with a larger one than their number format asks for do not decide it."""
    from ..finetune.measuring import REDUCED_TOLERANCE, TOLERANCES

    usual = TOLERANCES.get(str(evaluation.protocol.get("dtype", "float32")), REDUCED_TOLERANCE)
    name = f"tolerance, {evaluation.split}"
    if evaluation.tolerance > usual:
        detail = f"run.json allows {evaluation.tolerance:g}, more than the {usual:g} of its number format"
        return (usual if given is None else given), [Check(name, "differs", detail)]
    return (evaluation.tolerance if given is None else given), []


def measure(
    run: RunFacts,
    evaluation: EvaluationFacts,
    running: RunningCheckpoint,
    sources: Mapping[str, Any],
    progress: Progress | None,
) -> tuple[EvaluationFacts | None, list[Check]]:
    """The evaluation made again, or None, and what there is to say about its data."""
    from ..finetune.recomputation import find_rows, measure_again, recorded_data
    from ..pipelines.checkpoints import DTYPES

    record = recorded_data(run, evaluation)
    title = f"data, {evaluation.split}"
    name = evaluation.data_name or "the data"
    if record is None:
        detail = f"run.json does not record how '{name}' was read; measure again with `quintet evaluate`"
        return None, [Check(title, "not checked", detail)]
    if record.name not in sources:
        detail = f"'{name}' is recorded by name and fingerprint only; say where it is with --dataset"
        return None, [Check(title, "not checked", detail)]
    dtype = str(evaluation.protocol.get("dtype", "float32"))
    if dtype not in DTYPES:
        detail = f"run.json has the number format '{dtype}', expected one of {', '.join(DTYPES)}"
        return None, [Check(title, "differs", detail)]
    try:
        pipe, subject = running.get(dtype)
        chosen, data = find_rows(sources[record.name], run, evaluation, subject, running.task)
        problems = _data_problems(record, evaluation, chosen.split, data)
        if chosen.split.fingerprint != evaluation.fingerprint:
            return None, [Check(title, "differs", f"{data.name} is not the data that was evaluated: {problems}")]
        recomputed = measure_again(pipe, subject, chosen, evaluation, progress)
    except (DataError, UsageError, WeightsError) as error:
        return None, [Check(title, "differs", f"cannot be evaluated again: {error}")]
    if problems:
        return recomputed, [Check(title, "differs", f"{data.name}: {problems}")]
    return recomputed, [Check(title, "equal", f"{data.name}: {chosen.split.rows:,} rows with the recorded fingerprint")]


def check_measured(
    evaluation: EvaluationFacts, recomputed: EvaluationFacts | None, compared: Sequence[NumberCheck]
) -> list[Check]:
    """What an evaluation states beside its numbers, against the one made again, and why only its intervals differ."""
    if recomputed is None:
        return []
    checks = []
    wrong = [*_other_statements(evaluation, recomputed), *_other_words(evaluation, recomputed)]
    if wrong:
        checks.append(Check(f"evaluation, {evaluation.split}", "differs", "; ".join(wrong)))
    strange = [note for note in evaluation.notes if note not in recomputed.notes]
    if strange:
        detail = f"noted, and not noted again: {'; '.join(strange)}"
        checks.append(Check(f"notes, {evaluation.split}", "not checked", detail))
    differing = [number for number in compared if number.is_equal is False]
    if differing and "rows" not in evaluation.protocol and all(number.is_end for number in differing):
        detail = (
            "only ends of intervals differ; an earlier version drew them by the positions of the rows, so the same "
            "rows may be in another order now; `quintet evaluate` measures them by content"
        )
        checks.append(Check(f"order of rows, {evaluation.split}", "differs", detail))
    return checks


def _other_statements(evaluation: EvaluationFacts, recomputed: EvaluationFacts) -> Iterator[str]:
    """What is no number, but says what the numbers mean."""
    for name, before, now in (
        ("labels", list(evaluation.labels), list(recomputed.labels)),
        ("kind of problem", evaluation.problem_type, recomputed.problem_type),
    ):
        if before != now:
            yield f"{name} {now}, run.json says {before}"
    meaning, now_meaning = (
        {name: (metric.level, metric.higher_is_better) for name, metric in _metrics(one)}
        for one in (evaluation, recomputed)
    )
    for name, (level, is_better) in meaning.items():
        now_level, now_better = now_meaning.get(name, (level, is_better))
        if level != now_level:
            yield f"{name}: intervals of {now_level:g}, run.json says {level:g}"
        if is_better != now_better:
            yield f"{name}: {'higher' if now_better else 'lower'} is better, run.json says the opposite"


def _other_words(evaluation: EvaluationFacts, recomputed: EvaluationFacts) -> Iterator[str]:
    """Sentences of an evaluation by this version of Quintet that are not those of the one made again."""
    if evaluation.versions.get("quintet") != recomputed.versions.get("quintet"):
        return
    described = {rule.name: rule.description for rule in recomputed.baselines}
    for rule in evaluation.baselines:
        if described.get(rule.name, rule.description) != rule.description:
            yield f"{rule.name} {described[rule.name]}, run.json says that it {rule.description}"
    for note in recomputed.notes:
        if note not in evaluation.notes:
            yield f"run.json does not say: {note}"


def _metrics(evaluation: EvaluationFacts) -> Iterator[tuple[str, MetricFact]]:
    """Every metric of an evaluation, with whose it is."""
    yield from ((metric.name, metric) for metric in evaluation.metrics)
    named = [(row.label, row.metrics) for row in evaluation.per_class]
    named += [(rule.name, rule.metrics) for rule in evaluation.baselines]
    for name, metrics in named:
        yield from ((f"{name}: {metric.name}", metric) for metric in metrics)


def _data_problems(record: DataFacts, evaluation: EvaluationFacts, found: SplitFacts, now: DataFacts) -> str:
    """In what the data differs from its record: the split evaluated first, then the others that were read alike."""
    from ..finetune.recomputation import describe_difference

    problems = []
    before = record.split(evaluation.split)
    if before is None:
        before = replace(found, fingerprint=evaluation.fingerprint, rows=evaluation.count)
    difference = describe_difference(before, found)
    if not difference and found.fingerprint != evaluation.fingerprint:
        difference = "run.json has one fingerprint for its data and another one for its evaluation"
    if difference:
        problems.append(difference)
    if evaluation.data is None:
        for split in now.splits:
            other = record.split(split.name)
            if other is not None and split.name != evaluation.split:
                difference = describe_difference(other, split)
                problems += [f"{split.name}: {difference}"] if difference else []
        if record.leakage and dict(record.leakage) != dict(now.leakage):
            problems.append(f"what is in two splits: {dict(now.leakage)}, the facts say {dict(record.leakage)}")
    return "; ".join(problems)
