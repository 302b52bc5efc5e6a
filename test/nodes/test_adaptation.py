"""Refinement inside running nodes: parameters, status, reset, and weights saved with the map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.mapping.map_checkpoint import read_checkpoint, save_map
from e2e_slam_ros.nodes.cloud_messages import cloud_message
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.depth_node import DepthNode
from e2e_slam_ros.nodes.parameters import overrides
from e2e_slam_ros.nodes.pose_messages import pose_message
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.nodes.spinning import SpinThread
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from nodes.ros_peer import OPTICAL, Peer, Watching, peer_in, status, wait_for
from refine.rooms import network_config, use_tiny_network, wall_frame
from refine.scene import CAMERA, TinyNetwork

CONFIG = network_config(
    **{
        "runtime.offline": True,
        # On a busy machine a refinement takes longer than the default.
        "runtime.silence_s": 0.0,
        "keyframe.parallax": 0.0,
        "refine.strategy": "network",
        "refine.scale.source": "fixed",
        "refine.steps": 4,
        "refine.weights.chamfer": 5.0,
    }
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> TinyNetwork:
    """The network that nodes of this process load."""
    return use_tiny_network(monkeypatch)


@contextmanager
def spinning(kind: type[Node], domain: int, config: Config, **more: object) -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=domain)
    node = kind(context, overrides(config), **more)
    try:
        with SpinThread(node):
            yield node
    finally:
        node.close()
        node.destroy_node()
        context.try_shutdown()


def messages(index: int) -> tuple[Image, CameraInfo, PoseStamped]:
    """A camera frame of the wall, 10 cm to the right of the one before."""
    item = wall_frame(index, 0.1 * index)
    stamp = ns_to_stamp(item.stamp_ns)
    assert item.T_map_camera is not None
    return (
        image_message(item.image, "rgb8", stamp, OPTICAL),
        camera_info_message(CAMERA, stamp, OPTICAL),
        pose_message(item.T_map_camera, stamp, "map"),
    )


def send(peer: Peer, *indices: int) -> None:
    for index in indices:
        image, info, pose = messages(index)
        peer.wait_processed(peer.send(image, info, None, pose))


def wait_for_slam(peer: Peer) -> None:
    wait_for(lambda: "/slam_node" in peer.status, "slam_node")
    ends = (peer.image_out, peer.info_out, peer.pose_out)
    wait_for(lambda: all(end.get_subscription_count() for end in ends), "subscriptions")
    wait_for(lambda: peer.count_publishers("processed"), "publisher of `processed`")


def bias(network: TinyNetwork) -> float:
    return float(network.disparity.bias.detach())  # type: ignore[operator,union-attr]


def test_refinement_is_seen_steered_and_reset_while_it_runs(
    ros_domain: int, tiny: TinyNetwork
) -> None:
    start, watch = bias(tiny), Watching()
    run = spinning(SlamNode, ros_domain, CONFIG, observer=watch)
    with peer_in(ros_domain) as peer, run as node:
        wait_for_slam(peer)
        send(peer, 0, 1, 2)
        shown = status(node)
        assert shown["refine.strategy"] == "network" and shown["refine.refined"] == "2"
        assert shown["refine.refused.no sources"] == "1" and shown["refine.rolled_back"] == "0"
        assert float(shown["refine.loss"]) < float(shown["refine.loss_first"])
        assert "latency_ms.refine.p50" in shown
        assert peer.problems() == {} and bias(tiny) != start
        (good,) = node.set_parameters([Parameter("refine.steps", value=2)])
        (bad,) = node.set_parameters([Parameter("refine.steps", value=501)])
        (fixed,) = node.set_parameters([Parameter("refine.wait_keyframes", value=1)])
        assert good.successful and not bad.successful and not fixed.successful
        send(peer, 3)
        outcome = watch.results[-1].outcome
        assert outcome is not None and outcome.steps_done == 2
        answer = peer.call("/slam_node/reset_adaptation")
        assert answer.success and bias(tiny) == start
        assert "refine.refined" not in status(node)
        (off,) = node.set_parameters([Parameter("refine.strategy", value="none")])
        assert off.successful
        send(peer, 4)
        assert watch.results[-1].outcome is None and bias(tiny) == start


def test_a_strategy_the_depth_source_cannot_follow_is_refused(
    ros_domain: int, tiny: TinyNetwork
) -> None:
    sensor = CONFIG.with_values({"depth.source": "sensor"})
    with pytest.raises(ConfigError, match="network"), spinning(SlamNode, ros_domain, sensor):
        pass
    plain = sensor.with_values({"refine.strategy": "none"})
    with spinning(SlamNode, ros_domain, plain) as node:
        (refused,) = node.set_parameters([Parameter("refine.strategy", value="network")])
        assert not refused.successful and "depth.source" in refused.reason
        assert node.config.refine.strategy == "none"


def test_what_was_learned_is_saved_and_loaded_with_the_map(
    ros_domain: int, tiny: TinyNetwork, tmp_path: Path
) -> None:
    config = CONFIG.with_values({"runtime.output": str(tmp_path)})
    start = bias(tiny)
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        wait_for_slam(peer)
        send(peer, 0, 1, 2)
        learned, surfels = bias(tiny), len(node.pipeline.surfels)
        assert peer.call("/slam_node/save_map").success
        file = tmp_path / "map.safetensors"
        assert "weight.disparity.bias" in read_checkpoint(file, 10**6).learned
        assert len(read_checkpoint(file, 10**6).surfels) == surfels
        assert peer.call("/slam_node/reset").success
        assert bias(tiny) == start
        answer = peer.call("/slam_node/load_map")
        assert answer.success and answer.message == str(file)
        assert bias(tiny) == learned and len(node.pipeline.surfels) == surfels
        _spoil(file)
        node.pipeline.surfels.clear()
        refused = peer.call("/slam_node/load_map")
        assert not refused.success and "adapted weights" in refused.message
        assert bias(tiny) == learned and len(node.pipeline.surfels) == 0


def _spoil(file: Path) -> None:
    """Give the file the weights of another network."""
    saved = read_checkpoint(file, 10**6)
    learned = saved.learned | {"weight.disparity.bias": torch.zeros(9)}
    save_map(file, saved.surfels, saved.fusions, learned)


def test_measured_depth_gives_scale_where_it_comes(ros_domain: int, tiny: TinyNetwork) -> None:
    config = CONFIG.with_values(
        {
            "refine.strategy": "none",
            "refine.scale.source": "depth_topic",
            "depth.wait_s": 0.2,
        }
    )
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        wait_for_slam(peer)
        wait_for(peer.depth_out.get_subscription_count, "a subscription to depth")
        image, info, pose = messages(0)
        measured = np.full((48, 64), 2.0, dtype=np.float32)
        depth = image_message(measured, "32FC1", image.header.stamp, OPTICAL)
        peer.wait_processed(peer.send(image, info, depth, pose))
        assert status(node)["scale_source"] == "depth topic"
        assert float(status(node)["scale"]) == pytest.approx(2.0 / 2.3, rel=0.02)
        send(peer, 1)
        assert status(node)["scale_source"] == "depth topic (of earlier keyframes)"
        assert node.diagnostics.problems.totals() == {"refine": 1} and node.mapped == 2


def test_depth_node_refines_against_the_active_map(ros_domain: int, tiny: TinyNetwork) -> None:
    with peer_in(ros_domain) as peer, spinning(DepthNode, ros_domain, CONFIG) as node:
        outs = [
            peer.create_publisher(kind, f"keyframe/{name}", reliable(20))
            for kind, name in (
                (Image, "image"),
                (CameraInfo, "camera_info"),
                (PoseStamped, "pose"),
            )
        ]
        active = peer.create_publisher(PointCloud2, "map/active", reliable(1))
        wait_for(
            lambda: all(end.get_subscription_count() for end in (*outs, active)), "subscriptions"
        )
        wait_for(lambda: peer.count_publishers("keyframe/depth"), "publisher of depth")
        x, y = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-0.8, 0.8, 40))
        points = np.stack([x.ravel(), y.ravel(), np.full(1600, 2.0)], 1).astype(np.float32)
        colors = np.zeros((1600, 3), np.uint8)
        active.publish(cloud_message(points, colors, ns_to_stamp(0), "map"))
        wait_for(lambda: status(node)["active_surfels"] == "1600", "the active map")
        for index in range(3):
            for out, msg in zip(outs, messages(index), strict=True):
                out.publish(msg)
            wait_for(lambda: len(peer.depths) == index + 1, "keyframe/depth")  # noqa: B023
        shown = status(node)
        assert shown["refine.refined"] == "2" and shown["active_surfels"] == "1600"
        learned = bias(tiny)
        assert learned != (1.0 / 2.3) and peer.problems("depth_node") == {}
        assert peer.call("/depth_node/reset_adaptation").success
        assert bias(tiny) != learned
        (off,) = node.set_parameters([Parameter("refine.strategy", value="none")])
        assert off.successful
