"""The encoder of Vaswani et al. 2017, "Attention Is All You Need", as a text classifier and as a tagger.

    token ids -> word vectors + positions -> layers of attention and feed-forward -> mean or maximum -> logits

Two departures from the paper. The norm stands before each block, not after it: Xiong et al. 2020, "On Layer
Normalization in the Transformer Architecture", show that the gradients of the paper's order need a long warm-up, and a
small network trained for minutes has no steps to spare for one. And a text becomes one vector by pooling, since the
paper has no classifier. Checked against torch.nn.TransformerEncoder in tests/pipelines/models/test_transformer.py.

Axes: batch, length (tokens), hidden, heads, head_dim (hidden / heads).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .embedding import WordEmbedding
from .pooling import max_pool, mean_pool
from .shapes import text_mask

POOLINGS = ("mean", "max")


class SelfAttention(nn.Module):
    """Every token looks at every token of its text (section 3.2): ``(batch, length, hidden)`` to the same."""

    def __init__(self, hidden_size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query_key_value = nn.Linear(hidden_size, 3 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, length, size = hidden.shape
        projected = self.query_key_value(hidden)  # (batch, length, 3 * hidden)
        split = projected.view(batch, length, 3, self.heads, size // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head_dim)
        attended = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask[:, None, None, :],  # (batch, 1, 1, length): True may be looked at
            dropout_p=self.dropout if self.training else 0.0,
        )  # (batch, heads, length, head_dim)
        return self.output(attended.transpose(1, 2).reshape(batch, length, size))


class EncoderLayer(nn.Module):
    """Attention, then the feed-forward network, each added to what came in: ``(batch, length, hidden)`` to the same."""

    def __init__(self, hidden_size: int, heads: int, feed_forward_size: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(hidden_size)
        self.attention = SelfAttention(hidden_size, heads, dropout)
        self.feed_forward_norm = nn.LayerNorm(hidden_size)
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden_size, feed_forward_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(feed_forward_size, hidden_size),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), mask))
        return hidden + self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))


class TransformerEncoder(nn.Module):
    """What classifier and tagger share: token ids to features ``(batch, length, hidden)``, normed.

    Args:
        vocab_size: number of token ids.
        hidden_size: features of a token (d_model of the paper).
        layers: encoder layers on top of each other (N).
        heads: attention heads (h).
        feed_forward_size: features inside the feed-forward network (d_ff).
        dropout: probability in [0, 1) with which a feature is left out in training (section 5.4), also of attention
            weights and before the classifier.
        padding_id: token id of the padding.

    Raises:
        ValueError: ``heads`` does not divide ``hidden_size``, or ``hidden_size`` is odd.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        hidden_size: int,
        layers: int,
        heads: int,
        feed_forward_size: int,
        dropout: float,
        padding_id: int,
    ) -> None:
        super().__init__()
        if hidden_size % heads or hidden_size % 2:
            raise ValueError(f"hidden_size is {hidden_size}, expected an even multiple of heads ({heads}).")
        # Variance 1 after the scaling in encode: a uniform distribution in [-bound, bound] has variance bound^2 / 3.
        self.embedding = WordEmbedding(vocab_size, hidden_size, padding_id, bound=math.sqrt(3 / hidden_size))
        self.layers = nn.ModuleList(EncoderLayer(hidden_size, heads, feed_forward_size, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(dropout)

    def encode(self, input_ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Features ``(batch, length, hidden)``; ``mask`` is True at tokens, ``(batch, length)``."""
        words = self.embedding(input_ids) * math.sqrt(self.embedding.embedding_dim)  # section 3.4
        positions = sinusoids(words.shape[1], words.shape[2], words.device)  # (length, hidden)
        hidden = self.dropout(words + positions.to(words.dtype))  # (batch, length, hidden)
        for layer in self.layers:
            hidden = layer(hidden, mask)  # (batch, length, hidden)
        return self.norm(hidden)


class TransformerClassifier(TransformerEncoder):
    """Logits ``(batch, num_labels)`` for texts of token ids.

    Args:
        num_labels: number of classes, or of values in a regression.
        pooling: how a text becomes one vector: ``mean`` or ``max`` over its tokens.
        sizes: those of `TransformerEncoder`.

    Raises:
        ValueError: there is no such ``pooling``, or the sizes do not go together.
    """

    def __init__(self, *, num_labels: int, pooling: str, **sizes: Any) -> None:
        super().__init__(**sizes)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling is '{pooling}', expected one of {', '.join(POOLINGS)}.")
        self.pooling = pooling
        self.classifier = nn.Linear(self.embedding.embedding_dim, num_labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits ``(batch, num_labels)``.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.

        Raises:
            ValueError: a tensor has other axes, or padding stands before text.
        """
        mask = text_mask(input_ids, attention_mask)  # (batch, length)
        pool = max_pool if self.pooling == "max" else mean_pool
        return self.classifier(self.dropout(pool(self.encode(input_ids, mask), mask)))  # (batch, num_labels)


class TransformerTagger(TransformerEncoder):
    """Logits ``(batch, length, num_labels)``, one row a token; arguments as for `TransformerClassifier`."""

    def __init__(self, *, num_labels: int, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.classifier = nn.Linear(self.embedding.embedding_dim, num_labels)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Logits ``(batch, length, num_labels)``; arguments and errors as for `TransformerClassifier`."""
        mask = text_mask(input_ids, attention_mask)  # (batch, length)
        return self.classifier(self.dropout(self.encode(input_ids, mask)))  # (batch, length, num_labels)


def sinusoids(length: int, hidden_size: int, device: torch.device) -> torch.Tensor:
    """The positions of section 3.5, ``(length, hidden)``: sines at even features, cosines at odd ones.

    Computed each time: a few microseconds, no longest length, and no buffer that has to be in every checkpoint.
    """
    places = torch.arange(length, device=device, dtype=torch.float32)[:, None]  # (length, 1)
    features = torch.arange(0, hidden_size, 2, device=device, dtype=torch.float32)  # (hidden / 2,)
    angles = places * torch.exp(features * (-math.log(10_000.0) / hidden_size))  # (length, hidden / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
