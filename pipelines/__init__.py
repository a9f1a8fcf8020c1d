"""Running models: ``pipeline()`` for calls from Python, ``run()`` for files, and the errors that both raise.

Names are loaded when they are first used, so that importing this package imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Pipeline
    from .errors import (
        DataError,
        InputError,
        MissingExtraError,
        PublishError,
        QuintetError,
        ShapeError,
        TrainingError,
        UnknownNameError,
        UsageError,
        WeightsError,
    )
    from .factory import pipeline
    from .file_runs import RunSummary, run
    from .text_classification import TextClassificationPipeline

_MODULES = {
    "DataError": "errors",
    "InputError": "errors",
    "MissingExtraError": "errors",
    "Pipeline": "base",
    "PublishError": "errors",
    "QuintetError": "errors",
    "RunSummary": "file_runs",
    "ShapeError": "errors",
    "TextClassificationPipeline": "text_classification",
    "TrainingError": "errors",
    "UnknownNameError": "errors",
    "UsageError": "errors",
    "WeightsError": "errors",
    "pipeline": "factory",
    "run": "file_runs",
}

__all__ = [
    "DataError",
    "InputError",
    "MissingExtraError",
    "Pipeline",
    "PublishError",
    "QuintetError",
    "RunSummary",
    "ShapeError",
    "TextClassificationPipeline",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
    "WeightsError",
    "pipeline",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
