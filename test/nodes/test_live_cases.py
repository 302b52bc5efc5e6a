"""The live inputs of ../shared/cases, and others of their kinds, over Fast DDS.

Each starts slam_node in a process of its own and publishes what a driver would.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

pytest.importorskip("rclpy", reason="rclpy is not installed")

from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from e2e_slam_ros.nodes.conversions import camera_info_message
from e2e_slam_ros.nodes.qos import image_publisher, latched, reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp, stamp_to_ns
from nodes.ros_peer import OPTICAL, NodeProcess, Peer, peer_in, running, wait_for
from synthetic import CAMERA, textured_image, wall_depth
from synthetic import pose as pose_at

SETTINGS: dict[str, object] = {
    "runtime.offline": True,
    "runtime.silence_s": 0.0,
    "depth.wait_s": 0.5,
    "keyframe.parallax": 0.0,
    "keyframe.min_sharpness": 0.0,
}


@contextmanager
def live(
    domain: int,
    tmp_path: Path,
    ends: tuple[str, ...] = ("depth_out", "pose_out", "info_out"),
    **settings: object,
) -> Iterator[tuple[Peer, NodeProcess]]:
    """A slam_node and its peer, whose ``ends`` are connected. In keys __ is the point."""
    given = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
    with peer_in(domain) as peer, running(tmp_path, [("slam_node", given)]) as (node,):
        wait_for(lambda: "/slam_node" in peer.status, "slam_node")
        wait_for(lambda: peer.count_publishers("processed"), "publisher of `processed`")
        outs = [getattr(peer, end) for end in ends]
        wait_for(lambda: all(out.get_subscription_count() for out in outs), "subscriptions")
        yield peer, node


def frames_of(peer: Peer) -> int:
    return int(peer.status["/slam_node"].get("frames", 0))


def test_camera_info_that_was_sent_once_before_the_node_began(
    ros_domain: int, tmp_path: Path
) -> None:
    """live_latched_camera_info."""
    with peer_in(ros_domain) as early:
        early.destroy_publisher(early.info_out)
        once = early.create_publisher(CameraInfo, "camera/camera_info", latched())
        once.publish(camera_info_message(CAMERA, ns_to_stamp(10**9), OPTICAL))
        with live(ros_domain, tmp_path, ("depth_out", "pose_out")) as (peer, _):
            wait_for(lambda: peer.image_out.get_subscription_count(), "the image subscription")
            for second in (60, 61, 62):
                image, _, depth, at = peer.messages(second)
                peer.wait_processed(peer.send(image, None, depth, at))
            wait_for(lambda: frames_of(peer) == 3, lambda: f"3 frames: {peer.status}")
            assert not peer.problems()


def test_offline_one_camera_info_loses_no_image(ros_domain: int, tmp_path: Path) -> None:
    """live_offline_one_camera_info: 60 images at once, camera_info with the first only."""
    with live(ros_domain, tmp_path) as (peer, _):
        peer.send_good(59)
        for index in range(60):
            image, _, depth, at = peer.messages(60 + index / 30)
            peer.send(image, None, depth, at)
            if index % 8 == 7:  # the queues of DDS hold ten
                peer.wait_processed(stamp_to_ns(image.header.stamp))
        wait_for(lambda: frames_of(peer) == 61, lambda: f"61 frames: {peer.status}")
        assert not peer.problems()


DISTORTED = [0.3, -0.2, 0.001, 0.002, 0.05]


def rectified_info(second: float) -> CameraInfo:
    """The raw camera's K and D; P is the projection of the rectified image."""
    info = camera_info_message(CAMERA, ns_to_stamp(round(second * 1e9)), OPTICAL)
    info.k = np.array([2 * CAMERA.fx, 0, 9.0, 0, 2 * CAMERA.fy, 9.0, 0, 0, 1])
    info.d = DISTORTED
    return info


@pytest.mark.parametrize("how", ["name", "parameter"])
def test_rectified_images_use_p_and_no_distortion(
    ros_domain: int, tmp_path: Path, how: str
) -> None:
    """live_rectified_uses_K: the right map needs P."""
    settings: dict[str, object] = {"camera__rectified": "yes"}
    topic = "camera/image_raw"
    if how == "name":
        topic = "camera/image_rect"
        settings = {"remap camera/image_raw": topic}
    with live(ros_domain, tmp_path, **settings) as (peer, _):
        out = peer.create_publisher(Image, topic, image_publisher())
        wait_for(out.get_subscription_count, f"subscription of {topic}")
        for second in (60.0, 61.0):
            image, _, depth, at = peer.messages(second)
            peer.pose_out.publish(at)
            peer.depth_out.publish(depth)
            peer.info_out.publish(rectified_info(second))
            out.publish(image)
            peer.wait_processed(stamp_to_ns(image.header.stamp))
        wait_for(lambda: peer.maps, "the map")
        assert not peer.problems()
        assert_wall_in_view(peer)


def assert_wall_in_view(peer: Peer) -> None:
    """The map's extent is that of the wall through the true camera."""
    from e2e_slam_ros.nodes.cloud_messages import cloud_arrays

    points = cloud_arrays(peer.maps[-1])[0]
    depth = wall_depth(pose_at())[0, 0].numpy()
    v, u = np.indices(depth.shape)
    x = (u - CAMERA.cx) / CAMERA.fx * depth
    wide = np.ptp(x[depth > 0])
    assert np.ptp(points[:, 0]) == pytest.approx(wide, rel=0.08)


def test_a_rational_model_is_used_raw_and_rectified(ros_domain: int, tmp_path: Path) -> None:
    """live_rectify_advice_is_refused: nothing is refused any more."""
    rational = [0.1, -0.05, 0.001, 0.001, 0.01, 0.02, -0.01, 0.005]
    with live(ros_domain, tmp_path) as (peer, node):
        image, info, depth, at = peer.messages(60)
        info.distortion_model, info.d = "rational_polynomial", rational
        peer.wait_processed(peer.send(image, info, depth, at))
        wait_for(lambda: frames_of(peer) == 1, lambda: f"a frame: {peer.status}")
        assert "rational_polynomial, 8 coefficients" in node.output
    with live(ros_domain, tmp_path, camera__rectified="yes") as (peer, _):
        image, info, depth, at = peer.messages(60)
        info.distortion_model, info.d = "rational_polynomial", rational
        peer.wait_processed(peer.send(image, info, depth, at))
        wait_for(lambda: frames_of(peer) == 1, lambda: f"a frame: {peer.status}")
        assert not peer.problems()


def test_stamps_of_zero_are_said_and_counted(ros_domain: int, tmp_path: Path) -> None:
    """live_stamp_zero."""
    with live(ros_domain, tmp_path) as (peer, node):
        for _ in range(20):
            peer.send(*peer.messages(0.0))
        wait_for(lambda: peer.problems().get("stamp", 0) >= 8, lambda: f"{peer.status}")
        peer.send_good(60)
        wait_for(lambda: frames_of(peer) == 2, lambda: f"two frames: {peer.status}")
        assert "image stamp: got 0 s" in node.output


def test_tf_names_both_frames(ros_domain: int, tmp_path: Path) -> None:
    """live_tf_default_camera_frame."""
    with live(ros_domain, tmp_path, ("info_out",), pose__source="tf") as (peer, node):
        wait_for(peer.image_out.get_subscription_count, "the image subscription")
        image, info, depth, _ = peer.messages(60)
        image.header.frame_id = info.header.frame_id = "camera_color_optical_frame"
        peer.wait_processed(peer.send(image, info, depth, None))
        wait_for(lambda: peer.problems().get("no_pose"), lambda: f"{peer.status}")
        wait_for(lambda: "camera_color_optical_frame" in node.output, "the log")
        assert "'camera_optical_frame', which is frames.camera" in node.output


def test_compressed_images_and_depth(ros_domain: int, tmp_path: Path) -> None:
    with live(ros_domain, tmp_path, ("pose_out", "info_out"), camera__transport="compressed") as (
        peer,
        _,
    ):
        image_out = peer.create_publisher(
            CompressedImage, "camera/image_raw/compressed", image_publisher()
        )
        depth_out = peer.create_publisher(
            CompressedImage, "camera/depth/image_raw/compressedDepth", image_publisher()
        )
        ends = (image_out, depth_out, peer.info_out)
        wait_for(lambda: all(end.get_subscription_count() for end in ends), "subscriptions")
        image, info, depth, at = peer.messages(60)
        stream = io.BytesIO()
        PillowImage.fromarray(textured_image()).save(stream, format="JPEG", quality=95)
        metres = wall_depth(pose_at())[0, 0].numpy()
        png = cv2.imencode(".png", (metres * 1000).astype(np.uint16))[1].tobytes()
        peer.pose_out.publish(at)
        peer.info_out.publish(info)
        form = "16UC1; compressedDepth"
        depth_out.publish(CompressedImage(header=image.header, format=form, data=bytes(12) + png))
        data = stream.getvalue()
        image_out.publish(CompressedImage(header=image.header, format="jpeg", data=data))
        peer.wait_processed(stamp_to_ns(image.header.stamp))
        wait_for(lambda: peer.maps, "the map")
        assert not peer.problems()
        assert_wall_in_view(peer)


def test_a_video_in_compressed_images(ros_domain: int, tmp_path: Path) -> None:
    """As low-bandwidth modes of depthai: H.264 packets, from a key frame on."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = CAMERA.width, CAMERA.height, "yuv420p"
    context.framerate, context.time_base = Fraction(10, 1), Fraction(1, 10)
    context.gop_size = 4
    context.options = {"tune": "zerolatency", "sc_threshold": "0", "crf": "10"}
    picture = textured_image()
    packets = []
    for number in range(6):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += [bytes(packet) for packet in context.encode(frame)]
    assert len(packets) == 6
    given = {"camera__transport": "compressed"}
    with live(ros_domain, tmp_path, ("pose_out", "info_out"), **given) as (peer, _):
        outs = {
            "image": peer.create_publisher(
                CompressedImage, "camera/image_raw/compressed", image_publisher()
            ),
            "depth": peer.create_publisher(
                CompressedImage, "camera/depth/image_raw/compressedDepth", image_publisher()
            ),
        }
        wait_for(lambda: all(o.get_subscription_count() for o in outs.values()), "subscriptions")
        metres = wall_depth(pose_at())[0, 0].numpy()
        png = cv2.imencode(".png", (metres * 1000).astype(np.uint16))[1].tobytes()
        # The first packet is lost. The next key frame is the fifth.
        for number in range(1, 6):
            image, info, _, at = peer.messages(60 + number)
            peer.pose_out.publish(at)
            peer.info_out.publish(info)
            form, data = "16UC1; compressedDepth", bytes(12) + png
            outs["depth"].publish(CompressedImage(header=image.header, format=form, data=data))
            compressed = CompressedImage(header=image.header, format="h264", data=packets[number])
            outs["image"].publish(compressed)
            if number >= 4:
                peer.wait_processed(stamp_to_ns(image.header.stamp))
        wait_for(lambda: frames_of(peer) == 2, lambda: f"2 frames: {peer.status}")
        wait_for(lambda: peer.maps, "the map")
        assert not peer.problems()
        assert_wall_in_view(peer)


def test_depth_of_another_frame_is_registered_or_refused(ros_domain: int, tmp_path: Path) -> None:
    with live(ros_domain, tmp_path) as (peer, node):

        def send(second: float, count: int) -> None:
            image, info, depth, at = peer.messages(second)
            depth.header.frame_id = "depth_frame"
            peer.wait_processed(peer.send(image, info, depth, at))
            wait_for(lambda: frames_of(peer) == count, lambda: f"{count}: {peer.status}")

        send(60, 1)
        wait_for(lambda: peer.problems().get("depth") == 1, lambda: f"{peer.status}")
        assert f"depth in depth_frame, image in {OPTICAL}" in node.output
        mount: Any = TransformStamped()
        mount.header.frame_id, mount.child_frame_id = OPTICAL, "depth_frame"
        mount.transform.rotation.w = 1.0
        static = peer.create_publisher(TFMessage, "/tf_static", latched())
        static.publish(TFMessage(transforms=[mount]))
        depth_info = peer.create_publisher(CameraInfo, "camera/depth/camera_info", reliable())
        wait_for(depth_info.get_subscription_count, "subscription of the depth's camera_info")
        depth_info.publish(camera_info_message(CAMERA, ns_to_stamp(10**9), "depth_frame"))
        for attempt in range(20):
            send(61 + attempt, 2 + attempt)
            if peer.maps:
                break
        wait_for(lambda: peer.maps, lambda: f"the map: {peer.status}")
        assert_wall_in_view(peer)


def test_every_live_case_has_a_test() -> None:
    cases = Path(__file__).resolve().parents[3] / "shared" / "cases"
    if not cases.is_dir():
        pytest.skip("../shared/cases is not here")
    source = Path(__file__).read_text()
    for case in cases.glob("live_*"):
        assert case.name in source, case.name
