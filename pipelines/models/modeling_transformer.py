"""The Transformer encoder as a transformers model; the network itself is in transformer.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .adapter import TextClassifierModel
from .transformer import TransformerClassifier


class TransformerConfig(PreTrainedConfig):
    """What ``TransformerClassifier`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-transformer"

    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    feed_forward_size: int
    pooling: str
    dropout: float
    pad_token_id: int


class TransformerForSequenceClassification(TextClassifierModel):
    """``TransformerClassifier`` as ``network``."""

    config_class = TransformerConfig

    def __init__(self, config: TransformerConfig) -> None:
        network = TransformerClassifier(
            vocab_size=config.vocab_size,
            num_labels=len(config.id2label or {}),
            hidden_size=config.hidden_size,
            layers=config.layers,
            heads=config.heads,
            feed_forward_size=config.feed_forward_size,
            pooling=config.pooling,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)


TransformerConfig.register_for_auto_class()
TransformerForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
