"""What is evaluated, and where its evaluation is kept: facts, pictures and mistakes beside the checkpoint."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..cards.facts import FILE_NAME, EvaluationFacts, FactsError, RunFacts, SplitFacts, read_facts, to_json, write_facts
from ..pipelines.checkpoint_sources import EMBEDDED_FOLDER, Place, find_checkpoint
from ..pipelines.errors import DataError, UsageError
from ..pipelines.integrity import answering_files, sha256
from ..pipelines.tasks import Task
from ..pipelines.weights import WEIGHTS_FILE
from .plots import confusion_matrix
from .problems import DETECTION, MULTI_LABEL, REGRESSION, SEGMENTATION, SINGLE_LABEL, TAGGING, problem_of
from .training_keys import FILE_NAME as KEYS_FILE
from .training_keys import TrainingKeys, read_training_keys

if TYPE_CHECKING:
    from ..pipelines import Pipeline
    from ..pipelines.checkpoints import CheckpointConfig

NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class Subject:
    """The checkpoint under evaluation; several where a default chooses one per text.

    Attributes:
        name: base name, Hub id or embedded name; several joined by ``+``.
        labels: class names in id order; empty for regression.
        problem_type: as in transformers' config; empty where the data decides.
        dtype: of the weights while they run.
        device: ``cpu``, ``cuda`` or ``mps``.
        revision: commit on the Hub; None for others.
        runs: what the checkpoints' own ``run.json`` say, as far as there is one.
        training_keys: of the texts that the checkpoints were trained on, as far as they say so.
        weights: checkpoint name -> sha256 of its weight file, where it has one.
        folder: of the checkpoint, if an evaluation may be kept there; else None.
        described: facts to begin a ``run.json`` with, where the folder has none.
    """

    name: str
    labels: tuple[str, ...]
    problem_type: str
    dtype: str
    device: str
    revision: str | None
    runs: tuple[RunFacts, ...]
    training_keys: tuple[TrainingKeys, ...]
    weights: Mapping[str, str]
    folder: Path | None
    described: RunFacts

    @property
    def training_split(self) -> SplitFacts | None:
        """Facts of the split that it was trained on; None where unknown, or where there are several."""
        if len(self.runs) != 1 or self.runs[0].data is None:
            return None
        return self.runs[0].data.split("train")

    @property
    def weights_sha256(self) -> str | None:
        """Of the only weight file; None if there are several."""
        return next(iter(self.weights.values())) if len(self.weights) == 1 else None


def read_subject(checkpoint: str | Path, pipe: Pipeline, task: Task, *, is_default: bool) -> Subject:
    """The subject that ``pipe`` runs.

    Args:
        checkpoint: as the user named it.
        pipe: the pipeline that was made from it.
        task: its row.
        is_default: whether ``pipe`` is the task's default, which may choose between several checkpoints per text.

    Raises:
        DataError: ``run.json`` or the keys of the training texts beside the weights cannot be read.
    """
    first = pipe.checkpoint
    config = first.config
    places = [find_checkpoint(name) for name in (task.default if is_default else (checkpoint,))]
    for place in places:
        for file in (FILE_NAME, KEYS_FILE):  # of the Hub; loading a checkpoint does not need them
            place.fetch(file)
    name = "+".join(place.name for place in places)
    problem_type, labels = _problem(config, task)
    files = {place.name: place.folder / WEIGHTS_FILE for place in places}
    weights = {each: sha256(file) for each, file in files.items() if file.is_file()}
    parameters = list(first.model.parameters())
    return Subject(
        name=name,
        labels=labels,
        problem_type=problem_type,
        dtype=str(parameters[0].dtype).removeprefix("torch."),
        device=parameters[0].device.type,
        revision=first.revision,
        runs=tuple(_read_run(place) for place in places if (place.folder / FILE_NAME).is_file()),
        training_keys=tuple(keys for place in places if (keys := read_training_keys(place.folder)) is not None),
        weights=weights,
        folder=places[0].folder if len(places) == 1 and _is_own(places[0]) else None,
        described=RunFacts(
            task=task.name,
            checkpoint_name=name,
            family=config.model_type,
            problem_type=problem_type or None,
            labels=labels,
            parameters=sum(parameter.numel() for parameter in parameters),
            max_length=config.max_length,
            weights_sha256=weights.get(name),
            weights_bytes=files[name].stat().st_size if name in weights else None,
        ),
    )


def _problem(config: CheckpointConfig, task: Task) -> tuple[str, tuple[str, ...]]:
    """Kind of problem of a checkpoint, and the names of its classes; empty where it has none."""
    kind = problem_of(task)
    if kind is None and not task.architectures:
        return "", ()  # no head of its own, for labels of its own: the data decides
    if kind is None:
        kind = config.problem_type or (REGRESSION if len(config.labels) == 1 else SINGLE_LABEL)
    has_names = kind in (SINGLE_LABEL, MULTI_LABEL, TAGGING, DETECTION, SEGMENTATION)
    return kind, tuple(config.labels) if has_names else ()


def write_evaluation(
    facts: EvaluationFacts,
    subject: Subject,
    output: str | Path | None,
    draw: Callable[[Path, str], None] | None = None,
    *,
    keep: bool = True,
) -> None:
    """Keeps an evaluation: ``run.json`` beside the checkpoint, pictures and mistakes in ``output`` or beside it.

    Args:
        facts: what was measured.
        subject: what it was measured on.
        output: folder for pictures, mistakes and ``evaluation.json``; made if it is not there. None takes
            ``evaluation/<data>-<split>`` of the checkpoint's folder, or nothing where that is not to be written to.
        draw: of what was measured: draws the task's own pictures.
        keep: False for numbers that do not belong into ``run.json``.

    Raises:
        UsageError: ``output`` cannot be written to.
    """
    if output is not None:
        folder = Path(output)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_text(
                folder / "evaluation.json", json.dumps(to_json(facts), indent=2, sort_keys=True, ensure_ascii=False)
            )
            _write_pictures(facts, folder, draw)
        except OSError as error:
            raise UsageError(
                f"--output '{folder.name}' cannot be written to ({error.strerror}); give a folder that can"
            ) from error
    if subject.folder is None or not keep:
        return
    try:
        if output is None:
            folder = subject.folder / "evaluation" / folder_name(facts.data_name, facts.split)
            folder.mkdir(parents=True, exist_ok=True)
            _write_pictures(facts, folder, draw)
        run = next(iter(subject.runs), None) or replace(subject.described, files_sha256=answering_files(subject.folder))
        write_facts(with_evaluation(run, facts), subject.folder)
    except OSError as error:
        if error.errno not in NOT_WRITABLE:  # a full disk is worth an error, somebody else's folder is not
            raise


def with_evaluation(run: RunFacts, evaluation: EvaluationFacts) -> RunFacts:
    """``run`` with ``evaluation`` in the place of an earlier one of the same rows, else as the last one."""
    if evaluation.fingerprint in [earlier.fingerprint for earlier in run.evaluations]:
        evaluations = tuple(
            evaluation if earlier.fingerprint == evaluation.fingerprint else earlier for earlier in run.evaluations
        )
    else:
        evaluations = (*run.evaluations, evaluation)
    return replace(run, evaluations=evaluations)


def folder_name(data_name: str, split: str) -> str:
    """A folder's name for a split of a data set: ``reviews.csv`` and ``train[:20%]`` give ``reviews-train-20``."""
    stem = data_name.rpartition(".")[0] or data_name
    return re.sub(r"[^\w.]+", "-", f"{stem}-{split}").strip("-.")[:100]


def _write_pictures(facts: EvaluationFacts, folder: Path, draw: Callable[[Path, str], None] | None) -> None:
    lines = [json.dumps(to_json(mistake), ensure_ascii=False) for mistake in facts.mistakes]
    _write_text(folder / "mistakes.jsonl", "\n".join(lines))
    where = f"{facts.data_name}, {facts.split}" if facts.data_name else facts.split
    if facts.confusion is not None:
        main = facts.metrics[0]
        title = f"{where}: {main.name} {main.value:.3f} ({facts.count:,} rows)"
        confusion_matrix(facts.confusion, facts.labels, folder / "confusion.png", title=title)
    if draw is not None:
        draw(folder, where)


def _write_text(file: Path, text: str) -> None:
    file.write_text(text + "\n" if text else "", encoding="utf-8")


def _is_own(place: Place) -> bool:
    """Whether an evaluation may be kept there: a folder of the user's, not of the package or of the Hub's cache."""
    is_shipped = EMBEDDED_FOLDER.resolve() in place.folder.resolve().parents
    return place.repository is None and not is_shipped and os.access(place.folder, os.W_OK)


def _read_run(place: Place) -> RunFacts:
    try:
        return read_facts(place.folder)
    except FactsError as error:
        raise DataError(f"checkpoint '{place.name}': {error}") from error
