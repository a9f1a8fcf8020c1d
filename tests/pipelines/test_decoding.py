"""Networks of our own that carry a state: chosen and drawn tokens, seeds, stop strings, and text piece by piece."""

import subprocess
import sys

import pytest
import torch
import transformers
from quintet.pipelines import InputError, UsageError
from quintet.pipelines.decoding import DecodingRules, draw, penalise, restrict, sequence_generator

TEXT = "the good film was not bad and the bad plot was very good. a witty actor, a dull one! née 你好 👍 " * 3
PROMPTS = ["the good film", "a", "the bad plot was very good. a witty actor", "dull", "not bad and", "née 你"]


class TinyGru(torch.nn.Module):
    """A GRU language model: embedding, one layer, logits. Counts the tokens that it is given."""

    def __init__(self, vocab, hidden=24):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocab, 16)
        self.recurrent = torch.nn.GRU(16, hidden, batch_first=True)
        self.head = torch.nn.Linear(hidden, vocab)
        self.steps = []

    def start(self, batch):
        return self.embedding.weight.new_zeros(1, batch, self.recurrent.hidden_size)

    def step(self, input_ids, state):
        self.steps.append(tuple(input_ids.shape))
        output, state = self.recurrent(self.embedding(input_ids), state)
        return self.head(output[:, -1]), state


class Scripted(torch.nn.Module):
    """Writes the same tokens after every prompt of one token, then its end; each text is where its state says."""

    def __init__(self, vocab, script):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.vocab, self.script = vocab, [*script, 2]

    def start(self, batch):
        return [0] * batch

    def step(self, input_ids, state):
        logits = torch.zeros(len(state), self.vocab)
        for row, place in enumerate(state):
            logits[row, self.script[min(place, len(self.script) - 1)]] = 20.0
        return logits, [place + 1 for place in state]


@pytest.fixture(scope="module")
def backend(byte_backend):
    return byte_backend(TEXT)


@pytest.fixture(scope="module")
def gru(backend):
    torch.manual_seed(1)
    network = TinyGru(backend.get_vocab_size())
    with torch.no_grad():
        network.head.weight.mul_(8)
        network.recurrent.weight_hh_l0.mul_(4)
    return network


@pytest.fixture(scope="module")
def write(gru, backend, own_writer):
    return own_writer(gru, backend)


@pytest.fixture
def scripted(backend, own_writer):
    """A pipeline that writes the given tokens, or those of the given text."""

    def make(script, **settings):
        tokens = backend.encode(script).ids if isinstance(script, str) else script
        return own_writer(Scripted(backend.get_vocab_size(), tokens), backend, **settings)

    return make


@torch.no_grad()
def continue_by_hand(gru, ids, count, choose):
    """``count`` tokens after ``ids``, reading the whole text anew for each; ``choose`` gets the logits of a step."""
    new = []
    while len(new) < count and 2 not in new:
        output, _ = gru.recurrent(gru.embedding(torch.tensor([[*ids, *new]])))
        new.append(choose(gru.head(output[0, -1]), [*ids, *new]))
    return new


def ids_of(backend, prompt):
    return backend.encode(prompt).ids


def new_ids(answer, backend, prompt):
    return answer["generated_token_ids"][len(ids_of(backend, prompt)) :]


def test_the_most_probable_tokens_are_those_of_the_whole_text_read_anew(write, gru, backend):
    answers = write(PROMPTS, do_sample=False, max_new_tokens=15, return_tensors=True)
    texts = set()
    for prompt, (answer,) in zip(PROMPTS, answers, strict=True):
        expected = continue_by_hand(gru, ids_of(backend, prompt), 15, lambda logits, _: int(logits.argmax()))
        assert new_ids(answer, backend, prompt) == expected
        texts.add(tuple(expected))
    assert len(texts) == len(PROMPTS)


@pytest.mark.parametrize("options", [{"do_sample": False}, {"seed": 3, "temperature": 1.2}])
@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_a_batch_of_prompts_of_different_length_gives_each_its_own_text(write, gru, options, batch_size):
    options = options | {"max_new_tokens": 12}
    alone = [write(prompt, **options) for prompt in PROMPTS]
    gru.steps.clear()
    assert write(PROMPTS, batch_size=batch_size, **options) == alone
    assert max(rows for rows, _ in gru.steps) == (batch_size or len(PROMPTS))


def test_each_token_costs_the_same(write, gru, backend):
    prompt = "the good film was not bad"
    gru.steps.clear()
    (answer,) = write(prompt, do_sample=False, max_new_tokens=30, min_new_tokens=30, return_tensors=True)
    assert len(new_ids(answer, backend, prompt)) == 30
    assert gru.steps == [(1, len(ids_of(backend, prompt))), *[(1, 1)] * 29]


def test_the_repetition_penalty_counts_prompt_and_text_as_transformers_does(write, gru, backend):
    def choose(logits, ids):
        scores = transformers.RepetitionPenaltyLogitsProcessor(3.0)(torch.tensor([ids]), logits[None])
        return int(scores.argmax())

    answers = write(PROMPTS, do_sample=False, repetition_penalty=3.0, max_new_tokens=15, return_tensors=True)
    plain = write(PROMPTS, do_sample=False, max_new_tokens=15, return_tensors=True)
    for prompt, (answer,), (other,) in zip(PROMPTS, answers, plain, strict=True):
        assert new_ids(answer, backend, prompt) == continue_by_hand(gru, ids_of(backend, prompt), 15, choose)
        assert answer != other


def test_drawn_tokens_are_those_of_the_documented_generator(write, gru, backend):
    prompt = "the bad"
    generator = sequence_generator(5, ids_of(backend, prompt), 1)

    def choose(logits, _):
        scores = logits[None] / 0.9
        scores = transformers.TopKLogitsWarper(9)(None, scores)
        probabilities = transformers.TopPLogitsWarper(0.8)(None, scores).double().softmax(-1)[0]
        aim = torch.rand(1, generator=generator, dtype=torch.float64).item()
        total = 0.0
        for token, probability in enumerate(probabilities.tolist()):
            total += probability
            if aim < total:
                return token
        raise AssertionError

    options = {"seed": 5, "temperature": 0.9, "top_k": 9, "top_p": 0.8, "num_return_sequences": 2}
    answers = write(prompt, max_new_tokens=20, return_tensors=True, **options)
    assert new_ids(answers[1], backend, prompt) == continue_by_hand(gru, ids_of(backend, prompt), 20, choose)
    assert answers[0] != answers[1]


@pytest.mark.parametrize(
    "rules",
    [
        {"temperature": 0.7},
        {"top_k": 5},
        {"top_p": 0.6},
        {"top_p": 1e-6},
        {"min_p": 0.1},
        {"temperature": 1.6, "top_k": 12, "top_p": 0.7, "min_p": 0.05},
    ],
)
def test_tokens_are_excluded_as_transformers_excludes_them(rules):
    scores = torch.randn(50, 30, generator=torch.Generator().manual_seed(0)) * 2
    warpers = {
        "temperature": transformers.TemperatureLogitsWarper,
        "top_k": transformers.TopKLogitsWarper,
        "top_p": transformers.TopPLogitsWarper,
        "min_p": transformers.MinPLogitsWarper,
    }
    expected = scores
    for name, value in rules.items():
        expected = warpers[name](value)(None, expected)
    ours = restrict(scores, DecodingRules(1, **rules))
    assert torch.equal(ours.isinf(), expected.isinf())
    torch.testing.assert_close(ours, expected)
    assert rules.keys() == {"temperature"} or ours.isinf().any()


def test_tokens_are_drawn_with_their_probabilities():
    logits = torch.tensor([0.0, 2.0, -torch.inf, 1.0])
    generators = [sequence_generator(seed, [1, 2], 0) for seed in range(4000)]
    drawn = draw(logits.expand(4000, 4), generators)
    shares = drawn.bincount(minlength=4) / 4000
    torch.testing.assert_close(shares, logits.softmax(-1), atol=0.025, rtol=0)
    assert shares[2] == 0


def test_the_penalty_pushes_logits_down_whatever_their_sign():
    scores = penalise(torch.tensor([[2.0, -2.0, 2.0]]), torch.tensor([[True, True, False]]), 2.0)
    assert scores.tolist() == [[1.0, -4.0, 2.0]]


def test_seeds_hold_at_any_order_and_differ(write):
    options = {"max_new_tokens": 12, "num_return_sequences": 2}
    answers = write(PROMPTS, seed=1, **options)
    assert write(PROMPTS[::-1], seed=1, batch_size=2, **options)[::-1] == answers
    assert write(PROMPTS, seed=2, **options) != answers
    assert all(first != second for first, second in answers)
    assert write([PROMPTS[0]] * 2, seed=1, **options) == [answers[0]] * 2


def test_without_a_seed_torch_draws(write):
    torch.manual_seed(0)
    first = write("the", max_new_tokens=20)
    assert write("the", max_new_tokens=20) != first
    torch.manual_seed(0)
    assert write("the", max_new_tokens=20) == first


def test_a_text_ends_at_its_end_token_but_not_before_it_may(scripted, backend):
    answer = scripted("the end")("a", do_sample=False, return_tensors=True)
    assert answer == [{"generated_token_ids": [*ids_of(backend, "a"), *ids_of(backend, "the end"), 2]}]
    later = scripted("the")("a", do_sample=False, min_new_tokens=9, max_new_tokens=9, return_tensors=True)
    assert len(later[0]["generated_token_ids"]) == 10
    assert 2 not in later[0]["generated_token_ids"]


@pytest.mark.parametrize(
    ("stop", "kept", "cut"),
    [
        ("film", "the good film", "the good "),
        ("oo", "the good", "the g"),
        (["plot", "lm w"], "the good film was", "the good fi"),
        ("missing", "the good film was not", "the good film was not"),
    ],
)
def test_stop_strings_end_a_text_also_inside_a_token(scripted, backend, stop, kept, cut):
    write = scripted("the good film was not", do_sample=False, return_full_text=False)
    whole = backend.decode([*ids_of(backend, "the good film was not")])
    (answer,) = write("a", stop_sequence=stop)
    assert answer["generated_text"].startswith(kept)
    assert whole.startswith(answer["generated_text"])
    assert len(answer["generated_text"]) < len(whole) or stop == "missing"
    assert write("a", stop_strings=stop, keep_stop_string=False) == [{"generated_text": cut}]
    assert "".join(write.stream("a", stop_strings=stop, keep_stop_string=False)) == cut
    assert "".join(write.stream("a", stop_strings=stop)) == answer["generated_text"]


def test_what_may_begin_a_stop_string_is_held_back_and_given_when_it_is_none(scripted):
    write = scripted("the good film was not bad", do_sample=False)
    pieces = list(write.stream("a", stop_strings=["film was a"], keep_stop_string=False))
    assert "".join(pieces) == "the good film was not bad"
    seen = ""
    for piece in pieces:
        seen += piece
        assert not seen.endswith(("f", "fi", "fil", "film", "film ", "film w", "film wa", "film was", "film was "))


def test_a_stop_string_that_began_in_the_prompt_leaves_nothing(scripted):
    write = scripted("good film", do_sample=False, return_full_text=False)
    assert write("a", stop_strings=["agood"]) == [{"generated_text": "good"}]
    assert write("a", stop_strings=["agood"], keep_stop_string=False) == [{"generated_text": ""}]
    assert list(write.stream("a", stop_strings=["agood"], keep_stop_string=False)) == []


def test_characters_of_several_bytes_come_whole(scripted, backend):
    text = "née 你好 👍 née"
    letters = [backend.token_to_id(letter) for letter in byte_letters(text)]
    assert len(letters) > len(text)
    write = scripted(letters, do_sample=False, return_full_text=False)
    pieces = list(write.stream("a"))
    assert "".join(pieces) == text == write("a")[0]["generated_text"]
    assert len(pieces) == len(text)
    assert not any("�" in piece for piece in pieces)


def test_half_a_character_at_the_end_comes_at_the_end(scripted, backend):
    letters = [backend.token_to_id(letter) for letter in byte_letters("a👍")][:-1]
    write = scripted(letters, do_sample=False, return_full_text=False)
    assert list(write.stream("a")) == ["a", "�"]
    assert write("a") == [{"generated_text": "a�"}]


def byte_letters(text):
    """The letters by which a byte-level vocabulary names the bytes of a text."""
    from tokenizers.pre_tokenizers import ByteLevel

    return ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)[0][0]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("options", [{"do_sample": False}, {"seed": 2}, {"seed": 4, "temperature": 2.0}])
def test_streamed_pieces_are_the_text(write, prompt, options):
    options = options | {"max_new_tokens": 90, "min_new_tokens": 90}
    (answer,) = write(prompt, return_full_text=False, **options)
    pieces = list(write.stream(prompt, **options))
    assert "".join(pieces) == answer["generated_text"]
    assert len(pieces) > 5


def test_a_stream_gives_tokens_while_it_writes_and_stops_when_it_is_left(write, gru):
    gru.steps.clear()
    stream = write.stream("the", do_sample=False, max_new_tokens=500, min_new_tokens=500)
    next(stream)
    assert len(gru.steps) < 20
    stream.close()
    assert len(gru.steps) < 20


def test_an_empty_prompt_begins_as_texts_begin(write, gru):
    (answer,) = write("", do_sample=False, max_new_tokens=5, return_tensors=True)
    expected = continue_by_hand(gru, [1], 5, lambda logits, _: int(logits.argmax()))
    assert answer["generated_token_ids"] == [1, *expected]


def test_positions_are_minded_where_there_are_some(gru, backend, own_writer):
    write = own_writer(gru, backend, max_length=10)
    with pytest.raises(InputError, match=r"the prompt has \d+ tokens, but the model takes 10; shorten it to 10"):
        write("the good film was not bad and the bad plot " * 3)


def test_a_network_that_is_not_finite_says_so(backend, own_writer):
    network = Scripted(backend.get_vocab_size(), [5])
    network.step = lambda input_ids, state: (torch.full((len(state), network.vocab), torch.nan), state)
    write = own_writer(network, backend)
    with pytest.raises(InputError, match=r"input 0: the model's output is not finite \(nan or infinite\)"):
        write("a")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_beams": 3}, "num_beams is 3, but 'tiny' carries one state and follows one beginning; leave it out"),
        ({"typical_p": 0.5}, "typical_p means nothing to 'tiny', a network that is decoded token by token; it knows"),
        ({"num_return_sequences": 2, "do_sample": False}, "num_return_sequences is 2, but without drawing there are"),
    ],
)
def test_options_that_such_a_network_does_not_know_are_named(write, options, words):
    with pytest.raises(UsageError, match=words):
        write("a", **options)


def test_transformers_is_not_needed(tmp_path, backend):
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"pad_token": "<pad>"}')
    code = """
import sys
from pathlib import Path
import torch
from quintet.pipelines.checkpoints import Checkpoint, CheckpointConfig
from quintet.pipelines.text_generation import TextGenerationPipeline
from quintet.pipelines.tokenization import TextTokenizer

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
    def start(self, batch):
        return batch
    def step(self, input_ids, state):
        return torch.arange(60.0).expand(state, 60), state

config = CheckpointConfig((), None, "text-generation", "quintet-test", None, {"eos_token_id": 2})
checkpoint = Checkpoint("tiny", None, config, Network(), TextTokenizer.from_folder(Path(".")), light=True)
write = TextGenerationPipeline(checkpoint, max_new_tokens=3, seed=1, stop_sequence="x")
print(len(write(["the", "good"])), len(list(write.stream("a"))), {"transformers", "datasets"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True)
    texts, pieces, loaded = done.stdout.split(maxsplit=2)
    assert texts == "2" and int(pieces) >= 1 and loaded == "set()\n"
