"""Training from end to end: what is written, what is refused, and that the numbers are those of the files."""

import json
import re

import numpy as np
import pytest
import torch
from quintet.cards.facts import read_facts
from quintet.finetune import finetune
from quintet.finetune.step_log import read_log
from quintet.pipelines.errors import TrainingError, UnknownNameError, UsageError

FILES = {
    "config.json",
    "confusion.png",
    "curves.png",
    "log.jsonl",
    "model.safetensors",
    "run.json",
    "settings.toml",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_keys.npz",
}


def test_a_family_is_trained_to_a_checkpoint_with_its_facts(reviews, tiny, tmp_path):
    output = tmp_path / "out"
    facts = finetune("sentiment", dataset=reviews, output=output, **tiny, test_fraction=0.2, validation_fraction=0.2)
    files = {path.name for path in output.iterdir()}
    assert files >= FILES and not any(path.is_dir() for path in output.iterdir())
    assert files - FILES <= {path.name for path in output.glob("*.py")}  # the model's code, for plain transformers
    assert [evaluation.split for evaluation in facts.evaluations] == ["validation", "test"]
    assert facts.training.steps == len(list(read_log(output))) == 2 * -(-facts.data.split("train").rows // 16)
    assert (facts.family, facts.base_model, facts.labels) == ("textcnn", None, ("bad", "good"))
    assert facts.settings["batch_size"] == 16 and facts.settings["weight_decay"] == 0.01
    assert facts.command == (
        "quintet finetune sentiment --model textcnn --dataset reviews.csv --validation-fraction 0.2 "
        "--test-fraction 0.2 --model-args embedding_size=8,filters=4,kernel_sizes=2-3,dropout=0.1 --epochs 2 "
        "--batch-size 16 --learning-rate 0.01 --device cpu --output out"
    )


def test_the_training_loss_is_the_mean_over_the_rows_of_the_last_epoch(reviews, tiny, tmp_path):
    facts = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **{**tiny, "batch_size": 64})
    last = [line for line in read_log(tmp_path / "out") if line["epoch"] == 2]
    rows = [line["rows"] for line in last]
    assert min(rows) < max(rows) == 64
    expected = np.average([line["loss"] for line in last], weights=rows)
    assert facts.training.train_loss == pytest.approx(expected, rel=1e-12)
    assert abs(expected - np.mean([line["loss"] for line in last])) > 1e-6


def test_the_facts_are_those_of_the_exported_weights(reviews, tiny, tmp_path):
    from quintet.finetune import evaluate

    facts = finetune(
        "sentiment", dataset=reviews, output=tmp_path / "out", **tiny, test_fraction=0.5, export_dtype="float16"
    )
    again = evaluate(tmp_path / "out", dataset=reviews, device="cpu")
    trained = facts.evaluations[1]
    assert (again.split, again.count, again.fingerprint) == (trained.split, trained.count, trained.fingerprint)
    assert trained.count > 50 and len(trained.metrics) >= 5
    for metric in trained.metrics:
        assert again.metric(metric.name).value == pytest.approx(metric.value, abs=1e-6)
    assert again.weights_sha256 == facts.weights_sha256
    assert again.training_rows == trained.training_rows is not None


def test_no_local_path_gets_into_the_output(reviews, tiny, tmp_path):
    output = tmp_path / "out"
    finetune("sentiment", dataset=reviews, output=output, **tiny)
    texts = [path for path in output.iterdir() if path.suffix in (".json", ".jsonl", ".toml", ".py")]
    assert len(texts) >= 6
    for path in texts:
        assert str(tmp_path) not in path.read_text(encoding="utf-8"), path.name


def test_the_same_command_gives_the_same_weights(reviews, tiny, tmp_path):
    hashes = [
        finetune("sentiment", dataset=reviews, output=tmp_path / name, **tiny, seed=seed).weights_sha256
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_checkpoint_is_fine_tuned_with_a_new_head(reviews, tiny, tiny_bert, tmp_path):
    from quintet import pipeline

    given = {**tiny, "model": str(tiny_bert), "model_args": {}, "max_length": 16}
    facts = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **given)
    assert (facts.family, facts.base_model, facts.max_length) == ("bert", "tiny-bert", 16)
    answer = pipeline("sentiment", model=str(tmp_path / "out"))("a lovely warm film")
    assert answer[0]["label"] in ("good", "bad")


def test_freezing_changes_the_head_and_nothing_else(reviews, tiny, tiny_bert, tmp_path):
    from safetensors.torch import load_file

    given = {**tiny, "model": str(tiny_bert), "model_args": {}, "freeze": True}
    facts = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **given)
    before, after = load_file(tiny_bert / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert facts.trainable_parameters == 16 * 2 + 2
    compared = 0
    for name, weight in before.items():
        assert torch.equal(after[f"bert.{name}"], weight), name
        compared += 1
    assert compared > 20


def test_low_rank_additions_are_merged_and_kept_for_peft(reviews, tiny, tiny_bert, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification

    given = {**tiny, "model": str(tiny_bert), "model_args": {}, "lora": True, "keep_adapter": True, "calibrate": False}
    facts = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **given)
    assert facts.trainable_parameters < 0.7 * facts.parameters
    merged = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    base = AutoModelForSequenceClassification.from_pretrained(tiny_bert, num_labels=2)
    adapted = PeftModel.from_pretrained(base, tmp_path / "out" / "adapter").eval()
    ids = torch.arange(5, 15).reshape(2, 5)
    with torch.no_grad():
        assert torch.allclose(merged(ids).logits, adapted(ids).logits, atol=1e-5)
    adapter = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "tiny-bert"


def test_a_teacher_is_matched_by_its_logits(reviews, tiny, tmp_path):
    finetune("sentiment", dataset=reviews, output=tmp_path / "teacher", **{**tiny, "epochs": 6, "calibrate": False})
    facts = finetune(
        "sentiment",
        dataset=reviews,
        output=tmp_path / "student",
        **tiny,
        teacher=str(tmp_path / "teacher"),
        teacher_weight=1.0,
        augment=2,
        keep_state=True,
    )
    logits = np.load(tmp_path / "student" / "state" / "teacher.npy")
    rows = facts.data.split("train").rows
    assert logits.shape == (3 * rows, 2) and np.isfinite(logits).all()
    assert facts.teacher == "teacher" and facts.training.steps == 2 * -(-3 * rows // 16)
    losses = [line["loss"] for line in read_log(tmp_path / "student")]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_a_teacher_with_other_labels_is_refused(reviews, tiny, tmp_path):
    other = [{"text": row["text"], "label": {"good": "up", "bad": "down"}[row["label"]]} for row in rows_of(reviews)]
    finetune("sentiment", dataset=other, output=tmp_path / "teacher", **tiny)
    with pytest.raises(UsageError, match=r"--teacher teacher answers with the labels down, up, .* has bad, good; they"):
        finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny, teacher=str(tmp_path / "teacher"))


def test_altered_texts_are_learned_as_the_teacher_takes_them(reviews, tiny, tmp_path):
    tiny = {**tiny, "learning_rate": 0.03, "calibrate": False}
    finetune("sentiment", dataset=reviews, output=tmp_path / "teacher", **{**tiny, "epochs": 6})
    # every label says the opposite of the teacher, who is asked about the altered texts, four in five, alone
    turned = [{"text": row["text"], "label": {"good": "bad", "bad": "good"}[row["label"]]} for row in rows_of(reviews)]
    given = {"teacher": str(tmp_path / "teacher"), "teacher_weight": 0.0, "augment": 4, "augment_by": ("mask",)}
    facts = finetune("sentiment", dataset=turned, output=tmp_path / "student", **tiny, **given)
    assert facts.evaluations[0].metric("accuracy").value < 0.3
    assert np.mean([line["accuracy"] for line in read_log(tmp_path / "student")][-10:]) > 0.6


def test_a_learning_rate_far_too_large_is_told(reviews, tiny, tmp_path):
    with pytest.warns(RuntimeWarning, match="training diverged"):
        facts = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **{**tiny, "learning_rate": 30.0})
    words = r"training diverged: the training loss was 0\.\d+ at the first step and is \d.*e\+\d+ over the last tenth; "
    assert re.match(words + "give a lower --learning-rate than 30", facts.training.notes[0])
    assert facts == read_facts(tmp_path / "out")


def test_several_labels_and_numbers_can_be_learned(reviews, tiny, tmp_path):
    rows = rows_of(reviews)
    several = [
        {"text": row["text"], "label": [row["label"], *(["long"] if len(row["text"]) > 40 else [])]} for row in rows
    ]
    facts = finetune("sentiment", dataset=several, output=tmp_path / "several", **tiny, class_weights="balanced")
    assert facts.problem_type == "multi_label_classification" and set(facts.labels) == {"bad", "good", "long"}
    assert facts.training.metric == "micro_f1"
    numbers = [{"text": row["text"], "label": float(len(row["text"])) / 10} for row in rows]
    facts = finetune("sentiment", dataset=numbers, output=tmp_path / "numbers", **{**tiny, "epochs": 4})
    assert facts.problem_type == "regression" and facts.training.metric == "mse"
    (train,) = (split for split in facts.data.splits if split.name == "train")
    assert 1 < train.label_mean < 10
    (mean,) = facts.evaluations[0].baselines
    assert mean.description == f"answers {train.label_mean:.4g}, the mean of the training split"
    measured = [line["validation"]["mse"] for line in read_log(tmp_path / "numbers") if "validation" in line]
    assert len(measured) == 4 and measured[-1] < 0.8 * measured[0]


def test_a_dry_run_tells_the_plan_and_writes_nothing(reviews, tiny, tmp_path):
    plan = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny, dry_run=True)
    assert not (tmp_path / "out").exists()
    assert plan.steps == 14 and plan.parameters == plan.trainable_parameters > 100
    assert plan.seconds_per_step > 0 and plan.state_bytes == 16 * plan.parameters
    assert plan.data.labels == ("bad", "good") and json.dumps(plan.to_json())
    assert "--dry-run" not in plan.command


def test_without_validation_the_last_weights_are_kept(reviews, tiny, tmp_path):
    facts = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny, validation_fraction=0.0)
    assert facts.training.best_step is None and facts.evaluations == () and facts.calibration is None


def test_tensorboard_gets_the_losses(reviews, tiny, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny, track=("tensorboard",))
    events = EventAccumulator(str(tmp_path / "out" / "tracking" / "quintet")).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 15))
    assert len(events.Scalars("validation/accuracy")) == 2


def rows_of(path) -> list[dict[str, str]]:
    lines = path.read_text().splitlines()[1:]
    return [dict(zip(("text", "label"), line.rsplit(",", 1), strict=True)) for line in lines]


# --- what is refused


def test_an_unknown_model_suggests_the_nearest(reviews, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown model 'lstn'; did you mean lstm"):
        finetune("sentiment", model="lstn", dataset=reviews, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_argument_is_refused_before_the_data_is_read(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown argument of model lstm 'layer'; did you mean layers"):
        finetune("sentiment", model="lstm", dataset="nowhere.csv", output=tmp_path / "out", model_args={"layer": 2})


def test_a_folder_that_is_not_empty_is_refused_before_training(reviews, tiny, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match=r"--output .*out is not empty .it has thesis.txt.; go on with --resume"):
        finetune("sentiment", dataset=reviews, output=output, **tiny)
    for flag in ("resume", "overwrite"):
        with pytest.raises(UsageError, match=r"is no training run: it has thesis.txt.* nothing was deleted"):
            finetune("sentiment", dataset=reviews, output=output, **tiny, **{flag: True})
    assert (output / "thesis.txt").read_text() == "precious"


def test_overwrite_starts_again_in_a_folder_of_ours(reviews, tiny, tmp_path):
    finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny)
    facts = finetune("sentiment", dataset=reviews, output=tmp_path / "out", **{**tiny, "epochs": 1}, overwrite=True)
    assert facts.training.epochs == 1.0 and len(list(read_log(tmp_path / "out"))) == 7


def test_a_folder_that_cannot_be_written_to_is_refused(reviews, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--output .*file/out cannot be written to \(Not a directory\)"):
        finetune("sentiment", dataset=reviews, output=tmp_path / "file" / "out", **tiny)


def test_resuming_a_finished_run_returns_its_facts_and_other_settings_are_named(reviews, tiny, tmp_path):
    output = tmp_path / "out"
    facts = finetune("sentiment", dataset=reviews, output=output, **tiny)
    assert finetune("sentiment", dataset=reviews, output=output, **tiny, resume=True, save_every="5s") == facts
    with pytest.raises(TrainingError, match="epochs was 2 and is 3, seed was 0 and is 7; give the same settings"):
        finetune("sentiment", dataset=reviews, output=output, **{**tiny, "epochs": 3}, seed=7, resume=True)


def test_resuming_an_unfinished_run_with_other_settings_or_data_names_them(reviews, tiny, tmp_path, monkeypatch):
    def fails(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("quintet.finetune.training.train", fails)
    with pytest.raises(KeyboardInterrupt):
        finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny)
    reviews.write_text(reviews.read_text() + "one more,good\n")
    with pytest.raises(TrainingError, match=r"but clip was 1.0 and is 2.0, train data was '\w+' and is '\w+'"):
        finetune("sentiment", dataset=reviews, output=tmp_path / "out", **tiny, clip=2.0, resume=True)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"device": "cuda"}, "--device cuda is not on this machine; it has: cpu"),
        ({"device": "tpu"}, "--device tpu is not on this machine"),
        ({"track": ("wandb",)}, "--track wandb needs the package wandb, which is not installed; install it with"),
        ({"metric": "acuracy"}, "unknown metric 'acuracy'; did you mean accuracy"),
    ],
)
def test_what_this_machine_or_task_does_not_have_is_refused(reviews, tiny, tmp_path, changes, words):
    with pytest.raises(UsageError, match=words):
        finetune("sentiment", dataset=reviews, output=tmp_path / "out", **{**tiny, **changes})


def test_of_equal_metrics_the_lower_loss_is_kept(tmp_path):
    rows = [{"text": f"{word} {number}", "label": word} for number in range(30) for word in ("good", "bad")]
    facts = finetune(
        "sentiment",
        model="lstm",
        dataset=rows,
        output=tmp_path / "out",
        model_args={"embedding_size": 8, "hidden_size": 8},
        learning_rate=0.01,
        epochs=6,
        batch_size=8,
    )
    assert facts.training.best_metric == 1.0
    # accuracy is perfect long before the end, and the loss goes on falling
    assert facts.training.best_step == facts.training.steps


def test_a_part_of_a_step_holds_few_scores_of_attention_on_a_cpu():
    from quintet.finetune.training import SCORES, batch_pairs
    from quintet.pipelines.models.building import build_model

    labels = {"labels": ("bad", "good"), "problem_type": "single_label_classification"}
    bert = build_model("bert-tiny", vocab_size=50, **labels)
    assert batch_pairs(bert, "cpu") == SCORES // 2
    assert batch_pairs(build_model("transformer", vocab_size=50, **labels), "cpu") == SCORES // 4
    assert batch_pairs(bert, "cuda") is None  # whose attention keeps no scores
    assert batch_pairs(build_model("lstm", vocab_size=50, **labels), "cpu") is None
