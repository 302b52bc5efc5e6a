from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image

from e2e_slam_ros.config.errors import CameraError, MessageError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.nodes.conversions import (
    camera_from_info,
    camera_info_message,
    depth_to_metres,
    image_message,
    image_to_rgb,
)
from e2e_slam_ros.nodes.stamps import ns_to_stamp, stamp_to_ns

RGB = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
ALPHA = np.full((4, 6, 1), 255, np.uint8)


def message(pixels: np.ndarray, encoding: str) -> Image:
    return image_message(pixels, encoding, Time(), "camera")


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[:, :, ::-1]),
        ("8UC3", RGB[:, :, ::-1]),
        ("rgba8", np.concatenate([RGB, ALPHA], axis=2)),
        ("bgra8", np.concatenate([RGB[:, :, ::-1], ALPHA], axis=2)),
    ],
)
def test_every_colour_encoding_gives_the_same_rgb(encoding: str, pixels: np.ndarray) -> None:
    rgb = image_to_rgb(message(pixels, encoding))
    assert rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, RGB)


def test_grey_images_have_three_equal_channels() -> None:
    grey = RGB[:, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(image_to_rgb(message(grey, "mono8")), expected)
    wide = grey.astype(np.uint16) * 257
    np.testing.assert_array_equal(image_to_rgb(message(wide, "mono16")), expected)


def test_rgb8_is_a_view_of_the_message() -> None:
    msg = message(RGB, "rgb8")
    rgb = image_to_rgb(msg)
    msg.data[0] = 200
    assert rgb[0, 0, 0] == 200


def test_padded_rows_are_skipped() -> None:
    msg = message(RGB, "rgb8")
    padded = np.zeros((4, 32), np.uint8)
    padded[:, :18] = RGB.reshape(4, 18)
    msg.step, msg.data = 32, padded.tobytes()
    np.testing.assert_array_equal(image_to_rgb(msg), RGB)


def test_depth_is_metres_whatever_its_encoding() -> None:
    metres = np.array([[0.0, 1.25], [2.5, 65.0]], np.float32)
    np.testing.assert_array_equal(depth_to_metres(message(metres, "32FC1")), metres)
    millimetres = (metres * 1000).astype(np.uint16)
    np.testing.assert_allclose(depth_to_metres(message(millimetres, "16UC1")), metres, atol=1e-6)


def test_big_endian_depth_is_read_as_such() -> None:
    msg = message(np.zeros((1, 2), np.uint16), "16UC1")
    msg.is_bigendian, msg.data = 1, np.array([[1000, 2000]], ">u2").tobytes()
    np.testing.assert_allclose(depth_to_metres(msg), [[1.0, 2.0]])


@pytest.mark.parametrize("encoding", ["jpeg2000", "nonsense", ""])
def test_an_unknown_encoding_is_named(encoding: str) -> None:
    msg = message(RGB, "rgb8")
    msg.encoding = encoding
    with pytest.raises(MessageError, match=repr(encoding)):
        image_to_rgb(msg)
    with pytest.raises(MessageError, match=repr(encoding)):
        depth_to_metres(msg)


def test_depth_is_no_colour_image_and_the_other_way_round() -> None:
    with pytest.raises(MessageError):
        image_to_rgb(message(np.zeros((2, 2), np.float32), "32FC1"))
    with pytest.raises(MessageError):
        depth_to_metres(message(RGB, "rgb8"))


@pytest.mark.parametrize("change", ["short", "step", "empty"])
def test_a_buffer_that_does_not_fit_is_refused(change: str) -> None:
    msg = message(RGB, "rgb8")
    if change == "short":
        msg.data = msg.data[:-1]
    elif change == "step":
        msg.step = 3
    else:
        msg.width = msg.height = msg.step = 0
        msg.data = b""
    with pytest.raises(MessageError, match="bytes"):
        image_to_rgb(msg)


@pytest.mark.parametrize("distortion", [(), (0.26, -0.95, -0.005, 0.002, 1.16)])
def test_a_camera_survives_the_round_trip(distortion: tuple[float, ...]) -> None:
    camera = PinholeCamera(640, 480, 517.3, 516.5, 318.6, 255.3, distortion)
    assert camera_from_info(camera_info_message(camera, Time(), "camera")) == camera


def test_an_empty_camera_info_is_refused() -> None:
    with pytest.raises(CameraError, match="focal"):
        camera_from_info(CameraInfo(width=640, height=480))


def test_a_distortion_model_we_cannot_undo_is_refused() -> None:
    msg = camera_info_message(PinholeCamera(640, 480, 500, 500, 320, 240), Time(), "camera")
    msg.distortion_model, msg.d = "equidistant", [0.1, 0.0, 0.0, 0.0]
    with pytest.raises(CameraError, match="equidistant"):
        camera_from_info(msg)


def test_stamps_are_exact_to_the_nanosecond() -> None:
    for stamp_ns in (0, 1, 1305031102175304123, 999_999_999):
        assert stamp_to_ns(ns_to_stamp(stamp_ns)) == stamp_ns
    assert stamp_to_ns(ns_to_stamp(-5)) == 0
