"""What makes a plain network a transformers model: labels in, loss and logits out, its own initial weights.

This file and the ones it imports are copied into every checkpoint, so that it loads in transformers without Quintet.
Hence relative imports of files beside it only, and ValueError for what is wrong.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class NetworkModel(PreTrainedModel):
    """A ``PreTrainedModel`` around a plain network, which is its attribute ``network``.

    Args:
        config: the family's configuration.
        network: with ``reset_parameters`` where layers have initial weights of their own.
    """

    def __init__(self, config: PreTrainedConfig, network: nn.Module) -> None:
        super().__init__(config)
        self.network = network
        for tensor in [*self.parameters(), *self.buffers()]:
            # transformers would draw every weight again, from N(0, 0.02), biases zero. While it loads a checkpoint, it
            # builds the network on the meta device first; there what the file does not hold has yet to be drawn.
            if tensor.device.type != "meta":
                tensor._is_hf_initialized = True  # type: ignore[attr-defined]
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Draws the weights that a checkpoint did not hold (a new classifier, say) as the network draws them."""
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if reset is not None:
            reset()


class TextModel(NetworkModel):
    """A ``PreTrainedModel`` around a network that reads ``(input_ids, attention_mask)`` and has an ``embedding``."""

    main_input_name = "input_ids"

    def get_input_embeddings(self) -> nn.Module:
        """The table of word vectors."""
        return self.network.get_submodule("embedding")

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Puts another table of word vectors in its place."""
        self.network.set_submodule("embedding", value)


class TextClassifierModel(TextModel):
    """A ``PreTrainedModel`` around a network that gives logits ``(batch, num_labels)``."""

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Logits ``(batch, num_labels)``, and with ``labels`` the mean loss.

        Args:
            input_ids: ``(batch, length)`` int64.
            attention_mask: ``(batch, length)``, 1 at the text and 0 at the padding after it; None without padding.
            labels: by the configuration's ``problem_type``: class ids ``(batch,)`` int64 (cross-entropy), 0 or 1 for
                each class ``(batch, num_labels)`` (binary cross-entropy), or values ``(batch,)`` (squared error).
            kwargs: what transformers passes along to every model (``return_dict``, ``token_type_ids``); not used.
        """
        logits = self.network(input_ids, attention_mask)
        loss = None if labels is None else classification_loss(logits, labels, self.config.problem_type)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def classification_loss(logits: torch.Tensor, labels: torch.Tensor, problem_type: str | None) -> torch.Tensor:
    """The mean loss of a batch; arguments as in ``TextClassifierModel.forward``.

    Raises:
        ValueError: ``problem_type`` is none of transformers' three.
    """
    if problem_type in (None, "single_label_classification"):
        return functional.cross_entropy(logits, labels)
    if problem_type == "multi_label_classification":
        return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    if problem_type == "regression":
        return functional.mse_loss(logits.reshape(labels.shape), labels.to(logits.dtype))
    raise ValueError(
        f"problem_type is '{problem_type}', expected single_label_classification, multi_label_classification "
        "or regression."
    )
