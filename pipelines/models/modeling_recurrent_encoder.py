"""The recurrent families as a transformers model that gives a vector for each token; the network is in recurrent.py.

Copied into every checkpoint of these families: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.modeling_outputs import BaseModelOutput

from .adapter import TextModel
from .recurrent import RecurrentEncoder


class RecurrentEncoderConfig(PreTrainedConfig):
    """What ``RecurrentEncoder`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-recurrent-encoder"

    vocab_size: int
    cell: str
    embedding_size: int
    hidden_size: int
    layers: int
    bidirectional: bool
    dropout: float
    pad_token_id: int


class RecurrentEncoderModel(TextModel):
    """``RecurrentEncoder`` as ``network``."""

    config_class = RecurrentEncoderConfig

    def __init__(self, config: RecurrentEncoderConfig) -> None:
        network = RecurrentEncoder(
            vocab_size=config.vocab_size,
            cell=config.cell,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """``last_hidden_state`` (batch, length, features); of a position of padding it says nothing.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.
            kwargs: what transformers passes along to every model (``return_dict``, ``token_type_ids``); not used.
        """
        hidden: Any = self.network(input_ids, attention_mask)
        return BaseModelOutput(last_hidden_state=hidden)


RecurrentEncoderConfig.register_for_auto_class()
RecurrentEncoderModel.register_for_auto_class("AutoModel")
