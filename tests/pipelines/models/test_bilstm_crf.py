"""The tagger over bytes against loops over its words."""

import itertools

import pytest
import torch
from quintet.finetune.known_words import KnownWords, learn_words
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.models.bilstm_crf import FIRST_BYTE, IGNORED, SPACE, BiLstmCrfTagger, WordPlaces
from quintet.pipelines.models.building import build_model

SIZES = {"words": 6, "word_size": 5, "byte_size": 4, "filters": 3, "hidden_size": 4, "layers": 1, "dropout": 0.0}
LABELS = ("O", "B-PER", "I-PER")
TEXTS = [["Jim", "Smith", "sleeps", "."], ["U.S.", "Zürich"], ["!"]]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["any text"], "byte-words", 260, 64)


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    model = build_model(
        "bilstm-crf", vocab_size=tokenizer.vocab_size, labels=LABELS, problem_type=None, arguments=SIZES
    )
    known = KnownWords.of([["jim", "Jim", "JIM", "1999"], ["2001", "sleeps", "Smith", "Smith"]], tokenizer, 6)
    learn_words(model, known)
    return model.eval()


def batch_of(tokenizer, texts):
    return tokenizer.pad(tokenizer.encode(texts, is_split=True))


def test_tokens_are_bytes_with_a_space_before_each_word(tokenizer):
    (encoded,) = tokenizer.encode(["Jim's U.S. deal (Corp.) 1,000.5 中文"])
    text = bytes(token - FIRST_BYTE for token in encoded.input_ids).decode()
    assert text == " Jim 's U.S. deal ( Corp . ) 1,000.5 中 文"
    (words,) = tokenizer.encode([["can't", "a b"]], aligned=True, is_split=True)
    assert bytes(token - FIRST_BYTE for token in words.input_ids).decode() == " can ' t a b"
    assert words.alignment.words == [0] * 8 + [1] * 4


def test_scores_are_those_of_a_loop_over_the_words(model, tokenizer):
    """Bytes by a convolution over the text, their maximum by word, torch's own bidirectional LSTM on top."""
    network = model.network
    batch = batch_of(tokenizer, TEXTS)
    scores = network(batch["input_ids"], batch["attention_mask"])
    lstm = torch.nn.LSTM(8, 4, batch_first=True, bidirectional=True)
    layer = network.layers[0]
    lstm.load_state_dict(
        {
            **layer.forwards.state_dict(),
            **{f"{name}_reverse": weight for name, weight in layer.backwards.state_dict().items()},
        }
    )
    checked = 0
    for row, words in enumerate(TEXTS):
        ids = tokenizer.encode([words], is_split=True)[0].input_ids
        features = network.convolution(network.bytes(torch.tensor([ids])).transpose(1, 2))[0].T  # (length, filters)
        starts = [place for place, token in enumerate(ids) if token == SPACE] + [len(ids)]
        rows = []
        for number, (start, stop) in enumerate(itertools.pairwise(starts)):
            piece = bytes(token - FIRST_BYTE for token in ids[start + 1 : stop]).decode()
            key = KnownWords.of([[piece]], tokenizer, 1).keys
            assert number < 9 and len(key) == 1
            rows.append(torch.cat([network.embedding(network.words(key))[0], features[start:stop].amax(0)]))
        hidden, _ = lstm(torch.stack(rows)[None])
        expected = network.classifier(hidden[0])  # (words, labels)
        for number, (start, stop) in enumerate(itertools.pairwise(starts)):
            for place in range(start, stop):
                torch.testing.assert_close(scores[row, place], expected[number], atol=1e-5, rtol=0)
                checked += 1
    assert checked == sum(map(len, (tokenizer.encode([words], is_split=True)[0].input_ids for words in TEXTS)))


def test_known_words_do_not_depend_on_latin_case_or_digits(tokenizer, model):
    known = KnownWords.of([["jim", "Jim", "JIM", "1999"], ["2001", "sleeps", "Smith", "Smith"]], tokenizer, 6)
    assert known.words == ("JIM", "1999", "Smith", "sleeps")
    assert known.is_rare.tolist() == [word == "sleeps" for word in known.words]
    table = model.network.words
    ids = batch_of(tokenizer, [["JiM", "1234", "never"]])["input_ids"]
    rows = table(WordPlaces(ids, torch.ones_like(ids, dtype=torch.bool)).keys(ids))
    other = batch_of(tokenizer, [["jim", "9999", "unseen"]])["input_ids"]
    again = table(WordPlaces(other, torch.ones_like(other, dtype=torch.bool)).keys(other))
    assert torch.equal(rows, again)
    assert rows[0] != rows[1] and rows[:2].min() > 0 and rows[2] == 0


def test_a_word_seen_once_is_unknown_half_of_the_time_in_training(tokenizer, model):
    table = model.network.words.train()
    torch.manual_seed(0)
    ids = batch_of(tokenizer, [["sleeps"] * 400 + ["Smith"] * 400])["input_ids"]
    unknown = table(WordPlaces(ids, torch.ones_like(ids, dtype=torch.bool)).keys(ids)) == 0
    assert 150 < int(unknown[:400].sum()) < 250 and not bool(unknown[400:].any())


def test_a_batch_gives_what_each_text_gives_alone(model, tokenizer):
    batch = batch_of(tokenizer, TEXTS)
    together = model(**batch).logits
    for row, words in enumerate(TEXTS):
        alone = batch_of(tokenizer, [words])
        logits = model(**alone).logits[0]
        torch.testing.assert_close(together[row, : len(logits)], logits, atol=1e-6, rtol=0)


def test_losses_are_those_of_the_field_at_tagged_tokens(model, tokenizer):
    batch = batch_of(tokenizer, TEXTS)
    network, logits = model.network, model(**batch).logits
    targets = torch.full(batch["input_ids"].shape, IGNORED)
    tags = [[1, 2, 0, 0], [0, 1], [0]]
    places = []
    for row, words in enumerate(TEXTS):
        starts = [i for i, token in enumerate(tokenizer.encode([words], is_split=True)[0].input_ids) if token == SPACE]
        places.append(starts)
        targets[row, starts] = torch.tensor(tags[row])
    losses = network.losses(logits, targets)
    for row in range(3):
        at_words = logits[row, places[row]][None]
        expected = network.crf.losses(at_words, torch.tensor([tags[row]]), torch.ones(1, len(tags[row])).bool())
        assert losses[row].item() == pytest.approx(expected.item(), abs=1e-5)
    mean = model(**batch, labels=targets).loss
    assert mean.item() == pytest.approx(losses.sum().item() / 7, abs=1e-5)


def test_a_text_without_tags_adds_nothing(model, tokenizer):
    batch = batch_of(tokenizer, TEXTS)
    targets = torch.full(batch["input_ids"].shape, IGNORED)
    targets[0, 0] = 1
    assert model.network.losses(model(**batch).logits, targets)[1:].tolist() == [0.0, 0.0]


def test_a_window_may_begin_within_a_word(model, tokenizer):
    ids = torch.tensor([tokenizer.encode([["Jim", "Smith"]], is_split=True)[0].input_ids[2:]])
    assert model(ids).logits.shape == (1, ids.shape[1], 3)


def test_other_vocabularies_are_refused():
    with pytest.raises(ValueError, match="vocab_size is 300, expected 260: a token for each byte"):
        BiLstmCrfTagger(vocab_size=300, num_labels=2, padding_id=0, **SIZES)
