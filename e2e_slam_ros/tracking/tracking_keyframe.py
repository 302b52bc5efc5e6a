"""A keyframe of the tracker, and its observations of landmarks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.corners import DESCRIPTOR_BYTES, Descriptors, Image
from e2e_slam_ros.tracking.given_pose import GivenPose
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.rigid import Floats


@dataclass(eq=False)
class Observations:
    """Landmarks seen in one keyframe; row i of each array belongs to landmark ``ids[i]``.

    Attributes:
        ids: (M,) landmarks.
        pixels: (M, 2) as recorded.
        ideal: (M, 2) without the lens's distortion.
        inverse_depth: (M,) measured 1/z, 1/metres; NaN for none.
        inverse_depth_sigma: (M,) its standard deviation; infinite for none.

    Example:
        >>> pixels = np.array([[20.0, 20.0]])
        >>> seen = Observations.without_depth(np.array([4]), pixels, pixels)
        >>> more = Observations.without_depth(np.array([7]), pixels + 9.0, pixels + 9.0)
        >>> both = seen.with_more(more)
        >>> both.ids.tolist(), both.inverse_depth.tolist()
        ([4, 7], [nan, nan])
    """

    ids: Ids
    pixels: Floats
    ideal: Floats
    inverse_depth: Floats
    inverse_depth_sigma: Floats

    @staticmethod
    def without_depth(ids: Ids, pixels: Floats, ideal: Floats) -> Observations:
        """Return observations without measured depth."""
        count = len(ids)
        return Observations(ids, pixels, ideal, np.full(count, np.nan), np.full(count, np.inf))

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Observations:
        """Return the observations where ``mask`` (M,) is true."""
        return Observations(
            self.ids[mask],
            self.pixels[mask],
            self.ideal[mask],
            self.inverse_depth[mask],
            self.inverse_depth_sigma[mask],
        )

    def with_more(self, more: Observations) -> Observations:
        """Return these observations followed by ``more``."""
        return Observations(
            np.concatenate([self.ids, more.ids]),
            np.concatenate([self.pixels, more.pixels]),
            np.concatenate([self.ideal, more.ideal]),
            np.concatenate([self.inverse_depth, more.inverse_depth]),
            np.concatenate([self.inverse_depth_sigma, more.inverse_depth_sigma]),
        )


@dataclass(eq=False)
class TrackingKeyframe:
    """One keyframe of the tracker.

    Attributes:
        index: its number, from 0.
        frame_index: number of the camera frame.
        stamp_ns: image time in nanoseconds.
        image: (H, W) uint8 grey, as recorded, at the tracker's size.
        T_map_camera: (4, 4) pose; adjustments change it.
        turning: (3,) angular velocity in the camera's own frame at the stamp, rad/s.
        seen: its observations.
        descriptors: (M, 32) uint8 of ``seen`` when the keyframe was made; rows of ``described``.
        described: (M,) the landmarks that ``descriptors`` describe.
        adjusted: whether an adjustment has changed its pose.
        jpeg: the image as it is in the map's file; None: it was not loaded from one.
        scale: metres of the map around it now, per metre of when it was made; loops change it.
        sigma_rad: angle by which errors of its pose and of those around it misplace a point, see
            `misplaced_angle`, by the last adjustment; infinite before.
        given: its pose as something else measured it; None for none, or where it is not used.

    Example:
        >>> pixels, image = np.array([[20.0, 20.0]]), np.zeros((48, 64), np.uint8)
        >>> seen = Observations.without_depth(np.array([4]), pixels, pixels)
        >>> keyframe = TrackingKeyframe(0, 12, 400_000_000, image, np.eye(4), np.zeros(3), seen)
        >>> keyframe.frame_index, keyframe.seen.ids.tolist(), keyframe.adjusted
        (12, [4], False)
    """

    index: int
    frame_index: int
    stamp_ns: int
    image: Image
    T_map_camera: Floats
    turning: Floats
    seen: Observations
    descriptors: Descriptors = field(
        default_factory=lambda: np.zeros((0, DESCRIPTOR_BYTES), np.uint8)
    )
    described: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    adjusted: bool = False
    jpeg: bytes | None = None
    scale: float = 1.0
    given: GivenPose | None = None
    sigma_rad: float = np.inf
