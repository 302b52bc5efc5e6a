"""Cameras and depths that would put NaN, or points at 100 km, into the map."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

import numpy as np
import torch
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, Image

from e2e_slam_ros.config import Config
from e2e_slam_ros.mapping.map_checkpoint import read_checkpoint
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.keyframe_output import rgb8
from e2e_slam_ros.nodes.pose_messages import pose_message
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from nodes.ros_peer import OPTICAL, KeyframeSender, Peer, peer_in, running, wait_for
from synthetic import CAMERA, keyframe, pose

SETTINGS: dict[str, object] = {
    "runtime.silence_s": 0.0,
    "keyframe.parallax": 0.0,
    "keyframe.min_sharpness": 0.0,
}
FOCALS = (1e-4, 1e-10, 1e-35, 0.5, 1e7, 1e308)


def readable(path: str, keyframes: int) -> None:
    found = read_checkpoint(Path(path).with_suffix(".safetensors"), 10**9)
    assert found.fusions == keyframes and float(found.surfels.positions.abs().max()) < 20.0


def test_slam_node_refuses_cameras_that_no_lens_has(ros_domain: int, tmp_path: Path) -> None:
    settings = SETTINGS | {"runtime.output": tmp_path / "maps"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("slam_node", settings)]) as (slam,):
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        second = 2.0
        for focal in FOCALS:
            image, info, depth, at = peer.messages(second)
            info.k[0] = info.k[4] = focal
            peer.wait_processed(peer.send(image, info, depth, at))
            second += 0.5
        for centre in (-1e6, 1e4, 1e300):
            image, info, depth, at = peer.messages(second)
            info.k[2] = centre
            peer.wait_processed(peer.send(image, info, depth, at))
            second += 0.5
        expected = {"camera_info": len(FOCALS) + 3}
        wait_for(lambda: peer.problems() == expected, lambda: f"{peer.problems()}", 5.0)
        peer.send_good(second + 1.0, x=0.3)
        saved = peer.call("/slam_node/save_map")
        assert saved.success
        readable(saved.message, 2)
        assert slam.end() == 0, slam.output


class _Raw:
    """Sends keyframes with messages of any content."""

    def __init__(self, peer: Peer) -> None:
        make = peer.create_publisher
        self._image = make(Image, "keyframe/image", reliable())
        self._info = make(CameraInfo, "keyframe/camera_info", reliable())
        self._pose = make(PoseStamped, "keyframe/pose", reliable())
        self._depth = make(Image, "keyframe/depth", reliable())

    def send(self, index: int, focal: float | None = None, depth_m: float | None = None) -> None:
        seen = keyframe(pose(), index)
        stamp = ns_to_stamp(seen.stamp_ns)
        info = camera_info_message(CAMERA, stamp, OPTICAL)
        if focal is not None:
            info.k[0] = info.k[4] = focal
        assert seen.sensor_depth is not None
        depth = seen.sensor_depth[0, 0].numpy().copy()
        if depth_m is not None:
            depth[:] = np.float32(depth_m)
        self._pose.publish(pose_message(seen.T_map_camera.numpy(), stamp, "map"))
        self._info.publish(info)
        self._image.publish(image_message(rgb8(seen.image), "rgb8", stamp, OPTICAL))
        self._depth.publish(image_message(depth, "32FC1", stamp, OPTICAL))


def test_mapper_node_gates_depth_and_refuses_cameras(ros_domain: int, tmp_path: Path) -> None:
    settings = {"runtime.output": tmp_path / "maps"}
    with peer_in(ros_domain) as peer, running(tmp_path, [("mapper_node", settings)]) as (end,):
        KeyframeSender(peer).wait_for_mapper()
        raw, index = _Raw(peer), 1
        wait_for(lambda: peer.count_subscribers("keyframe/depth"), "the mapper")
        raw.send(index)
        counted = lambda: peer.status["/mapper_node"].get("keyframes")  # noqa: E731
        wait_for(lambda: counted() == "1", "a keyframe", 20.0)
        for depth_m in (1e30, 3e38, Config().depth.max_m * 2, 0.0, -1.0, float("nan")):
            index += 1
            raw.send(index, depth_m=depth_m)
            expected = {"depth": index - 1}
            wait_for(
                lambda: peer.problems("mapper_node") == expected,  # noqa: B023
                lambda: f"{peer.problems('mapper_node')}",
                10.0,
            )
        for focal in FOCALS:
            index += 1
            raw.send(index, focal=focal)
        expected["camera_info"] = len(FOCALS)
        wait_for(
            lambda: sum(peer.problems("mapper_node").values()) >= index - 1 - _dropped(peer),
            lambda: f"{peer.problems('mapper_node')}",
            10.0,
        )
        saved = peer.call("/mapper_node/save_map")
        assert saved.success
        readable(saved.message, 1)
        assert end.end() == 0, end.output


def _dropped(peer: Peer) -> int:
    return int(peer.status["/mapper_node"]["dropped"])


def test_surfels_that_no_map_has_are_left_out_of_the_files(
    ros_domain: int, tmp_path: Path
) -> None:
    import rclpy

    from e2e_slam_ros.nodes.mapper_node import MapperNode
    from e2e_slam_ros.nodes.parameters import overrides

    config = Config().with_values({"runtime.output": str(tmp_path)})
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = MapperNode(context, overrides(config))
    try:
        seen = keyframe(pose(), 0)
        from synthetic import estimate

        assert seen.sensor_depth is not None
        node.surfels.fuse(seen, estimate(seen.sensor_depth))
        surfels = node.surfels.surfels
        surfels.positions[:3] = torch.nan
        surfels.radius[5] = -1.0
        node.surfels.restore(surfels, 1)
        success, path = node.save_map()
        assert success and node.diagnostics.problems.totals() == {"map": 1}
        kept = read_checkpoint(Path(path).with_suffix(".safetensors"), 10**9)
        assert len(kept.surfels) == len(surfels) - 4
    finally:
        node.close(save=False)
        node.destroy_node()
        context.try_shutdown()
