"""Everything that can be wrong with input, sent to a living slam_node over Fast DDS."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from sensor_msgs.msg import CameraInfo

from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from nodes.ros_peer import OPTICAL, NodeProcess, Peer, peer_in, running, wait_for
from synthetic import CAMERA, textured_image

SETTINGS = {
    "runtime.offline": True,
    "runtime.silence_s": 0.0,
    "depth.wait_s": 0.3,
    # Every frame a keyframe, so that each case reaches the mapping as well.
    "keyframe.parallax": 0.0,
    "keyframe.min_sharpness": 0.0,
}


def nan_pose(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    at.pose.position.x = math.nan
    return peer.send(image, info, depth, at)


def zero_quaternion(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    at.pose.orientation.w = at.pose.orientation.x = 0.0
    at.pose.orientation.y = at.pose.orientation.z = 0.0
    return peer.send(image, info, depth, at)


def no_pose(peer: Peer, second: float) -> int:
    image, info, depth, _ = peer.messages(second)
    return peer.send(image, info, depth, None)


def zero_k(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    empty = CameraInfo(header=info.header, width=info.width, height=info.height)
    return peer.send(image, empty, depth, at)


def wrong_info_size(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    info.width, info.height = 640, 480
    return peer.send(image, info, depth, at)


def unknown_encoding(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    image.encoding = "nonsense9"
    return peer.send(image, info, depth, at)


def short_buffer(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    image.data = image.data[: len(image.data) // 2]
    return peer.send(image, info, depth, at)


def late_depth(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    depth.header.stamp = ns_to_stamp(round((second + 1.0) * 1e9))
    return peer.send(image, info, depth, at)


def wrong_depth_size(peer: Peer, second: float) -> int:
    image, info, _, at = peer.messages(second)
    small = image_message(np.ones((5, 7), np.float32), "32FC1", image.header.stamp, OPTICAL)
    return peer.send(image, info, small, at)


def wrong_depth_encoding(peer: Peer, second: float) -> int:
    image, info, depth, at = peer.messages(second)
    depth.encoding = "nonsense9"
    return peer.send(image, info, depth, at)


def back_a_little(peer: Peer, second: float) -> int:
    return peer.send(*peer.messages(second - 2.5))


def other_size(peer: Peer, second: float) -> int:
    """Half the size, with camera_info and depth to match: used, and counted."""
    camera = CAMERA.resized(32, 24)
    image, _, _, at = peer.messages(second)
    stamp = image.header.stamp
    pixels = np.ascontiguousarray(textured_image()[:24, :32])
    return peer.send(
        image_message(pixels, "rgb8", stamp, OPTICAL),
        camera_info_message(camera, stamp, OPTICAL),
        image_message(np.full((24, 32), 2.0, np.float32), "32FC1", stamp, OPTICAL),
        at,
    )


CASES: tuple[tuple[Callable[[Peer, float], int], str], ...] = (
    (nan_pose, "pose"),
    (zero_quaternion, "pose"),
    (no_pose, "no_pose"),
    (zero_k, "camera_info"),
    (wrong_info_size, "camera_info"),
    (unknown_encoding, "image"),
    (short_buffer, "image"),
    (late_depth, "no_depth"),
    (wrong_depth_size, "depth"),
    (wrong_depth_encoding, "image"),
    (other_size, "size_change"),
)


def test_no_bad_input_kills_the_node_or_the_map(ros_domain: int, tmp_path: Path) -> None:
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", SETTINGS)]) as (slam,):
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        expected: dict[str, int] = {}
        second = 1.0
        for send, kind in CASES:
            second += 10.0
            peer.wait_processed(send(peer, second))
            expected[kind] = expected.get(kind, 0) + 1
            # The next good frame is mapped as if nothing had happened.
            peer.send_good(second + 3.0, x=0.01 * second)
        # Back from the other size: counted like the way there.
        expected["size_change"] += 1
        wait_for(
            lambda: peer.problems() == expected, lambda: f"{expected}, got {peer.problems()}", 5.0
        )
        mapped = int(peer.report()["keyframes"])
        assert mapped == len(CASES) + 2, "the good frames and the one of another size"
        _check_time(peer, second, expected)
        assert slam.alive and "Traceback" not in slam.output
        for kind in expected:
            assert f"{kind}" in slam.output
        assert "expected" in slam.output and "got" in slam.output


def _check_time(peer: Peer, second: float, expected: dict[str, int]) -> None:
    """A step back is refused; a jump back is a recording that starts again: the map stays."""
    surfels = int(peer.report()["surfels"])
    step = peer.send(*peer.messages(second + 2.5))
    peer.wait_processed(step)
    peer.send_good(0.5, x=0.3)
    expected |= {"time_backwards": 1, "time_jump": 1}
    wait_for(
        lambda: peer.problems() == expected, lambda: f"{expected}, got {peer.problems()}", 5.0
    )
    assert int(peer.report()["surfels"]) >= surfels > 0
    answered = peer.processed.count(500_000_000)
    peer.send(*peer.messages(0.5))
    wait_for(lambda: peer.processed.count(500_000_000) > answered, "an answer to a duplicate")


def test_a_map_that_cannot_be_saved_stays(ros_domain: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = SETTINGS | {"runtime.output": tmp_path / "file" / "below"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (slam,):
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        answer = peer.call("/slam_node/save_map")
        assert not answer.success and "map.ply" in answer.message
        wait_for(lambda: peer.problems() == {"save": 1}, "the count")
        assert int(peer.status["/slam_node"]["surfels"]) > 0
        peer.send_good(2.0, x=0.2)
        assert slam.end() == 1
        last = slam.output.splitlines()[-1]
        assert last.startswith("e2e_slam_ros: the map of ") and "map.ply" in last
        assert "Traceback" not in slam.output


def _end(slam: NodeProcess) -> None:
    assert slam.end() == 0, slam.output
    assert "Traceback" not in slam.output
