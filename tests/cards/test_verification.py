"""`quintet verify`: what is true passes; each thing changed behind its back is caught and named, with exit code 1."""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from quintet.cards.facts import EvaluationFacts, ExampleFact, UsageFact, read_facts, write_facts
from quintet.cards.render import render
from quintet.cards.snippets import snippets
from quintet.cards.verification import verify
from quintet.cli import main
from quintet.finetune.evaluation import evaluate
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.finetune.training import finetune
from quintet.pipelines import pipeline
from quintet.pipelines.errors import DataError, HubError, UsageError, WeightsError

WORDS = {"good": ["great", "lovely", "warm", "fine"], "bad": ["awful", "dull", "cold", "bland"]}
FILL = ["the", "film", "meal", "room", "was", "and", "very"]


def write_rows(path, count, start=0):
    """Made-up reviews, every fifth with the other label's word, so that no metric is 0 or 1."""
    lines = ["text,label"]
    for index in range(start, start + count):
        label, other = ("good", "bad") if index % 2 else ("bad", "good")
        word = WORDS[other if index % 5 == 0 else label][index % 4]
        fill = " ".join(FILL[(index + step) % 7] for step in range(2 + index % 6))
        lines.append(f"{fill} {word} n{index},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def with_card(folder, *, repository=None):
    """Gives a checkpoint recorded answers, a snippet that was run, and the card that its facts give."""
    facts, classify = read_facts(folder), pipeline(folder, device="cpu")
    inputs = [{"text": "the film was great"}, {"text": "a dull meal"}]
    examples = tuple(ExampleFact(each, tuple(classify(each["text"], top_k=None))) for each in inputs)
    facts = dataclasses.replace(facts, examples=examples, repository=repository)
    answers = [classify(each["text"])[0] for each in inputs]
    output = "".join(f"{answer['label']} {round(answer['score'], 4)}\n" for answer in answers)
    usages = tuple(UsageFact(library, code, output) for library, code in snippets(facts, inputs))
    facts = dataclasses.replace(facts, usages=usages)
    write_facts(facts, folder)
    (folder / "README.md").write_text(render(facts), encoding="utf-8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with reviews.csv, more.csv, and a checkpoint trained on the one and evaluated on the other."""
    folder = tmp_path_factory.mktemp("trained")
    write_rows(folder / "reviews.csv", 200)
    write_rows(folder / "more.csv", 60, start=1000)
    finetune(
        "sentiment",
        model="textcnn",
        dataset=str(folder / "reviews.csv"),
        output=folder / "reviews",
        model_args={"embedding_size": 8, "filters": 4, "kernel_sizes": "2-3", "dropout": 0.0},
        epochs=4,
        batch_size=16,
        learning_rate=0.01,
        validation_fraction=0.2,
        test_fraction=0.2,
        device="cpu",
    )
    evaluate(folder / "reviews", dataset=folder / "more.csv", device="cpu", bootstrap=200, seed=3)
    with_card(folder / "reviews")
    return folder


@pytest.fixture
def copy(trained, tmp_path):
    """A checkpoint to change."""
    return Path(shutil.copytree(trained / "reviews", tmp_path / "reviews"))


def data(trained):
    return [trained / "reviews.csv", trained / "more.csv"]


def check(report, name):
    (found,) = [each for each in report.checks if each.name == name]
    return found


def run_cli(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def edit_facts(folder, edit):
    """Changes run.json by hand, as JSON."""
    path = folder / "run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


# ------------------------------------------------------------------------------------------------- as it was made


def test_a_checkpoint_as_trained_is_verified_and_nothing_is_written(trained):
    before = digests(trained)
    report = verify(trained / "reviews", dataset=data(trained), device="cpu")
    assert report.differing == []
    assert report.is_verified
    assert digests(trained) == before
    splits = {(number.data, number.split) for number in report.numbers}
    assert splits == {("reviews.csv", "validation"), ("reviews.csv", "test"), ("more.csv", "test")}
    kinds = {number.kind for number in report.numbers}
    assert kinds == {"metric", "interval", "class", "confusion", "baseline", "count"}
    metrics = [number for number in report.numbers if number.kind == "metric"]
    assert len(metrics) >= 3 * 6
    # What chose the weights is in the text of the card, not in its index of results.
    assert all(number.card == number.recorded for number in metrics if number.split == "test")
    assert sum(number.card is not None for number in metrics) >= 2 * 6
    assert any(0 < number.recomputed < 1 for number in metrics)
    states = {each.name: each.state for each in report.checks}
    assert states == {
        "weights": "equal",
        "tokenizer": "equal",
        "configuration and code": "equal",
        "card": "equal",
        "model": "equal",
        "examples": "equal",
        "data, validation": "equal",
        "data, test": "equal",
        "usage": "not checked",  # the snippets name a repository, and this is a folder
    }


def test_the_command_prints_card_record_and_recomputation_and_ends_with_0(trained, capsys):
    arguments = ["verify", trained / "reviews", "--dataset", trained / "reviews.csv", "--dataset", trained / "more.csv"]
    code, out, _ = run_cli(capsys, *arguments, "--device", "cpu")
    assert code == 0
    assert re.search(r"reviews.csv +test +accuracy +([\d.]+) +\1 +\1 +yes", out)
    assert "equal: to within 0.0001 × max(1, |number|)" in out
    code, out, _ = run_cli(capsys, *arguments, "--device", "cpu", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["verified"] is True
    assert all(number["equal"] for number in document["numbers"])


def test_without_the_data_nothing_is_claimed_and_the_exit_code_is_1(trained, capsys):
    code, out, _ = run_cli(capsys, "verify", trained / "reviews")
    assert code == 1
    assert "data, validation: not checked: 'reviews.csv' is recorded by name and fingerprint only; say where it" in out
    assert re.search(r"reviews: 0 of \d+ numbers computed again and equal, \d+ not computed again$", out.strip())


def test_with_one_of_two_data_sets_the_other_is_not_verified(trained):
    report = verify(trained / "reviews", dataset=trained / "reviews.csv", device="cpu")
    assert report.differing == []
    assert not report.is_verified
    assert {number.data for number in report.numbers if number.is_equal is None} == {"more.csv"}


def test_a_data_set_of_another_name_is_given_by_the_recorded_one(trained, tmp_path):
    for name in ("reviews.csv", "more.csv"):
        shutil.copy(trained / name, tmp_path / f"my-{name}")
    with pytest.raises(
        UsageError, match=r"--dataset my-reviews.csv is none of .* \(reviews.csv, more.csv\); say which"
    ):
        verify(trained / "reviews", dataset=tmp_path / "my-reviews.csv", device="cpu")
    named = [f"{name}={tmp_path / f'my-{name}'}" for name in ("reviews.csv", "more.csv")]
    assert verify(trained / "reviews", dataset=named, device="cpu").is_verified
    mapping = dict(entry.split("=") for entry in named)
    assert verify(trained / "reviews", dataset=mapping, device="cpu").is_verified


@pytest.mark.parametrize(
    ("given", "sources"),
    [
        (None, {}),
        ("d/a.csv,d/b.csv", {"a.csv,b.csv": "d/a.csv,d/b.csv", "a.csv": "d/a.csv"}),
        (["d/b.csv", "d/a.csv"], {"a.csv,b.csv": "d/a.csv,d/b.csv", "a.csv": "d/a.csv"}),
        ("a.csv,b.csv=d/x,d/y", {"a.csv,b.csv": "d/x,d/y", "a.csv": "d/x"}),
        (["a.csv=d/x", "d/b.csv"], {"a.csv,b.csv": "d/x,d/b.csv", "a.csv": "d/x"}),
        (Path("d/a.csv"), {"a.csv": Path("d/a.csv")}),
        ({"a.csv": [{"text": "fine", "label": "good"}]}, {"a.csv": [{"text": "fine", "label": "good"}]}),
    ],
)
def test_data_sets_that_share_files_need_not_be_given_twice(given, sources):
    from quintet.cards.facts import DataFacts, RunFacts
    from quintet.cards.verification_data import find_sources

    def evaluated(name, kind="local"):
        data = DataFacts(name=name, kind=kind, revision="r")
        return EvaluationFacts(split="test", count=1, data_name=name, fingerprint="0" * 64, metrics=(), data=data)

    run = RunFacts(
        task="sentiment",
        checkpoint_name="both",
        evaluations=(evaluated("a.csv,b.csv"), evaluated("a.csv"), evaluated("me/rows", "hub")),
    )
    assert find_sources(given, run) == {**sources, "me/rows": "me/rows"}


def shuffled(path, folder):
    """A copy of a file of rows with the rows in another order."""
    heading, *lines = path.read_text(encoding="utf-8").splitlines()
    order = sorted(lines, key=lambda line: hashlib.sha256(line.encode()).hexdigest())
    assert order != lines
    (folder / path.name).write_text("\n".join([heading, *order]) + "\n", encoding="utf-8")
    return folder / path.name


def test_the_same_rows_in_another_order_give_the_same_numbers(trained, copy, tmp_path):
    other = [shuffled(path, tmp_path) for path in data(trained)]
    report = verify(trained / "reviews", dataset=other, device="cpu")
    assert report.differing == []
    assert report.is_verified
    assert any(number.is_end for number in report.numbers)

    def forget_order(content):  # as facts of earlier versions
        for evaluation in content["evaluations"]:
            assert evaluation["protocol"].pop("rows") == "by content"

    edit_facts(copy, forget_order)
    report = verify(copy, dataset=other, device="cpu")
    assert "order of rows, test" in report.differing
    (found,) = {each.detail for each in report.checks if each.name.startswith("order of rows")}
    assert found.startswith("only ends of intervals differ; an earlier version drew them by the positions of the rows")
    assert all(number.is_end for number in report.numbers if not number.is_equal)


@pytest.mark.parametrize(("name", "numbers"), [("lstm-shakespeare", 20), ("sentiment-en", 100), ("sentiment-zh", 100)])
def test_embedded_checkpoints_are_those_of_their_facts_and_cards(name, numbers):
    report = verify(name, device="cpu")
    assert report.differing == []
    states = {each.name: each.state for each in report.checks}
    assert [states[each] for each in ("weights", "tokenizer", "configuration and code", "card")] == ["equal"] * 4
    assert len(report.numbers) >= numbers


def test_numbers_and_pairs_are_verified_as_well(tmp_path):
    rows = ["text,text_pair,label"]
    rows += [f"{' '.join(FILL[: 1 + index % 7])},{FILL[index % 5]} n{index},{index % 7 + 0.5}" for index in range(60)]
    (tmp_path / "scores.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    finetune(
        "text-classification",
        model="textcnn",
        dataset=str(tmp_path / "scores.csv"),
        output=tmp_path / "scores",
        model_args={"embedding_size": 8, "filters": 4, "kernel_sizes": "2-3"},
        epochs=1,
        validation_fraction=0.3,
        device="cpu",
    )
    assert read_facts(tmp_path / "scores").problem_type == "regression"
    report = verify(tmp_path / "scores", dataset=tmp_path / "scores.csv", device="cpu")
    assert report.differing == []
    assert report.is_verified


# ------------------------------------------------------------------------------------------- changed by somebody


def edit_card(folder, edit):
    """Changes the front matter of the card."""
    path = folder / "README.md"
    _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    values = yaml.safe_load(front)
    edit(values["model-index"][0]["results"])
    path.write_text(f"---\n{yaml.safe_dump(values, sort_keys=False)}---\n{body}", encoding="utf-8")


def test_a_number_changed_in_the_index_of_results_is_caught(copy, trained, capsys):
    edit_card(copy, lambda results: results[0]["metrics"][0].update(value=0.99))
    datasets = ["--dataset", trained / "reviews.csv", "--dataset", trained / "more.csv"]
    code, out, err = run_cli(capsys, "verify", copy, *datasets, "--device", "cpu")
    assert code == 1
    assert re.search(r"reviews.csv +test +accuracy +0.99 +[\d.]+ +[\d.]+ +NO", out)
    assert "1 thing differs: reviews.csv, test: accuracy" in out
    code, out, err = run_cli(capsys, "verify", copy, *datasets, "--device", "cpu", "--json")
    assert code == 1
    assert "1 thing differs: reviews.csv, test: accuracy" in err
    assert [number["name"] for number in json.loads(out)["numbers"] if not number["equal"]] == ["accuracy"]


def test_a_number_changed_on_the_card_is_caught_without_the_data(copy):
    edit_card(copy, lambda results: results[0]["metrics"][0].update(value=0.99))
    assert verify(copy, device="cpu").differing == ["reviews.csv, test: accuracy"]


@pytest.mark.parametrize("value", ["high", None, True, float("nan")])
def test_a_card_value_that_is_no_number_is_caught(copy, trained, value):
    edit_card(copy, lambda results: results[1]["metrics"][0].update(value=value))
    report = verify(copy, dataset=data(trained), device="cpu")
    assert report.differing == ["more.csv, test: accuracy"]
    json.dumps(report.to_json(), allow_nan=False)


def test_a_metric_and_a_result_that_nobody_measured_are_caught(copy, trained):
    def invent(results):
        results[0]["metrics"].append({"type": "bleu", "value": 0.5, "name": "BLEU"})
        other = {"type": "imdb", "name": "IMDB", "split": "test[:10%]"}
        results.append({"task": {"type": "x"}, "dataset": other, "metrics": [{"type": "accuracy", "value": 0.97}]})

    edit_card(copy, invent)
    report = verify(copy, dataset=data(trained), device="cpu")
    assert report.differing == ["reviews.csv, test: BLEU", "IMDB, test[:10%]: accuracy"]
    assert not report.is_verified


def change_text(folder, old, new):
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_number_changed_in_the_text_of_the_card_is_caught(copy, trained):
    (cell,) = set(
        re.findall(r"^\| log loss ↓ \| ([\d.]+) \|", (copy / "README.md").read_text(encoding="utf-8"), re.M)[:1]
    )
    change_text(copy, f"| log loss ↓ | {cell} |", "| log loss ↓ | 0.0123 |")
    report = verify(copy, dataset=data(trained), device="cpu")
    assert report.differing == ["card"]
    assert re.search(
        rf"the text says '\| log loss ↓ \| 0\.0123 .*' where the facts give '\| log loss ↓ \| {cell} ",
        check(report, "card").detail,
    )


def test_a_row_added_to_the_text_of_the_card_is_caught_and_own_words_are_not(copy, trained):
    from quintet.cards.render import WORDS_START

    change_text(copy, WORDS_START, f"{WORDS_START}\nOn my own 5,000 reviews it reached 0.9876.\n")
    assert verify(copy, dataset=data(trained), device="cpu").is_verified
    change_text(copy, "| metric |", "| accuracy on everything | 0.9876 |\n| metric |")
    assert check(verify(copy, device="cpu"), "card").state == "differs"


def test_an_example_answer_changed_in_the_front_matter_is_caught(copy):
    path = copy / "README.md"
    score = re.findall(r"score: (0\.\d+)", path.read_text(encoding="utf-8"))[0]
    change_text(copy, f"score: {score}", "score: 0.9999")
    found = check(verify(copy, device="cpu"), "card")
    assert (found.state, "score: 0.9999" in found.detail) == ("differs", True)


def test_front_matter_that_is_no_yaml_is_caught(copy):
    change_text(copy, "---\n", "---\nlicense: [mit\n")
    found = check(verify(copy, device="cpu"), "card")
    assert (found.state, "front matter cannot be read" in found.detail) == ("differs", True)


def set_number(*path, value):
    """An edit of run.json that puts ``value`` at ``path``."""

    def edit(content):
        for key in path[:-1]:
            content = content[key]
        assert content[path[-1]] != value
        content[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (set_number("evaluations", 1, "metrics", 0, "value", value=0.99), "reviews.csv, test: accuracy"),
        (set_number("evaluations", 1, "metrics", 0, "low", value=0.01), "reviews.csv, test: accuracy (lower end)"),
        (set_number("evaluations", 0, "per_class", 0, "count", value=7), "reviews.csv, validation: bad: rows"),
        (set_number("evaluations", 0, "confusion", 0, 1, value=77), "reviews.csv, validation: bad taken for good"),
        (set_number("evaluations", 2, "count", value=61), "more.csv, test: rows"),
        (
            set_number("evaluations", 2, "baselines", 0, "metrics", 0, "value", value=0.1),
            "more.csv, test: majority class: accuracy",
        ),
        (set_number("evaluations", 2, "protocol", "seed", value=4), "more.csv, test: accuracy (lower end)"),
        (set_number("evaluations", 2, "metrics", 0, "level", value=0.99), "evaluation, test"),
        (set_number("evaluations", 2, "metrics", 0, "higher_is_better", value=False), "evaluation, test"),
        (set_number("evaluations", 2, "problem_type", value="regression"), "evaluation, test"),
        (set_number("evaluations", 2, "baselines", 0, "description", value="is the best there is"), "evaluation, test"),
        (
            lambda content: content["evaluations"][1]["metrics"].insert(
                0, {**content["evaluations"][1]["metrics"][0], "value": 0.99}
            ),
            "reviews.csv, test: accuracy",
        ),
        (
            lambda content: content["evaluations"][0]["per_class"].insert(0, content["evaluations"][0]["per_class"][1]),
            "reviews.csv, validation: good: rows (again)",
        ),
        (set_number("evaluations", 0, "tolerance", value=1.0), "tolerance, validation"),
        (set_number("evaluations", 0, "fingerprint", value="0" * 64), "data, validation"),
        (set_number("data", "splits", 0, "rows", value=1200), "data, validation"),
        (set_number("data", "splits", 1, "label_histogram", "bad", value=99), "data, validation"),
        (set_number("data", "leakage", "train/test", value=5), "data, test"),
        (set_number("parameters", value=10), "model"),
        (set_number("labels", value=["good", "bad"]), "model"),
        (set_number("weights_sha256", value="0" * 64), "weights"),
        (set_number("examples", 0, "outputs", 0, "score", value=0.123), "examples"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fact_changed_in_run_json_is_caught(copy, trained, edit, named):
    edit_facts(copy, edit)
    report = verify(copy, dataset=data(trained), device="cpu")
    assert named in report.differing
    assert not report.is_verified


def flip_bit(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("offset", [-4, -1], ids=["smallest bit of a number", "exponent of a number"])
def test_weights_changed_by_one_bit_are_caught(copy, trained, capsys, offset):
    flip_bit(copy / "model.safetensors", offset)
    report = verify(copy, dataset=data(trained), device="cpu")
    assert "weights" in report.differing
    assert "model.safetensors has the sha256" in check(report, "weights").detail
    code, out, _ = run_cli(capsys, "verify", copy, "--device", "cpu")
    assert code == 1
    assert "weights: differs: model.safetensors has the sha256" in out


def test_weights_that_can_no_longer_be_read_are_caught(copy, trained):
    flip_bit(copy / "model.safetensors", 12)
    report = verify(copy, dataset=data(trained), device="cpu")
    assert {"weights", "model"} <= set(report.differing)


def test_other_weights_are_caught_by_their_numbers_too(copy, trained):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    save_file({name: -tensor for name, tensor in tensors.items()}, copy / "model.safetensors", {"format": "pt"})
    report = verify(copy, dataset=data(trained), device="cpu")
    assert {"weights", "examples", "reviews.csv, test: accuracy"} <= set(report.differing)


def test_another_tokenizer_is_caught_by_its_hash_and_by_the_numbers(copy, trained):
    size = json.loads((copy / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    train_tokenizer(["quite other words in this one"], "wordlevel", size, 64).save(copy)
    report = verify(copy, dataset=data(trained), device="cpu")
    assert "tokenizer.json has the sha256" in check(report, "tokenizer").detail
    assert {"tokenizer", "examples", "reviews.csv, test: log_loss"} <= set(report.differing)
    edit_facts(copy, lambda content: content["files_sha256"].clear())
    report = verify(copy, dataset=data(trained), device="cpu")
    assert check(report, "tokenizer").state == "not checked"
    assert "reviews.csv, test: log_loss" in report.differing


def test_code_that_was_added_is_caught(copy):
    (copy / "extra.py").write_text("print('hello')\n", encoding="utf-8")
    assert "extra.py is new" in check(verify(copy, device="cpu"), "configuration and code").detail


def test_other_data_is_refused_and_the_difference_named(trained, tmp_path):
    other = write_rows(tmp_path / "reviews.csv", 210)
    report = verify(trained / "reviews", dataset=[other, trained / "more.csv"], device="cpu")
    assert "data, validation" in report.differing
    assert re.search(r"reviews.csv is not the data that was evaluated: \d+ rows instead of 40", str(report.checks))
    assert not [number for number in report.numbers if number.data == "reviews.csv" and number.recomputed is not None]
    text = (trained / "more.csv").read_text(encoding="utf-8")
    (tmp_path / "more.csv").write_text(text.replace("great", "grand").replace("grand", "great", 1), encoding="utf-8")
    report = verify(trained / "reviews", dataset=[trained / "reviews.csv", tmp_path / "more.csv"], device="cpu")
    (found,) = [each for each in report.checks if each.name == "data, test" and each.state == "differs"]
    assert found.detail.endswith("as many rows, labels and lengths, but other texts or labels")


def test_a_file_that_is_no_data_set_is_named(trained, tmp_path):
    (tmp_path / "more.csv").write_text("title\nhello\n", encoding="utf-8")
    report = verify(trained / "reviews", dataset=[trained / "reviews.csv", tmp_path / "more.csv"], device="cpu")
    (found,) = [each for each in report.checks if each.name == "data, test" and each.state == "differs"]
    assert "cannot be evaluated again: " in found.detail
    assert "more.csv" in found.detail


def test_a_larger_tolerance_is_the_readers_choice(copy, trained):
    value = read_facts(copy).evaluations[1].metrics[0].value
    edit_facts(copy, set_number("evaluations", 1, "metrics", 0, "value", value=value - 0.005))
    assert "reviews.csv, test: accuracy" in verify(copy, dataset=data(trained), device="cpu").differing
    report = verify(copy, dataset=data(trained), device="cpu", tolerance=0.01)
    assert "reviews.csv, test: accuracy" not in report.differing
    for wrong in (-1, "x", float("nan"), float("inf"), True):
        with pytest.raises(UsageError, match=f"--tolerance is {wrong!r}, expected a number of 0 or more"):
            verify(copy, tolerance=wrong)


# --------------------------------------------------------------------------------------------- nothing to verify


def test_a_checkpoint_without_facts_says_how_to_get_some(copy):
    (copy / "run.json").unlink()
    with pytest.raises(DataError, match=r"'reviews' cannot be verified: there is no run.json .* `quintet evaluate`"):
        verify(copy)


def test_facts_that_cannot_be_read_are_named(copy):
    edit_facts(copy, lambda content: content.update(evaluations=3))
    with pytest.raises(DataError, match=r"run.json \(schema 1\): 'evaluations' should be a list"):
        verify(copy)


def test_facts_without_a_single_number_are_not_verified(copy, trained):
    edit_facts(copy, lambda content: content.update(evaluations=[]))
    (copy / "README.md").unlink()
    for dataset in (None, trained / "more.csv"):
        report = verify(copy, dataset=dataset, device="cpu")
        assert report.differing == ["card"]  # there was one
        assert not report.is_verified
        assert str(report).startswith("reviews: there is no number to compute again; 1 thing differs")
        sentence = "run.json has no evaluation; measure it with `quintet evaluate`, which takes --dataset as well"
        assert check(report, "numbers").detail == sentence


def test_an_evaluation_without_a_data_set_is_not_checked(copy):
    def forget(content):
        content["data"] = None
        content["evaluations"] = content["evaluations"][:1]

    edit_facts(copy, forget)
    (copy / "README.md").unlink()
    report = verify(copy, device="cpu")
    found = check(report, "data, validation")
    assert (found.state, found.detail) == (
        "not checked",
        "run.json does not record how 'reviews.csv' was read; measure again with `quintet evaluate`",
    )
    with pytest.raises(UsageError, match=r"--dataset x.csv cannot be used: run.json does not record how the data"):
        verify(copy, dataset="x.csv", device="cpu")
    assert isinstance(read_facts(copy).evaluations[0], EvaluationFacts)


def test_a_revision_is_for_a_repository(copy):
    with pytest.raises(UsageError, match="--revision v1 is for a Hub repository, and 'reviews' is a folder here"):
        verify(copy, revision="v1")


# -------------------------------------------------------------------------------------------------- on a Hub


@pytest.fixture(scope="module")
def published(trained, tmp_path_factory):
    """A Hub with me/reviews, whose card was written for it; (server, commit)."""
    from hub_serving import serving, upload

    folder = tmp_path_factory.mktemp("hub")
    checkpoint = Path(shutil.copytree(trained / "reviews", folder / "reviews"))
    with_card(checkpoint, repository="me/reviews")
    with serving(folder / "store") as server:
        yield server, upload(server, "me/reviews", checkpoint)


@pytest.fixture
def hub(published, tmp_path, monkeypatch):
    """That Hub without faults and an empty cache, for this process and for the snippets that it starts."""
    from huggingface_hub import constants

    server = published[0]
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    server.faults.clear()
    return server


def test_a_published_checkpoint_is_verified_and_its_snippet_run_as_written(hub, published, trained):
    report = verify("me/reviews", dataset=data(trained), endpoint=hub.url, device="cpu")
    assert report.differing == []
    assert report.is_verified
    assert report.revision == published[1]
    assert "files as the Hub lists them" in check(report, "files").detail
    assert check(report, "usage, quintet").detail == "prints what the card says"
    # plain transformers needs the network's code from the repository, which nobody has asked to run
    assert "run it with --trust-remote-code" in check(report, "usage, transformers").detail


def test_all_snippets_run_when_the_code_of_the_checkpoint_is_trusted(hub, published, trained):
    report = verify(f"me/reviews@{published[1]}", endpoint=hub.url, device="cpu", trust_remote_code=True)
    assert check(report, "usage, quintet").state == "equal"
    assert check(report, "usage, transformers").state == "equal"


def test_a_card_changed_on_the_hub_is_caught_in_that_revision_only(hub, published, trained, tmp_path):
    from huggingface_hub import HfApi, hf_hub_download

    api = HfApi(endpoint=hub.url, token="t")
    path = Path(hf_hub_download("me/reviews", "README.md", endpoint=hub.url, local_dir=tmp_path / "card"))
    edit_card(path.parent, lambda results: results[0]["metrics"][0].update(value=1.0))  # of 0.95
    api.create_branch("me/reviews", branch="boast")
    api.upload_file(repo_id="me/reviews", path_or_fileobj=path, path_in_repo="README.md", revision="boast")
    report = verify("me/reviews@boast", dataset=data(trained), endpoint=hub.url, device="cpu")
    assert report.differing == ["reviews.csv, test: accuracy"]
    assert verify("me/reviews", dataset=data(trained), endpoint=hub.url, device="cpu").is_verified


@pytest.mark.parametrize("file", ["model.safetensors", "run.json", "README.md"])
def test_a_download_that_was_damaged_is_named(hub, trained, file):
    sha256 = digests(trained / "reviews")["model.safetensors"]
    path = f"/storage/{sha256}" if file == "model.safetensors" else f"/{file}$"
    hub.add_fault(path=path, method="GET", action="corrupt")
    with pytest.raises(WeightsError, match=rf"{file} of Hub repository 'me/reviews' is not what the Hub has"):
        verify("me/reviews", endpoint=hub.url, device="cpu")
    assert verify("me/reviews", endpoint=hub.url, device="cpu").differing == []


def test_a_download_over_xet_that_fails_is_told_in_one_sentence(trained, tmp_path, monkeypatch):
    pytest.importorskip("hf_xet")
    from hub_serving import point_at, serving, upload

    with serving(tmp_path / "store", xet=True) as server:
        upload(server, "me/reviews", trained / "reviews")
        point_at(server, tmp_path / "cache", monkeypatch, xet=True)
        server.add_fault(path="/v1/reconstructions", method="GET", status=403, times=1_000)
        with pytest.raises(WeightsError, match=r"checkpoint 'me/reviews' cannot be fetched from the Hub \(http.*\): "):
            verify("me/reviews", endpoint=server.url, device="cpu")


def test_a_repository_that_is_not_there_is_named(hub):
    with pytest.raises(WeightsError, match=r"has no repository 'me/nothing', or it is private"):
        verify("me/nothing", endpoint=hub.url)
    with pytest.raises(HubError, match=r"has no such revision"):
        verify("me/reviews@nowhere", endpoint=hub.url)
    with pytest.raises(UsageError, match="'me/reviews@v2' names the revision 'v2', and --revision is 'main'; leave"):
        verify("me/reviews@v2", revision="main", endpoint=hub.url)


def test_without_a_network_the_cached_files_are_verified(hub, trained, monkeypatch):
    from huggingface_hub import constants

    verify("me/reviews", endpoint=hub.url, device="cpu")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    report = verify("me/reviews", dataset=data(trained), device="cpu")
    assert check(report, "files").state == "not checked"
    assert all(number.is_equal for number in report.numbers)


def test_code_in_the_facts_is_not_run_unless_asked_for(hub, trained, tmp_path):
    from hub_serving import upload

    folder = Path(shutil.copytree(trained / "reviews", tmp_path / "reviews"))
    with_card(folder, repository="me/trap")
    facts = read_facts(folder)
    trace = tmp_path / "trace"
    trap = dataclasses.replace(facts.usages[0], code=f"open({str(trace)!r}, 'w').write('was here')\n", output="")
    facts = dataclasses.replace(facts, usages=(trap,))
    write_facts(facts, folder)
    (folder / "README.md").write_text(render(facts), encoding="utf-8")
    upload(hub, "me/trap", folder)
    report = verify("me/trap", endpoint=hub.url, device="cpu")
    assert check(report, "usage, quintet").state == "not checked"
    assert not trace.exists()
    verify("me/trap", endpoint=hub.url, device="cpu", trust_remote_code=True)
    assert trace.exists()


def test_a_snippet_that_prints_something_else_is_caught(hub, trained, tmp_path):
    from hub_serving import upload

    folder = Path(shutil.copytree(trained / "reviews", tmp_path / "reviews"))
    with_card(folder, repository="me/other")
    facts = read_facts(folder)
    boast = dataclasses.replace(facts.usages[0], output="good 1.0\nbad 1.0\n")
    facts = dataclasses.replace(facts, usages=(boast,))
    write_facts(facts, folder)
    (folder / "README.md").write_text(render(facts), encoding="utf-8")
    upload(hub, "me/other", folder)
    report = verify("me/other", endpoint=hub.url, device="cpu")
    assert report.differing == ["usage, quintet"]
    assert "the card says 'good 1.0" in check(report, "usage, quintet").detail


def test_a_data_set_of_the_hub_is_found_by_itself(hub, tmp_path):
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.url, token="t")
    api.create_repo("me/rows", repo_type="dataset")
    rows = write_rows(tmp_path / "train.csv", 120)
    api.upload_file(repo_id="me/rows", repo_type="dataset", path_or_fileobj=rows, path_in_repo="train.csv")
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "COLUMNS": "160"}

    def quintet(*arguments):
        command = [sys.executable, "-m", "quintet", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    sizes = "embedding_size=8,filters=4,kernel_sizes=2-3"
    done = quintet(
        *("finetune", "sentiment", "--model", "textcnn", "--dataset", "me/rows", "--output", "out"),
        *("--model-args", sizes, "--epochs", "1", "--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # the data set grows, and the recorded revision is still what is read
    later = write_rows(tmp_path / "later.csv", 150, start=500)
    api.upload_file(repo_id="me/rows", repo_type="dataset", path_or_fileobj=later, path_in_repo="train.csv")
    done = quintet("verify", "out", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, (document["summary"], document["checks"])
    assert document["verified"] is True
    assert len(document["numbers"]) > 20
