"""What is known about a checkpoint: typed facts, written by training and evaluation, read by cards and verification.

They live in ``run.json`` beside the weights (`facts_io` reads and writes it). Nothing here is text for people and
nothing is computed: a fact is a number or a name together with what is needed to recompute it. What is unknown is None
or empty, never guessed. Names of files are base names: no path, user, host or token belongs into a fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .facts_io import FactsError, from_json, read_json, to_json, write_json
from .facts_values import MOST_RESAMPLES, check_values

__all__ = [
    "CHECKPOINT_PLACEHOLDER",
    "FILE_NAME",
    "MOST_RESAMPLES",
    "SCHEMA",
    "BaselineFact",
    "CalibrationFacts",
    "ClassFact",
    "DataFacts",
    "EvaluationFacts",
    "ExampleFact",
    "FactsError",
    "HardwareFacts",
    "MetricFact",
    "MistakeFact",
    "RunFacts",
    "SplitFacts",
    "TrainingFacts",
    "UsageFact",
    "from_json",
    "read_facts",
    "to_json",
    "write_facts",
]

FILE_NAME = "run.json"
"""Name of the file in a checkpoint folder."""

SCHEMA = 1
"""Number of this layout; raised when a field changes its meaning or goes away, not when one is added."""


@dataclass(frozen=True)
class MetricFact:
    """One number with its uncertainty.

    Attributes:
        name: in snake_case, for instance ``accuracy`` or ``macro_f1``.
        value: computed on all rows of the split; never NaN (an undefined metric is left out and noted).
        low: lower end of the interval; None where none was computed.
        high: upper end.
        level: share of bootstrap resamples inside the interval, in (0, 1).
        higher_is_better: direction; False for losses and calibration error.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    higher_is_better: bool = True


@dataclass(frozen=True)
class ClassFact:
    """The row of one class in the per-class table: ``count`` true rows, and precision, recall and F1."""

    label: str
    count: int
    metrics: tuple[MetricFact, ...]


@dataclass(frozen=True)
class BaselineFact:
    """What a free rule reaches on the same rows.

    Attributes:
        name: for instance ``majority class``.
        metrics: the same names as in the evaluation, as far as they are defined for the rule.
        description: what the rule answers and where it learned that, in one sentence.
    """

    name: str
    metrics: tuple[MetricFact, ...]
    description: str = ""


@dataclass(frozen=True)
class MistakeFact:
    """One wrong answer.

    Attributes:
        row: position in the evaluated split, counted from 1.
        text: the input, shortened.
        label: the true label; several joined by commas for multi-label, the number for regression.
        prediction: the answer, written like ``label``.
        confidence: probability in [0, 1] of the wrong answer; for regression the absolute error.
        text_pair: the second text of a pair, shortened.
    """

    row: int
    text: str
    label: str
    prediction: str
    confidence: float
    text_pair: str | None = None


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """One split of a data set, as it was read.

    Attributes:
        name: ``train``, ``validation``, ``test``, or the data set's own word.
        rows: how many.
        fingerprint: sha256 over the contents of the rows; independent of paths and file formats.
        rule: where it came from, for instance ``given`` or ``10 % of train, stratified, equal texts together``.
        seed: of the rule; None where nothing was drawn.
        label_histogram: rows per label; empty for regression and unlabelled rows.
        length_percentiles: text length in characters at ``0``, ``5``, ``50``, ``95``, ``99``, ``100`` per cent.
        duplicates: rows whose text was seen earlier in the same split.
        label_mean: mean of the numeric labels of a regression; None for classes.
        unanswered: questions that have no answer; None where nothing is asked.
        moved_answers: questions with an answer that did not stand at its ``answer_start`` and was taken at the nearest
            place where it does; None where nothing is asked.
    """

    name: str
    rows: int
    fingerprint: str
    rule: str = "given"
    seed: int | None = None
    label_histogram: Mapping[str, int] = field(default_factory=dict)
    length_percentiles: Mapping[str, float] = field(default_factory=dict)
    duplicates: int | None = None
    label_mean: float | None = None
    unanswered: int | None = None
    moved_answers: int | None = None


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """A data set, as it was read.

    Attributes:
        name: Hub id, or the base name of a local file or folder; several are joined by commas.
        kind: where it is: ``local`` files, the ``hub``, a ``url``, or rows given in ``memory``.
        revision: commit on the Hub.
        config: configuration on the Hub.
        columns: the task's name of each column used -> the data set's name.
        splits: those that were read.
        leakage: ``train/test`` -> number of texts that are in both.
        rejected_rows: bad rows that were skipped on request.
        licence: as the data set states it; None if not recorded.
        text_unit: what a row is where the task only reads text: ``lines``, ``documents``, or ``blocks`` of one text.
    """

    name: str
    kind: Literal["local", "hub", "url", "memory"]
    revision: str | None = None
    config: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[SplitFacts, ...] = ()
    leakage: Mapping[str, int] = field(default_factory=dict)
    rejected_rows: int = 0
    licence: str | None = None
    text_unit: str | None = None

    def split(self, name: str) -> SplitFacts | None:
        """The facts of the split called ``name``, or None."""
        return next((split for split in self.splits if split.name == name), None)


@dataclass(frozen=True, kw_only=True)
class HardwareFacts:
    """The machine, without its name.

    Attributes:
        cpu: model name of the processor.
        cores: physical cores that the process may use.
        threads: threads that torch used.
        memory_gib: main memory that the process may use, in GiB (2**30 bytes).
        gpus: names of the accelerators, one entry each.
        bf16_units: whether processor or accelerator multiplies bfloat16 matrices in hardware.
    """

    cpu: str | None = None
    cores: int | None = None
    threads: int | None = None
    memory_gib: float | None = None
    gpus: tuple[str, ...] = ()
    bf16_units: bool | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """How the training went.

    Attributes:
        steps: optimizer steps done.
        epochs: passes over the training split done.
        metric: name of the metric by which the best checkpoint was chosen.
        best_step: the step whose weights were kept.
        best_metric: its value on the validation split.
        seconds: wall time of training with its evaluations, over all resumed runs.
        samples_per_second: training samples in a second of training steps, without evaluations.
        peak_memory_bytes: largest resident memory of a process.
        peak_gpu_memory_bytes: largest allocated accelerator memory of a process.
        early_stopped: whether it ended because the metric no longer improved.
        stopped_by: why it ended, for instance ``epochs``, ``early stopping``, ``max-minutes``.
        processes: processes that trained together.
        threads: torch threads of each.
        precision: of the matrix products, for instance ``float32`` or ``bfloat16``.
        device: ``cpu``, ``cuda`` or ``mps``.
        train_loss: mean over the last epoch.
        resumes: how often the run was taken up again.
        energy_watt_hours: where it was measured.
        notes: what a person should know about it; one sentence each.
    """

    steps: int
    epochs: float
    metric: str | None = None
    best_step: int | None = None
    best_metric: float | None = None
    seconds: float | None = None
    samples_per_second: float | None = None
    peak_memory_bytes: int | None = None
    peak_gpu_memory_bytes: int | None = None
    early_stopped: bool = False
    stopped_by: str | None = None
    processes: int = 1
    threads: int | None = None
    precision: str | None = None
    device: str | None = None
    train_loss: float | None = None
    resumes: int = 0
    energy_watt_hours: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CalibrationFacts:
    """The temperature that was folded into the weights (Guo et al. 2017), and what it changed.

    Attributes:
        temperature: logits were divided by it.
        ece_before: expected calibration error on ``split`` before, in [0, 1].
        ece_after: the same after.
        split: where the temperature was fitted; never the split that is reported.
        count: rows it was fitted on.
    """

    temperature: float
    ece_before: float
    ece_after: float
    split: str
    count: int


@dataclass(frozen=True, kw_only=True)
class EvaluationFacts:
    """The metrics of a checkpoint on one split, with what is needed to compute them again.

    Attributes:
        split: name of the split.
        count: rows evaluated.
        data_name: Hub id or base name of the data set.
        fingerprint: of the split, as in `SplitFacts`.
        checkpoint: name of what was evaluated; base name, Hub id or embedded name.
        weights_sha256: sha256 of the weight file evaluated; None for weights in memory or in several files.
        protocol: settings that change the numbers: dtype, windows or truncation, label map, bootstrap and its seed;
            ``rows``: ``by content`` where resamples draw rows in the order of their contents, else in that of the file.
        labels: class names in the order of ``confusion``; empty for regression.
        problem_type: ``single_label_classification``, ``multi_label_classification`` or ``regression``.
        metrics: over the whole split; the first is the one to look at.
        per_class: one row a class, in the order of ``labels``.
        confusion: counts; row = true class, column = predicted class. None unless single-label.
        baselines: free rules on the same rows.
        mistakes: the most confident wrong answers, most confident first.
        tolerance: a recomputed value may differ by this times max(1, |value|).
        notes: what a person should know, such as what could not be computed, and why; one sentence each.
        training_rows: rows whose text the checkpoint was trained on, case and spacing aside; an estimate where it was
            trained on more than a million texts, None where that is not known.
        data: the data set as read; None where it is that of the run.
        device: ``cpu``, ``cuda`` or ``mps``.
        seconds: wall time of the predictions.
        hardware: where it ran.
        versions: of the libraries used.
        command: that repeats it.
    """

    split: str
    count: int
    data_name: str
    fingerprint: str
    metrics: tuple[MetricFact, ...]
    checkpoint: str | None = None
    weights_sha256: str | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    problem_type: str = "single_label_classification"
    per_class: tuple[ClassFact, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    baselines: tuple[BaselineFact, ...] = ()
    mistakes: tuple[MistakeFact, ...] = ()
    tolerance: float = 1e-4
    notes: tuple[str, ...] = ()
    training_rows: int | None = None
    data: DataFacts | None = None
    device: str | None = None
    seconds: float | None = None
    hardware: HardwareFacts | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None

    def metric(self, name: str) -> MetricFact | None:
        """The metric called ``name``, or None where it was not defined on this split."""
        return next((metric for metric in self.metrics if metric.name == name), None)


CHECKPOINT_PLACEHOLDER = "<checkpoint>"
"""Stands in the code of a `UsageFact` where a card names the checkpoint."""


@dataclass(frozen=True)
class UsageFact:
    """A snippet that was run, with what it printed.

    Attributes:
        library: ``quintet`` or ``transformers``.
        code: Python; `CHECKPOINT_PLACEHOLDER` in place of the Hub id, or of the folder that it was run with.
        output: what it wrote to stdout.
    """

    library: str
    code: str
    output: str


@dataclass(frozen=True)
class ExampleFact:
    """An input and the checkpoint's whole answer, to be shown, and to be compared after moving the checkpoint.

    Attributes:
        inputs: by the names of the task's columns: ``{"text": …}``, ``{"text": …, "text_pair": …}``, or ``{"image":
            …}`` with the name of a drawn picture or a ``data:`` URL.
        outputs: what the pipeline answers with ``top_k=None`` in float32: label and score of each class.
    """

    inputs: Mapping[str, Any]
    outputs: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything known about one checkpoint: the contents of ``run.json``.

    Attributes:
        schema: number of the layout, `SCHEMA`.
        task: name of the task's row.
        checkpoint_name: base name of the folder, Hub id or embedded name.
        family: model family trained from scratch, or the architecture's model type.
        base_model: Hub id or base name of the weights that training began with; None from scratch.
        base_revision: commit of ``base_model`` on the Hub.
        teacher: Hub id or base name of the model distilled from.
        problem_type: as in transformers' config.
        labels: class names in the order of the model's outputs; empty for regression.
        parameters: number of weights, each shared one counted once.
        trainable_parameters: those that training changed.
        max_length: tokens that the model takes in one piece.
        weights_sha256: of ``model.safetensors``; None if the weights are in several files.
        weights_bytes: of all weight files.
        files_sha256: name -> sha256 of each file that the answers depend on: configuration, weights, tokenizer, code.
        command: that repeats the run; base names only.
        settings: every setting with its value.
        changed_settings: names of the settings that differ from their defaults.
        seed: of the run.
        versions: of the libraries used, ``python`` and ``platform`` among them.
        hardware: where it was trained.
        data: what it was trained on.
        training: how; None for a checkpoint made elsewhere.
        evaluations: on splits that it was not trained on.
        calibration: None where the scores are as trained.
        licence: chosen by the owner, in the Hub's spelling; None until then.
        licence_name: of a licence that is ``other``.
        licence_link: URL, or name of a file beside the weights, of a licence that is ``other``.
        languages: ISO 639-1 codes of the training texts; None if unknown.
        usages: snippets that were run, with their outputs.
        examples: inputs with the answers that these weights give.
        pictures: names of the picture files beside the card: ``confusion.png``, ``curves.png``.
        repository: Hub id that the card was last written for; None until it is published.
        finished: date of the run, ``2025-01-31``, in UTC.
    """

    schema: int = SCHEMA
    task: str
    checkpoint_name: str
    family: str | None = None
    base_model: str | None = None
    base_revision: str | None = None
    teacher: str | None = None
    problem_type: str | None = None
    labels: tuple[str, ...] = ()
    parameters: int | None = None
    trainable_parameters: int | None = None
    max_length: int | None = None
    weights_sha256: str | None = None
    weights_bytes: int | None = None
    files_sha256: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    changed_settings: tuple[str, ...] = ()
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: HardwareFacts | None = None
    data: DataFacts | None = None
    training: TrainingFacts | None = None
    evaluations: tuple[EvaluationFacts, ...] = ()
    calibration: CalibrationFacts | None = None
    licence: str | None = None
    licence_name: str | None = None
    licence_link: str | None = None
    languages: tuple[str, ...] | None = None
    usages: tuple[UsageFact, ...] = ()
    examples: tuple[ExampleFact, ...] = ()
    pictures: tuple[str, ...] = ()
    repository: str | None = None
    finished: str | None = None


def read_facts(path: str | Path) -> RunFacts:
    """The facts in ``path``, a file or a checkpoint folder with a ``run.json``.

    Raises:
        FactsError: no such file, broken JSON, a newer layout, an unknown or missing key, or a value of another type or
            one that cannot be; the message names file and key.
    """
    data, source = read_json(path, FILE_NAME)
    return check_values(from_json(RunFacts, data, source, schema=SCHEMA), source)


def write_facts(facts: RunFacts, path: str | Path) -> None:
    """Writes ``facts`` to ``path``, a file or a folder; whole or not at all. The same facts give the same bytes.

    Raises:
        FactsError: a number is NaN or infinite, or a value has another type than its field or cannot be; the message
            names the key.
        OSError: the folder cannot be written to.
    """
    checked = from_json(RunFacts, to_json(facts), FILE_NAME, schema=SCHEMA)  # 3 in a field for floats becomes 3.0
    write_json(to_json(check_values(checked, FILE_NAME)), path, FILE_NAME)
