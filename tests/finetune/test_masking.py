"""Which tokens are masked, and the files that tokenized texts are kept in."""

import numpy as np
import pytest
from quintet.finetune.masking import Masking, measuring_generator, training_generator
from quintet.finetune.tokenized_texts import TokenizedTexts, even_cuts, word_starts
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.errors import UsageError

TEXTS = ["The cat sat on the mat.", "A dog ran.", "", "The old dog and the cat sat by the door of the house."]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, "masked-bpe", 300, 16)


@pytest.fixture(scope="module")
def masking(tokenizer):
    return Masking.of(tokenizer)


@pytest.mark.parametrize(("tokens", "masked"), [(1, 1), (2, 1), (9, 1), (20, 3), (200, 30)])
def test_fifteen_of_a_hundred_tokens_are_drawn_and_at_least_one(masking, tokens, masked):
    places = masking.places(np.full(tokens, 100), np.random.default_rng(0))
    assert len(places) == len(set(places.tolist())) == masked
    assert places.tolist() == sorted(places.tolist())


def test_special_tokens_are_never_drawn(masking, tokenizer):
    ids = np.asarray(tokenizer.encode(["the cat"])[0].input_ids)  # between [CLS] and [SEP]
    drawn = {int(place) for seed in range(50) for place in masking.places(ids, np.random.default_rng(seed))}
    assert drawn == set(range(1, len(ids) - 1))
    assert not len(masking.places(np.asarray([tokenizer.pad_id, tokenizer.mask_id]), np.random.default_rng(0)))


def test_of_the_drawn_tokens_eighty_are_masked_ten_replaced_and_ten_kept(masking, tokenizer):
    ids = np.full(20_000, 290, dtype=np.int32)
    found = masking.replacements(ids, np.random.default_rng(0))
    assert np.mean(found == tokenizer.mask_id) == pytest.approx(0.8, abs=0.01)
    assert np.mean(found == 290) == pytest.approx(0.1, abs=0.01)
    others = set(found.tolist()) - {290, tokenizer.mask_id}
    assert len(others) > 200 and not others & tokenizer.special_ids and found.dtype == np.int32


def test_whole_words_are_drawn_whole(masking):
    is_start = np.asarray([True, False, False, False] * 30)
    for seed in range(20):
        places = masking.places(np.full(120, 100), np.random.default_rng(seed), is_start)
        assert len(places) == 16  # a fifth word would be more than the 18 tokens that 15 % are
        assert set(places.tolist()) == {4 * (place // 4) + piece for place in places.tolist() for piece in range(4)}


def test_one_long_word_is_drawn_though_it_is_more_than_the_share(masking):
    assert len(masking.places(np.full(5, 100), np.random.default_rng(0), np.asarray([True] + [False] * 4))) == 5


def test_masks_of_training_differ_by_epoch_and_row_and_those_of_measuring_by_the_text(masking):
    ids = np.full(200, 100)
    drawn = [masking.places(ids, training_generator(0, epoch, row)).tolist() for epoch in (0, 1) for row in (0, 1)]
    assert len({tuple(places) for places in drawn}) == 4
    assert masking.places(ids, training_generator(0, 1, 1)).tolist() == drawn[3]
    other = np.full(200, 101)
    one, same, another = (masking.places(each, measuring_generator(0, each)).tolist() for each in (ids, ids, other))
    assert one == same != another


def test_a_tokenizer_without_a_mask_token_is_refused():
    plain = train_tokenizer(TEXTS, "byte-bpe", 300, 16)
    with pytest.raises(
        UsageError, match=r"the tokenizer of 'gpt2' has no mask token, .* expected one such as \[MASK\]"
    ):
        Masking.of(plain, name="gpt2")


def test_tokenized_texts_are_those_of_the_tokenizer_and_are_read_again(tokenizer, tmp_path):
    texts = TokenizedTexts.of(TEXTS, tokenizer, tmp_path / "texts", with_words=True)
    again = TokenizedTexts.of(iter(()), tokenizer, tmp_path / "texts", with_words=True)  # nothing is read twice
    for index, encoded in enumerate(tokenizer.encode(TEXTS, aligned=True)):
        span = slice(*texts.starts[index : index + 2])
        assert texts.ids[span].tolist() == encoded.input_ids[1:-1] == again.ids[span].tolist()
        assert texts.is_start[span].tolist() == word_starts(encoded.alignment.words[1:-1]).tolist()
    assert texts.starts[2] == texts.starts[3]  # the empty text
    assert int(texts.is_start.sum()) == sum(len(text.replace(".", " .").split()) for text in TEXTS)


def test_what_was_not_finished_is_written_anew(tokenizer, tmp_path):
    TokenizedTexts.of(TEXTS, tokenizer, tmp_path)
    (tmp_path / "done.json").unlink()
    texts = TokenizedTexts.of(TEXTS[:2], tokenizer, tmp_path)
    assert len(texts.starts) == 3 and len(texts.ids) == texts.starts[-1]


@pytest.mark.parametrize("room", [1, 3, 5, 100])
def test_pieces_leave_nothing_out_and_are_of_like_size(tokenizer, tmp_path, room):
    texts = TokenizedTexts.of(TEXTS, tokenizer, tmp_path)
    pieces = texts.pieces(room)
    assert pieces[0, 0] == 0 and pieces[-1, 1] == len(texts.ids)
    assert (pieces[1:, 0] == pieces[:-1, 1]).all()
    sizes = pieces[:, 1] - pieces[:, 0]
    assert sizes.min() >= 1 and sizes.max() <= room
    expected = []
    for start, stop in zip(texts.starts[:-1], texts.starts[1:], strict=True):
        expected += [(start + first, start + last) for first, last in even_cuts(stop - start, room)]
    assert pieces.tolist() == [list(map(int, pair)) for pair in expected]


def test_no_texts_have_no_pieces(tokenizer, tmp_path):
    assert TokenizedTexts.of([""], tokenizer, tmp_path).pieces(8).shape == (0, 2)
