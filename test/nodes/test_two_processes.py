"""Player and slam_node in processes of their own, over Fast DDS, on real frames."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.mapping.ply import read_ply
from e2e_slam_ros.nodes.cloud_messages import cloud_arrays
from e2e_slam_ros.nodes.pose_messages import transform_to_matrix
from nodes.ros_peer import Peer, peer_in, running, start, wait_for

FRAMES = 12
OFFLINE = {
    "runtime.offline": True,
    "runtime.silence_s": 0.0,
    "camera.working_width": 160,
    "publish.period_s": 0.1,
}


def player(data: Path) -> tuple[str, dict[str, object]]:
    settings = {"data": data, "frames": f"0:{FRAMES}", "lockstep": True, "progress": False}
    return "dataset_player", settings


def test_lock_step_maps_real_frames_and_loses_none(
    ros_domain: int, shared_data: Path, tmp_path: Path
) -> None:
    data = shared_data / "hololens" / "rooms_000"
    slam = ("slam_node", OFFLINE | {"runtime.output": tmp_path / "maps"})
    with peer_in(ros_domain) as peer, running(tmp_path, [slam]) as ends:
        peer.wait_for_slam("slam_node")
        ends.append(start(player(data), tmp_path))
        assert ends[1].wait() == 0, ends[1].output
        assert f"played {FRAMES} frames" in ends[1].output
        wait_for(lambda: peer.maps, "the map")
        assert peer.report()["frames"] == str(FRAMES)
        _check_run(peer, TumReader(data))
        _check_services(peer, tmp_path / "maps")
        assert ends[0].end(signal.SIGTERM) == 0, ends[0].output
        assert "Traceback" not in ends[0].output + ends[1].output


def _check_run(peer: Peer, reader: TumReader) -> None:
    """TF for every frame with its pose, nothing dropped or refused, a coloured map."""
    for index in range(FRAMES):
        frame = reader[index]
        sent = peer.transforms[frame.stamp_ns]
        assert (sent.header.frame_id, sent.child_frame_id) == ("map", "camera_optical_frame")
        np.testing.assert_allclose(
            transform_to_matrix(sent.transform), frame.T_map_camera, atol=1e-5
        )
        assert frame.stamp_ns in peer.processed
    status = peer.status["/slam_node"]
    assert peer.problems() == {} and status["dropped"] == "0"
    keyframes = int(status["keyframes"])
    assert 2 <= keyframes == len(peer.keyframes) == len(peer.depths)
    assert peer.keyframes[0].encoding == "rgb8" and peer.keyframes[0].width == 160
    assert peer.depths[0].encoding == "32FC1" and peer.depths[0].height == 107
    wait_for(lambda: peer.maps[-1].width == int(status["surfels"]), "the whole map")
    positions, colors = cloud_arrays(peer.maps[-1])
    assert peer.maps[-1].header.frame_id == "map" and len(positions) > 5000
    assert np.isfinite(positions).all() and colors.std() > 10


def _check_services(peer: Peer, folder: Path) -> None:
    surfels = int(peer.report()["surfels"])
    saved = peer.call("/slam_node/save_map")
    assert saved.success and Path(saved.message).parent == folder
    assert len(read_ply(saved.message)) == surfels
    assert peer.call("/slam_node/pause").success
    ignored = peer.send(*peer.messages(5000.0))
    assert peer.call("/slam_node/resume").success
    peer.send_good(5001.0)
    assert ignored not in peer.processed
    answer = peer.call("/slam_node/reset")
    assert answer.success and "surfels" in answer.message
    wait_for(lambda: peer.maps[-1].width == 0, "the empty map")
    empty = peer.call("/slam_node/save_map")
    assert not empty.success and "no surfels" in empty.message
    peer.send_good(5002.0)
    wait_for(lambda: peer.maps[-1].width > 0, "a new map")
    loaded = peer.call("/slam_node/load_map")
    assert loaded.success and loaded.message == str(folder / "map.safetensors")
    wait_for(lambda: peer.maps[-1].width == surfels, "the loaded map")
    Path(loaded.message).write_bytes(b"not a map")
    refused = peer.call("/slam_node/load_map")
    assert not refused.success and "expected" in refused.message
    peer.send_good(5003.0)
    wait_for(lambda: peer.maps[-1].width >= surfels, "the map that was kept")


def test_three_nodes_make_the_map_that_one_makes(
    ros_domain: int, shared_data: Path, tmp_path: Path
) -> None:
    data = shared_data / "hololens" / "rooms_000"
    names = ("keyframe_node", "depth_node", "mapper_node")
    nodes = [(name, OFFLINE) for name in names]
    with peer_in(ros_domain) as peer, running(tmp_path, nodes) as ends:
        peer.wait_for_slam(*names)
        ends.append(start(player(data), tmp_path))
        assert ends[3].wait() == 0, ends[3].output
        wait_for(lambda: peer.maps, "the map")
        wait_for(lambda: _frames(peer) == FRAMES, "the report")
        assert len(peer.transforms) == FRAMES
        for name in names:
            assert peer.problems(name) == {}, name
        sent = int(peer.report("keyframe_node")["keyframes"])
        wait_for(
            lambda: peer.status["/mapper_node"]["keyframes"] == str(sent), "every keyframe fused"
        )
        assert sent >= 2
        saved = peer.call("/mapper_node/save_map")
        assert saved.success
        cloud = read_ply(saved.message)
        assert len(cloud) > 5000 and cloud.colors.std() > 10
        for end in ends[:3]:
            assert end.end() == 0, end.output
            assert "Traceback" not in end.output


def _frames(peer: Peer) -> int:
    return int(peer.status.get("/keyframe_node", {}).get("frames", 0))


@pytest.mark.parametrize(
    ("node", "settings", "said"),
    [
        ("slam_node", {"map.distance": 0.1}, "map.distance_m"),
        ("slam_node", {"runtime.device": "cuda:77"}, "cuda:77"),
        ("dataset_player", {}, "parameter data"),
        ("dataset_player", {"data": "/nowhere"}, "/nowhere"),
        ("dataset_player", {"data": "/nowhere", "rate": -1.0}, "rate"),
    ],
)
def test_a_refusal_at_start_is_one_line_and_exit_code_1(
    ros_domain: int, tmp_path: Path, node: str, settings: dict[str, object], said: str
) -> None:
    with running(tmp_path, [(node, settings)]) as (end,):
        assert end.wait() == 1
        lines = [line for line in end.output.splitlines() if line.startswith("e2e_slam_ros: ")]
        assert len(lines) == 1 and said in lines[0], end.output
        assert "Traceback" not in end.output


def test_a_player_that_nobody_answers_ends_with_the_reason(
    ros_domain: int, shared_data: Path, tmp_path: Path
) -> None:
    name, settings = player(shared_data / "hololens" / "rooms_000")
    with running(tmp_path, [(name, settings | {"wait_s": 0.5})]) as (end,):
        assert end.wait() == 1
        assert "nobody to answer" in end.output
