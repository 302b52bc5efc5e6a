"""Conversion of image and camera_info messages to arrays and cameras, and back.

The encodings of `data.encodings` are converted by OpenCV; dense rgb8 needs no copy. Every other
encoding goes through cv_bridge, which is imported only then.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from e2e_slam_ros.config.errors import DataError, MessageError
from e2e_slam_ros.data.bag_camera import camera_of_info
from e2e_slam_ros.data.compressed import decode_compressed_color, decode_compressed_depth
from e2e_slam_ros.data.encodings import COLOR_ENCODINGS, LAYOUTS, RawImage, color_view, depth_view
from e2e_slam_ros.data.stream import peek
from e2e_slam_ros.geometry.camera import PinholeCamera

_MM_TO_M = np.float32(1e-3)


def image_to_rgb(msg: Image | CompressedImage) -> npt.NDArray[np.uint8]:
    """Return a colour or grey image as (H, W, 3) uint8 RGB. An rgb8 image stays a view.

    Raises:
        MessageError: the encoding is not that of an image, or the buffer does not fit the size.
    """
    if isinstance(msg, CompressedImage):
        return _decoded(lambda m, what: decode_compressed_color(m.data, what, m.format), msg)
    if msg.encoding not in COLOR_ENCODINGS and msg.encoding not in LAYOUTS:
        return _through_cv_bridge(msg)
    return _decoded(color_view, RawImage.of(msg))


def size_of(msg: Image | CompressedImage) -> tuple[int, int] | None:
    """Return (width, height) of an image; None if the header of a compressed one is damaged."""
    if isinstance(msg, CompressedImage):
        return peek(msg.format, msg.data)[3]
    return int(msg.width), int(msg.height)


def depth_to_metres(msg: Image | CompressedImage) -> npt.NDArray[np.float32]:
    """Return a depth image as (H, W) float32 metres, 0 = invalid (REP-118).

    32FC1 holds metres, with NaN and infinite values as invalid. 16UC1 and mono16 hold millimetres.

    Raises:
        MessageError: another encoding, or a buffer that does not fit the size.
    """
    if isinstance(msg, CompressedImage):
        return _decoded(lambda m, what: decode_compressed_depth(m.format, m.data, what), msg)
    counts = _decoded(depth_view, RawImage.of(msg))
    if counts.dtype.kind == "f":
        return np.ascontiguousarray(counts, dtype=np.float32)
    return np.maximum(counts, 0).astype(np.float32) * _MM_TO_M


def _decoded(decode: Callable[..., Any], image: Any) -> Any:
    try:
        return decode(image, "image")
    except DataError as error:
        raise MessageError(str(error)) from error


def image_message(
    pixels: npt.NDArray[np.generic], encoding: str, stamp: Time, frame_id: str
) -> Image:
    """Return (H, W) or (H, W, C) pixels as a message. ``encoding`` must fit their type."""
    known = LAYOUTS[encoding]
    dense = np.ascontiguousarray(pixels, dtype=np.dtype(known.dtype).newbyteorder("<"))
    msg = Image()
    msg.header = Header(stamp=stamp, frame_id=frame_id)
    msg.height, msg.width = int(dense.shape[0]), int(dense.shape[1])
    msg.encoding = encoding
    msg.step = dense.shape[1] * known.channels * dense.itemsize
    msg.data = byte_array(dense)
    return msg


def byte_array(dense: npt.NDArray[np.generic]) -> array.array[int]:
    """Return an array's bytes as an ``array.array``.

    rclpy accepts it without checking each value.
    """
    content: array.array[int] = array.array("B")
    content.frombytes(dense.reshape(-1).view(np.uint8).data)
    return content


def camera_from_info(msg: CameraInfo) -> PinholeCamera:
    """Return the camera of a camera_info message.

    Raises:
        CameraError: a K of zeros or not finite, or a distortion model other than plumb_bob.
    """
    return camera_of_info(msg)


def camera_info_message(camera: PinholeCamera, stamp: Time, frame_id: str) -> CameraInfo:
    """Return the camera_info message of a camera."""
    msg = CameraInfo()
    msg.header = Header(stamp=stamp, frame_id=frame_id)
    msg.width, msg.height = camera.width, camera.height
    msg.distortion_model = "plumb_bob"
    distortion = (*camera.distortion, *(0.0,) * 5)[:5]
    msg.d = array.array("d", distortion)
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    msg.k = np.array([fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0])
    msg.r = np.eye(3).reshape(-1)
    msg.p = np.array([fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])
    return msg


def _through_cv_bridge(msg: Image) -> npt.NDArray[np.uint8]:
    try:
        from cv_bridge import CvBridge
    except Exception as error:  # A cv_bridge built for another NumPy fails with any error.
        raise MessageError.from_parts(
            "image",
            f"encoding {msg.encoding!r}",
            " ".join(COLOR_ENCODINGS),
            f"convert the topic to one of these, or install cv_bridge (import failed: {error})",
        ) from error
    try:
        pixels = CvBridge().imgmsg_to_cv2(msg, desired_encoding="rgb8")
    except Exception as error:
        raise MessageError.from_parts(
            "image",
            f"encoding {msg.encoding!r}",
            "one that cv_bridge can turn into rgb8",
            f"publish another encoding ({error})",
        ) from error
    return np.asarray(pixels, dtype=np.uint8)
