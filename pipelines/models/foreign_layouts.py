"""Which key of another library's weights is which of ours, one function a family, written out from published sizes.

    torchvision   AlexNet, VGG (with and without batch norm), ResNet; timm's ResNets have the same keys
    timm          ViT, whose queries, keys and values are one matrix
    akamaster     ResNet for CIFAR; chenyaofo's has `fc` for `linear` and `downsample` for `shortcut`

What can be read off the tensors (classes, channels, batch norm, the sizes of a ViT) is; a tensor that is not there
counts as of the usual size, and foreign_weights.py tells that it is missing. ResNets and ViTs become models of
transformers, the others our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import UsageError
from .alexnet import PUBLISHED as ALEXNET
from .resnet_cifar import STAGES
from .vgg import BLOCKS
from .vgg import PUBLISHED as VGG

State = Mapping[str, torch.Tensor]
Keys = dict[str, tuple[str, ...]]

CONVOLUTIONS = (0, 3, 6, 8, 10)  # places of AlexNet's
# He et al. 2015, table 1: layers with weights -> kind of block, blocks of each stage
RESNET_BLOCKS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
# Dosovitskiy et al. 2020, table 1, and Touvron et al. 2020 (DeiT), table 1: features -> heads, which no tensor shows
VIT_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
VIT_BASE = {"hidden_size": 768, "patch_size": 16, "image_size": 224}

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and deviation in torchvision's recipes
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.201))  # in chenyaofo's; akamaster's takes ImageNet's
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # of Google's ViTs

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class ForeignModel:
    """What a state dictionary becomes.

    Attributes:
        model: ``module:Class`` of the model, in this folder or in transformers.
        config: ``module:Class`` of its configuration.
        fields: of the configuration, without the labels.
        keys: their key -> ours; where these are several, the tensor is cut into as many equal parts along its first
            axis.
        num_labels: classes that the head tells apart.
        channels: of the pictures.
        image_size: pixels of the sides of the square that it is usually given.
        statistics: mean and deviation of red, green and blue with which it is usually trained.
    """

    model: str
    config: str
    fields: Mapping[str, Any]
    keys: Mapping[str, tuple[str, ...]]
    num_labels: int
    channels: int
    image_size: int
    statistics: tuple[tuple[float, ...], tuple[float, ...]]


def _size(state: State, key: str, axis: int, usual: int) -> int:
    """Length of an axis of a tensor; ``usual`` where there is none, which the check of the keys will tell."""
    tensor = state.get(key)
    return usual if tensor is None or tensor.ndim <= axis else tensor.shape[axis]


def _layer(theirs: str, ours: str, entries: tuple[str, ...]) -> Keys:
    """The entries of a layer under both names."""
    return {f"{theirs}.{entry}": (f"{ours}.{entry}",) for entry in entries}


def read_alexnet(state: State, heads: int | None) -> ForeignModel:
    """torchvision's AlexNet; ``heads`` is for ViTs only, here and below."""
    keys: Keys = {}
    for place in CONVOLUTIONS:
        keys |= _layer(f"features.{place}", f"network.features.{place}", ("weight", "bias"))
    for theirs, ours in ((1, "neurons.1"), (4, "neurons.4"), (6, "classifier")):
        keys |= _layer(f"classifier.{theirs}", f"network.{ours}", ("weight", "bias"))
    channels = _size(state, "features.0.weight", 1, 3)
    return ForeignModel(
        model="modeling_alexnet:AlexNetForImageClassification",
        config="modeling_alexnet:AlexNetConfig",
        fields={
            **ALEXNET,
            "channels": channels,
            "filters": [
                _size(state, f"features.{place}.weight", 0, usual)
                for place, usual in zip(CONVOLUTIONS, ALEXNET["filters"], strict=True)
            ],
            "hidden_size": _size(state, "classifier.1.weight", 0, ALEXNET["hidden_size"]),
            "dropout": 0.5,
        },
        keys=keys,
        num_labels=_size(state, "classifier.6.weight", 0, 1000),
        channels=channels,
        image_size=224,
        statistics=IMAGENET,
    )


def read_vgg(depth: int, state: State, heads: int | None) -> ForeignModel:
    """torchvision's VGG of a depth of `BLOCKS`; its layers stand at the same places as ours."""
    batch_norm = any(key.endswith("running_mean") for key in state)
    keys: Keys = {}
    place = 0
    for convolutions in BLOCKS[depth]:
        for _ in range(convolutions):
            keys |= _layer(f"features.{place}", f"network.features.{place}", ("weight", "bias"))
            if batch_norm:
                keys |= _layer(f"features.{place + 1}", f"network.features.{place + 1}", NORM)
            place += 3 if batch_norm else 2  # and the ReLU
        place += 1  # the maximum
    for theirs, ours in ((0, "neurons.1"), (3, "neurons.4"), (6, "classifier")):
        keys |= _layer(f"classifier.{theirs}", f"network.{ours}", ("weight", "bias"))
    channels = _size(state, "features.0.weight", 1, 3)
    return ForeignModel(
        model="modeling_vgg:VggForImageClassification",
        config="modeling_vgg:VggConfig",
        fields={
            **VGG,
            "channels": channels,
            "depth": depth,
            "batch_norm": batch_norm,
            "width": _size(state, "features.0.weight", 0, VGG["width"]),
            "hidden_size": _size(state, "classifier.0.weight", 0, VGG["hidden_size"]),
            "dropout": 0.5,
        },
        keys=keys,
        num_labels=_size(state, "classifier.6.weight", 0, 1000),
        channels=channels,
        image_size=224,
        statistics=IMAGENET,
    )


def read_cifar_resnet(depth: int, state: State, heads: int | None) -> ForeignModel:
    """akamaster's or chenyaofo's ResNet for small pictures, of 6n + 2 layers."""
    head = "fc" if "fc.weight" in state else "linear"
    past = "downsample" if any(".downsample." in key for key in state) else "shortcut"
    projected = any(f".{past}." in key for key in state)
    keys = _layer("conv1", "network.stem", ("weight",)) | _layer("bn1", "network.stem_norm", NORM)
    for stage in range(STAGES):
        for block in range((depth - 2) // (2 * STAGES)):
            theirs, ours = f"layer{stage + 1}.{block}", f"network.stages.{stage}.{block}"
            for number, word in ((1, "first"), (2, "second")):
                keys |= _layer(f"{theirs}.conv{number}", f"{ours}.{word}", ("weight",))
                keys |= _layer(f"{theirs}.bn{number}", f"{ours}.{word}_norm", NORM)
            if projected and stage > 0 and block == 0:
                keys |= _layer(f"{theirs}.{past}.0", f"{ours}.projection.0", ("weight",))
                keys |= _layer(f"{theirs}.{past}.1", f"{ours}.projection.1", NORM)
    keys |= _layer(head, "network.classifier", ("weight", "bias"))
    channels = _size(state, "conv1.weight", 1, 3)
    return ForeignModel(
        model="modeling_resnet_cifar:CifarResNetForImageClassification",
        config="modeling_resnet_cifar:CifarResNetConfig",
        fields={
            "channels": channels,
            "depth": depth,
            "width": _size(state, "conv1.weight", 0, 16),
            "shortcut": "B" if projected else "A",
        },
        keys=keys,
        num_labels=_size(state, f"{head}.weight", 0, 10),
        channels=channels,
        image_size=32,
        statistics=CIFAR if head == "fc" else IMAGENET,
    )


def read_resnet(depth: int, state: State, heads: int | None) -> ForeignModel:
    """torchvision's or timm's ResNet of a depth of `RESNET_BLOCKS`, to that of transformers."""
    kind, blocks = RESNET_BLOCKS[depth]
    convolutions, widening = (2, 1) if kind == "basic" else (3, 4)
    stem = "resnet.embedder.embedder"
    keys = _layer("conv1", f"{stem}.convolution", ("weight",)) | _layer("bn1", f"{stem}.normalization", NORM)
    for stage, count in enumerate(blocks):
        for block in range(count):
            theirs, ours = f"layer{stage + 1}.{block}", f"resnet.encoder.stages.{stage}.layers.{block}"
            for number in range(convolutions):
                keys |= _layer(f"{theirs}.conv{number + 1}", f"{ours}.layer.{number}.convolution", ("weight",))
                keys |= _layer(f"{theirs}.bn{number + 1}", f"{ours}.layer.{number}.normalization", NORM)
            if block == 0 and (stage > 0 or kind == "bottleneck"):
                keys |= _layer(f"{theirs}.downsample.0", f"{ours}.shortcut.convolution", ("weight",))
                keys |= _layer(f"{theirs}.downsample.1", f"{ours}.shortcut.normalization", NORM)
    keys |= _layer("fc", "classifier.1", ("weight", "bias"))
    channels = _size(state, "conv1.weight", 1, 3)
    return ForeignModel(
        model="transformers:ResNetForImageClassification",
        config="transformers:ResNetConfig",
        fields={
            "num_channels": channels,
            "embedding_size": _size(state, "conv1.weight", 0, 64),
            "hidden_sizes": [
                _size(state, f"layer{stage + 1}.0.conv{convolutions}.weight", 0, 64 * 2**stage * widening)
                for stage in range(len(blocks))
            ],
            "depths": list(blocks),
            "layer_type": kind,
            # Both libraries halve in the 3 x 3 convolution of a bottleneck, not, as the paper, in the 1 x 1 before it.
            "downsample_in_bottleneck": False,
        },
        keys=keys,
        num_labels=_size(state, "fc.weight", 0, 1000),
        channels=channels,
        image_size=224,
        statistics=IMAGENET,
    )


def read_vit(state: State, heads: int | None) -> ForeignModel:
    """timm's ViT of any size with a class token, to that of transformers.

    Raises:
        UsageError: the heads are not given and the size is none of `VIT_HEADS`, or they do not divide the features.
    """
    hidden = _size(state, "patch_embed.proj.weight", 0, VIT_BASE["hidden_size"])
    patch = _size(state, "patch_embed.proj.weight", 2, VIT_BASE["patch_size"])
    channels = _size(state, "patch_embed.proj.weight", 1, 3)
    patches = _size(state, "pos_embed", 1, (VIT_BASE["image_size"] // VIT_BASE["patch_size"]) ** 2 + 1) - 1
    heads = heads or VIT_HEADS.get(hidden)
    if heads is None or hidden % heads:
        raise UsageError(
            f"a ViT of {hidden} features with {heads or 'an unknown number of'} heads was given, expected a published "
            f"size ({', '.join(map(str, VIT_HEADS))}) or a number of heads that divides the features; pass heads=."
        )
    layers = {key.split(".")[1] for key in state if key.startswith("blocks.")}
    biased = "blocks.0.attn.qkv.bias" in state or "blocks.0.attn.qkv.weight" not in state
    both = ("weight", "bias")
    keys = {"cls_token": ("vit.embeddings.cls_token",), "pos_embed": ("vit.embeddings.position_embeddings",)}
    keys |= _layer("patch_embed.proj", "vit.embeddings.patch_embeddings.projection", both)
    for index in range(len(layers) or 12):
        theirs, ours = f"blocks.{index}", f"vit.layers.{index}"
        for entry in both if biased else ("weight",):
            keys[f"{theirs}.attn.qkv.{entry}"] = tuple(f"{ours}.attention.{part}_proj.{entry}" for part in "qkv")
        keys |= _layer(f"{theirs}.attn.proj", f"{ours}.attention.o_proj", both)
        keys |= _layer(f"{theirs}.norm1", f"{ours}.layernorm_before", both)
        keys |= _layer(f"{theirs}.norm2", f"{ours}.layernorm_after", both)
        keys |= _layer(f"{theirs}.mlp.fc1", f"{ours}.mlp.fc1", both) | _layer(
            f"{theirs}.mlp.fc2", f"{ours}.mlp.fc2", both
        )
    keys |= _layer("norm", "vit.layernorm", both) | _layer("head", "classifier", both)
    side = round(patches**0.5) * patch
    return ForeignModel(
        model="transformers:ViTForImageClassification",
        config="transformers:ViTConfig",
        fields={
            "num_channels": channels,
            "hidden_size": hidden,
            "num_hidden_layers": len(layers) or 12,
            "num_attention_heads": heads,
            "intermediate_size": _size(state, "blocks.0.mlp.fc1.weight", 0, 4 * hidden),
            "layer_norm_eps": 1e-6,  # timm's; transformers' own is 1e-12
            "image_size": side,
            "patch_size": patch,
            "qkv_bias": biased,
        },
        keys=keys,
        num_labels=_size(state, "head.weight", 0, 1000),
        channels=channels,
        image_size=side,
        statistics=HALF,
    )
