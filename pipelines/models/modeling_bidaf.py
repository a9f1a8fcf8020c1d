"""Bidirectional attention flow as a transformers model; the network itself is in bidaf.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedConfig
from transformers.modeling_outputs import QuestionAnsweringModelOutput

from .adapter import TextModel
from .bidaf import BidirectionalAttentionFlow
from .shapes import IGNORED


class BidirectionalAttentionFlowConfig(PreTrainedConfig):
    """What ``BidirectionalAttentionFlow`` is built from; the fields are its arguments, defaults are in families.py."""

    model_type = "quintet-bidaf"

    vocab_size: int
    words: int
    word_size: int
    byte_size: int
    filters: int
    kernel_size: int
    hidden_size: int
    dropout: float
    pad_token_id: int


class BidirectionalAttentionFlowForQuestionAnswering(TextModel):
    """``BidirectionalAttentionFlow`` as ``network``."""

    config_class = BidirectionalAttentionFlowConfig

    def __init__(self, config: BidirectionalAttentionFlowConfig) -> None:
        network = BidirectionalAttentionFlow(
            vocab_size=config.vocab_size,
            words=config.words,
            word_size=config.word_size,
            byte_size=config.byte_size,
            filters=config.filters,
            kernel_size=config.kernel_size,
            hidden_size=config.hidden_size,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        start_positions: torch.Tensor | None = None,
        end_positions: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> QuestionAnsweringModelOutput:
        """Logits of the starts and the ends, each ``(batch, length)``, and with positions the mean loss of both.

        Args:
            input_ids: ``(batch, length)`` int64: [CLS] question [SEP] context, as its tokenizer gives a pair.
            attention_mask: ``(batch, length)``, 1 at the texts and 0 at the padding after them; None without padding.
            start_positions: ``(batch,)`` int64, the first byte of the answer's first word; -100 is left out.
            end_positions: ``(batch,)`` int64, the last byte of its last word; -100 is left out.
            kwargs: what transformers passes along to every model (``return_dict``, ``token_type_ids``); not used.
        """
        starts, ends = self.network(input_ids, attention_mask).unbind(dim=2)
        loss = None
        if start_positions is not None and end_positions is not None:
            pairs = ((starts, start_positions), (ends, end_positions))
            losses = [functional.cross_entropy(scores, targets, ignore_index=IGNORED) for scores, targets in pairs]
            loss = (losses[0] + losses[1]) / 2
        return QuestionAnsweringModelOutput(loss=loss, start_logits=starts, end_logits=ends)


BidirectionalAttentionFlowConfig.register_for_auto_class()
BidirectionalAttentionFlowForQuestionAnswering.register_for_auto_class("AutoModelForQuestionAnswering")
