"""Live depth images as metres of the colour camera."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.node import Node

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import CameraError, DepthError
from e2e_slam_ros.data.bag_topics import is_rectified
from e2e_slam_ros.data.input_policy import needs_registration
from e2e_slam_ros.geometry.lens_model import LensModel
from e2e_slam_ros.geometry.registration import DepthRegistration
from e2e_slam_ros.nodes.camera_infos import CameraInfos
from e2e_slam_ros.nodes.conversions import depth_to_metres
from e2e_slam_ros.nodes.info_subscription import InfoSubscription
from e2e_slam_ros.nodes.live_transforms import LiveTransforms, live_transforms
from e2e_slam_ros.nodes.stamps import stamp_to_ns


class DepthInput:
    """Makes metres of depth messages.

    Depth in the image's frame is taken as it is, remapped where the image is. Depth in another
    frame is registered through TF and ``camera/depth/camera_info``, or refused.
    """

    def __init__(self, node: Node, config: Config, topic: str) -> None:
        self._node = node
        self._frame = config.frames.depth.lstrip("/")
        self._topic = topic
        self._infos = CameraInfos(is_rectified(topic))
        self._tf: LiveTransforms | None = None
        self._registration: tuple[object, DepthRegistration] | None = None
        self._subscription = InfoSubscription(
            node, "camera/depth/camera_info", config.runtime, self._infos.add
        )

    def metres(self, msg: Any, lens: LensModel, image_frame: str) -> npt.NDArray[np.float32]:
        """Return (H, W) float32 metres of the pinhole of ``lens``, 0 = invalid.

        Args:
            lens: of the colour image.
            image_frame: frame_id of the colour image.

        Raises:
            MessageError: an encoding that is no depth, or a buffer that does not fit.
            DepthError: depth of another frame that cannot be registered.
        """
        depth = depth_to_metres(msg)
        frame = self._frame or msg.header.frame_id.lstrip("/")
        image_frame = image_frame.lstrip("/")
        if needs_registration(frame, image_frame):
            return self._registered(depth, stamp_to_ns(msg.header.stamp), frame, image_frame, lens)
        if lens.rectifier is None or depth.shape != (lens.height, lens.width):
            return depth
        return lens.rectifier.depth(depth)

    def _registered(
        self,
        depth: npt.NDArray[np.float32],
        stamp_ns: int,
        frame: str,
        image_frame: str,
        lens: LensModel,
    ) -> npt.NDArray[np.float32]:
        if self._tf is None:
            self._tf = live_transforms(self._node)
        # The mount of a depth camera is fixed, so the latest transform holds for every stamp.
        mount = self._tf.matrix(image_frame, frame, 0)
        size = (depth.shape[1], depth.shape[0])
        problem = "" if mount is not None else f"no transform from {frame} to {image_frame} on TF"
        source = None
        try:
            source = self._infos.lens(stamp_ns, size, frame, True)
            problem = problem or ("" if source else "no message on camera/depth/camera_info")
        except CameraError as refusal:
            problem = problem or str(refusal)
        if mount is None or source is None:
            raise DepthError.from_parts(
                f"depth in {frame}, image in {image_frame}",
                problem,
                "depth registered to the image, or TF and the depth's camera_info to register it",
                "use the driver's registered depth, or set frames.depth if it is registered",
            )
        key = (mount.tobytes(), source, lens)
        if self._registration is None or self._registration[0] != key:
            target = LensModel.of_pinhole(lens.pinhole)
            self._registration = key, DepthRegistration(source, target, mount)
        return self._registration[1](depth)
