"""Pixels of image messages."""

from __future__ import annotations

import numpy as np
import pytest

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.encodings import RawImage, decode_color, decode_depth, is_depth_encoding


def test_yuv_orders_agree_and_grey_stays_grey():
    luma = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    chroma = np.full_like(luma, 128)
    yuyv = np.stack([luma, chroma], axis=-1).reshape(4, 12)
    uyvy = np.stack([chroma, luma], axis=-1).reshape(4, 12)
    expected = np.repeat(luma[..., None], 3, axis=2)
    for encoding in ("yuyv", "yuv422_yuy2"):
        image = decode_color(RawImage(encoding, 6, 4, 12, False, yuyv.tobytes()), "i")
        np.testing.assert_array_equal(image, expected)
    for encoding in ("uyvy", "yuv422"):
        image = decode_color(RawImage(encoding, 6, 4, 12, False, uyvy.tobytes()), "i")
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [((255, 0, 0), (76, 85, 255)), ((0, 255, 0), (150, 44, 21)), ((0, 0, 255), (29, 255, 107))],
)
def test_yuv_colors(rgb, yuv):
    y, u, v = yuv
    data = np.tile(np.array([y, u, y, v], np.uint8), 2).tobytes()
    image = decode_color(RawImage("yuyv", 2, 2, 4, False, data), "i")
    assert np.abs(image.reshape(-1, 3).astype(int) - rgb).max() <= 3


def test_an_odd_width_has_no_pixel_pairs():
    with pytest.raises(DataError, match="width 3, expected an even width"):
        decode_color(RawImage("yuyv", 3, 1, 6, False, bytes(6)), "i")


def test_byte_order():
    counts = np.array([[1500, 0], [65535, 1]], np.uint16)
    for big, order in ((False, "<u2"), (True, ">u2")):
        data = counts.astype(order).tobytes()
        depth = decode_depth(RawImage("16UC1", 2, 2, 4, big, data), "d")
        np.testing.assert_allclose(depth, counts / 1000.0, rtol=1e-6)
        grey = decode_color(RawImage("mono16", 2, 2, 4, big, data), "d")
        assert grey[..., 0].tolist() == [[5, 0], [255, 0]]


def test_the_message_is_not_changed_by_its_reader():
    data = np.arange(48, dtype=np.uint8)
    image = decode_color(RawImage("rgb8", 4, 4, 12, False, data), "i")
    image[:] = 0
    assert data[5] == 5


@pytest.mark.parametrize(("width", "height", "step"), [(0, 4, 12), (4, 0, 12), (4, 4, 11)])
def test_impossible_sizes(width, height, step):
    with pytest.raises(DataError, match="a row"):
        decode_color(RawImage("rgb8", width, height, step, False, bytes(48)), "i")


def test_color_is_no_depth():
    with pytest.raises(DataError, match="encoding 'rgb8', expected 16UC1 mono16 32FC1"):
        decode_depth(RawImage("rgb8", 4, 4, 12, False, bytes(48)), "d")
    assert is_depth_encoding("32FC1") and is_depth_encoding("16UC1; compressedDepth png")
    assert not is_depth_encoding("rgb8; jpeg compressed bgr8")
