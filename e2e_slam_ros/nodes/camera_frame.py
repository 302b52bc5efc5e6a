"""A camera frame assembled from messages, and the interface of its receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.lens_model import LensModel


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """An image with its camera and its pose.

    Attributes:
        stamp_ns: image stamp.
        frame_id: TF frame of the camera.
        image: (H, W, 3) uint8 RGB.
        camera: intrinsics of ``image``.
        T_map_camera: (4, 4), camera optical frame to map; None: to be found from the image.
        received_ns: wall clock when DDS received the image.
        lens: of the image as it was recorded; depth of the same camera is remapped by it.
        image_frame: frame_id of the image's header, to which depth must be registered.
        T_odom_camera: (4, 4), where the pose is given in the odometry frame; it is then the same
            as ``T_map_camera`` until refinement corrects that. None: it is given in the map.
        pose_sigma: see `Frame`.
    """

    stamp_ns: int
    frame_id: str
    image: npt.NDArray[np.uint8]
    camera: PinholeCamera
    T_map_camera: npt.NDArray[np.float64] | None
    received_ns: int
    lens: LensModel | None = None
    image_frame: str = ""
    T_odom_camera: npt.NDArray[np.float64] | None = None
    pose_sigma: tuple[float, float] | None = None


class FrameSink(Protocol):
    """Receiver of assembled and refused images."""

    def on_frame(self, frame: CameraFrame) -> None:
        """Handle a complete frame."""

    def on_refused(self, stamp_ns: int, kind: str, error: Exception) -> None:
        """Handle an image that will not become a frame. ``error`` is the reason."""

    def on_duplicate(self, stamp_ns: int) -> None:
        """Handle a repeated image with the last stamp."""

    def on_notice(self, kind: str, text: str) -> None:
        """Handle an unusual event that costs no frame."""

    def on_time_jump(self, stamp_ns: int) -> None:
        """Handle a jump back in time. Stamps start again at ``stamp_ns``."""
