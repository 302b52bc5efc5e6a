"""Another keyframe's depth as a keyframe sees it."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.geometry.se3 import inverse
from e2e_slam_ros.geometry.splat import splat_depth
from e2e_slam_ros.refine.views import SparseLabels


def seen_from(
    target: Keyframe,
    other: Keyframe,
    depth: torch.Tensor,
    weight: torch.Tensor,
    size: tuple[int, int],
) -> SparseLabels:
    """Return another keyframe's depth as the target sees it.

    Args:
        target, other: of one camera.
        depth: (1, 1, H, W) metres, of the other; 0 = unknown.
        weight: (1, 1, H, W) in [0, 1].
        size: height and width of the result, pixels.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> here = Keyframe(0, 0, 0, image, camera, pose, None, KeyframeDecision(True, "first"))
        >>> wall = torch.full((1, 1, 6, 8), 2.0)
        >>> labels = seen_from(here, here, wall, torch.ones_like(wall), (3, 4))
        >>> labels.depth.shape, round(float(labels.depth.max()), 3)
        (torch.Size([1, 1, 3, 4]), 2.0)
    """
    camera = target.camera.resized(size[1], size[0])
    T_target_other = inverse(target.T_map_camera.double()) @ other.T_map_camera.double()
    depth, weight = (
        functional.interpolate(image, size, mode="nearest-exact") for image in (depth, weight)
    )
    depth, weight = (torch.where(known(depth), image, 0.0) for image in (depth, weight))
    return SparseLabels(*splat_depth(depth, weight, camera, T_target_other, camera))
