"""Checks of the map's input, made before the map changes."""

from __future__ import annotations

import torch

from e2e_slam_ros.config.errors import MapError, PoseError
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.geometry.se3 import check_rigid

# Beyond this float32 positions are coarser than 8 mm.
FARTHEST_M = 1e5


def check_keyframe(keyframe: Keyframe, estimate: DepthEstimate) -> None:
    """Refuse a keyframe that cannot be fused.

    Raises:
        MapError: depth and image differ in size.
        PoseError: the pose is not rigid, not finite, or too far from the origin.
    """
    height, width = keyframe.camera.height, keyframe.camera.width
    if tuple(estimate.depth.shape) != (1, 1, height, width):
        raise MapError.from_parts(
            "depth",
            f"shape {tuple(estimate.depth.shape)}",
            f"(1, 1, {height}, {width})",
            "give depth at the keyframe's size",
        )
    check_pose(keyframe.T_map_camera)


def check_pose(T_map_camera: torch.Tensor) -> None:
    """Refuse a (4, 4) pose that no map can hold.

    Raises:
        PoseError: it is not rigid, not finite, or too far from the origin.
    """
    check_rigid(T_map_camera)
    farthest = float(T_map_camera[:3, 3].abs().amax())
    if farthest > FARTHEST_M / 2:
        raise PoseError.from_parts(
            "pose",
            f"{farthest:.4g} m from the map's origin",
            f"at most {FARTHEST_M / 2:g} m: float32 positions are too coarse beyond",
            "let the map frame start where the robot starts (UTM coordinates are too large)",
        )


def check_moved(positions: torch.Tensor) -> None:
    """Refuse (N, 3) positions in metres that no map can hold.

    Raises:
        MapError: a position beyond `FARTHEST_M`, or one that is not finite.
    """
    farthest = float(positions.abs().amax()) if positions.numel() else 0.0
    if not farthest < FARTHEST_M:
        raise MapError.from_parts(
            "moved surfels",
            f"positions up to {farthest:.4g} m from the map's origin",
            f"within {FARTHEST_M:g} m: float32 positions are too coarse beyond",
            "check the corrected poses",
        )
