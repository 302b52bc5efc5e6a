"""Choice of a sweep plane for each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.multiview.plane_sweep import CostVolume
from e2e_slam_ros.multiview.semi_global import semi_global

# Penalties of a step between planes, in units of 1 - correlation. Tuned on the tuning frames.
SMALL_STEP, LARGE_STEP = 0.3, 4.0
# Cost of a pixel at a plane that no neighbour sees. A mediocre match costs less.
_UNSEEN = 0.7
# Largest cost. A negative correlation is hardly worse evidence than a correlation of 0.
_MOST = 1.2


@dataclass(frozen=True, eq=False)
class PlaneChoice:
    """The chosen plane of each pixel; all tensors are (H, W).

    Attributes:
        inverse_depth: 1/m, interpolated between planes where the costs allow it.
        agreement: correlation of the images at the chosen plane, in [0, 1].
        sure: true if at least one neighbour sees the pixel and the plane is not the first or last.
            The first and last plane also collect surfaces outside the range of the sweep.

    >>> one = torch.ones(1, 2)
    >>> PlaneChoice(one, 0.5 * one, torch.tensor([[True, False]])).weight
    tensor([[0.2500, 0.0000]])
    """

    inverse_depth: torch.Tensor
    agreement: torch.Tensor
    sure: torch.Tensor

    @property
    def weight(self) -> torch.Tensor:
        """Square of the agreement, 0 where the plane is not sure."""
        return self.agreement.square() * self.sure


def inverse_planes(
    config: DepthConfig, device: torch.device, planes: int | None = None
) -> torch.Tensor:
    """Return the sweep's (D,) inverse depths, from the farthest to the nearest.

    ``planes`` is their number D; None: ``config.motion.planes``.
    """
    near = max(config.motion.near_m, config.min_m)
    count = config.motion.planes if planes is None else planes
    return torch.linspace(1.0 / config.max_m, 1.0 / near, count).to(device)


def match_cost(volume: CostVolume) -> torch.Tensor:
    """Return the matching cost (D, H, W) of each plane at each pixel; 0 = the images agree.

    A plane seen by fewer than a quarter of the neighbours gets a cost nearer to the cost of an
    unseen plane. Without this rule, planes that move a pixel just into the view of one neighbour
    would win at the image border.
    """
    cost = (1.0 - volume.correlation).clamp_(0.0, _MOST)
    seen = (volume.views * (4.0 / volume.views.amax().clamp_min(1.0))).clamp_max_(1.0)
    return torch.lerp(cost.new_tensor(_UNSEEN), cost, seen)


def choose_planes(
    volume: CostVolume,
    cost: torch.Tensor,
    small_step: float = SMALL_STEP,
    large_step: float = LARGE_STEP,
) -> PlaneChoice:
    """Return the planes with the lowest cost after semi-global aggregation.

    Args:
        cost: (D, H, W), `match_cost` plus any other cost of a plane.
        small_step, large_step: penalty of a step of one plane, and of any larger step.

    >>> rho = torch.tensor([0.25, 0.5, 1.0])  # 4 m, 2 m and 1 m
    >>> correlation = torch.tensor([0.1, 0.9, 0.1]).view(3, 1, 1).expand(3, 4, 4)
    >>> volume = CostVolume(correlation, torch.ones(3, 4, 4), rho)
    >>> choice = choose_planes(volume, match_cost(volume))
    >>> bool(choice.sure.all()), round(float(choice.agreement[0, 0]), 3)
    (True, 0.9)
    """
    chosen, inverse = best_plane(semi_global(cost, small_step, large_step), volume.inverse_depth)
    agreement = volume.correlation.gather(0, chosen[None])[0].clamp(0.0, 1.0)
    inner = (chosen > 0) & (chosen < volume.inverse_depth.numel() - 1)
    seen = volume.views.gather(0, chosen[None])[0] > 0.5
    return PlaneChoice(inverse, agreement, inner & seen)


def best_plane(
    cost: torch.Tensor, inverse_depth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the index and the inverse depth of the cheapest plane, (H, W) each.

    The inverse depth is the minimum of a parabola through the costs of the plane and its two
    neighbours.

    Args:
        cost: (D, H, W).
        inverse_depth: (D,) 1/m, ascending, evenly spaced.
    """
    chosen = cost.min(0).indices  # three times as fast as argmin on a CPU
    middle = chosen.clamp(1, inverse_depth.numel() - 2)
    before, at, after = (cost.gather(0, (middle + step)[None])[0] for step in (-1, 0, 1))
    curvature = (before - 2.0 * at + after).clamp_min(1e-6)
    offset = (0.5 * (before - after) / curvature).clamp(-1.0, 1.0)
    spacing = inverse_depth[1] - inverse_depth[0]
    return chosen, inverse_depth[0] + (middle + offset) * spacing
