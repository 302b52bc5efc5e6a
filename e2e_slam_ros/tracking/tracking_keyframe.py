"""What the tracker keeps of a frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.corners import DESCRIPTOR_BYTES, Descriptors, Image
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.rigid import Floats


@dataclass(eq=False)
class Observations:
    """Landmarks seen in one keyframe; rows belong together.

    Attributes:
        ids: (M,) landmarks.
        pixels: (M, 2) as recorded.
        ideal: (M, 2) without the lens's distortion.
        inverse_depth: (M,) measured 1/z, 1/metres; NaN for none.
        inverse_depth_sigma: (M,) its standard deviation; infinite for none.
    """

    ids: Ids
    pixels: Floats
    ideal: Floats
    inverse_depth: Floats
    inverse_depth_sigma: Floats

    @staticmethod
    def without_depth(ids: Ids, pixels: Floats, ideal: Floats) -> Observations:
        """Return observations whose depth is not measured."""
        count = len(ids)
        return Observations(ids, pixels, ideal, np.full(count, np.nan), np.full(count, np.inf))

    def chosen(self, mask: npt.NDArray[np.bool_]) -> Observations:
        """Return those of a mask."""
        return Observations(
            self.ids[mask],
            self.pixels[mask],
            self.ideal[mask],
            self.inverse_depth[mask],
            self.inverse_depth_sigma[mask],
        )

    def with_more(self, more: Observations) -> Observations:
        """Return these and then those."""
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
        T_map_camera: (4, 4), moved by adjustments.
        turning: (3,) angular velocity in the camera's own frame when it was taken, rad/s.
        seen: the landmarks in it.
        descriptors: (M, 32) uint8 of ``seen`` when the keyframe was made; rows of ``described``.
        described: (M,) the landmarks that ``descriptors`` describe.
        adjusted: it has been through an adjustment.
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
