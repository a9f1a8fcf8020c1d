"""Question answering as a user has it: trained, measured, resumed, loaded in plain transformers, bad input told."""

import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import quintet
import torch
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.interruption import InterruptedTraining
from quintet.finetune.question_answering import QuestionAnsweringRecipe
from quintet.finetune.settings import FinetuneSettings
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task

TASK = find_task("question-answering")
PEOPLE = ["Jim", "Ann", "Joe", "Bob", "Eve", "Kim"]
PLACES = ["Rome", "Oslo", "Lima", "Bonn"]
BIDAF = {"word_size": 12, "byte_size": 8, "filters": 12, "hidden_size": 16, "dropout": 0}
BERT = {"hidden_size": 32, "layers": 1, "heads": 2, "feed_forward_size": 32, "dropout": 0}


def questions(count, seed=0, *, unanswerable=False):
    """Somebody lives somewhere; asked is who, or where, or what the text does not say."""
    draw, rows = random.Random(seed), []
    for number in range(count):
        person, place = draw.choice(PEOPLE), draw.choice(PLACES)
        context = f"Été {seed}{number}: {person} went to {place}, far away."
        asked, answer = draw.choice([("Who went?", person), ("Where to?", place)])
        answers = {"text": [answer], "answer_start": [context.index(answer)]}
        if unanswerable and number % 2:
            asked, answers = "And why?", {"text": [], "answer_start": []}
        rows.append({"question": f"{asked} {number}", "context": context, "answers": answers})
    return rows


def data(**options):
    return {
        "train": questions(200, **options),
        "validation": questions(40, seed=1, **options),
        "test": questions(20, seed=2, **options),
    }


def train(folder, family="bidaf", rows=None, **settings):
    arguments = BIDAF if family == "bidaf" else BERT
    options = {"epochs": 6, "batch_size": 16, "learning_rate": 1e-2, "max_length": 400 if family == "bidaf" else 48}
    if family != "bidaf":
        options["vocab_size"] = 400
    return finetune(
        "qa", model=family, dataset=rows or data(), output=folder, model_args=arguments, **{**options, **settings}
    )


def values(run, split="test"):
    (evaluation,) = [each for each in run.evaluations if each.split == split]
    return {fact.name: fact.value for fact in evaluation.metrics}, evaluation


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qa") / "where"
    return folder, train(folder)


def test_bidaf_learns_whose_place_is_asked_for(trained):
    folder, run = trained
    scores, evaluation = values(run)
    assert scores["f1"] > 80 and scores["exact_match"] > 80
    assert [rule.name for rule in evaluation.baselines] == ["first sentence", "words of the question"]
    assert all(rule.metrics[0].value < 60 for rule in evaluation.baselines)
    assert evaluation.protocol["handle_impossible_answer"] is False and evaluation.protocol["align_to_words"] is True
    found = quintet.pipeline(str(folder))(question="Where to?", context="Été 1: Ann went to Lima, far away.")
    assert (found["answer"], found["start"], found["end"]) == ("Lima", 19, 23)


def test_evaluate_computes_the_same_numbers(trained):
    folder, run = trained
    again = quintet.evaluate(folder, dataset=data(), split="test")
    recorded, _ = values(run)
    assert {fact.name: fact.value for fact in again.metrics} == pytest.approx(recorded)


def test_it_loads_in_plain_transformers_without_quintet(trained, tmp_path):
    folder, _ = trained
    question, context = "Where to?", "Été 1: Ann went to Lima, far away."
    code = f"""
import json, torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained({str(folder)!r}, trust_remote_code=True)
model = AutoModelForQuestionAnswering.from_pretrained({str(folder)!r}, trust_remote_code=True)
inputs = tokenizer({question!r}, {context!r}, return_offsets_mapping=True, return_tensors="pt")
places = inputs.pop("offset_mapping")[0]
outputs = model(**inputs)
first, last = outputs.start_logits[0].argmax(), outputs.end_logits[0].argmax()
print(json.dumps([int(places[first, 0]), int(places[last, 1])]))
"""
    (tmp_path / "quintet.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0 and done.stdout, done.stderr
    assert json.loads(done.stdout) == [19, 23]


def test_questions_without_an_answer_have_figures_of_their_own(tmp_path):
    run = train(tmp_path / "out", rows=data(unanswerable=True), epochs=1)
    scores, evaluation = values(run)
    assert {"has_answer_f1", "has_answer_exact_match", "no_answer_exact_match"} <= set(scores)
    assert evaluation.protocol["handle_impossible_answer"] is True
    rules = {rule.name: {fact.name: fact.value for fact in rule.metrics} for rule in evaluation.baselines}
    assert rules["no answer"]["no_answer_exact_match"] == 100 and rules["no answer"]["has_answer_f1"] == 0
    assert {mistake.label for mistake in evaluation.mistakes} <= {*PEOPLE, *PLACES, "no answer"}


@pytest.mark.parametrize("family", ["bidaf", "bert-tiny"])
def test_answers_and_their_absence_can_be_learned_by_heart(tmp_path, family):
    rows = {"train": questions(16, unanswerable=True), "validation": questions(8, seed=1)}
    arguments = BIDAF if family == "bidaf" else BERT
    recipe = start(rows, tmp_path, family, model_args=arguments, vocab_size=None if family == "bidaf" else 400)
    batch = recipe.collate(fetched(recipe, 16))
    optimizer = torch.optim.Adam(recipe.model.parameters(), lr=1e-2)
    for _ in range(120):
        found = recipe.loss(recipe.model, batch, "model")
        optimizer.zero_grad()
        (found.total / 16).backward()
        optimizer.step()
    pipeline = recipe.pipeline_of(recipe.model.eval())
    answers = pipeline(rows["train"], handle_impossible_answer=True)
    assert [answer["answer"] for answer in answers] == ["".join(row["answers"]["text"]) for row in rows["train"]]


def start(rows, tmp_path, family="bert-tiny", **settings):
    """A recipe before its first step."""
    settings = {"model_args": BERT, "vocab_size": 400, "max_length": 48 if family == "bert-tiny" else 400, **settings}
    given = FinetuneSettings(task="qa", model=family, dataset="memory", output="out", **settings)
    return QuestionAnsweringRecipe.start(TASK, given, load_data(rows, task=TASK), tmp_path)


def fetched(recipe, count=8):
    return recipe.features(recipe.rows.fetch(np.arange(count)))


def test_targets_are_the_answer_s_tokens_and_choices_the_context_s(tmp_path):
    recipe = start(data(), tmp_path)
    features = fetched(recipe)
    batch = recipe.collate(features)
    assert batch["input_ids"].shape == batch["choices"].shape and recipe.count(batch) == len(features) == 8
    checked = 0
    for row, ids, (first, last), choices in zip(
        questions(8), batch["input_ids"], batch["targets"], batch["choices"], strict=True
    ):
        decoded = recipe.tokenizer.decode(ids[first : last + 1].tolist()).replace("Ġ", "")
        assert decoded == row["answers"]["text"][0].lower()
        assert choices[first] and choices[last] and choices[0]  # [CLS] stands for "no answer"
        places = torch.nonzero(choices)[1:, 0]
        assert bool((batch["token_type_ids"][checked, places] == 1).all())  # nothing of the question
        assert len(places) == int(batch["token_type_ids"][checked].sum()) - 1  # all of the context but [SEP]
        checked += 1
    assert checked == 8


def test_a_long_context_weighs_no_more_than_a_short_one_and_one_step_lowers_the_loss(tmp_path):
    rows = data()
    for row in rows["train"][::2]:
        row["context"] += " Nobody knows." * 60
    recipe = start(rows, tmp_path)
    features = fetched(recipe)
    assert [len(sample["windows"]) for sample in features] == [2, 1] * 4
    batch = recipe.collate(features)
    assert len(batch["targets"]) == 12 and recipe.count(batch) == 8
    assert batch["shares"].tolist() == [0.5, 0.5, 1.0] * 4
    optimizer = torch.optim.SGD(recipe.model.parameters(), lr=0.05)
    losses = []
    for _ in range(5):
        found = recipe.loss(recipe.model, batch, "model")
        losses.append(found.total.item() / 8)
        (found.total / 8).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0]
    recipe.model.eval()
    alone = sum(recipe.loss(recipe.model, recipe.collate([one]), "model").total.item() for one in features)
    together = recipe.loss(recipe.model, batch, "model").total.item()
    assert together == pytest.approx(alone, rel=1e-4)


def test_the_loss_on_validation_is_that_of_training(tmp_path):
    rows = data(unanswerable=True)
    rows["validation"] = rows["train"][:8]
    recipe = start(rows, tmp_path)
    recipe.model.eval()
    batch = recipe.collate(fetched(recipe))
    with torch.inference_mode():
        expected = float(recipe.loss(recipe.model, batch, "model").total) / 8
    assert recipe.evaluate(recipe.model, 0, 1)["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_resumed_run_gives_the_same_weights(tmp_path, monkeypatch):
    settings = {"family": "bert-tiny", "rows": data(), "epochs": 2}
    whole = train(tmp_path / "whole", **settings)
    loss, calls = QuestionAnsweringRecipe.loss, []

    def stopped(*given):
        calls.append(1)
        if len(calls) == 17:
            os.kill(os.getpid(), signal.SIGTERM)
        return loss(*given)

    monkeypatch.setattr(QuestionAnsweringRecipe, "loss", stopped)
    with pytest.raises(InterruptedTraining, match="after step 17"):
        train(tmp_path / "part", **settings)
    again = train(tmp_path / "part", **settings, resume=True)
    assert again.weights_sha256 == whole.weights_sha256
    assert again.training.best_step == whole.training.best_step


def test_bad_rows_are_told_by_their_words(tmp_path):
    def told(row, words):
        with pytest.raises(DataError, match=words):
            load_data([*questions(5), row], task=TASK)

    good = questions(1)[0]
    told(
        {**good, "answers": {"text": ["Paris"], "answer_start": [0]}},
        "row 6: column 'answers' holds the answer 'Paris', which is not in the context",
    )
    told(
        {**good, "answers": {"text": [""], "answer_start": [0]}},
        "row 6: column 'answers' holds an empty answer; of a question without an answer both lists are empty",
    )
    told({**good, "context": " "}, "row 6: column 'context' is missing or empty")
    told({**good, "question": ""}, "row 6: column 'question' is missing or empty")
    told({**good, "answers": None}, "row 6: column 'answers' is missing or empty")
    told({**good, "answers": "Rome"}, "row 6: column 'answers' holds the str Rome; expected answers as SQuAD has them")
    with pytest.raises(DataError, match=r"no column 'answers'; found: question, context"):
        load_data([{key: row[key] for key in ("question", "context")} for row in questions(5)], task=TASK)
    rows = [*questions(20), {**good, "context": "Nobody."}]
    assert load_data(rows, task=TASK, bad_rows="skip").report.rejected_rows == 1


def test_an_answer_that_stands_elsewhere_is_found(tmp_path):
    rows = data()
    for row in rows["train"]:
        row["answers"]["answer_start"] = [0]
    moved = start(rows, tmp_path / "moved")
    right = start(data(), tmp_path / "right")
    for one, other in zip(fetched(moved), fetched(right), strict=True):
        assert one["target"].tolist() == other["target"].tolist()


def test_settings_of_classification_are_refused():
    with pytest.raises(UsageError, match="--class-weights means nothing to question-answering; leave it out"):
        QuestionAnsweringRecipe.check(
            FinetuneSettings(task="qa", model="bidaf", dataset="d", output="o", class_weights="balanced")
        )


def test_a_question_longer_than_the_model_is_cut_and_learnt_from(tmp_path):
    rows = data()
    rows["train"][0]["question"] = "Where " + "oh where " * 200 + "to?"
    with pytest.raises(
        quintet.pipelines.errors.InputError,
        match="leaves no room for the context in max_seq_len=48; shorten the question",
    ):
        fetched(start(rows, tmp_path))


def test_a_checkpoint_with_other_labels_gets_a_head_for_both_ends(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    recipe = start(data(), tmp_path / "first")
    recipe.tokenizer.save(tmp_path / "nli")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=recipe.tokenizer.vocab_size, id2label={0: "no", 1: "maybe", 2: "yes"}, **sizes)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "nli")
    for settings in ({}, {"lora": True}):
        tuned = start(data(), tmp_path / "second", str(tmp_path / "nli"), model_args={}, vocab_size=None, **settings)
        batch = tuned.collate(fetched(tuned))
        assert torch.isfinite(tuned.loss(tuned.model, batch, "model").total)
        trained = [name for name, weight in tuned.model.named_parameters() if weight.requires_grad]
        assert any("qa_outputs" in name for name in trained)
        assert bool(settings) == (not any("word_embeddings" in name for name in trained))
        tuned.conclude(None, tmp_path)
        assert tuned.model.qa_outputs.weight.shape == (2, 16)


def test_a_tokenizer_that_does_not_tell_places_is_refused(tmp_path):
    from transformers import BertConfig, BertForQuestionAnswering, CanineTokenizer

    CanineTokenizer().save_pretrained(tmp_path / "slow")
    config = BertConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertForQuestionAnswering(config).save_pretrained(tmp_path / "slow")
    recipe = start(data(), tmp_path / "prepared", str(tmp_path / "slow"), model_args={}, vocab_size=None)
    with pytest.raises(UsageError, match="does not say where its tokens stand in the text, which the task needs"):
        fetched(recipe)


def test_memory_does_not_grow_with_the_length_of_a_context(tmp_path):
    rows = data()
    short = start(rows, tmp_path / "short")
    rows["train"][0]["context"] += " nobody knows more" * 33_000  # 100,000 words
    recipe = start(rows, tmp_path / "long")
    (before,), (sample,) = fetched(short, 1), fetched(recipe, 1)
    assert len(before["windows"]) == 1 and len(sample["windows"]) == 2
    assert all(len(window["input_ids"]) <= 48 for window in sample["windows"])
    assert sample["target"].nbytes == 2 * before["target"].nbytes
