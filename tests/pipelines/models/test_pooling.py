import torch
from quintet.pipelines.models.embedding import WordEmbedding
from quintet.pipelines.models.pooling import AttentionPooling, max_pool, mean_pool

HIDDEN = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]], [[-5.0, 6.0], [9.0, 9.0], [9.0, 9.0]]])
MASK = torch.tensor([[True, True, False], [True, False, False]])


def test_maximum_leaves_padding_out():
    assert max_pool(HIDDEN, MASK).tolist() == [[3.0, -2.0], [-5.0, 6.0]]


def test_mean_leaves_padding_out_even_if_it_is_infinite():
    hidden = HIDDEN.masked_fill(~MASK[:, :, None], torch.inf)
    assert mean_pool(hidden, MASK).tolist() == [[2.0, -3.0], [-5.0, 6.0]]


def test_attention_weighs_by_the_softmax_of_the_scores():
    torch.manual_seed(0)
    pooling = AttentionPooling(2)
    text = HIDDEN[0, :2]
    scores = torch.tanh(text @ pooling.projection.weight.T + pooling.projection.bias) @ pooling.score.weight[0]
    expected = (scores.exp() / scores.exp().sum()) @ text
    torch.testing.assert_close(pooling(HIDDEN, MASK)[0], expected)
    torch.testing.assert_close(pooling(HIDDEN, MASK)[1], HIDDEN[1, 0])  # one token has all the weight


def test_word_vectors_begin_within_their_bound_and_padding_is_zero():
    torch.manual_seed(0)
    embedding = WordEmbedding(1000, 8, padding_id=3)
    assert 0.249 < embedding.weight.abs().max().item() <= 0.25
    assert embedding.weight[3].tolist() == [0.0] * 8
    assert embedding.weight[4].abs().sum() > 0
