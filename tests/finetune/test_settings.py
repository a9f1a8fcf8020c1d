"""Settings: wrong ones are refused together and by their flags; a TOML file gives them back."""

import dataclasses
import subprocess
import sys

import pytest
from quintet.finetune.intervals import Interval, parse_interval
from quintet.finetune.settings import FinetuneSettings
from quintet.pipelines.errors import UnknownNameError, UsageError

GIVEN = {"task": "sentiment", "model": "lstm", "dataset": "reviews.csv", "output": "out"}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("50steps", Interval(steps=50)),
        ("1 step", Interval(steps=1)),
        ("90s", Interval(seconds=90)),
        ("5min", Interval(seconds=300)),
        ("1.5h", Interval(seconds=5400)),
        ("epoch", Interval(epochs=1)),
        ("2epochs", Interval(epochs=2)),
    ],
)
def test_intervals_are_read_as_typed(text, expected):
    assert parse_interval(text, "--every", ("steps", "seconds", "epochs")) == expected


@pytest.mark.parametrize("text", ["soon", "50", "0steps", "-5s", "s", "1.5steps", "", "epoch"])
def test_a_bad_interval_says_what_one_looks_like(text):
    with pytest.raises(UsageError, match=f"--save-every '{text}' is not an interval; .* 50steps, 90s or 5min"):
        FinetuneSettings(**GIVEN, save_every=text)


def test_all_wrong_values_are_named_at_once_by_their_flags():
    with pytest.raises(UsageError, match="--clip -1 must be at least 0") as caught:
        FinetuneSettings(
            **GIVEN, clip=-1, label_smoothing=1.0, eval_every="never", max_steps=5, epochs=2, freeze=True, lora=True
        )
    sentences = str(caught.value).split("; ")
    for words in (
        "--label-smoothing 1.0 must be at least 0 and below 1",
        "--max-steps 5 and --epochs 2 exclude each other",
        "--freeze and --lora exclude each other",
        "--eval-every 'never' is not an interval",
    ):
        assert any(words in sentence for sentence in sentences), words


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"epochs": "3"}, "--epochs '3' must be a whole number"),
        ({"precision": "fp8"}, "--precision 'fp8' must be one of float32, bfloat16"),
        ({"freeze": "yes"}, "--freeze 'yes' must be true or false"),
        ({"columns": "text=review"}, "--columns 'text=review' must be a mapping, name=value"),
        ({"lora_targets": ("query",)}, "--lora-targets is for --lora"),
        ({"augment": 3}, "--augment 3 needs a --teacher"),
        ({"resume": True, "overwrite": True}, "--resume and --overwrite exclude each other"),
        ({"track": ["mlflow"]}, "--track mlflow is unknown; known: tensorboard, trackio, wandb"),
        ({"warmup": 0.1, "warmup_steps": 5}, "--warmup 0.1 and --warmup-steps 5 exclude each other"),
        ({"validation_fraction": 0.6, "test_fraction": 0.4}, "leave nothing to train on"),
    ],
)
def test_a_wrong_value_or_relation_is_refused_in_words(changes, words):
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        FinetuneSettings(**GIVEN, **changes)


def test_a_toml_file_gives_the_settings_back(tmp_path):
    settings = FinetuneSettings(
        **GIVEN,
        columns={"text": "review", "label": "stars"},
        model_args={"layers": 2, "bidirectional": True, "pooling": "max", "dropout": 0.5},
        label_names=("schlecht", 'sehr "gut"\\'),
        learning_rate=1e-5,
        resume=True,
    )
    (tmp_path / "settings.toml").write_text(settings.to_toml(), encoding="utf-8")
    assert FinetuneSettings.from_toml(tmp_path / "settings.toml") == settings


def test_an_override_takes_the_place_of_what_it_excludes(tmp_path):
    (tmp_path / "a.toml").write_text('task = "sentiment"\nmodel = "lstm"\nepochs = 3\nwarmup = 0.1\n')
    settings = FinetuneSettings.from_toml(
        tmp_path / "a.toml", {"dataset": "d.csv", "output": "o", "max_steps": 5, "warmup_steps": 2}
    )
    assert (settings.max_steps, settings.epochs, settings.warmup_steps, settings.warmup) == (5, None, 2, None)


def test_overrides_go_on_top_of_the_file_and_hyphens_may_be_written(tmp_path):
    (tmp_path / "a.toml").write_text('task = "sentiment"\nmodel = "lstm"\nbatch-size = 4\nseed = 1\n')
    settings = FinetuneSettings.from_toml(tmp_path / "a.toml", {"dataset": "d.csv", "output": "o", "seed": 2})
    assert (settings.batch_size, settings.seed) == (4, 2)


def test_an_unknown_name_in_the_file_suggests_the_nearest(tmp_path):
    (tmp_path / "a.toml").write_text("epoch = 3\n")
    with pytest.raises(UnknownNameError, match=r"unknown setting 'epoch'; did you mean epochs.* stands in a.toml"):
        FinetuneSettings.from_toml(tmp_path / "a.toml", GIVEN)


@pytest.mark.parametrize("content", ["epochs = ", None])
def test_a_file_that_is_no_toml_or_not_there_is_an_error(tmp_path, content):
    if content:
        (tmp_path / "a.toml").write_text(content)
    with pytest.raises(UsageError, match=r"a.toml (is not TOML|cannot be read)"):
        FinetuneSettings.from_toml(tmp_path / "a.toml", GIVEN)


def test_what_the_model_decides_is_filled_in_only_where_nothing_was_given():
    settings = FinetuneSettings(**GIVEN, learning_rate=0.5, warmup_steps=3, max_steps=10)
    resolved = settings.resolved({"batch_size": 64, "learning_rate": 1e-3}, pretrained=False)
    assert (resolved.learning_rate, resolved.batch_size, resolved.weight_decay) == (0.5, 64, 0.01)
    assert resolved.epochs is None and resolved.warmup is None and resolved.max_length == 256
    assert settings.resolved({}, pretrained=True).max_length is None


def test_a_family_may_average_its_weights_unless_told_not_to():
    asked, given = FinetuneSettings(**GIVEN), FinetuneSettings(**GIVEN, ema=0.0)
    assert asked.resolved({"ema": 0.9}, pretrained=False).ema == 0.9
    assert given.resolved({"ema": 0.9}, pretrained=False).ema == 0.0
    assert asked.resolved({}, pretrained=False).ema == asked.resolved({}, pretrained=True).ema == 0.0
    with pytest.raises(UsageError, match="--ema 1 must be at least 0 and below 1"):
        FinetuneSettings(**GIVEN, ema=1)


def test_changed_names_what_differs_from_the_defaults():
    assert FinetuneSettings(**GIVEN, epochs=2, clip=1.0, columns={"text": "a"}).changed() == ("columns", "epochs")


def test_every_setting_has_help_and_a_type_that_the_command_line_knows():
    fields = dataclasses.fields(FinetuneSettings)
    assert len(fields) > 50
    for item in fields:
        assert len(item.metadata["help"]) > 10, item.name


def test_settings_import_nothing_heavy():
    heavy = "{'torch', 'transformers', 'datasets', 'numpy'}"
    code = f"import sys, quintet.finetune.settings; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
