"""Data that stages exchange about a keyframe."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True)
class KeyframeDecision:
    """The keyframe rule's answer for one frame.

    Attributes:
        is_keyframe: map this frame.
        reason: why, in one word or two ("first", "parallax", "rotation", "overlap", "time",
            "too near", "blurred", "pure rotation").
        parallax: translation since the last keyframe over the scene's median depth.
        rotation_deg: rotation since the last keyframe, degrees.
        has_parallax: the motion says something about depth (refinement may use the pair).
    """

    is_keyframe: bool
    reason: str
    parallax: float = 0.0
    rotation_deg: float = 0.0
    has_parallax: bool = False


@dataclass(frozen=True, eq=False)
class Keyframe:
    """One keyframe at the working size, on the device.

    Attributes:
        index: number of the keyframe, from 0.
        frame_index: number of the camera frame it was made from.
        stamp_ns: image time in nanoseconds.
        image: (1, 3, H, W) float32 in [0, 1], RGB, undistorted.
        camera: intrinsics of ``image``, without distortion.
        T_map_camera: (4, 4) float64, camera optical frame to map.
        sensor_depth: (1, 1, H, W) float32, z in metres, 0 = invalid; or None.
        decision: why it became a keyframe.
    """

    index: int
    frame_index: int
    stamp_ns: int
    image: torch.Tensor
    camera: PinholeCamera
    T_map_camera: torch.Tensor
    sensor_depth: torch.Tensor | None
    decision: KeyframeDecision


@dataclass(frozen=True, eq=False)
class RawDepth:
    """A depth source's answer for one keyframe, in the source's own unit.

    Attributes:
        depth: (1, 1, H, W) float32, z, 0 = unknown, at the keyframe's size. Not limited to any
            range.
        confidence: (1, 1, H, W) float32 in [0, 1]; None: all pixels alike.
        source: name of the depth source: "sensor", "motion_stereo" or "network".
        unit: the origin of its unit, in words ("sensor", "motion", "network (learned metric
            scale)").
    """

    depth: torch.Tensor
    confidence: torch.Tensor | None
    source: str
    unit: str


@dataclass(frozen=True, eq=False)
class DepthEstimate:
    """A keyframe's depth in metres, as the map takes it.

    Attributes:
        depth: (1, 1, H, W) float32, z in metres, 0 = invalid, at the keyframe's size.
        confidence: (1, 1, H, W) float32 in [0, 1]; None: all pixels alike.
        source: name of the depth source.
        scale_source: the origin of the metres, in words ("sensor", "motion", "fixed factor").
    """

    depth: torch.Tensor
    confidence: torch.Tensor | None
    source: str
    scale_source: str


@dataclass(frozen=True)
class FusionStats:
    """What one fusion did to the map, counted in surfels."""

    added: int
    merged: int
    removed: int
    total: int
