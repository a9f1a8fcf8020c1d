"""The model that training starts from: what is known of it whatever it reads, and whether it can be found."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..pipelines.checkpoint_sources import find_checkpoint
from ..pipelines.errors import UsageError, unknown_name
from ..pipelines.models.families import FAMILIES, find_family, is_family
from ..pipelines.tasks import find_task
from .lora import LowRankAdditions, freeze_body
from .settings import FinetuneSettings, flag

MISTYPED = 0.75
"""Similarity from which a name without a slash is a family mistyped rather than a repository of the Hub."""


@dataclass(kw_only=True)
class StartingPoint:
    """What training starts from.

    Attributes:
        model: a transformers model; weights that are not trained need no gradient.
        settings: with every value that the model decides filled in.
        family: name of the family, or the architecture's model type.
        base_model: public name of the checkpoint; None from scratch.
        base_revision: its commit on the Hub.
        additions: of LoRA; None without.
        parameters: number of weights, without additions.
        trainable_parameters: those that training changes, additions included.
        new_weights: names of the weights of a checkpoint's new head, drawn at random.
    """

    model: Any
    settings: FinetuneSettings
    family: str
    base_model: str | None = None
    base_revision: str | None = None
    additions: LowRankAdditions | None = None
    parameters: int = 0
    trainable_parameters: int = 0
    new_weights: frozenset[str] = frozenset()

    def choose_weights(self, given: FinetuneSettings) -> None:
        """Freezes what ``--freeze`` and ``--lora`` leave as it is, and counts the weights.

        Raises:
            UsageError: the model has no head, or no layers of the names asked for.
        """
        self.parameters = sum(weight.numel() for weight in self.model.parameters())
        if given.freeze:
            freeze_body(self.model, self.new_weights)
        if given.lora:
            torch.manual_seed(given.seed)
            name = self.base_model or self.family
            self.additions = LowRankAdditions(self.model, self.settings, name, self.new_weights)
        self.trainable_parameters = sum(weight.numel() for weight in self.model.parameters() if weight.requires_grad)


def refuse_for_checkpoints(settings: FinetuneSettings, names: tuple[str, ...]) -> None:
    """Nothing, if none of the settings ``names`` was given, which are for families trained from scratch.

    Raises:
        UsageError: one was.
    """
    for name in names:
        if getattr(settings, name):
            raise UsageError(
                f"{flag(name)} is for a family trained from scratch, and --model {settings.model} is a checkpoint; "
                f"leave it out, or give a family: {', '.join(find_task(settings.task).families)}"
            )


def check_models(settings: FinetuneSettings) -> None:
    """Whether all models that ``settings`` name can be found; of Hub checkpoints a configuration is fetched.

    Raises:
        UnknownNameError: no family or checkpoint has this name; the message suggests the nearest ones.
        WeightsError: the Hub cannot be reached and the checkpoint is not in the cache.
    """
    task = find_task(settings.task).name
    families = [family.name for family in FAMILIES if task in family.tasks]
    if is_family(settings.model):
        # The data is not known yet; who reads pairs takes all the arguments of who reads single texts.
        find_family(settings.model, task, has_pairs=True).arguments(settings.model_args)
    elif "/" not in settings.model and difflib.get_close_matches(settings.model, families, cutoff=MISTYPED):
        if not Path(settings.model).exists():  # or the Hub would be asked, which takes a while without a network
            raise unknown_name("model", settings.model, families, hint="`quintet models` lists them.")
    else:
        find_checkpoint(settings.model)
    for name in (settings.teacher, settings.embeddings_from):
        if name is not None:
            find_checkpoint(name)
