import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from quintet.cards.facts import EvaluationFacts, MetricFact, RunFacts, SplitFacts, read_facts, write_facts
from quintet.finetune import evaluation_record
from quintet.finetune.data import load_data
from quintet.finetune.evaluation import evaluate
from quintet.finetune.label_answers import measure_probabilities
from quintet.finetune.measuring import Conditions, evaluation_facts
from quintet.finetune.training_keys import TrainingKeys
from quintet.pipelines import checkpoint_sources
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task
from sklearn import metrics as sklearn_metrics
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

WORDS = ["good", "bad", "film", "meal", "a", "the", "not", "very"]


def save_checkpoint(folder, labels=("negative", "positive"), problem_type=None, seed=0) -> None:
    """A random BERT of 810 weights, large ones, so that answers differ."""
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=16, **special).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=16, id2label=dict(enumerate(labels)), problem_type=problem_type,
        label2id={label: index for index, label in enumerate(labels)}, initializer_range=1.0,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "tiny"
    save_checkpoint(folder)
    return folder


def texts(count: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [f"{' '.join(generator.choice(WORDS, 5))} {index}" for index in range(count)]


def rows(count: int = 40, labels=("negative", "positive"), seed: int = 0) -> list[dict]:
    return [{"text": text, "label": labels[index % len(labels)]} for index, text in enumerate(texts(count, seed))]


def write_csv(path, data) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(data[0]))
        writer.writeheader()
        writer.writerows(data)


def reference_probabilities(folder, inputs: list[str]) -> np.ndarray:
    """Softmax of plain transformers, one text at a time; (rows, classes)."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in inputs]
    return torch.stack(logits).softmax(-1).numpy()


def test_metrics_are_those_of_plain_transformers_and_scikit_learn(checkpoint):
    data = rows()
    facts = evaluate(checkpoint, dataset=data, bootstrap=50)
    probabilities = reference_probabilities(checkpoint, [row["text"] for row in data])
    labels = np.array([["negative", "positive"].index(row["label"]) for row in data])
    predicted = probabilities.argmax(1)
    assert 0 < predicted.sum() < len(data)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "macro_f1": sklearn_metrics.f1_score(labels, predicted, average="macro"),
        "auroc": sklearn_metrics.roc_auc_score(labels, probabilities[:, 1]),
        "log_loss": sklearn_metrics.log_loss(labels, probabilities),
    }
    for name, value in expected.items():
        assert facts.metric(name).value == pytest.approx(value, abs=1e-5), name
        assert facts.metric(name).low <= facts.metric(name).high
    assert facts.confusion == tuple(map(tuple, sklearn_metrics.confusion_matrix(labels, predicted).tolist()))
    assert (facts.count, facts.labels, facts.problem_type) == (
        40,
        ("negative", "positive"),
        "single_label_classification",
    )
    worst = facts.mistakes[0]
    assert worst.confidence == pytest.approx(probabilities.max(1)[predicted != labels].max(), abs=1e-5)
    assert worst.text == data[worst.row - 1]["text"]
    assert len(facts.mistakes) == min(20, int((predicted != labels).sum()))


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_rows_in_another_order_are_measured_alike(checkpoint, seed):
    data = rows()
    data += [data[3], data[3], {**data[5], "label": "positive"}]  # a row thrice, and a text with both labels
    order = np.random.default_rng(seed).permutation(len(data))
    shuffled = [data[index] for index in order]
    facts, other = (evaluate(checkpoint, dataset=each, bootstrap=50) for each in (data, shuffled))
    assert facts.protocol["rows"] == other.protocol["rows"] == "by content"
    assert (facts.metrics, facts.per_class, facts.baselines) == (other.metrics, other.per_class, other.baselines)
    assert [mistake.text for mistake in facts.mistakes] == [mistake.text for mistake in other.mistakes]
    for given, found in ((data, facts), (shuffled, other)):  # and mistakes are numbered as they stand
        assert len(found.mistakes) > 3
        assert [given[mistake.row - 1]["text"] for mistake in found.mistakes] == [one.text for one in found.mistakes]


def test_facts_pictures_and_mistakes_are_kept_beside_the_checkpoint(checkpoint, tmp_path):
    write_csv(tmp_path / "test.csv", rows())
    facts = evaluate(checkpoint, dataset=tmp_path / "test.csv", bootstrap=20)
    kept = read_facts(checkpoint)
    assert kept.evaluations == (facts,)
    assert (kept.checkpoint_name, kept.family, kept.labels) == ("tiny", "bert", ("negative", "positive"))
    assert kept.parameters == sum(
        p.numel() for p in BertForSequenceClassification.from_pretrained(checkpoint).parameters()
    )
    assert len(kept.weights_sha256) == 64
    assert facts.weights_sha256 == kept.weights_sha256
    assert (facts.data_name, facts.split, facts.checkpoint) == ("test.csv", "test", "tiny")
    assert facts.command == "quintet evaluate tiny --dataset test.csv --bootstrap 20"
    assert str(tmp_path) not in (checkpoint / "run.json").read_text()
    folder = checkpoint / "evaluation" / "test-test"
    assert sorted(file.name for file in folder.iterdir()) == ["confusion.png", "mistakes.jsonl", "reliability.png"]
    assert Image.open(folder / "confusion.png").width > 300
    lines = [json.loads(line) for line in (folder / "mistakes.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == [mistake.row for mistake in facts.mistakes]


def test_the_same_rows_replace_their_evaluation_and_others_are_added(checkpoint):
    evaluate(checkpoint, dataset=rows(), bootstrap=0)
    evaluate(checkpoint, dataset=rows(seed=1), bootstrap=0)
    again = evaluate(checkpoint, dataset=rows(), bootstrap=5)
    kept = read_facts(checkpoint).evaluations
    assert [evaluation.protocol["bootstrap"] for evaluation in kept] == [5, 0]
    assert kept[0] == again


def test_output_takes_everything_and_a_folder_that_is_not_writable_is_left_alone(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation_record.os, "access", lambda path, mode: False)
    facts = evaluate(checkpoint, dataset=rows(), output=tmp_path / "new" / "report", bootstrap=0)
    assert not (checkpoint / "run.json").exists()
    assert not (checkpoint / "evaluation").exists()
    written = json.loads((tmp_path / "new/report/evaluation.json").read_text())
    assert written["metrics"][0]["value"] == facts.metrics[0].value
    assert (tmp_path / "new/report/confusion.png").exists()


def test_a_read_only_file_system_does_not_lose_the_numbers(checkpoint, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(evaluation_record, "write_facts", refuse)
    assert evaluate(checkpoint, dataset=rows(), bootstrap=0).count == 40


def test_an_output_that_cannot_be_written_is_said(checkpoint, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--output 'report' cannot be written to"):
        evaluate(checkpoint, dataset=rows(), output=tmp_path / "file" / "report", bootstrap=0)


def test_labels_that_the_checkpoint_does_not_have_need_a_map(checkpoint):
    data = rows(labels=(0, 1))
    with pytest.raises(DataError, match="--label-map 0=negative,1=positive"):
        evaluate(checkpoint, dataset=data)
    mapped = evaluate(checkpoint, dataset=data, label_map="0=negative,1=positive", bootstrap=0)
    named = evaluate(checkpoint, dataset=rows(), bootstrap=0)
    # rows are measured in the order of their contents, labels included, so the batches are others
    values = {metric.name: metric.value for metric in named.metrics}
    assert {metric.name: metric.value for metric in mapped.metrics} == pytest.approx(values, abs=1e-6)
    assert mapped.protocol["label_map"] == {"0": "negative", "1": "positive"}
    assert "--label-map 0=negative,1=positive" in mapped.command


def test_the_split_is_test_then_validation_and_can_be_named_or_sliced(checkpoint):
    splits = {"train": rows(10, seed=1), "validation": rows(20, seed=2), "test": rows(30, seed=3)}
    assert evaluate(checkpoint, dataset=splits, bootstrap=0).count == 30
    del splits["test"]
    chosen = evaluate(checkpoint, dataset=splits, bootstrap=0)
    assert (chosen.split, chosen.count) == ("validation", 20)
    sliced = evaluate(checkpoint, dataset=splits, split="train[:4]", bootstrap=0)
    assert (sliced.split, sliced.count) == ("train[:4]", 4)
    with pytest.raises(
        DataError, match=r"--split 'dev2' is not in .* \(found: train, validation\); choose one of these"
    ):
        evaluate(checkpoint, dataset=splits, split="dev2")
    with pytest.raises(DataError, match=r"one, two.* --split one"):
        evaluate(checkpoint, dataset={"one": rows(4), "two": rows(4)})


def trained_on(checkpoint, data, **settings) -> None:
    """Writes facts as training on ``data`` would."""
    loaded = load_data(data, task=find_task("sentiment"), **settings)
    run = RunFacts(
        task="text-classification", checkpoint_name="tiny", settings=settings, seed=0, data=loaded.report.facts()
    )
    write_facts(run, checkpoint)
    TrainingKeys.of(loaded.text_keys["train"]).write(checkpoint)


def test_the_same_file_as_in_training_means_the_rows_carved_out_of_it(checkpoint, tmp_path):
    write_csv(tmp_path / "reviews.csv", rows(60))
    file = str(tmp_path / "reviews.csv")
    trained_on(checkpoint, file, validation_fraction=0.2)
    facts = evaluate(checkpoint, dataset=file, bootstrap=0)
    (validation,) = [split for split in read_facts(checkpoint).data.splits if split.name == "validation"]
    assert (facts.split, facts.count, facts.fingerprint) == ("validation", 12, validation.fingerprint)
    assert facts.baselines[0].description.endswith("the most frequent label of the training split")
    assert evaluate(checkpoint, dataset=file, split="validation", limit=5, bootstrap=0).count == 5


def test_a_file_of_which_a_part_was_trained_on_is_cut_as_it_was(checkpoint, tmp_path):
    write_csv(tmp_path / "reviews.csv", rows(200))
    file = str(tmp_path / "reviews.csv")
    trained_on(checkpoint, file, validation_fraction=0.2, max_rows=30)
    (validation,) = [split for split in read_facts(checkpoint).data.splits if split.name == "validation"]
    facts = evaluate(checkpoint, dataset=file, bootstrap=0)
    assert (facts.split, facts.count, facts.fingerprint) == ("validation", 30, validation.fingerprint)
    assert evaluate(checkpoint, dataset=file, limit=10, bootstrap=0).count == 10
    assert evaluate(checkpoint, dataset=file, limit=100, bootstrap=0).count == 30


@pytest.mark.parametrize("given", ["{}/data", "{}/data/", "."])
def test_a_folder_with_one_file_is_recognised_as_the_file_is(checkpoint, tmp_path, monkeypatch, given):
    (tmp_path / "data").mkdir()
    write_csv(tmp_path / "data" / "reviews.csv", rows(60))
    monkeypatch.chdir(tmp_path / "data")
    folder = given.format(tmp_path)
    trained_on(checkpoint, folder, validation_fraction=0.2)
    assert read_facts(checkpoint).data.name == "data"
    facts = evaluate(checkpoint, dataset=folder, bootstrap=0)
    assert (facts.split, facts.count) == ("validation", 12)


def test_rows_that_were_trained_on_are_refused_unless_insisted_on(checkpoint, tmp_path):
    data = rows(60)
    write_csv(tmp_path / "reviews.csv", data)
    write_csv(tmp_path / "renamed.csv", data)
    file = str(tmp_path / "reviews.csv")
    trained_on(checkpoint, file, validation_fraction=0)
    with pytest.raises(
        UsageError, match=r"trained on 60 of the 60 rows .* never evaluated on training rows.*--allow-training"
    ):
        evaluate(checkpoint, dataset=str(tmp_path / "renamed.csv"))
    with pytest.raises(UsageError, match="trained on 10 of the 10 rows of split train\\[:10\\]"):
        evaluate(checkpoint, dataset=file, split="train[:10]")
    with pytest.warns(UserWarning, match="10 of the 10 rows have texts"):
        facts = evaluate(checkpoint, dataset=file, split="train[:10]", allow_training_rows=True, bootstrap=0)
    assert facts.count == 10
    assert facts.training_rows == 10
    assert read_facts(checkpoint).evaluations == ()


def test_a_part_of_the_training_rows_in_another_file_is_recognised(checkpoint, tmp_path):
    trained_on(checkpoint, rows(60), validation_fraction=0)
    part = [row | {"text": row["text"].upper() + " "} for row in rows(60)[20:30]]
    with pytest.raises(UsageError, match=r"trained on 10 of the 13 rows of split test of rows given"):
        evaluate(checkpoint, dataset=[*part, *rows(3, seed=1)])
    note = "10 of the 13 rows have texts that the checkpoint was trained on, so run.json does not keep these numbers"
    with pytest.warns(UserWarning, match=note):
        facts = evaluate(checkpoint, dataset=[*part, *rows(3, seed=1)], allow_training_rows=True, bootstrap=0)
    assert facts.training_rows == 10 and note in facts.notes
    assert read_facts(checkpoint).evaluations == ()


def test_a_few_training_rows_are_counted_and_said_and_the_numbers_kept(checkpoint, tmp_path):
    trained_on(checkpoint, rows(60), validation_fraction=0)
    mixed = [*rows(60)[:3], *rows(20, seed=1)]
    note = "3 of the 23 rows have texts that the checkpoint was trained on, so the metrics may be too high"
    with pytest.warns(UserWarning, match=note):
        facts = evaluate(checkpoint, dataset=mixed, output=tmp_path / "report", bootstrap=0)
    assert facts.training_rows == 3 and note in facts.notes
    assert read_facts(checkpoint).evaluations == (facts,)
    assert json.loads((tmp_path / "report/evaluation.json").read_text())["training_rows"] == 3
    assert evaluate(checkpoint, dataset=rows(20, seed=1), bootstrap=0).training_rows == 0


def test_where_nobody_recorded_the_training_texts_their_number_is_not_known(checkpoint):
    assert evaluate(checkpoint, dataset=rows(), bootstrap=0).training_rows is None


def test_many_training_texts_give_an_estimate_that_says_so(checkpoint, monkeypatch):
    monkeypatch.setattr("quintet.finetune.training_keys.MOST_KEYS", 30)
    trained_on(checkpoint, rows(60), validation_fraction=0)
    with pytest.raises(UsageError, match="trained on about 40 of the 40 rows"):
        evaluate(checkpoint, dataset=rows(60)[:40])


def test_long_texts_are_read_in_windows_and_counted(checkpoint):
    data = [*rows(4), {"text": "good film " * 40, "label": "positive"}]
    facts = evaluate(checkpoint, dataset=data, bootstrap=0)
    assert "1 of 5 rows were longer than the model takes and were read in windows" in facts.notes


def test_pairs_are_answered_as_pairs(checkpoint):
    data = [row | {"text_pair": other["text"]} for row, other in zip(rows(), rows(seed=5), strict=True)]
    paired, single = evaluate(checkpoint, dataset=data, bootstrap=0), evaluate(checkpoint, dataset=rows(), bootstrap=0)
    assert paired.metric("log_loss").value != single.metric("log_loss").value
    assert paired.mistakes[0].text_pair is not None


def test_multi_label_and_regression(tmp_path):
    save_checkpoint(tmp_path / "multi", labels=("joy", "anger", "fear"), problem_type="multi_label_classification")
    data = [
        {"text": text, "label": [["joy"], ["fear", "joy"], ["anger"]][index % 3]}
        for index, text in enumerate(texts(30))
    ]
    facts = evaluate(tmp_path / "multi", dataset=data, bootstrap=10)
    assert facts.metrics[0].name == "micro_f1"
    assert [row.count for row in facts.per_class] == [20, 10, 10]
    assert facts.confusion is None
    save_checkpoint(tmp_path / "number", labels=("score",), problem_type="regression")
    numbers = [{"text": text, "label": index % 5} for index, text in enumerate(texts(30))]
    facts = evaluate(tmp_path / "number", dataset=numbers, bootstrap=10)
    assert [metric.name for metric in facts.metrics] == ["mse", "mae", "r2", "pearson", "spearman"]
    assert facts.labels == ()


def test_progress_is_told_and_results_repeat(checkpoint):
    seen = []
    first = evaluate(checkpoint, dataset=rows(), bootstrap=20, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 40) for done in range(1, 41)]
    again = evaluate(checkpoint, dataset=rows(), bootstrap=20, batch_size=3)
    assert again.confusion == first.confusion
    for one, other in zip(first.metrics, again.metrics, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": []}, DataError, "empty"),
        ({"dataset": rows(4), "limit": 0}, UsageError, "--limit is 0, expected 1 row or more"),
        ({"dataset": rows(4), "bootstrap": -1}, UsageError, "--bootstrap is -1, expected 0 to 100,000 resamples"),
        ({"dataset": rows(4), "bootstrap": 100_001}, UsageError, "--bootstrap is 100001, expected 0 to 100,000"),
        ({"dataset": rows(4), "label_map": "0"}, UsageError, "--label-map '0' expected name=name pairs"),
        ({"dataset": [{"text": "a"}]}, DataError, "no column 'label'"),
    ],
)
def test_wrong_use_is_said_in_words(checkpoint, arguments, error, message):
    with pytest.raises(error, match=message):
        evaluate(checkpoint, **arguments)


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """Two checkpoints that the package would ship, English and Chinese, as the default of the task."""
    monkeypatch.setattr(checkpoint_sources, "EMBEDDED_FOLDER", tmp_path / "embedded")
    monkeypatch.setattr(evaluation_record, "EMBEDDED_FOLDER", tmp_path / "embedded")
    for seed, name in enumerate(("sentiment-en", "sentiment-zh")):
        save_checkpoint(tmp_path / "embedded" / name, seed=seed)
    return tmp_path / "embedded"


def test_the_default_of_a_task_is_evaluated_with_all_its_checkpoints(embedded, tmp_path):
    data = [*rows(10), {"text": "房间很干净", "label": "positive"}]
    facts = evaluate("sentiment", dataset=data, output=tmp_path / "report", bootstrap=0)
    assert facts.checkpoint == "sentiment-en+sentiment-zh"
    assert list(facts.protocol["weights_sha256"]) == ["sentiment-en", "sentiment-zh"]
    assert facts.weights_sha256 is None
    assert facts.command.startswith("quintet evaluate sentiment --dataset")
    chinese = evaluate("sentiment-zh", dataset=data[-1:], bootstrap=0)
    assert chinese.weights_sha256 == facts.protocol["weights_sha256"]["sentiment-zh"]
    assert sorted(file.name for file in embedded.rglob("*") if file.name in ("run.json", "evaluation")) == []
    assert (tmp_path / "report" / "evaluation.json").exists()


def test_facts_that_cannot_be_read_stop_before_anything_is_written(checkpoint):
    (checkpoint / "run.json").write_text('{"schema": 1, "tusk": 1}')
    with pytest.raises(
        DataError, match=r"checkpoint 'tiny': run.json \(schema 1\): unknown key 'tusk'; did you mean 'task'"
    ):
        evaluate(checkpoint, dataset=rows(4))


def test_an_evaluation_takes_the_place_of_one_of_the_same_rows():
    def evaluation(fingerprint, value):
        metric = MetricFact("accuracy", value)
        return EvaluationFacts(split="test", count=1, data_name="d", fingerprint=fingerprint, metrics=(metric,))

    run = RunFacts(task="t", checkpoint_name="c")
    for fingerprint, value in (("a", 0.1), ("b", 0.2), ("a", 0.3)):
        run = evaluation_record.with_evaluation(run, evaluation(fingerprint, value))
    assert run == replace(run, evaluations=(evaluation("a", 0.3), evaluation("b", 0.2)))


def test_outputs_are_measured_without_a_pipeline():
    split = SplitFacts(name="validation", rows=2, fingerprint="ab")
    conditions = Conditions(
        labels=("no", "yes"),
        problem_type="single_label_classification",
        training=SplitFacts(name="train", rows=9, fingerprint="cd", label_histogram={"no": 2, "yes": 7}),
        bootstrap=10,
    )
    measured = measure_probabilities(np.array([[0.9, 0.1], [0.8, 0.2]]), [0, 1], conditions, ["fine", "bad"])
    facts = evaluation_facts(
        measured, conditions, split, data_name="reviews.csv", protocol={"dtype": "bfloat16"}, checkpoint="tiny"
    )
    assert (facts.split, facts.fingerprint, facts.data_name, facts.checkpoint) == (
        "validation",
        "ab",
        "reviews.csv",
        "tiny",
    )
    assert facts.metric("accuracy").value == 0.5
    assert facts.baselines[0].metrics[0].value == 0.5
    assert facts.mistakes[0].text == "bad"
    assert facts.tolerance == 1e-2
    assert facts.versions["numpy"] == np.__version__
    with pytest.raises(DataError, match="the split has no rows"):
        measure_probabilities(np.zeros((0, 2)), [], conditions, [])


def test_folders_are_named_after_data_and_split():
    assert evaluation_record.folder_name("reviews.csv", "train[:20%]") == "reviews-train-20"
    assert evaluation_record.folder_name("me/data", "validation_matched") == "me-data-validation_matched"
    assert evaluation_record.folder_name("../up", "../up") == "up"
