"""Settings to TOML and back."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..pipelines.errors import UsageError, unknown_name
from .settings import FinetuneSettings

ALTERNATIVES = (
    ("epochs", "max_steps"),
    ("max_steps", "epochs"),
    ("warmup", "warmup_steps"),
    ("warmup_steps", "warmup"),
)
"""Settings that exclude each other: the first, given on the command line, takes the second of the file's place."""


def read_settings(path: str | Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The names and values in a TOML file, with ``overrides`` on top; hyphens in names may be underscores.

    Of two settings that exclude each other the one among ``overrides`` counts.

    Raises:
        UsageError: the file cannot be read, is no TOML, or has a name that is no setting.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}; give an existing TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--config {path} is not TOML: {error}; write one setting a line, for instance epochs = 3"
        ) from error
    known = [item.name for item in dataclasses.fields(FinetuneSettings)]
    settings = {}
    for name, value in values.items():
        if name.replace("-", "_") not in known:
            raise unknown_name("setting", name, known, hint=f"It stands in {Path(path).name}.")
        settings[name.replace("-", "_")] = value
    instead = {theirs for ours, theirs in ALTERNATIVES if ours in overrides}
    return {name: value for name, value in settings.items() if name not in instead} | dict(overrides)


def settings_as_toml(settings: FinetuneSettings) -> str:
    """``settings`` as TOML: one line a setting with a comment of help before it; those that are None are left out."""
    lines = []
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        if value is not None:
            lines += [f"# {item.metadata['help']}", f"{item.name} = {_toml(value)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML's strings are JSON's, save DEL
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)
