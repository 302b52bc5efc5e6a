"""A second, finer sweep close to a depth that is roughly known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.multiview.plane_choice import choose_planes, match_cost
from e2e_slam_ros.multiview.plane_sweep import CostVolume, correlate
from e2e_slam_ros.multiview.sweep_view import SweepView

# Cost of the outermost step. It only decides where no step matches better than another.
_FARTHEST_STEP = 0.02


@dataclass(frozen=True, eq=False)
class LocalSweep:
    """The fine sweep's answer.

    Attributes:
        inverse_depth: (h, w) 1/m.
        change: (h, w), natural logarithm of the new depth over the given one.
        correlation: (steps, h, w), of the images at each step.

    >>> wall = torch.full((2, 2), 0.5)
    >>> LocalSweep(wall, torch.zeros(2, 2), torch.ones(9, 2, 2)).correlation.shape[0]
    9
    """

    inverse_depth: torch.Tensor
    change: torch.Tensor
    correlation: torch.Tensor


def local_sweep(
    target: SweepView,
    sources: Sequence[SweepView],
    inverse_depth: torch.Tensor,
    steps: int,
    reach: float,
) -> LocalSweep:
    """Choose for each pixel the best of a few inverse depths around a given one.

    The planes of a whole sweep are about a tenth of the depth apart in a room. They are also
    parallel to the image, so every slanted surface crosses many of them. The steps of this sweep
    are parts of the given depth: a slanted surface that is roughly right stays on one step, and
    the smoothness of `choose_planes` acts on the error alone (compare the cascades of Gu et al.,
    CVPR 2020, without their learned cost).

    Args:
        target: of (h, w) pixels.
        sources: at least one other view.
        inverse_depth: (h, w) > 0, 1/m.
        steps: number of inverse depths tried, odd.
        reach: the largest change, as a share of the inverse depth.

    >>> from e2e_slam_ros.geometry.camera import PinholeCamera
    >>> camera = PinholeCamera(64, 48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
    >>> def seen_from(x_m):  # a patterned wall at 2 m
    ...     x = (torch.arange(64.0) - camera.cx) / camera.fx * 2.0 + x_m
    ...     pose = torch.eye(4).double()
    ...     pose[0, 3] = x_m
    ...     return SweepView(torch.sin(9.0 * x).expand(1, 1, 48, 64), camera, pose)
    >>> around = [seen_from(-0.4), seen_from(0.4)]
    >>> roughly = torch.full((48, 64), 1.0 / 2.1)
    >>> choice = local_sweep(seen_from(0.0), around, roughly, steps=11, reach=0.1)
    >>> round(float(choice.inverse_depth.reciprocal().median()), 1)
    2.0
    """
    offsets = torch.linspace(-reach, reach, steps, device=inverse_depth.device)
    rho = inverse_depth.reshape(1, -1) * (1.0 + offsets[:, None])
    correlation, views = correlate(target, sources, rho)
    volume = CostVolume(correlation, views, offsets)
    far = _FARTHEST_STEP * (offsets / reach).square()
    choice = choose_planes(volume, match_cost(volume) + far[:, None, None])
    # The volume's planes are steps, and so is what was chosen.
    found = inverse_depth * (1.0 + choice.inverse_depth)
    return LocalSweep(found, (inverse_depth / found).log(), correlation)
