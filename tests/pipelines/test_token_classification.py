"""Labelling tokens: forms of input, offsets, long texts, lists of words, the light path, files, and what goes wrong."""

import itertools
import json
import time

import datasets
import numpy as np
import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines import DataError, InputError, UsageError, WeightsError, pipeline, run
from quintet.pipelines.checkpoints import Checkpoint, CheckpointConfig
from quintet.pipelines.token_classification import TokenClassificationPipeline
from torch import nn

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TEXT = "Angela Merkel visited Paris, France and Zürich."


class LocalTagger(nn.Module):
    """A network whose logits for a token depend on two tokens on each side, and on no padding."""

    def __init__(self, vocab_size):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(vocab_size, 8)
        self.convolution = nn.Conv1d(8, len(LABELS), 5, padding=2)

    def forward(self, input_ids, attention_mask=None):
        hidden = self.embedding(input_ids)
        if attention_mask is not None:
            hidden = hidden * attention_mask[:, :, None]
        return self.convolution(hidden.mT).mT * 3


def light(tokenizer, network=None, max_length=None, labels=LABELS):
    """A pipeline around a plain network, as it is made for families of our own."""
    tokenizer.max_length = max_length
    config = CheckpointConfig(labels, None, "token-classification", "quintet-test", max_length, {})
    network = (network or LocalTagger(tokenizer.vocab_size)).eval()
    return TokenClassificationPipeline.from_checkpoint(Checkpoint("tiny", None, config, network, tokenizer, light=True))


@pytest.fixture(scope="module")
def words():
    return ["Angela", "Merkel", "visited", "Paris", "and", "London", "in", "May", "with", "Bob"]


@pytest.fixture
def wordlevel(words):
    return train_tokenizer([" ".join(words)], "wordlevel", 100, None)


@pytest.fixture
def byte_bpe(words):
    return train_tokenizer([" ".join(words)] * 3, "byte-bpe", 290, None)


def around(tokenizer, tagger):
    """The tiny tagger's like for another tokenizer."""
    from transformers import BertConfig, BertForTokenClassification

    torch.manual_seed(0)
    config = BertConfig(**{**tagger.model.config.to_dict(), "vocab_size": len(tokenizer)})
    return pipeline("ner", BertForTokenClassification(config), tokenizer=tokenizer, device="cpu")


def random_text(words, length, seed=0):
    return " ".join(np.random.default_rng(seed).choice(words, length))


def assert_alike(answers, others):
    assert len(answers) == len(others)
    for one, other in zip(answers, others, strict=True):
        assert one == {**other, "score": pytest.approx(other["score"], abs=1e-6)}


# ------------------------------------------------------------------------------------------------- forms


def test_a_text_a_list_and_a_stream(tagger):
    one = tagger(TEXT)
    assert list(one[0]) == ["entity", "score", "index", "word", "start", "end"]
    assert tagger([TEXT]) == [one]
    assert tagger((TEXT,)) == [one]
    assert tagger([]) == []
    stream = tagger(text for text in [TEXT])
    assert not isinstance(stream, list)
    assert list(stream) == [one]
    groups = tagger(TEXT, aggregation_strategy="first")
    assert list(groups[0]) == ["entity_group", "score", "word", "start", "end"]
    json.dumps([one, groups])


def test_the_task_is_found_by_its_names_and_by_the_checkpoint(tagger, tagger_folder):
    assert tagger.task == "token-classification"
    for name in ("token-classification", "pos", tagger_folder):
        made = pipeline(name, None if name == tagger_folder else tagger_folder, device="cpu")
        assert made(TEXT) == tagger(TEXT)


def test_list_equals_singles(tagger, words):
    generator = np.random.default_rng(0)
    texts = [random_text(words, length, seed) for seed, length in enumerate(generator.integers(1, 60, 40))]
    for strategy in ("none", "simple", "average"):
        together = tagger(texts, aggregation_strategy=strategy)
        assert sum(map(len, together)) > 100
        for text, answer in zip(texts, together, strict=True):
            assert_alike(tagger(text, aggregation_strategy=strategy), answer)
        for one, other in zip(tagger(texts, aggregation_strategy=strategy, batch_size=7), together, strict=True):
            assert_alike(one, other)


def test_texts_stand_at_the_same_positions_in_every_batch(tagger, tagger_folder, words):
    other = pipeline("ner", tagger_folder, device="cpu")
    other.tokenizer.padding_side = "left"  # as a GPT-2's may be; positions are counted from the left
    texts = [random_text(words, length) for length in (1, 9, 4, 7)]
    for one, wanted in zip(other(texts, batch_size=4), tagger(texts), strict=True):
        assert_alike(one, wanted)


def test_lists_of_words_are_recognised_in_lists_and_streams(tagger):
    lists = [["Angela", "Merkel"], ["Paris"]]
    expected = tagger(lists, is_split_into_words=True)
    assert tagger(lists) == expected
    assert list(tagger(iter(lists))) == expected
    assert tagger([{"tokens": words} for words in lists]) == expected
    assert tagger([lists[0], "Paris"])[1] == tagger("Paris")
    assert tagger(lists[0], is_split_into_words=True) == tagger(lists[:1])
    assert tagger(tuple(lists[0]), is_split_into_words=True) == tagger(lists[:1])
    data = datasets.Dataset.from_dict({"tokens": lists})
    assert list(tagger(data["tokens"])) == expected


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe", "unigram"])
def test_offsets_are_those_of_the_text_as_it_was_given(tagger, piece_tokenizer, kind):
    text = "  Zürich\t👍🏽 cafe\u0301 北京x Paris\u00a0end"
    ours = around(piece_tokenizer(kind), tagger)
    tokens = ours(text, ignore_labels=[])
    starts = [token["start"] for token in tokens]
    assert starts == sorted(starts)
    covered = set()
    for token in tokens:
        covered |= set(range(token["start"], token["end"]))
    left_out = {text[place] for place in range(len(text)) if place not in covered}
    assert left_out <= {" ", "\t", "\u00a0", "\u0301"}
    words = text.split()
    of_words = ours([words], ignore_labels=[])[0]
    joined = " ".join(words)
    for word in ("Zürich", "北京x", "Paris", "end"):
        begin = joined.index(word)
        pieces = [token for token in of_words if begin <= token["start"] < begin + len(word)]
        assert (pieces[0]["start"], pieces[-1]["end"]) == (begin, begin + len(word))


# ------------------------------------------------------------------------------------------------- long texts


@pytest.mark.parametrize("kind", ["wordlevel", "byte_bpe"])
@pytest.mark.parametrize("strategy", ["none", "simple", "max"])
def test_windows_of_a_model_that_looks_near_give_what_the_whole_text_gives(request, words, kind, strategy):
    tokenizer = request.getfixturevalue(kind)
    network = LocalTagger(tokenizer.vocab_size)
    text = random_text(words, 400)
    options = {"aggregation_strategy": strategy, "ignore_labels": []}
    if kind == "byte_bpe":  # its special tokens at the ends of windows are no text: only their like is compared
        network.embedding.weight.data[tokenizer.encode(["a"])[0].input_ids[:: len(tokenizer.encode(["a"])[0]) - 1]] = 0
    whole = light(tokenizer, network)(text, **options)
    assert len(whole) > 50
    windowed = light(tokenizer, network, max_length=34)
    assert len(next(windowed.outputs([text])).windows) > 5
    assert_alike(windowed(text, **options), whole)
    assert_alike(light(tokenizer, network)(text, max_length=34, truncation=False, **options), whole)


def test_tokens_of_a_long_text_count_on_and_stand_where_they_stand(tagger, words):
    text = random_text(words, 200)
    tokens = tagger(text, ignore_labels=[])
    encoded = tagger.tokenizer.encode([text], aligned=True)[0]
    assert len(encoded) > 8 * 48
    assert [token["index"] for token in tokens] == list(range(1, len(encoded) - 1))
    assert [(token["start"], token["end"]) for token in tokens] == encoded.alignment.offsets[1:-1]


def test_a_text_in_pieces_is_one_text(wordlevel, words, monkeypatch):
    pipe = light(wordlevel, max_length=32)
    text = random_text(words, 300)
    whole = pipe(text, aggregation_strategy="simple")
    output = next(pipe.outputs([text]))
    probabilities = pipe.word_probabilities(output)
    monkeypatch.setattr("quintet.pipelines.windows.split_text.__defaults__", (97,))
    assert len(whole) > 20
    assert pipe(text, aggregation_strategy="simple") == whole
    assert np.array_equal(pipe.word_probabilities(next(pipe.outputs([text]))), probabilities)


def test_a_hundred_thousand_words_take_seconds(wordlevel, words):
    pipe = light(wordlevel, max_length=512)
    text = random_text(words, 100_000)
    started = time.perf_counter()
    found = pipe(text, aggregation_strategy="simple")
    seconds = time.perf_counter() - started
    last = light(wordlevel)(text[-2000:], aggregation_strategy="simple")
    assert [entity["word"] for entity in found[-20:]] == [entity["word"] for entity in last[-20:]]
    assert [entity["end"] - len(text) for entity in found[-20:]] == [entity["end"] - 2000 for entity in last[-20:]]
    assert seconds < 60


def test_truncation_reads_the_first_window_alone(tagger, words):
    text = random_text(words, 100)
    assert len(tagger(text, truncation=True, ignore_labels=[])) == 46
    assert len(tagger(text, max_length=10, ignore_labels=[])) == 8
    assert tagger(text, max_length=2, ignore_labels=[]) == []
    assert len(tagger(text, ignore_labels=[])) > 200


# ------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("length", [5, 200])
def test_word_probabilities_are_those_of_first_tokens(tagger, words, length):
    given = [*random_text(words, length).split(), "", "London"]
    (output,) = tagger.outputs([given])
    probabilities = tagger.word_probabilities(output)
    assert probabilities.shape == (len(given), len(LABELS))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities[-2].tolist() == [1, 0, 0, 0, 0]
    assert tagger.word_tags(output) == [LABELS[label] for label in probabilities.argmax(axis=1)]
    if length == 5:
        batch = tagger.tokenizer.transformers_tokenizer([given], is_split_into_words=True, return_tensors="pt")
        numbers = batch.word_ids(0)
        first = [numbers.index(word) for word in range(len(given)) if word in numbers]
        with torch.no_grad():
            expected = tagger.model(**batch).logits[0].softmax(dim=-1)[first].numpy()
        np.testing.assert_allclose(np.delete(probabilities, -2, axis=0), expected, atol=1e-5)
        return
    tokens = tagger([given], ignore_labels=[])[0]
    starts = {token["start"]: token for token in reversed(tokens)}
    place = 0
    for word, row in zip(given, probabilities, strict=True):
        if word:
            assert row.max() == pytest.approx(starts[place]["score"], abs=1e-6)
        place += len(word) + 1


def test_words_cut_off_and_labels_without_an_outside(wordlevel, words):
    pipe = light(wordlevel, labels=("A", "B", "C", "D", "E"))
    (output,) = pipe.outputs([words], max_length=3)
    probabilities = pipe.word_probabilities(output)
    assert len(probabilities) == len(words)
    np.testing.assert_allclose(probabilities[3:], 0.2)
    assert np.abs(probabilities[:3] - 0.2).max() > 0.05


def test_preprocess_gives_each_word_once_with_what_the_pipeline_reads(tagger, words):
    lists = [random_text(words, 90).split(), ["Paris", "", "Bob"]]
    long, short = tagger.preprocess(lists)
    assert len(long) > 5
    assert list(short[0]) == ["input_ids", "words"]
    assert short[0]["input_ids"] == tagger.tokenizer.encode(lists[1:], is_split=True)[0].input_ids
    assert [word for word in short[0]["words"] if word != -1] == [0, 2]
    assert short[0]["words"][0] == short[0]["words"][-1] == -1
    seen = [word for window in long for word in window["words"] if word != -1]
    assert seen == list(range(90))
    probabilities = tagger.word_probabilities(next(tagger.outputs(lists[:1])))
    for window in long:
        assert len(window["words"]) == len(window["input_ids"]) <= 48
        with torch.no_grad():
            rows = tagger.model(torch.tensor([window["input_ids"]])).logits[0].softmax(dim=-1)
        for row, word in zip(rows.numpy(), window["words"], strict=True):
            if word != -1:
                np.testing.assert_allclose(row, probabilities[word], atol=1e-5)
    (cut,), _ = tagger.preprocess(lists, truncation=True)
    assert len(cut["input_ids"]) == 48


def test_token_types_are_given_where_the_model_reads_them(piece_tokenizer, tagger):
    names = ["input_ids", "token_type_ids", "attention_mask"]
    ours = around(piece_tokenizer("wordpiece", model_input_names=names), tagger)
    ((features,),) = ours.preprocess([["Paris"]])
    assert features["token_type_ids"] == [0] * len(features["input_ids"])


# ------------------------------------------------------------------------------------------------- the light path


def test_words_of_a_light_tokenizer_end_at_punctuation(wordlevel):
    pipe = light(wordlevel)
    text = "Bob visited Paris, London."
    found = pipe(text, aggregation_strategy="first", ignore_labels=[])
    assert [text[entity["start"] : entity["end"]] for entity in pipe(text, ignore_labels=[])] == [
        "Bob",
        "visited",
        "Paris",
        ",",
        "London",
        ".",
    ]
    assert {entity["end"] for entity in found} <= {3, 11, 17, 18, 25, 26}
    assert pipe("Bob Xyz", ignore_labels=[])[1]["word"] == "Xyz"  # unknown: as the text has it


@pytest.mark.parametrize("kind", ["wordlevel", "byte_bpe"])
def test_words_of_a_light_tokenizer_get_the_label_of_their_first_token(request, words, kind):
    pipe = light(request.getfixturevalue(kind), labels=("A", "B", "C", "D", "E"))
    text = random_text([*words, "Visiting", "Mayor,", "Bobby."], 60)
    tokens = pipe(text, ignore_labels=[])
    found = pipe(text, aggregation_strategy="first", ignore_labels=[])
    labels = pipe.word_tags(next(pipe.outputs([text])))
    assert [entity["entity_group"] for entity in found] == [label for label, _ in itertools.groupby(labels)]
    assert [entity["word"] for entity in found] == [text[entity["start"] : entity["end"]] for entity in found]
    assert len(found) > 20
    if kind == "byte_bpe":
        assert len(tokens) > len(labels) + 10


# ------------------------------------------------------------------------------------------------- files


def test_a_file_of_word_lists_and_one_of_texts(tagger, tmp_path):
    rows = [{"id": 1, "tokens": ["Angela", "Merkel"]}, {"id": 2, "tokens": []}, {"id": 3, "tokens": ["Paris", None]}]
    lines = tmp_path / "words.jsonl"
    lines.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    summary = run("ner", lines, model=tagger, output=tmp_path / "out.jsonl")
    assert (summary.total, summary.failed) == (3, 1)
    results = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert results[0] == {**rows[0], "entities": tagger([["Angela", "Merkel"]])[0]}
    assert results[1]["entities"] == []
    assert "word 1 of the list is nothing" in results[2]["error"]
    table = tmp_path / "texts.csv"
    table.write_text(f'id,sentence\n1,"{TEXT}"\n', encoding="utf-8")
    (row,) = run("ner", table, model=tagger).results
    assert row["entities"] == tagger(TEXT)
    assert row["sentence"] == TEXT
    run("ner", table, model=tagger, output=tmp_path / "out.csv")
    assert json.loads(next(datasets_rows(tmp_path / "out.csv"))["entities"]) == tagger(TEXT)


@pytest.mark.parametrize("held", [50_000, 2])
def test_a_parquet_file_whose_first_rows_have_no_entity(tagger, tmp_path, monkeypatch, held):
    from quintet.pipelines.record_writers import open_writer
    from quintet.pipelines.records import read_records

    monkeypatch.setattr("quintet.pipelines.record_writers.HELD_ROWS", held)
    rows = [{"id": 1, "entities": []}, {"id": 2, "entities": []}, {"id": 3, "entities": tagger("Paris")}]
    assert rows[2]["entities"]
    path = tmp_path / "out.parquet"
    if held == 2:
        with pytest.raises(DataError, match=r"rows of mixed types cannot be written to parquet .* write jsonl"):
            write_one_by_one(open_writer(path), rows)
        return
    write_one_by_one(open_writer(path), rows)
    assert [record.values for record in read_records(path)] == rows
    write_one_by_one(open_writer(path), rows[:2])
    assert [record.values for record in read_records(path)] == rows[:2]


def write_one_by_one(opened, rows):
    with opened as writer:
        for row in rows:
            writer.write([row])


def datasets_rows(path):
    import csv

    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


# ------------------------------------------------------------------------------------------------- mistakes

BAD = [
    (None, "expected a text or a list of words, got None"),
    (3, r"expected a text or a list of words, got the number 3"),
    (b"good", "got bytes; decode it first"),
    (["Paris", 3], "word 1 of the list is int 3"),
    ([None], "word 0 of the list is nothing"),
    ([["a"]], r"word 0 of the list is list \['a'\]"),
    ({"txt": "a"}, "a list of words, or a dict with one of them as 'tokens', got a dict with 'txt'"),
    ({"tokens": ["a"], "tags": [1]}, "got a dict with 'tokens', 'tags'"),
    ({}, "got a dict with no keys"),
    ("a \ud83d b", "the text is not valid Unicode"),
    (["a", "\udce9"], "the text is not valid Unicode"),
    ({"tokens": "Paris", "offset_mapping": [(0, 1)]}, r"offset_mapping has the shape \(1, 2\), expected a pair"),
    ({"tokens": "Paris", "offset_mapping": "no"}, "offset_mapping has the shape"),
]


@pytest.mark.parametrize(("item", "words"), BAD)
def test_a_bad_item_is_named_and_the_others_are_answered(tagger, item, words):
    with pytest.raises(InputError, match=f"^input 1: .*{words}") as caught:
        tagger([TEXT, item, "Paris"])
    assert caught.value.index == 1
    answers = tagger([TEXT, item, "Paris"], on_error="record")
    assert list(answers[1]) == ["error"]
    assert_alike(answers[0], tagger(TEXT))
    assert_alike(answers[2], tagger("Paris"))


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_a_text_without_tokens(tagger, wordlevel, text):
    assert tagger(text) == []
    assert tagger([text, "Paris"])[1] == tagger("Paris")
    assert tagger(text, aggregation_strategy="average", stride=3) == []
    with pytest.raises(InputError, match="the text has no token: it is empty, or blank; leave it out"):
        light(wordlevel)(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aggregation": "first"}, "unknown option 'aggregation'; did you mean aggregation_strategy"),
        ({"aggregation_strategy": "best"}, "aggregation_strategy is 'best'; expected one of none, simple, first, aver"),
        ({"ignore_labels": [1]}, r"ignore_labels is \[1\]; expected labels, for instance \['O'\]"),
        ({"delimiter": 3}, "delimiter is 3; expected a text"),
        ({"stride": -1, "aggregation_strategy": "first"}, "stride is -1; expected a number of tokens from 0"),
        ({"stride": 4}, "stride merges the entities of windows, but aggregation_strategy is 'none'"),
        (
            {"stride": 4, "aggregation_strategy": "max", "truncation": True},
            "truncation=True cuts it; leave one of them",
        ),
        ({"truncation": "yes"}, "truncation is 'yes'; expected one of True, False, None"),
        ({"max_length": 0}, "max_length is 0; expected a whole number from 1"),
        ({"is_split_into_words": "yes"}, "is_split_into_words is 'yes'; expected one of True, False"),
        ({"max_length": 1, "truncation": True}, "max_length is 1, which has no room for the 2 special tokens"),
        (
            {"max_length": 2, "truncation": False},
            "windows of 2 tokens have room for 0 beside the special ones, of which",
        ),
        ({"stride": 46, "aggregation_strategy": "max"}, "windows of 48 tokens have room for 46 .* which 46 are shared"),
        ({"offset_mapping": []}, "offset_mapping is for 0 inputs, but there are 1"),
    ],
)
def test_a_wrong_option_is_named(tagger, words, options):
    text = random_text(["Paris", "Bob"], 100)
    with pytest.raises(UsageError, match=words):
        tagger([text], **options)


def test_offsets_are_about_one_call(tagger, tagger_folder):
    with pytest.raises(UsageError, match="offset_mapping is about the texts of one call; give it in that call"):
        pipeline("ner", tagger_folder, device="cpu", offset_mapping=[(0, 1)])
    with pytest.raises(UsageError, match="offset_mapping goes with a text or a list of texts"):
        tagger(iter(["Paris"]), offset_mapping=[(0, 1)])


def test_a_text_where_words_are_expected(tagger):
    with pytest.raises(InputError, match="is_split_into_words is set, but a text was given where a list of words is"):
        tagger("Angela Merkel", is_split_into_words=True)


def test_a_tokenizer_that_exists_in_python_only(tagger):
    import transformers

    ours = around(transformers.ByT5Tokenizer(model_max_length=40), tagger)
    assert ours("Paris", ignore_labels=[])[0]["start"] is None
    with pytest.raises(UsageError, match="does not say where its tokens stand in the text, which stride and the strat"):
        ours("Paris", aggregation_strategy="first")
    with pytest.raises(UsageError, match="does not say where its tokens stand in the text, which the task needs"):
        ours([["Paris"]])
    with pytest.raises(UsageError, match="does not say which words its tokens belong to"):
        ours.word_probabilities(next(ours.outputs(["Paris"])))


def test_a_model_whose_output_is_not_finite(wordlevel, words):
    network = LocalTagger(wordlevel.vocab_size)
    bad = wordlevel.encode(["May"])[0].input_ids[0]
    network.embedding.weight.data[bad] = float("nan")
    pipe = light(wordlevel, network)
    answers = pipe(["Angela", "in May", "Bob"], on_error="record")
    assert "not finite" in answers[1]["error"]
    assert isinstance(answers[0], list)
    with pytest.raises(InputError, match="input 1: the model's output is not finite"):
        pipe(["Angela", "in May", "Bob"])


def test_a_checkpoint_without_a_trained_head_says_train_it_first(tagger, tmp_path):
    tagger.model.base_model.save_pretrained(tmp_path / "body")
    tagger.tokenizer.save(tmp_path / "body")
    with pytest.raises(
        WeightsError, match=r"'body' has no trained token classifier .* quintet finetune ner --model body"
    ):
        pipeline("ner", tmp_path / "body", device="cpu")
    with pytest.raises(UsageError, match="was trained for text-classification, not for token-classification"):
        pipeline("ner", "sentiment-en", device="cpu")


def test_a_classifier_of_texts_is_no_tagger(bert_folder):
    """Its head has the same name and shape, and transformers would load it."""
    words = "checkpoint 'tiny-bert' was trained for text-classification, not for token-classification; use it with"
    with pytest.raises(UsageError, match=words):
        pipeline("ner", bert_folder, device="cpu")
