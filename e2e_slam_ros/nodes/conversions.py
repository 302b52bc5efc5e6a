"""Conversion of image and camera_info messages to arrays and cameras, and back.

The common encodings are NumPy views of the message's buffer. They need no copy and no compiled
code of cv_bridge. Every other encoding goes through cv_bridge, which is imported only then.
"""

from __future__ import annotations

import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from e2e_slam_ros.config.errors import CameraError, MessageError
from e2e_slam_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True)
class Encoding:
    """Storage of a message's pixels: sample type and number of channels."""

    dtype: str
    channels: int


_ENCODINGS = {
    "rgb8": Encoding("u1", 3),
    "bgr8": Encoding("u1", 3),
    "rgba8": Encoding("u1", 4),
    "bgra8": Encoding("u1", 4),
    "8UC3": Encoding("u1", 3),
    "mono8": Encoding("u1", 1),
    "8UC1": Encoding("u1", 1),
    "mono16": Encoding("u2", 1),
    "16UC1": Encoding("u2", 1),
    "32FC1": Encoding("f4", 1),
}
# OpenCV's name for three bytes does not give their order. OpenCV usually has blue first.
_BLUE_FIRST = ("bgr8", "bgra8", "8UC3")
_MM_TO_M = np.float32(1e-3)


def image_view(msg: Image) -> npt.NDArray[np.generic]:
    """Return a view of the message's pixels, (H, W) or (H, W, C).

    Raises:
        MessageError: an encoding that is not a common one, or a buffer whose length does not fit
            the size and the row step.
    """
    encoding = _ENCODINGS.get(msg.encoding)
    if encoding is None:
        raise MessageError.from_parts(
            "image encoding",
            repr(msg.encoding),
            "one of " + ", ".join(_ENCODINGS),
            "publish one of these, or install cv_bridge",
        )
    dtype = np.dtype(encoding.dtype).newbyteorder(">" if msg.is_bigendian else "<")
    row_bytes = msg.width * encoding.channels * dtype.itemsize
    size = len(msg.data)
    step = msg.step or row_bytes
    needed = step * (msg.height - 1) + row_bytes
    if msg.width < 1 or msg.height < 1 or step < row_bytes or size < needed:
        raise MessageError.from_parts(
            "image",
            f"{size} bytes for {msg.width}x{msg.height} {msg.encoding}, step {msg.step}",
            f"at least {max(row_bytes, 1)} bytes in each of {msg.height} rows",
            "check the camera driver",
        )
    shape: tuple[int, ...] = (msg.height, msg.width)
    strides: tuple[int, ...] = (step, encoding.channels * dtype.itemsize)
    if encoding.channels > 1:
        shape, strides = (*shape, encoding.channels), (*strides, dtype.itemsize)
    return np.ndarray(shape, dtype, buffer=memoryview(msg.data), strides=strides)


def image_to_rgb(msg: Image) -> npt.NDArray[np.uint8]:
    """Return a colour or grey image as (H, W, 3) uint8 RGB. An rgb8 image stays a view.

    Raises:
        MessageError: the encoding is not that of an image, or the buffer does not fit the size.
    """
    if msg.encoding not in _ENCODINGS:
        return _through_cv_bridge(msg, "rgb8").astype(np.uint8, copy=False)
    if msg.encoding == "32FC1":
        raise MessageError.from_parts(
            "image encoding",
            repr(msg.encoding),
            "a colour or grey image",
            "subscribe to the colour topic",
        )
    pixels = image_view(msg)
    if pixels.dtype.itemsize == 2:
        pixels = np.right_shift(pixels.astype(np.uint16), 8).astype(np.uint8)
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    pixels = pixels[:, :, 2::-1] if msg.encoding in _BLUE_FIRST else pixels[:, :, :3]
    # Torch does not support negative strides. A dense rgb8 image stays a view.
    return np.ascontiguousarray(pixels)


def depth_to_metres(msg: Image) -> npt.NDArray[np.float32]:
    """Return a depth image as (H, W) float32 metres, 0 = invalid (REP-118).

    32FC1 holds metres, with NaN and infinite values as invalid. 16UC1 and mono16 hold millimetres.

    Raises:
        MessageError: another encoding, or a buffer that does not fit the size.
    """
    if msg.encoding == "32FC1":
        return np.ascontiguousarray(image_view(msg), dtype=np.float32)
    if msg.encoding in ("16UC1", "mono16"):
        return image_view(msg).astype(np.float32) * _MM_TO_M
    raise MessageError.from_parts(
        "depth encoding",
        repr(msg.encoding),
        "32FC1 (metres) or 16UC1 (millimetres)",
        "publish the registered depth image in one of these",
    )


def image_message(
    pixels: npt.NDArray[np.generic], encoding: str, stamp: Time, frame_id: str
) -> Image:
    """Return (H, W) or (H, W, C) pixels as a message. ``encoding`` must fit their type."""
    known = _ENCODINGS[encoding]
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
    if msg.distortion_model not in ("", "plumb_bob") and any(msg.d):
        raise CameraError.from_parts(
            "camera_info",
            f"distortion model {msg.distortion_model!r}",
            "plumb_bob",
            "rectify the images first (image_proc) and use their camera_info",
        )
    distortion = tuple(float(value) for value in msg.d)
    return PinholeCamera(
        width=int(msg.width),
        height=int(msg.height),
        fx=float(msg.k[0]),
        fy=float(msg.k[4]),
        cx=float(msg.k[2]),
        cy=float(msg.k[5]),
        distortion=distortion if any(distortion) else (),
    )


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


def _through_cv_bridge(msg: Image, encoding: str) -> npt.NDArray[np.generic]:
    try:
        from cv_bridge import CvBridge
    except Exception as error:  # A cv_bridge built for another NumPy fails with any error.
        raise MessageError.from_parts(
            "image encoding",
            repr(msg.encoding),
            "one of " + ", ".join(_ENCODINGS),
            f"publish one of these, or install cv_bridge (importing it failed: {error})",
        ) from error
    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(msg, desired_encoding=encoding))
    except Exception as error:
        raise MessageError.from_parts(
            "image encoding",
            repr(msg.encoding),
            "one that cv_bridge can turn into rgb8",
            f"publish another encoding ({error})",
        ) from error
