"""Checks at the door of every network: wrong input fails here, in words, not inside a convolution.

These raise ValueError, since the files of this folder travel with checkpoints to machines without Quintet;
``build_model`` and the checkpoint loader turn it into Quintet's own errors.
"""

from __future__ import annotations

import torch

IGNORED = -100
"""Stands among the targets where a token has no tag of its own, as in transformers."""


def check_shape(tensor: torch.Tensor, axes: tuple[str | int, ...], *, name: str) -> None:
    """Nothing, if the tensor has these axes.

    Args:
        tensor: what was given.
        axes: one entry an axis; a word is an axis of any size, a number is the size that it must have.
        name: how the error calls the tensor.

    Raises:
        ValueError: the tensor has another number of axes, or another size where ``axes`` has a number.

    >>> check_shape(torch.zeros(2, 7), ("batch", 7), name="mask")
    """
    sizes = tuple(tensor.shape)
    fits = len(sizes) == len(axes) and all(
        isinstance(axis, str) or size == axis for size, axis in zip(sizes, axes, strict=True)
    )
    if not fits:
        expected = ", ".join(map(str, axes))
        raise ValueError(f"{name} has shape {sizes}, expected ({expected}).")


def text_mask(input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """True at every token that belongs to its text, ``(batch, length)`` bool, at least one in each row.

    A text without any token counts as one padding token, so that pooling has something to pool.

    Args:
        input_ids: token ids, ``(batch, length)`` int64.
        attention_mask: 1 or True at the tokens of the text, 0 at the padding after them; None if nothing is padding.

    Raises:
        ValueError: a tensor has the wrong axes, the batch has no columns, or padding stands before text.
    """
    check_shape(input_ids, ("batch", "length"), name="input_ids")
    if input_ids.shape[1] == 0:
        raise ValueError("input_ids has length 0, expected at least one column; pad empty texts to one token.")
    if attention_mask is None:
        return torch.ones_like(input_ids, dtype=torch.bool)
    check_shape(attention_mask, tuple(input_ids.shape), name="attention_mask")
    mask = attention_mask.bool()
    if bool((mask[:, 1:] > mask[:, :-1]).any()):
        raise ValueError("attention_mask has padding before text; expected padding on the right.")
    # Without writing into the caller's tensor.
    return mask | (torch.arange(mask.shape[1], device=mask.device) == 0)
