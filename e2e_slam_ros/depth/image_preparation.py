"""Images as a network of other authors expects them, and its answer at the image's size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.model_files import read_json

PREPROCESSOR = "preprocessor_config.json"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Numbers of Pillow's filters.
_FILTERS = {0: "nearest", 2: "bilinear", 3: "bicubic"}
# Processor -> filter, and whether it pads and samples as ZoeDepth's does.
_PROCESSORS = {"DPT": (3, False), "ZoeDepth": (2, True)}
# Pixels. A larger side is an error in the file, and would take all memory.
_LARGEST = 4096
# ZoeDepth's padding of a side of n pixels: this times sqrt(n / 2).
_PADDING = 3


@dataclass(frozen=True)
class ImagePreparation:
    """Resizing and normalisation, as a model's ``preprocessor_config.json`` describes them.

    It gives what the publisher's image processor in the transformers library gives, in torch and
    on the image's device. Pillow rounds to whole grey levels where this does not.

    Attributes:
        size: (height, width) to resize to; None: images stay as they are.
        keep_aspect_ratio: resize by one factor for both sides, the one that is nearer to 1.
        multiple: both sides become multiples of this.
        resample: nearest, bilinear or bicubic.
        reflect: as ZoeDepth: reflect at the borders first; sample with the corners aligned.
        gain: factor for values in [0, 1], before normalisation.
        mean, std: of each channel.

    >>> preparation = ImagePreparation(size=(518, 518), keep_aspect_ratio=True, multiple=14)
    >>> preparation.input_size(480, 640)
    (518, 686)
    >>> preparation.prepare(torch.zeros(1, 3, 48, 64)).shape
    torch.Size([1, 3, 392, 518])
    """

    size: tuple[int, int] | None = None
    keep_aspect_ratio: bool = False
    multiple: int = 1
    resample: str = "bilinear"
    reflect: bool = False
    gain: float = 1.0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size (height, width) that an image is resized to."""
        if self.size is None:
            return height, width
        down, across = self.size[0] / height, self.size[1] / width
        if self.keep_aspect_ratio:
            down = across = across if abs(1.0 - across) < abs(1.0 - down) else down
        step = self.multiple
        return (
            max(step, round(down * height / step) * step),
            max(step, round(across * width / step) * step),
        )

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        """Return the network's input for (B, 3, H, W) images in [0, 1]."""
        if self.reflect:
            across, down = self._padding(image.shape[-1]), self._padding(image.shape[-2])
            image = functional.pad(image, (across, across, down, down), mode="reflect")
        image = self._resized(image, self.input_size(*image.shape[-2:]))
        mean, std = (image.new_tensor(v)[:, None, None] for v in (self.mean, self.std))
        return (image * self.gain - mean) / std

    def restore(self, values: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return predicted values (B, 1, h, w) at the image's size."""
        down = across = 0
        if self.reflect:
            across, down = self._padding(width), self._padding(height)
        size = (height + 2 * down, width + 2 * across)
        if tuple(values.shape[-2:]) != size:
            values = functional.interpolate(values, size, mode="bicubic", align_corners=False)
        return values[..., down : down + height, across : across + width]

    def _padding(self, side: int) -> int:
        # Reflection reaches the opposite border and no farther.
        return min(side - 1, int(math.sqrt(side / 2) * _PADDING))

    def _resized(self, image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        if tuple(image.shape[-2:]) == size:
            return image
        if self.resample == "nearest":
            return functional.interpolate(image, size, mode="nearest-exact")
        return functional.interpolate(
            image, size, mode=self.resample, align_corners=self.reflect, antialias=not self.reflect
        ).clamp(0.0, 1.0)


def read_preparation(path: Path) -> ImagePreparation:
    """Return the preparation that a ``preprocessor_config.json`` describes.

    Raises:
        DepthError: the file is missing or no JSON, or asks for steps that are not known here.
    """
    content = read_json(path)
    name = str(content.get("image_processor_type", content.get("feature_extractor_type", "DPT")))
    kind = next((kind for kind in _PROCESSORS if name.startswith(kind)), None)
    if kind is None or _flag(content, "do_center_crop"):
        raise _unknown(path, name if kind is None else "do_center_crop")
    resample, reflects = _PROCESSORS[kind]
    if not reflects and _flag(content, "do_pad"):
        raise _unknown(path, "do_pad")
    reflect = reflects and _flag(content, "do_pad", True)
    try:
        filter_name = _FILTERS[int(_number(content, "resample", resample))]
        mean, std = (_three(content, key) for key in ("image_mean", "image_std"))
        if not _flag(content, "do_normalize", True):
            mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        factor = _number(content, "rescale_factor", 1.0 / 255.0)
        return ImagePreparation(
            size=_size(content) if _flag(content, "do_resize", True) else None,
            keep_aspect_ratio=_flag(content, "keep_aspect_ratio", reflects),
            multiple=max(1, int(_number(content, "ensure_multiple_of", 1))),
            resample=filter_name,
            reflect=reflect,
            gain=255.0 * factor if _flag(content, "do_rescale", True) else 255.0,
            mean=mean,
            std=std,
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise _unknown(path, f"{type(problem).__name__}: {problem}") from problem


def _unknown(path: Path, got: str) -> DepthError:
    return DepthError.from_parts(
        f"image preparation {path}",
        got,
        "the settings of a DPTImageProcessor or a ZoeDepthImageProcessor",
        "use another network, or export this one with its preparation to ONNX "
        "(depth.network.architecture: onnx)",
    )


def _flag(content: Mapping[str, object], key: str, default: bool = False) -> bool:
    value = content.get(key)
    return default if value is None else bool(value)


def _number(content: Mapping[str, object], key: str, default: float) -> float:
    value = content.get(key)
    return float(default if value is None else value)  # type: ignore[arg-type]


def _three(content: Mapping[str, object], key: str) -> tuple[float, ...]:
    """Return the three values of a key; where there are none those that the library takes."""
    given = content.get(key)
    values = (0.5, 0.5, 0.5) if given is None else tuple(float(v) for v in given)  # type: ignore[attr-defined]
    if len(values) != 3 or (key == "image_std" and min(values) <= 0):
        raise ValueError(f"{key} {values}")
    return values


def _size(content: Mapping[str, object]) -> tuple[int, int]:
    size = content["size"]
    if isinstance(size, Mapping):
        size = (int(size["height"]), int(size["width"]))
    else:
        size = (int(size), int(size))  # type: ignore[call-overload]
    if not 1 <= min(size) <= max(size) <= _LARGEST:
        raise ValueError(f"size {size}")
    return size
