"""A smooth field of the ratio between labels and a network's depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.multiview.fill import fill
from e2e_slam_ros.refine.scale_fit import weighted_median
from e2e_slam_ros.refine.views import SparseLabels

# The field stays within this of the one scale, natural logarithm: a factor of 2.7.
_MOST = 1.0
# Difference of log depth beyond which a label loses its weight, round by round.
_TRUSTED = (0.6, 0.3, 0.15, 0.15)


@dataclass(frozen=True, eq=False)
class RatioField:
    """Metric depth is ``scale * exp(logarithm) * depth``.

    Attributes:
        scale: of the whole image.
        logarithm: (1, 1, h, w), 0 = the scale alone.
        evidence: (1, 1, h, w) in [0, 1], mean weight of the labels around.

    Example:
        >>> depth = torch.full((1, 1, 16, 16), 1.5)
        >>> labels = SparseLabels(2.0 * depth, torch.ones_like(depth))
        >>> field = ratio_field(depth, labels)
        >>> field.scale, float(field.logarithm.abs().max())
        (2.0, 0.0)
    """

    scale: float
    logarithm: torch.Tensor
    evidence: torch.Tensor


def ratio_field(depth: torch.Tensor, labels: SparseLabels, min_points: int = 50) -> RatioField:
    """Return the smooth field of ``log(label / depth)``, robust against wrong labels.

    The ratio is filled in, not the depth: between labels the network's shape remains. Labels far
    from the others around them get a smaller weight (Geman and McClure 1985). Each of four
    rounds is at least as strict as the one before.

    Args:
        depth: (1, 1, h, w) > 0, the network's units.
        labels: of the same size, metres.
        min_points: with fewer the field is 0 and the scale 1.
    """
    both = known(depth) & known(labels.depth) & known(labels.weight)
    zero = torch.zeros_like(depth)
    if int(both.sum()) < max(min_points, 1):
        return RatioField(1.0, zero, zero)
    ratio = torch.where(both, labels.depth / torch.where(both, depth, 1.0), 1.0).log()
    weight = torch.where(both, labels.weight, zero)
    whole = weighted_median(ratio[both], weight[both])
    residual = (ratio - whole).clamp(-_MOST, _MOST)
    # A coarse field judges a label by its surroundings. At full size it would agree with itself.
    field = zero
    trusted = weight
    for reach in _TRUSTED:
        trusted = weight / (1.0 + ((residual - field) / reach).square()).square()
        field = _smooth(residual, trusted)
    result, evidence = fill(residual, trusted)
    return RatioField(float(whole.exp()), result, evidence)


def _smooth(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the completed image at an eighth of the size, enlarged again."""
    height, width = values.shape[-2:]
    share = _pooled(weight)
    mean = _pooled(values * weight)
    some = share > 0
    coarse, _ = fill(torch.where(some, mean / torch.where(some, share, 1.0), 0.0), share)
    return functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)


def _pooled(image: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(image, 8, ceil_mode=True, count_include_pad=False)
