"""Which plane of a sweep each pixel lies on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.multiview.plane_sweep import CostVolume
from e2e_slam_ros.multiview.semi_global import semi_global

# Costs of a step between planes, in units of 1 - correlation; chosen on the tuning frames.
SMALL_STEP, LARGE_STEP = 0.3, 4.0
# What a pixel costs at a plane that no neighbour sees: worse than a fair match.
_UNSEEN = 0.7
# A product of normalised images can fall below 0 without saying more than 0 does.
_MOST = 1.2


@dataclass(frozen=True, eq=False)
class PlaneChoice:
    """One plane a pixel, (H, W) all.

    Attributes:
        inverse_depth: 1/m, between the planes where the costs around say so.
        agreement: of the images at the chosen plane, in [0, 1].
        sure: seen by a neighbour, and no outermost plane: these also take what is nearer or
            farther than the sweep.
    """

    inverse_depth: torch.Tensor
    agreement: torch.Tensor
    sure: torch.Tensor

    @property
    def weight(self) -> torch.Tensor:
        """The square of the agreement, 0 where the plane is not sure."""
        return self.agreement.square() * self.sure


def inverse_planes(config: DepthConfig, device: torch.device) -> torch.Tensor:
    """Return the sweep's (D,) inverse depths, from the farthest to the nearest."""
    near = max(config.motion.near_m, config.min_m)
    return torch.linspace(1.0 / config.max_m, 1.0 / near, config.motion.planes).to(device)


def match_cost(volume: CostVolume) -> torch.Tensor:
    """Return (D, H, W) what each plane costs each pixel: 0 = the images agree.

    What fewer than a quarter of the neighbours see counts the less: else planes that take a pixel
    just into one neighbour's view would win at the borders.
    """
    cost = (1.0 - volume.correlation).clamp(0.0, _MOST)
    seen = (4.0 * volume.views / volume.views.amax().clamp_min(1.0)).clamp_max(1.0)
    return torch.lerp(torch.full_like(cost, _UNSEEN), cost, seen)


def choose_planes(
    volume: CostVolume,
    cost: torch.Tensor,
    small_step: float = SMALL_STEP,
    large_step: float = LARGE_STEP,
) -> PlaneChoice:
    """Return the planes that are cheapest along whole lines of the image.

    Args:
        volume: of the sweep.
        cost: (D, H, W), `match_cost` and whatever else speaks for or against a plane.
        small_step, large_step: what a step of one plane, and any jump, costs.
    """
    chosen, inverse = best_plane(semi_global(cost, small_step, large_step), volume.inverse_depth)
    agreement = volume.correlation.gather(0, chosen[None])[0].clamp(0.0, 1.0)
    inner = (chosen > 0) & (chosen < volume.inverse_depth.numel() - 1)
    seen = volume.views.gather(0, chosen[None])[0] > 0.5
    return PlaneChoice(inverse, agreement, inner & seen)


def best_plane(
    cost: torch.Tensor, inverse_depth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cheapest of (D,) planes for (D, H, W) costs, and its inverse depth, (H, W) each.

    The inverse depth is that of the parabola through the plane and its two neighbours.
    """
    chosen = cost.argmin(0)
    middle = chosen.clamp(1, inverse_depth.numel() - 2)
    before, at, after = (cost.gather(0, (middle + step)[None])[0] for step in (-1, 0, 1))
    curvature = (before - 2.0 * at + after).clamp_min(1e-6)
    offset = (0.5 * (before - after) / curvature).clamp(-1.0, 1.0)
    spacing = inverse_depth[1] - inverse_depth[0]
    return chosen, inverse_depth[0] + (middle + offset) * spacing
