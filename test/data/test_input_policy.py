"""Which stream is the image and which the depth, by the topics of real drivers."""

from __future__ import annotations

import pytest

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.input_policy import select
from e2e_slam_ros.data.stream import COMPRESSED_IMAGE, IMAGE, Stream, peek
from e2e_slam_ros.data.stream_verdict import judge


def raw(name: str, encoding: str, frame: str = "", values: tuple[float, ...] = ()) -> Stream:
    return Stream(name, IMAGE, encoding, frame_id=frame, values=values or None)


def packed(name: str, container: str, encoding: str, said: str = "", frame: str = "") -> Stream:
    return Stream(name, COMPRESSED_IMAGE, encoding, container, said, frame)


C, D = "camera_color_optical_frame", "camera_depth_optical_frame"
REALSENSE = [
    raw("/camera/camera/color/image_raw", "rgb8", C),
    raw("/camera/camera/depth/image_rect_raw", "16UC1", D),
    raw("/camera/camera/aligned_depth_to_color/image_raw", "16UC1", C),
    raw("/camera/camera/infra1/image_rect_raw", "mono8", "camera_infra1_optical_frame"),
    raw("/camera/camera/infra2/image_rect_raw", "mono8", "camera_infra2_optical_frame"),
]
AZURE = [
    raw("/rgb/image_raw", "bgra8", "rgb_camera_link"),
    raw("/rgb_to_depth/image_raw", "bgra8", "depth_camera_link"),
    raw("/depth/image_raw", "16UC1", "depth_camera_link"),
    raw("/depth_to_rgb/image_raw", "16UC1", "rgb_camera_link"),
    raw("/ir/image_raw", "mono16", "depth_camera_link"),
]
Z = "zed_left_camera_optical_frame"
ZED = [
    raw("/zed/zed_node/rgb/image_rect_color", "bgra8", Z),
    raw("/zed/zed_node/left/image_rect_color", "bgra8", Z),
    raw("/zed/zed_node/right/image_rect_color", "bgra8", "zed_right_camera_optical_frame"),
    raw("/zed/zed_node/depth/depth_registered", "32FC1", Z, (0.4, 2.0, 9.0)),
    raw("/zed/zed_node/confidence/confidence_map", "32FC1", Z, (1.0, 40.0, 100.0)),
    raw("/zed/zed_node/disparity/disparity_image", "32FC1", Z, (1.0, 40.0, 100.0)),
]
# Name of the set -> streams, image, depth.
DRIVERS = {
    "realsense": (REALSENSE, REALSENSE[0].name, REALSENSE[2].name),
    "realsense, aligned to infra1": (
        [
            *(REALSENSE[0], REALSENSE[3]),
            raw("/camera/aligned_depth_to_infra1/image_raw", "16UC1", REALSENSE[3].frame_id),
        ],
        REALSENSE[0].name,
        "/camera/aligned_depth_to_infra1/image_raw",  # to be registered by TF
    ),
    "azure": (AZURE, "/rgb/image_raw", "/depth_to_rgb/image_raw"),
    "azure, colour to depth": (AZURE[1:3], "/rgb_to_depth/image_raw", "/depth/image_raw"),
    "zed": (ZED, ZED[0].name, ZED[3].name),
    "oak": (
        [
            raw("/oak/rgb/image_raw", "bgr8", "oak_rgb_camera_optical_frame"),
            raw("/oak/stereo/image_raw", "16UC1", "oak_rgb_camera_optical_frame"),
            raw("/oak/left/image_raw", "mono8", "oak_left_camera_optical_frame"),
            raw("/oak/right/image_raw", "mono8", "oak_right_camera_optical_frame"),
        ],
        "/oak/rgb/image_raw",
        "/oak/stereo/image_raw",
    ),
    "kinect v2": (
        [
            raw("/kinect2/hd/image_color_rect", "bgr8", "kinect2_rgb_optical_frame"),
            raw("/kinect2/hd/image_depth_rect", "16UC1", "kinect2_rgb_optical_frame"),
            raw("/kinect2/sd/image_ir_rect", "16UC1", "kinect2_ir_optical_frame"),
            raw("/kinect2/sd/image_depth_rect", "16UC1", "kinect2_ir_optical_frame"),
        ],
        "/kinect2/hd/image_color_rect",
        "/kinect2/hd/image_depth_rect",
    ),
    "openni": (
        [
            raw("/camera/rgb/image_color", "rgb8", "camera_rgb_optical_frame"),
            raw("/camera/depth/image", "32FC1", "camera_depth_optical_frame", (0.5, 2.0, 9.0)),
            raw("/camera/depth_registered/image_raw", "16UC1", "camera_rgb_optical_frame"),
            raw("/camera/ir/image_raw", "mono16", "camera_ir_optical_frame"),
        ],
        "/camera/rgb/image_color",
        "/camera/depth_registered/image_raw",
    ),
    "gazebo": (
        [
            raw("/head_camera/image_raw", "rgb8", "camera_optical"),
            raw("/head_camera/depth/image_raw", "32FC1", "camera_optical", (0.1, 3.0, 10.0)),
        ],
        "/head_camera/image_raw",
        "/head_camera/depth/image_raw",
    ),
    "compressed only": (
        [
            packed("/camera/color/image_raw/compressed", "jpeg", "rgb8", "rgb8", C),
            packed("/camera/depth/image_raw/compressedDepth", "png", "16UC1", "16UC1", C),
            packed("/camera/depth/image_raw/compressed", "png", "mono16", "16UC1", C),
        ],
        "/camera/color/image_raw/compressed",
        "/camera/depth/image_raw/compressedDepth",
    ),
    "raw beside compressed": (
        [raw("/cam/image_raw", "bgr8"), packed("/cam/image_raw/compressed", "jpeg", "rgb8")],
        "/cam/image_raw",
        None,
    ),
    "depth as JPEG, and as a picture": (
        [
            packed("/cam/color/compressed", "jpeg", "rgb8", "rgb8"),
            packed("/cam/depth/image/compressed", "jpeg", "mono8"),
            packed("/cam/depth/a/compressed", "jpeg", "mono8", "16UC1"),
            raw("/cam/depth/image_8bit", "mono8"),
            raw("/cam/depth/visual", "bgr8"),
        ],
        "/cam/color/compressed",
        None,
    ),
    "grey camera with drawings": (
        [raw("/cam0/image_raw", "mono8"), raw("/vio/debug_image", "bgr8")],
        "/cam0/image_raw",
        None,
    ),
    "thermal beside colour": (
        [raw("/flir/thermal/image", "mono16"), raw("/flir/image", "bayer_rggb8")],
        "/flir/image",
        None,
    ),
    "confidence is no depth": (
        [
            raw("/camera/image", "rgb8", C),
            raw("/camera/confidence", "32FC1", C, (0.0, 50.0, 100.0)),
            raw("/camera/conf", "32FC1", C, (0.0, 50.0, 100.0)),
            raw("/camera/depth/confidence", "16UC1", C),
            raw("/camera/disparity", "32FC1", C, (1.0, 30.0, 50.0)),
        ],
        "/camera/image",
        None,
    ),
    "float metres without the word": (
        [raw("/left/image", "rgb8", C), raw("/left/range_image", "32FC1", C, (0.3, 2.2, 8.0))],
        "/left/image",
        "/left/range_image",
    ),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_topics_of_drivers(driver: str, backwards: bool) -> None:
    streams, image, depth = DRIVERS[driver]
    chosen = select(streams[::-1] if backwards else streams)
    assert chosen.colour.stream.name == image
    assert (chosen.depth.stream.name if chosen.depth else None) == depth


def test_what_is_used_and_what_is_not_is_said() -> None:
    streams, _, _ = DRIVERS["confidence is no depth"]
    said = "\n".join(select(streams).sentences())
    assert f"colour = /camera/image (rgb8, {C}; " in said
    assert "not taken: /camera/conf (32FC1" in said
    assert "no depth in its name, values 0..100" in said
    assert "--depth-topic /camera/conf" in said


def test_a_close_choice_is_told_with_the_option() -> None:
    two = [raw("/front/image", "rgb8"), raw("/back/image", "rgb8")]
    said = "\n".join(select(two).sentences())
    assert "colour = /back/image" in said
    assert "close: choose it with --image-topic /front/image" in said


def test_named_streams_are_taken_as_they_are() -> None:
    streams = DRIVERS["zed"][0]
    chosen = select(streams, image=streams[2], depth=streams[4])
    assert chosen.colour.stream == streams[2] and chosen.depth.stream == streams[4]


def test_a_stream_that_cannot_be_decoded_is_not_taken_before_one_that_can() -> None:
    chosen = select([raw("/cam/color/image", "nv16"), raw("/cam/grey/image", "mono8")])
    assert chosen.colour.stream.name == "/cam/grey/image"
    assert "encoding nv16 is not decoded" in "\n".join(chosen.sentences())
    with pytest.raises(DataError, match="record the camera's images") as refusal:
        select([raw("/cam/color/image", "nv16"), raw("/cam/depth/image", "32FC1")])
    assert "--image-topic" not in str(refusal.value)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_depth_of_eight_bits_is_neither(encoding: str) -> None:
    verdict = judge(raw("/camera/depth/image_raw", encoding))
    assert verdict.role == "none" and "8-bit" in verdict.sentence()


def test_nothing_usable_is_refused_with_the_reasons() -> None:
    only = [raw("/cam/depth/image", "16UC1"), packed("/cam/image/compressed", "h264", "video")]
    with pytest.raises(DataError, match="h264 video is not decoded.*expected a colour image"):
        select(only)
    with pytest.raises(DataError, match="no image topic at all"):
        select([])


@pytest.mark.parametrize(
    ("form", "data", "expected"),
    [
        ("rgb8; jpeg compressed bgr8", b"\xff\xd8\xff\xe0", ("jpeg", "rgb8", "rgb8")),
        ("16UC1; jpeg compressed ", b"\xff\xd8\xff\xe0", ("jpeg", "rgb8", "16UC1")),
        ("16UC1; compressedDepth rvl", bytes(40), ("rvl", "16UC1", "16UC1")),
        ("32FC1; compressedDepth", bytes(12) + b"\x89PNG", ("png", "32FC1", "32FC1")),
        ("jpeg", bytes(12) + b"\x89PNG", ("png", "16UC1", "")),
        ("h265", b"\0\0\0\1", ("h265", "video", "")),
        ("hevc", b"\0\0\0\1", ("hevc", "video", "")),
        ("tiff", b"II*\0", ("tiff", "unknown", "")),
    ],
)
def test_formats_of_compressed_images(form: str, data: bytes, expected: tuple[str, ...]) -> None:
    assert peek(form, data)[:3] == expected
