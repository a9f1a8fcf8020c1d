"""What makes a plain network for pictures a transformers model: labels in, loss and logits out.

This file and the ones it imports are copied into every checkpoint, so that it loads in transformers without Quintet.
Hence relative imports of files beside it only, and ValueError for what is wrong.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.modeling_outputs import ImageClassifierOutput

from .adapter import NetworkModel, classification_loss

GREY = (0.299, 0.587, 0.114)
"""Share of red, green and blue in grey: ITU-R BT.601, as Pillow has it."""


class ImageModel(NetworkModel):
    """A ``PreTrainedModel`` around a plain network that reads pictures, which is its attribute ``network``.

    Args:
        config: the family's configuration; its field ``channels`` says what the network reads.
        network: reads ``pixel_values``.
    """

    main_input_name = "pixel_values"

    def read_pictures(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """``pixel_values`` with as many channels as the network reads: colour made grey, or grey made colour.

        Args:
            pixel_values: ``(batch, 1 or 3, height, width)``; transformers' own pipelines always give colour.
        """
        wanted, given = self.config.channels, pixel_values.shape[1]
        if given == 3 and wanted == 1:
            shares = torch.tensor(GREY, dtype=pixel_values.dtype, device=pixel_values.device)
            return (pixel_values * shares[:, None, None]).sum(1, keepdim=True)
        return pixel_values.expand(-1, 3, -1, -1) if given == 1 and wanted == 3 else pixel_values


class ImageClassifierModel(ImageModel):
    """A ``PreTrainedModel`` around a network that gives logits ``(batch, num_labels)`` for pictures."""

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Any
    ) -> ImageClassifierOutput:
        """Logits ``(batch, num_labels)``, and with ``labels`` the mean loss.

        Args:
            pixel_values: ``(batch, channels, height, width)`` float, normalised.
            labels: by the configuration's ``problem_type``: class ids ``(batch,)`` int64 (cross-entropy), 0 or 1 for
                each class ``(batch, num_labels)`` (binary cross-entropy), or values ``(batch,)`` (squared error).
            kwargs: what transformers passes along to every model (``return_dict``); not used.
        """
        logits = self.network(self.read_pictures(pixel_values))
        loss = None if labels is None else classification_loss(logits, labels, self.config.problem_type)
        return ImageClassifierOutput(loss=loss, logits=logits)
