"""The range of depths that are used."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe


def gate_depth(depth: torch.Tensor, config: DepthConfig) -> torch.Tensor:
    """Return ``depth`` (any shape, metres) with 0 outside ``min_m``..``max_m`` or not finite."""
    # A NaN compares false, so it is outside as well.
    used = (depth >= config.min_m) & (depth <= config.max_m)
    return torch.where(used, depth, torch.zeros_like(depth))


def require_depth(depth: torch.Tensor, config: DepthConfig, keyframe: Keyframe) -> None:
    """Refuse gated depth without a single pixel left.

    Raises:
        DepthError: every pixel is 0.
    """
    # One value read back for each keyframe: nothing downstream could use an empty depth map.
    if not bool((depth > 0).any()):
        raise DepthError.from_parts(
            f"depth of keyframe {keyframe.index}",
            "no pixel in range",
            f"depths from depth.min_m = {config.min_m:g} to depth.max_m = {config.max_m:g} m",
            "check that nothing covers the camera and that the unit is metres, or widen the range",
        )
