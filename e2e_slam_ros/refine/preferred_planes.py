"""Which chosen planes the images prefer to a network's depth."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.multiview.plane_sweep import CostVolume

# Neighbouring pixels see nearly the same windows: their agreements are averaged over this width.
_WIDTH = 3
# Standard deviation of a network at which half the distance to a plane is kept all the same.
_HALF_KEPT = 0.15


@torch.no_grad()
def preferred_depth(
    volume: CostVolume,
    chosen: torch.Tensor,
    network: torch.Tensor,
    network_sigma: torch.Tensor | float,
    margin: float,
) -> torch.Tensor:
    """Return the chosen planes' depth, moved to the network's where the images do not prefer it.

    On a wall without texture, or with a pattern that repeats, other planes agree as well as the
    chosen one. That one then follows from the steps between pixels alone. Images decide where they
    agree better at the plane than at the network's depth. Elsewhere the network decides, the more
    the smaller its errors are known to be.

    Args:
        volume: of the sweep, D planes.
        chosen: (1, 1, h, w) metres > 0, of the planes.
        network: (1, 1, h, w) metres > 0, of the network, with the keyframe's scale.
        network_sigma: its relative standard deviation, (1, 1, h, w) or one for all pixels.
        margin: difference of the correlations from which on only the plane counts, > 0.

    Example:
        >>> rho = torch.tensor([0.0, 0.5, 1.0])  # far, 2 m and 1 m
        >>> correlation = torch.tensor([0.1, 0.9, 0.1]).view(3, 1, 1).repeat(1, 4, 4)
        >>> correlation[:, :, 2:] = 0.1  # no texture in the right half
        >>> volume = CostVolume(correlation, torch.ones(3, 4, 4), rho)
        >>> plane, network = torch.full((1, 1, 4, 4), 2.0), torch.full((1, 1, 4, 4), 1.0)
        >>> depth = preferred_depth(volume, plane, network, network_sigma=0.0, margin=0.05)
        >>> depth[0, 0, 0, ::3].tolist()
        [2.0, 1.0]
    """
    better = agreement_at(volume, chosen) - agreement_at(volume, network)
    mean = functional.avg_pool2d(better, _WIDTH, 1, _WIDTH // 2, count_include_pad=False)
    by_images = (mean / margin).clamp(0.0, 1.0)
    variance = torch.as_tensor(network_sigma).to(chosen).square()
    uncertain = variance / (variance + _HALF_KEPT**2)
    share = by_images + (1.0 - by_images) * uncertain
    return torch.lerp(network.log(), chosen.log(), share).exp()


def agreement_at(volume: CostVolume, depth: torch.Tensor) -> torch.Tensor:
    """Return the correlation at depths (1, N, h, w) in metres, interpolated between two planes."""
    planes = volume.inverse_depth
    last = planes.numel() - 1
    at = ((depth.reciprocal() - planes[0]) / (planes[1] - planes[0])).clamp(0.0, last)
    below = at.floor().clamp_max(last - 1)
    one, other = (volume.correlation[None].gather(1, below.long() + step) for step in (0, 1))
    return torch.lerp(one, other, at - below)
