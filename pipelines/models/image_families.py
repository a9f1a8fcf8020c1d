"""The rows of families that read pictures; see families.py.

Sizes are those that small pictures want; docs/models.md says which arguments make the networks of the papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .family import Family, Value

TASKS = ("image-classification",)
CLASSIFIER = "AutoModelForImageClassification"
DETECTOR = "AutoModelForObjectDetection"

_ALEXNET = "Krizhevsky et al. 2012, ImageNet Classification with Deep CNNs; Krizhevsky 2014, One weird trick (sizes)"
_VGG = "Simonyan and Zisserman 2014, Very Deep Convolutional Networks"
_RESNET = "He et al. 2015, Deep Residual Learning for Image Recognition"
_VIT = "Dosovitskiy et al. 2020, An Image Is Worth 16x16 Words; Touvron et al. 2020, DeiT (tiny size)"

VGG_DEPTHS = (9, 11, 13, 16, 19)
RESNET_DEPTHS = (20, 32, 44, 56, 110)

# Channels at the strides 2 to 32, and residual blocks at those from 4 on.
_DETECTION_BACKBONE: Mapping[str, Value] = MappingProxyType({"filters": (16, 32, 64, 96, 128), "blocks": (1, 2, 2, 1)})


def _defaults(epochs: int, batch_size: int, learning_rate: float, weight_decay: float) -> Mapping[str, int | float]:
    """Training with AdamW from scratch."""
    return MappingProxyType(
        {
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "warmup": 0.05,
        }
    )


def _vgg(depth: int) -> Family:
    kind = (
        "three blocks, for pictures from 8 pixels on" if depth == 9 else "five blocks, for pictures from 32 pixels on"
    )
    return Family(
        name=f"vgg{depth}",
        summary=f"{depth - 3} convolutions of 3 x 3 in {kind}",
        paper=_VGG,
        model_type="quintet-vgg",
        network="vgg:Vgg",
        adapter="modeling_vgg:VggForImageClassification",
        config="modeling_vgg:VggConfig",
        auto_model=CLASSIFIER,
        # vgg.SMALL, with batch norm, which is younger than the paper.
        sizes=MappingProxyType({"batch_norm": True, "width": 32, "pooled_size": 3, "hidden_size": 256, "dropout": 0.5}),
        fixed=MappingProxyType({"depth": depth}),
        tasks=TASKS,
        image_size=32,
        picture_arguments=("channels",),
        defaults=_defaults(epochs=15, batch_size=128, learning_rate=1e-3, weight_decay=5e-2),
    )


def _small_resnet(depth: int) -> Family:
    return Family(
        name=f"resnet-{depth}",
        summary=f"residual network of {depth} layers for pictures of some 32 pixels",
        paper=f"{_RESNET}, section 4.2",
        model_type="quintet-resnet-cifar",
        network="resnet_cifar:CifarResNet",
        adapter="modeling_resnet_cifar:CifarResNetForImageClassification",
        config="modeling_resnet_cifar:CifarResNetConfig",
        auto_model=CLASSIFIER,
        sizes=MappingProxyType({"width": 16, "shortcut": "A"}),
        fixed=MappingProxyType({"depth": depth}),
        choices=MappingProxyType({"shortcut": ("A", "B")}),
        tasks=TASKS,
        image_size=32,
        picture_arguments=("channels",),
        defaults=_defaults(epochs=30, batch_size=128, learning_rate=3e-3, weight_decay=5e-2),
    )


def _resnet(depth: int, kind: str, hidden_sizes: tuple[int, ...], blocks: tuple[int, ...]) -> Family:
    sizes: dict[str, Value] = {
        "embedding_size": 64,
        "hidden_sizes": hidden_sizes,
        "depths": blocks,
        "layer_type": kind,
    }
    return Family(
        name=f"resnet-{depth}",
        summary=f"residual network of {depth} layers for photographs, random weights",
        paper=f"{_RESNET}, table 1",
        model_type="resnet",
        network=None,
        adapter="transformers:ResNetForImageClassification",
        config="transformers:ResNetConfig",
        config_names=MappingProxyType({**{name: (name,) for name in sizes}, "channels": ("num_channels",)}),
        auto_model=CLASSIFIER,
        sizes=MappingProxyType(sizes),
        choices=MappingProxyType({"layer_type": ("basic", "bottleneck")}),
        tasks=TASKS,
        image_size=64,
        defaults=_defaults(epochs=30, batch_size=64, learning_rate=1e-3, weight_decay=5e-2),
    )


IMAGE_FAMILIES: tuple[Family, ...] = (
    Family(
        name="lenet5",
        summary="two convolutions and three layers of neurons, for pictures of some 28 pixels",
        paper="LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition",
        model_type="quintet-lenet5",
        network="lenet5:LeNet5",
        adapter="modeling_lenet5:LeNet5ForImageClassification",
        config="modeling_lenet5:LeNet5Config",
        auto_model=CLASSIFIER,
        # Section II.B: 6 and 16 maps, then 120 and 84 neurons.
        sizes=MappingProxyType({"filters": (6, 16), "neurons": (120, 84), "dropout": 0.0}),
        tasks=TASKS,
        image_size=28,
        picture_arguments=("channels", "image_size"),
        defaults=_defaults(epochs=12, batch_size=64, learning_rate=2e-3, weight_decay=1e-2),
    ),
    Family(
        name="alexnet",
        summary="five convolutions and three layers of neurons, for pictures from 15 pixels on",
        paper=_ALEXNET,
        model_type="quintet-alexnet",
        network="alexnet:AlexNet",
        adapter="modeling_alexnet:AlexNetForImageClassification",
        config="modeling_alexnet:AlexNetConfig",
        auto_model=CLASSIFIER,
        # alexnet.SMALL: the filters of the paper, behind a first convolution that does not shrink the picture.
        sizes=MappingProxyType(
            {
                "stem": (3, 1, 1),
                "filters": (64, 192, 384, 256, 256),
                "pooled_size": 2,
                "hidden_size": 1024,
                "dropout": 0.5,
            }
        ),
        tasks=TASKS,
        image_size=32,
        picture_arguments=("channels",),
        defaults=_defaults(epochs=15, batch_size=128, learning_rate=5e-4, weight_decay=5e-2),
    ),
    *map(_vgg, VGG_DEPTHS),
    *map(_small_resnet, RESNET_DEPTHS),
    _resnet(18, "basic", (64, 128, 256, 512), (2, 2, 2, 2)),
    _resnet(50, "bottleneck", (256, 512, 1024, 2048), (3, 4, 6, 3)),
    Family(
        name="vit-tiny",
        summary="vision Transformer, 12 layers of 192 features over patches of 4 pixels, random weights",
        paper=_VIT,
        model_type="vit",
        network=None,
        adapter="transformers:ViTForImageClassification",
        config="transformers:ViTConfig",
        config_names=MappingProxyType(
            {
                "hidden_size": ("hidden_size",),
                "layers": ("num_hidden_layers",),
                "heads": ("num_attention_heads",),
                "feed_forward_size": ("intermediate_size",),
                "patch_size": ("patch_size",),
                "dropout": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
                "channels": ("num_channels",),
                "image_size": ("image_size",),
            }
        ),
        auto_model=CLASSIFIER,
        # DeiT, table 1; its patches have 16 pixels of 224, of which pictures of 32 pixels would leave four.
        sizes=MappingProxyType(
            {
                "hidden_size": 192,
                "layers": 12,
                "heads": 3,
                "feed_forward_size": 768,
                "patch_size": 4,
                "dropout": 0.0,
            }
        ),
        tasks=TASKS,
        image_size=32,
        defaults=_defaults(epochs=60, batch_size=128, learning_rate=5e-4, weight_decay=5e-2),
    ),
    Family(
        name="unet",
        summary="convolutions down to small maps and up again, with what was seen on the way down beside them",
        paper="Ronneberger et al. 2015, U-Net: Convolutional Networks for Biomedical Image Segmentation",
        model_type="quintet-unet",
        network="unet:UNet",
        adapter="modeling_unet:UNetForSemanticSegmentation",
        config="modeling_unet:UNetConfig",
        auto_model="AutoModelForSemanticSegmentation",
        # The paper has 64 filters; half of them take a quarter of the time.
        sizes=MappingProxyType({"base_filters": 32, "levels": 4, "batch_norm": True, "dropout": 0.1}),
        tasks=("image-segmentation",),
        image_size=512,
        picture_arguments=("channels",),
        defaults=_defaults(epochs=60, batch_size=8, learning_rate=1e-3, weight_decay=1e-2),
    ),
    Family(
        name="yolo-small",
        summary="one-stage detector: scores and the distances of the edges at every place of three maps",
        paper="Redmon et al. 2016, You Only Look Once; Tian et al. 2019, FCOS; Feng et al. 2021, TOOD",
        model_type="quintet-yolo",
        network="yolo:YoloDetector",
        adapter="modeling_yolo:YoloForObjectDetection",
        config="modeling_yolo:YoloConfig",
        auto_model=DETECTOR,
        sizes=MappingProxyType({**_DETECTION_BACKBONE, "head_filters": 64}),
        tasks=("object-detection",),
        image_size=256,
        picture_arguments=("channels",),
        defaults=_defaults(epochs=100, batch_size=8, learning_rate=2e-3, weight_decay=5e-2),
    ),
    Family(
        name="faster-rcnn-small",
        summary="two-stage detector: proposals first, then a look at each of them by itself",
        paper="Ren et al. 2015, Faster R-CNN; He et al. 2017, Mask R-CNN (RoIAlign)",
        model_type="quintet-faster-rcnn",
        network="faster_rcnn:FasterRcnn",
        adapter="modeling_faster_rcnn:FasterRcnnForObjectDetection",
        config="modeling_faster_rcnn:FasterRcnnConfig",
        auto_model=DETECTOR,
        sizes=MappingProxyType(
            {
                **_DETECTION_BACKBONE,
                "head_filters": 64,
                "neurons": 256,
                "anchor_sizes": (16, 32, 64, 128, 256),
                "proposals": 128,
            }
        ),
        tasks=("object-detection",),
        image_size=256,
        picture_arguments=("channels",),
        defaults=_defaults(epochs=60, batch_size=8, learning_rate=1e-3, weight_decay=5e-2),
    ),
)
