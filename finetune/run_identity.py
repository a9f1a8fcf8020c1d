"""What makes two runs the same, and what of a run's settings may be shown to the world."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .environment import command
from .scrubbing import base_name, scrub
from .settings import HARMLESS_ON_RESUME, FinetuneSettings

if TYPE_CHECKING:
    from .data import TaskData

PATHS = ("model", "dataset", "output", "teacher", "embeddings_from")
"""Settings that may hold a local path."""

NOT_RECORDED = ("resume", "overwrite", "dry_run", "keep_state")
"""Settings that say how the command was repeated, not what was trained."""


def public_settings(settings: FinetuneSettings) -> FinetuneSettings:
    """``settings`` with base names in place of paths, and without what is about this one call."""
    names = {
        name: ",".join(base_name(part) for part in value.split(","))
        for name in PATHS
        if (value := getattr(settings, name)) is not None
    }
    plain = dict.fromkeys(NOT_RECORDED, False)
    return dataclasses.replace(settings, **names, **plain)


def plain_settings(settings: FinetuneSettings) -> dict[str, Any]:
    """Public settings as scalars, lists and dicts, without those that are about one call."""
    values = dataclasses.asdict(public_settings(settings))
    values = {name: value for name, value in values.items() if name not in NOT_RECORDED}
    return {
        name: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
        for name, value in scrub(values).items()
    }


def identity(settings: FinetuneSettings, data: TaskData | None = None) -> dict[str, Any]:
    """What must be the same when a run goes on: settings that change the result, and the contents of the data."""
    same = {name: value for name, value in plain_settings(settings).items() if name not in HARMLESS_ON_RESUME}
    if data is not None:
        for split in data.report.facts().splits:
            same[f"{split.name} data"] = split.fingerprint
    return same


def command_of(settings: FinetuneSettings) -> str:
    """The command that repeats the run: the settings that differ from their defaults, with base names for paths."""
    public = public_settings(settings)
    options = {name: getattr(public, name) for name in ("model", "dataset", *public.changed(), "output")}
    return command(("quintet", "finetune", settings.task), options)
