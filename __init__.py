"""Quintet: CNN, RNN/LSTM/GRU, Transformer, BERT and GAN behind one ``pipeline()``.

The public names are listed once, in ``_EXPORTS``, and loaded when first used, so that ``import quintet`` takes
milliseconds. There is no relative import at module level: pytest imports this file a second time under the name
of the folder it lies in, where such an import would fail.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what a type checker reads; never run, so the rule above holds
    from .cards.publishing import publish
    from .cards.verification import verify
    from .cards.writing import card
    from .finetune.data import describe_data as data
    from .finetune.evaluation import evaluate
    from .pipelines.conversion import convert
    from .pipelines.errors import DataError, InputError, QuintetError, TrainingError, UsageError, WeightsError
    from .pipelines.factory import pipeline
    from .pipelines.file_runs import run
    from .pipelines.models.families import family_rows as models
    from .pipelines.tasks import find_task
    from .pipelines.tasks import task_rows as tasks

__version__ = "0.1.0"

# public name → (module, attribute)
_EXPORTS = {
    "DataError": ("pipelines.errors", "DataError"),
    "InputError": ("pipelines.errors", "InputError"),
    "QuintetError": ("pipelines.errors", "QuintetError"),
    "TrainingError": ("pipelines.errors", "TrainingError"),
    "UsageError": ("pipelines.errors", "UsageError"),
    "WeightsError": ("pipelines.errors", "WeightsError"),
    "card": ("cards.writing", "card"),
    "convert": ("pipelines.conversion", "convert"),
    "data": ("finetune.data", "describe_data"),
    "evaluate": ("finetune.evaluation", "evaluate"),
    "find_task": ("pipelines.tasks", "find_task"),
    "models": ("pipelines.models.families", "family_rows"),
    "pipeline": ("pipelines.factory", "pipeline"),
    "publish": ("cards.publishing", "publish"),
    "run": ("pipelines.file_runs", "run"),
    "tasks": ("pipelines.tasks", "task_rows"),
    "verify": ("cards.verification", "verify"),
}

__all__ = [
    "DataError",
    "InputError",
    "QuintetError",
    "TrainingError",
    "UsageError",
    "WeightsError",
    "card",
    "convert",
    "data",
    "evaluate",
    "find_task",
    "models",
    "pipeline",
    "publish",
    "run",
    "tasks",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'quintet' has no attribute '{name}'; it has: {', '.join(__all__)}")
    import importlib

    module, attribute = _EXPORTS[name]
    value = getattr(importlib.import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
