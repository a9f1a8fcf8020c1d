"""What makes a plain network that tags words a transformers model.

This file and the ones it imports are copied into every checkpoint, so that it loads in transformers without Quintet.
Hence relative imports of files beside it only, and ValueError for what is wrong.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers.modeling_outputs import TokenClassifierOutput

from .adapter import TextModel
from .shapes import IGNORED


class TextTaggerModel(TextModel):
    """A ``PreTrainedModel`` around a network that gives logits ``(batch, length, num_labels)``.

    A network with ``losses(logits, labels)``, one number a text, is trained by these; others by the cross-entropy of
    each word.
    """

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> TokenClassifierOutput:
        """Logits ``(batch, length, num_labels)``, and with ``labels`` the loss by word.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.
            labels: ``(batch, length)`` int64 tags, -100 where a token has none of its own.
            kwargs: what transformers passes along to every model (``return_dict``, ``token_type_ids``); not used.
        """
        logits = self.network(input_ids, attention_mask)
        if labels is None:
            return TokenClassifierOutput(logits=logits)
        losses = getattr(self.network, "losses", None)
        if losses is None:
            loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        else:
            loss = losses(logits, labels).sum() / (labels != IGNORED).sum().clamp(min=1)
        return TokenClassifierOutput(loss=loss, logits=logits)
