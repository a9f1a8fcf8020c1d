"""The rows of families that read pictures; see families.py."""

from __future__ import annotations

from types import MappingProxyType

from .family import Family

IMAGE_FAMILIES: tuple[Family, ...] = (
    Family(
        name="lenet5",
        summary="two convolutions and three layers of neurons, for pictures of some 28 pixels",
        paper="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition",
        model_type="quintet-lenet5",
        network="lenet5:LeNet5",
        adapter="modeling_lenet5:LeNet5ForImageClassification",
        config="modeling_lenet5:LeNet5Config",
        auto_model="AutoModelForImageClassification",
        # Section II.B: 6 and 16 maps, then 120 and 84 neurons.
        sizes=MappingProxyType({"filters": (6, 16), "neurons": (120, 84), "dropout": 0.0}),
        tasks=("image-classification",),
        image_size=28,
        picture_arguments=("channels", "image_size"),
        defaults=MappingProxyType(
            {"epochs": 12, "batch_size": 64, "learning_rate": 2e-3, "weight_decay": 1e-2, "warmup": 0.05}
        ),
    ),
)
