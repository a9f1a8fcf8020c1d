"""Rows of running text: every token with the one after it, texts kept apart, other cuts in each epoch."""

import itertools

import numpy as np
import pytest
import torch
from quintet.finetune.running_text import IGNORED, SingleTexts, Stream, frame_of, keeps_apart
from quintet.finetune.tokenized_texts import TokenizedTexts
from quintet.finetune.tokenizer_training import train_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

FRAME = ([2], [3])


def tokenized(*lengths):
    """Texts of so many tokens, numbered on from 10."""
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenizedTexts(np.arange(10, 10 + starts[-1], dtype=np.int32), starts)


def tiny_gpt2():
    torch.manual_seed(0)
    sizes = {"vocab_size": 60, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}
    config = GPT2Config(**sizes, initializer_range=0.4, bos_token_id=2, eos_token_id=3)
    return GPT2LMHeadModel(config).eval()


def test_rows_of_one_text_follow_each_other_and_tell_the_next_token():
    stream = Stream(tokenized(40, 30, 33), 10, None, seed=0)
    assert len(stream.rows) == 9  # of 10 whole ones: so an epoch can begin anywhere in the first
    rows = [stream.features(row, epoch=0) for row in range(9)]
    for row in rows:
        assert len(row["input_ids"]) == 10
        np.testing.assert_array_equal(row["target"], row["input_ids"] + 1)
    read = np.concatenate([row["input_ids"] for row in rows])
    np.testing.assert_array_equal(read, np.arange(read[0], read[0] + 90))


def test_each_epoch_cuts_elsewhere_and_the_same_one_in_the_same_places():
    stream = Stream(tokenized(500), 20, None, seed=0)
    first = [int(stream.features(0, epoch)["input_ids"][0]) for epoch in range(30)]
    assert len(set(first)) > 10 and min(first) >= 10
    again = Stream(tokenized(500), 20, None, seed=0)
    assert first == [int(again.features(0, epoch)["input_ids"][0]) for epoch in range(30)]
    assert first != [int(Stream(tokenized(500), 20, None, seed=1).features(0, e)["input_ids"][0]) for e in range(30)]


def test_over_the_epochs_every_token_is_read():
    stream = Stream(tokenized(103), 10, None, seed=0)
    read = {
        int(token)
        for epoch in range(200)
        for row in range(len(stream.rows))
        for token in stream.features(row, epoch)["input_ids"]
    }
    assert read == set(range(10, 112))  # the last one has nothing after it


@pytest.mark.parametrize(("tokens", "rows", "length"), [(1, 0, 0), (5, 1, 4), (11, 1, 10), (19, 1, 10)])
def test_a_short_text_is_one_row(tokens, rows, length):
    stream = Stream(tokenized(tokens), 10, None, seed=0)
    assert len(stream.rows) == rows
    if rows:
        assert len(stream.features(0, 3)["input_ids"]) == length


def test_texts_in_a_row_begin_anew_and_do_not_foretell_each_other():
    stream = Stream(tokenized(3, 5, 4), 60, FRAME, seed=0)
    row = stream.features(0, 0)
    assert row["input_ids"].tolist() == [2, 10, 11, 12, 3, 2, 13, 14, 15, 16, 17, 3, 2, 18, 19, 20, 21]
    assert row["position_ids"].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]
    after = [10, 11, 12, 3, IGNORED, 13, 14, 15, 16, 17, 3, IGNORED, 18, 19, 20, 21, 3]
    assert row["target"].tolist() == after


def test_rows_cut_out_of_framed_texts_are_what_the_whole_stream_has_there():
    texts = tokenized(3, 0, 12, 1, 7, 30, 2)
    whole = Stream(texts, 1000, FRAME, seed=0).features(0, 0)
    stream = Stream(texts, 8, FRAME, seed=0)
    assert len(stream.rows) >= 6
    for epoch in range(12):
        for number in range(len(stream.rows)):
            row = stream.features(number, epoch)
            (place,) = [
                at
                for at in range(len(whole["input_ids"]))
                if np.array_equal(whole["input_ids"][at : at + 8], row["input_ids"])
                and np.array_equal(whole["target"][at : at + 8], row["target"])
            ][:1]
            starts = np.flatnonzero(whole["position_ids"][place : place + 8] == 0)
            counted = np.arange(8)
            for start in starts:
                counted[start:] = np.arange(8 - start)
            assert row["position_ids"].tolist() == counted.tolist()


def test_single_texts_are_whole_or_in_pieces_that_know_what_stood_before():
    singles = SingleTexts(tokenized(3, 11), 6, FRAME)
    rows = [singles.features(number, 0) for number in range(len(singles.rows))]
    assert [row["input_ids"].tolist() for row in rows] == [
        [2, 10, 11, 12],
        [2, 13, 14],
        [15, 16, 17, 18],
        [19, 20, 21, 22, 23],
    ]
    assert rows[0]["target"].tolist() == [10, 11, 12, 3]
    foretold = [token for row in rows[1:] for token in row["target"].tolist()]
    assert foretold == [*range(13, 24), 3]
    assert max(len(row["input_ids"]) for row in rows) <= 6


def test_gpt2_keeps_texts_of_a_row_apart_to_the_logits_of_each_alone():
    model = tiny_gpt2()
    assert keeps_apart(model)
    row = Stream(tokenized(3, 5, 4), 60, FRAME, seed=0).features(0, 0)
    ids, places = (torch.from_numpy(row[name]).long()[None] for name in ("input_ids", "position_ids"))
    packed = model(input_ids=ids, position_ids=places, use_cache=False).logits[0]
    begins = [*(places[0] == 0).nonzero().flatten().tolist(), ids.shape[1]]
    assert begins == [0, 5, 12, 17]
    for start, stop in itertools.pairwise(begins):
        alone = model(input_ids=ids[:, start:stop]).logits[0]
        torch.testing.assert_close(packed[start:stop], alone, atol=1e-5, rtol=0)


def test_a_model_that_reads_on_across_texts_is_found_out():
    class ReadsOn(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.GRU(4, 4, batch_first=True)
            self.table = torch.nn.Embedding(20, 4)

        def forward(self, input_ids, position_ids=None, use_cache=False):
            from types import SimpleNamespace

            return SimpleNamespace(logits=self.layer(self.table(input_ids))[0])

    assert not keeps_apart(ReadsOn())
    assert not keeps_apart(torch.nn.Linear(2, 2))


def test_what_stands_around_a_text():
    own = train_tokenizer(["to be"], "characters", 40, None)
    assert frame_of(own) == ([own.start_id], [own.end_id])
