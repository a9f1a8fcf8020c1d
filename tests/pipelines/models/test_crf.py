"""The random field against the sum and the maximum over all sequences, written out."""

import itertools

import pytest
import torch
from quintet.pipelines.models.crf import ConditionalRandomField

LABELS, WORDS = 3, 4
LENGTHS = (4, 2, 1)


@pytest.fixture
def field():
    torch.manual_seed(0)
    field = ConditionalRandomField(LABELS)
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.normal_()
    return field


@pytest.fixture
def emissions():
    return torch.randn(len(LENGTHS), WORDS, LABELS, generator=torch.Generator().manual_seed(1))


MASK = torch.tensor([[word < length for word in range(WORDS)] for length in LENGTHS])


def score(field, emissions, tags):
    """Of one sequence of tags, term by term."""
    total = field.starts[tags[0]] + field.ends[tags[-1]]
    total = total + sum(emissions[word, tag] for word, tag in enumerate(tags))
    return total + sum(field.transitions[one, other] for one, other in itertools.pairwise(tags))


def all_scores(field, emissions, length):
    sequences = list(itertools.product(range(LABELS), repeat=length))
    return sequences, torch.stack([score(field, emissions, tags) for tags in sequences])


def test_the_loss_is_minus_the_log_of_the_share_of_the_sequence(field, emissions):
    tags = torch.tensor([[0, 2, 1, 1], [2, 2, 7, 7], [1, 7, 7, 7]])  # padding holds anything
    losses = field.losses(emissions, tags, MASK)
    for row, length in enumerate(LENGTHS):
        _, scores = all_scores(field, emissions[row], length)
        expected = scores.logsumexp(0) - score(field, emissions[row], tags[row, :length].tolist())
        assert losses[row].item() == pytest.approx(expected.item(), abs=1e-5)


def test_decoding_finds_the_best_of_all_sequences(field, emissions):
    best = field.decode(emissions, MASK)
    for row, length in enumerate(LENGTHS):
        sequences, scores = all_scores(field, emissions[row], length)
        assert tuple(best[row, :length].tolist()) == sequences[int(scores.argmax())]
        assert best[row, length:].tolist() == [0] * (WORDS - length)


def test_transitions_decide_where_words_say_nothing(field):
    with torch.no_grad():
        field.transitions[:] = torch.tensor([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0]])
        field.starts[:] = torch.tensor([5.0, 0.0, 0.0])
        field.ends.zero_()
    best = field.decode(torch.zeros(1, 5, 3), torch.ones(1, 5, dtype=torch.bool))
    assert best.tolist() == [[0, 1, 2, 0, 1]]


def test_marginals_are_shares_of_all_sequences_also_without_gradients(field, emissions):
    with torch.inference_mode():
        marginals = field.marginals(emissions, MASK)
    for row, length in enumerate(LENGTHS):
        sequences, scores = all_scores(field, emissions[row], length)
        shares = scores.softmax(0)
        for word in range(length):
            for label in range(LABELS):
                having = [index for index, tags in enumerate(sequences) if tags[word] == label]
                assert marginals[row, word, label].item() == pytest.approx(shares[having].sum().item(), abs=1e-5)
    assert marginals[1, 2:].abs().max() == 0


def test_padding_does_not_change_a_sequence(field, emissions):
    alone = field.losses(emissions[1:2, :2], torch.tensor([[2, 2]]), MASK[1:2, :2])
    together = field.losses(emissions, torch.tensor([[0, 0, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0]]), MASK)
    assert alone.item() == pytest.approx(together[1].item(), abs=1e-6)


def test_the_gradient_reaches_every_score(field, emissions):
    field.losses(emissions.requires_grad_(), torch.zeros(3, 4, dtype=torch.int64), MASK).sum().backward()
    for parameter in field.parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).all())
    assert emissions.grad is not None and emissions.grad[1, 2:].abs().max() == 0


def test_wrong_shapes_are_told(field, emissions):
    with pytest.raises(ValueError, match=r"emissions has shape \(3, 4, 2\), expected \(batch, words, 3\)\."):
        field.decode(emissions[:, :, :2], MASK)
    with pytest.raises(ValueError, match="a sequence has no word, expected at least one"):
        field.decode(emissions, MASK & (torch.arange(3) > 0)[:, None])
