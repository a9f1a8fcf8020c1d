"""Measuring language models: each token counted once, as one would by hand, whatever the windows."""

import itertools
import math

import numpy as np
import pytest
import torch
from quintet.finetune import next_tokens
from quintet.finetune.language_metrics import DIRECTIONS, language_metrics
from quintet.finetune.next_tokens import Reading, add_up, foretold, windows_of
from quintet.finetune.tokenizer_training import train_tokenizer
from quintet.pipelines.checkpoints import from_model
from quintet.pipelines.errors import DataError, WeightsError
from quintet.pipelines.models import build_model
from sklearn.metrics import log_loss

TEXTS = ["To be, or not to be:", "that is", "the question. Whether 'tis nobler in the mind", "to suffer"]


def checkpoint(family="gpt2-mini", max_length=16, kind="characters"):
    limit = None if family == "lstm-lm" else max_length
    tokenizer = train_tokenizer(TEXTS, kind, 300, limit, begins_texts=True)
    arguments = {"hidden_size": 16, "layers": 1, "dropout": 0.0}
    arguments |= {"heads": 2} if family == "gpt2-mini" else {"embedding_size": 8}
    torch.manual_seed(0)
    model = build_model(
        family,
        vocab_size=tokenizer.vocab_size,
        labels=None,
        problem_type=None,
        arguments=arguments,
        start_id=tokenizer.start_id,
        end_id=tokenizer.end_id,
        max_length=max_length,
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)  # so that what was read before matters
    return from_model(model.eval(), tokenizer)


def by_hand(given, ids, *, context=None):
    """Losses and right guesses of all tokens but the first, each foretold from what Reading says."""
    reading = Reading.of(given)
    losses, right, first = [], [], 0
    for place in range(1, len(ids)):
        while place - first > reading.window:
            first += reading.window - reading.context
        scores = given.model(torch.tensor([ids[first:place]])).logits[0, -1].log_softmax(-1)
        losses.append(-scores[ids[place]].item())
        right.append(int(scores.argmax()) == ids[place])
    return losses, right


def framed(given, text):
    tokenizer = given.tokenizer
    ids = tokenizer.encode([text])[0].input_ids
    assert ids[0] == tokenizer.start_id
    return [*ids, tokenizer.end_id]


@pytest.mark.parametrize("family", ["gpt2-mini", "lstm-lm"])
@pytest.mark.parametrize("kind", ["characters", "cased-bpe"])
def test_documents_are_foretold_one_by_one(family, kind):
    given = checkpoint(family, kind=kind)
    sums = add_up(foretold(given, windows_of(given, TEXTS, is_one_text=False)), len(TEXTS))
    for row, text in enumerate(TEXTS):
        losses, right = by_hand(given, framed(given, text))
        np.testing.assert_allclose(sums[row], [sum(losses), len(losses), sum(right)], rtol=1e-5)


@pytest.mark.parametrize("family", ["gpt2-mini", "lstm-lm"])
def test_the_pieces_of_one_text_are_read_across_their_borders(family, monkeypatch):
    monkeypatch.setattr(next_tokens, "LONGEST", 24)
    monkeypatch.setattr(next_tokens, "RECURRENT_CONTEXT", 6)
    given = checkpoint(family)
    sums = add_up(foretold(given, windows_of(given, TEXTS, is_one_text=True)), len(TEXTS))
    ids = framed(given, "".join(TEXTS))[:-1]
    losses, right = by_hand(given, ids)
    assert sums[:, 1].tolist() == [len(text) for text in TEXTS]  # every character once, no end of text
    begins = np.cumsum([0, *map(len, TEXTS)])
    for row, (start, stop) in enumerate(itertools.pairwise(begins)):
        np.testing.assert_allclose(sums[row, [0, 2]], [sum(losses[start:stop]), sum(right[start:stop])], rtol=1e-5)


def test_a_token_has_half_a_window_before_it_or_all_there_is():
    given = checkpoint(max_length=16)
    assert Reading.of(given) == Reading(16, 8)
    assert Reading.of(checkpoint("lstm-lm")) == Reading(4096, 512)
    windows = list(windows_of(given, ["x" * 50], is_one_text=True))
    assert [window.context for window in windows] == [0, 8, 8, 8, 8, 8]
    assert sum(len(window.rows) for window in windows) == 50
    assert all(len(window.ids) <= 17 for window in windows)


def test_two_processes_together_count_what_one_counts():
    given = checkpoint()
    windows = list(windows_of(given, TEXTS, is_one_text=True))
    alone = add_up(foretold(given, windows), len(TEXTS))
    shares = [add_up(foretold(given, windows[rank::2]), len(TEXTS)) for rank in range(2)]
    np.testing.assert_allclose(sum(shares), alone, rtol=1e-6)


def test_weights_that_are_no_numbers_are_said_to_be_so():
    given = checkpoint()
    with torch.no_grad():
        next(given.model.parameters()).fill_(math.nan)
    with pytest.raises(WeightsError, match="cannot read the texts: the model's output is not finite"):
        list(foretold(given, windows_of(given, TEXTS, is_one_text=False)))


# --- metrics --------------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=30)
    truth = rng.integers(0, 4, size=30)
    losses = -np.log(probabilities[np.arange(30), truth])
    sums = np.array([[losses[:10].sum(), 10, 4], [losses[10:].sum(), 20, 5]])
    facts = {fact.name: fact for fact in language_metrics(sums, [25, 35], bootstrap=200)}
    loss = log_loss(truth, probabilities, labels=range(4))
    assert facts["loss"].value == pytest.approx(loss)
    assert facts["perplexity"].value == pytest.approx(math.exp(loss))
    assert facts["bits_per_character"].value == pytest.approx(loss * 30 / math.log(2) / 60)
    assert facts["accuracy"].value == pytest.approx(9 / 30)
    assert list(facts) == list(DIRECTIONS) and facts["accuracy"].higher_is_better
    assert not any(facts[name].higher_is_better for name in ("perplexity", "bits_per_character", "loss"))
    rows = sorted([losses[:10].mean(), losses[10:].mean()])
    assert rows[0] <= facts["loss"].low <= facts["loss"].value <= facts["loss"].high <= rows[1]


def test_a_uniform_model_has_the_vocabulary_as_its_perplexity():
    sums = np.array([[12 * math.log(65), 12, 0.0]])
    (perplexity, bits, *_) = language_metrics(sums, [12], bootstrap=0)
    assert perplexity.value == pytest.approx(65) and bits.value == pytest.approx(math.log2(65))


def test_nothing_to_foretell_is_an_error():
    with pytest.raises(DataError, match="the split has no text to foretell, so nothing can be measured"):
        language_metrics(np.zeros((2, 3)), [1, 1])
