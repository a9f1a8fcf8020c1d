"""Vectors of tokens: the same calls and values as transformers, any encoder, long texts, and what can be wrong."""

import json

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import InputError, UnknownNameError, UsageError, pipeline, run
from quintet.pipelines.encodings import Encoded
from quintet.pipelines.tokenization import TextTokenizer
from quintet.pipelines.windows import counted_windows

SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = SIZES | {"intermediate_size": 32, "max_position_embeddings": 66, "pad_token_id": 0, "initializer_range": 0.3}
BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
BART |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 40}

# name: (configuration class, its arguments, the Auto class that it is saved by, the tokenizer's arguments)
ARCHITECTURES = {
    "bert": (transformers.BertConfig, BERT, "AutoModel", {}),
    "classifier": (transformers.BertConfig, BERT, "AutoModelForSequenceClassification", {}),
    "distilbert": (
        transformers.DistilBertConfig,
        {"vocab_size": 40, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "initializer_range": 0.3},
        "AutoModelForMaskedLM",
        {"model_input_names": ["input_ids", "attention_mask"]},
    ),
    "gpt2": (
        transformers.GPT2Config,
        {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 66, "pad_token_id": 0},
        "AutoModelForCausalLM",
        {"single": "", "padding_side": "left", "model_input_names": ["input_ids", "attention_mask"]},
    ),
    "bart": (
        transformers.BartConfig,
        BART | {"max_position_embeddings": 66, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
        "AutoModel",
        {"model_input_names": ["input_ids", "attention_mask"]},
    ),
}


pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, fast_tokenizer):
    """A checkpoint of each architecture, as transformers saves it."""
    root = tmp_path_factory.mktemp("encoders")
    for name, (config_class, arguments, auto_class, tokenizer_arguments) in ARCHITECTURES.items():
        torch.manual_seed(0)
        model = getattr(transformers, auto_class).from_config(config_class(**arguments)).eval()
        model.save_pretrained(root / name)
        fast_tokenizer(**tokenizer_arguments).save_pretrained(root / name)
    return root


@pytest.fixture(scope="module")
def extract(folders):
    """Our pipeline around the tiny BERT, which takes 64 tokens."""
    return pipeline("feature-extraction", folders / "bert", device="cpu")


@pytest.fixture(scope="module")
def texts(tiny_words):
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(tiny_words, length)) for length in (1, 50, 3, 3, 17, 8, 30)]


def assert_alike(ours, theirs):
    """Nested lists of the same lengths, with the same numbers to 1e-5."""
    if isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
    else:
        assert isinstance(ours, float)
        assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_calls_give_what_transformers_gives(folders, texts, name):
    theirs = transformers.pipeline("feature-extraction", model=str(folders / name), device="cpu")
    ours = pipeline("feature-extraction", folders / name, device="cpu")
    assert_alike(ours(texts[4]), theirs(texts[4]))
    assert_alike(ours(texts[:1]), theirs(texts[:1]))
    assert_alike(ours(texts), theirs(texts))
    assert_alike(ours(texts, batch_size=3), theirs(texts))
    assert_alike(list(ours(iter(texts))), list(theirs(text for text in texts)))
    tensor = ours(texts[1], return_tensors=True)
    assert isinstance(tensor, torch.Tensor)
    torch.testing.assert_close(tensor, theirs(texts[1], return_tensors=True), atol=1e-5, rtol=0)
    long = " ".join(texts)
    assert_alike(ours(long, truncation=True), theirs(long, truncation=True))
    options = {"tokenize_kwargs": {"truncation": True, "max_length": 7}}
    assert_alike(ours([long, texts[2]], **options), theirs([long, texts[2]], **options))
    assert np.ptp(np.array(ours(texts[1]))) > 0.1, "the numbers hardly differ, so that comparing them says little"


def test_a_live_model_with_a_head_gives_what_its_folder_gives(folders, texts):
    live = transformers.AutoModelForSequenceClassification.from_pretrained(folders / "classifier")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / "classifier")
    ours = pipeline("feature-extraction", live, tokenizer=tokenizer, device="cpu")
    assert_alike(ours(texts), pipeline("feature-extraction", folders / "classifier", device="cpu")(texts))


def test_each_token_of_a_long_text_has_its_vector_once(extract, folders, tiny_words):
    """Windows of 64 tokens, 62 of them text, share 8; the first half of these counts in the first window."""
    words = (tiny_words * 9)[:150]
    vectors = np.array(extract(" ".join(words)))
    assert vectors.shape == (1, 152, 16)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / "bert")
    model = transformers.AutoModel.from_pretrained(folders / "bert")
    ids = tokenizer(" ".join(words))["input_ids"]
    expected = []
    for start, first, last in ((0, 0, 59), (54, 59, 103), (88, 103, 152)):  # starts in the text, places in ids
        window = [ids[0], *ids[1 + start : 63 + start], ids[-1]]
        with torch.no_grad():
            hidden = model(torch.tensor([window])).last_hidden_state[0]
        expected.append(hidden[first - start : last - start])
    np.testing.assert_allclose(vectors[0], torch.cat(expected).numpy(), atol=1e-5)


@pytest.mark.parametrize("count", [62, 63, 64, 100, 116, 117, 150, 171, 500])
def test_each_token_counts_in_one_window(fast_tokenizer, count):
    tokenizer = TextTokenizer.from_transformers(fast_tokenizer())
    ids = [2, *range(100, 100 + count), 3]
    windows = counted_windows(tokenizer, Encoded(ids), 64, 8)
    assert [token for window, counted in windows for token in window.input_ids[counted]] == ids
    assert all(len(window) <= 64 for window, _ in windows)
    assert len(windows) == (1 if count <= 62 else 1 + -(-(count - 62) // 54))


def test_a_stream_is_read_lazily(extract):
    read = []

    def texts():
        for number in range(100):
            read.append(number)
            yield "a good film"

    assert_alike(next(extract(texts())), extract("a good film"))
    assert len(read) == 1


def test_texts_whose_vectors_are_large_are_not_read_far_ahead(extract):
    assert extract.size("a" * 1000) == 1000
    extract.checkpoint.model.config.hidden_size = 768
    try:
        assert extract.size("a" * 1000) == 12000
    finally:
        extract.checkpoint.model.config.hidden_size = 16


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "expected a text, got None"),
        (3, "expected a text, got the number 3"),
        ({"text": "a", "text_pair": "b"}, "expected one text, got a pair of texts; give each text by itself"),
        ({"txt": "a"}, "expected a dict with 'text'"),
    ],
)
def test_a_bad_text_is_named_and_the_others_are_answered(extract, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        extract(["good", item, "bad"])
    answers = extract(["good", item, "bad"], on_error="record")
    assert list(answers[1]) == ["error"]
    assert_alike([answers[0], answers[2]], extract(["good", "bad"]))


def test_a_text_without_a_token_is_an_error(folders):
    ours = pipeline("feature-extraction", folders / "gpt2", device="cpu")
    with pytest.raises(InputError, match="input 1: the text has no token: it is empty, or blank; leave it out"):
        ours(["good", " "])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"truncation": 3}, UsageError, "truncation is 3; expected one of True, False"),
        ({"return_tensors": "np"}, UsageError, "return_tensors is 'np'; expected one of True, False, pt"),
        ({"tokenize_kwargs": 3}, UsageError, "tokenize_kwargs is 3; expected a dict"),
        ({"tokenize_kwargs": {"truncation": True}, "truncation": True}, UsageError, "truncation was given twice"),
        ({"poolin": "cls"}, UnknownNameError, "unknown option 'poolin'"),
    ],
)
def test_a_wrong_option_is_named(extract, options, error, words):
    with pytest.raises(error, match=words):
        extract("a good film", **options)


def test_a_family_of_our_own_has_no_vectors_of_tokens():
    with pytest.raises(
        UsageError, match=r"gives no vectors of tokens; for one vector of a text use pipeline\('sentence"
    ):
        pipeline("feature-extraction", "sentiment-en", device="cpu")


def test_a_file_gets_a_column_of_vectors(extract, tmp_path):
    (tmp_path / "texts.txt").write_text("a good film\nbad\n", encoding="utf-8")
    run("feature-extraction", tmp_path / "texts.txt", model=extract, output=tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [list(row) for row in rows] == [["text", "vector"]] * 2
    assert np.array(rows[0]["vector"]).shape == (5, 16)
    assert_alike(rows[1]["vector"], extract("bad")[0])
    assert extract.as_columns(extract("bad", return_tensors=True))["vector"] == extract("bad")[0]
