"""Writing the card of a checkpoint: its snippets are run, its pictures drawn, and README.md is rendered from the facts.

What a person wrote stays: own words, whatever stands around the card, and the keys of the front matter that facts do
not decide. A README.md without our marks is somebody's own, and is not touched unless asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..pipelines.errors import DataError, PublishError, UsageError
from .answers import answers_to, printed_alike
from .architectures import CHOSEN_TOGETHER
from .card_arguments import check_beside_check, check_checkpoint, check_examples, check_repository_id
from .card_report import CardReport
from .checking import check_card
from .existing_card import check_existing_card, read_recorded, read_text
from .facts import FILE_NAME as FACTS_FILE
from .facts import ExampleFact, RunFacts, UsageFact, write_facts
from .given_pictures import stored_picture
from .metadata import main_evaluation, metadata
from .owner_choices import checked_words, chosen_languages, chosen_licence, edited_words
from .picture_usage import PICTURE_TASKS, noun
from .render import FILE_NAME, Readme, read_readme, render
from .result_sections import CONFUSION
from .snippet_runs import run_snippets
from .snippets import QUINTET, default_examples, snippets
from .training_sections import CURVES


def card(
    checkpoint: str | Path,
    *,
    license: str | None = None,
    license_name: str | None = None,
    license_link: str | None = None,
    language: str | Sequence[str] | None = None,
    repository: str | None = None,
    examples: Sequence[str | Mapping[str, str]] | None = None,
    own_words: str | None = None,
    texts: bool = True,
    edit: bool = False,
    append: bool = False,
    check: bool = False,
) -> CardReport:
    """Writes the card of a checkpoint folder from its facts, or checks one that there is.

    Args:
        checkpoint: folder; for a check also a README.md, a Hub id with ``@revision``, or an embedded name.
        license: as the Hub spells it, for instance ``apache-2.0``, or ``other``; default: what the card had.
        license_name: of a licence that is ``other``.
        license_link: URL, or name of a file in the folder, of a licence that is ``other``.
        language: codes such as ``en`` or ``en,zh``; default: what the card had.
        repository: Hub id that the snippets name; default: that of the last time, else the folder's name.
        examples: texts, or dicts such as ``{"text": …, "text_pair": …}``, to show; default: those of the last time.
        own_words: Markdown in place of the own words of the card; default: these are kept.
        texts: False takes the texts of wrong answers out of facts and card, for data that may not be passed on.
        edit: opens the own words in the editor named by ``VISUAL`` or ``EDITOR``.
        append: puts the card below a README.md that was written by hand.
        check: writes nothing and says what is wrong.

    Raises:
        UsageError: no checkpoint folder, an unknown licence or language, a README.md written by hand without
            ``append``, no editor, or an option for writing beside ``check``.
        DataError: facts, front matter or marks that cannot be read, or weights that the facts are not about.
        PublishError: the checkpoint cannot be used as the card would say.
    """
    check_checkpoint(checkpoint)
    if check:
        check_beside_check(
            {
                "--license": license is not None,
                "--license-name": license_name is not None,
                "--license-link": license_link is not None,
                "--language": language is not None,
                "--repository": repository is not None,
                "--example": examples is not None,
                "own words": own_words is not None,
                "--no-texts": not texts,
                "--edit": edit,
                "--append": append,
            }
        )
        return check_existing_card(checkpoint)
    check_repository_id(repository)
    check_examples(examples)
    if own_words is not None:
        own_words = checked_words(own_words)
    folder = _own_folder(checkpoint)
    path = folder / FILE_NAME
    readme = _readable(path, append=append)
    by_hand = dict(readme.metadata or {})
    licence = chosen_licence(license, license_name, license_link, by_hand)
    languages = chosen_languages(language, by_hand)
    if edit:
        own_words = checked_words(edited_words(readme.own_words if own_words is None else own_words))

    before = read_recorded(folder, folder.resolve().name)
    facts, answered = _facts_and_examples(folder, before, examples, languages)
    facts = replace(
        facts,
        checkpoint_name=folder.resolve().name,
        examples=answered,
        languages=languages or facts.languages,
        repository=repository or facts.repository,
    )
    if not texts:
        facts = replace(facts, evaluations=tuple(replace(one, mistakes=()) for one in facts.evaluations))
    if licence is not None:
        facts = replace(facts, licence=licence[0], licence_name=licence[1], licence_link=licence[2])
    usages, notes = _run_usages(folder, facts)
    try:
        facts = replace(facts, usages=usages, pictures=_drawn(folder, facts))
        text = render(
            facts,
            own_words=readme.own_words if own_words is None else own_words,
            extra=_added_by_hand(readme, before),
            before=readme.before,
            after=readme.after,
        )
        _write(path, text, before=lambda: write_facts(facts, folder))
    except OSError as error:
        raise UsageError(f"'{folder.name}' cannot be written to ({error.strerror}); copy the checkpoint") from error
    return CardReport(
        name=facts.checkpoint_name,
        path=path,
        text=text,
        facts=facts,
        written=True,
        problems=tuple(check_card(text, facts, folder)),
        notes=(*notes, *_unsaid(facts)),
    )


# ---------------------------------------------------------------------------------------- reading


def _own_folder(checkpoint: str | Path) -> Path:
    """The folder of a checkpoint whose card may be written."""
    from ..pipelines.checkpoint_sources import CONFIG_FILE, embedded_names

    folder = Path(checkpoint).expanduser()
    if not folder.is_dir():
        text = str(checkpoint)
        if text in embedded_names():
            raise UsageError(f"checkpoint '{text}' comes with Quintet and has its card; --check compares it")
        if folder.is_file():
            raise UsageError(f"'{folder.name}' is a file; give the checkpoint's folder, or --check to check a card")
        raise UsageError(
            f"there is no folder '{folder.name}'; a card is written into a checkpoint's folder: for one on the Hub run "
            f"`hf download {text} --local-dir {folder.name}` first, or check its card with --check"
        )
    if not (folder / CONFIG_FILE).is_file():
        raise UsageError(f"folder '{folder.resolve().name}' has no {CONFIG_FILE}; expected a checkpoint's folder")
    return folder


def _readable(path: Path, *, append: bool) -> Readme:
    """The README.md of a checkpoint taken apart; an empty one where there is none."""
    if path.is_dir():
        raise UsageError(f"{path.name} in '{path.parent.resolve().name}' is a folder, expected a file; move it away")
    text = read_text(path) if path.is_file() else ""
    readme = read_readme(text)
    if readme.damage:
        raise DataError(f"{path.name} in '{path.parent.resolve().name}' is kept as it is: {readme.damage}")
    if readme.card is None and text.strip() and not append:
        raise UsageError(
            f"{path.name} in '{path.parent.resolve().name}' was not written by `quintet card`, so it is kept as it is; "
            "--append puts the card below it"
        )
    if readme.problem:
        raise DataError(
            f"the front matter of {path.name} in '{path.parent.resolve().name}' cannot be read ({readme.problem}); "
            "repair it, or delete it down to its second line of dashes: facts are put in again"
        )
    return readme


def _added_by_hand(readme: Readme, before: RunFacts | None) -> dict[str, Any]:
    """Values of the front matter that a person put there: those that the card did not have from the facts."""
    written = metadata(before) if before is not None and readme.card is not None else {}
    return {
        key: [each for each in value if each not in written.get(key, [])] if isinstance(value, list) else value
        for key, value in readme.extra.items()
        if value != written.get(key)
    }


def _unsaid(facts: RunFacts) -> tuple[str, ...]:
    """What the owner may want to add."""
    notes = []
    if facts.licence is None:
        notes.append("no licence is chosen, which publishing needs: --license apache-2.0, for instance")
    if not facts.languages and noun(facts) == "text":
        notes.append("the language of the texts is not recorded: --language en, for instance")
    quoted = sum(len(evaluation.mistakes) for evaluation in facts.evaluations)
    if quoted:
        what = "texts" if noun(facts) == "text" else "names of pictures"
        notes.append(
            f"{FACTS_FILE} quotes {quoted} {what} of the data, the card some of them: --no-texts takes them out"
        )
    if not facts.evaluations:
        notes.append("no metrics are recorded: `quintet evaluate` measures the checkpoint and keeps them")
    return tuple(notes)


# --------------------------------------------------------------------------------- what is computed


def _facts_and_examples(
    folder: Path,
    recorded: RunFacts | None,
    examples: Sequence[str | Mapping[str, str]] | None,
    languages: Sequence[str],
) -> tuple[RunFacts, tuple[ExampleFact, ...]]:
    """The facts of a checkpoint, its files' hashes checked, and its whole answers to the examples.

    A checkpoint without facts gets those that can be read from its files.
    """
    from ..finetune.evaluation_record import read_subject
    from ..pipelines.checkpoint_sources import Place, read_config
    from ..pipelines.factory import pipeline
    from ..pipelines.tasks import find_task

    name = folder.resolve().name
    task = recorded.task if recorded is not None else read_config(Place(name, folder)).get("task")
    row = find_task(task or "text-classification")
    pipe: Any = pipeline(row.name, folder, device="cpu", dtype="float32")
    subject = read_subject(folder, pipe, row, is_default=False)
    facts = recorded or subject.described
    facts = replace(facts, files_sha256=_checked_files(folder, facts))
    if examples is not None:
        first = row.columns[0].name
        inputs = [{first: each} if isinstance(each, str) else dict(each) for each in examples]
        if row.name in PICTURE_TASKS:
            inputs = [{**each, first: stored_picture(each.get(first, ""))} for each in inputs]
    else:
        stored = [dict(each.inputs) for each in facts.examples]
        mask = pipe.tokenizer.token_text(pipe.mask_id) if row.name == "fill-mask" else None
        inputs = stored or default_examples(replace(facts, languages=tuple(languages) or facts.languages), mask)
    answers = answers_to(pipe, inputs, facts)
    return facts, tuple(ExampleFact(one, tuple(answer)) for one, answer in zip(inputs, answers, strict=True))


def _checked_files(folder: Path, facts: RunFacts) -> Mapping[str, str]:
    """The hashes of the files on which the answers depend; as far as the facts have any, they are the same.

    Raises:
        DataError: a file is not the one that was measured.
    """
    from ..pipelines.integrity import answering_files
    from ..pipelines.weights import WEIGHTS_FILE

    found, recorded = answering_files(folder), dict(facts.files_sha256)
    if facts.weights_sha256:
        recorded[WEIGHTS_FILE] = facts.weights_sha256
    wrong = [name for name, digest in recorded.items() if found.get(name) != digest]
    if wrong:
        raise DataError(
            f"{', '.join(wrong)} of '{folder.resolve().name}' differ by their sha256 from what {FACTS_FILE} is about; "
            f"restore them, or delete {FACTS_FILE} and measure the checkpoint again with `quintet evaluate`"
        )
    return facts.files_sha256 or found


def _run_usages(folder: Path, facts: RunFacts) -> tuple[tuple[UsageFact, ...], list[str]]:
    """The snippets that ran, and a note for one that did not.

    Raises:
        PublishError: Quintet itself cannot run the checkpoint.
    """
    from ..finetune.scrubbing import scrub

    runs = run_snippets(snippets(facts, [example.inputs for example in facts.examples]), str(folder.resolve()))
    notes = []
    for run in runs:
        if run.problem is None:
            continue
        if run.usage.library == QUINTET:
            raise PublishError(f"the card's own snippet does not run: {scrub(run.problem)}; the card is as it was")
        notes.append(
            f"plain {run.usage.library} does not run it, so the card has no snippet for it: {scrub(run.problem)}"
        )
    usages = tuple(run.usage for run in runs if run.problem is None)
    # Of tags that are chosen together the snippets do not print the same: entities, and words with their tags.
    is_same = facts.family not in CHOSEN_TOGETHER
    if is_same and len(usages) == 2 and not printed_alike(usages[0].output, usages[1].output):
        notes.append("Quintet and plain transformers do not answer the examples alike; the card shows both")
    return usages, notes


def _drawn(folder: Path, facts: RunFacts) -> tuple[str, ...]:
    """Names of the pictures in ``folder``: the main confusion matrix, drawn anew, and the curves."""
    names = []
    main = main_evaluation(facts)
    if main is not None and main.confusion is not None:
        from ..finetune.plots import confusion_matrix

        where = f"{main.data_name}, {main.split}" if main.data_name else main.split
        title = f"{where} ({main.count:,} rows)"
        confusion_matrix(main.confusion, main.labels, folder / CONFUSION, title=title)
        names.append(CONFUSION)
    if facts.training is not None and facts.training.metric and not (folder / CURVES).is_file():
        from ..finetune.curves import draw_curves

        draw_curves(folder, facts.training.metric, facts.training.best_step)
    if (folder / CURVES).is_file():
        names.append(CURVES)
    return tuple(names)


def _write(path: Path, text: str, *, before: Callable[[], None]) -> None:
    """Writes a file whole or not at all; ``before`` is called once only its name is missing, so that it may fail."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        before()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
