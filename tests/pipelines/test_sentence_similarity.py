"""Vectors of texts and their similarities, checked against a few lines of torch over the model's hidden states."""

import json
import math

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import InputError, UnknownNameError, UsageError, WeightsError, pipeline, run
from safetensors.torch import save_file

CONFIG = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIG |= {"intermediate_size": 32, "max_position_embeddings": 64, "pad_token_id": 0, "initializer_range": 0.5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fast_tokenizer):
    """A tiny BERT without a head, which takes 64 tokens."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny-encoder"
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(**CONFIG)).save_pretrained(folder)
    fast_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    """The tiny BERT itself."""
    return transformers.AutoModel.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def embed(folder):
    """Our pipeline around the tiny BERT: mean pooling, for it says nothing."""
    return pipeline("embeddings", folder, device="cpu")


@pytest.fixture(scope="module")
def texts(tiny_words):
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(tiny_words, length)) for length in (1, 50, 3, 3, 17, 8, 30)]


@pytest.fixture
def sentence_folder(folder, tmp_path, fast_tokenizer):
    """Makes a folder as sentence-transformers saves it."""

    def make(*steps, pooling=None, model=None, library=None):
        transformers.AutoModel.from_pretrained(folder).save_pretrained(tmp_path)
        fast_tokenizer().save_pretrained(tmp_path)
        modules = [("Transformer", ""), ("Pooling", "1_Pooling"), *steps]
        entries = [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (kind, path) in enumerate(modules)
        ]
        (tmp_path / "1_Pooling").mkdir()
        write(tmp_path / "modules.json", entries)
        write(tmp_path / "1_Pooling" / "config.json", pooling or {"pooling_mode_mean_tokens": True})
        write(tmp_path / "sentence_bert_config.json", model or {})
        write(tmp_path / "config_sentence_transformers.json", library or {})
        return tmp_path

    return make


def write(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")


def token_vectors(model, folder, text, **options):
    """The hidden states of one text, ``(length, hidden)``, by transformers."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt", **options)).last_hidden_state[0]


POOLED = {
    "mean": lambda hidden: hidden.mean(0),
    "cls": lambda hidden: hidden[0],
    "max": lambda hidden: hidden.max(0).values,
    "last": lambda hidden: hidden[-1],
}


@pytest.mark.parametrize("pooling", POOLED)
def test_vectors_are_the_pooled_hidden_states(embed, model, folder, texts, pooling):
    expected = np.stack([POOLED[pooling](token_vectors(model, folder, text)).numpy() for text in texts])
    vectors = embed.embed(texts, pooling=pooling)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    normal = embed.embed(texts, pooling=pooling, normalize=True)
    np.testing.assert_allclose(normal, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_forms_of_input(embed, texts):
    vectors = embed.embed(texts)
    np.testing.assert_allclose(embed(texts[0]), vectors[0], atol=1e-6)
    np.testing.assert_allclose(np.stack(embed(texts)), vectors, atol=1e-6)
    np.testing.assert_allclose(np.stack(list(embed(iter(texts)))), vectors, atol=1e-6)
    np.testing.assert_allclose(embed.embed(texts[0]), vectors[:1], atol=1e-6)
    np.testing.assert_allclose(embed.embed(iter(texts)), vectors, atol=1e-6)
    assert embed.embed([]).shape == (0, 16)


def test_similarities_are_cosines(embed, texts):
    vectors = embed.embed(texts)
    cosines = [float(v @ vectors[0] / np.linalg.norm(v) / np.linalg.norm(vectors[0])) for v in vectors[1:]]
    answer = embed({"source_sentence": texts[0], "sentences": texts[1:]})
    assert answer == pytest.approx(cosines, abs=1e-5)
    assert all(type(score) is float for score in answer)
    assert embed([{"source_sentence": texts[0], "sentences": texts[1:]}] * 2)[1] == pytest.approx(cosines, abs=1e-5)
    assert embed({"text": texts[0], "text_pair": texts[3]}) == pytest.approx(cosines[2], abs=1e-5)
    assert np.ptp(cosines) > 0.1, "the cosines hardly differ, so that comparing them says little"


def test_white_space_around_a_text_is_left_out(piece_tokenizer):
    """As sentence-transformers does; a byte-level tokenizer gives a word after a space another id."""
    tokenizer = piece_tokenizer("byte-bpe")
    config = transformers.BertConfig(**CONFIG | {"vocab_size": len(tokenizer)})
    ours = pipeline("embeddings", transformers.BertModel(config), tokenizer=tokenizer, device="cpu")
    assert tokenizer(" an")["input_ids"] != tokenizer("an")["input_ids"]
    np.testing.assert_allclose(ours(" an \n"), ours("an"), atol=1e-6)


def test_inputs_of_all_forms_share_batches(embed, texts):
    inputs = [
        texts[0],
        {"text": texts[1], "text_pair": texts[2]},
        {"source_sentence": texts[3], "sentences": texts[4:]},
    ]
    together = embed(inputs)
    np.testing.assert_allclose(together[0], embed(inputs[0]), atol=1e-6)
    assert together[1] == pytest.approx(embed(inputs[1]), abs=1e-6)
    assert together[2] == pytest.approx(embed(inputs[2]), abs=1e-6)


def test_of_a_long_text_each_token_counts_once(embed, folder, tiny_words):
    text = " ".join((tiny_words * 9)[:150])
    tokens = np.array(pipeline("feature-extraction", folder, device="cpu")(text))[0]
    assert tokens.shape == (152, 16)
    np.testing.assert_allclose(embed(text), tokens.mean(0), atol=1e-5)
    np.testing.assert_allclose(embed(text, pooling="max"), tokens.max(0), atol=1e-5)


def test_truncation_and_max_length(embed, model, folder, tiny_words):
    text = " ".join((tiny_words * 9)[:150])
    for options, length in (({"truncation": True}, 64), ({"truncation": True, "max_length": 9}, 9)):
        hidden = token_vectors(model, folder, text, truncation=True, max_length=length)
        np.testing.assert_allclose(embed(text, **options), hidden.mean(0).numpy(), atol=1e-5)
    short = " ".join(tiny_words[:7])
    assert len(embed.samples([text], embed.read_options({"max_length": 16}))[0]) == 13
    np.testing.assert_allclose(embed(short, max_length=9), embed(short), atol=1e-6)


def test_a_sentence_transformers_folder_gives_its_own_vectors(sentence_folder, model, folder, texts):
    weight, bias = torch.randn(5, 16, generator=torch.manual_seed(1)), torch.randn(5)
    made = sentence_folder(
        ("Dense", "2_Dense"),
        ("Normalize", "3_Normalize"),
        pooling={"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        model={"max_seq_length": 12, "do_lower_case": True},
        library={"prompts": {"query": "very ", "other": ""}, "default_prompt_name": None},
    )
    (made / "2_Dense").mkdir()
    write(made / "2_Dense" / "config.json", {"activation_function": "torch.nn.modules.activation.Tanh"})
    save_file({"linear.weight": weight, "linear.bias": bias}, made / "2_Dense" / "model.safetensors")
    ours = pipeline("sentence-similarity", made, device="cpu")

    def expected(text):
        hidden = token_vectors(model, folder, text, truncation=True, max_length=12)[0]
        return torch.nn.functional.normalize(torch.tanh(hidden @ weight.T + bias), dim=0).numpy()

    np.testing.assert_allclose(ours.embed(texts, truncation=True), [expected(text) for text in texts], atol=1e-5)
    np.testing.assert_allclose(ours(" GOOD Film "), expected("good film"), atol=1e-5)
    np.testing.assert_allclose(ours("film", prompt_name="query"), expected("very film"), atol=1e-5)
    assert np.linalg.norm(ours("film", normalize=False)) != pytest.approx(1.0, abs=0.01)
    assert len(ours.samples([texts[1]], ours.options)[0]) > 1, "a text over max_seq_length is read in windows"


def test_a_sentence_transformers_repository_is_read_from_the_hub(sentence_folder, monkeypatch, tmp_path, texts):
    from hub_serving import point_at, serving, upload

    made = sentence_folder(("Normalize", "2_Normalize"), pooling={"pooling_mode": "cls"})
    with serving(tmp_path / "store") as hub:
        point_at(hub, tmp_path / "cache", monkeypatch)
        upload(hub, "me/sentences", made)
        ours = pipeline("embeddings", "me/sentences", device="cpu")
    assert (ours.sentences.pooling, ours.sentences.normalize) == ("cls", True)
    np.testing.assert_allclose(ours.embed(texts), pipeline("embeddings", made, device="cpu").embed(texts), atol=1e-6)


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, "max"),
        ({"pooling_mode_lasttoken": True, "include_prompt": True}, "last"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["mean"], "embedding_dimension": 16}, "mean"),
    ],
)
def test_poolings_of_sentence_transformers(sentence_folder, config, pooling):
    ours = pipeline("embeddings", sentence_folder(pooling=config), device="cpu")
    assert (ours.sentences.pooling, ours.sentences.normalize) == (pooling, False)


def test_a_default_prompt_and_dot_products(sentence_folder, texts):
    library = {"prompts": {"document": "the "}, "default_prompt_name": "document", "similarity_fn_name": "dot"}
    ours = pipeline("embeddings", sentence_folder(library=library), device="cpu")
    plain = pipeline("embeddings", ours.checkpoint.model, tokenizer=ours.tokenizer, device="cpu")
    np.testing.assert_allclose(ours(texts[2]), plain(f"the {texts[2]}"), atol=1e-6)
    vectors = ours.embed(texts[:2])
    score = ours({"text": texts[0], "text_pair": texts[1]})
    assert score == pytest.approx(float(vectors[0] @ vectors[1]), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"pooling": {"pooling_mode_weightedmean_tokens": True}},
            "asks for pooling_mode_weightedmean_tokens; expected",
        ),
        ({"pooling": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}}, "asks for pooling_mode_mean"),
        ({"pooling": {"pooling_mode_cls_token": True, "include_prompt": False}}, "leaves prompts out of the pooling"),
        ({"pooling": ["mean"]}, r"1_Pooling/config\.json of checkpoint '.*' is broken, expected a JSON object"),
        ({"library": {"similarity_fn_name": "euclidean"}}, "compares vectors by euclidean, expected cosine or dot"),
    ],
)
def test_what_is_not_known_is_refused(sentence_folder, arguments, words):
    with pytest.raises(WeightsError, match=words):
        pipeline("embeddings", sentence_folder(**arguments), device="cpu")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            ("LSTM", "2_LSTM"),
            "has the step LSTM in '2_LSTM'; expected Transformer in the folder itself, Pooling, Dense",
        ),
        (("Dense", "../../etc"), r"expected folders inside the checkpoint, not '\.\./\.\./etc'"),
        (("Dense", "2_Dense"), r"2_Dense' has no model\.safetensors"),
    ],
)
def test_a_step_that_cannot_be_taken_is_refused(sentence_folder, step, words):
    made = sentence_folder(step)
    (made / "2_Dense").mkdir()
    with pytest.raises(WeightsError, match=words):
        pipeline("embeddings", made, device="cpu")


def test_a_broken_file_is_named(sentence_folder):
    made = sentence_folder()
    (made / "modules.json").write_text("{", encoding="utf-8")
    with pytest.raises(
        WeightsError, match=r"modules\.json of checkpoint '.*' is broken, expected JSON; fetch the check"
    ):
        pipeline("embeddings", made, device="cpu")


def test_a_classifier_of_ours_gives_what_its_last_layer_reads():
    ours = pipeline("embeddings", "sentiment-en", device="cpu")
    texts = ["A gorgeous, witty film.", "Dull."]
    vectors = ours.embed(texts)
    network = ours.checkpoint.model
    with torch.no_grad():
        logits = network.classifier(torch.from_numpy(vectors)).numpy()
        expected = [ours.checkpoint.logits(ours.tokenizer.pad(ours.tokenizer.encode([text])))[0] for text in texts]
    np.testing.assert_allclose(logits, np.stack(expected), atol=1e-4)
    assert not network.classifier._forward_pre_hooks
    with pytest.raises(UsageError, match="classifier with a pooling of its own; leave pooling out"):
        ours.embed(texts, pooling="cls")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "expected a text, got None"),
        (3, "expected a text, got the number 3"),
        ({"source_sentence": "a"}, "expected a dict with 'source_sentence' and a list of at least one as 'sentences'"),
        ({"source_sentence": "a", "sentences": []}, "a list of at least one as 'sentences'"),
        ({"source_sentence": "a", "sentences": "b"}, "a list of at least one as 'sentences'"),
        ({"source_sentence": "a", "sentences": ["b", None]}, "expected a text among 'sentences', got None"),
        ({"source_sentence": 3, "sentences": ["b"]}, "expected a text as 'source_sentence', got the number 3"),
        ({"sentences": ["b"]}, "expected a dict with 'text'"),
    ],
)
def test_a_bad_input_is_named_and_the_others_are_answered(embed, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        embed(["good", item, "bad"])
    answers = embed(["good", item, "bad"], on_error="record")
    assert list(answers[1]) == ["error"]
    np.testing.assert_allclose([answers[0], answers[2]], embed.embed(["good", "bad"]), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"pooling": "sum"}, UsageError, "pooling is 'sum'; expected one of None, mean, cls, max, last"),
        ({"normalize": 3}, UsageError, "normalize is 3; expected one of None, True, False"),
        ({"max_length": 0}, UsageError, "max_length is 0; expected a whole number from 1"),
        ({"prompt_name": "query"}, UsageError, "prompt_name is 'query'; checkpoint 'tiny-encoder' has no prompts"),
        ({"poolin": "cls"}, UnknownNameError, "unknown option 'poolin'; did you mean pooling"),
    ],
)
def test_a_wrong_option_is_named(embed, options, error, words):
    with pytest.raises(error, match=words):
        embed("good", **options)


def test_files_get_vectors_or_scores(embed, tmp_path):
    (tmp_path / "texts.csv").write_text("sentence\ngood film\n", encoding="utf-8")
    (tmp_path / "pairs.csv").write_text("sentence1,sentence2\ngood,bad\n", encoding="utf-8")
    (row,) = run("embeddings", tmp_path / "texts.csv", model=embed).results
    assert list(row) == ["sentence", "vector"]
    assert row["vector"] == pytest.approx(embed("good film").tolist(), abs=1e-6)
    (row,) = run("embeddings", tmp_path / "pairs.csv", model=embed).results
    assert row["score"] == pytest.approx(embed({"text": "good", "text_pair": "bad"}), abs=1e-6)
    run("embeddings", tmp_path / "texts.csv", model=embed, output=tmp_path / "out.parquet")
    import pyarrow.parquet

    (row,) = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert len(row["vector"]) == 16
    assert embed.as_columns([0.5]) == {"scores": [0.5]}


def test_a_text_of_many_windows_is_read_in_flat_memory(embed, tiny_words):
    text = " ".join(tiny_words * 3000)
    (output,) = embed.outputs([text])
    assert len(output.windows) > 500
    assert all(window.shape == (16,) for window in output.windows)
    assert math.isfinite(embed(text).sum())
