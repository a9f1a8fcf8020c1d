"""How a sentence-transformers folder makes one vector out of the vectors of tokens, read from its small files.

    modules.json                      the steps in order: Transformer, Pooling, perhaps Dense, Normalize
    1_Pooling/config.json             which pooling
    2_Dense/                          a linear layer after it
    sentence_bert_config.json         how many tokens the model was trained on
    config_sentence_transformers.json prompts, and how vectors are compared

Reimers and Gurevych 2019, "Sentence-BERT", section 3, has the poolings cls, mean and max.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from .checkpoint_sources import CONFIG_FILE, Place
from .errors import UsageError, WeightsError
from .weights import PICKLE_FILES, WEIGHTS_FILE, read_weights

if TYPE_CHECKING:
    from .checkpoints import Checkpoint

POOLINGS = ("mean", "cls", "max", "last")
SIMILARITIES = ("cosine", "dot")

# What Pooling's configuration calls ours; newer ones name one of them by `pooling_mode`.
_POOLING_KEYS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_POOLING_MODES = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}

_ACTIVATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {"Tanh": np.tanh, "Identity": lambda values: values}


@dataclass(frozen=True)
class DenseStep:
    """A linear layer over the vectors of texts.

    Attributes:
        weight: float32 ``(out, in)``.
        bias: float32 ``(out,)``.
        activation: ``Tanh`` or ``Identity``.
    """

    weight: np.ndarray
    bias: np.ndarray
    activation: str

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """``(texts, in)`` to ``(texts, out)``, float32."""
        return _ACTIVATIONS[self.activation](vectors @ self.weight.T + self.bias).astype(np.float32)


@dataclass(frozen=True)
class SentenceSettings:
    """How a checkpoint makes a vector for a text.

    Attributes:
        pooling: one of `POOLINGS`.
        normalize: whether vectors get the length 1.
        max_length: tokens of a window, where the checkpoint wants fewer than its model takes.
        is_lower: whether texts are put into lower case first.
        steps: linear layers after the pooling.
        prompts: texts that are put before a text, by name.
        default_prompt: the name of the one that is used unless another is asked for; None for none.
        similarity: how vectors are compared, one of `SIMILARITIES`.
    """

    pooling: str = "mean"
    normalize: bool = False
    max_length: int | None = None
    is_lower: bool = False
    steps: tuple[DenseStep, ...] = ()
    prompts: Mapping[str, str] | None = None
    default_prompt: str | None = None
    similarity: str = "cosine"


def read_sentence_settings(checkpoint: Checkpoint) -> SentenceSettings:
    """What the files of a sentence-transformers folder say; mean pooling for a checkpoint without them.

    Raises:
        WeightsError: a file is broken, or asks for a step that is not known here.
    """
    if checkpoint.folder is None:
        return SentenceSettings()
    repository = checkpoint.name if checkpoint.revision is not None else None
    place = Place(checkpoint.name, checkpoint.folder, repository, checkpoint.revision)
    modules = _read_json(place, "modules.json", list)
    if modules is None:
        return SentenceSettings()
    model = _read_json(place, "sentence_bert_config.json") or {}
    library = _read_json(place, "config_sentence_transformers.json") or {}
    pooling, normalize, steps = "mean", False, []
    for module, folder in _modules(modules, place.name):
        if module == "Transformer" and folder in ("", "."):
            continue
        if module == "Pooling":
            pooling = _read_pooling(_read_json(place, f"{folder}/config.json") or {}, place.name)
        elif module == "Dense" and not normalize:
            steps.append(_read_dense(place, folder))
        elif module == "Normalize":
            normalize = True
        else:
            raise WeightsError(
                f"modules.json of checkpoint '{place.name}' has the step {module} in '{folder}'; expected Transformer "
                "in the folder itself, Pooling, Dense, Normalize; use sentence-transformers for this one."
            )
    similarity = library.get("similarity_fn_name") or "cosine"
    if similarity not in SIMILARITIES:
        raise WeightsError(
            f"checkpoint '{place.name}' compares vectors by {similarity}, expected {' or '.join(SIMILARITIES)}; use "
            "sentence-transformers for this one."
        )
    return SentenceSettings(
        pooling=pooling,
        normalize=normalize,
        max_length=model.get("max_seq_length"),
        is_lower=bool(model.get("do_lower_case")),
        steps=tuple(steps),
        prompts=library.get("prompts"),
        default_prompt=library.get("default_prompt_name"),
        similarity=similarity,
    )


def write_sentence_settings(settings: SentenceSettings, folder: Path) -> None:
    """Writes the small files from which `read_sentence_settings`, and sentence-transformers, read ``settings`` again.

    Raises:
        UsageError: there are linear layers among them, whose weights are not written here.
    """
    if settings.steps:
        raise UsageError(
            "a checkpoint with Dense layers behind the pooling cannot be written; start from an encoder without them."
        )
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    if settings.normalize:
        modules.append(("2_Normalize", "Normalize"))  # has no file, and so no folder
    listed = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (path, kind) in enumerate(modules)
    ]
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    pooling = {key: name == settings.pooling for key, name in _POOLING_KEYS.items()}
    library = {
        "prompts": dict(settings.prompts or {}),
        "default_prompt_name": settings.default_prompt,
        "similarity_fn_name": settings.similarity,
    }
    (folder / "1_Pooling").mkdir(exist_ok=True)
    for file, content in (
        ("modules.json", listed),
        ("1_Pooling/config.json", {"word_embedding_dimension": vector_size(config), **pooling}),
        ("sentence_bert_config.json", {"max_seq_length": settings.max_length, "do_lower_case": settings.is_lower}),
        ("config_sentence_transformers.json", library),
    ):
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (folder / file).write_text(text + "\n", encoding="utf-8")


def vector_size(config: Mapping[str, Any]) -> int:
    """How many numbers a model with this ``config.json`` gives for a token.

    >>> vector_size({"hidden_size": 200, "bidirectional": True}), vector_size({"d_model": 512})
    (400, 512)
    """
    names = ("hidden_size", "d_model", "dim", "n_embd")
    size = next((int(config[name]) for name in names if config.get(name) is not None), 0)
    return 2 * size if config.get("bidirectional") is True else size


def _modules(content: Any, name: str) -> list[tuple[str, str]]:
    """The steps in order: (kind, folder)."""
    try:
        modules = [(str(entry["type"]).rpartition(".")[2], str(entry["path"])) for entry in content]
    except (TypeError, KeyError) as error:
        raise _broken("modules.json", name, "a list of steps with type and path") from error
    outside = [path for _, path in modules if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute()]
    if outside:
        raise _broken("modules.json", name, f"folders inside the checkpoint, not '{outside[0]}'")
    return modules


def _read_pooling(config: Mapping[str, Any], name: str) -> str:
    asked = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    modes = [_POOLING_KEYS.get(key) for key in asked]
    if not asked and config.get("pooling_mode") is not None:
        given = config["pooling_mode"]
        asked = [given] if isinstance(given, str) else list(given)
        modes = [_POOLING_MODES.get(mode) for mode in asked]
    if len(modes) != 1 or modes[0] is None:
        raise WeightsError(
            f"the Pooling of checkpoint '{name}' asks for {', '.join(map(str, asked)) or 'nothing'}; expected one of "
            f"{', '.join(_POOLING_MODES)}; use sentence-transformers for this one."
        )
    if config.get("include_prompt") is False:
        raise WeightsError(
            f"the Pooling of checkpoint '{name}' leaves prompts out of the pooling (include_prompt is false), which is "
            "not known here; use sentence-transformers for this one."
        )
    return modes[0]


def _read_dense(place: Place, folder: str) -> DenseStep:
    config = _read_json(place, f"{folder}/config.json") or {}
    for file in (WEIGHTS_FILE, *PICKLE_FILES[:1]):
        place.fetch(f"{folder}/{file}")
        if (place.folder / folder / file).is_file():
            break
    tensors = read_weights(place.folder / folder, name=f"{place.name}/{folder}")
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in _ACTIVATIONS or "linear.weight" not in tensors:
        raise WeightsError(
            f"the Dense step '{folder}' of checkpoint '{place.name}' has the activation {activation} and the weights "
            f"{', '.join(tensors)}; expected {' or '.join(_ACTIVATIONS)} and linear.weight."
        )
    weight = tensors["linear.weight"].float().numpy()
    bias = tensors["linear.bias"].float().numpy() if "linear.bias" in tensors else np.zeros(len(weight), np.float32)
    return DenseStep(weight, bias, activation)


def _read_json(place: Place, file: str, kind: type = dict) -> Any:
    """The content of a file of the checkpoint, of the given kind; None if it has no such file."""
    place.fetch(file)
    path: Path = place.folder / file
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _broken(file, place.name, "JSON") from error
    if not isinstance(content, kind):
        raise _broken(file, place.name, f"a JSON {'object' if kind is dict else 'list'}")
    return content


def _broken(file: str, name: str, expected: str) -> WeightsError:
    return WeightsError(f"{file} of checkpoint '{name}' is broken, expected {expected}; fetch the checkpoint again.")
