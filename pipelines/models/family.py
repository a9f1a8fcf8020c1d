"""A model family that can be trained from scratch: what a row of the table in families.py says, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..errors import UsageError, unknown_name

Value = str | int | float | bool | tuple[int, ...]

LABELLED_HEADS = (
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForImageClassification",
    "AutoModelForSemanticSegmentation",
    "AutoModelForObjectDetection",
    "AutoModelForVideoClassification",
)


@dataclass(frozen=True, kw_only=True)
class Family:
    """A row of the table of families.

    Attributes:
        name: what ``--model`` calls it.
        summary: what it is, in a few words.
        paper: where it was published.
        model_type: as ``config.json`` has it.
        network: ``module:Class`` in this folder of the plain network; None for a family of transformers.
        adapter: ``module:Class`` of the ``PreTrainedModel``, in this folder or in transformers.
        config: ``module:Class`` of its configuration.
        auto_model: the Auto class of transformers that the adapter belongs to.
        config_names: of a family of transformers: hyperparameter -> what its configuration calls it; ``max_length`` and
            ``vocab_size`` too, where they have another name there.
        sizes: hyperparameters of the network and their defaults; ``--model-args`` may change each.
        fixed: arguments that make this family out of a network that several families share.
        choices: for those of ``sizes`` that are words, the words there are.
        tasks: names of the tasks it is for.
        tokenizer: what kind of tokenizer is trained for it, see ``finetune/tokenizer_training.py``; None for one that
            reads no texts.
        has_token_types: whether it tells the two texts of a pair apart by token type ids.
        reads_pairs: whether it reads nothing but pairs of texts, each text by itself; the row of the same name that
            reads single texts stands before it.
        ends_texts: for networks that write: whether the tokenizer puts the token for the end behind a text.
        is_recurrent: whether it reads a text token by token; a CPU computes such cells slower in bfloat16.
        vocab_size: entries of its tokenizer unless asked otherwise; a small data set gives fewer.
        max_length: tokens of a text unless asked otherwise; longer texts are read in windows.
        image_size: of a family that reads pictures: pixels of the sides of the square that they are brought to, unless
            asked otherwise.
        picture_arguments: which of ``channels`` and ``image_size`` the network is built from.
        defaults: training settings where ``FinetuneSettings`` leaves the choice to the model.
    """

    name: str
    summary: str
    paper: str
    model_type: str
    network: str | None
    adapter: str
    config: str
    sizes: Mapping[str, Value]
    tasks: tuple[str, ...]
    defaults: Mapping[str, int | float]
    tokenizer: Literal["wordlevel", "byte-bpe", "masked-bpe", "byte-words", "cased-bpe", "characters"] | None = None
    vocab_size: int = 0
    max_length: int = 0
    image_size: int = 0
    picture_arguments: tuple[str, ...] = ()
    fixed: Mapping[str, Value] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    has_token_types: bool = False
    reads_pairs: bool = False
    ends_texts: bool = False
    is_recurrent: bool = False
    auto_model: str = "AutoModelForSequenceClassification"
    config_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def continues(self) -> bool:
        """Whether it writes on where a text ends: a language model."""
        return self.auto_model == "AutoModelForCausalLM"

    @property
    def rewrites(self) -> bool:
        """Whether it reads a text and writes another one: an encoder and a decoder."""
        return self.auto_model == "AutoModelForSeq2SeqLM"

    @property
    def reads_texts(self) -> bool:
        """Whether it reads texts, alone or beside pictures."""
        return self.tokenizer is not None

    @property
    def reads_pictures(self) -> bool:
        """Whether it reads pictures, alone or beside texts."""
        return self.image_size > 0

    @property
    def has_labels(self) -> bool:
        """Whether its head tells classes apart, whose names its configuration holds."""
        return self.auto_model in LABELLED_HEADS

    def arguments(self, given: Mapping[str, Value | Sequence[int]]) -> dict[str, Value]:
        """All hyperparameters: the defaults, with ``given`` in their place, read as the default's type.

        Args:
            given: as typed after ``--model-args`` (``{"layers": "2", "bidirectional": "true"}``) or as Python values.

        Raises:
            UnknownNameError: a name is no hyperparameter of this family.
            UsageError: a value cannot be read, or is out of range.
        """
        for name in given:
            if name not in self.sizes:
                raise unknown_name(f"argument of model {self.name}", name, self.sizes)
        read = {name: self._read(name, value) for name, value in given.items()}
        return {**self.sizes, **self.fixed, **read}

    def _read(self, name: str, value: Value | Sequence[int]) -> Value:
        default = self.sizes[name]
        expected = _expectation(default, self.choices.get(name))
        try:
            result = _parse(default, value)
        except (TypeError, ValueError):
            result = None
        if result is None or not _in_range(name, result, self.choices.get(name)):
            raise UsageError(
                f"argument {name} of model {self.name} is '{value}', expected {expected}, for instance {name}="
                f"{_show(default)}."
            )
        return result


def _parse(default: Value, value: object) -> Value | None:
    """``value`` as the type of ``default``; None where it is of another."""
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())
    if isinstance(default, tuple):
        parts = str(value).replace("+", "-").split("-") if isinstance(value, (str, int)) else value
        return tuple(int(part) for part in parts)  # type: ignore[union-attr]
    if isinstance(value, bool):
        return None
    if isinstance(default, int):
        return int(str(value))
    if isinstance(default, float):
        return float(str(value))
    return str(value)


def _in_range(name: str, value: Value, choices: tuple[str, ...] | None) -> bool:
    if isinstance(value, str):
        return choices is None or value in choices
    if isinstance(value, bool):
        return True
    if isinstance(value, tuple):
        return bool(value) and min(value) >= 1
    if name.endswith("dropout"):
        return 0.0 <= value < 1.0
    return value >= 1


def _expectation(default: Value, choices: tuple[str, ...] | None) -> str:
    if choices is not None:
        return f"one of {', '.join(choices)}"
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, tuple):
        return "whole numbers of at least 1 joined by -"
    return "a whole number of at least 1" if isinstance(default, int) else "a fraction in [0, 1)"


def _show(value: Value) -> str:
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
