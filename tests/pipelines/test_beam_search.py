"""Beam search against ``generate`` of transformers on the same weights, and against all texts there are."""

import itertools

import pytest
import torch
from quintet.pipelines.beam_search import BeamRules, beam_search
from quintet.pipelines.decoding import DecodingRules, StatefulEncoderDecoder, decode_steps
from quintet.pipelines.models import build_model

END, START, VOCAB = 3, 0, 17


@pytest.fixture(scope="module")
def model():
    """A recurrent encoder-decoder whose scores differ much, so that beams part."""
    torch.manual_seed(2)
    made = build_model(
        "lstm-seq2seq",
        vocab_size=VOCAB,
        labels=None,
        problem_type=None,
        arguments={"embedding_size": 8, "hidden_size": 8},
        start_id=2,
        end_id=END,
    ).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(3.0)
    return made


@pytest.fixture(scope="module")
def texts():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, VOCAB, (6, 7), generator=generator)
    lengths = torch.tensor([7, 3, 5, 1, 6, 4])
    mask = (torch.arange(7) < lengths[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


def searched(model, texts, rules, beams, **options):
    with torch.inference_mode():
        state = model.network.encode(**texts)
        return beam_search(
            model.network, state, len(texts["input_ids"]), START, rules, beams, device=torch.device("cpu"), **options
        )


def generated(model, texts, count, **options):
    output = model.generate(**texts, do_sample=False, num_return_sequences=count, **options)
    rows = [row[1:] for row in output.tolist()]
    cut = [row[: row.index(END) + 1] if END in row else row for row in rows]
    return [cut[index : index + count] for index in range(0, len(cut), count)]


def test_the_network_is_what_the_search_asks_for(model):
    assert isinstance(model.network, StatefulEncoderDecoder)


@pytest.mark.parametrize("width", [1, 4, 5])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"length_penalty": 0.0},
        {"length_penalty": 2.0, "early_stopping": True},
        {"length_penalty": -1.0, "early_stopping": "never"},
        {"early_stopping": "never"},
        {"early_stopping": True, "repetition_penalty": 1.3},
        {"min_new_tokens": 4},
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 1},
    ],
    ids=str,
)
def test_equals_generate(model, texts, width, options):
    if width == 1:  # where generate does not search
        options = {name: value for name, value in options.items() if name != "repetition_penalty"}
    lengths = {"max_new_tokens": 9}
    expected = generated(model, texts, width, num_beams=width, **lengths, **options)
    names = ("repetition_penalty", "no_repeat_ngram_size", "min_new_tokens")
    of_rules = {name: options[name] for name in names if name in options}
    of_beams = {name: options[name] for name in ("length_penalty", "early_stopping") if name in options}
    found = searched(
        model,
        texts,
        DecodingRules(**lengths, **of_rules, ends=frozenset({END})),
        BeamRules(width, **of_beams),
    )
    assert found == expected
    assert len({tuple(text) for row in found for text in row}) > 2  # the texts do differ


@pytest.mark.parametrize("size", [None, 1, 2])
def test_one_beam_is_the_greedy_text(model, texts, size):
    rules = DecodingRules(9, ends=frozenset({END}), no_repeat_ngram_size=size)
    found = searched(model, texts, rules, BeamRules(1))
    with torch.inference_mode():
        steps = decode_steps(
            model.network, model.network.encode(**texts), [[START]] * 6, rules, device=torch.device("cpu")
        )
        greedy = [[] for _ in range(6)]
        for step in steps:
            for text, token in zip(greedy, step, strict=True):
                if token is not None:
                    text.append(token)
    assert [row[0] for row in found] == greedy
    assert [[text] for text in greedy] == generated(model, texts, 1, max_new_tokens=9, no_repeat_ngram_size=size)


def test_no_text_depends_on_its_batch(model, texts):
    rules, beams = DecodingRules(12, ends=frozenset({END})), BeamRules(4)
    together = searched(model, texts, rules, beams)
    for row, expected in enumerate(together):
        count = int(texts["attention_mask"][row].sum())
        alone = {name: tensor[row : row + 1, :count] for name, tensor in texts.items()}
        assert searched(model, alone, rules, beams) == [expected]


class Table:
    """A network whose next token depends on the one before only, by a table of scores."""

    def __init__(self, scores):
        self.scores = scores  # (vocab, vocab)

    def step(self, input_ids, state):
        return self.scores[input_ids[:, -1]], state

    def reorder(self, state, rows):
        return state


def probability(scores, text):
    steps = zip([START, *text], text, strict=False)
    return sum(float(scores.log_softmax(-1)[before, after]) for before, after in steps)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_wide_enough_it_finds_the_best_of_all_texts(penalty):
    vocab, end, longest = 4, 3, 4
    for seed in range(5):
        scores = torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed)) * 2
        every = [
            text
            for length in range(1, longest + 1)
            for text in itertools.product(range(vocab), repeat=length)
            if end not in text[:-1] and (text[-1] == end or length == longest)
        ]
        best = sorted((probability(scores, text) / len(text) ** penalty for text in every), reverse=True)
        found = beam_search(
            Table(scores),
            None,
            1,
            START,
            DecodingRules(longest, ends=frozenset({end})),
            BeamRules(80, penalty, "never"),
            device=torch.device("cpu"),
        )
        got = [probability(scores, text) / len(text) ** penalty for text in found[0]]
        assert got[:10] == pytest.approx(best[:10], abs=1e-5)
        assert len({tuple(text) for text in found[0][:10]}) == 10


def test_a_stop_string_ends_a_text(model, texts):
    rules, beams = DecodingRules(9, ends=frozenset({END})), BeamRules(3)
    token = searched(model, texts, rules, beams)[0][0][1]
    found = searched(model, texts, rules, beams, is_finished=lambda text: text[-1] == token)
    assert all(token not in text[:-1] for row in found for text in row)
    assert any(text[-1] == token for row in found for text in row)


def test_scores_that_are_no_numbers_are_an_error(model):
    broken = Table(torch.full((5, 5), torch.nan))
    with pytest.raises(ValueError, match="not finite"):
        beam_search(broken, None, 1, START, DecodingRules(3), BeamRules(2), device=torch.device("cpu"))
