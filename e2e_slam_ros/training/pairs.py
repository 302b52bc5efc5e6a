"""Which frames of a sequence make a pair, and pairs without their rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.training.data_config import RecordedConfig
from e2e_slam_ros.training.views import ViewPair


@dataclass(frozen=True, eq=False)
class Motion:
    """Where a frame was taken: T_map_camera (4, 4) float64, and its median depth in metres."""

    T_map_camera: torch.Tensor
    median_depth_m: float


def partners(motions: Sequence[Motion | None], config: RecordedConfig) -> list[torch.Tensor]:
    """Return, for each frame, the indices (N,) of the frames it can be compared with.

    With poses: those whose distance over the median depth and whose rotation are moderate. A view
    from too near says nothing about depth, one from too far or turned away shows other things.
    Without: those a few frames apart.
    """
    count = len(motions)
    at = torch.arange(count)
    apart = (at[:, None] - at[None]).abs()
    known = torch.tensor([motion is not None for motion in motions])
    by_number = (apart >= config.min_apart) & (apart <= config.max_apart)
    by_number &= ~known[:, None] & ~known[None]
    fits = by_number | (_moderate(motions, config) & (apart <= config.max_search))
    fits.fill_diagonal_(False)
    return [row.nonzero().flatten() for row in fits]


def _moderate(motions: Sequence[Motion | None], config: RecordedConfig) -> torch.Tensor:
    """Return (N, N) bool, true where both poses are known and the motion between is moderate."""
    nowhere = torch.full((4, 4), torch.nan, dtype=torch.float64)
    poses = torch.stack([nowhere if m is None else m.T_map_camera for m in motions])
    depth = torch.tensor([torch.nan if m is None else m.median_depth_m for m in motions])
    between = poses[:, None, :3, 3] - poses[None, :, :3, 3]
    parallax = between.norm(dim=-1) / depth[:, None]
    turn = torch.einsum("aji,bjk->abik", poses[:, :3, :3], poses[:, :3, :3])
    cosine = 0.5 * (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1.0)
    rotation = torch.rad2deg(torch.arccos(cosine.clamp(-1.0, 1.0)))
    # Comparisons with NaN, an unknown pose, are false.
    moderate = (parallax >= config.min_parallax) & (parallax <= config.max_parallax)
    return moderate & (rotation <= config.max_rotation_deg)


def without_rotation(pair: ViewPair) -> ViewPair:
    """Return the pair with its source turned like the target: what is left is translation.

    Handheld video turns more than it moves, which hides the parallax a network should learn from
    (weak rectification, Bian et al. 2021). The source becomes the homography K R K^-1 of itself;
    R is known from T_source_target. What it does not show is black and has no depth.
    """
    height, width = pair.image.shape[-2:]
    turn = pair.T_source_target[:3, :3]  # directions of the target's camera to the source's
    rays = pixel_rays(height, width, pair.intrinsics[None])[0]
    seen = torch.einsum("ij,jhw->ihw", turn, rays)
    front = seen[2].clamp_min(1e-6)
    k = pair.intrinsics
    uv = torch.stack(
        [k[0, 0] * seen[0] / front + k[0, 2], k[1, 1] * seen[1] / front + k[1, 2]], -1
    )
    grid = ((2.0 * uv + 1.0) / torch.tensor([width, height]) - 1.0)[None]
    image = functional.grid_sample(pair.source[None].float(), grid, align_corners=False)[0]
    depth = functional.grid_sample(
        pair.source_depth[None], grid, mode="nearest", align_corners=False
    )[0]
    upright = torch.eye(4)
    upright[:3, :3] = turn.mT
    return replace(
        pair,
        source=image.round().clamp(0, 255).to(torch.uint8),
        source_depth=torch.where(seen[2] > 1e-6, depth / front, 0.0),
        T_source_target=upright @ pair.T_source_target,
    )
