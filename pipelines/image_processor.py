"""How a checkpoint wants its pictures: size, channels, mean and deviation, as numbers that travel with the weights.

Checkpoints of our own families have a `preprocessor_config.json` that this file reads without transformers, and that
transformers reads as one of its own (ViTImageProcessor); all others are read by transformers, with Pillow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, WeightsError

if TYPE_CHECKING:
    import torch
    from PIL import Image

PROCESSOR_FILE = "preprocessor_config.json"

_BILINEAR = 2  # PIL.Image.Resampling.BILINEAR

_GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Share of red, green and blue in grey, as in models/image_adapter.py, which plain transformers runs."""

_PROCESSORS: Mapping[str, Mapping[str, Any]] = {
    "object-detection": {"image_processor_type": "DetrImageProcessor", "do_pad": False, "format": "coco_detection"},
    "image-segmentation": {"image_processor_type": "SegformerImageProcessor", "do_reduce_labels": False},
}
"""Which processor of transformers makes the documented answers of a task out of what a model gives."""


@dataclass(frozen=True)
class PictureSettings:
    """What a network of our own is given.

    Attributes:
        height: pixels.
        width: pixels.
        channels: 1 for grey, 3 for colour.
        mean: of each channel, of values in [0, 1], which is taken off.
        std: of each channel, by which the rest is divided.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class ImageProcessor:
    """Turns pictures into what a network reads.

    Args:
        settings: of a network of our own; None where ``live`` knows.
        live: an image processor of transformers.
    """

    def __init__(self, settings: PictureSettings | None, live: Any = None) -> None:
        self.settings, self.live = settings, live

    @classmethod
    def from_folder(cls, folder: Path, *, channels: int, name: str) -> ImageProcessor:
        """That of a checkpoint of our own.

        Args:
            folder: of the checkpoint.
            channels: that its network reads.
            name: how errors call it.

        Raises:
            WeightsError: the file is missing or does not say what it should.
        """
        try:
            raw = json.loads((folder / PROCESSOR_FILE).read_text(encoding="utf-8"))
            size = raw["size"]
            settings = PictureSettings(
                height=int(size["height"]),
                width=int(size["width"]),
                channels=channels,
                mean=tuple(map(float, raw["image_mean"][:channels])),
                std=tuple(map(float, raw["image_std"][:channels])),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(
                f"{PROCESSOR_FILE} of checkpoint '{name}' is missing or does not state size, image_mean and image_std "
                f"({error}); save or fetch the checkpoint again."
            ) from error
        return cls(settings)

    @property
    def channels(self) -> int:
        """Of the pictures as the network reads them."""
        return self.settings.channels if self.settings else 3

    @property
    def mean(self) -> Sequence[float]:
        """Of each channel, of values in [0, 1]."""
        return self._statistics()[0]

    @property
    def numbers(self) -> int:
        """How many numbers a picture becomes, near enough for a limit on memory."""
        if self.settings:
            return self.settings.channels * self.settings.height * self.settings.width
        size = dict(getattr(self.live, "crop_size", None) or getattr(self.live, "size", None) or {})
        height = size.get("height") or size.get("shortest_edge") or 224
        return 3 * int(height) * int(size.get("width") or size.get("longest_edge") or height)

    def pixels(self, picture: Image.Image) -> np.ndarray:
        """The picture as large as the network reads it, values not scaled yet: uint8 (channels, height, width)."""
        if self.settings is None:
            given = self.live(images=picture.convert("RGB"), do_rescale=False, do_normalize=False, return_tensors="np")
            return np.clip(np.rint(given["pixel_values"][0]), 0, 255).astype(np.uint8)
        return self._resized(picture.convert("L" if self.settings.channels == 1 else "RGB"), self.settings)

    def scaled(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels as the network reads them: ``(…, channels, height, width)`` uint8, or float in [0, 1], to float32."""
        import torch

        values = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
        mean, std = (torch.tensor(numbers, device=values.device).view(-1, 1, 1) for numbers in self._statistics())
        return (values - mean) / std

    def features(self, picture: Image.Image) -> dict[str, np.ndarray]:
        """All that the network reads of a picture: ``pixel_values`` float32 (channels, height, width), perhaps more.

        Raises:
            InputError: transformers' processor cannot take it.
        """
        if self.settings is not None:
            mean, std = (np.asarray(each, np.float32)[:, None, None] for each in self._statistics())
            if self.settings.channels == 1 and picture.mode != "L":
                # Grey last, and not rounded: so plain transformers does it, whose processors always give colour.
                values = np.tensordot(_GREY, self._resized(picture.convert("RGB"), self.settings), axes=1)[None]
            else:
                values = self.pixels(picture).astype(np.float32)
            return {"pixel_values": (values / 255 - mean) / std}
        try:
            given: Mapping[str, Any] = self.live(images=picture.convert("RGB"), return_tensors="np")
        except (ValueError, TypeError, ZeroDivisionError) as error:
            raise InputError(f"the picture ({picture.width} x {picture.height}) cannot be prepared: {error}") from error
        return {name: np.asarray(value[0]) for name, value in given.items()}

    def save(self, folder: Path, task: str | None = None) -> None:
        """Writes `preprocessor_config.json`, for the processor of transformers that reads answers of ``task``."""
        if self.settings is None:
            self.live.save_pretrained(folder)
            return
        repeated = 3 // self.settings.channels  # transformers always gives colour
        content = {
            "image_processor_type": "ViTImageProcessor",
            **_PROCESSORS.get(task or "", {}),
            "do_resize": True,
            "size": {"height": self.settings.height, "width": self.settings.width},
            "resample": _BILINEAR,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "do_convert_rgb": True,
            "image_mean": list(self.settings.mean * repeated),
            "image_std": list(self.settings.std * repeated),
        }
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        (folder / PROCESSOR_FILE).write_text(text, encoding="utf-8")

    def _resized(self, picture: Image.Image, settings: PictureSettings) -> np.ndarray:
        """A picture as large as the network reads it: uint8 (channels, height, width)."""
        if picture.size != (settings.width, settings.height):
            picture = picture.resize((settings.width, settings.height), resample=_BILINEAR)
        array = np.asarray(picture)
        return np.array(array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0), order="C")  # a copy of its own

    def _statistics(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and deviation of each channel."""
        if self.settings is not None:
            return self.settings.mean, self.settings.std
        if getattr(self.live, "do_normalize", False):
            return tuple(self.live.image_mean), tuple(self.live.image_std)
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
