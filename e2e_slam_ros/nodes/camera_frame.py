"""A camera frame assembled from messages, and who takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """An image with all it takes to track it.

    Attributes:
        stamp_ns: image stamp.
        frame_id: TF frame of the camera.
        image: (H, W, 3) uint8 RGB.
        camera: its intrinsics.
        T_map_camera: (4, 4).
        received_ns: wall clock when DDS received the image.
    """

    stamp_ns: int
    frame_id: str
    image: npt.NDArray[np.uint8]
    camera: PinholeCamera
    T_map_camera: npt.NDArray[np.float64]
    received_ns: int


class FrameSink(Protocol):
    """What becomes of assembled and refused images."""

    def on_frame(self, frame: CameraFrame) -> None:
        """Take a complete frame."""

    def on_refused(self, stamp_ns: int, kind: str, error: E2ESlamError) -> None:
        """Learn that an image will not become a frame, and why."""

    def on_duplicate(self, stamp_ns: int) -> None:
        """Learn that an image of the last stamp came again."""

    def on_notice(self, kind: str, text: str) -> None:
        """Learn of something unusual that costs no frame."""

    def on_time_jump(self, stamp_ns: int) -> None:
        """Learn that stamps start again from here."""
