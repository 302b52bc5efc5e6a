"""Which frames of a sequence make a pair, and pairs without their rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.training.data.config import RecordedConfig
from e2e_slam_ros.training.data.turned_view import resampled, turned_pixels
from e2e_slam_ros.training.data.views import ViewPair


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """Where a frame was taken: T_map_camera (4, 4) float64, and its median depth in metres.

    >>> seen = [Viewpoint(torch.eye(4, dtype=torch.float64), 2.0) for _ in range(2)]
    >>> seen[1].T_map_camera[0, 3] = 0.1
    >>> [found.tolist() for found in partners(seen, RecordedConfig())]
    [[1], [0]]
    """

    T_map_camera: torch.Tensor
    median_depth_m: float


def partners(motions: Sequence[Viewpoint | None], config: RecordedConfig) -> list[torch.Tensor]:
    """Return, for each frame, the indices (N,) of the frames it can be compared with.

    With poses: those whose distance over the median depth and whose rotation are moderate. A view
    from too near says nothing about depth, one from too far or turned away shows other things.
    Without: those a few frames apart.
    """
    count = len(motions)
    poses, depth = _stacked(motions)
    known = depth.isfinite()
    found: list[list[torch.Tensor]] = [[], []]
    for apart in range(1, min(max(config.max_search, config.max_apart), count - 1) + 1):
        first = torch.arange(count - apart)
        for here, there in ((first, first + apart), (first + apart, first)):
            fits = torch.zeros(len(here), dtype=torch.bool)
            if apart <= config.max_search:
                fits |= _moderate(poses[here], poses[there], depth[here], config)
            if config.min_apart <= apart <= config.max_apart:
                fits |= ~known[here] & ~known[there]
            found[0].append(here[fits])
            found[1].append(there[fits])
    if not found[0]:
        return [torch.empty(0, dtype=torch.long)] * count
    of, partner = torch.cat(found[0]), torch.cat(found[1])
    order = (of * count + partner).argsort()
    return list(partner[order].split(torch.bincount(of, minlength=count).tolist()))


def _stacked(motions: Sequence[Viewpoint | None]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (N, 4, 4) poses and (N,) median depths, NaN where unknown."""
    nowhere = torch.full((4, 4), torch.nan, dtype=torch.float64)
    poses = torch.stack([nowhere if m is None else m.T_map_camera for m in motions])
    depths = [torch.nan if m is None else m.median_depth_m for m in motions]
    return poses, torch.tensor(depths, dtype=torch.float64)


def _moderate(
    here: torch.Tensor, there: torch.Tensor, depth: torch.Tensor, config: RecordedConfig
) -> torch.Tensor:
    """Return (M,) bool: the motion from one (M, 4, 4) pose to the other is moderate."""
    parallax = (here[:, :3, 3] - there[:, :3, 3]).norm(dim=-1) / depth
    # The trace of R_here^T R_there.
    trace = (here[:, :3, :3] * there[:, :3, :3]).sum((-1, -2))
    rotation = torch.rad2deg(torch.arccos((0.5 * (trace - 1.0)).clamp(-1.0, 1.0)))
    # Comparisons with NaN, an unknown pose, are false.
    moderate = (parallax >= config.min_parallax) & (parallax <= config.max_parallax)
    return moderate & (rotation <= config.max_rotation_deg)


def without_rotation(pair: ViewPair) -> ViewPair:
    """Return the pair with its source turned like the target: its motion is translation alone.

    Handheld video turns more than it moves, which hides the parallax a network should learn from
    (weak rectification, Bian et al. 2021). The source becomes the homography K R K^-1 of itself;
    R is known from T_source_target. Pixels outside the source are black, without depth and not
    seen.
    """
    height, width = pair.image.shape[-2:]
    turn = pair.T_source_target[:3, :3]  # directions of the target's camera to the source's
    k = pair.intrinsics[None]
    uv, z = turned_pixels(height, width, k, turn[None], k)
    source, far, mask = pair.source.float(), pair.source_depth, pair.seen_masks()[1]
    image, depth, seen = resampled(
        source[None, None], far[None, None], mask[None, None], uv, z, "zeros"
    )
    upright = torch.eye(4)
    upright[:3, :3] = turn.mT
    return replace(
        pair,
        source=image[0, 0].round().clamp(0, 255).to(torch.uint8),
        source_depth=depth[0, 0],
        T_source_target=upright @ pair.T_source_target,
        source_seen=seen[0, 0],
    )
