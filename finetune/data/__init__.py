"""The dataset layer: any source as the splits of a task. `load_data` gives them, `describe_data` tells about them."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "DataReport": "report",
    "SplitReport": "report",
    "TaskData": "loading",
    "describe_data": "description",
    "load_data": "loading",
    "print_report": "description",
}

__all__ = ["DataReport", "SplitReport", "TaskData", "describe_data", "load_data", "print_report"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: numpy and datasets are slow to load, and most commands need neither.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
