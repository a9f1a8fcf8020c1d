"""What `verify` compares beside the numbers and the card: files, model, and the usage snippets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..pipelines.errors import QuintetError, WeightsError
from .answers import answers_to, difference, printed_alike
from .facts import CHECKPOINT_PLACEHOLDER, RunFacts, UsageFact
from .published import Check, Published, State
from .render import Readme
from .snippet_runs import run_snippets
from .snippets import snippets

if TYPE_CHECKING:
    from ..finetune.evaluation_record import Subject
    from ..pipelines import Pipeline
    from ..pipelines.tasks import Task


@dataclass
class RunningCheckpoint:
    """A checkpoint that answers.

    Attributes:
        folder: where it lies.
        task: its row.
        trust_remote_code: whether code in the folder may run.
        device: ``cpu``, ``cuda`` …; None for the fastest there is.
        pipes: number format -> pipeline, those made so far.
        subjects: number format -> what evaluation knows of the checkpoint.
    """

    folder: Path
    task: Task
    trust_remote_code: bool
    device: str | None
    pipes: dict[str, Pipeline] = field(default_factory=dict)
    subjects: dict[str, Subject] = field(default_factory=dict)

    def get(self, dtype: str = "float32") -> tuple[Pipeline, Subject]:
        """The checkpoint in a number format, loaded once.

        Raises:
            UsageError: it brings code that was not allowed to run.
            WeightsError: it cannot be loaded.
        """
        from ..finetune.evaluation_record import read_subject
        from ..pipelines.factory import pipeline

        if dtype not in self.pipes:
            pipe = pipeline(
                self.task.name,
                self.folder,
                device=self.device,
                dtype=dtype,
                trust_remote_code=self.trust_remote_code,
            )
            self.pipes[dtype] = pipe
            self.subjects[dtype] = read_subject(self.folder, pipe, self.task, is_default=False)
        return self.pipes[dtype], self.subjects[dtype]


def check_files(folder: Path, run: RunFacts) -> list[Check]:
    """The files that decide the answers against the hashes in the facts, each kind by its name."""
    from ..pipelines.integrity import answering_files
    from ..pipelines.weights import WEIGHTS_FILE

    found = answering_files(folder)
    recorded = dict(run.files_sha256)
    if run.weights_sha256 is not None:
        recorded[WEIGHTS_FILE] = run.weights_sha256
    checks = []
    kinds = {
        "weights": _is_weights,
        "tokenizer": _is_tokenizer,
        "image processor": _is_image_processor,
        "configuration and code": _is_other,
    }
    for kind, belongs in kinds.items():
        names = sorted(name for name in {**recorded, **found} if belongs(name))
        stated = [name for name in names if name in recorded]
        wrong = [
            f"{name} is missing"
            if name not in found
            else f"{name} has the sha256 {found[name][:12]}…, the facts say {recorded[name][:12]}…"
            for name in stated
            if found.get(name) != recorded[name]
        ]
        if run.files_sha256:
            wrong += [f"{name} is new, the facts do not know it" for name in names if name not in recorded]
        if wrong:
            checks.append(Check(kind, "differs", "; ".join(wrong)))
        elif stated:
            checks.append(Check(kind, "equal", f"{', '.join(stated)}: sha256 as in run.json"))
        elif names:
            checks.append(Check(kind, "not checked", f"run.json has no hash of {', '.join(names)}"))
    for evaluation in run.evaluations:
        measured = evaluation.weights_sha256
        if measured is not None and measured != found.get(WEIGHTS_FILE):
            detail = f"measured on other weights than these, with the sha256 {measured[:12]}…"
            checks.append(Check(f"weights, {evaluation.split}", "differs", detail))
    return checks


def _is_weights(name: str) -> bool:
    return name.endswith((".safetensors", ".bin", ".index.json"))


def _is_other(name: str) -> bool:
    return name == "config.json" or name.endswith(".py")


def _is_tokenizer(name: str) -> bool:
    return not _is_weights(name) and not _is_other(name) and not _is_image_processor(name)


def _is_image_processor(name: str) -> bool:
    return name == "preprocessor_config.json"


def check_model(run: RunFacts, running: RunningCheckpoint) -> list[Check]:
    """What the facts say of the model itself, and the answers that it once gave."""
    try:
        pipe, subject = running.get()
    except WeightsError as error:
        return [Check("model", "differs", f"it cannot be loaded: {error}")]
    differences = [
        f"{name} {now}, the facts say {before}"
        for name, before, now in (
            ("labels", list(run.labels), list(subject.labels)),
            ("parameters", run.parameters, subject.described.parameters),
            ("kind of problem", run.problem_type, subject.problem_type or run.problem_type),
        )
        if before not in (None, []) and before != now
    ]
    state: State = "differs" if differences else "equal"
    checks = [Check("model", state, "; ".join(differences) or "labels and number of parameters as in run.json")]
    if run.examples:
        wrong = []
        for example in run.examples:
            try:
                (answer,) = answers_to(pipe, [example.inputs], run)
            except QuintetError as error:  # weights that give no finite answer, or inputs that are none
                wrong.append(str(error))
                continue
            other = difference(answer, example.outputs)
            if other:
                shown = example.inputs.get("text") or example.inputs.get("image") or dict(example.inputs)
                wrong.append(f"{str(shown)[:60]}: {other}")
        detail = (
            f"other answers to: {' | '.join(wrong)}" if wrong else f"{len(run.examples)} recorded answers given again"
        )
        checks.append(Check("examples", "differs" if wrong else "equal", detail))
    return checks


def check_usage(
    run: RunFacts,
    readme: Readme | None,
    found: Published,
    *,
    token: str | None,
    endpoint: str | None,
    trust_remote_code: bool,
) -> list[Check]:
    """The snippets as they stand on the card, run where the checkpoint is on a Hub, and what they print.

    Facts are written by whoever published them. So without ``trust_remote_code`` only a snippet that Quintet itself
    would write is run, and only if it does not ask for the code of the checkpoint.
    """
    if not run.usages:
        return []
    if found.repository is None:
        return [Check("usage", "not checked", "the snippets name a Hub repository, and this is a folder")]
    own = snippets(run, [example.inputs for example in run.examples])
    card = readme.card if readme is not None else None
    variables = {name: value for name, value in (("HF_TOKEN", token), ("HF_ENDPOINT", endpoint)) if value}
    checks = []
    for usage in run.usages:
        title = f"usage, {usage.library}"
        # A copy of a repository has the card of the original, which names that one.
        names = [found.repository] if card is None else [found.repository, run.repository or found.repository]
        filled = {name: usage.code.replace(CHECKPOINT_PLACEHOLDER, name).strip() for name in names}
        name = next((name for name in names if card is None or filled[name] in card), None)
        if name is None:
            checks.append(Check(title, "differs", "the card shows another snippet than the one in run.json"))
        elif not trust_remote_code and ((usage.library, usage.code) not in own or "trust_remote_code" in usage.code):
            detail = "not run, as it runs code that comes with the checkpoint; run it with --trust-remote-code"
            checks.append(Check(title, "not checked", detail))
        else:
            checks.append(_run_usage(title, usage, name, variables))
    return checks


def _run_usage(title: str, usage: UsageFact, checkpoint: str, variables: Mapping[str, str]) -> Check:
    (done,) = run_snippets([(usage.library, usage.code)], checkpoint, offline=False, variables=variables)
    if done.problem is not None:
        return Check(title, "differs", f"the snippet fails: {done.problem[:200]}")
    if not printed_alike(usage.output, done.usage.output):
        given = done.usage.output.strip()
        return Check(title, "differs", f"it prints {given!r}, the card says {usage.output.strip()!r}")
    return Check(title, "equal", "prints what the card says")
