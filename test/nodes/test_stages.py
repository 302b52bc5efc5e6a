"""The split system with a stage that is missing, comes back, or refuses."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.nodes import keyframe_delivery
from e2e_slam_ros.nodes.keyframe_delivery import KeyframeDelivery
from e2e_slam_ros.nodes.stamps import stamp_to_ns
from nodes.ros_peer import Peer, peer_in, running, start, wait_for

NAMES = ("keyframe_node", "depth_node", "mapper_node")
# Every frame a keyframe.
SETTINGS = {"runtime.silence_s": 0.0, "keyframe.parallax": 0.0, "keyframe.min_sharpness": 0.0}
LEASE_S = 40.0


def fact(peer: Peer, node: str, name: str) -> int:
    return int(peer.status.get(f"/{node}", {}).get(name, -1))


def seen(peer: Peer) -> set[int]:
    return {stamp_to_ns(image.header.stamp) for image in peer.keyframes}


def wait_for_stages(peer: Peer) -> None:
    peer.wait_for_slam(*NAMES)
    topics = {"keyframe/image": 3, "keyframe/sensor_depth": 1, "keyframe/depth": 3}
    wait_for(
        lambda: all(peer.count_subscribers(topic) >= n for topic, n in topics.items()),
        "the nodes to find each other",
    )


def test_keyframes_of_a_missing_stage_are_kept_and_delivered(
    ros_domain: int, tmp_path: Path
) -> None:
    nodes = [(name, SETTINGS) for name in NAMES]
    with peer_in(ros_domain) as peer, running(tmp_path, nodes) as ends:
        wait_for_stages(peer)
        peer.send_good(1.0)
        wait_for(lambda: fact(peer, "keyframe_node", "keyframes") == 1, "the report")
        wait_for(lambda: fact(peer, "keyframe_node", "unanswered") == 0, "the answer")
        ends[2].end(signal.SIGKILL)
        for index in range(4):
            peer.send(*peer.messages(2.0 + index, x=0.2 * index))
            wait_for(
                lambda index=index: fact(peer, "depth_node", "keyframes") == index + 2,
                "the keyframe that nobody maps",
            )
        for node in ("/keyframe_node", "/depth_node"):
            wait_for(lambda node=node: peer.levels[node][0] == 2, f"ERROR of {node}", LEASE_S)
            assert "mapper_node is missing" in peer.levels[node][1]
        peer.status.pop("/mapper_node")
        ends[2] = start(("mapper_node", SETTINGS), tmp_path)
        wait_for(lambda: fact(peer, "mapper_node", "keyframes") == 4, "all four", 40.0)
        wait_for(lambda: fact(peer, "keyframe_node", "unanswered") == 0, "their answers")
        for node in NAMES:
            wait_for(lambda node=node: peer.levels[f"/{node}"][0] == 0, f"{node} to be content")
            assert peer.problems(node) == {}, node
        # The depth of a keyframe that came again was not estimated again.
        assert fact(peer, "depth_node", "keyframes") == 5
        peer.send_good(9.0, x=1.0)
        wait_for(lambda: fact(peer, "mapper_node", "keyframes") == 5, "and the next one")


def test_many_keyframes_without_depth_are_delivered_when_it_is_back(
    ros_domain: int, tmp_path: Path
) -> None:
    nodes = [(name, SETTINGS) for name in NAMES]
    missed = 30
    with peer_in(ros_domain) as peer, running(tmp_path, nodes) as ends:
        wait_for_stages(peer)
        peer.send_good(1.0)
        # keyframe_node takes the stages for complete a second after it has found them, and
        # nothing tells when.
        time.sleep(3.0)
        ends[1].end(signal.SIGKILL)
        for index in range(missed):
            # The mapper has them too, and waits for their depth.
            stamp_ns = peer.send(*peer.messages(2.0 + index, x=0.02 * index))
            wait_for(lambda stamp_ns=stamp_ns: stamp_ns in seen(peer), "the keyframe")
        ends[1] = start(("depth_node", SETTINGS), tmp_path)
        wait_for(lambda: fact(peer, "mapper_node", "keyframes") == 1 + missed, "all", 30.0)
        assert peer.problems("keyframe_node") == {}


def test_a_stage_that_never_came_is_an_error(ros_domain: int, tmp_path: Path) -> None:
    with peer_in(ros_domain) as peer, running(tmp_path, [("keyframe_node", SETTINGS)]):
        wait_for(lambda: peer.levels.get("/keyframe_node", (0, ""))[0] == 2, "the error")
        message = peer.levels["/keyframe_node"][1]
        assert "depth_node is missing" in message and "mapper_node is missing" in message
        for part in ("got no publisher of /map/active", "expected", "start mapper_node"):
            assert part in message


def test_a_keyframe_that_is_refused_is_no_reference(ros_domain: int, tmp_path: Path) -> None:
    nodes = [(name, {"runtime.silence_s": 0.0}) for name in NAMES]
    with peer_in(ros_domain) as peer, running(tmp_path, nodes):
        wait_for_stages(peer)
        image, info, depth, pose = peer.messages(1.0)
        # Measured by a camera that looks into the void.
        depth.data = bytes(len(depth.data))
        peer.wait_processed(peer.send(image, info, depth, pose))
        wait_for(lambda: fact(peer, "keyframe_node", "refused_behind") == 1, "the refusal")
        assert peer.problems("keyframe_node").keys() == {"refused_behind"}
        assert "depth_node: " in peer.levels["/keyframe_node"][1]
        # At the same place: it would not be a keyframe if the first one counted.
        peer.send_good(2.0)
        wait_for(lambda: fact(peer, "mapper_node", "keyframes") == 1, "the next frame instead")


def delivery(places: int = 3) -> tuple[KeyframeDelivery[str], list[str], list[int]]:
    sent: list[str] = []
    lost: list[int] = []
    return KeyframeDelivery(sent.append, lost.append, places), sent, lost


def test_the_newest_keyframes_are_kept_and_those_lost_are_told() -> None:
    kept, sent, lost = delivery()
    for stamp in range(5):
        kept.offer(stamp, f"k{stamp}", complete=False)
    assert lost == [0, 1] and kept.unanswered == 3
    kept.again()
    kept.poll(complete=False)
    assert len(sent) == 5
    for stamp in (2, 3, 4):
        kept.poll(complete=True)
        kept.poll(complete=True)
        assert sent[-1] == f"k{stamp}"
        kept.answered(stamp)
    kept.poll(complete=True)
    assert len(sent) == 8 and kept.unanswered == kept.kept == 0


def test_new_keyframes_queue_behind_and_silence_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, sent, _ = delivery(10)
    kept.offer(1, "k1", complete=False)
    kept.again()
    kept.poll(complete=True)
    kept.offer(2, "k2", complete=True)
    assert sent == ["k1", "k1"], "one at a time"
    kept.poll(complete=True)
    assert sent == ["k1", "k1"]
    monkeypatch.setattr(keyframe_delivery, "_ANSWER_S", -1.0)
    kept.poll(complete=True)
    assert sent == ["k1", "k1", "k2"]


def test_a_keyframe_that_a_new_stage_missed_is_sent_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept, sent, _ = delivery(10)
    kept.offer(1, "k1", complete=False)
    kept.offer(2, "k2", complete=False)
    kept.again()
    kept.poll(complete=True)
    kept.poll(complete=True)
    assert sent == ["k1", "k2", "k1"]
    monkeypatch.setattr(keyframe_delivery, "_REPEAT_S", -1.0)
    kept.poll(complete=True)
    kept.poll(complete=True)
    assert sent == ["k1", "k2", "k1", "k1"], "once"
    kept.answered(1)
    kept.poll(complete=True)
    assert sent[4:] == ["k2"]


def test_stages_that_never_answer_lose_nothing_that_is_told() -> None:
    kept, sent, lost = delivery()
    for stamp in range(9):
        kept.offer(stamp, f"k{stamp}", complete=True)
    assert len(sent) == 9 and lost == []
