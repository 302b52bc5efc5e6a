"""A covered lens or a hanging driver: nothing is invented, good pictures are mapped at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.pose_messages import pose_message
from e2e_slam_ros.nodes.replay import ReplayOutcome, run_replay
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from nodes.ros_peer import OPTICAL, Peer, Watching, peer_in, running, wait_for
from refine.rooms import wall_frame

Image = npt.NDArray[np.uint8]
COVERED = (4, 5, 6)
DICE = np.random.default_rng(2)


def half(image: Image) -> Image:
    covered = image.copy()
    covered[:, : image.shape[1] // 2] = 0
    return covered


COVERS: dict[str, Callable[[Image], Image]] = {
    "black": np.zeros_like,
    "white": lambda image: np.full_like(image, 255),
    "noise": lambda image: DICE.integers(0, 256, image.shape, dtype=np.uint8),
    "half black": half,
}


class Covered(FrameSlice):
    """Recorded frames, three of them with another picture; without ``cover`` they are missing."""

    cover: Callable[[Image], Image] | None = None

    def __getitem__(self, index: int) -> Frame:
        frame = super().__getitem__(index)
        if index not in COVERED:
            return frame
        if self.cover is None:
            raise DataError.from_parts("image", "none", "an image", "nothing")
        return replace(frame, image=self.cover(frame.image))


def replayed(
    rooms: TumReader,
    cover: Callable[[Image], Image] | None,
    source: str,
    watch: Watching | None = None,
) -> ReplayOutcome:
    reader = Covered(rooms, 0, 10)
    reader.cover = cover
    values = {"camera.working_width": 160, "depth.source": source}
    # A dark picture beside light ones is blurred, too.
    config = Config().with_values(values | {"keyframe.min_sharpness": 0.0})
    return run_replay(reader, config, lockstep=True, progress=False, recorder=watch)


def test_a_replay_maps_nothing_of_covered_frames(ros_domain: int, shared_data: Path) -> None:
    rooms = TumReader(shared_data / "hololens" / "rooms_000")
    without = replayed(rooms, None, "network")
    assert without.keyframes >= 3 and len(without.cloud) > 1000
    for name, cover in COVERS.items():
        seen = replayed(rooms, cover, "network")
        assert seen.problems == {"covered_lens": 3}, name
        assert (seen.frames, seen.keyframes) == (10, without.keyframes), name
        assert seen.map_hash == without.map_hash, name


def test_measured_depth_is_mapped_under_a_dark_picture(ros_domain: int, shared_data: Path) -> None:
    rooms = TumReader(shared_data / "hololens" / "rooms_000")
    watch = Watching()
    seen = replayed(rooms, np.zeros_like, "sensor", watch)
    assert seen.problems == {"covered_lens": 3} and len(watch.results) == seen.keyframes
    assert any(result.keyframe.frame_index in COVERED for result in watch.results)


def send(peer: Peer, index: int, image: Image | None = None) -> None:
    """Publish the wall from 5 cm farther right for each index; wait for the answer."""
    item = wall_frame(index, 0.05 * index)
    stamp = ns_to_stamp(item.stamp_ns)
    picture = image_message(item.image if image is None else image, "rgb8", stamp, OPTICAL)
    info = camera_info_message(item.camera, stamp, OPTICAL)
    assert item.T_map_camera is not None
    at = pose_message(item.T_map_camera, stamp, "map")
    peer.wait_processed(peer.send(picture, info, None, at))


def surfels(peer: Peer, frames: int) -> str:
    """Return the node's surfels after so many frames."""
    report = peer.report()
    assert report["frames"] == str(frames)
    return report["surfels"]


def test_a_node_says_so_maps_nothing_and_recovers_at_once(ros_domain: int, tmp_path: Path) -> None:
    settings: dict[str, object] = {
        "depth.source": "network",
        "runtime.offline": True,
        "keyframe.parallax": 0.01,
        "keyframe.min_sharpness": 0.0,
        # The wall has little texture.
        "refine.motion.min_information": 0.0,
    }
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (node,):
        wait_for(lambda: "/slam_node" in peer.status, "slam_node")
        ends = (peer.image_out, peer.info_out, peer.pose_out)
        wait_for(lambda: all(end.get_subscription_count() for end in ends), "subscriptions")
        wait_for(lambda: peer.count_publishers("processed"), "publisher of `processed`")
        for index in range(4):
            send(peer, index)
        before = surfels(peer, 4)
        assert int(before) > 0 and peer.problems() == {}
        black = np.zeros((48, 64, 3), np.uint8)
        for index in range(4, 10):
            send(peer, index, black)
        assert surfels(peer, 10) == before
        assert peer.problems() == {"covered_lens": 6}
        level, message = peer.levels["/slam_node"]
        assert level == 1 and message.startswith("covered_lens: the lens seems covered: got ")
        stuck = wall_frame(10, 0.5).image
        for index in range(10, 16):
            send(peer, index, stuck)
        assert surfels(peer, 16) != before
        stuck_at = peer.status["/slam_node"]["keyframes"]
        for index in range(16, 20):
            send(peer, index, stuck)
        surfels(peer, 20)
        assert peer.status["/slam_node"]["keyframes"] == stuck_at
        assert peer.problems().keys() == {"covered_lens", "frozen_picture"}
        send(peer, 20)
        surfels(peer, 21)
        assert int(peer.status["/slam_node"]["keyframes"]) == int(stuck_at) + 1
        assert node.end() == 0
        # At most one line in five seconds.
        assert 1 <= node.output.count("the lens seems covered") <= 2
        assert "uncover or clean the lens" in node.output
