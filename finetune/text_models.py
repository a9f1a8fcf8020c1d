"""The model and the tokenizer that training on texts starts from: of a family, or of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..pipelines.checkpoints import load_checkpoint
from ..pipelines.models.building import build_model
from ..pipelines.models.families import Family, find_family, is_family
from ..pipelines.sentence_settings import SentenceSettings, read_sentence_settings
from ..pipelines.tasks import find_task
from ..pipelines.tokenization import TextTokenizer
from .data import TaskData
from .known_words import KnownWords, learn_words
from .problems import CLASSIFICATION
from .settings import FinetuneSettings
from .starting_point import StartingPoint, refuse_for_checkpoints
from .tokenizer_training import Kind, train_tokenizer

TOKENIZER_FOLDER = "tokenizer"

TOKENS: Mapping[str, Kind] = {"characters": "characters", "bpe": "cased-bpe"}
"""Of ``--tokens`` the kind of tokenizer that is trained."""


@dataclass(kw_only=True)
class TextStart(StartingPoint):
    """What training on texts starts from.

    Attributes:
        tokenizer: of the model, cut to the length of training texts.
        sentences: how a checkpoint makes vectors of texts.
    """

    tokenizer: TextTokenizer
    sentences: SentenceSettings = field(default_factory=SentenceSettings)


def starting_point(settings: FinetuneSettings, data: TaskData, prepared: Path) -> TextStart:
    """The model that ``settings.model`` names, with a head for the labels of ``data``, on the CPU.

    Args:
        settings: as given.
        data: with the split train.
        prepared: folder where a tokenizer trained here is kept, and taken from when a run goes on.

    Raises:
        UnknownNameError: no family or checkpoint has this name, or an argument of the model is unknown.
        UsageError: settings that the model cannot follow.
        WeightsError: the checkpoint cannot be loaded.
    """
    if is_family(settings.model):
        has_pairs = "text_pair" in data.splits["train"].column_names
        family = find_family(settings.model, find_task(settings.task).name, has_pairs=has_pairs)
        start = _from_scratch(settings, family, data, prepared)
    else:
        start = _from_checkpoint(settings, data)
    start.choose_weights(settings)
    return start


def _from_scratch(settings: FinetuneSettings, family: Family, data: TaskData, prepared: Path) -> TextStart:
    own = {**family.defaults, "vocab_size": family.vocab_size, "max_length": family.max_length}
    settings = settings.resolved(own, pretrained=False)
    tokenizer = _trained_tokenizer(settings, family, data, prepared / TOKENIZER_FOLDER)
    arguments = dict(settings.model_args)
    known = None
    if family.tokenizer == "byte-words":
        most = family.arguments(arguments)["words"]
        known = KnownWords.of(training_words(data), tokenizer, int(most))  # type: ignore[arg-type]
        arguments["words"] = max(1, len(known))
    torch.manual_seed(settings.seed)
    model = build_model(
        family,
        vocab_size=tokenizer.vocab_size,
        labels=data.labels,
        problem_type=data.problem_type if data.problem_type in CLASSIFICATION else None,
        arguments=arguments,
        padding_id=tokenizer.pad_id,
        start_id=tokenizer.start_id,
        end_id=tokenizer.end_id,
        max_length=max(settings.max_length or family.max_length, settings.max_target_length or 0),
    )
    words = None if known is None else learn_words(model, known)
    if settings.embeddings_from:
        from .word_vectors import plain_words, vectors_from_checkpoint

        vectors_from_checkpoint(model, words or plain_words(prepared / TOKENIZER_FOLDER), settings)
    return TextStart(model=model, tokenizer=tokenizer, settings=settings, family=family.name)


def _trained_tokenizer(settings: FinetuneSettings, family: Family, data: TaskData, folder: Path) -> TextTokenizer:
    """A tokenizer trained on the training split; saved before the first step, and read from there when resumed."""
    if not folder.is_dir():
        tokenizer = train_tokenizer(
            training_texts(data),
            family.tokenizer if settings.tokens is None else TOKENS[settings.tokens],
            settings.vocab_size or family.vocab_size,
            None if family.continues and family.is_recurrent else settings.max_length,  # a state has room for any text
            has_token_types=family.has_token_types,
            begins_texts=family.continues and not data.is_one_text,
            ends_texts=family.ends_texts,
        )
        temporary = folder.with_name(folder.name + ".tmp")
        tokenizer.save(temporary)
        temporary.rename(folder)
    return TextTokenizer.from_folder(folder)


def training_texts(data: TaskData) -> Iterator[str]:
    """All texts of the training split that the task reads or writes, lazily; words with a space between them."""
    kinds = {column.name: column.kind for column in find_task(data.report.task).columns}
    for rows in data.splits["train"].iter(batch_size=1000):
        for column in rows:
            if kinds.get(column) in ("text", "document"):
                yield from rows[column] or ()
            elif kinds.get(column) == "tokens":
                yield from map(" ".join, rows[column])


def training_words(data: TaskData) -> Iterator[list[str]]:
    """The words of each text of the training split, lazily; a text that many rows have after each other counts once."""
    kinds = {column.name: column.kind for column in find_task(data.report.task).columns}
    last: dict[str, str] = {}
    for rows in data.splits["train"].iter(batch_size=1000):
        for column in rows:
            if kinds.get(column) == "tokens":
                yield from rows[column]
            elif kinds.get(column) == "text":
                for text in rows[column]:
                    if text != last.get(column):
                        yield text.split()
                    last[column] = text


def _from_checkpoint(settings: FinetuneSettings, data: TaskData) -> TextStart:
    refuse_for_checkpoints(settings, ("model_args", "vocab_size", "tokens", "embeddings_from"))
    settings = settings.resolved({}, pretrained=True)
    torch.manual_seed(settings.seed)  # a new head is drawn at random
    checkpoint = load_checkpoint(
        settings.model,
        task=settings.task,
        trust_remote_code=settings.trust_remote_code,
        light=False,
        new_head=True,
        labels=data.labels,
        problem_type=data.problem_type if data.problem_type in CLASSIFICATION else None,
    )
    model: Any = checkpoint.model
    tokenizer = cut_to(checkpoint.tokenizer, settings.max_length)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_id  # a decoder finds a text's last token by it
    if "use_cache" in model.config.to_dict():
        model.config.use_cache = False  # keys and values of a decoder, for tokens that never come
    return TextStart(
        model=model,
        tokenizer=tokenizer,
        settings=settings,
        family=checkpoint.config.model_type,
        base_model=checkpoint.name,
        base_revision=checkpoint.revision,
        sentences=read_sentence_settings(checkpoint),
        new_weights=checkpoint.new_weights,
    )


def cut_to(tokenizer: TextTokenizer, max_length: int | None) -> TextTokenizer:
    """``tokenizer``, told in place to cut at ``max_length`` if the model takes more; kept when it is saved."""
    if max_length is not None and (tokenizer.max_length is None or max_length < tokenizer.max_length):
        tokenizer.max_length = max_length
        tokenizer.settings["model_max_length"] = max_length
        if tokenizer.transformers_tokenizer is not None:
            tokenizer.transformers_tokenizer.model_max_length = max_length
    return tokenizer
