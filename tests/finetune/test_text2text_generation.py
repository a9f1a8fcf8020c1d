"""Encoder-decoders as a user has them: trained from scratch or further, measured, resumed, loaded again."""

import json
import random

import numpy as np
import pytest
import quintet
import torch
import transformers
from quintet.cards.facts import read_facts
from quintet.finetune import finetune
from quintet.finetune.data import load_data
from quintet.finetune.settings import FinetuneSettings
from quintet.finetune.text2text_generation import cut
from quintet.finetune.translation import TranslationRecipe, languages_of
from quintet.pipelines.errors import DataError, InputError, UnknownNameError, UsageError
from quintet.pipelines.tasks import find_task

WORDS = {"dog": "Hund", "cat": "Katze", "man": "Mann", "bird": "Vogel", "runs": "läuft", "sleeps": "schläft"}
SIZES = {
    "transformer-seq2seq": {"hidden_size": 32, "layers": 1, "heads": 2, "feed_forward_size": 64, "dropout": 0.0},
    "lstm-seq2seq": {"hidden_size": 32, "embedding_size": 32, "dropout": 0.0},
}
FAMILIES = list(SIZES)


def pairs(count, seed=0):
    """Sentences of a small language with their translations, each row with a number of its own."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        noun, verb = draw.choice(["dog", "cat", "man", "bird"]), draw.choice(["runs", "sleeps"])
        rows.append(
            {
                "translation": {
                    "en": f"the {noun} {verb} {seed}{number}",
                    "de": f"jetzt {WORDS[verb]} dort der {WORDS[noun]}",
                }
            }
        )
    return rows


def data():
    return {"train": pairs(160), "validation": pairs(30, seed=1), "test": pairs(30, seed=2)}


def train(folder, family, task="translation_en_to_de", dataset=None, **settings):
    epochs = 24 if family == "lstm-seq2seq" else 12
    options = {"epochs": epochs, "batch_size": 16, "learning_rate": 1e-2, "vocab_size": 340, "max_length": 48}
    return finetune(
        task,
        model=family,
        dataset=dataset or data(),
        output=folder,
        model_args=SIZES[family],
        **{**options, **settings},
    )


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("writers") / request.param
    train(folder, request.param)
    return folder


def test_it_translates(checkpoint):
    facts = read_facts(checkpoint)
    assert facts.task == "translation" and facts.problem_type == "writing" and facts.languages == ("en", "de")
    assert facts.data.columns == {"text": "translation.en", "target": "translation.de"}
    test = facts.evaluations[-1]
    assert [metric.name for metric in test.metrics] == ["sacrebleu", "chrf"]
    assert test.metric("sacrebleu").value > 70
    assert test.metric("sacrebleu").low <= test.metric("sacrebleu").value <= test.metric("sacrebleu").high
    (copy,) = test.baselines
    assert copy.name == "copy" and copy.metrics[0].value < 20
    assert test.protocol["num_beams"] == 5 and test.protocol["sacrebleu"].startswith(
        "nrefs:1|case:mixed|eff:no|tok:13a"
    )
    assert facts.training.metric == "loss"
    answer = quintet.pipeline(str(checkpoint))("the dog runs 12")
    assert answer == [{"translation_text": "jetzt läuft dort der Hund"}]


def test_answers_do_not_depend_on_batches(checkpoint):
    translate = quintet.pipeline(str(checkpoint), num_beams=3, num_return_sequences=2)
    texts = ["the dog runs 12", "cat", "the man sleeps 1 the bird runs 7 the cat", "x"]
    together = translate(texts, batch_size=4)
    assert together == [translate(text) for text in texts]
    assert together[0][0] != together[0][1]


def test_plain_transformers_writes_the_same(checkpoint):
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(checkpoint, trust_remote_code=True).eval()
    texts = ["the dog runs 12", "the cat sleeps 3 now"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    written = [tokenizer.decode(ids, skip_special_tokens=True) for ids in model.generate(**batch)]
    ours = quintet.pipeline(str(checkpoint))(texts)
    assert [one["translation_text"] for one in ours] == written
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["task"] == "translation" and (config["src_lang"], config["tgt_lang"]) == ("en", "de")
    assert config["decoder_start_token_id"] == config["pad_token_id"] == 0 and "forced_eos_token_id" not in config


def test_evaluating_the_same_rows_gives_the_same_numbers(checkpoint, tmp_path):
    recorded = read_facts(checkpoint).evaluations[-1]
    again = quintet.evaluate(checkpoint, dataset=pairs(30, seed=2), output=tmp_path)
    assert again.metrics == recorded.metrics and again.fingerprint == recorded.fingerprint


def test_another_language_is_refused(checkpoint):
    with pytest.raises(UnknownNameError, match=r"tgt_lang is 'fr', a language that '.*' does not know; it knows de\."):
        quintet.pipeline("translation_en_to_fr", str(checkpoint))
    assert quintet.pipeline("translation_en_to_de", str(checkpoint)).languages == {"src_lang": "en", "tgt_lang": "de"}


def test_bad_calls_are_refused_by_their_words(checkpoint):
    translate = quintet.pipeline(str(checkpoint))
    with pytest.raises(UsageError, match=r"max_new_tokens is 0; expected a number of tokens from 1"):
        translate("the dog", max_new_tokens=0)
    if "transformer" in checkpoint.name:
        with pytest.raises(
            UsageError, match=r"max_new_tokens is 500, but the decoder of '.*' writes 48 tokens at most"
        ):
            translate("the dog", max_new_tokens=500)
    else:
        with pytest.raises(UsageError, match="encoder_no_repeat_ngram_size means nothing to 'lstm-seq2seq'"):
            translate("the dog", encoder_no_repeat_ngram_size=2)
        with pytest.raises(UsageError, match=r"num_beams is 5 and do_sample is True, but .* leave one of them out"):
            translate("the dog", do_sample=True, num_beams=5)


def test_a_blank_text_is_no_text(checkpoint):
    translate = quintet.pipeline(str(checkpoint))
    for blank in ("", " \n", "\u3000"):
        with pytest.raises(InputError, match=r"^input 0: the text is empty, or blank, and there is nothing to rewrite"):
            translate(blank)
    assert translate(["", "the dog runs 12"], on_error="record")[1] == translate("the dog runs 12")[0]


def test_drawn_texts_depend_on_their_seed_only(checkpoint):
    translate = quintet.pipeline(str(checkpoint), do_sample=True, num_beams=1, temperature=3.0, seed=4)
    texts = ["the dog runs 12", "the bird sleeps 3"]
    assert translate(texts) == [translate(text)[0] for text in texts]
    assert translate(texts) != translate(texts, seed=5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path, family, monkeypatch):
    from quintet.finetune import loop

    options = {"epochs": 2, "ema": 0.9, "save_every": "1steps"}
    whole = train(tmp_path / "whole", family, **options)
    step = loop.Loop._step

    def broken(self, given, request):
        if given.number == 12:
            raise KeyboardInterrupt
        return step(self, given, request)

    monkeypatch.setattr(loop.Loop, "_step", broken)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", family, **options)
    monkeypatch.setattr(loop.Loop, "_step", step)
    parts = train(tmp_path / "parts", family, resume=True, **options)
    assert parts.training.resumes == 1
    assert parts.weights_sha256 == whole.weights_sha256
    assert parts.evaluations[-1].metrics == whole.evaluations[-1].metrics


@pytest.mark.parametrize("family", FAMILIES)
def test_one_batch_is_learnt_by_heart(tmp_path, family):
    task = find_task("translation")
    rows = load_data({"train": pairs(16), "validation": pairs(4, seed=1)}, task=task)
    settings = FinetuneSettings(
        task="translation", model=family, dataset="memory", output="out", vocab_size=340, model_args=SIZES[family]
    )
    recipe = TranslationRecipe.start(task, settings, rows, tmp_path)
    batch = recipe.collate(recipe.features(recipe.rows.fetch(np.arange(16))))
    assert recipe.count(batch) == float((batch["targets"] != -100).sum())
    optimizer = torch.optim.AdamW(recipe.model.parameters(), lr=1e-2)
    recipe.model.train()
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = recipe._loss(recipe.model, batch, 0.0).total / recipe.count(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0] and losses[-1] < 0.15
    assert recipe.loss(recipe.model, batch, "model").total > recipe._loss(recipe.model, batch, 0.0).total  # smoothed


def test_the_loss_is_that_of_transformers(tmp_path):
    task = find_task("translation")
    rows = load_data({"train": pairs(16), "validation": pairs(4, seed=1)}, task=task)
    for family in FAMILIES:
        settings = FinetuneSettings(
            task="translation", model=family, dataset="memory", output="out", vocab_size=340, model_args=SIZES[family]
        )
        recipe = TranslationRecipe.start(task, settings, rows, tmp_path)
        recipe.model.eval()
        batch = recipe.collate(recipe.features(recipe.rows.fetch(np.arange(16))))
        reading = {name: batch[name] for name in ("input_ids", "attention_mask") if name in batch}
        with torch.inference_mode():
            expected = recipe.model(**reading, labels=batch["targets"]).loss
            found = recipe._loss(recipe.model, batch, 0.0)
        torch.testing.assert_close(found.total / recipe.count(batch), expected, rtol=1e-5, atol=1e-5)
        assert 0 <= float(found.metrics["accuracy"]) <= 16


@pytest.mark.parametrize("family", FAMILIES)
def test_summaries_and_rewritten_texts(tmp_path, family):
    rows = {
        name: [
            {"document": f"{row['translation']['en']}. It is so.", "summary": row["translation"]["de"]}
            for row in pairs(count, seed)
        ]
        for name, count, seed in (("train", 160, 0), ("test", 20, 2))
    }
    facts = train(tmp_path / "sum", family, "summarization", rows, max_length=64, epochs=10)
    test = facts.evaluations[-1]
    assert [metric.name for metric in test.metrics] == ["rouge1", "rouge2", "rougeL"]
    assert [rule.name for rule in test.baselines] == ["first sentence", "first words"]
    assert test.metrics[0].value > 60 > test.baselines[0].metrics[0].value
    assert test.protocol["long_texts"] == "in pieces of whole sentences"
    renamed = {
        name: [{"input": row["document"], "output": row["summary"]} for row in each] for name, each in rows.items()
    }
    facts = train(tmp_path / "rewrite", family, "text2text-generation", renamed, max_length=64, epochs=1)
    assert [metric.name for metric in facts.evaluations[-1].metrics] == ["rouge1", "rouge2", "rougeL", "exact_match"]


def test_a_target_that_is_empty_is_a_bad_row():
    rows = [*pairs(5), {"translation": {"en": "a dog", "de": " "}}]
    with pytest.raises(DataError, match=r"row 6: column 'translation\.de' is missing or empty"):
        load_data({"train": rows, "validation": pairs(3, 1)}, task=find_task("translation"))


def test_a_long_text_is_cut_but_for_its_end():
    assert cut([5, 6, 7, 8, 3], 3) == [5, 6, 3]
    assert cut([5, 3], 3) == [5, 3] and cut([5, 6, 7, 3], None) == [5, 6, 7, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_targets_have_a_length_of_their_own(tmp_path, family):
    task = find_task("translation")
    rows = load_data({"train": pairs(16), "validation": pairs(4, seed=1)}, task=task)

    def start(folder, **settings):
        given = FinetuneSettings(
            task="translation", model=family, dataset="memory", output="out", vocab_size=340,
            model_args=SIZES[family], max_length=16, **settings,
        )  # fmt: skip
        return TranslationRecipe.start(task, given, rows, tmp_path / folder)

    usual, short, long = start("a"), start("b", max_target_length=4), start("c", max_target_length=40)
    everything = {name: rows.splits["train"][name][:] for name in ("text", "target")}
    lengths = {}
    for name, recipe in (("usual", usual), ("short", short), ("long", long)):
        features = recipe.features(everything)
        assert all(sample["target"][-1] == recipe.tokenizer.end_id for sample in features)
        lengths[name] = max(len(sample["target"]) for sample in features)
        assert max(len(sample["input_ids"]) for sample in features) == max(
            len(sample["input_ids"]) for sample in usual.features(everything)
        )
    assert lengths["short"] == 4 < lengths["usual"]
    written = [recipe.model.generation_config.max_new_tokens for recipe in (usual, short, long)]
    assert written == [16, 4, 40]
    assert long.pipeline.decoder_limit in (None, 40) and long.pipeline("dog")  # there are positions for them


def test_languages_by_name_or_by_columns():
    assert languages_of("translation_en_XX_to_de_DE", {}) == {"src_lang": "en_XX", "tgt_lang": "de_DE"}
    assert languages_of("translation", {"text": "source text", "target": "translation.de"}) == {}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"teacher": "some/model"}, "--teacher means nothing to translation; leave it out"),
        ({"class_weights": "balanced"}, "--class-weights means nothing to translation"),
        ({"label_names": ("a", "b")}, "--label-names means nothing to translation"),
        ({"max_target_length": 2}, "--max-target-length 2 must be at least 3"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path, setting, sentence):
    with pytest.raises(UsageError, match=sentence):
        finetune("translation", model="lstm-seq2seq", dataset=data(), output=tmp_path / "out", **setting)


def test_a_dry_run_writes_nothing(tmp_path):
    plan = train(tmp_path / "out", "lstm-seq2seq", dry_run=True)
    assert plan.steps == 240 and plan.parameters > 10_000 and not (tmp_path / "out").exists()
    assert plan.settings["ema"] == 0.0 and plan.state_bytes == 16 * plan.parameters


def test_the_transformer_averages_its_weights(tmp_path):
    plan = train(tmp_path / "out", "transformer-seq2seq", dry_run=True)
    assert plan.settings["ema"] == 0.998
    assert plan.state_bytes == 4 * (plan.parameters + 4 * plan.trainable_parameters)  # gradient, moments, average


LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß0123456789 "


@pytest.fixture(scope="module")
def mbart(tmp_path_factory):
    """A tiny mBART between 25 languages, with a unigram tokenizer over single letters."""
    folder = tmp_path_factory.mktemp("pretrained") / "mbart"
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(letter, -2.0) for letter in (*LETTERS.strip(), "▁")]
    tokenizer = transformers.MBartTokenizer(vocab=vocabulary, src_lang="en_XX", tgt_lang="ro_RO", model_max_length=48)
    torch.manual_seed(0)
    config = transformers.MBartConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=48,
        pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
    )  # fmt: skip
    transformers.MBartForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    """A tiny T5 that is told by a prefix what to translate."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("pretrained") / "t5"
    names = ["<pad>", "<unk>", "</s>", ":", *LETTERS]
    backend = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    backend.decoder = decoders.Fuse()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=64, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(names), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0, eos_token_id=2,
        decoder_start_token_id=0, task_specific_params={"translation_en_to_de": {"prefix": "en to de: "}},
    )  # fmt: skip
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


SHORT = {"epochs": 2, "batch_size": 32, "learning_rate": 1e-2}


def test_a_checkpoint_between_many_languages_is_trained_further(mbart, tmp_path):
    task = find_task("translation")
    settings = FinetuneSettings(task="translation_en_XX_to_de_DE", model=str(mbart), dataset="memory", output="out")
    rows = load_data({"train": pairs(16), "validation": pairs(4, seed=1)}, task=task)
    recipe = TranslationRecipe.start(task, settings, rows, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(mbart, src_lang="en_XX", tgt_lang="de_DE")
    first = recipe.features(recipe.rows.fetch(np.arange(1)))[0]
    row = pairs(1)[0]["translation"]
    assert first["input_ids"].tolist() == tokenizer(row["en"])["input_ids"]
    assert first["target"].tolist() == tokenizer(text_target=row["de"])["input_ids"]
    assert first["target"][-1] == tokenizer.convert_tokens_to_ids("de_DE")

    finetune("translation_en_XX_to_de_DE", model=str(mbart), dataset=data(), output=tmp_path / "out", **SHORT)
    facts = read_facts(tmp_path / "out")
    assert facts.languages == ("en", "de") and facts.training.train_loss < 3.8
    plain = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out").eval()
    decoding = plain.generation_config
    assert (decoding.num_beams, decoding.max_new_tokens) == (4, 48)  # what the numbers were measured with
    assert decoding.forced_bos_token_id == tokenizer.convert_tokens_to_ids("de_DE")
    with torch.inference_mode():
        written = plain.generate(**tokenizer(["the dog"], return_tensors="pt"))[0]
    ours = quintet.pipeline(str(tmp_path / "out"))("the dog")
    assert ours == [{"translation_text": tokenizer.decode(written, skip_special_tokens=True)}]
    with pytest.raises(UsageError, match=r"--max-target-length is 49, but the decoder of .* writes 48 tokens at most"):
        finetune(
            "translation_en_XX_to_de_DE", model=str(mbart), dataset=data(), output=tmp_path / "x", max_target_length=49
        )
    translate = quintet.pipeline(str(tmp_path / "out"), max_new_tokens=5)
    assert translate.languages == {"src_lang": "en_XX", "tgt_lang": "de_DE"}
    assert translate("the dog") == translate("the dog", src_lang="en_XX", tgt_lang="de_DE")
    with pytest.raises(UnknownNameError, match="tgt_lang is 'de', a language that 'mbart' does not know; did you mean"):
        finetune("translation_en_XX_to_de", model=str(mbart), dataset=data(), output=tmp_path / "other", **SHORT)


@pytest.mark.parametrize("lora", [False, True])
def test_a_prefix_stands_before_each_text_in_training(t5, tmp_path, lora):
    facts = finetune(
        "translation_en_to_de", model=str(t5), dataset=data(), output=tmp_path / "out", lora=lora, lora_rank=2, **SHORT
    )
    assert (facts.trainable_parameters < facts.parameters) == lora
    task = find_task("translation")
    settings = FinetuneSettings(task="translation_en_to_de", model=str(t5), dataset="memory", output="out")
    rows = load_data({"train": pairs(16), "validation": pairs(4, seed=1)}, task=task)
    recipe = TranslationRecipe.start(task, settings, rows, tmp_path)
    first = recipe.features(recipe.rows.fetch(np.arange(1)))[0]
    assert recipe.tokenizer.decode(first["input_ids"]).startswith("en to de: the ")
    with torch.inference_mode():
        trained = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out")
    before = transformers.AutoModelForSeq2SeqLM.from_pretrained(t5)
    changed = [
        name for name, weight in trained.state_dict().items() if not torch.equal(weight, before.state_dict()[name])
    ]
    assert changed and ("shared.weight" in changed) != lora
    assert quintet.pipeline(str(tmp_path / "out"), max_new_tokens=4)("the dog")[0].keys() == {"translation_text"}
