"""The depths that are used: the range, and what a network may predict."""

from __future__ import annotations

import math

import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe

# Depths of an image that differ by less, relatively, are a constant.
_CONSTANT = 1e-5


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


def require_prediction(depth: torch.Tensor, keyframe: Keyframe, *, varied: bool) -> None:
    """Refuse what a network predicts where it has failed.

    Args:
        depth: (1, 1, H, W) in the network's unit.
        keyframe: for the message.
        varied: refuse a constant as well.

    Raises:
        DepthError: a value is not finite or not positive, or all are equal.
    """
    defect = defect_of(depth, varied=varied)
    if defect is not None:
        raise DepthError.from_parts(
            f"prediction of the depth network for keyframe {keyframe.index}",
            defect,
            "a finite depth at every pixel, which varies over the image",
            "the keyframe is left out. If it happens often, check depth.network.checkpoint and "
            "depth.network.output",
        )


def defect_of(depth: torch.Tensor, *, varied: bool) -> str | None:
    """Return the defect of predicted depth, or None if it is sound; see `require_prediction`."""
    least, most = (float(value) for value in depth.aminmax())
    if not (math.isfinite(least) and math.isfinite(most) and least > 0.0):
        sound = int((torch.isfinite(depth) & (depth > 0)).sum())
        return f"NaN, infinite or no depth at {depth.numel() - sound} of {depth.numel()} pixels"
    if varied and depth.numel() > 1 and most - least <= _CONSTANT * most:
        return f"the same depth {most:g} at every pixel"
    return None
