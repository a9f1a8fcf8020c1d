"""The recurrent language models as a transformers model; the network itself is in language_model.py.

Copied into every checkpoint of these families: imports only torch, transformers and files beside it. ``generate`` works
as for any model of transformers, but reads all that was written again for each token, since transformers has no cache
for the state of a recurrent network; Quintet itself carries the state along.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import GenerationMixin, PreTrainedConfig
from transformers.modeling_outputs import CausalLMOutput

from .adapter import TextModel
from .language_model import RecurrentLanguageModel
from .shapes import IGNORED


class RecurrentLanguageModelConfig(PreTrainedConfig):
    """What ``RecurrentLanguageModel`` is built from; the fields are its arguments, the defaults are in families.py."""

    model_type = "quintet-language-model"

    vocab_size: int
    cell: str
    embedding_size: int
    hidden_size: int
    layers: int
    dropout: float
    tied: bool
    pad_token_id: int


class RecurrentForCausalLM(TextModel, GenerationMixin):
    """``RecurrentLanguageModel`` as ``network``."""

    config_class = RecurrentLanguageModelConfig

    def __init__(self, config: RecurrentLanguageModelConfig) -> None:
        network = RecurrentLanguageModel(
            vocab_size=config.vocab_size,
            cell=config.cell,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            layers=config.layers,
            dropout=config.dropout,
            tied=config.tied,
            padding_id=config.pad_token_id,
        )
        super().__init__(config, network)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Logits ``(batch, length, vocab)`` of the token after each token, and with ``labels`` their mean loss.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding, which may stand before it (as
                ``generate`` wants it) or after it; None without padding.
            labels: ``(batch, length)``, as transformers has them: ``input_ids`` themselves, -100 at the padding.
            kwargs: what transformers passes along to every model; not used.
        """
        if attention_mask is None or bool(attention_mask[:, 0].all()):
            logits = self.network(input_ids)
        else:
            places = torch.arange(input_ids.shape[1], device=input_ids.device)[None]  # (1, length)
            padding = attention_mask.long().argmax(1, keepdim=True)  # (batch, 1): tokens before the text
            texts = input_ids.gather(1, (places + padding).clamp(max=input_ids.shape[1] - 1))
            logits = self.network(texts)
            back = (places - padding).clamp(min=0)[..., None].expand_as(logits)
            logits = logits.gather(1, back)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
            )
        return CausalLMOutput(loss=loss, logits=logits)

    def prepare_inputs_for_generation(self, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """What ``forward`` reads for the next token: all tokens so far."""
        return {"input_ids": input_ids, "attention_mask": kwargs.get("attention_mask")}

    def get_output_embeddings(self) -> None:
        """None: what the logits are computed from is the network's own."""
        return

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False  # there are no keys and values to keep


RecurrentLanguageModelConfig.register_for_auto_class()
RecurrentForCausalLM.register_for_auto_class("AutoModelForCausalLM")
