"""Pixels of image messages, against OpenCV's own conversions."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
from PIL import Image

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.compressed import decode_compressed_color, decode_compressed_depth
from e2e_slam_ros.data.encodings import COLOR_ENCODINGS, RawImage, decode_color, decode_depth
from e2e_slam_ros.data.images import read_color, read_depth
from e2e_slam_ros.data.rvl import decode_rvl

# What sensor_msgs/image_encodings.hpp lists, without its generic types.
SENSOR_MSGS = (
    *("rgb8", "rgba8", "rgb16", "rgba16", "bgr8", "bgra8", "bgr16", "bgra16", "mono8", "mono16"),
    *(f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)),
    *("uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv21", "nv24"),
)


def picture(height: int = 24, width: int = 32) -> np.ndarray:
    """A smooth RGB picture, whose chroma survives subsampling."""
    v, u = np.indices((height, width), dtype=np.float64)
    waves = [127 + 90 * np.sin(u / 7 + p) * np.cos(v / 6 + p) for p in (0.0, 1.0, 2.0)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def raw(encoding: str, array: np.ndarray, height: int = 24, width: int = 32) -> RawImage:
    dense = np.ascontiguousarray(array)
    step = dense.nbytes // dense.shape[0]
    return RawImage(encoding, width, height, step, False, dense.tobytes())


def mosaic(rgb: np.ndarray, order: str) -> np.ndarray:
    """What a sensor with that colour filter records."""
    result = np.empty(rgb.shape[:2], rgb.dtype)
    for place, letter in enumerate(order):
        v, u = divmod(place, 2)
        result[v::2, u::2] = rgb[v::2, u::2, "rgb".index(letter)]
    return result


def nv(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Planes of luma and of chroma pairs, from OpenCV's planar I420."""
    height, width = rgb.shape[:2]
    planar = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    luma, chroma = planar[: height * width], planar[height * width :]
    u, v = chroma.reshape(2, height // 2, width // 2)
    pairs = np.stack([v, u] if encoding == "nv21" else [u, v], axis=-1)
    if encoding == "nv24":
        pairs = pairs.repeat(2, axis=0).repeat(2, axis=1)
        return np.concatenate([luma, pairs.reshape(-1)]).reshape(height * 3, width)
    return np.concatenate([luma, pairs.reshape(-1)]).reshape(height * 3 // 2, width)


def yuv422(rgb: np.ndarray, order: str) -> np.ndarray:
    planar = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    height, width = rgb.shape[:2]
    luma = planar[: height * width].reshape(height, width)
    u, v = planar[height * width :].reshape(2, height // 2, width // 2).repeat(2, axis=1)
    chroma = np.stack([u, v], axis=-1).reshape(height, width)
    return np.stack([luma, chroma] if order == "yuyv" else [chroma, luma], -1).reshape(height, -1)


def test_every_encoding_of_sensor_msgs_is_read() -> None:
    assert set(SENSOR_MSGS) <= set(COLOR_ENCODINGS)


@pytest.mark.parametrize("encoding", SENSOR_MSGS)
def test_a_picture_survives_every_encoding(encoding: str) -> None:
    """Within what OpenCV's own conversion loses."""
    rgb, tolerance = picture(), 0
    wide = rgb.astype(np.uint16) * 256 + 77
    if encoding.startswith("bayer"):
        order, tolerance = encoding[6:10], 24
        source = mosaic(wide if encoding.endswith("16") else rgb, order)
        code = getattr(
            cv2,
            {
                "rggb": "COLOR_BayerBG2RGB",
                "bggr": "COLOR_BayerRG2RGB",
                "gbrg": "COLOR_BayerGR2RGB",
                "grbg": "COLOR_BayerGB2RGB",
            }[order],
        )
        theirs = cv2.cvtColor(source, code)
        theirs = (theirs >> 8).astype(np.uint8) if theirs.dtype == np.uint16 else theirs
    elif encoding.startswith(("yuv", "uyvy", "yuyv")):
        tolerance = 24
        order = "uyvy" if encoding in ("uyvy", "yuv422") else "yuyv"
        source = yuv422(rgb, order)
        code = cv2.COLOR_YUV2RGB_YUY2 if order == "yuyv" else cv2.COLOR_YUV2RGB_UYVY
        theirs = cv2.cvtColor(source.reshape(24, 32, 2), code)
    elif encoding.startswith("nv"):
        source, tolerance = nv(rgb, encoding), 24
        half = nv(rgb, "nv12" if encoding == "nv24" else encoding)
        code = cv2.COLOR_YUV2RGB_NV21 if encoding == "nv21" else cv2.COLOR_YUV2RGB_NV12
        theirs = cv2.cvtColor(half, code)
    elif encoding.startswith("mono"):
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        source = grey if encoding == "mono8" else grey.astype(np.uint16) * 256 + 77
        theirs = rgb = np.repeat(grey[..., None], 3, axis=2)
    else:
        source = wide if encoding.endswith("16") else rgb
        source = source[..., ::-1] if encoding.startswith("b") else source
        if "a" in encoding:
            source = np.dstack([source, source[..., :1]])
        theirs = rgb
    ours = decode_color(raw(encoding, source), "image")
    np.testing.assert_array_equal(ours, theirs)
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(ours[inner].astype(int) - rgb[inner]).max() <= tolerance


def test_an_odd_width_has_no_pixel_pairs() -> None:
    for encoding in ("yuyv", "nv21"):
        with pytest.raises(DataError, match="width 3 .*expected an even width"):
            decode_color(RawImage(encoding, 3, 2, 0, False, bytes(24)), "i")


def test_byte_order() -> None:
    counts = np.array([[1500, 0], [65535, 1]], np.uint16)
    for big, order in ((False, "<u2"), (True, ">u2")):
        data = counts.astype(order).tobytes()
        depth = decode_depth(RawImage("16UC1", 2, 2, 4, big, data), "d")
        np.testing.assert_allclose(depth, counts / 1000.0, rtol=1e-6)
        grey = decode_color(RawImage("mono16", 2, 2, 4, big, data), "d")
        assert grey[..., 0].tolist() == [[5, 0], [255, 0]]


def test_one_rule_for_steps_of_zero_and_short_last_rows() -> None:
    rows = picture(3, 4).reshape(3, 12)
    expected = picture(3, 4)
    padded = np.pad(rows, ((0, 0), (0, 4))).tobytes()
    for step, data in ((0, rows.tobytes()), (16, padded), (16, padded[:-4])):
        image = decode_color(RawImage("rgb8", 4, 3, step, False, data), "i")
        np.testing.assert_array_equal(image, expected)
    with pytest.raises(DataError, match="16 bytes a row, 43 bytes"):
        decode_color(RawImage("rgb8", 4, 3, 16, False, padded[:-5]), "i")


def test_the_message_is_not_changed_by_its_reader() -> None:
    data = np.arange(48, dtype=np.uint8)
    image = decode_color(RawImage("rgb8", 4, 4, 12, False, data), "i")
    image[:] = 0
    assert data[5] == 5


@pytest.mark.parametrize(("width", "height", "step"), [(0, 4, 12), (4, 0, 12), (4, 4, 11)])
def test_impossible_sizes(width: int, height: int, step: int) -> None:
    with pytest.raises(DataError, match="a row"):
        decode_color(RawImage("rgb8", width, height, step, False, bytes(48)), "i")


def test_color_is_no_depth() -> None:
    with pytest.raises(DataError, match="encoding 'rgb8', expected 16UC1 mono16"):
        decode_depth(RawImage("rgb8", 4, 4, 12, False, bytes(48)), "d")


def test_a_depth_factor_is_counts_per_metre() -> None:
    counts = np.full((2, 2), 5000, np.uint16).tobytes()
    assert (decode_depth(RawImage("16UC1", 2, 2, 4, False, counts), "d", 5000.0) == 1.0).all()


def file_of(array: np.ndarray, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format=form, **options)
    return stream.getvalue()


def test_files_are_read_as_opencv_reads_them() -> None:
    rgb = picture()
    for form in ("PNG", "JPEG"):
        content = file_of(rgb, form)
        theirs = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(read_color(content, "i"), theirs)
    alpha = np.dstack([rgb, rgb[..., :1]])
    np.testing.assert_array_equal(read_color(file_of(alpha, "PNG"), "i"), rgb)
    palette = Image.fromarray(rgb).quantize(16)
    stream = io.BytesIO()
    palette.save(stream, format="PNG")
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(read_color(stream.getvalue(), "i"), expected)


def test_sixteen_bits_are_divided_and_not_clipped() -> None:
    counts = (np.arange(24 * 32, dtype=np.uint16) * 80).reshape(24, 32)
    content = file_of(counts, "PNG")
    np.testing.assert_array_equal(read_color(content, "i")[..., 0], counts >> 8)
    np.testing.assert_allclose(read_depth(content, "d", 1000.0), counts / 1000.0, rtol=1e-6)
    wide = cv2.imencode(".png", picture().astype(np.uint16)[..., ::-1] * 257)[1].tobytes()
    np.testing.assert_array_equal(read_color(wide, "i"), picture())


def test_an_image_is_turned_as_exif_says() -> None:
    rgb = cv2.resize(picture(), (64, 48))
    exif = Image.Exif()
    exif[274] = 6
    turned = read_color(file_of(rgb, "JPEG", exif=exif, quality=98), "i")
    assert turned.shape == (64, 48, 3)
    assert np.abs(turned.astype(int) - np.rot90(rgb, -1)).mean() < 4


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"hello" * 20])
def test_what_is_no_image_is_said_without_python_words(content: bytes) -> None:
    with pytest.raises(DataError) as caught:
        read_color(content, "frame 3")
    assert "BytesIO" not in str(caught.value) and "frame 3" in str(caught.value)


def test_incomplete_files_are_refused_and_not_filled_with_grey() -> None:
    for form in ("PNG", "JPEG"):
        content = file_of(cv2.resize(picture(), (640, 480)), form)
        with pytest.raises(DataError, match="expected a PNG or JPEG"):
            read_color(content[: len(content) // 2], "i")


def test_a_header_of_a_huge_image_costs_no_memory() -> None:
    content = bytearray(file_of(np.zeros((2, 2, 3), np.uint8), "PNG"))
    content[16:24] = struct.pack(">II", 50_000, 50_000)
    content[29:33] = struct.pack(">I", __import__("zlib").crc32(bytes(content[12:29])))
    with pytest.raises(DataError, match="50000|exceeds"):
        read_color(bytes(content), "i")
    with pytest.raises(DataError, match="50000|exceeds"):
        read_depth(bytes(content), "d", 1000.0)


def test_a_chunk_of_a_wrong_length_costs_no_memory() -> None:
    """OpenCV would make room for 2 GB."""
    resource = pytest.importorskip("resource")
    content = bytearray(file_of(picture(), "PNG"))
    place = content.index(b"IDAT") - 4
    content[place : place + 4] = struct.pack(">I", 0x7FFF_FFFF)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(DataError):  # Pillow reads to the end of the file, and may have enough
        read_color(bytes(content), "i")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def encoded_rvl(counts: np.ndarray) -> bytes:
    """The published encoder, number by number."""
    nibbles: list[int] = []

    def put(value: int) -> None:
        while True:
            part, value = value & 7, value >> 3
            nibbles.append(part | (8 if value else 0))
            if not value:
                return

    flat, place, last = counts.reshape(-1).astype(int), 0, 0
    while place < len(flat):
        start = place
        while place < len(flat) and flat[place] == 0:
            place += 1
        put(place - start)
        end = place
        while end < len(flat) and flat[end] != 0:
            end += 1
        put(end - place)
        for value in flat[place:end]:
            delta = int(value) - last
            put((delta << 1) ^ (delta >> 63))
            last = int(value)
        place = end
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        int("".join(f"{n:x}" for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)
    ]
    height, width = counts.shape
    return struct.pack(f"<II{len(words)}I", width, height, *words)


def test_rvl_depth_is_read_without_loss() -> None:
    dice = np.random.default_rng(3)
    counts = dice.integers(300, 65535, (24, 32)).astype(np.uint16)
    counts[dice.random((24, 32)) < 0.3] = 0
    for depth in (counts, np.zeros_like(counts), np.full_like(counts, 777)):
        np.testing.assert_array_equal(decode_rvl(encoded_rvl(depth)), depth)
    data = struct.pack("<iff", 0, 0.0, 0.0) + encoded_rvl(counts)
    metres = decode_compressed_depth("16UC1; compressedDepth rvl", data, "d")
    np.testing.assert_allclose(metres, counts / 1000.0, rtol=1e-6)
    for damaged in (data[:20], data[:40], data[:12] + b"\xff" * 60):
        with pytest.raises(DataError, match="RVL"):
            decode_compressed_depth("16UC1; compressedDepth rvl", damaged, "d")


def test_a_jpeg_is_no_depth_and_a_video_no_image() -> None:
    content = file_of(picture(), "JPEG")
    with pytest.raises(DataError, match="JPEG loses the depth"):
        decode_compressed_depth("16UC1; jpeg compressed ", content, "d")
    with pytest.raises(DataError, match="format 'h264' of 40 bytes"):
        decode_compressed_color(bytes(40), "i", "h264")
