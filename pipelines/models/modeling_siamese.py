"""The recurrent families for pairs of texts as a transformers model; the network itself is in siamese.py.

Copied into every checkpoint of these families: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from .adapter import TextModel, classification_loss
from .siamese import SiameseClassifier


class SiameseConfig(PreTrainedConfig):
    """What ``SiameseClassifier`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-siamese"

    vocab_size: int
    cell: str
    embedding_size: int
    hidden_size: int
    layers: int
    bidirectional: bool
    pooling: str
    comparison: str
    dropout: float
    pad_token_id: int


class SiameseForSequenceClassification(TextModel):
    """``SiameseClassifier`` as ``network``."""

    config_class = SiameseConfig

    def __init__(self, config: SiameseConfig) -> None:
        network = SiameseClassifier(
            vocab_size=config.vocab_size,
            num_labels=len(config.id2label or {}),
            cell=config.cell,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            layers=config.layers,
            bidirectional=config.bidirectional,
            pooling=config.pooling,
            comparison=config.comparison,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Logits ``(batch, num_labels)``, and with ``labels`` the mean loss.

        Args:
            input_ids: ``(batch, length)`` int64, the first text and behind it the second.
            attention_mask: ``(batch, length)``, 1 at the texts and 0 at the padding after them; None without padding.
            token_type_ids: ``(batch, length)``, 1 at the second text.
            labels: as in ``TextClassifierModel.forward``.
            kwargs: what transformers passes along to every model (``return_dict``); not used.
        """
        logits = self.network(input_ids, attention_mask, token_type_ids)
        loss = None if labels is None else classification_loss(logits, labels, self.config.problem_type)
        return SequenceClassifierOutput(loss=loss, logits=logits)


SiameseConfig.register_for_auto_class()
SiameseForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
