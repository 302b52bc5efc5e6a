"""Data that stages exchange about a keyframe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True)
class KeyframeDecision:
    """The keyframe rule's answer for one frame.

    Attributes:
        is_keyframe: map this frame.
        reason: why, in one word or two ("first", "parallax", "rotation", "overlap", "time",
            "too near", "blurred", "pure rotation", "covered lens", "frozen picture").
        parallax: translation since the last keyframe over the scene's median depth.
        rotation_deg: rotation since the last keyframe, degrees.
        has_parallax: the motion says something about depth (refinement may use the pair).
        problem: why the picture shows nothing, if it does not; None: it is good.

    Example:
        >>> KeyframeDecision(True, "parallax", parallax=0.07).rotation_deg
        0.0
    """

    is_keyframe: bool
    reason: str
    parallax: float = 0.0
    rotation_deg: float = 0.0
    has_parallax: bool = False
    problem: E2ESlamError | None = None


@dataclass(frozen=True, eq=False)
class LensCorrection:
    """What was corrected of a keyframe's camera and image.

    Attributes:
        stated: intrinsics as they were stated; None: those that the keyframe has.
        readout_s: readout time of the rolling shutter that was undone, seconds.
        turning: (3,) angular velocity that it was undone with, camera frame, rad/s.

    Example:
        >>> LensCorrection().readout_s
        0.0
    """

    stated: PinholeCamera | None = None
    readout_s: float = 0.0
    turning: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))


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
        tracked_sigma_rad: see `Frame`.
        lens: how ``image`` and ``camera`` differ from those that were stated.

    Example:
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> decision = KeyframeDecision(True, "first")
        >>> Keyframe(0, 0, 0, image, camera, pose, None, decision).camera.width
        8
    """

    index: int
    frame_index: int
    stamp_ns: int
    image: torch.Tensor
    camera: PinholeCamera
    T_map_camera: torch.Tensor
    sensor_depth: torch.Tensor | None
    decision: KeyframeDecision
    tracked_sigma_rad: float | None = None
    lens: LensCorrection = field(default_factory=LensCorrection)

    @property
    def stated_camera(self) -> PinholeCamera:
        """``camera`` with the focal length that was stated; that of ``sensor_depth``."""
        return self.camera if self.lens.stated is None else self.lens.stated


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
        sigma: (1, 1, H, W) float32 > 0, relative standard deviation of depth (that of its natural
            logarithm) as the source states it; None: it states none.
        features: (1, C, h, w) float32, coarse, what the image shows as the source sees it; None:
            the source tells none.
        room: (1, 1, h, w), logarithm, in coarse cells, of the factor that ``depth`` was multiplied
            with because the room is known (`RoomMemory`); None: nothing is known of it.

    Example:
        >>> RawDepth(torch.ones(1, 1, 6, 8), None, "sensor", "sensor").unit
        'sensor'
    """

    depth: torch.Tensor
    confidence: torch.Tensor | None
    source: str
    unit: str
    sigma: torch.Tensor | None = None
    features: torch.Tensor | None = None
    room: torch.Tensor | None = None

    def in_room(self, room: torch.Tensor) -> RawDepth:
        """Return the depth in a known room.

        Args:
            room: (1, 1, h, w), logarithm of the factor; it is resized to the depth's size.

        >>> raw = RawDepth(torch.full((1, 1, 1, 1), 2.0), None, "network", "m")
        >>> known = raw.in_room(torch.full((1, 1, 1, 1), 1.5).log())
        >>> known.depth, known.without_room().depth
        (tensor([[[[3.]]]]), tensor([[[[2.]]]]))
        """
        return replace(self, depth=self.depth * self._factor(room), room=room)

    def without_room(self) -> RawDepth:
        """Return the depth in the source's own unit, as it was before any room."""
        if self.room is None:
            return self
        return replace(self, depth=self.depth / self._factor(self.room), room=None)

    def _factor(self, room: torch.Tensor) -> torch.Tensor:
        size = (self.depth.shape[-2], self.depth.shape[-1])
        return functional.interpolate(room, size, mode="bilinear", align_corners=False).exp()


@dataclass(frozen=True, eq=False)
class DepthEstimate:
    """A keyframe's depth in metres, as the map takes it.

    Attributes:
        depth: (1, 1, H, W) float32, z in metres, 0 = invalid, at the keyframe's size.
        confidence: (1, 1, H, W) float32 in [0, 1]; None: all pixels alike.
        source: name of the depth source.
        scale_source: the origin of the metres, in words ("sensor", "motion", "fixed factor").
        sigma: (1, 1, H, W) float32 > 0, relative standard deviation of ``depth`` (that of its
            natural logarithm), compared with truth in docs/adaptation.md; None: unknown.
        pose_sigma: the part of ``sigma`` that errors of the poses give to all pixels alike; None:
            motion has not corrected ``depth`` pixel by pixel.

    Example:
        >>> estimate = DepthEstimate(torch.ones(1, 1, 6, 8), None, "network", "fixed factor")
        >>> estimate.scale_source
        'fixed factor'
    """

    depth: torch.Tensor
    confidence: torch.Tensor | None
    source: str
    scale_source: str
    sigma: torch.Tensor | None = None
    pose_sigma: float | None = None


@dataclass(frozen=True)
class FusionStats:
    """What one fusion did to the map, counted in surfels.

    Example:
        >>> FusionStats(added=3, merged=5, removed=1, total=20).total
        20
    """

    added: int
    merged: int
    removed: int
    total: int
