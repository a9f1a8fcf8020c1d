import json
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from quintet.cards.facts import (
    SCHEMA,
    BaselineFact,
    CalibrationFacts,
    ClassFact,
    DataFacts,
    EvaluationFacts,
    FactsError,
    HardwareFacts,
    MetricFact,
    MistakeFact,
    RunFacts,
    SplitFacts,
    TrainingFacts,
    UsageFact,
    from_json,
    read_facts,
    to_json,
    write_facts,
)


def full_facts() -> RunFacts:
    """Facts with something in every field."""
    split = SplitFacts(
        name="train",
        rows=3,
        fingerprint="ab12",
        rule="given",
        seed=7,
        label_histogram={"negative": 1, "差评": 2},
        length_percentiles={"50": 12.0},
        duplicates=0,
        label_mean=0.5,
    )
    data = DataFacts(
        name="reviews.csv",
        kind="local",
        revision="c0ffee",
        config="plain",
        columns={"text": "review", "label": "stars"},
        splits=(split,),
        leakage={"train/test": 1},
        rejected_rows=2,
        licence="cc-by-4.0",
    )
    hardware = HardwareFacts(cpu="Xeon", cores=2, threads=2, memory_gib=23.5, gpus=("H200",), bf16_units=True)
    evaluation = EvaluationFacts(
        split="test",
        count=3,
        data_name="reviews.csv",
        fingerprint="cd34",
        metrics=(MetricFact("accuracy", 1 / 3, 0.1, 0.6), MetricFact("ece", 0.2, higher_is_better=False)),
        checkpoint="reviews",
        weights_sha256="00ff",
        protocol={"dtype": "float32", "bootstrap": 1000, "label_map": {"0": "negative"}, "windows": True},
        labels=("negative", "差评"),
        per_class=(ClassFact("negative", 1, (MetricFact("f1", 0.5),)),),
        confusion=((1, 2), (0, 0)),
        baselines=(BaselineFact("majority class", (MetricFact("accuracy", 0.5),), "answers 'negative'"),),
        mistakes=(MistakeFact(1, "fine", "negative", "差评", 0.9, "pair"),),
        notes=("auroc is undefined",),
        data=data,
        device="cpu",
        seconds=1.5,
        hardware=hardware,
        versions={"torch": "2.13.0"},
        command="quintet evaluate reviews",
    )
    return RunFacts(
        task="text-classification",
        checkpoint_name="reviews",
        family="lstm",
        base_model="org/model",
        base_revision="c0ffee",
        teacher="org/teacher",
        problem_type="single_label_classification",
        labels=("negative", "差评"),
        parameters=1000,
        trainable_parameters=900,
        max_length=512,
        weights_sha256="00ff",
        weights_bytes=4000,
        command="quintet finetune sentiment",
        settings={"epochs": 3, "lr": 0.001, "columns": {"text": "review"}, "track": ["tensorboard"], "lora": None},
        changed_settings=("epochs",),
        seed=0,
        versions={"python": "3.11"},
        hardware=hardware,
        data=data,
        training=TrainingFacts(steps=10, epochs=1.5, metric="accuracy", best_step=5, best_metric=0.75),
        evaluations=(evaluation,),
        calibration=CalibrationFacts(temperature=1.5, ece_before=0.1, ece_after=0.05, split="validation", count=9),
        licence="mit",
        languages=("en", "zh"),
        usages=(UsageFact("quintet", "pipeline()", "[]"),),
        finished="2025-01-31",
    )


def test_facts_come_back_equal_and_their_file_is_the_same_each_time(tmp_path):
    facts = full_facts()
    write_facts(facts, tmp_path)
    first = (tmp_path / "run.json").read_bytes()
    again = read_facts(tmp_path)
    assert again == facts
    write_facts(again, tmp_path / "run.json")
    assert (tmp_path / "run.json").read_bytes() == first
    assert first.endswith(b"\n")
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
    assert "差评".encode() in first


def test_the_order_of_mappings_and_whole_numbers_do_not_change_the_file(tmp_path):
    one = replace(full_facts(), versions={"a": "1", "b": "2"})
    other = replace(full_facts(), versions={"b": "2", "a": "1"}, training=TrainingFacts(steps=10, epochs=2))
    write_facts(replace(one, training=TrainingFacts(steps=10, epochs=2.0)), tmp_path / "one.json")
    write_facts(other, tmp_path / "other.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_floats_keep_every_digit(tmp_path):
    values = [0.1 + 0.2, 1e-17, 123456789.123456789, 5e-324]
    write_facts(replace(full_facts(), settings={"values": values}), tmp_path)
    assert read_facts(tmp_path).settings["values"] == values


def test_numpy_numbers_become_numbers(tmp_path):
    metric = MetricFact("accuracy", np.float32(0.5), np.float64(0.25))  # pyright: ignore[reportArgumentType]
    assert to_json(metric)["value"] == 0.5
    assert json.dumps(to_json(SplitFacts(name="test", rows=np.int64(3), fingerprint="")))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_what_is_not_finite_is_refused_with_its_key(tmp_path, value):
    facts = replace(full_facts(), training=TrainingFacts(steps=1, epochs=1, train_loss=value))
    with pytest.raises(FactsError, match=r"the fact 'training.train_loss' is (nan|inf); .* leave it out"):
        write_facts(facts, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_nan_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": 1, "task": "t", "checkpoint_name": "c", "settings": {"lr": NaN}}')
    with pytest.raises(FactsError, match=r"run.json is not valid JSON: NaN is not a JSON number"):
        read_facts(tmp_path)


def test_values_of_another_kind_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(FactsError, match="'seed' should be an integer, it is text: 'zero'"):
        write_facts(replace(full_facts(), seed="zero"), tmp_path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(FactsError, match=r"the fact 'settings.device' is a object; facts hold text"):
        write_facts(replace(full_facts(), settings={"device": object()}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def edited(tmp_path, edit) -> str:
    data = to_json(full_facts())
    edit(data)
    (tmp_path / "run.json").write_text(json.dumps(data))
    with pytest.raises(FactsError) as caught:
        read_facts(tmp_path)
    return str(caught.value)


def test_an_unknown_key_is_named_with_file_and_schema(tmp_path):
    def edit(data):
        data["evaluations"][0]["metrics"][1]["valeu"] = 3

    message = edited(tmp_path, edit)
    assert message == "run.json (schema 1): unknown key 'evaluations[0].metrics[1].valeu'; did you mean 'value'?"


def test_a_missing_key_is_named(tmp_path):
    message = edited(tmp_path, lambda data: data["data"]["splits"][0].pop("rows"))
    assert message == "run.json (schema 1): the key 'data.splits[0].rows' is missing"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data.update(parameters="many"), "'parameters' should be an integer, it is text: 'many'"),
        (lambda data: data.update(parameters=True), "'parameters' should be an integer, it is boolean"),
        (lambda data: data.update(labels="negative"), "'labels' should be a list, it is text"),
        (lambda data: data["data"].update(kind="disk"), "'data.kind' is 'disk', expected one of 'local', 'hub'"),
        (lambda data: data.update(training=3), "'training' should be an object, it is integer"),
        (lambda data: data["training"].update(steps=None), "'training.steps' should be an integer, it is null"),
        (lambda data: data["versions"].update(torch=2), "'versions.torch' should be text, it is integer: '2'"),
    ],
)
def test_a_value_of_another_kind_names_its_key(tmp_path, edit, message):
    assert message in edited(tmp_path, edit)


def test_a_newer_layout_says_to_update(tmp_path):
    message = edited(tmp_path, lambda data: data.update(schema=SCHEMA + 1, something_new=1))
    assert "run.json has schema 2, this version reads up to schema 1; update it with" in message


def test_an_older_file_without_newer_optional_keys_is_read(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": 1, "task": "text-classification", "checkpoint_name": "old"}')
    facts = read_facts(tmp_path)
    assert (facts.checkpoint_name, facts.evaluations, facts.licence) == ("old", (), None)


def test_errors_of_the_file_itself_say_so_without_its_folder(tmp_path):
    with pytest.raises(FactsError, match=r"there is no run.json in '[^/]*'; it is written by `quintet finetune`"):
        read_facts(tmp_path)
    (tmp_path / "run.json").write_text('{"schema": 1,')
    with pytest.raises(FactsError, match=r"run.json is not valid JSON"):
        read_facts(tmp_path)
    (tmp_path / "run.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(FactsError, match=r"run.json is not valid JSON"):
        read_facts(tmp_path)
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(FactsError, match=r"run.json holds a list, not an object"):
        read_facts(tmp_path)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (
            lambda data: data.update(examples=[{"inputs": {}, "outputs": [{"score": "x"}]}]),
            "'examples[0].outputs[0].score' is 'x', expected a number",
        ),
        (
            lambda data: data.update(examples=[{"inputs": {}, "outputs": [{"label": 3}]}]),
            "'examples[0].outputs[0].label' is 3, expected text",
        ),
        (
            lambda data: data["evaluations"][0]["protocol"].update(bootstrap="x"),
            "'evaluations[0].protocol.bootstrap' is 'x', expected a whole number from 0 to 100,000",
        ),
        (
            lambda data: data["evaluations"][0]["protocol"].update(bootstrap=100_000_000),
            "'evaluations[0].protocol.bootstrap' is 100000000, expected a whole number from 0 to 100,000",
        ),
        (
            lambda data: data["evaluations"][0]["protocol"].update(seed=True),
            "'evaluations[0].protocol.seed' is True, expected a whole number from 0",
        ),
        (
            lambda data: data["evaluations"][0]["protocol"].update(limit=0),
            "'evaluations[0].protocol.limit' is 0, expected a whole number from 1, or null",
        ),
        (
            lambda data: data["evaluations"][0]["protocol"].update(label_map={"0": 1}),
            "'evaluations[0].protocol.label_map' is {'0': 1}, expected an object of texts, or null",
        ),
    ],
)
def test_values_that_cannot_be_worked_with_are_named(tmp_path, edit, sentence):
    assert edited(tmp_path, edit) == f"run.json: {sentence}"


@pytest.mark.parametrize("number", ["1e999", "9" * 30, "9" * 5000])
def test_numbers_that_no_computer_has_are_refused(tmp_path, number):
    (tmp_path / "run.json").write_text('{"schema": 1, "seed": ' + number + "}")
    with pytest.raises(FactsError, match=r"run.json is not valid JSON: .*write it again with `quintet evaluate`"):
        read_facts(tmp_path)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_facts_are_not_nested_without_end(tmp_path, depth):
    (tmp_path / "run.json").write_text('{"settings": {"a": ' + "[" * depth + "]" * depth + "}}")
    with pytest.raises(FactsError, match=r"run.json is nested too deeply to be facts; write it again with"):
        read_facts(tmp_path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_facts(full_facts(), tmp_path)
    before = (tmp_path / "run.json").read_bytes()

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_facts(replace(full_facts(), seed=99), tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_any_dataclass_of_the_same_kinds_can_be_read():
    @dataclass(frozen=True)
    class Odd:
        either: int | str
        mode: Literal["a", "b"] | None = None

    assert from_json(Odd, {"either": "x", "mode": "b"}) == Odd("x", "b")
    with pytest.raises(FactsError, match="'either' should be int or str, it is number"):
        from_json(Odd, {"either": 1.5})
