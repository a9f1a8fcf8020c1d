"""Whether a checkpoint's numbers are true: each one computed again, by anyone, from what was published.

find the checkpoint -> files against the Hub's hashes -> weights and tokenizer against the facts
-> data against its fingerprints -> metrics again by the recorded protocol -> card, facts and result side by side
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..pipelines.errors import DataError, UsageError
from .comparison import CardNumber, NumberCheck, as_number, card_numbers, compare_numbers, owners
from .facts import FactsError, read_facts
from .metadata import is_number
from .published import Check, find_published
from .verification_card import check_card_text, in_order_of_card, read_published_card
from .verification_checks import RunningCheckpoint, check_files, check_model, check_usage
from .verification_data import Progress, check_measured, check_tolerance, find_sources, measure


@dataclass(frozen=True)
class VerifyReport:
    """What was compared, and how it came out.

    Attributes:
        checkpoint: Hub id, embedded name, or base name of the folder.
        revision: commit on the Hub; None for others.
        checks: what is no number.
        numbers: every number of every evaluation in ``run.json`` and in the card's index of results.
    """

    checkpoint: str
    revision: str | None
    checks: tuple[Check, ...] = ()
    numbers: tuple[NumberCheck, ...] = ()

    @property
    def differing(self) -> list[str]:
        """Names of what differs, checks first."""
        names = [check.name for check in self.checks if check.state == "differs"]
        return names + [f"{one.data}, {one.split}: {one.name}" for one in self.numbers if one.is_equal is False]

    @property
    def is_verified(self) -> bool:
        """Whether there are numbers, every one of them was computed again, and nothing differs."""
        return bool(self.numbers) and all(number.is_equal for number in self.numbers) and not self.differing

    def __str__(self) -> str:
        equal = sum(number.is_equal is True for number in self.numbers)
        open_ = sum(number.is_equal is None for number in self.numbers)
        text = f"{self.checkpoint}: {equal} of {len(self.numbers)} numbers computed again and equal"
        if not self.numbers:
            text = f"{self.checkpoint}: there is no number to compute again"
        if open_:
            text += f", {open_} not computed again"
        differing = self.differing
        if differing:
            more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
            text += f"; {len(differing)} {'thing differs' if len(differing) == 1 else 'things differ'}: "
            text += "; ".join(differing[:5]) + more
        return text

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, text and numbers, for ``quintet verify --json``."""
        return {
            "checkpoint": self.checkpoint,
            "revision": self.revision,
            "verified": self.is_verified,
            "summary": str(self),
            "checks": [{"name": check.name, "state": check.state, "detail": check.detail} for check in self.checks],
            "numbers": [
                {
                    "data": number.data,
                    "split": number.split,
                    "name": number.name,
                    "kind": number.kind,
                    "card": _finite(number.card),
                    "recorded": number.recorded,
                    "recomputed": _finite(number.recomputed),
                    "tolerance": number.tolerance,
                    "equal": number.is_equal,
                }
                for number in self.numbers
            ],
        }


def verify(
    checkpoint: str | Path,
    *,
    dataset: Any = None,
    revision: str | None = None,
    tolerance: float | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    token: str | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Every number of a checkpoint's card and facts, computed again and compared.

    Nothing is written. A data set of the Hub is read at the recorded revision; a local one is recorded by base name and
    fingerprint only, so ``dataset`` says where it is.

    Args:
        checkpoint: Hub id with or without ``@revision``, folder, or embedded name.
        dataset: where the recorded data is: whatever `quintet.evaluate` takes; of several data sets a list of paths. If
            one has another name now, ``recorded=path``, or a mapping of recorded names to data.
        revision: branch, tag or commit of a Hub repository.
        tolerance: a stated number may differ by this times max(1, |value|); None for what the evaluation states, but
            no more than its number format allows.
        device: ``cpu``, ``cuda`` …; default: the fastest there is.
        trust_remote_code: run the code that comes with the checkpoint: of its model where plain transformers needs
            it, and of usage snippets that Quintet did not write or that ask for it.
        token: of the Hub; None for ``HF_TOKEN`` or what ``hf auth login`` stored.
        endpoint: of the Hub with the checkpoint; None for ``HF_ENDPOINT``. Data sets are always read from the latter.
        progress: called while rows are answered.

    Raises:
        UsageError: names or values that cannot be.
        DataError: there are no facts, or they cannot be read.
        WeightsError: the checkpoint cannot be fetched or loaded, or a file of it is not what the Hub has.
        HubError: the Hub refuses to show it.
    """
    if tolerance is not None and not (is_number(tolerance) and tolerance >= 0):
        raise UsageError(f"--tolerance is {tolerance!r}, expected a number of 0 or more")
    from ..pipelines.tasks import find_task

    found = find_published(checkpoint, revision=revision, token=token, endpoint=endpoint)
    try:
        run = read_facts(found.folder)
    except FactsError as error:
        raise DataError(f"checkpoint '{found.name}' cannot be verified: {error}") from error
    checks = [*found.checks, *check_files(found.folder, run)]
    readme, card_checks = read_published_card(found.folder, run)
    on_card = card_numbers((readme.metadata if readme is not None else None) or {})
    if readme is not None and not card_checks:
        card_checks = check_card_text(readme, run, found, on_card)
    checks += card_checks
    running = RunningCheckpoint(found.folder, find_task(run.task), trust_remote_code, device)
    checks += check_model(run, running)
    if not run.evaluations:
        detail = "run.json has no evaluation; measure it with `quintet evaluate`, which takes --dataset as well"
        checks.append(Check("numbers", "not checked", detail))
    sources = find_sources(dataset, run)
    in_order = in_order_of_card(run)
    owner = [None if index is None else in_order[index] for index in owners(on_card, in_order)]
    numbers: list[NumberCheck] = []
    for evaluation in run.evaluations:
        mine = [number for number, one in zip(on_card, owner, strict=True) if one is evaluation]
        allowed, tolerance_checks = check_tolerance(evaluation, tolerance)
        recomputed, data_checks = measure(run, evaluation, running, sources, progress)
        compared = compare_numbers(evaluation, recomputed, mine, allowed)
        checks += [*tolerance_checks, *data_checks, *check_measured(evaluation, recomputed, compared)]
        numbers += compared
    numbers += [_without_source(number) for number, one in zip(on_card, owner, strict=True) if one is None]
    checks += check_usage(run, readme, found, token=token, endpoint=endpoint, trust_remote_code=trust_remote_code)
    return VerifyReport(found.name, found.commit, tuple(checks), tuple(numbers))


def _without_source(number: CardNumber) -> NumberCheck:
    return NumberCheck(number.data, number.split, number.name, "metric", as_number(number.value), None, None, 0.0)


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None
