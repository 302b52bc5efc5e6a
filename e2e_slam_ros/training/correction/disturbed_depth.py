"""A depth source whose depth is made worse: shapes bend, and fine shapes are lost."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.source import DepthSource, DepthTraits
from e2e_slam_ros.simulation.dice import Dice

# Size of the random fields, rows and columns, with their weights; the last one is in places only.
_FIELDS = (((4, 5), 0.75), ((9, 12), 0.6), ((20, 27), 0.5))
_PLACES, _MORE_PLACES = (6, 8), 0.3
# Share of the keyframes whose depth is softened; by how many pixels.
_SOFTENED, _SOFTEST_PX = 0.6, 15
_SMALLEST = 8
_NEAREST_M = 1e-3


class DisturbedDepth:
    """A `DepthSource` with further errors.

    A network knows the rooms that it was trained on. Its errors elsewhere are larger.

    Args:
        inner: the source.
        amount: standard deviation of the logarithm of the errors, about; 0: none.
        dice: draws them, other ones for each keyframe.

    Example:
        >>> from e2e_slam_ros.config.depth import DepthConfig
        >>> from e2e_slam_ros.depth.sensor import SensorDepth
        >>> source = DisturbedDepth(SensorDepth(DepthConfig()), 0.2, Dice(0))
        >>> source.traits.name
        'sensor'
    """

    def __init__(self, inner: DepthSource, amount: float, dice: Dice) -> None:
        self._inner, self._amount, self._dice = inner, amount, dice

    @property
    def traits(self) -> DepthTraits:
        """Those of the source."""
        return self._inner.traits

    @property
    def network(self) -> DepthNetwork | None:
        """That of the source."""
        return self._inner.network

    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        """Return the source's depth, made worse; its confidence and deviation stay.

        Raises:
            DepthError: the source has no usable depth.
        """
        raw = self._inner.estimate(keyframe, views)
        return replace(raw, depth=disturbed(raw.depth, self._amount, self._dice))


def disturbed(depth: torch.Tensor, amount: float, dice: Dice) -> torch.Tensor:
    """Return depth (1, 1, H, W) in metres with random errors; unknown depth, 0, stays so.

    >>> depth = torch.full((1, 1, 24, 32), 2.0)
    >>> float(disturbed(depth, 0.1, Dice(0)).log().std()) > 0.02
    True
    """
    if amount == 0:
        return depth
    size = (depth.shape[-2], depth.shape[-1])
    noise = torch.zeros_like(depth)
    for number, (cells, weight) in enumerate(_FIELDS):
        field = weight * _field(cells, size, dice)
        if number == len(_FIELDS) - 1:
            places = (_field(_PLACES, size, dice) + _MORE_PLACES > 0).float()
            field = field * places * dice.uniform(0.0, 1.0)
        noise += field.to(depth)
    return torch.where(depth > 0, _softened(depth, dice) * (amount * noise).exp(), 0.0)


def _field(cells: tuple[int, int], size: tuple[int, int], dice: Dice) -> torch.Tensor:
    """Return a smooth random field, (1, 1, H, W)."""
    return functional.interpolate(
        dice.randn(1, 1, *cells), size, mode="bicubic", align_corners=True
    )


def _softened(depth: torch.Tensor, dice: Dice) -> torch.Tensor:
    if not dice.chance(_SOFTENED):
        return depth
    factor = dice.integer(2, _SOFTEST_PX)
    height, width = depth.shape[-2], depth.shape[-1]
    small = functional.interpolate(
        depth.clamp_min(_NEAREST_M).reciprocal(),
        (max(_SMALLEST, height // factor), max(_SMALLEST, width // factor)),
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    large = functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    return large.reciprocal()
