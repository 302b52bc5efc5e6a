"""The half at camera rate, in this process: what must not disturb it, and what reaches it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="rclpy is not installed")

from rclpy.parameter import Parameter

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.nodes.mapper_node import MapperNode
from e2e_slam_ros.nodes.slam_node import SlamNode
from e2e_slam_ros.slam.observer import Observers, RunObserver
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import KeyframeResult
from nodes.ros_peer import REPO, KeyframeSender, Watching, peer_in, wait_for
from nodes.test_resets import spinning

NAMES = ("dataset_player", "slam_node", "keyframe_node", "depth_node", "mapper_node")


class Broken(RunObserver):
    """A viewer whose window was closed."""

    def on_frame(self, stamp_ns: int, T_map_camera: np.ndarray | None) -> None:
        raise RuntimeError("the window is closed")

    def on_keyframe(self, result: KeyframeResult) -> None:
        raise RuntimeError("the window is closed")

    def on_latency(self, stage: str, ms: float) -> None:
        raise RuntimeError("the window is closed")


def test_a_viewer_that_fails_costs_no_frame(ros_domain: int) -> None:
    broken = Broken()
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, observer=broken) as node:
        peer.wait_for_slam("slam_node")
        peer.send_good(1.0)
        peer.send_good(2.0, x=0.3)
        assert (node.camera_input.frames, node.mapped) == (2, 2)
        assert set(node.diagnostics.problems.totals()) == {"viewer"}


def test_the_other_observers_are_told_all_the_same() -> None:
    class Good(Broken):
        def on_latency(self, stage: str, ms: float) -> None:
            told.append(stage)

    told: list[str] = []
    problems: list[str] = []
    watch = Observers(Broken(), None, Good(), on_problem=lambda kind, _: problems.append(kind))
    watch.on_latency("fuse", 1.0)
    assert told == ["fuse"] and problems == ["viewer"]


def test_a_frame_refused_after_the_decision_is_no_reference(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain) as node:
        peer.wait_for_slam("slam_node")
        choose = SlamPipeline.choose_keyframe

        def fails(system: SlamPipeline, frame: Frame) -> KeyframeDecision:
            choose(system, frame)
            raise RuntimeError("after the decision")

        with monkeypatch.context() as patch:
            patch.setattr(SlamPipeline, "choose_keyframe", fails)
            peer.send_good(1.0)
        # Chosen and withdrawn: the next frame is the first.
        peer.send_good(2.0)
        wait_for(lambda: node.mapped == 1, "the next keyframe", 5.0)
        assert node.diagnostics.problems.totals() == {"internal": 1}


def test_the_pose_tolerance_changes_while_running(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain) as node:
        peer.wait_for_slam("slam_node")
        image, info, depth, _ = peer.messages(1.0)
        late = peer.messages(1.06)[3]
        peer.wait_processed(peer.send(image, info, depth, late))
        assert node.diagnostics.problems.totals() == {"no_pose": 1}
        (changed,) = node.set_parameters([Parameter("pose.tolerance_s", value=0.1)])
        assert changed.successful
        image, info, depth, _ = peer.messages(2.0)
        late = peer.messages(2.06)[3]
        peer.wait_processed(peer.send(image, info, depth, late))
        assert node.diagnostics.problems.totals() == {"no_pose": 1} and node.mapped == 1


def test_keyframe_numbers_go_on_after_a_time_jump(ros_domain: int) -> None:
    watch = Watching()
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain, observer=watch) as node:
        peer.wait_for_slam("slam_node")
        for second, x in ((5.0, 0.0), (6.0, 0.3), (1.0, 0.1)):
            peer.send_good(second, x)
        assert node.diagnostics.problems.totals() == {"time_jump": 1}
        keyframes = [result.keyframe for result in watch.results]
        assert [keyframe.index for keyframe in keyframes] == [0, 1, 2]
        assert keyframes[-1].decision.reason == "first"


def test_an_image_that_comes_again_after_an_older_one_is_answered(ros_domain: int) -> None:
    with peer_in(ros_domain) as peer, spinning(SlamNode, ros_domain) as node:
        peer.wait_for_slam("slam_node")
        newest = peer.send_good(2.0)
        peer.wait_processed(peer.send(*peer.messages(1.5)))
        peer.send(*peer.messages(2.0))
        wait_for(lambda: peer.processed.count(newest) == 2, "a second answer", 5.0)
        assert node.camera_input.acknowledger.open_stamps() == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_node_is_a_module_that_runs(name: str, ros_domain: int, tmp_path: Path) -> None:
    wrong = [sys.executable, "-m", f"e2e_slam_ros.nodes.{name}", "--ros-args", "-p", "no.such:=1"]
    done = subprocess.run(wrong, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "'no.such'" in done.stderr and "did you mean" in done.stderr


@pytest.mark.parametrize("doubt", [None, 0.0, 0.75])
def test_the_mapper_trusts_depth_less_where_it_is_uncertain(
    ros_domain: int, monkeypatch: pytest.MonkeyPatch, doubt: float | None
) -> None:
    with peer_in(ros_domain) as peer, spinning(MapperNode, ros_domain) as node:
        confidences: list[Any] = []
        fuse = node.surfels.fuse

        def spy(keyframe: Any, estimate: Any) -> Any:
            confidences.append(estimate.confidence)
            return fuse(keyframe, estimate)

        monkeypatch.setattr(node.surfels, "fuse", spy)
        sender = KeyframeSender(peer)
        sender.wait_for_mapper()
        confidence = torch.full((1, 1, 48, 64), 1.0 - (doubt or 0.0))
        confidence[..., 0, 0] = torch.nan
        sender.send(1, None if doubt is None else confidence)
        wait_for(lambda: confidences, "the fusion", 10.0)
        assert node.worker.drain(10.0) and len(confidences) == 1
        assert node.diagnostics.problems.totals() == {}
        if doubt is None:
            assert confidences[0] is None
        else:
            assert float(confidences[0][0, 0, 0, 0]) == 0.0
            assert float(confidences[0][0, 0, 5, 5]) == 1.0 - doubt
