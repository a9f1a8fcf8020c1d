"""The recurrent encoder-decoder as a transformers model; the network itself is in seq2seq.py.

Copied into every checkpoint of this family: imports only torch, transformers and files beside it. ``generate`` works as
for any model of transformers, but runs the decoder over all that was written for each token, since transformers has no
cache for the state of a recurrent network; Quintet itself carries the state along.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationMixin, PreTrainedConfig
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

from .adapter import TextModel
from .seq2seq import AttentiveSeq2Seq
from .shapes import IGNORED, text_mask


class Seq2SeqConfig(PreTrainedConfig):
    """What ``AttentiveSeq2Seq`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-seq2seq"

    vocab_size: int
    embedding_size: int
    hidden_size: int
    layers: int
    dropout: float
    pad_token_id: int
    decoder_start_token_id: int
    is_encoder_decoder: bool = True


class RecurrentForConditionalGeneration(TextModel, GenerationMixin):
    """``AttentiveSeq2Seq`` as ``network``."""

    config_class = Seq2SeqConfig
    network: AttentiveSeq2Seq

    def __init__(self, config: Seq2SeqConfig) -> None:
        network = AttentiveSeq2Seq(
            vocab_size=config.vocab_size,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            layers=config.layers,
            dropout=config.dropout,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Seq2SeqLMOutput:
        """Logits ``(batch, steps, vocab)``, and with ``labels`` the mean loss of a token.

        Args:
            input_ids: the texts to read, ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.
            decoder_input_ids: what was written so far, ``(batch, steps)``, the token that starts first; None for
                ``labels`` behind that token.
            encoder_outputs: of ``get_encoder()``, in place of ``input_ids``.
            labels: what is to be written, ``(batch, steps)``, -100 at the padding.
            kwargs: what transformers passes along to every model; not used.

        Raises:
            ValueError: neither ``decoder_input_ids`` nor ``labels`` is given, or neither of ``input_ids`` and
                ``encoder_outputs``.
        """
        if decoder_input_ids is None:
            if labels is None:
                raise ValueError("expected decoder_input_ids, what was written so far, or labels.")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if encoder_outputs is None:
            if input_ids is None:
                raise ValueError("expected input_ids, the texts to read, or encoder_outputs.")
            encoder_outputs = self.get_encoder()(input_ids, attention_mask)
        memory = encoder_outputs[0]
        mask = text_mask(torch.ones(memory.shape[:2], dtype=torch.int64, device=memory.device), attention_mask)
        features, _ = self.network.features(decoder_input_ids, self.network.begin(memory, mask))
        logits = self.network.logits(features)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)
        return Seq2SeqLMOutput(loss=loss, logits=logits, encoder_last_hidden_state=memory)

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """``labels`` one place later, behind the token that starts: what the decoder reads in training."""
        start = torch.full_like(labels[:, :1], self.config.decoder_start_token_id)
        shifted = torch.cat([start, labels[:, :-1]], 1)
        return shifted.masked_fill(shifted == IGNORED, self.config.pad_token_id)

    def get_encoder(self, *args: Any, **kwargs: Any) -> nn.Module:
        """What reads: gives ``encoder_outputs``."""
        return _Encoder(self.network)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What ``forward`` is given for the next token: all that was written, whatever ``use_cache`` says."""
        kept = {name: kwargs[name] for name in ("attention_mask", "encoder_outputs") if name in kwargs}
        return {"decoder_input_ids": input_ids, **kept}

    def get_output_embeddings(self) -> None:
        """None: the scores are computed from the word vectors themselves."""

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # there are no keys and values to keep


class _Encoder(nn.Module):
    """The reading part of a network."""

    def __init__(self, network: AttentiveSeq2Seq) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=self.network.read(input_ids, attention_mask))


Seq2SeqConfig.register_for_auto_class()
RecurrentForConditionalGeneration.register_for_auto_class("AutoModelForSeq2SeqLM")
