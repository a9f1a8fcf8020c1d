"""From a row of the table of families to a network with random weights; torch and transformers load inside."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, WeightsError
from .families import FAMILIES, Family, Value, find_family

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

# What the adapters put before the plain network's own keys in a weight file.
NETWORK_PREFIX = "network."

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


def build_model(
    family: str | Family,
    *,
    vocab_size: int | None = None,
    labels: Sequence[str] | None,
    problem_type: str | None,
    arguments: Mapping[str, Value | Sequence[int]] | None = None,
    padding_id: int = 0,
    start_id: int | None = None,
    end_id: int | None = None,
    max_length: int | None = None,
    channels: int = 3,
    image_size: int | None = None,
) -> PreTrainedModel:
    """A model with random weights, drawn from torch's global generator, as a transformers model in training mode.

    For families of our own the plain network is its attribute ``network``, and the word vectors are
    ``network.embedding``.

    Args:
        family: a row of the table or its name.
        vocab_size: number of token ids; None for a family that reads no texts.
        labels: names of the classes in the order of their ids; None for a regression with one value, and where the
            family tells no classes apart.
        problem_type: as transformers names it, one of ``PROBLEM_TYPES``; None where it is no classification of texts.
        arguments: hyperparameters in place of the family's own.
        padding_id: token id of the padding.
        start_id: token id with which a text begins, for networks that write.
        end_id: token id with which a text ends, for networks that write.
        max_length: the most tokens of a text; the family's own if None. Only BERT has a vector for each position.
        channels: of the pictures that it reads, 1 or 3.
        image_size: pixels of their sides; the family's own if None.

    Raises:
        UnknownNameError: there is no such family, or argument.
        UsageError: an argument cannot be read, or the arguments contradict each other.
    """
    family = find_family(family) if isinstance(family, str) else family
    if problem_type is not None and problem_type not in PROBLEM_TYPES:
        raise UsageError(f"problem_type is '{problem_type}', expected one of {', '.join(PROBLEM_TYPES)}.")
    values = family.arguments(arguments or {})
    names = regression_labels(1) if labels is None else tuple(labels)
    labelled = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
        "problem_type": problem_type,
    }
    if family.reads_texts:
        values |= {"max_length": max_length or family.max_length}
    if family.reads_pictures:
        values |= {"channels": channels, "image_size": image_size or family.image_size}
    fields: dict[str, Any] = {
        **(_own_fields(family, values) if family.network is not None else _named_fields(family, values)),
        **({"vocab_size": vocab_size, "pad_token_id": padding_id} if family.reads_texts else {}),
        **(labelled if family.has_labels else {}),
        **({} if end_id is None else {"bos_token_id": start_id, "eos_token_id": end_id}),
        # A decoder starts with the padding, as Marian's does; a text that grows too long just ends.
        **({"decoder_start_token_id": padding_id, "forced_eos_token_id": None} if family.rewrites else {}),
    }
    config_class, adapter_class = adapter_classes(family)
    try:
        return adapter_class(config_class(**fields))
    except ValueError as error:
        raise UsageError(f"model {family.name} cannot be built: {error}") from error


def build_network(family: Family, config: Mapping[str, Any], *, name: str) -> nn.Module:
    """The plain network that a checkpoint's ``config.json`` describes, without transformers, weights random.

    Args:
        family: one of our own.
        config: content of ``config.json``.
        name: how errors call the checkpoint.

    Raises:
        WeightsError: the configuration lacks a field or contradicts itself.
    """
    if family.network is None:
        raise UsageError(f"model {family.name} has no plain network; load it through transformers.")
    fields = (*family.sizes, *family.fixed, *family.picture_arguments)
    of_texts = ("vocab_size", "pad_token_id") if family.reads_texts else ()
    needed = (*fields, *of_texts, *(("id2label",) if family.has_labels else ()))
    missing = [key for key in needed if key not in config]
    if missing:
        raise WeightsError(
            f"config.json of checkpoint '{name}' lacks {', '.join(missing)}, which a model of type {family.model_type} "
            "is built from; save or fetch the checkpoint again."
        )
    try:
        return _load(family.network)(
            **{key: config[key] for key in fields},
            **({"num_labels": len(config["id2label"])} if family.has_labels else {}),
            **(
                {"vocab_size": config["vocab_size"], "padding_id": config["pad_token_id"]} if family.reads_texts else {}
            ),
        )
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        # torch's modules raise any of these when a size is negative, absurdly large, or not a number.
        raise WeightsError(
            f"config.json of checkpoint '{name}' does not describe a {family.name}: {error} Fetch the checkpoint again."
        ) from error


def adapter_classes(family: Family) -> tuple[Any, Any]:
    """The configuration class and the ``PreTrainedModel`` class of a family, known to transformers' Auto classes."""
    config_class, adapter_class = _load(family.config), _load(family.adapter)
    if family.network is not None:
        import transformers

        transformers.AutoConfig.register(family.model_type, config_class, exist_ok=True)
        getattr(transformers, family.auto_model).register(config_class, adapter_class, exist_ok=True)
    return config_class, adapter_class


def register_families() -> None:
    """Makes transformers' Auto classes load checkpoints of our own families with the code of this package."""
    for family in FAMILIES:
        adapter_classes(family)


def regression_labels(count: int) -> tuple[str, ...]:
    """The names that transformers gives to values without names."""
    return tuple(f"LABEL_{index}" for index in range(count))


def _own_fields(family: Family, values: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a family of our own, which its configuration has under the same names."""
    kept = (*family.sizes, *family.fixed, *(("channels", "image_size") if family.reads_pictures else ()))
    return {name: values[name] for name in kept}


def _named_fields(family: Family, values: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a family of transformers, under the names that its configuration has for them."""
    return {theirs: values[ours] for ours, names in family.config_names.items() for theirs in names}


def _load(dotted: str) -> Any:
    """``module:Class`` of this folder, or of transformers."""
    module, _, name = dotted.partition(":")
    path = module if module == "transformers" else f".{module}"
    return getattr(importlib.import_module(path, __package__), name)
