"""The depth images of a recording, registered to its colour images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import InputOptions, option
from e2e_slam_ros.data.bag_calibration import BagCalibration
from e2e_slam_ros.data.bag_images import depth_of_message
from e2e_slam_ros.data.bag_topics import is_rectified
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.input_policy import needs_registration
from e2e_slam_ros.data.stream import Stream
from e2e_slam_ros.data.transform_tree import TransformTree
from e2e_slam_ros.geometry.lens_model import LensModel
from e2e_slam_ros.geometry.registration import DepthRegistration

# The mount of the depth camera is fixed; its transform may be sent once a second.
_MOUNT_TOLERANCE_NS = 10**10


class BagDepth:
    """Decodes depth messages to metres of the colour camera.

    Args:
        lens: of the colour images as recorded, from which depth of their frame is remapped.
        depth_lens, T_camera_depth: of a depth camera in another frame; None = the same frame.

    >>> from e2e_slam_ros.data.stream import IMAGE
    >>> lens = LensModel(4, 3, 4.0, 4.0, 1.5, 1.0)
    >>> BagDepth(Stream("/depth", IMAGE, "16UC1"), lens, 0.0).stream.name
    '/depth'
    """

    def __init__(
        self,
        stream: Stream,
        lens: LensModel,
        factor: float,
        depth_lens: LensModel | None = None,
        T_camera_depth: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.stream = stream
        self._lens = lens
        self._factor = factor
        self._registration = None
        if depth_lens is not None and T_camera_depth is not None:
            target = LensModel.of_pinhole(lens.pinhole)
            self._registration = DepthRegistration(depth_lens, target, T_camera_depth)

    @classmethod
    def of(
        cls,
        stream: Stream,
        lens: LensModel,
        camera_frame: str,
        options: InputOptions,
        tree: TransformTree,
        calibration: BagCalibration,
        report: ReaderReport,
    ) -> BagDepth | None:
        """Return the decoder of a depth stream; None, with a note, if it cannot be registered."""
        frame = options.depth_frame.lstrip("/") or stream.frame_id
        if not needs_registration(frame, camera_frame):
            if not frame or not camera_frame:
                report.note(f"{stream.name} has no frame_id; taken as registered to the image")
            return cls(stream, lens, options.depth_factor)
        stamps = tree.moving_stamps(frame)
        stamp_ns = stamps[len(stamps) // 2] if stamps else 0
        mount = tree.between(camera_frame, frame, stamp_ns, _MOUNT_TOLERANCE_NS)
        problem = f"no TF leads from there to {camera_frame}" if mount is None else ""
        depth_lens = None
        if mount is not None:
            rectified = is_rectified(stream.name)
            try:
                name, which = options.depth_info_topic, "depth_info_topic"
                depth_lens = calibration.lens(stream, name, rectified, which)
            except DataError as refusal:
                problem = str(refusal)
        if problem:
            report.note(
                f"not taken: depth of {stream.name} is in {frame}, the image in {camera_frame}: "
                f"{problem}; record /tf_static and the depth's camera_info, or registered depth; "
                f"if it is registered: {option('depth_frame', camera_frame)}"
            )
            return None
        report.note(
            f"depth of {stream.name} is in {frame}; it is registered to {camera_frame} by TF"
        )
        return cls(stream, lens, options.depth_factor, depth_lens, mount)

    def decode(self, message: Any, what: str) -> npt.NDArray[np.float32]:
        """Return (H, W) float32 metres of the colour camera, 0 = invalid.

        Raises:
            DataError: the message cannot be decoded, or has another size than its camera.
        """
        depth = depth_of_message(message, self.stream.kind, what, self._factor)
        if self._registration is not None:
            return self._registration(depth)
        rectifier = self._lens.rectifier
        if rectifier is None or depth.shape != (self._lens.height, self._lens.width):
            return depth
        return rectifier.depth(depth)
