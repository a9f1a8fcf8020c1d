import json

import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.encodings import Encoded
from quintet.pipelines.errors import UsageError, WeightsError
from quintet.pipelines.tokenization import TextTokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

# Forty words that are one token each, for a tokenizer of bytes too.
WORDS = [f"w{tens}{ones}" for tens in "abcd" for ones in "abcdefghij"]
TEXTS = [" ".join(WORDS)] * 2


@pytest.fixture(scope="module")
def words():
    """No special tokens around a text; [SEP] between the texts of a pair."""
    return train_tokenizer(TEXTS, "wordlevel", 100, 64)


@pytest.fixture(scope="module")
def bert():
    """[CLS] and [SEP], and token types, as BERT has them."""
    return train_tokenizer(TEXTS, "byte-bpe", 600, 64, has_token_types=True)


def text(start, stop):
    return " ".join(WORDS[start:stop])


def test_texts_are_encoded_whole_whatever_the_file_asks_for(words, tmp_path):
    words.save(tmp_path)
    stored = json.loads((tmp_path / "tokenizer.json").read_text())
    stored["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    stored["padding"] = {
        "strategy": {"Fixed": 50},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(stored))
    again = TextTokenizer.from_folder(tmp_path)
    assert [len(row) for row in again.encode([text(0, 30), "waa"])] == [30, 1]


def test_empty_text_has_no_tokens_and_pads_to_one(words):
    encoded = words.encode([""])
    assert encoded == [Encoded([])]
    batch = words.pad(encoded)
    assert batch["input_ids"].tolist() == [[0]]
    assert batch["attention_mask"].tolist() == [[0]]


def test_padding_is_on_the_right_with_a_mask(bert):
    batch = bert.pad([Encoded([5, 6, 7], [0, 0, 1]), {"input_ids": [8], "token_type_ids": [0]}])
    assert {key: value.dtype for key, value in batch.items()} == dict.fromkeys(
        ("input_ids", "attention_mask", "token_type_ids"), torch.int64
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1], [0, 0, 0]]


def test_a_tokenizer_that_pads_on_the_left_is_honoured(words):
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast(tokenizer_object=words._backend, pad_token="[PAD]", padding_side="left")
    batch = TextTokenizer.from_transformers(theirs).pad([Encoded([5, 6]), Encoded([7])])
    assert batch["input_ids"].tolist() == [[5, 6], [0, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1], [0, 1]]


def test_a_short_text_is_one_window(bert):
    encoded = bert.encode([text(0, 3)])[0]
    assert bert.windows(encoded, len(encoded), 2) == [encoded]


def test_windows_overlap_cover_the_text_and_carry_the_special_tokens(bert):
    encoded = bert.encode([text(0, 23)])[0]
    content, start, end = encoded.input_ids[1:-1], encoded.input_ids[0], encoded.input_ids[-1]
    windows = bert.windows(encoded, 10, 3)
    assert len(windows) == 4  # 8 tokens of text in each, from 0, 5, 10 and, to be full, 15
    assert [window.input_ids for window in windows] == [
        [start, *content[place : place + 8], end] for place in (0, 5, 10, 15)
    ]
    assert all(window.token_type_ids == [0] * 10 for window in windows)


def test_windows_without_special_tokens(words):
    encoded = words.encode([text(0, 9)])[0]
    windows = words.windows(encoded, 4, 1)
    assert [window.input_ids for window in windows] == [encoded.input_ids[place : place + 4] for place in (0, 3, 5)]


@pytest.mark.parametrize("longer_first", [True, False])
def test_of_a_pair_the_longer_text_is_split_and_the_shorter_repeated(bert, longer_first):
    long, short = text(0, 20), text(30, 33)
    first, second = (long, short) if longer_first else (short, long)
    encoded = bert.encode([first], [second])[0]
    alone = {name: bert.encode([name])[0].input_ids[1:-1] for name in (long, short)}
    assert encoded.first_length == len(alone[first])
    windows = bert.windows(encoded, 14, 2)
    start, end = encoded.input_ids[0], encoded.input_ids[-1]
    seen = set()
    for window in windows:
        place = next(at for at in range(20) if alone[long][at : at + 8] == _slice(window, longer_first))
        seen |= set(range(place, place + 8))
        parts = [alone[long][place : place + 8], alone[short]]
        parts = parts if longer_first else parts[::-1]
        assert window.input_ids == [start, *parts[0], end, *parts[1], end]
        assert window.token_type_ids == [0] * (len(parts[0]) + 2) + [1] * (len(parts[1]) + 1)
        assert window.first_length == len(parts[0])
    assert seen == set(range(20))


def _slice(window, longer_first):
    return window.input_ids[1:9] if longer_first else window.input_ids[5:13]


def test_of_two_long_texts_one_is_cut_to_half_the_room(bert):
    encoded = bert.encode([text(0, 20)], [text(20, 40)])[0]
    windows = bert.windows(encoded, 13, 1)
    assert {len(window) for window in windows} == {13}
    assert {tuple(window.input_ids[-6:-1]) for window in windows} == {tuple(encoded.input_ids[22:27])}


def test_windows_without_room_are_refused(bert):
    encoded = bert.encode([text(0, 20)])[0]
    with pytest.raises(UsageError, match="windows of 10 tokens with 8 shared leave no room for new text beside 2"):
        bert.windows(encoded, 10, 8)


def slow_tokenizer(tmp_path):
    """A tokenizer of transformers that is written in Python."""
    from transformers import CanineTokenizer

    return CanineTokenizer()


def test_a_slow_tokenizer_gives_its_own_ids_and_windows(tmp_path):
    theirs = slow_tokenizer(tmp_path)
    assert not theirs.is_fast
    ours = TextTokenizer.from_transformers(theirs)
    single, (pair,) = ours.encode(["abc", "de"]), ours.encode(["abcdefgh"], ["xy"])
    assert [row.input_ids for row in single] == [theirs("abc")["input_ids"], theirs("de")["input_ids"]]
    assert pair.input_ids == theirs("abcdefgh", "xy")["input_ids"]
    assert pair.token_type_ids == theirs("abcdefgh", "xy")["token_type_ids"]
    windows = ours.windows(pair, 9, 1)
    assert [window.input_ids for window in windows] == [
        theirs(part, "xy")["input_ids"] for part in ("abcd", "defg", "efgh")
    ]


def test_a_fast_tokenizer_gives_the_ids_of_its_own_call(bert, tmp_path):
    from transformers import AutoTokenizer

    bert.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = TextTokenizer.from_transformers(theirs, max_length=20)
    assert ours.max_length == 20
    for texts, pairs in (([text(0, 3), ""], None), ([text(0, 3), "waa"], ["wab", ""])):
        expected = theirs(texts) if pairs is None else theirs(texts, pairs)
        encoded = ours.encode(texts, pairs)
        assert [row.input_ids for row in encoded] == expected["input_ids"]
        assert [row.token_type_ids for row in encoded] == expected["token_type_ids"]


def test_no_padding_token_means_end_of_text_or_the_last_id():
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"a": 0, "<end>": 1, "b": 2}, unk_token="a"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    ended = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    assert TextTokenizer.from_transformers(ended).pad_id == 1
    assert TextTokenizer.from_transformers(PreTrainedTokenizerFast(tokenizer_object=backend)).pad_id == 2


def test_saving_keeps_ids_and_no_paths(bert, tmp_path):
    from transformers import AutoTokenizer

    bert.save(tmp_path / "one")
    theirs = TextTokenizer.from_transformers(AutoTokenizer.from_pretrained(tmp_path / "one"))
    files = theirs.save(tmp_path / "two")
    assert [file.name for file in files] == ["tokenizer.json", "tokenizer_config.json"]
    for file in files:
        assert str(tmp_path) not in file.read_text(encoding="utf-8")
    again = TextTokenizer.from_folder(tmp_path / "two")
    assert again.encode([text(0, 5)], ["wac"]) == bert.encode([text(0, 5)], ["wac"])
    assert again.max_length == 64


def test_a_missing_file_is_named(tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    with pytest.raises(WeightsError, match=r"checkpoint 'reviews' has no tokenizer.json; save or fetch"):
        TextTokenizer.from_folder(folder)


@pytest.mark.parametrize(
    ("file", "content", "words_of_error"),
    [
        ("tokenizer.json", "<html>", "tokenizer.json of checkpoint 'reviews' is not a tokenizer"),
        ("tokenizer_config.json", "{", "tokenizer_config.json of checkpoint 'reviews' is not JSON"),
        ("tokenizer_config.json", "{}", "tokenizer_config.json of 'reviews' names no pad_token"),
    ],
)
def test_a_broken_file_is_named(words, tmp_path, file, content, words_of_error):
    words.save(tmp_path / "reviews")
    (tmp_path / "reviews" / file).write_text(content)
    with pytest.raises(WeightsError, match=words_of_error):
        TextTokenizer.from_folder(tmp_path / "reviews")


def test_padding_that_a_tokenizer_asks_for_is_not_taken_for_special_tokens():
    """all-MiniLM-L6-v2 asks for 128 tokens of every text."""
    plain = train_tokenizer(["the cat sat on the mat"], "byte-bpe", 300, 16)
    assert plain.backend is not None
    plain.backend.enable_padding(length=12)
    assert plain.special_counts == {False: (1, 0, 1), True: (1, 1, 1)}
