"""The network's shape, where motion is less sure of depth than the network."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry.masks import known, or_one

# Where motion is unsure, the network's shape errs more than where motion can tell: by this factor.
_HARDER = 3.0
# Least standard deviation of depth by motion, so that no few pixels count for all.
_LEAST = 0.02
# Logarithms of ratios of two depths beyond this are not believed.
_MOST = 0.7


@torch.no_grad()
def with_network_shape(
    depth: torch.Tensor, sigma: torch.Tensor, network: torch.Tensor
) -> torch.Tensor:
    """Return corrected depth, drawn to the network's shape where motion is unsure of it.

    It is the mean of two logarithms, weighted by their inverse variances. Motion states its own
    variance, pixel by pixel. That of the network's shape follows from the pixels that motion is
    sure of: it is the mean square of their distance, multiplied because the network errs more
    where motion is unsure. The scale stays motion's: the network's depth is compared at the scale
    that fits best.

    Args:
        depth: (1, 1, H, W) metres, corrected by motion; 0 = unknown.
        sigma: (1, 1, H, W), its relative standard deviation.
        network: (1, 1, H, W) metres, of the network; 0 = unknown.

    Example:
        >>> corrected, network = torch.full((1, 1, 1, 4), 2.0), torch.full((1, 1, 1, 4), 3.0)
        >>> corrected[..., 3] = 2.4  # motion says 20 % more, and is not sure
        >>> sigma = torch.tensor([0.01, 0.01, 0.01, 0.3]).view(1, 1, 1, 4)
        >>> [round(float(d), 2) for d in with_network_shape(corrected, sigma, network)[0, 0, 0]]
        [2.0, 2.0, 2.0, 2.0]
    """
    both = known(depth) & known(network)
    apart = (or_one(network, both) / or_one(depth, both)).log()
    apart = apart - torch.where(both, apart, torch.nan).nanmedian()
    apart = torch.where(both, apart, 0.0).clamp(-_MOST, _MOST)
    variance = sigma.square()
    sure = both / (variance + _LEAST**2)
    of_shape = _HARDER**2 * (sure * apart.square()).sum() / sure.sum().clamp_min(1e-6)
    share = variance / (variance + of_shape).clamp_min(1e-12)
    return depth * (share * apart).exp()
