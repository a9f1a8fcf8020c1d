"""The recurrent families as a transformers model; the network itself is in recurrent.py.

Copied into every checkpoint of these families: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from transformers import PreTrainedConfig

from .adapter import TextClassifierModel
from .recurrent import RecurrentClassifier


class RecurrentConfig(PreTrainedConfig):
    """What ``RecurrentClassifier`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-recurrent"

    vocab_size: int
    cell: str
    embedding_size: int
    hidden_size: int
    layers: int
    bidirectional: bool
    pooling: str
    dropout: float
    pad_token_id: int


class RecurrentForSequenceClassification(TextClassifierModel):
    """``RecurrentClassifier`` as ``network``."""

    config_class = RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        network = RecurrentClassifier(
            vocab_size=config.vocab_size,
            num_labels=len(config.id2label or {}),
            cell=config.cell,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            layers=config.layers,
            bidirectional=config.bidirectional,
            pooling=config.pooling,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)


RecurrentConfig.register_for_auto_class()
RecurrentForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
