"""What a data set turned out to be: counts, fingerprints, histograms and notices, for people, programs and cards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ...cards.facts import DataFacts


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """One split.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        rows: how many can be used.
        fingerprint: sha256 over the contents of the rows, whatever their order, file or format.
        rule: where it came from: ``given``, ``train[:10%]``, ``10 % of train, …``.
        seed: of the rule; None where nothing was drawn.
        label_histogram: label -> rows; for multi-label a row counts for each of its labels. Empty for regression.
        length_percentiles: per cent (``0``, ``5``, ``50``, ``95``, ``99``, ``100``) -> characters, or pixels
            of the longer side of pictures.
        duplicates: rows whose text, but for case and spacing, is that of an earlier row of the split.
        label_mean: mean of the labels of a regression, whatever the order of the rows; None for classes.
        unanswered: questions that have no answer; None where nothing is asked.
        moved_answers: questions with an answer that does not stand at its ``answer_start``; likewise.
    """

    name: str
    rows: int
    fingerprint: str
    rule: str = "given"
    seed: int | None = None
    label_histogram: Mapping[str, int] = field(default_factory=dict)
    length_percentiles: Mapping[str, float] = field(default_factory=dict)
    duplicates: int = 0
    label_mean: float | None = None
    unanswered: int | None = None
    moved_answers: int | None = None


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """A row that cannot be used: where it stands, why, and how it begins."""

    source: str
    row: int
    reason: str
    raw: str

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{self.source}, row {self.row}"


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What training sees of a data set.

    Attributes:
        name: Hub id, or base name of the file or folder; several joined by commas.
        kind: where it is.
        revision: commit on the Hub.
        config: configuration on the Hub.
        licence: as the data set states it.
        task: name of the task's row.
        found_columns: all columns of the (first) source.
        columns: task column -> the data set's column.
        problem_type: as in transformers' config.
        labels: names in id order; None for regression.
        splits: those that are used.
        leakage: ``train/test`` -> different texts that are in both splits. They are counted, never taken out.
        rejected_rows: rows that cannot be used.
        rejected: the first of them.
        samples: some rows of the first split, as the task sees them.
        notices: what a person should know, one sentence each.
        problems: why training would refuse the data, one sentence each; only of a report that was asked for to see it.
        text_unit: what a row is where the task only reads text, one of `record_files.TEXT_UNITS`.
    """

    name: str
    kind: Literal["local", "hub", "url", "memory"]
    revision: str | None = None
    config: str | None = None
    licence: str | None = None
    task: str
    found_columns: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    problem_type: str
    labels: tuple[str, ...] | None
    splits: tuple[SplitReport, ...]
    leakage: Mapping[str, int] = field(default_factory=dict)
    rejected_rows: int = 0
    rejected: tuple[RejectedRow, ...] = ()
    samples: tuple[Mapping[str, Any], ...] = ()
    notices: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    text_unit: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, text and numbers, for ``quintet data --json``."""
        return asdict(self)

    def facts(self) -> DataFacts:
        """What the facts of a run keep of it: no texts, no paths."""
        from ...cards.facts import DataFacts, SplitFacts

        return DataFacts(
            name=self.name,
            kind=self.kind,
            revision=self.revision,
            config=self.config,
            columns=dict(self.columns),
            splits=tuple(SplitFacts(**asdict(split)) for split in self.splits),
            leakage=dict(self.leakage),
            rejected_rows=self.rejected_rows,
            licence=self.licence,
            text_unit=self.text_unit,
        )
