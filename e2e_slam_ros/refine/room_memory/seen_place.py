"""One keyframe in the room's memory: its looks, and the error of the network there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import DepthEstimate, RawDepth
from e2e_slam_ros.geometry.masks import known, known_median, or_one

# A keyframe with a smaller share of confirmed pixels says nothing, nor a cell with fewer.
_FEWEST, _FEWEST_IN_CELL = 0.05, 0.1
# Depth is compared at this width, pixels: only a median and means of cells are wanted.
_WIDTH = 80


@dataclass(frozen=True, eq=False)
class Looks:
    """How a keyframe looks.

    Attributes:
        features: (K, C) float32 of the K cells of the image.

    Example:
        >>> looks = Looks(torch.ones(20, 4))
        >>> looks.whole.shape, round(float(looks.cells.norm(dim=1)[0]), 3)
        (torch.Size([80]), 1.0)
    """

    features: torch.Tensor

    @cached_property
    def cells(self) -> torch.Tensor:
        """Features (K, C) of the cells, of length 1."""
        return functional.normalize(self.features, dim=1)

    @cached_property
    def whole(self) -> torch.Tensor:
        """Features (K C,) of the whole image, of length 1."""
        return functional.normalize(self.features.flatten(), dim=0)


@dataclass(frozen=True, eq=False)
class SeenPlace(Looks):
    """How a keyframe looks, and the logarithm of true over predicted depth there.

    Attributes:
        scale: (), logarithm of the median ratio of true to predicted depth.
        sigma: (), standard deviation of ``scale``.
        shape: (K,), logarithm of the mean ratio in each cell, over that of ``scale``.
        weight: (K,) in [0, 1], share of the cell that is confirmed; 0: the cell is not known.

    Example:
        >>> place = SeenPlace(torch.ones(20, 4), *torch.zeros(2), torch.zeros(20), torch.ones(20))
        >>> place.weight.shape
        torch.Size([20])
    """

    scale: torch.Tensor
    sigma: torch.Tensor
    shape: torch.Tensor
    weight: torch.Tensor


def cell_features(features: torch.Tensor) -> torch.Tensor:
    """Return the features of `RawDepth`, (1, C, h, w), as those of cells, (h w, C)."""
    return features[0].flatten(1).T


@torch.inference_mode()
def place_of(raw: RawDepth, estimate: DepthEstimate, sigma: float) -> SeenPlace | None:
    """Return the place of a keyframe: the ratios of its established to its predicted depth.

    Args:
        raw: the network's answer, with features.
        estimate: the keyframe's depth, metres; its confidence is 0 where nothing confirms it.
        sigma: standard deviation of the logarithm of its scale.

    Returns:
        The place; None where too little is confirmed, or the network gives no features.

    Example:
        >>> two, looks = torch.full((1, 1, 8, 10), 2.0), torch.ones(1, 3, 4, 5)
        >>> raw = RawDepth(two, None, "network", "m", features=looks)
        >>> true = DepthEstimate(torch.full((1, 1, 8, 10), 3.0), None, "network", "motion")
        >>> place = place_of(raw, true, sigma=0.05)
        >>> round(float(place.scale.exp()), 3), place.shape.abs().max() < 1e-6
        (1.5, tensor(True))
    """
    if raw.features is None:
        return None
    predicted, true = _small(raw.without_room().depth), _small(estimate.depth)
    use = known(predicted) & known(true)
    if estimate.confidence is not None:
        use = use & (_small(estimate.confidence) > 0)
    ratio = or_one(true, use) / or_one(predicted, use)
    middle = known_median(torch.where(use, ratio, 0.0))
    if middle is None or float(use.float().mean()) < _FEWEST:
        return None
    scale = middle.log()
    cells = (raw.features.shape[-2], raw.features.shape[-1])
    weight = functional.adaptive_avg_pool2d(use.float(), cells).flatten()
    apart = torch.where(use, ratio.log() - scale, 0.0)
    total = functional.adaptive_avg_pool2d(apart, cells).flatten()
    return SeenPlace(
        features=cell_features(raw.features),
        scale=scale,
        sigma=torch.as_tensor(sigma, dtype=torch.float32, device=scale.device),
        shape=total / weight.clamp_min(_FEWEST_IN_CELL),
        weight=torch.where(weight < _FEWEST_IN_CELL, 0.0, weight),
    )


def _small(image: torch.Tensor) -> torch.Tensor:
    """Return an image (1, 1, H, W) of at most `_WIDTH` columns, without mixing its pixels."""
    width = min(_WIDTH, image.shape[-1])
    height = round(image.shape[-2] * width / image.shape[-1])
    return functional.interpolate(image, (height, width), mode="nearest-exact")
