"""DeepV2D's losses (eq. 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import backproject, project

# Weight of a depth that is not the last one: the paper supervises all and says no weights.
_INTERMEDIATE = 0.5
_NEAREST_M = 0.05


def depth_loss(
    depths: Sequence[torch.Tensor],
    truth: torch.Tensor,
    near_m: float,
    far_m: float,
    smoothness: float = 0.02,
    logarithmic: bool = False,
) -> torch.Tensor:
    """Return eq. 6 of each depth, summed: mean L1 error, and L1 smoothness.

    Args:
        depths: (B, 1, H, W) metres, the intermediate ones first.
        truth: (B, 1, H, W) metres; pixels outside ``near_m`` to ``far_m`` do not count.
        smoothness: w_s.
        logarithmic: of the logarithm of depth instead (not in the paper): metres far away do not
            outweigh what is near.

    >>> one = torch.ones(1, 1, 2, 2)
    >>> float(depth_loss([one, 1.5 * one], one, 0.2, 10.0))
    0.5
    """
    valid = (truth > near_m) & (truth < far_m)
    count = valid.sum().clamp_min(1)
    safe = torch.where(valid, truth, torch.ones_like(truth))
    total = truth.new_zeros(())
    for index, depth in enumerate(depths):
        difference = depth.log() - safe.log() if logarithmic else depth - safe
        value = depth.log() if logarithmic else depth
        error = (difference.abs() * valid).sum() / count
        rough = value.diff(dim=-1).abs().mean() + value.diff(dim=-2).abs().mean()
        weight = 1.0 if index == len(depths) - 1 else _INTERMEDIATE
        total = total + weight * (error + smoothness * rough)
    return total


def motion_loss(
    T_camera_map: torch.Tensor,
    truth: torch.Tensor,
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
    delta: float = 1.0,
) -> torch.Tensor:
    """Return eq. 7: the Huber norm of how far the poses put the keyframe's pixels from the truth.

    Args:
        T_camera_map, truth: (B, N, 4, 4), the keyframe first.
        depth: (B, 1, h, w) of the keyframe, metres; 0 unknown.
        intrinsics: (B, 3, 3), of ``depth``.
        delta: pixels, where the norm becomes linear.

    >>> pose, k = torch.eye(4).expand(1, 2, 4, 4), torch.eye(3)[None]
    >>> float(motion_loss(pose, pose, torch.ones(1, 1, 4, 4), k))
    0.0
    """
    here, seen_here = _seen(T_camera_map, depth, intrinsics)
    there, seen_there = _seen(truth, depth, intrinsics)
    valid = seen_here & seen_there
    error = functional.huber_loss(here, there, reduction="none", delta=delta)
    return (error * valid).sum() / valid.sum().clamp_min(1)


def flow_loss(
    residual: torch.Tensor,
    T_camera_map: torch.Tensor,
    truth: torch.Tensor,
    depth: torch.Tensor,
    intrinsics: torch.Tensor,
) -> torch.Tensor:
    """Return the mean L1 error of residual flow, pixels; not in the paper.

    Args:
        residual: (B, N - 1, 2, h, w), the flow left between the keyframe and each other frame.
        T_camera_map, truth: (B, N, 4, 4), the poses that the flow corrects, and the true ones.
        depth: (B, 1, h, w) of the keyframe, metres; 0 unknown.
        intrinsics: (B, 3, 3), of ``depth``.

    >>> pose, k = torch.eye(4).expand(1, 2, 4, 4), torch.eye(3)[None]
    >>> float(flow_loss(torch.ones(1, 1, 2, 4, 4), pose, pose, torch.ones(1, 1, 4, 4), k))
    2.0
    """
    here, seen_here = _seen(T_camera_map, depth, intrinsics)
    there, seen_there = _seen(truth, depth, intrinsics)
    valid = seen_here & seen_there
    error = (residual.flatten(0, 1).flatten(2) - (there - here)).abs()
    # Far outside the image nobody can know.
    valid = valid & ((there - here).abs() < max(depth.shape[-2:]) / 2).all(1, keepdim=True)
    return (error * valid).sum() / valid.sum().clamp_min(1)


def _seen(
    T_camera_map: torch.Tensor, depth: torch.Tensor, intrinsics: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the keyframe's pixels in the other frames: uv (B (N - 1), 2, h w) and whether any."""
    count = T_camera_map.shape[1] - 1
    points = backproject(depth, intrinsics).flatten(2).transpose(1, 2)
    points = points.repeat_interleave(count, 0)
    moved = (T_camera_map[:, 1:] @ se3.inverse(T_camera_map[:, :1])).flatten(0, 1)
    local = se3.transform_points(moved, points).transpose(1, 2)
    ahead = (local[:, 2:] > _NEAREST_M) & (points[..., 2] > 0).unsqueeze(1)
    safe = torch.where(ahead, local, torch.ones_like(local))
    uv, _ = project(safe, intrinsics.repeat_interleave(count, 0))
    return uv, ahead
