"""Word vectors for a model trained from scratch, out of the sub-word vectors of a pretrained one.

A word's vector is the mean of the pretrained input embeddings of its sub-words; principal components bring the vectors
to the size of the model's embedding. So a small model starts with words of like meaning close together, at no cost
later on.
"""

from __future__ import annotations

from typing import Any

import torch

from ..pipelines.errors import UsageError
from ..pipelines.tokenization import TextTokenizer


def initialize_embeddings(
    model: Any, tokenizer: TextTokenizer, words: dict[str, int], pretrained: torch.Tensor, encoder: TextTokenizer
) -> int:
    """Sets the rows of ``model``'s input embedding for ``words``; returns how many.

    Args:
        model: a transformers model; its embedding is changed in place.
        tokenizer: the model's.
        words: text of each token → its id; special tokens left out.
        pretrained: input embeddings (vocab, size) of the pretrained model.
        encoder: tokenizer of the pretrained model.

    Raises:
        UsageError: the embedding is larger than the pretrained one.
    """
    table = model.get_input_embeddings().weight
    size = table.shape[1]
    if size > min(pretrained.shape[1], len(words)):
        raise UsageError(
            f"--embeddings-from has vectors of {pretrained.shape[1]} numbers for {len(words)} words, too few for an "
            f"embedding of {size}; set --model-args embedding_size={min(pretrained.shape[1], len(words))} or less"
        )
    special = encoder.encode([""])[0].input_ids
    names = sorted(words)
    vectors = torch.stack([_mean_vector(encoded.input_ids, special, pretrained) for encoded in encoder.encode(names)])
    projected = principal_components(vectors, size)
    with torch.no_grad():
        # the scale that the model drew at random: only directions are taken over
        scale = table.std() / projected.std()
        table[torch.tensor([words[name] for name in names])] = (projected * scale).to(table)
    return len(names)


def _mean_vector(ids: list[int], special: list[int], pretrained: torch.Tensor) -> torch.Tensor:
    kept = [token for token in ids if token not in special]
    return pretrained[kept].mean(0) if kept else pretrained.mean(0)


def principal_components(vectors: torch.Tensor, size: int) -> torch.Tensor:
    """``vectors`` (rows, features) on their ``size`` widest directions, (rows, size) float32.

    A direction's sign is free; it is chosen so that its largest entry is positive, and the same on every machine.
    """
    centred = vectors.double() - vectors.double().mean(0)
    _, directions = torch.linalg.eigh(centred.T @ centred)  # ascending
    directions = directions.flip(1)[:, :size]  # (features, size)
    largest = directions.abs().argmax(0)
    signs = directions[largest, torch.arange(directions.shape[1])].sign()
    return (centred @ (directions * signs)).float()
