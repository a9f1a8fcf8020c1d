"""Every setting of a training run: one frozen dataclass that becomes the flags, the TOML file and the card.

Defaults are written here and nowhere else. A setting whose default is None takes the value of the model family's row
(``quintet models``), or else of `PRETRAINED_DEFAULTS` or `SCRATCH_DEFAULTS` below; `FinetuneSettings.resolved` fills
these in, so that ``settings.toml`` and the facts hold the number that was used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..pipelines.errors import UsageError
from .intervals import Interval, parse_interval

PRETRAINED_DEFAULTS: Mapping[str, Any] = {
    "epochs": 3,
    "batch_size": 32,
    "learning_rate": 5e-5,  # Devlin et al. 2019, A.3: 2e-5 to 5e-5, batch 16 or 32, 2 to 4 epochs
    "weight_decay": 0.01,
    "warmup": 0.1,
    "label_smoothing": 0.0,
    "ema": 0.0,
}
"""What a setting left at None means for a model that starts from pretrained weights."""

LORA_LEARNING_RATE = 5e-4
"""With ``lora`` the few new weights start at zero and need larger steps (Hu et al. 2021, table 9: 4e-4 to 5e-4)."""

SCRATCH_DEFAULTS: Mapping[str, Any] = {
    "epochs": 5,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
    "warmup": 0.05,
    "max_length": 256,
    "vocab_size": 20_000,
    "label_smoothing": 0.0,
    "ema": 0.0,
}
"""What a setting left at None means for a model trained from scratch whose family does not say otherwise."""

HARMLESS_ON_RESUME = frozenset(
    {"output", "dataset", "save_every", "resume", "overwrite", "keep_state", "dry_run", "track", "max_minutes"}
)
"""Settings that may differ when a run goes on; the data is compared by its fingerprint instead of by its name."""

ALTERATIONS = ("mask", "ngram", "replace", "splice")

PICTURE_TASKS = ("image-classification", "object-detection", "image-segmentation")
"""Tasks that train on pictures."""

TRACKERS = ("tensorboard", "trackio", "wandb")


def setting(default: Any, help: str, *, tasks: tuple[str, ...] = ()) -> Any:
    """A field with its default, a sentence of help that says the unit, and the tasks it is for; for all if none."""
    metadata = {"help": help, "tasks": tasks}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """The settings of one training run.

    Raises:
        UsageError: values that cannot be or do not go together; all of them in one message, by the names of the flags.
    """

    task: str = field(metadata={"help": "task to train, for instance sentiment (`quintet tasks` lists them)"})
    model: str = field(
        metadata={"help": "model family to train from scratch, checkpoint folder, or Hub id with @revision"}
    )
    dataset: str = field(
        metadata={"help": "file, folder, glob, comma-separated list of these, URL, or Hub id with @revision"}
    )
    output: str = field(metadata={"help": "folder for the checkpoint; must be empty or new"})

    # data
    columns: Mapping[str, str] = setting({}, "the data set's name of each column: text=review,label=stars")
    dataset_config: str | None = setting(None, "configuration of a Hub data set")
    train_split: str | None = setting(None, "split to train on, may be sliced: train[:10%]")
    validation_split: str | None = setting(
        None, "split that chooses the best checkpoint; default: the given one, or carved"
    )
    test_split: str | None = setting(None, "split to report on; default: the given one, if any")
    validation_fraction: float = setting(
        0.1, "share of train carved for validation where none is given, fraction in [0, 1); 0 measures nothing"
    )
    test_fraction: float = setting(0.0, "share of train carved for test where none is given, fraction in [0, 1)")
    problem_type: Literal["single_label_classification", "multi_label_classification", "regression"] | None = setting(
        None, "kind of the labels; default: as found"
    )
    label_names: tuple[str, ...] = setting((), "names of the labels in the order of their ids: negative,positive")
    bad_rows: Literal["raise", "skip"] = setting(
        "raise", "a bad row stops the run, or is skipped and kept in rejected.jsonl"
    )
    max_rows: int | None = setting(None, "rows of each split to use at most; default: all")
    text_unit: Literal["lines", "documents", "blocks"] | None = setting(
        None,
        "what a row of a plain text file is, for tasks that only read text: a line, a text between blank lines, or a "
        "piece of one long text; default: the task's own",
    )
    image_size: int | None = setting(
        None,
        "pixels of the sides of the square that pictures are brought to, for a family trained from scratch; default: "
        "the family's",
        tasks=PICTURE_TASKS,
    )
    augmentation: tuple[str, ...] = setting(
        (),
        "how pictures are varied in training: flip, crop, shift, colour, erase, randaugment, mixup, cutmix …; default: "
        "not at all",
        tasks=PICTURE_TASKS,
    )
    max_length: int | None = setting(
        None, "tokens of a text to train on; longer texts are cut; default: the model's own"
    )
    max_target_length: int | None = setting(
        None,
        "tokens of a text to be written: in training longer ones are cut, and the checkpoint writes so many at most; "
        "default: as --max-length, and what a pretrained checkpoint writes",
        tasks=("translation", "summarization", "text2text-generation"),
    )

    # model
    model_args: Mapping[str, str | int | float | bool] = setting(
        {}, "arguments of a family trained from scratch: layers=2,bidirectional=true,pooling=max"
    )
    vocab_size: int | None = setting(None, "entries of the tokenizer trained from scratch; default: the family's")
    tokens: Literal["characters", "bpe"] | None = setting(
        None,
        "what a token of a family that continues texts is: a character, or a piece of a word found by byte-pair "
        "encoding; default: the family's",
        tasks=("text-generation",),
    )
    embeddings_from: str | None = setting(
        None, "pretrained checkpoint whose input embeddings initialise those of a model trained from scratch"
    )
    embeddings_scale: float = setting(1.0, "standard deviation of the numbers in these embeddings")
    trust_remote_code: bool = setting(False, "run code that comes with the checkpoint")
    freeze: bool = setting(False, "train the classification head only")
    lora: bool = setting(False, "train low-rank additions to the weights only (Hu et al. 2021), through peft")
    lora_rank: int = setting(8, "rank of the additions")
    lora_alpha: float = setting(16.0, "the additions are scaled by alpha / rank")
    lora_dropout: float = setting(0.0, "dropout before the additions, fraction in [0, 1)")
    lora_targets: tuple[str, ...] = setting((), "names of the linear layers to add to; default: all of the encoder's")
    keep_adapter: bool = setting(False, "also keep the additions apart, in the folder adapter/, for peft")

    # optimization
    epochs: int | None = setting(None, "passes over the training split; default: the model's own")
    max_steps: int | None = setting(None, "optimizer steps, in place of epochs")
    max_minutes: float | None = setting(
        None, "minutes of training at most; the learning rate is planned for all epochs"
    )
    batch_size: int | None = setting(None, "samples of an optimizer step, over all processes; default: the model's own")
    accumulation: int = setting(
        1, "parts that an optimizer step is computed in, to save memory; the result is the same"
    )
    batch_tokens: int = setting(
        16_384, "tokens, padding included, of such a part at most; more parts are made where needed"
    )
    learning_rate: float | None = setting(None, "largest step size; default: the model's own")
    head_learning_rate: float | None = setting(None, "of a new classification head; default: as the rest")
    layer_decay: float = setting(1.0, "factor on the learning rate per layer below the top, fraction in (0, 1]")
    weight_decay: float | None = setting(None, "decoupled weight decay of matrices (AdamW); default: the model's own")
    optimizer: Literal["adamw", "sgd"] = setting("adamw", "AdamW (betas 0.9, 0.999), or SGD with Nesterov momentum 0.9")
    schedule: Literal["linear", "cosine", "constant"] = setting(
        "linear", "fall of the learning rate to zero after warm-up"
    )
    warmup: float | None = setting(None, "warm-up: a fraction of all steps in [0, 1); default: the model's own")
    warmup_steps: int | None = setting(None, "warm-up in optimizer steps, in place of the fraction")
    clip: float = setting(1.0, "largest norm of the gradient of a step; 0 does not clip")
    label_smoothing: float | None = setting(
        None, "share of the target spread over all labels, fraction in [0, 1); default: the model's own, mostly 0"
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none", "balanced: rows weigh inversely to the count of their label"
    )
    ema: float | None = setting(
        None,
        "decay per step of an average of the weights that is evaluated and kept, 0 keeps none; default: the model's "
        "own, mostly 0",
    )
    precision: Literal["float32", "bfloat16"] = setting("float32", "of the matrix products; weights stay float32")
    seed: int = setting(0, "fixes initial weights, splits, order and dropout")
    device: str | None = setting(None, "cpu, cuda or mps; default: the fastest there is")

    # masked words
    mask_share: float = setting(
        0.15, "share of the tokens of a text that are masked in training, fraction in (0, 1)", tasks=("fill-mask",)
    )
    pair_loss: Literal["cosine", "contrastive", "in-batch"] | None = setting(
        None,
        "what vectors of pairs learn: that their cosine is the score, that only equals are near, or that a text is "
        "nearer to its own partner than to all others of the batch; default: by the target",
        tasks=("sentence-similarity", "text-ranking"),
    )
    pooling: Literal["mean", "cls", "max", "last"] | None = setting(
        None,
        "how vectors of tokens become that of a text; default: the checkpoint's own way, else mean",
        tasks=("sentence-similarity", "text-ranking"),
    )
    mask_words: bool = setting(False, "mask whole words rather than single tokens", tasks=("fill-mask",))

    # teacher
    teacher: str | None = setting(None, "checkpoint to distil from: its scores of every training text become targets")
    teacher_weight: float = setting(
        0.9, "share of the teacher in the loss, fraction in [0, 1]; the rest are the labels"
    )
    teacher_loss: Literal["mse", "kl"] = setting(
        "mse", "squared error of logits (Tang et al. 2019), or KL (Hinton et al. 2015)"
    )
    teacher_temperature: float = setting(2.0, "both logits are divided by it in the KL loss")
    augment: int = setting(0, "altered copies of each training text for the teacher to label (Tang et al. 2019)")
    augment_by: tuple[str, ...] = setting(("replace", "splice"), f"ways of altering: {', '.join(ALTERATIONS)}")

    # evaluation
    eval_every: str = setting("epoch", "when to measure on validation: epoch, 2epochs, 100steps")
    metric: str | None = setting(None, "metric that chooses the best checkpoint; default: the task's")
    patience: int | None = setting(None, "measurements without a better metric before training stops; default: never")
    calibrate: bool = setting(
        True, "fit a temperature on validation and fold it into the weights, for honest probabilities"
    )
    export_dtype: Literal["float32", "float16", "bfloat16"] = setting("float32", "number format of the weight file")

    # running
    save_every: str = setting("60s", "how often to save the state for --resume: 50steps, 90s, 5min")
    resume: bool = setting(False, "go on from the last saved state, or start where there is none")
    overwrite: bool = setting(False, "empty the output folder first")
    keep_state: bool = setting(False, "keep the folder state/ after the run")
    track: tuple[str, ...] = setting((), f"trackers to log to: {', '.join(TRACKERS)}")
    dry_run: bool = setting(False, "show data, parameters, steps, memory and time per step; write nothing")

    def __post_init__(self) -> None:
        for name in ("label_names", "lora_targets", "augment_by", "augmentation", "track"):
            if isinstance(getattr(self, name), list):  # TOML and JSON know no tuples
                object.__setattr__(self, name, tuple(getattr(self, name)))
        # relations can be looked at only where the types are right
        problems = _wrong_types(self) or [*_wrong_ranges(self), *_wrong_relations(self), *_wrong_intervals(self)]
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def save_interval(self) -> Interval:
        """How often the state is saved, in steps or seconds."""
        return parse_interval(self.save_every, "--save-every", ("steps", "seconds"))

    @property
    def eval_interval(self) -> Interval:
        """How often the model is measured on validation, in epochs or steps."""
        return parse_interval(self.eval_every, "--eval-every", ("epochs", "steps"))

    def resolved(self, family_defaults: Mapping[str, Any], *, pretrained: bool) -> FinetuneSettings:
        """These settings with every None that the model decides replaced by its value.

        Args:
            family_defaults: what the row of the model's family says; goes before the general defaults.
            pretrained: whether the model starts from trained weights.
        """
        general = dict(PRETRAINED_DEFAULTS if pretrained else SCRATCH_DEFAULTS)
        if self.lora:
            general["learning_rate"] = LORA_LEARNING_RATE
        defaults = {**general, **family_defaults}
        for name, other in (("epochs", "max_steps"), ("warmup", "warmup_steps")):
            if getattr(self, other) is not None:
                defaults.pop(name, None)
        missing = {name: value for name, value in defaults.items() if getattr(self, name) is None}
        return dataclasses.replace(self, **missing)

    def changed(self) -> tuple[str, ...]:
        """Names of the settings that differ from their defaults, in the order of the fields."""
        return tuple(
            item.name
            for item in dataclasses.fields(self)
            if default_of(item) not in (dataclasses.MISSING, getattr(self, item.name))
        )

    @classmethod
    def from_toml(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> FinetuneSettings:
        """The settings in a TOML file, with ``overrides`` on top.

        Raises:
            UsageError: the file cannot be read, or has a name or a value that is no setting.
        """
        from .settings_file import read_settings

        return cls(**read_settings(path, overrides or {}))

    def to_toml(self) -> str:
        """These settings as TOML, in the order of the fields; settings that are None are left out."""
        from .settings_file import settings_as_toml

        return settings_as_toml(self)


def default_of(item: dataclasses.Field[Any]) -> Any:
    """The default of a setting, or `dataclasses.MISSING` where it must be given."""
    return item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default


def flag(name: str) -> str:
    """The flag of a setting: ``max_length`` → ``--max-length``."""
    return "--" + name.replace("_", "-")


# name → (lowest, highest, whether the lowest itself is allowed, whether the highest is)
_RANGES: Mapping[str, tuple[float, float, bool, bool]] = {
    "validation_fraction": (0, 1, True, False),
    "test_fraction": (0, 1, True, False),
    "max_rows": (1, float("inf"), True, False),
    "image_size": (8, float("inf"), True, False),
    "max_length": (3, float("inf"), True, False),  # fewer leave no token beside the special ones
    "max_target_length": (3, float("inf"), True, False),
    "vocab_size": (16, float("inf"), True, False),
    "embeddings_scale": (0, float("inf"), False, False),
    "lora_rank": (1, float("inf"), True, False),
    "lora_alpha": (0, float("inf"), False, False),
    "lora_dropout": (0, 1, True, False),
    "epochs": (1, float("inf"), True, False),
    "max_steps": (1, float("inf"), True, False),
    "max_minutes": (0, float("inf"), False, False),
    "batch_size": (1, float("inf"), True, False),
    "accumulation": (1, float("inf"), True, False),
    "batch_tokens": (1, float("inf"), True, False),
    "learning_rate": (0, float("inf"), False, False),
    "head_learning_rate": (0, float("inf"), False, False),
    "layer_decay": (0, 1, False, True),
    "weight_decay": (0, float("inf"), True, False),
    "warmup": (0, 1, True, False),
    "warmup_steps": (0, float("inf"), True, False),
    "clip": (0, float("inf"), True, False),
    "label_smoothing": (0, 1, True, False),
    "ema": (0, 1, True, False),
    "seed": (0, 2**63, True, False),
    "mask_share": (0, 1, False, False),
    "teacher_weight": (0, 1, True, True),
    "teacher_temperature": (0, float("inf"), False, False),
    "augment": (0, float("inf"), True, False),
    "patience": (1, float("inf"), True, False),
}


def _wrong_types(settings: FinetuneSettings) -> list[str]:
    problems = []
    for name, annotation in get_type_hints(FinetuneSettings).items():
        value = getattr(settings, name)
        options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        if not any(_is_of_type(value, option) for option in options):
            expected = " or ".join(_type_name(option) for option in options if option is not NoneType)
            problems.append(f"{flag(name)} {value!r} must be {expected}")
    return problems


def _is_of_type(value: Any, option: Any) -> bool:
    origin = get_origin(option)
    if origin is Literal:
        return value in get_args(option)
    if origin is tuple:
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    if option in (int, float):
        return isinstance(value, int if option is int else int | float) and not isinstance(value, bool)
    return isinstance(value, option)


def _type_name(option: Any) -> str:
    origin = get_origin(option)
    if origin is Literal:
        return "one of " + ", ".join(get_args(option))
    if origin is tuple:
        return "a list of names"
    if origin is Mapping:
        return "a mapping, name=value"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[option]


def _wrong_ranges(settings: FinetuneSettings) -> list[str]:
    problems = []
    for name, (low, high, low_allowed, high_allowed) in _RANGES.items():
        value = getattr(settings, name)
        if value is None:
            continue
        above = value >= low if low_allowed else value > low
        below = value <= high if high_allowed else value < high
        if not (above and below):
            limits = f"{'at least' if low_allowed else 'above'} {low}"
            limits += "" if high == float("inf") else f" and {'at most' if high_allowed else 'below'} {high}"
            problems.append(f"{flag(name)} {value} must be {limits}")
    return problems


def _wrong_relations(settings: FinetuneSettings) -> list[str]:
    problems = []
    for name in ("task", "model", "dataset", "output"):
        if not getattr(settings, name):
            problems.append(f"{flag(name)} is empty; give a value")
    if settings.max_steps is not None and settings.epochs is not None:
        problems.append(f"--max-steps {settings.max_steps} and --epochs {settings.epochs} exclude each other; give one")
    if settings.warmup is not None and settings.warmup_steps is not None:
        problems.append(
            f"--warmup {settings.warmup} and --warmup-steps {settings.warmup_steps} exclude each other; give one"
        )
    if settings.validation_fraction + settings.test_fraction >= 1:
        problems.append(
            f"--validation-fraction {settings.validation_fraction} and --test-fraction {settings.test_fraction} "
            "leave nothing to train on; their sum must be below 1"
        )
    if settings.freeze and settings.lora:
        problems.append("--freeze and --lora exclude each other; --lora already leaves the given weights as they are")
    for name in ("lora_targets", "keep_adapter"):
        if getattr(settings, name) and not settings.lora:
            problems.append(f"{flag(name)} is for --lora; add --lora or leave it out")
    if settings.augment and not settings.teacher:
        problems.append(f"--augment {settings.augment} needs a --teacher to label the altered texts")
    if settings.resume and settings.overwrite:
        problems.append("--resume and --overwrite exclude each other; one goes on, the other starts anew")
    unknown = [way for way in settings.augment_by if way not in ALTERATIONS]
    if unknown or not settings.augment_by:
        problems.append(f"--augment-by {','.join(unknown) or 'nothing'} is unknown; known: {', '.join(ALTERATIONS)}")
    unknown = [tracker for tracker in settings.track if tracker not in TRACKERS]
    if unknown:
        problems.append(f"--track {','.join(unknown)} is unknown; known: {', '.join(TRACKERS)}")
    return problems


def _wrong_intervals(settings: FinetuneSettings) -> list[str]:
    problems = []
    for name in ("save_interval", "eval_interval"):
        try:
            getattr(settings, name)
        except UsageError as error:
            problems.append(str(error))
    return problems
