"""Training, comparing and evaluating: `finetune` trains, `evaluate` measures; both return the facts.

The names are loaded when first used, so that importing the package takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "FinetuneSettings": "settings",
    "InterruptedTraining": "interruption",
    "evaluate": "evaluation",
    "finetune": "training",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
