"""Models that choose the tags of a sentence together: what they are given, and how answers follow their choice."""

import itertools

import numpy as np
import pytest
import torch
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.checkpoints import Checkpoint, CheckpointConfig
from quintet.pipelines.tag_decoding import TagDecoder, find_decoder
from quintet.pipelines.token_classification import TokenClassificationPipeline
from torch import nn

LABELS = ("O", "B-PER", "I-PER")
WORDS = ["Angela", "Merkel", "visited", "Paris", "and", "London", "in", "May", "with", "Bob"]
TRANSITIONS = torch.tensor([[0.5, 0.0, -9.0], [0.0, -1.0, 2.0], [1.0, -2.0, 0.5]])


class ChainTagger(nn.Module):
    """Logits by word vectors, and the best path by trying all; it remembers what ``decode`` was given."""

    def __init__(self, vocab_size):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(vocab_size, len(LABELS))
        self.calls = []

    def forward(self, input_ids, attention_mask=None):
        return self.embedding(input_ids) * 2

    def decode(self, logits, mask):
        self.calls.append((logits, mask))
        tags = torch.full(mask.shape, 7)  # what stands behind the words is not looked at
        for row, length in enumerate(mask.sum(dim=1).tolist()):
            tags[row, :length] = torch.tensor(best_path(logits[row, :length]))
        return tags


class ChainWithMarginals(ChainTagger):
    def marginals(self, logits, mask):
        return torch.full((*mask.shape, len(LABELS)), 0.25)


def best_path(logits):
    """Viterbi's path, step by step in plain Python."""
    scores, back = logits[0].tolist(), []
    for row in logits[1:].tolist():
        options = [[scores[before] + TRANSITIONS[before, label].item() for before in range(3)] for label in range(3)]
        back.append([int(np.argmax(of_label)) for of_label in options])
        scores = [max(of_label) + row[label] for label, of_label in enumerate(options)]
    path = [int(np.argmax(scores))]
    for step in reversed(back):
        path.insert(0, step[path[0]])
    return path


def light(kind="wordlevel", network=ChainTagger, max_length=None):
    tokenizer = train_tokenizer([" ".join(WORDS)] * 3, kind, 290, None)
    tokenizer.max_length = max_length
    config = CheckpointConfig(LABELS, None, "token-classification", "quintet-test", max_length, {})
    model = network(tokenizer.vocab_size).eval()
    return TokenClassificationPipeline.from_checkpoint(Checkpoint("tiny", None, config, model, tokenizer, light=True))


def sentence(length, seed=0):
    return np.random.default_rng(seed).choice(WORDS, length).tolist()


def test_the_path_is_the_best_of_all():
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)) * 2

    def score(path):
        steps = sum(TRANSITIONS[one, other].item() for one, other in itertools.pairwise(path))
        return steps + sum(logits[place, label].item() for place, label in enumerate(path))

    assert best_path(logits) == list(max(itertools.product(range(3), repeat=6), key=score))


@pytest.mark.parametrize("kind", ["wordlevel", "byte-bpe"])
def test_decode_gets_the_first_token_of_each_word(kind):
    pipe = light(kind)
    lists = [sentence(4), sentence(9), ["Paris"]]
    outputs = list(pipe.outputs(lists))
    rows = {}
    for logits, mask in pipe.model.calls:
        for of_text, is_word in zip(logits, mask, strict=True):
            assert is_word.tolist() == sorted(is_word.tolist(), reverse=True)
            rows[int(is_word.sum())] = of_text[is_word]
    for words, output in zip(lists, outputs, strict=True):
        encoded = pipe.tokenizer.encode([words], aligned=True, is_split=True)[0]
        first = [encoded.alignment.words.index(word) for word in range(len(words))]
        expected = pipe.model(torch.tensor([encoded.input_ids]))[0, first]
        torch.testing.assert_close(rows[len(words)], expected)
        tags = best_path(expected)
        assert pipe.word_tags(output) == [LABELS[tag] for tag in tags]
        np.testing.assert_allclose(pipe.word_probabilities(output), expected.softmax(dim=-1).detach(), atol=1e-6)
    if kind == "byte-bpe":
        assert any(len(pipe.tokenizer.encode([words], is_split=True)[0]) > len(words) + 2 for words in lists)


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
@pytest.mark.parametrize("kind", ["wordlevel", "byte-bpe"])
def test_entities_follow_the_chosen_tags(kind, strategy):
    pipe = light(kind)
    differs = False
    for seed in range(8):
        words = sentence(12, seed)
        tags = pipe.word_tags(next(pipe.outputs([words])))
        probabilities = pipe.word_probabilities(next(pipe.outputs([words])))
        best = [LABELS[label] for label in probabilities.argmax(axis=1)]
        differs |= best != tags
        expected, place = [], 0
        for word, tag, row in zip(words, tags, probabilities, strict=True):
            score, end = row[LABELS.index(tag)], place + len(word)
            if tag == "B-PER" or (tag == "I-PER" and not (expected and expected[-1][3])):
                expected.append([place, end, [score], True])
            elif tag == "I-PER":
                expected[-1][1] = end
                expected[-1][2].append(score)
            elif expected:
                expected[-1][3] = False
            place = end + 1
        found = pipe([words], aggregation_strategy=strategy)[0]
        assert [(entity["start"], entity["end"]) for entity in found] == [tuple(each[:2]) for each in expected]
        for entity, (_, _, scores, _) in zip(found, expected, strict=True):
            assert entity["entity_group"] == "PER"
            assert entity["score"] == pytest.approx(np.mean(scores), abs=1e-6)
            assert entity["word"] == " ".join(words)[entity["start"] : entity["end"]]
    assert differs, "the chosen tags are the most probable ones anyway, so that the test says little"


def test_single_tokens_are_labelled_one_by_one():
    pipe = light()
    words = sentence(30)
    found = pipe([words], ignore_labels=[])[0]
    best = pipe.word_probabilities(next(pipe.outputs([words]))).argmax(axis=1)
    assert [entity["entity"] for entity in found] == [LABELS[label] for label in best]


def test_marginals_are_the_scores_where_there_are_any():
    pipe = light(network=ChainWithMarginals)
    words = sentence(12)
    found = pipe([words], aggregation_strategy="simple")[0]
    assert found
    assert {entity["score"] for entity in found} == {0.25}
    output = next(pipe.outputs([words]))
    assert (pipe.word_probabilities(output) == 0.25).all()
    assert pipe.word_tags(output) == light().word_tags(next(light().outputs([words])))


def test_a_long_text_is_chosen_for_as_one():
    words = sentence(100)
    whole, windowed = light(), light(max_length=24)
    output = next(windowed.outputs([words]))
    assert len(output.windows) > 3
    assert windowed.model.calls == []  # nothing is chosen window by window
    assert windowed.word_tags(output) == whole.word_tags(next(whole.outputs([words])))
    options = {"aggregation_strategy": "first"}
    for one, other in zip(windowed([words], **options)[0], whole([words], **options)[0], strict=True):
        assert one == {**other, "score": pytest.approx(other["score"], abs=1e-6)}


@pytest.mark.parametrize("together", [64, 2])
def test_a_very_long_text_is_chosen_for_in_parts(monkeypatch, together):
    words = sentence(300)
    whole = light().word_tags(next(light().outputs([words])))
    monkeypatch.setattr("quintet.pipelines.tag_decoding.LONGEST", 64)
    monkeypatch.setattr("quintet.pipelines.tag_decoding.MOST_PARTS", together)
    pipe = light()
    assert pipe.word_tags(next(pipe.outputs([words]))) == whole
    (logits, _), *others = pipe.model.calls
    assert logits.shape[0] <= together
    assert logits.shape[1] == 64
    assert len(others) == (0 if together == 64 else 2)
    output = next(light(max_length=24).outputs([words]))
    probabilities = light().word_probabilities(next(light().outputs([words])))
    np.testing.assert_allclose(pipe.word_probabilities(output), probabilities, atol=1e-6)


def test_texts_without_words_are_left_out():
    decoder = TagDecoder(ChainTagger(4))
    empty, one = decoder.read([torch.empty(0, 3), torch.ones(2, 3)])
    assert empty.tags.shape == (0,)
    assert empty.probabilities.shape == (0, 3)
    assert one.tags.tolist() == best_path(torch.ones(2, 3))
    assert decoder.read([]) == []
    pipe = light("byte-bpe")
    assert pipe([""], aggregation_strategy="simple") == [[]]


def test_the_decoder_is_that_of_the_model_or_of_the_network_in_it():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = ChainTagger(4)

    assert isinstance(find_decoder(ChainTagger(4)), TagDecoder)
    assert isinstance(find_decoder(Around()), TagDecoder)
    assert find_decoder(nn.Linear(2, 2)) is None
