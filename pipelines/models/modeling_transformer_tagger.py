"""The tagger of the transformer family as a transformers model; the network itself is in transformer.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .tagger import TextTaggerModel
from .transformer import TransformerTagger


class TransformerTaggerConfig(PreTrainedConfig):
    """What ``TransformerTagger`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-transformer-tagger"

    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    feed_forward_size: int
    dropout: float
    pad_token_id: int


class TransformerForTokenClassification(TextTaggerModel):
    """``TransformerTagger`` as ``network``."""

    config_class = TransformerTaggerConfig

    def __init__(self, config: TransformerTaggerConfig) -> None:
        network = TransformerTagger(
            vocab_size=config.vocab_size,
            num_labels=len(config.id2label or {}),
            hidden_size=config.hidden_size,
            layers=config.layers,
            heads=config.heads,
            feed_forward_size=config.feed_forward_size,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)


TransformerTaggerConfig.register_for_auto_class()
TransformerForTokenClassification.register_for_auto_class("AutoModelForTokenClassification")
