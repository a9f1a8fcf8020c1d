"""Language models as a user has them: trained on plain text, measured, loaded again, and made to write."""

import json
import math

import pytest
import quintet
import torch
from quintet.cards.facts import read_facts
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.running_text import SingleTexts, Stream
from quintet.finetune.settings import FinetuneSettings
from quintet.finetune.text_generation import TextGenerationRecipe
from quintet.pipelines.checkpoints import load_checkpoint
from quintet.pipelines.errors import DataError, UsageError
from quintet.pipelines.tasks import find_task
from safetensors.torch import load_file

SIZES = {
    "lstm-lm": {"embedding_size": 12, "hidden_size": 32, "layers": 1, "dropout": 0.0},
    "gru-lm": {"embedding_size": 16, "hidden_size": 24, "layers": 2, "dropout": 0.1, "tied": True},
    "gpt2-mini": {"hidden_size": 32, "layers": 1, "heads": 2, "dropout": 0.0},
}
PLAY = "".join(f"Speaker {number % 10}:\nThe cat sat on the mat.\n\n" for number in range(700))
LINES = [{"text": f"the {colour} cat sat on the {number} mats"} for number in range(30) for colour in ("red", "blue")]


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "play.txt"
    path.write_text(PLAY, encoding="utf-8")
    return path


def train(folder, data, family="lstm-lm", **settings):
    options = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "max_length": 32, "device": "cpu"}
    options |= {"model_args": SIZES[family]} if family in SIZES else {}
    return finetune(
        "text-generation",
        model=family,
        dataset=str(data) if not isinstance(data, list | dict) else data,
        output=folder,
        **{**options, **settings},
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, play):
    folder = tmp_path_factory.mktemp("lm") / "play"
    train(folder, play)
    return folder


def test_facts_of_a_language_model(checkpoint):
    facts = read_facts(checkpoint)
    assert facts.task == "text-generation" and facts.problem_type == "language_modelling" and facts.labels == ()
    assert facts.data.text_unit == "blocks" and facts.training.metric == "perplexity"
    (validation,) = facts.evaluations
    assert [metric.name for metric in validation.metrics] == ["perplexity", "bits_per_character", "accuracy", "loss"]
    perplexity, bits, accuracy, loss = (metric.value for metric in validation.metrics)
    assert perplexity == pytest.approx(math.exp(loss)) and bits == pytest.approx(loss / math.log(2))
    assert perplexity < 1.6 and accuracy > 0.9
    alike, frequencies = validation.baselines
    assert alike.metrics[0].value == pytest.approx(facts_vocabulary(checkpoint))
    assert perplexity < frequencies.metrics[0].value < alike.metrics[0].value
    assert validation.protocol["text_unit"] == "blocks" and validation.protocol["rows"] == "in turn"
    assert validation.count == 1 and validation.metrics[0].low is None  # one piece of text: no interval
    config = json.loads((checkpoint / "config.json").read_text())
    assert "id2label" not in config and config["task"] == "text-generation" and "max_length" not in config


def facts_vocabulary(folder):
    return json.loads((folder / "config.json").read_text())["vocab_size"]


def test_it_writes_what_it_read_and_seeds_hold_at_any_batch_size(checkpoint):
    write = quintet.pipeline("text-generation", model=str(checkpoint))
    assert write.checkpoint.light
    greedy = write("Speaker 3:\nThe", max_new_tokens=20, do_sample=False)[0]["generated_text"]
    assert greedy == "Speaker 3:\nThe cat sat on the mat."[: len(greedy)]
    prompts = ["Speaker 1:", "The cat", "T", "sat on the mat.\n\nSp"]
    options = {"max_new_tokens": 30, "temperature": 1.5, "top_k": 0, "seed": 7}
    alone = [write(prompt, batch_size=1, **options)[0]["generated_text"] for prompt in prompts]
    assert [answer[0]["generated_text"] for answer in write(prompts, **options)] == alone
    assert len({text[-20:] for text in alone}) > 1
    assert write(prompts[0], **{**options, "seed": 8})[0]["generated_text"] != alone[0]
    (stopped,) = write("Speaker 2:\nThe cat", max_new_tokens=40, do_sample=False, stop_strings=["sat on"])
    assert stopped["generated_text"] == "Speaker 2:\nThe cat sat on"
    assert "".join(write.stream(prompts[0], **options)) == alone[0][len(prompts[0]) :]


def test_evaluating_again_reads_the_file_as_training_did(checkpoint, play, tmp_path):
    recorded = read_facts(checkpoint).evaluations[0]
    facts = quintet.evaluate(checkpoint, dataset=str(play), output=tmp_path)
    assert facts.metrics == recorded.metrics and facts.fingerprint == recorded.fingerprint
    assert facts.mistakes and facts.mistakes == recorded.mistakes
    lines = quintet.evaluate(checkpoint, dataset=str(play), output=tmp_path, text_unit="lines", split="train[:40]")
    assert lines.protocol["text_unit"] == "lines" and lines.count == 40


def test_a_mistake_is_told_with_what_stood_before_it(checkpoint):
    mistake = read_facts(checkpoint).evaluations[0].mistakes[0]
    assert 0 < mistake.confidence <= 1 and mistake.label != mistake.prediction
    assert mistake.text and mistake.label[0] == "'"


@pytest.mark.parametrize("family", ["gru-lm", "gpt2-mini"])
def test_other_families_learn_it_too(tmp_path, play, family):
    facts = train(tmp_path / "out", play, family, epochs=6 if family == "gpt2-mini" else 3)
    assert facts.evaluations[0].metric("perplexity").value < 3
    assert facts.family == family
    write = quintet.pipeline("text-generation", model=str(tmp_path / "out"))
    assert write("The cat", max_new_tokens=4, do_sample=False)[0]["generated_text"].startswith("The cat")


def test_word_pieces_need_fewer_tokens_for_the_same_bits(tmp_path, play):
    facts = train(tmp_path / "out", play, tokens="bpe", vocab_size=300, epochs=8)
    evaluation = facts.evaluations[0]
    assert evaluation.metric("bits_per_character").value < evaluation.metric("loss").value / math.log(2) / 1.5
    write = quintet.pipeline("text-generation", model=str(tmp_path / "out"))
    assert write("The cat", max_new_tokens=5, do_sample=False)[0]["generated_text"].startswith("The cat sat")


@pytest.mark.parametrize("family", ["lstm-lm", "gpt2-mini"])
def test_documents_end_and_an_empty_prompt_begins_one(tmp_path, family):
    facts = train(tmp_path / "out", {"train": LINES, "validation": LINES[:20]}, family, epochs=20)
    assert facts.data.text_unit == "documents"
    write = quintet.pipeline("text-generation", model=str(tmp_path / "out"))
    (answer,) = write("the red", max_new_tokens=20, do_sample=False)
    assert answer["generated_text"].startswith("the red cat ")
    ids = write.tokenizer.encode(["the red"])[0].input_ids
    assert ids[0] == write.tokenizer.start_id and ids[-1] != write.tokenizer.end_id


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path, play, monkeypatch):
    train(tmp_path / "whole", play, "gru-lm", max_steps=30, epochs=None)
    from quintet.finetune.interruption import InterruptedTraining
    from quintet.finetune.loop import Loop

    step = Loop._step

    def stopping(self, one, request):
        line, number = step(self, one, request)
        return line, 15 if one.number == 16 else number

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "_step", stopping)
        with pytest.raises(InterruptedTraining):
            train(tmp_path / "parts", play, "gru-lm", max_steps=30, epochs=None)
    train(tmp_path / "parts", play, "gru-lm", max_steps=30, epochs=None, resume=True)
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and len(whole) > 5
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory):
    """A random GPT-2 of two layers as transformers saves it, with a tokenizer like GPT-2's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([PLAY], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=special[0], eos_token=special[0], model_max_length=64
    )
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny-gpt2"
    torch.manual_seed(0)
    sizes = {"vocab_size": len(tokenizer), "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("lora", [False, True])
def test_a_pretrained_gpt2_goes_on_learning(tmp_path, gpt2_folder, lora):
    facts = train(tmp_path / "out", {"train": LINES, "validation": LINES[:20]}, str(gpt2_folder), lora=lora, epochs=3)
    assert facts.base_model == "tiny-gpt2"
    assert (facts.trainable_parameters < facts.parameters) == lora
    before = quintet.evaluate(gpt2_folder, task="text-generation", dataset=LINES[:20], output=tmp_path / "before")
    assert facts.evaluations[0].metric("loss").value < before.metric("loss").value - 0.1
    assert json.loads((tmp_path / "out" / "config.json").read_text())["use_cache"] is True
    write = quintet.pipeline("text-generation", model=str(tmp_path / "out"))
    assert write("the red", max_new_tokens=3, do_sample=False)[0]["generated_text"].startswith("the red")


def recipe(tmp_path, data, family, **settings):
    task = find_task("text-generation")
    given = FinetuneSettings(
        task=task.name, model=family, dataset="d", output=str(tmp_path), model_args=SIZES[family], **settings
    )
    return TextGenerationRecipe.start(task, given, load_data(data, task=task), tmp_path)


def test_texts_share_rows_only_where_the_model_keeps_them_apart(tmp_path, play):
    data = {"train": LINES, "validation": LINES[:3]}
    packed = recipe(tmp_path / "a", data, "gpt2-mini", max_length=64)
    assert isinstance(packed.texts, Stream)
    batch = packed.collate(packed.vary([{"row": 0}, {"row": 1}], 0, torch.tensor([0, 1]).numpy()))
    assert set(batch) == {"input_ids", "position_ids", "targets"} and batch["input_ids"].shape == (2, 64)
    assert (batch["position_ids"] == 0).sum() > 2
    alone = recipe(tmp_path / "b", data, "lstm-lm")
    assert isinstance(alone.texts, SingleTexts) and len(alone.rows) == len(LINES)
    blocks = recipe(tmp_path / "c", str(play), "gpt2-mini", max_length=64)
    batch = blocks.collate(blocks.vary([{"row": 0}], 0, torch.tensor([0]).numpy()))
    assert isinstance(blocks.texts, Stream) and set(batch) == {"input_ids", "targets"}
    assert blocks.count(batch) == 64.0


def test_a_step_counts_tokens_not_rows(tmp_path):
    texts = [{"text": "a"}, {"text": "abcdefghij"}, {"text": "abc"}]
    given = recipe(tmp_path, {"train": texts, "validation": texts[:1]}, "lstm-lm")
    features = given.vary([{"row": row} for row in range(3)], 0, torch.arange(3).numpy())
    batch = given.collate(features)
    assert given.count(batch) == 2 + 11 + 4
    total, metrics = given.loss(given.model, batch, "model")
    parts = [given.loss(given.model, given.collate([one]), "model").total for one in features]
    torch.testing.assert_close(total, torch.stack(parts).sum(), rtol=1e-5, atol=1e-5)
    assert 0 <= float(metrics["accuracy"]) <= 3


def test_light_and_plain_transformers_give_the_same_logits(checkpoint):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, trust_remote_code=True).eval()
    light = load_checkpoint(checkpoint)
    batch = tokenizer("The cat sat", return_tensors="pt")
    assert batch["input_ids"][0].tolist() == light.tokenizer.encode(["The cat sat"])[0].input_ids
    with torch.no_grad():
        logits = model(**batch).logits
    torch.testing.assert_close(logits, light.logits({"input_ids": batch["input_ids"]}), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"class_weights": "balanced"}, "--class-weights means nothing to text-generation; leave it out"),
        ({"label_names": ("a", "b")}, "--label-names means nothing to text-generation; leave it out"),
        ({"tokens": "words"}, "--tokens 'words' must be one of characters, bpe"),
        ({"text_unit": "pages"}, "--text-unit 'pages' must be one of lines, documents, blocks"),
        ({"metric": "f1"}, "unknown metric 'f1'"),
        ({"model_args": {"tied": "maybe"}}, "argument tied of model lstm-lm is 'maybe', expected true or false"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(tmp_path, play, settings, sentence):
    with pytest.raises(UsageError, match=sentence):
        train(tmp_path / "out", play, **settings)


def test_more_tokens_than_a_checkpoint_reads_are_refused(tmp_path, play, gpt2_folder):
    with pytest.raises(UsageError, match="--max-length 65 is more than the 64 tokens that 'tiny-gpt2' reads at once"):
        train(tmp_path / "out", play, str(gpt2_folder), max_length=65)


def test_a_network_that_reads_both_ways_learns_no_writing(tmp_path, play, tiny_bert):
    with pytest.raises(UsageError, match="checkpoint 'tiny-bert' reads a text in both directions, so it would see"):
        train(tmp_path / "out", play, str(tiny_bert))


def test_one_piece_of_text_has_no_intervals(tmp_path, play):
    facts = train(tmp_path / "out", play, epochs=1, max_rows=1)
    (validation,) = facts.evaluations
    assert validation.count == 1
    assert [(metric.low, metric.high) for metric in validation.metrics] == [(None, None)] * 4


def test_tokens_are_for_families_and_for_this_task(tmp_path, play, gpt2_folder):
    with pytest.raises(
        UsageError, match=r"--tokens is for a family trained from scratch, and --model .* is a checkpoint"
    ):
        train(tmp_path / "out", play, str(gpt2_folder), tokens="bpe")
    with pytest.raises(
        UsageError, match=r"--tokens means nothing to text-classification; leave it out\. It is for text-ge"
    ):
        finetune("sentiment", model="lstm", dataset=[{"text": "a", "label": 1}], output=tmp_path / "x", tokens="bpe")


def test_data_without_text_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(DataError, match="no column 'text'; found: a"):
        train(tmp_path / "out", [{"a": 1}])
    (tmp_path / "empty.txt").write_text(" \n\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"empty\.txt holds no rows"):
        train(tmp_path / "out", tmp_path / "empty.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 " * 30)
    with pytest.raises(DataError, match=r"latin\.txt, row 1: it holds the byte 0xe9, which is not UTF-8"):
        train(tmp_path / "out", tmp_path / "latin.txt")
