"""Filling masks: the same calls and values as transformers, long texts, targets, and what can be wrong."""

import json
import warnings

import numpy as np
import pytest
import torch
import transformers
from quintet.pipelines import InputError, UnknownNameError, UsageError, pipeline, run

SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = SIZES | {"intermediate_size": 32, "max_position_embeddings": 66, "pad_token_id": 0, "initializer_range": 0.5}

# name: (configuration class, its arguments, whether the tokenizer is the byte-level one)
ARCHITECTURES = {
    "bert": (transformers.BertConfig, BERT, False),
    "roberta": (
        transformers.RobertaConfig,
        BERT | {"type_vocab_size": 1, "vocab_size": 700, "max_position_embeddings": 202},
        True,
    ),
    "distilbert": (
        transformers.DistilBertConfig,
        {"vocab_size": 40, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "initializer_range": 0.5},
        False,
    ),
    "albert": (transformers.AlbertConfig, BERT | {"embedding_size": 8}, False),
    "electra": (transformers.ElectraConfig, BERT | {"embedding_size": 8}, False),
}


pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, fast_tokenizer, piece_tokenizer):
    """A checkpoint of each architecture, as transformers saves it."""
    root = tmp_path_factory.mktemp("masked")
    for name, (config_class, arguments, is_byte_level) in ARCHITECTURES.items():
        torch.manual_seed(0)
        config = config_class(**arguments)
        transformers.AutoModelForMaskedLM.from_config(config).eval().save_pretrained(root / name)
        if is_byte_level:
            mask = transformers.AddedToken("<mask>", lstrip=True, special=True)
            tokenizer = piece_tokenizer("byte-bpe", mask_token=mask, model_max_length=200)
        else:
            tokenizer = fast_tokenizer(mask_token="[MASK]")
        tokenizer.save_pretrained(root / name)
    return root


@pytest.fixture(scope="module")
def fill(folders):
    """Our pipeline around the tiny BERT, which takes 64 tokens."""
    return pipeline("fill-mask", folders / "bert", device="cpu")


def both(folders, name, **settings):
    theirs = transformers.pipeline("fill-mask", model=str(folders / name), device="cpu", **settings)
    return theirs, pipeline("fill-mask", folders / name, device="cpu", **settings)


def assert_alike(ours, theirs):
    """The same nesting, words and texts; scores to 1e-5."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_alike(one, other)
    else:
        assert list(ours) == list(theirs) == ["score", "token", "token_str", "sequence"]
        assert ours | {"score": 0} == theirs | {"score": 0}
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_calls_give_what_transformers_gives(folders, name):
    theirs, ours = both(folders, name)
    mask = theirs.tokenizer.mask_token
    words = ["good", "bad", "film", "plot", "the", "witty"]
    texts = [f"a {mask} film", f"{mask}", f"the {mask} and {mask} plot", " ".join([*words * 5, mask, *words]), mask * 3]
    assert_alike(ours(texts[0]), theirs(texts[0]))
    assert_alike(ours(texts[2]), theirs(texts[2]))
    assert_alike(ours(texts[:1]), theirs(texts[:1]))
    assert_alike(ours(texts[2:3], top_k=2), theirs(texts[2:3], top_k=2))
    assert_alike(ours(texts), theirs(texts))
    assert_alike(ours(texts, batch_size=2, top_k=3), theirs(texts, batch_size=1, top_k=3))
    assert_alike(list(ours(iter(texts))), list(theirs(text for text in texts)))
    vocabulary = list(theirs.tokenizer.get_vocab())
    for targets in (vocabulary[9], vocabulary[5:15], [vocabulary[9], vocabulary[9], vocabulary[7]]):
        assert_alike(ours(texts, targets=targets), theirs(texts, targets=targets))
    scores = [answer[0]["score"] for answer in ours([texts[0], texts[1], texts[3]])]
    assert np.ptp(scores) > 1e-3, "the scores hardly differ, so that comparing them says little"


def test_settings_of_the_pipeline_and_of_the_call(folders):
    theirs, ours = both(folders, "bert", top_k=2, targets=["good", "bad", "film"])
    text = "a [MASK] film"
    assert_alike(ours(text), theirs(text))
    assert_alike(ours(text, top_k=1), theirs(text, top_k=1))
    assert_alike(ours(text, targets=["plot", "witty"]), theirs(text, targets=["plot", "witty"]))
    assert_alike(ours(text, top_k=None), theirs(text, top_k=None))


def test_tokenizer_kwargs(folders):
    theirs, ours = both(folders, "bert")
    long = "a [MASK] film " + "very good plot " * 60
    options = {"tokenizer_kwargs": {"truncation": True}}
    assert_alike(ours(long, **options), theirs(long, **options))
    options = {"tokenizer_kwargs": {"truncation": True, "max_length": 9, "padding": "max_length"}}
    assert_alike(ours([long, "[MASK] plot"], **options), theirs([long, "[MASK] plot"], **options))
    options = {"tokenizer_kwargs": {"add_special_tokens": False}}
    assert_alike(ours("a [MASK] film", **options), theirs("a [MASK] film", **options))


def test_a_batch_of_mixed_lengths_equals_singles(fill, tiny_words):
    generator = np.random.default_rng(0)
    texts = []
    for _ in range(40):
        words = list(generator.choice(tiny_words, generator.integers(1, 100)))
        for place in generator.integers(0, len(words), generator.integers(1, 3)):
            words[place] = "[MASK]"
        texts.append(" ".join(words))
    for text, answer in zip(texts, fill(texts), strict=True):
        assert_alike(answer, fill(text))


def test_a_stream_is_read_lazily(fill):
    read = []

    def texts():
        for number in range(100):
            read.append(number)
            yield "a [MASK] film"

    answers = fill(texts())
    assert next(answers) == fill("a [MASK] film")
    assert len(read) == 1


def window_scores(folders, ids, place):
    """Probabilities of all words at a place, of ids as they stand."""
    model = transformers.AutoModelForMaskedLM.from_pretrained(folders / "bert")
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0, place].softmax(-1)


def test_of_a_long_text_a_window_around_each_mask_is_read(fill, folders, tiny_words):
    words = (tiny_words * 9)[:150]
    places = [0, 70, 149]
    for place in places:
        words[place] = "[MASK]"
    text = " ".join(words)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / "bert")
    ids = tokenizer(text)["input_ids"]  # 152 of them; the model takes 64, two of them special
    answers = fill(text)
    assert len(answers) == 3
    for place, answer in zip(places, answers, strict=True):
        start = min(max(1 + place - 31, 1), 151 - 62)
        window = [ids[0], *ids[start : start + 62], ids[-1]]
        scores = window_scores(folders, window, 1 + (1 + place - start))
        assert [word["token"] for word in answer] == scores.topk(5).indices.tolist()
        assert [word["score"] for word in answer] == pytest.approx(scores.topk(5).values.tolist(), abs=1e-5)
        filled = [*words[:place], answer[0]["token_str"], *words[place + 1 :]]
        assert answer[0]["sequence"].split() == tokenizer.decode(tokenizer(" ".join(filled))["input_ids"]).split()


def test_a_text_that_just_fits_is_read_whole(folders, tiny_words):
    theirs, ours = both(folders, "bert")
    words = (tiny_words * 9)[:62]
    words[0] = "[MASK]"
    assert_alike(ours(" ".join(words)), theirs(" ".join(words)))


def test_only_the_wanted_words_wait_in_memory(fill):
    (output,) = fill.outputs(["a [MASK] and [MASK] film"], top_k=3)
    assert [window.shape for window in output.windows] == [(2, 3)]


def test_batches_are_smaller_where_the_vocabulary_is_large(fill, monkeypatch):
    from quintet.pipelines import fill_mask

    assert fill.limits.budget == 2048
    monkeypatch.setattr(fill_mask, "CPU_LOGITS", 40 * 100)
    assert fill._automatic_limits().budget == 100


def test_a_target_of_several_tokens_stands_for_its_first_one_with_a_warning(folders):
    theirs, ours = both(folders, "roberta")
    vocabulary = theirs.tokenizer.get_vocab()
    assert "Wonderful" not in vocabulary
    with pytest.warns(
        UserWarning, match="target 'Wonderful' is no single token of 'roberta'; its first piece 'W' stan"
    ):
        answers = ours("a <mask> film", targets=["Wonderful", "a"])
    assert_alike(answers, theirs("a <mask> film", targets=["Wonderful", "a"]))


def test_a_known_target_gives_no_warning(fill):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [word["token_str"] for word in fill("a [MASK] film", targets="good")] == ["good"]


def test_a_target_without_a_token_is_left_out(fill):
    with pytest.warns(UserWarning, match="the target ' ' is no single token of 'bert'; left out"):
        assert len(fill("a [MASK] film", targets=[" ", "good"])) == 1
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(UsageError, match="targets is ' ', none of which 'bert' knows; give words of its vocabulary"),
    ):
        fill("a [MASK] film", targets=" ")


def test_a_text_without_a_mask_says_what_the_mask_is(fill, folders):
    with pytest.raises(
        InputError, match=r"^input 1: the text has no mask; write \[MASK\] where a word is to be filled"
    ):
        fill(["a [MASK] film", "a <mask> film"])
    ours = pipeline("fill-mask", folders / "roberta", device="cpu")
    with pytest.raises(InputError, match="the text has no mask; write <mask> where a word is to be filled in"):
        ours("a [MASK] film")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "expected a text, got None"),
        (3, "expected a text, got the number 3"),
        ("", "the text has no mask"),
        ({"text": "a [MASK]", "text_pair": "b"}, "expected one text, got a pair of texts; give each text by itself"),
        ("good \ud83d [MASK]", "the text is not valid Unicode"),
    ],
)
def test_a_bad_text_is_named_and_the_others_are_answered(fill, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}"):
        fill(["[MASK]", item, "a [MASK]"])
    answers = fill(["[MASK]", item, "a [MASK]"], on_error="record")
    assert list(answers[1]) == ["error"]
    assert_alike([answers[0], answers[2]], [fill("[MASK]"), fill("a [MASK]")])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"top_k": 0}, UsageError, "top_k is 0; expected a whole number from 1"),
        ({"targets": 3}, UsageError, "targets is 3; expected a word or a list of words"),
        ({"targets": [3]}, UsageError, r"targets is \[3\]; expected a word or a list of words"),
        ({"targets": []}, UsageError, r"targets is \[\], none of which 'bert' knows"),
        ({"tokenizer_kwargs": True}, UsageError, "tokenizer_kwargs is True; expected a dict, for instance"),
        ({"tokenizer_kwargs": {"max_length": "x"}}, UsageError, "the tokenizer does not take the arguments"),
        ({"topk": 1}, UnknownNameError, "unknown option 'topk'; did you mean top_k"),
    ],
)
def test_a_wrong_option_is_named(fill, options, error, words):
    with pytest.raises(error, match=words):
        fill("a [MASK] film", **options)


def test_more_words_than_there_are_gives_all(fill):
    assert len(fill("a [MASK] film", top_k=1000)) == 40


def test_a_tokenizer_without_a_mask_is_refused(folders, tmp_path, fast_tokenizer):
    model = transformers.AutoModelForMaskedLM.from_pretrained(folders / "bert")
    model.save_pretrained(tmp_path)
    fast_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="has no mask token; use a checkpoint that was trained to fill masks, such as"):
        pipeline("fill-mask", tmp_path, device="cpu")


def test_a_classifier_is_refused(bert_folder):
    from quintet.pipelines import WeightsError

    with pytest.raises(WeightsError, match="has no trained head for masked words"):
        pipeline("fill-mask", bert_folder, device="cpu")


def test_a_file_gets_the_best_word_the_filled_text_and_all_candidates(fill, tmp_path):
    (tmp_path / "texts.csv").write_text("sentence\na [MASK] film\nno mask\n[MASK] and [MASK]\n", encoding="utf-8")
    summary = run("fill-mask", tmp_path / "texts.csv", model=fill, output=tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    best = fill("a [MASK] film")
    assert (summary.total, summary.failed) == (3, 1)
    assert list(rows[0]) == ["sentence", "token_str", "score", "sequence", "candidates"]
    assert (rows[0]["token_str"], rows[0]["sequence"]) == (best[0]["token_str"], best[0]["sequence"])
    assert [word["token"] for word in rows[0]["candidates"]] == [word["token"] for word in best]
    assert "the text has no mask" in rows[1]["error"]
    assert [len(words) for words in rows[2]["candidates"]] == [5, 5]
