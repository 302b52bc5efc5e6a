"""Lost images are counted and named, with what helps; the profile for drivers works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.nodes.lost_images import LostImages
from e2e_slam_ros.nodes.slam_node import SlamNode
from nodes.ros_peer import REPO, peer_in, wait_for
from nodes.test_pose_frames import sentences
from nodes.test_resets import spinning

PROFILE = REPO / "config" / "fastdds_driver.xml"


def test_gaps_in_the_stamps_are_counted_and_named(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config().with_values({"runtime.silence_s": 0.0})
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        said = sentences(node, monkeypatch)
        peer.wait_for_slam("slam_node")
        # 30 Hz; three images of one gap and two of another one never come.
        for index in [*range(20), *range(23, 30), *range(32, 40)]:
            peer.send_good(1.0 + index / 30, x=0.01 * index)
        assert node.camera_input.lost.in_gaps == 5
        wait_for(lambda: peer.status["/slam_node"]["lost_images"] == "5", "the count")
        wait_for(lambda: peer.problems().get("lost_images") == 1, "the report")
        (sentence,) = [text for text in said if text.startswith("lost_images")]
        for part in ("/camera/image_raw", "5 missing", "0 images", "expected", "slower"):
            assert part in sentence
        # A stream that stands still loses nothing, and neither does one that starts anew.
        peer.send_good(60.0)
        peer.send_good(1.0)
        assert node.camera_input.lost.in_gaps == 5


def test_a_camera_that_loses_most_of_its_images_is_not_taken_for_a_slow_one(
    ros_domain: int,
) -> None:
    with peer_in(ros_domain) as peer:
        lost = LostImages(peer, "image", lambda sentence: None)
        rng, sent = np.random.default_rng(0), range(300)
        arrived = [index for index in sent if rng.random() < 0.35]
        for index in arrived:
            lost.heard(index * 33_000_000 + int(rng.integers(-2_000_000, 2_000_000)))
        # The first ones show the rate.
        assert 0.8 * (300 - len(arrived)) < lost.in_gaps <= 300 - len(arrived)


def test_losses_of_the_middleware_are_counted(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config().with_values({"runtime.silence_s": 0.0})
    with peer_in(ros_domain), spinning(SlamNode, ros_domain, config) as node:
        said = sentences(node, monkeypatch)
        handlers = [
            handler
            for subscription in node.subscriptions
            if subscription.topic_name.endswith(("image_raw",))
            for handler in subscription.event_handlers
        ]
        assert [
            handler for handler in handlers if handler.callback == node.camera_input.lost.on_event
        ]
        node.camera_input.lost.on_event(SimpleNamespace(total_count=7, total_count_change=7))
        assert node.diagnostics._facts()["lost_on_the_way"] == 7
        wait_for(lambda: said, "the report")
        assert "7 images and depth images lost on the way" in said[0]
        assert "config/fastdds_driver.xml" in said[0]


def test_the_profile_gives_a_driver_its_shared_memory(ros_domain: int) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir():
        pytest.skip("no /dev/shm")
    code = "import rclpy; rclpy.init(); rclpy.create_node('driver'); input()"
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    environment = os.environ | dict.fromkeys(names, str(PROFILE))
    before = set(shared.glob("fastrtps_*"))
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:

        def largest() -> int:
            made = set(shared.glob("fastrtps_*")) - before
            return max((file.stat().st_size for file in made), default=0)

        wait_for(lambda: largest() >= 32 * 2**20, "a segment of 32 MB")
    finally:
        _, said = driver.communicate("\n", timeout=20)
    assert driver.returncode == 0 and "XMLPARSER" not in said
