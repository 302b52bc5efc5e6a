"""The network's shape, where motion is less sure of depth than the network."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.multiview.box_mean import box_mean

# Where motion is unsure, the network's shape errs more than where motion can tell: by this factor.
_HARDER = 2.0
# Least standard deviation of depth by motion, so that no few pixels count for all.
_LEAST = 0.02
# Logarithms of ratios of two depths beyond this are not believed.
_MOST = 0.7
# Surroundings of a pixel: two boxes of 5x5 pixels, one after the other, in images of this width.
_WIDTH, _RADIUS = 40, 2
# Weight of the whole image beside them: where motion is unsure of all of them, it decides.
_WHOLE = 0.02


@torch.no_grad()
def with_network_shape(
    depth: torch.Tensor, sigma: torch.Tensor, network: torch.Tensor
) -> torch.Tensor:
    """Return corrected depth, drawn to the network's shape where motion is unsure of it.

    Around each pixel the network's depth is scaled to the pixels that motion is sure of, and its
    variance is the mean square of what remains of their distance: it may be right about a wall
    and wrong about the chair before it. Where motion is unsure of all that is around, the whole
    image decides. The result is the mean of the two logarithms, weighted by inverse variances.
    Motion states its own variance. That of the network is multiplied, because it errs more where
    motion is unsure.

    Args:
        depth: (1, 1, H, W) metres, corrected by motion; 0 = unknown.
        sigma: (1, 1, H, W), its relative standard deviation.
        network: (1, 1, H, W) metres or the network's units; 0 = unknown.

    Example:
        >>> corrected, network = torch.full((1, 1, 6, 8), 2.0), torch.full((1, 1, 6, 8), 3.0)
        >>> sigma = torch.full((1, 1, 6, 8), 0.01)
        >>> corrected[..., 2, 3], sigma[..., 2, 3] = 2.4, 0.3  # 20 % more, but motion is not sure
        >>> shaped = with_network_shape(corrected, sigma, network)
        >>> [round(float(each), 1) for each in shaped[0, 0, 2]]
        [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    """
    both = known(depth) & known(network)
    apart = (or_one(network, both) / or_one(depth, both)).log()
    apart = apart - torch.where(both, apart, torch.nan).nanmedian()
    apart = torch.where(both, apart, 0.0).clamp(-_MOST, _MOST)
    variance = sigma.square()
    sure = both / (variance + _LEAST**2)
    apart = (apart - _around(apart, sure)) * both
    of_shape = _HARDER**2 * _around(apart.square(), sure)
    share = variance / (variance + of_shape).clamp_min(1e-12)
    return depth * (share * apart).exp()


def _around(image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean of each pixel's surroundings, (1, 1, H, W)."""
    height, width = image.shape[-2:]
    size = (height, width)
    if width > _WIDTH:
        size = (max(1, round(height * _WIDTH / width)), _WIDTH)
    sums = functional.interpolate(torch.cat([image * weight, weight], 1), size, mode="area")
    whole = _WHOLE * sums.mean((2, 3), keepdim=True)
    for _ in range(2):
        sums = box_mean(sums, _RADIUS)
    total, count = (sums + whole).split(1, dim=1)
    mean = total / count.clamp_min(1e-6)
    return functional.interpolate(mean, (height, width), mode="bilinear", align_corners=False)
