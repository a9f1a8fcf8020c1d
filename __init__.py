"""Quintet: CNN, RNN/LSTM/GRU, Transformer, BERT and GAN behind one ``pipeline()``.

The public names are listed once, in ``_EXPORTS``, and loaded when first used, so that ``import quintet`` takes
milliseconds. There is no relative import at module level: pytest imports this file a second time under the name
of the folder it lies in, where such an import would fail.
"""

__version__ = "0.1.0"

# public name → (module, attribute)
_EXPORTS = {
    "DataError": ("pipelines.errors", "DataError"),
    "InputError": ("pipelines.errors", "InputError"),
    "QuintetError": ("pipelines.errors", "QuintetError"),
    "TrainingError": ("pipelines.errors", "TrainingError"),
    "UsageError": ("pipelines.errors", "UsageError"),
    "WeightsError": ("pipelines.errors", "WeightsError"),
    "data": ("finetune.data", "describe_data"),
    "evaluate": ("finetune.evaluation", "evaluate"),
    "find_task": ("pipelines.tasks", "find_task"),
    "models": ("pipelines.models.families", "FAMILIES"),
    "pipeline": ("pipelines.factory", "pipeline"),
    "run": ("pipelines.file_runs", "run"),
    "tasks": ("pipelines.tasks", "TASKS"),
}

__all__ = [*_EXPORTS]


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
