"""`runtime.viewer: web` of slam_node: a browser's view of the map, as `e2e-slam live` has it."""

from __future__ import annotations

import urllib.request

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("viser", reason="viser is optional and not installed")

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.nodes.mapper_node import MapperNode
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.viewers.web_viewer import WebViewer
from nodes.ros_peer import KeyframeSender, peer_in, wait_for
from nodes.test_resets import spinning

CONFIG = Config().with_values({"runtime.viewer": "web", "runtime.viewer_port": 0})


def test_slam_node_serves_its_map_to_a_browser(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, CONFIG) as node:
        viewer = node._viewer
        assert isinstance(viewer, WebViewer)
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        peer.send_good(2.0, x=0.3)
        viewer.flush()
        with urllib.request.urlopen(viewer.url) as page:
            assert page.status == 200
        shown = viewer._scene
        assert len(shown._clouds) >= 1 and set(shown._images) == {
            "image",
            "depth of the last keyframe",
        }
        assert node.diagnostics.problems.totals() == {}
        url = viewer.url
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=5.0)


def test_mapper_node_serves_the_map_of_the_split_system(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, spinning(MapperNode, ros_domain, CONFIG) as node:
        viewer, sender = node._viewer, KeyframeSender(peer)
        assert isinstance(viewer, WebViewer)
        sender.wait_for_mapper()
        sender.send(0)
        wait_for(lambda: node._fused == 1 and viewer._keyframes == 1, "the keyframe")
        viewer.flush()
        with urllib.request.urlopen(viewer.url) as page:
            assert page.status == 200
        shown = viewer._scene
        assert len(shown._clouds) >= 1 and "depth of the last keyframe" in shown._images
        assert node.diagnostics.problems.totals() == {}


def test_a_port_in_use_keeps_the_node_from_starting(ros_domain: int) -> None:
    first = WebViewer(port=0)
    try:
        port = int(first.url.rpartition(":")[2])
        taken = CONFIG.with_values({"runtime.viewer_port": port})
        with (
            pytest.raises(ConfigError, match="runtime.viewer_port"),
            spinning(SlamNode, ros_domain, taken),
        ):
            pass
    finally:
        first.close()
