import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.errors import DataError, UsageError

TEXTS = ["A gorgeous, witty film.", "A dull film, don't!", "酒店很好，服务不错。", "酒店太脏", "Café 2024 🙂"]


def tokens(tokenizer, text, pair=None):
    """The tokens of a text as they are in the saved vocabulary."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        vocabulary = json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    by_id = {index: token for token, index in vocabulary.items()}
    return [by_id[index] for index in tokenizer.encode([text], None if pair is None else [pair])[0].input_ids]


def test_words_are_lower_case_and_chinese_characters_stand_alone():
    tokenizer = train_tokenizer(TEXTS, "wordlevel", 100, 32)
    assert tokens(tokenizer, "A GORGEOUS film，酒店好 Zebra café") == [
        *["a", "gorgeous", "film", "，", "酒", "店", "好", "[UNK]", "cafe"]
    ]


def test_words_of_a_pair_are_joined_by_the_separator():
    tokenizer = train_tokenizer(TEXTS, "wordlevel", 100, 32)
    assert tokens(tokenizer, "a film", "dull") == ["a", "film", "[SEP]", "dull"]


def test_bytes_know_every_text():
    tokenizer = train_tokenizer(TEXTS, "byte-bpe", 300, 32, has_token_types=True)
    for text in ("Zebra", "房间", "\U0001f600", "ÿ"):
        pieces = tokens(tokenizer, text)[1:-1]
        assert len("".join(pieces)) == len(f" {text}".encode())  # a letter for each byte
    encoded = tokenizer.encode(["a"], ["a"])[0]
    assert tokens(tokenizer, "a", "a") == ["[CLS]", "Ġa", "[SEP]", "Ġa", "[SEP]"]
    assert encoded.token_type_ids == [0, 0, 0, 1, 1]


def test_chinese_bytes_are_merged_into_characters_and_words():
    tokenizer = train_tokenizer(["酒店很好"] * 5, "byte-bpe", 300, 32)
    assert len(tokenizer.encode(["酒店很好"])[0]) == 3  # [CLS], one merged piece, [SEP]


def test_padding_has_id_zero_and_the_limits_are_kept():
    for kind in ("wordlevel", "byte-bpe"):
        tokenizer = train_tokenizer(TEXTS, kind, 270, 32)
        assert tokenizer.pad_id == 0
        assert tokenizer.max_length == 32
        assert tokenizer.vocab_size <= 270


def test_rare_words_are_unknown_where_there_are_many_texts():
    many = ["often seen"] * 1000 + ["once"]
    tokenizer = train_tokenizer(many, "wordlevel", 100, 32)
    assert tokens(tokenizer, "often once") == ["often", "[UNK]"]
    assert tokens(train_tokenizer(["often", "once"], "wordlevel", 100, 32), "often once") == ["often", "once"]


def test_texts_are_read_once_as_a_stream():
    read = []

    def stream():
        for text in ["some text"] * 1500:
            read.append(text)
            yield text

    train_tokenizer(stream(), "byte-bpe", 270, 32)
    assert len(read) == 1500


TRAIN = """
import hashlib, sys, tempfile
from pathlib import Path
from quintet.finetune.tokenizer_training import train_tokenizer
# Every word is seen twice: all of them tie.
texts = [f"wort{i} 词{chr(0x4e00 + i)} pair{i % 50}" for i in range(600)] * 2
for kind in ("wordlevel", "byte-bpe"):
    with tempfile.TemporaryDirectory() as folder:
        train_tokenizer(texts, kind, 500, 32).save(Path(folder))
        for file in ("tokenizer.json", "tokenizer_config.json"):
            print(hashlib.sha256(Path(folder, file).read_bytes()).hexdigest())
"""


def test_the_files_are_the_same_from_every_process():
    digests = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": "true"}
        done = subprocess.run(
            [sys.executable, "-c", TRAIN], env=environment, capture_output=True, text=True, check=True
        )
        digests.append(done.stdout.split())
    assert len(set(digests[0])) >= 3
    assert digests[0] == digests[1]
    assert hashlib.sha256(b"").hexdigest() not in digests[0]


def test_autotokenizer_gives_the_same_ids(tmp_path):
    from transformers import AutoTokenizer

    for kind, has_token_types in (("wordlevel", False), ("byte-bpe", True)):
        ours = train_tokenizer(TEXTS, kind, 300, 32, has_token_types=has_token_types)
        ours.save(tmp_path / kind)
        theirs = AutoTokenizer.from_pretrained(tmp_path / kind)
        assert theirs.model_max_length == 32
        for text, pair in (("A witty film, don't!", None), ("房间", "酒店很好"), ("", None)):
            arguments = [text] if pair is None else [text, pair]
            given = theirs(*arguments)
            encoded = ours.encode([text], None if pair is None else [pair])[0]
            assert given["input_ids"] == encoded.input_ids
            assert given.get("token_type_ids") == encoded.token_type_ids


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_no_texts_are_an_error(texts):
    with pytest.raises(DataError, match="there are no texts to train a tokenizer on; expected at least one"):
        train_tokenizer(texts, "wordlevel", 100, 32)


def test_a_vocabulary_without_room_for_the_bytes_is_an_error():
    with pytest.raises(UsageError, match="vocab_size is 100, expected at least 260 for a byte-bpe tokenizer"):
        train_tokenizer(TEXTS, "byte-bpe", 100, 32)


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(UsageError, match="tokenizer kind is 'unigram', expected one of wordlevel, byte-bpe"):
        train_tokenizer(TEXTS, "unigram", 100, 32)
