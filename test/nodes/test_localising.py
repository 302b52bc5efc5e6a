"""slam_node in a process of its own: load a map, find the camera in it, take /initialpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="rclpy is not installed")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

from geometry_msgs.msg import PoseWithCovarianceStamped

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.mapping.map_checkpoint import read_checkpoint, save_map
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.pose_messages import matrix_to_pose, transform_to_matrix
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.pose_tracking import T_MAP_FIRST
from nodes.ros_peer import OPTICAL, NodeProcess, Peer, peer_in, running, wait_for

MAPPED, FRAMES = 16, 20
SETTINGS: dict[str, object] = {
    "pose.source": "visual",
    "runtime.offline": True,
    "runtime.silence_s": 0.0,
    "camera.working_width": 160,
}


@pytest.fixture(scope="module")
def frames(shared_data: Path) -> list[Frame]:
    reader = open_reader(shared_data / "hololens" / "rooms_000")
    return [small(reader[i]) for i in range(FRAMES)]


def small(frame: Frame) -> Frame:
    """A frame of 360x240 pixels: larger ones need more shared memory than DDS has by default."""
    assert frame.depth is not None
    size = (360, 240)
    return replace(
        frame,
        image=cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA),
        depth=cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST),
        camera=frame.camera.resized(*size),
    )


@pytest.fixture(scope="module")
def made(
    frames: list[Frame], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[np.ndarray]]:
    """The saved map of the first frames, and the path of all in the map's frame."""
    file = tmp_path_factory.mktemp("made") / "map.safetensors"
    system = SlamPipeline(Config().with_values(SETTINGS), torch.device("cpu"))
    assert system.tracking is not None
    result = []
    for one in frames:
        if len(result) == MAPPED:
            surfels = system.surfels
            tracking = system.tracking.state_dict()
            save_map(file, surfels.surfels, surfels.keyframes, None, tracking)
        tracked = system.tracking.track(replace(one, T_map_camera=None))
        assert tracked.T_map_camera is not None
        result.append(tracked.T_map_camera)
        located = replace(one, T_map_camera=tracked.T_map_camera)
        decision = system.choose_keyframe(located, tracked.keyframe is not None)
        if decision.is_keyframe:
            system.map_keyframe(located, decision)
    return file, result


class Sender:
    """Sends the frames with stamps of their own, which only go up."""

    def __init__(self, peer: Peer, frames: list[Frame]) -> None:
        self._peer, self._frames, self._second = peer, frames, 100.0
        self._guess = peer.create_publisher(PoseWithCovarianceStamped, "initialpose", reliable())

    def __call__(self, index: int) -> np.ndarray | None:
        """Send a frame; return the pose on TF, or None."""
        self._second += 0.1
        one, stamp = self._frames[index], ns_to_stamp(round(self._second * 1e9))
        stamp_ns = self._peer.send(
            image_message(one.image, "rgb8", stamp, OPTICAL),
            camera_info_message(one.camera, stamp, OPTICAL),
            image_message(one.depth, "32FC1", stamp, OPTICAL),
            None,
        )
        self._peer.wait_processed(stamp_ns)
        sent = self._peer.transforms.get(stamp_ns)
        return None if sent is None else transform_to_matrix(sent.transform)

    def guess(self, T_map_camera: np.ndarray, frame: str = "map") -> None:
        """Publish where the camera may be, as RViz does: on the ground, x where it looks."""
        msg = PoseWithCovarianceStamped()
        msg.header.frame_id = frame
        msg.pose.pose = matrix_to_pose(T_map_camera @ np.linalg.inv(T_MAP_FIRST))
        msg.pose.covariance[0] = msg.pose.covariance[7] = 0.25
        msg.pose.covariance[35] = 0.07
        wait_for(self._guess.get_subscription_count, "a subscription to initialpose")
        self._guess.publish(msg)


def test_a_map_is_loaded_and_the_camera_found_in_it(
    ros_domain: int, frames: list[Frame], made: tuple[Path, list[np.ndarray]], tmp_path: Path
) -> None:
    file, poses = made
    (tmp_path / "map.safetensors").write_bytes(file.read_bytes())
    values = SETTINGS | {"tracking.localize_only": True, "runtime.output": tmp_path}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", values)]) as ends:
        wait_for(lambda: "/slam_node" in peer.status, "slam_node")
        outs = (peer.image_out, peer.info_out, peer.depth_out)
        wait_for(lambda: all(end.get_subscription_count() for end in outs), "subscriptions")
        wait_for(lambda: peer.count_publishers("processed"), "publisher of `processed`")
        send = Sender(peer, frames)
        assert send(MAPPED) is None, "there is no map yet"
        send.guess(poses[MAPPED])
        wait_for(lambda: peer.problems().get("initial_pose") == 1, "the refusal of a guess")
        answer = peer.call("/slam_node/load_map")
        assert answer.success, answer.message
        _check_path(send, poses)
        _check_guesses(peer, send, poses, ends[0])
        _check_unchanged(peer, file, tmp_path)
        assert "Traceback" not in ends[0].output


def _check_path(send: Sender, poses: list[np.ndarray]) -> None:
    """The frames after the map's get poses in the map's frame."""
    for index in range(MAPPED, FRAMES):
        found = send(index)
        assert found is not None
        assert np.linalg.norm(found[:3, 3] - poses[index][:3, 3]) < 0.05


def _check_guesses(peer: Peer, send: Sender, poses: list[np.ndarray], slam: NodeProcess) -> None:
    """A wrong guess is said to be wrong, and the camera found all the same; a right one helps."""
    far = poses[4].copy()
    far[:3, 3] += 50.0, 0.0, 0.0
    send.guess(far)
    wait_for(lambda: slam.output.count("looking within") == 1, "the guess to arrive")
    answers = [send(5) is not None for _ in range(11)]
    assert answers == [False] * 10 + [True]
    wait_for(lambda: peer.problems().get("initial_pose") == 2, "the report of a wrong guess")
    send.guess(poses[4], "odom")
    wait_for(lambda: peer.problems().get("initial_pose") == 3, "the refusal of a frame")
    send.guess(poses[8])
    wait_for(lambda: slam.output.count("looking within") == 2, "the guess to arrive")
    found = send(8)
    assert found is not None and np.linalg.norm(found[:3, 3] - poses[8][:3, 3]) < 0.05


def _check_unchanged(peer: Peer, made: Path, folder: Path) -> None:
    """Nothing was mapped, and what is saved is what was loaded."""
    before = read_checkpoint(made, 10**6)
    wait_for(lambda: peer.status["/slam_node"].get("tracking") != "lost", "the report")
    status = peer.status["/slam_node"]
    assert status["surfels"] == str(len(before.surfels)) and status["keyframes"] == "0"
    assert status["localize_only"] == "True"
    assert peer.call("/slam_node/save_map").success
    after = read_checkpoint(folder / "map.safetensors", 10**6)
    assert before.tracking.keys() == after.tracking.keys()
    for name, value in before.tracking.items():
        np.testing.assert_array_equal(after.tracking[name].numpy(), value.numpy(), name)


def test_a_map_without_keyframes_is_loaded_but_the_camera_cannot_be_found(
    ros_domain: int, frames: list[Frame], made: tuple[Path, list[np.ndarray]], tmp_path: Path
) -> None:
    saved = read_checkpoint(made[0], 10**6)
    save_map(tmp_path / "map.safetensors", saved.surfels, saved.fusions)
    values = SETTINGS | {"runtime.start_map": tmp_path / "map.safetensors"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", values)]):
        wait_for(lambda: "/slam_node" in peer.status, "slam_node")
        outs = (peer.image_out, peer.info_out, peer.depth_out)
        wait_for(lambda: all(end.get_subscription_count() for end in outs), "subscriptions")
        wait_for(lambda: peer.count_publishers("processed"), "publisher of `processed`")
        send = Sender(peer, frames)
        assert send(0) is None
        wait_for(lambda: peer.problems().get("lost") == 1, "the report")
        assert peer.problems()["load"] == 1
        assert peer.status["/slam_node"]["surfels"] == str(len(saved.surfels))
        assert peer.call("/slam_node/reset").success
        assert send(0) is not None
