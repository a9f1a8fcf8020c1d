"""Word vectors for a model trained from scratch, out of the sub-word vectors of a pretrained one.

A word's vector is the mean of the pretrained input embeddings of its sub-words; principal components bring the vectors
to the size of the model's embedding. So a small model starts with words of like meaning close together, at no cost
later on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from ..pipelines.checkpoints import load_checkpoint
from ..pipelines.errors import UsageError
from ..pipelines.tokenization import TOKENIZER_FILE, TextTokenizer
from .settings import FinetuneSettings


def vectors_from_checkpoint(model: Any, words: Mapping[str, int], settings: FinetuneSettings) -> int:
    """Initializes the embedding of ``model`` from ``settings.embeddings_from``; returns the number of rows set.

    Args:
        model: a transformers model; its embedding is changed in place.
        words: word -> its row in the embedding.
        settings: name of the checkpoint, and the scale.

    Raises:
        UsageError: the embedding is larger than the pretrained one.
        WeightsError: the checkpoint cannot be loaded.
    """
    # an encoder without a classifier will do, so a head is drawn if it has none
    source = load_checkpoint(
        settings.embeddings_from or "", light=False, new_head=True, trust_remote_code=settings.trust_remote_code
    )
    pretrained: Any = source.model
    known, most = pretrained.get_input_embeddings().weight.shape[0], source.tokenizer.vocab_size
    if known < most:
        raise UsageError(
            f"--embeddings-from {source.name} has {known:,} input embeddings for {most:,} tokens, since its network "
            "makes vectors of words out of their bytes; give a checkpoint with one for each token"
        )
    table = model.get_input_embeddings().weight
    vectors = word_vectors(sorted(words), pretrained.get_input_embeddings().weight.detach(), source.tokenizer)
    size, most = table.shape[1], min(vectors.shape)
    if size > most:
        raise UsageError(
            f"--embeddings-from {source.name} has {vectors.shape[1]} numbers a word, and there are {len(words)} words: "
            f"too few for an embedding of {size}; give --model-args embedding_size={most} or less"
        )
    projected = principal_components(vectors, size)
    with torch.no_grad():
        rows = torch.tensor([words[word] for word in sorted(words)])
        table[rows] = (projected * (settings.embeddings_scale / projected.std())).to(table)
    return len(words)


def plain_words(folder: Path) -> dict[str, int]:
    """Text of each token → its id, without special tokens and without tokens that are no text alone."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    special = set(tokenizer.get_added_tokens_decoder())
    ids = [index for index in sorted(tokenizer.get_vocab().values()) if index not in special]
    decoded = {tokenizer.decode([index]).strip(): index for index in reversed(ids)}  # the first of equal ones is kept
    return {word: index for word, index in decoded.items() if word and "\ufffd" not in word}


def word_vectors(words: list[str], pretrained: torch.Tensor, tokenizer: TextTokenizer) -> torch.Tensor:
    """The mean pretrained vector of each word's sub-words, float32 (words, size).

    Args:
        words: in the order of the result.
        pretrained: input embeddings (vocab, size).
        tokenizer: of ``pretrained``.
    """
    special = set(tokenizer.encode([""])[0].input_ids)
    return torch.stack(
        [_mean_vector(encoded.input_ids, special, pretrained) for encoded in tokenizer.encode(words)]
    ).float()


def _mean_vector(ids: list[int], special: set[int], pretrained: torch.Tensor) -> torch.Tensor:
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
