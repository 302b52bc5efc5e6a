"""~/reset and ~/load_map while the map is held: images go on, nothing old comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.node import Node
from std_srvs.srv import Trigger

from e2e_slam_ros.config import Config
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.nodes.keyframe_node import KeyframeNode
from e2e_slam_ros.nodes.map_output import MapOutput
from e2e_slam_ros.nodes.mapper_node import MapperNode
from e2e_slam_ros.nodes.parameters import overrides
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.nodes.spinning import SpinThread
from e2e_slam_ros.slam import loaded_map
from e2e_slam_ros.slam.preprocess import Preprocessor
from nodes.ros_peer import KeyframeSender, Peer, Watching, peer_in, status, wait_for

CONFIG = Config().with_values(
    {"runtime.offline": True, "keyframe.parallax": 0.0, "keyframe.min_sharpness": 0.0}
)


@contextmanager
def spinning(
    kind: type[Node], domain: int, config: Config = CONFIG, **more: object
) -> Iterator[Any]:
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


@contextmanager
def held(surfels: SurfelMap, output: MapOutput, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold the map: its publisher takes long to copy it."""
    holding, go_on = threading.Event(), threading.Event()
    snapshot = surfels.snapshot

    def slow(*arguments: Any) -> SurfelCloud:
        holding.set()
        assert go_on.wait(20.0)
        return snapshot(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(surfels, "snapshot", slow)
        output.changed(0)
        try:
            assert holding.wait(10.0)
            yield
        finally:
            go_on.set()


def begin(peer: Peer, service: str) -> Any:
    client = peer.create_client(Trigger, service)
    assert client.wait_for_service(20.0)
    return client.call_async(Trigger.Request())


def test_resetting_waits_for_the_map_and_images_do_not(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watching()
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, observer=watch) as node:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        assert len(node.pipeline.surfels) > 0
        with held(node.pipeline.surfels, node.map_output, monkeypatch):
            answer = begin(peer, "slam_node/reset")
            wait_for(lambda: node.camera_input.epoch == 1, "the reset", 5.0)
            stamp_ns = peer.send(*peer.messages(2.0, x=0.2))
            wait_for(lambda: stamp_ns in peer.transforms, "TF meanwhile", 5.0)
            assert not answer.done()
        wait_for(answer.done, "the answer", 5.0)
        peer.wait_processed(stamp_ns)
        assert answer.result().success
        # What came after the reset was mapped after it, whoever got the map first.
        assert node.mapped == 1 and node.pipeline.surfels.keyframes == 1
        node.reset()
        wait_for(lambda: peer.status["/slam_node"]["keyframes"] == "0", "the report", 5.0)
        assert peer.status["/slam_node"]["scale_source"] == "none yet"
        assert len(node.pipeline.surfels) == 0
        peer.send_good(3.0)
        assert watch.results[-1].keyframe.index == 0 and node.mapped == 1


def test_a_keyframe_of_before_a_reset_is_not_mapped(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain) as node:
        peer.wait_for_slam("slam_node")
        with held(node.pipeline.surfels, node.map_output, monkeypatch):
            old = peer.send(*peer.messages(1.0))
            wait_for(lambda: node.worker.pending == 1, "a keyframe at work", 5.0)
            answer = begin(peer, "slam_node/reset")
            wait_for(lambda: node.camera_input.epoch == 1, "the reset", 5.0)
        wait_for(answer.done, "the answer", 5.0)
        peer.wait_processed(old)
        assert node.worker.drain(5.0)
        assert (node.mapped, len(node.pipeline.surfels)) == (0, 0)


def test_a_map_is_loaded_while_images_go_on(
    ros_domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.with_values({"runtime.output": str(tmp_path), "runtime.offline": False})
    reading, go_on = threading.Event(), threading.Event()
    read = loaded_map.read_checkpoint

    def slow(*arguments: Any) -> Any:
        reading.set()
        assert go_on.wait(20.0)
        return read(*arguments)

    monkeypatch.setattr(loaded_map, "read_checkpoint", slow)
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, config) as node:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        assert peer.call("/slam_node/save_map").success
        surfels = len(node.pipeline.surfels)
        answer = begin(peer, "slam_node/load_map")
        try:
            assert reading.wait(10.0)
            # Mapped, not only tracked: the file needs no map until it has been checked.
            peer.send_good(2.0, x=0.3)
            assert node.mapped == 2 and len(node.pipeline.surfels) > surfels
        finally:
            go_on.set()
        wait_for(answer.done, "the answer", 10.0)
        assert answer.result().success and len(node.pipeline.surfels) == surfels


def test_the_mapper_answers_while_its_map_is_held(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer_in(ros_domain) as peer, spinning(MapperNode, ros_domain) as node:
        sender = KeyframeSender(peer)
        sender.wait_for_mapper()
        sender.send(1)
        wait_for(lambda: status(node)["keyframes"] == "1", "a keyframe", 10.0)
        with held(node.surfels, node.map_output, monkeypatch):
            answer = begin(peer, "mapper_node/reset")
            # The first report may be older than the request.
            for _ in range(2):
                peer.status.clear()
                wait_for(lambda: "/mapper_node" in peer.status, "a report meanwhile", 5.0)
            assert not answer.done()
        wait_for(answer.done, "the answer", 5.0)
        assert answer.result().success and status(node)["keyframes"] == "0"


def test_keyframe_node_sends_nothing_of_before_a_reset(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer_in(ros_domain) as peer, spinning(KeyframeNode, ros_domain) as node:
        peer.wait_for_slam("keyframe_node")
        busy, go_on = threading.Event(), threading.Event()
        prepare = Preprocessor.keyframe

        def slow(*arguments: Any) -> Any:
            busy.set()
            assert go_on.wait(20.0)
            return prepare(*arguments)

        monkeypatch.setattr(Preprocessor, "keyframe", slow)
        try:
            peer.send(*peer.messages(1.0))
            assert busy.wait(10.0)
            peer.send(*peer.messages(1.5, x=0.3))
            wait_for(lambda: node.worker.pending == 2, "a second keyframe in the queue", 5.0)
            assert peer.call("/keyframe_node/reset").success
        finally:
            go_on.set()
        assert node.worker.drain(10.0)
        assert status(node)["keyframes"] == "0" and peer.keyframes == []
        peer.send(*peer.messages(2.0))
        wait_for(lambda: peer.keyframes, "the next keyframe", 5.0)
        assert peer.keyframes[0].header.stamp.sec == 2 and len(peer.keyframes) == 1
