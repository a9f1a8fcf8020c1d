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
    from .question_answering import QuestionAnsweringPipeline
    from .summarization import SummarizationPipeline
    from .text2text_generation import Text2TextGenerationPipeline
    from .text_classification import TextClassificationPipeline
    from .text_generation import TextGenerationPipeline
    from .token_classification import TokenClassificationPipeline
    from .translation import TranslationPipeline

_MODULES = {
    "DataError": "errors",
    "InputError": "errors",
    "MissingExtraError": "errors",
    "Pipeline": "base",
    "PublishError": "errors",
    "QuestionAnsweringPipeline": "question_answering",
    "QuintetError": "errors",
    "RunSummary": "file_runs",
    "ShapeError": "errors",
    "SummarizationPipeline": "summarization",
    "Text2TextGenerationPipeline": "text2text_generation",
    "TextClassificationPipeline": "text_classification",
    "TextGenerationPipeline": "text_generation",
    "TokenClassificationPipeline": "token_classification",
    "TrainingError": "errors",
    "TranslationPipeline": "translation",
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
    "QuestionAnsweringPipeline",
    "QuintetError",
    "RunSummary",
    "ShapeError",
    "SummarizationPipeline",
    "Text2TextGenerationPipeline",
    "TextClassificationPipeline",
    "TextGenerationPipeline",
    "TokenClassificationPipeline",
    "TrainingError",
    "TranslationPipeline",
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
