"""Messages that no driver sends: they are counted, and cost neither time, memory nor the log."""

from __future__ import annotations

import array
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.serialization import serialize_message
from tf2_msgs.msg import TFMessage

from e2e_slam_ros.nodes.pose_messages import transform_message
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from nodes.ros_peer import OPTICAL, Peer, peer_in, running, wait_for
from synthetic import pose

SETTINGS: dict[str, object] = {"runtime.silence_s": 0.0, "runtime.save_at_end": False}


def counted(peer: Peer, expected: dict[str, int]) -> None:
    wait_for(lambda: peer.problems() == expected, lambda: f"{expected}, got {peer.problems()}", 20)


def test_bytes_that_are_no_message_are_counted_and_do_not_fill_the_log(
    ros_domain: int, tmp_path: Path
) -> None:
    settings = SETTINGS | {"runtime.reliability": "reliable"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (slam,):
        peer.wait_for_slam("slam_node")
        image, info, depth, at = (bytes(serialize_message(m)) for m in peer.messages(2.0))
        before = len(slam.output.splitlines())
        for _ in range(20):
            peer.image_out.publish(image[:100])
            peer.info_out.publish(info[:40])
            peer.depth_out.publish(depth[:20])
            peer.pose_out.publish(at[:20])
            time.sleep(0.02)
        counted(peer, {"undecodable": 80})
        peer.send_good(3.0)
        # One line of ours in five seconds. Fast CDR itself prints one for each camera_info.
        lines = slam.output.splitlines()[before:]
        assert len([line for line in lines if "sequence size" not in line]) < 4, slam.output
        assert slam.end() == 0, slam.output


def test_a_camera_info_of_megabytes_is_refused_and_not_kept(
    ros_domain: int, tmp_path: Path
) -> None:
    count, megabytes = 40, 16
    settings = SETTINGS | {"runtime.reliability": "reliable"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (slam,):
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        resident = Path(f"/proc/{slam.process.pid}/statm")
        before = int(resident.read_text().split()[1]) * 4096
        _, info, _, _ = peer.messages(1.5)
        info.d = array.array("d", bytes(megabytes * 2**20))
        for index in range(count):
            info.header.stamp = ns_to_stamp(1_500_000_000 + index)
            peer.info_out.publish(info)
            time.sleep(0.05)
        wait_for(lambda: peer.problems().get("camera_info", 0) > 5, "the count", 60.0)
        peer.send_good(10.0, x=0.3)
        grown = int(resident.read_text().split()[1]) * 4096 - before
        assert grown < count * megabytes * 2**20 * 0.75
        assert slam.end() == 0, slam.output


def test_a_stamp_before_1970_does_not_block_the_images_behind(
    ros_domain: int, tmp_path: Path
) -> None:
    settings = SETTINGS | {"pose.source": "tf", "frames.odom": "map"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (slam,):
        wait_for(lambda: "/slam_node" in peer.status, "slam_node")
        ends = (peer.image_out, peer.info_out, peer.depth_out)
        wait_for(lambda: all(end.get_subscription_count() for end in ends), "subscriptions")
        tf = peer.create_publisher(TFMessage, "/tf", reliable(100))
        wait_for(lambda: tf.get_subscription_count() > 1, "a listener of TF")
        image, info, depth, _ = peer.messages(1.0)
        for message in (image, info, depth):
            message.header.stamp.sec = -1
        peer.send(image, info, depth, None)
        for second in (2.0, 3.0):
            image, info, depth, _ = peer.messages(second)
            moved = transform_message(
                pose(x=second).numpy(), ns_to_stamp(round(second * 1e9)), "map", OPTICAL
            )
            tf.publish(TFMessage(transforms=[moved]))
            time.sleep(0.2)
            peer.wait_processed(peer.send(image, info, depth, None))
        counted(peer, {"stamp": 1})
        assert slam.end() == 0, slam.output


def test_a_refused_pose_is_not_on_tf(ros_domain: int, tmp_path: Path) -> None:
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", SETTINGS)]) as (slam,):
        peer.wait_for_slam("slam_node")
        refused = []
        for second, x in ((1.0, 1e6), (2.0, 1e30), (3.0, -6e4)):
            image, info, depth, at = peer.messages(second)
            at.pose.position.x = x
            refused.append(peer.send(image, info, depth, at))
            peer.wait_processed(refused[-1])
        good = peer.send_good(4.0)
        wait_for(lambda: good in peer.transforms, "TF of the good pose")
        counted(peer, {"pose": 3})
        assert not set(refused) & set(peer.transforms)
        assert slam.end() == 0, slam.output
