"""The head of a language model on chosen tokens only, in place of all tokens of a batch.

A vocabulary of 16,000 words costs a small network more than all its layers. Of the tokens of a text 15 % are masked in
training, and one or two when a mask is filled, so most of that would be computed for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

PROBE_LENGTH = 6
SAME, ALMOST_SAME = 1e-4, 3e-2
"""How far two ways of computing one logit may lie apart in float32, and in formats of 16 bits."""


@contextmanager
def head_at(model: Any, where: torch.Tensor) -> Iterator[None]:
    """While open, the head of ``model`` sees chosen tokens only; its logits are ``(1, tokens, vocab)``, in their order.

    Args:
        model: of transformers, for which `has_separate_head` holds; gradients flow as ever.
        where: bool ``(batch, length)``, on the model's device: which tokens of the batch that it is called with.
    """

    def select(body: Any, arguments: Any, output: Any) -> Any:
        output.last_hidden_state = output[0][where].unsqueeze(0)  # (1, tokens, hidden)
        return output

    handle = model.base_model.register_forward_hook(select)
    try:
        yield
    finally:
        handle.remove()


def has_separate_head(model: Any) -> bool:
    """Whether the head of ``model`` reads each token by itself, behind a body that is called once; tried out.

    The model is called twice on a few tokens, without gradients and without changing it.
    """
    if not hasattr(model, "base_model") or model.base_model is model:
        return False
    device = next(model.parameters()).device
    ids = torch.arange(1, 1 + 2 * PROBE_LENGTH, device=device).reshape(2, PROBE_LENGTH)
    where = ids % 3 == 0  # some tokens of each text
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            logits = model(**given).logits[where]
            with head_at(model, where):
                found = model(**given).logits
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return False  # its own body or head cannot be taken apart like this; all of it is computed then
    finally:
        model.train(was_training)
    tolerance = SAME if logits.dtype == torch.float32 else ALMOST_SAME
    return found.shape == (1, *logits.shape) and torch.allclose(found[0], logits, rtol=tolerance, atol=tolerance)
