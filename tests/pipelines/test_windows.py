"""Long texts: windows, pieces, merging."""

import numpy as np
import pytest
import torch
from quintet.pipelines.windows import PIECE_CHARACTERS, encode_cut, merge_windows, split_text


def test_pieces_join_to_the_text_and_break_at_white_space():
    text = "some words of text " * 50
    pieces = split_text(text, 100)
    assert "".join(pieces) == text
    assert len(pieces) > 9
    assert all(len(piece) <= 100 for piece in pieces)
    assert all(piece.startswith(" ") for piece in pieces[1:])


def test_text_without_white_space_is_cut_anywhere():
    text = "好" * 2500
    pieces = split_text(text, 1000)
    assert [len(piece) for piece in pieces] == [1000, 1000, 500]


def test_answers_of_windows_are_weighted_by_length():
    merged = merge_windows([np.array([0.9, 0.1], np.float32), np.array([0.2, 0.8], np.float32)], [60, 20])
    np.testing.assert_allclose(merged, [0.725, 0.275], rtol=1e-6)
    assert merged.dtype == np.float32


def test_a_long_text_is_read_in_windows_and_merged(bert):
    text = "good film " * 60 + "dull plot " * 60
    answer = bert([text], return_windows=True)[0]
    windows = answer["windows"]
    assert len(windows) >= 4
    assert {window["length"] for window in windows} == {64}
    expected = np.average([window["score"] for window in windows], weights=[window["length"] for window in windows])
    assert answer["score"] == pytest.approx(expected, abs=1e-6)


def test_each_window_is_what_the_model_says_about_its_words(bert):
    words = ("good bad film plot " * 30).split()
    windows = bert([" ".join(words)], return_windows=True, top_k=None)[0]
    # 64 tokens with [CLS] and [SEP] leave 62 words; 8 are shared, and the last window is full.
    starts = [0, 54, 58]
    for number, start in enumerate(starts):
        alone = bert([" ".join(words[start : start + 62])], top_k=None)[0]
        for label in windows:
            expected = next(other["score"] for other in alone if other["label"] == label["label"])
            assert label["windows"][number]["score"] == pytest.approx(expected, abs=1e-5)
    assert len(windows[0]["windows"]) == len(starts)


def test_short_texts_have_one_window(bert):
    assert [window["length"] for window in bert(["good film"], return_windows=True)[0]["windows"]] == [4]


def test_truncation_takes_the_beginning(bert):
    text = "good film " * 31 + "bad plot " * 500
    cut = bert([text], truncation=True, return_windows=True)[0]
    assert [window["length"] for window in cut["windows"]] == [64]
    assert cut["score"] == pytest.approx(bert(["good film " * 31])[0]["score"], abs=1e-6)


def test_max_length_cuts_as_in_transformers_or_sets_the_window(bert):
    text = "good film bad plot " * 10
    assert bert([text], max_length=10)[0] == bert([text], max_length=10, truncation=True)[0]
    lengths = [
        window["length"] for window in bert([text], max_length=10, truncation=False, return_windows=True)[0]["windows"]
    ]
    assert len(lengths) > 4
    assert set(lengths) == {10}


def test_a_roberta_takes_fewer_tokens_than_it_has_positions(tmp_path, fast_tokenizer):
    from quintet.pipelines import pipeline
    from transformers import RobertaConfig, RobertaForSequenceClassification

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=34,
        pad_token_id=1,
    )
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    fast_tokenizer(model_max_length=1000).save_pretrained(tmp_path)
    answer = pipeline("sentiment", tmp_path)(["good film " * 50], return_windows=True)[0]
    assert max(window["length"] for window in answer["windows"]) == 32


def test_a_long_pair_is_read_in_windows_of_its_longer_text(bert):
    answer = bert([{"text": "good film " * 60, "text_pair": "not bad"}], return_windows=True)[0]
    assert len(answer["windows"]) > 1
    assert max(window["length"] for window in answer["windows"]) <= 64


def test_cutting_a_pair_with_our_own_tokenizer_cuts_the_longer_text():
    from quintet.finetune.tokenizer_training import train_tokenizer

    tokenizer = train_tokenizer(["good film bad plot"] * 3, "byte-bpe", 300, 64)
    (cut,) = encode_cut(tokenizer, ["good film " * 50], ["bad plot"], 20, "longest_first")
    assert len(cut) == 20


def test_ten_megabytes_of_text_get_one_answer(bert):
    text = ("good " * 20 + "bad film ") * 100_000
    assert len(text) > 10_000_000
    cut = bert([text], truncation=True)
    assert cut[0]["label"] in ("negative", "positive")
    encoded = bert.preprocess([text[: 3 * PIECE_CHARACTERS]])
    assert max(len(window["input_ids"]) for window in encoded[0]) == 64
    answer = bert([text[:1_000_000]], return_windows=True)[0]
    assert len(answer["windows"]) > 3000
    assert 0 < answer["score"] < 1
