"""Batches of token ids through a model: padding, and outputs that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .base import WindowOutput
from .errors import InputError

if TYPE_CHECKING:
    import torch

    from .checkpoints import Checkpoint
    from .encodings import Encoded
    from .tokenization import TextTokenizer


NOT_FINITE = "the model's output is not finite (nan or infinite); try dtype='float32'."


def padded_batch(
    tokenizer: TextTokenizer, rows: Sequence[Encoded], *, side: Literal["right"] | None = None
) -> dict[str, torch.Tensor]:
    """``rows`` as the model reads them, int64 ``(batch, length)``; without attention_mask where nothing is padded.

    Attention without a mask is exact then, and faster.

    Args:
        tokenizer: of the model.
        rows: texts, or windows of them.
        side: where shorter ones are filled up. Those whose single tokens matter are padded on the ``right``: with
            padding before it, a text would begin at another position (GPT-2). None leaves it to the tokenizer.
    """
    batch = tokenizer.pad(rows, side=side)
    if bool(batch["attention_mask"].all()):
        del batch["attention_mask"]
    return batch


def class_logits(checkpoint: Checkpoint, rows: Sequence[Encoded]) -> np.ndarray:
    """Logits of a classifier, float32 ``(batch, labels)``."""
    return checkpoint.logits(padded_batch(checkpoint.tokenizer, rows)).float().cpu().numpy()


def checked_output(values: np.ndarray, length: int, context: Any = None) -> WindowOutput | InputError:
    """The output of one window, or an error where the model gave nan or infinity."""
    if np.isfinite(values).all():
        return WindowOutput(values, length, context)
    return InputError(NOT_FINITE)
