"""Classifying texts: forms of input and output, options, routing by script, the light path."""

import subprocess
import sys

import datasets
import numpy as np
import pytest
import torch
from quintet.pipelines import InputError, Pipeline, TextClassificationPipeline, UsageError, WeightsError, pipeline
from quintet.pipelines.scripts import find_script
from quintet.pipelines.text_classification import NEUTRAL


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A folder with tiny checkpoints of our own, one for English and one for Chinese, as the embedded ones are."""
    from quintet.finetune.tokenizer_training import train_tokenizer
    from quintet.pipelines.models.building import build_model
    from quintet.pipelines.saving import save_checkpoint

    folder = tmp_path_factory.mktemp("embedded")
    texts = ["a good film", "a bad film", "很好 的 电影", "很差 的 电影"]
    for seed, name in enumerate(("sentiment-en", "sentiment-zh")):
        torch.manual_seed(seed)
        tokenizer = train_tokenizer(texts, "wordlevel", 50, 32)
        model = build_model(
            "lstm",
            vocab_size=tokenizer.vocab_size,
            labels=("negative", "positive"),
            problem_type="single_label_classification",
            arguments={"embedding_size": 8, "hidden_size": 8},
            max_length=32,
        )
        with torch.no_grad():
            model.network.classifier.weight.mul_(20)
        save_checkpoint(model.eval(), tokenizer, folder / name, task="text-classification")
    return folder


@pytest.fixture
def default(embedded, monkeypatch):
    """The pipeline that ``pipeline("sentiment")`` gives, with the tiny checkpoints as the embedded ones."""
    from quintet.pipelines import checkpoint_sources

    monkeypatch.setattr(checkpoint_sources, "EMBEDDED_FOLDER", embedded)
    return pipeline("sentiment", device="cpu")


def test_a_text_a_list_and_a_stream(bert):
    one = bert("good film")
    assert list(one[0]) == ["label", "score"]
    assert bert(["good film"]) == one
    assert bert(("good film",)) == one
    stream = bert(iter(["good film"]))
    assert not isinstance(stream, list)
    assert list(stream) == one
    assert bert([]) == []
    assert list(bert(iter([]))) == []


def assert_alike(answers, others):
    """The same labels, and scores that differ by no more than batches of another shape make them."""
    for one, other in zip(answers, others, strict=True):
        assert one == {"label": other["label"], "score": pytest.approx(other["score"], abs=1e-6)}


def test_a_column_of_a_data_set_is_read_lazily(bert):
    data = datasets.Dataset.from_dict({"text": ["good film", "bad plot"] * 20})
    answers = bert(data["text"])
    assert iter(answers) is iter(answers)
    assert_alike(answers, bert(["good film", "bad plot"] * 20))


def test_a_map_style_data_set_is_read_lazily(bert):
    class Texts:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return ["good", "bad", "film"][index]

    assert_alike(bert(Texts()), bert(["good", "bad", "film"]))


def test_list_equals_singles(bert, tiny_words):
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.choice(tiny_words, generator.integers(1, 60))) for _ in range(60)]
    together = bert(texts, top_k=None)
    for text, scores in zip(texts, together, strict=True):
        for alone, among in zip(bert(text, top_k=None), scores, strict=True):
            assert alone["label"] == among["label"]
            assert alone["score"] == pytest.approx(among["score"], abs=1e-6)
    for one, other in zip(bert(texts, batch_size=7), bert(texts), strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-6)


def test_an_answer_under_neutral_is_neutral(bert, tiny_words):
    plain = bert(tiny_words)
    middle = float(np.median([answer["score"] for answer in plain]))
    answers = bert(tiny_words, neutral=middle)
    assert {answer["label"] for answer in answers} > {NEUTRAL}
    for before, after in zip(plain, answers, strict=True):
        assert after["score"] == before["score"]
        assert after["label"] == (NEUTRAL if before["score"] < middle else before["label"])


def test_neutral_needs_exclusive_classes(bert):
    with pytest.raises(UsageError, match="neutral needs probabilities of classes that exclude each other"):
        bert("good", neutral=0.6, function_to_apply="sigmoid")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"topk": 1}, "unknown option 'topk'; did you mean top_k"),
        ({"top_k": 0}, r"top_k is 0; expected a whole number from 1, or for all labels top_k=None \(--all-labels\)"),
        ({"neutral": 60}, r"neutral is 60; expected a probability in \[0, 1\]"),
        ({"function_to_apply": "relu"}, "function_to_apply is 'relu'; expected softmax, sigmoid or none"),
        ({"max_length": "many"}, "max_length is 'many'; expected a number of tokens"),
        ({"truncation": "yes"}, "truncation is 'yes'; expected one of True, False"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number from 1"),
        ({"on_error": "skip"}, "on_error is 'skip'; expected 'raise' or 'record'"),
    ],
)
def test_a_wrong_option_is_named(bert, options, words):
    with pytest.raises(UsageError, match=words):
        bert("good", **options)


def test_an_unknown_argument_lists_those_that_are_known():
    words = (
        "unknown option 'foo'; known: batch_size, device, dtype, fast, function_to_apply, max_length, model, neutral, "
        "on_error, padding, return_windows, revision, task, tokenizer, top_k, truncation, trust_remote_code."
    )
    with pytest.raises(UsageError, match=words):
        pipeline("sentiment", foo=1)
    with pytest.raises(UsageError, match="unknown option 'revison'; did you mean revision"):
        pipeline("sentiment", revison="main")


def test_an_unknown_argument_of_a_call_lists_those_of_calls(bert):
    words = (
        "unknown option 'foo'; known: batch_size, function_to_apply, max_length, neutral, num_workers, on_error, "
        "padding, return_windows, top_k, truncation."
    )
    with pytest.raises(UsageError, match=words):
        bert("good", foo=1)


def test_options_can_be_set_for_all_calls(bert_folder, bert):
    always = pipeline("sentiment", bert_folder, top_k=None, batch_size=2, on_error="record")
    assert always(["good", None])[0] == bert(["good"], top_k=None)[0]
    assert "error" in always(["good", None])[1]
    assert always.limits.batch_size == 2


def test_merged_probabilities_are_the_scores(bert):
    texts = ["good film", "bad plot " * 60]
    for text, output in zip(texts, bert.outputs(iter(texts)), strict=True):
        probabilities = bert.merge(output)
        scores = {answer["label"]: answer["score"] for answer in bert([text], top_k=None)[0]}
        assert probabilities.tolist() == pytest.approx([scores["negative"], scores["positive"]], abs=1e-6)
        assert len(output.windows) == len(output.lengths) == (1 if text == texts[0] else 3)


def test_features_are_those_of_training(bert):
    (one,), (cut,) = bert.preprocess(["good film", {"text": "good " * 100, "text_pair": "bad"}], truncation=True)
    assert one == {"input_ids": [2, 5, 7, 3], "token_type_ids": [0, 0, 0, 0]}
    assert len(cut["input_ids"]) == 64
    assert sum(cut["token_type_ids"]) == 2


def test_a_pipeline_around_a_live_model_sees_its_new_weights(bert_folder):
    from quintet.pipelines.checkpoints import load_checkpoint

    checkpoint = load_checkpoint(str(bert_folder))
    live = TextClassificationPipeline.from_checkpoint(checkpoint)
    before = live(["good film"])
    with torch.no_grad():
        checkpoint.model.classifier.bias.add_(torch.tensor([0.0, 5.0]))
    assert live(["good film"]) != before
    assert isinstance(live, Pipeline)


def test_a_live_model_of_transformers_is_taken(bert_folder, bert):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(bert_folder)
    mine = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(bert_folder))
    assert mine("good film") == bert("good film")


def test_bfloat16_and_fast_answer_alike(bert_folder, bert, tiny_words):
    exact = bert(tiny_words)
    for options in ({"dtype": "bfloat16"}, {"dtype": torch.bfloat16}, {"fast": True}):
        for one, other in zip(pipeline("sentiment", bert_folder, **options)(tiny_words), exact, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=0.05)
    assert pipeline("sentiment", bert_folder, dtype="bfloat16").model.dtype == torch.bfloat16


def test_fast_stays_exact_without_matrix_units(bert_folder, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False})
    assert pipeline("sentiment", bert_folder, fast=True, device="cpu").model.dtype == torch.float32


@pytest.mark.parametrize("unit", ["amx_bf16", "avx512_bf16"])
def test_fast_computes_in_bfloat16_with_either_kind_of_unit(bert_folder, monkeypatch, unit):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True})
    assert pipeline("sentiment", bert_folder, fast=True, device="cpu").model.dtype == torch.bfloat16


def test_fast_leaves_recurrent_models_in_float32_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert next(pipeline("sentiment", fast=True, device="cpu").model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dtype": "int8"}, "dtype is 'int8'; expected float32, bfloat16, float16 or auto"),
        ({"dtype": "float32", "fast": True}, "fast=True chooses the dtype, but dtype='float32' was given"),
        ({"device": "warp"}, "device is 'warp'; expected cpu, a number, or for instance cuda:0"),
    ],
)
def test_a_wrong_argument_is_named(bert_folder, arguments, words):
    with pytest.raises(UsageError, match=words):
        pipeline("sentiment", bert_folder, **arguments)


def test_devices_are_named_as_in_transformers(bert_folder):
    for device in (-1, "cpu", torch.device("cpu")):
        assert pipeline("sentiment", bert_folder, device=device).device.type == "cpu"


def test_an_unknown_task_is_named():
    with pytest.raises(UsageError, match="unknown task 'sentimant'; did you mean sentiment"):
        pipeline("sentimant")
    with pytest.raises(UsageError, match="needs a task, for instance pipeline"):
        pipeline()


def test_an_unusable_output_is_an_error_of_its_text(bert_folder):
    broken = pipeline("sentiment", bert_folder)
    with torch.no_grad():
        broken.model.bert.embeddings.word_embeddings.weight[5] = float("nan")  # "good"
    answers = broken(["bad", "good", "film"], on_error="record")
    assert answers[1] == {"error": "the model's output is not finite (nan or infinite); try dtype='float32'."}
    assert [list(answers[0]), list(answers[2])] == [["label", "score"]] * 2


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("A gorgeous, witty film.", "other"),
        ("这部电影很好看。", "han"),
        ("iPhone 的屏幕很清楚", "han"),
        ("We ate 麻婆豆腐 and it was far too salty for us.", "other"),
        ("", "other"),
        ("!!! 123 👍", "other"),
        ("とてもよかった", "other"),
        ("한국 영화", "other"),
        ("Отличный фильм", "other"),
    ],
)
def test_the_script_of_a_text(text, script):
    assert find_script(text) == script


def test_the_default_reads_each_text_with_the_checkpoint_of_its_script(default):
    texts = ["a good film", "很好 的 电影", "a bad film", "很差 的 电影"]
    alone = {name: pipeline("sentiment", name) for name in ("sentiment-en", "sentiment-zh")}
    expected = [alone["sentiment-zh" if find_script(text) == "han" else "sentiment-en"]([text])[0] for text in texts]
    for answer, other in zip(default(texts), expected, strict=True):
        assert answer["label"] == other["label"]
        assert answer["score"] == pytest.approx(other["score"], abs=1e-6)
    assert alone["sentiment-en"](texts)[1]["score"] != pytest.approx(expected[1]["score"], abs=1e-3)


def test_the_second_checkpoint_is_loaded_when_it_is_needed(default):
    default(["a good film"])
    assert default._loaded == {}
    default(["很好"])
    assert [loaded.name for loaded in default._loaded.values()] == ["sentiment-zh"]


def test_checkpoints_that_share_a_pipeline_need_the_same_labels(default, bert):
    mixed = TextClassificationPipeline.from_checkpoint(
        default.checkpoint, others={"han": lambda: relabelled(bert.checkpoint)}
    )
    with pytest.raises(WeightsError, match="has the labels bad, good, expected those of 'sentiment-en'"):
        mixed(["很好"])


def relabelled(checkpoint):
    from dataclasses import replace

    return replace(checkpoint, config=replace(checkpoint.config, labels=("bad", "good")))


def test_a_text_without_any_token_is_an_error(default):
    with pytest.raises(InputError, match="input 1: the text has no token: it is empty, or blank"):
        default(["a good film", "  "])


def test_a_light_checkpoint_loads_nothing_heavy(embedded):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from quintet.pipelines import checkpoint_sources, pipeline\n"
        f"checkpoint_sources.EMBEDDED_FOLDER = Path({str(embedded)!r})\n"
        "print(pipeline('sentiment', device='cpu')('a good film'))\n"
        "heavy = 'transformers datasets diffusers pandas pyarrow sklearn matplotlib accelerate'.split()\n"
        "print(sorted(set(heavy) & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "label" in result.stdout
