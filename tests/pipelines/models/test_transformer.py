"""The Transformer encoder against torch's own."""

import math

import pytest
import torch
from quintet.pipelines.models.transformer import TransformerClassifier, sinusoids


def network(**changes):
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "layers": 2, "heads": 2, "feed_forward_size": 12, "pooling": "mean", "dropout": 0.0}
    return TransformerClassifier(vocab_size=20, num_labels=3, padding_id=0, **{**sizes, **changes}).eval()


def test_logits_agree_with_torch_s_encoder():
    ours = network()
    layer = torch.nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, norm_first=True)
    theirs = torch.nn.TransformerEncoder(layer, 2, norm=torch.nn.LayerNorm(8), enable_nested_tensor=False).eval()
    names = {
        "attention_norm": "norm1",
        "attention.query_key_value.weight": "self_attn.in_proj_weight",
        "attention.query_key_value.bias": "self_attn.in_proj_bias",
        "attention.output": "self_attn.out_proj",
        "feed_forward_norm": "norm2",
        "feed_forward.0": "linear1",
        "feed_forward.3": "linear2",
    }
    state = {}
    for key, tensor in ours.state_dict().items():
        if key.startswith(("layers.", "norm.")):
            for our_name, their_name in names.items():
                key = key.replace(f".{our_name}", f".{their_name}")
            state[key] = tensor
    theirs.load_state_dict(state)  # strict: every weight has its counterpart
    ids = torch.randint(1, 20, (3, 6))
    mask = torch.arange(6) < torch.tensor([6, 2, 4])[:, None]
    words = ours.embedding(ids) * math.sqrt(8) + sinusoids(6, 8, ids.device)
    hidden = theirs(words, src_key_padding_mask=~mask)
    pooled = torch.stack([row[keep].mean(0) for row, keep in zip(hidden, mask, strict=True)])
    torch.testing.assert_close(ours(ids, mask), ours.classifier(pooled), rtol=1e-5, atol=1e-6)


def test_positions_are_the_paper_s():
    table = sinusoids(50, 6, torch.device("cpu"))
    for place, feature in ((0, 1), (7, 0), (7, 3), (49, 4)):
        angle = place / 10_000 ** (2 * (feature // 2) / 6)
        expected = math.cos(angle) if feature % 2 else math.sin(angle)
        assert table[place, feature].item() == pytest.approx(expected, abs=1e-5)


def test_scaled_word_vectors_begin_with_variance_one():
    model = network(hidden_size=64)
    scaled = model.embedding.weight[1:] * math.sqrt(64)
    assert scaled.var().item() == pytest.approx(1.0, abs=0.1)


def test_parameter_count_by_formula():
    vocab, d, ff, classes = 20, 8, 12, 3
    attention = 3 * (d * d + d) + d * d + d
    layer = attention + (d * ff + ff) + (ff * d + d) + 2 * 2 * d
    expected = vocab * d + 2 * layer + 2 * d + d * classes + classes
    assert sum(weight.numel() for weight in network().parameters()) == expected


@pytest.mark.parametrize("heads", [3, 16])
def test_heads_must_divide_the_features(heads):
    with pytest.raises(ValueError, match=f"expected an even multiple of heads \\({heads}\\)"):
        network(heads=heads)


def test_an_unknown_pooling_lists_the_known_ones():
    with pytest.raises(ValueError, match="pooling is 'last', expected one of mean, max"):
        network(pooling="last")
