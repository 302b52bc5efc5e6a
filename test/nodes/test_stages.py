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
                lambda index=index: fact(peer, "keyframe_node", "unanswered") == index + 1,
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
        wait_for(lambda: fact(peer, "depth_node", "keyframes") == 5, "depth_node's count")
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


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(keyframe_delivery, "time", made)
    return made


def delivery(places: int = 3) -> tuple[KeyframeDelivery[str], list[str], list[int]]:
    sent: list[str] = []
    lost: list[int] = []
    return KeyframeDelivery(sent.append, lost.append, places), sent, lost


def test_the_newest_keyframes_are_kept_and_those_lost_are_told() -> None:
    kept, sent, lost = delivery()
    for stamp in range(5):
        kept.offer(stamp, f"k{stamp}", complete=False)
    assert lost == [0, 1] and kept.unanswered == kept.kept == 3
    kept.again()
    kept.poll(complete=False)
    assert len(sent) == 5
    for stamp in (2, 3, 4):
        kept.poll(complete=True)
        kept.poll(complete=True)
        assert sent[-1] == f"k{stamp}"
        kept.answered(stamp, fused=True)
    kept.poll(complete=True)
    assert len(sent) == 8 and kept.unanswered == kept.kept == 0


def test_new_keyframes_queue_behind_and_silence_is_passed_over(clock: Clock) -> None:
    kept, sent, _ = delivery(10)
    kept.offer(1, "k1", complete=False)
    kept.again()
    kept.poll(complete=True)
    kept.offer(2, "k2", complete=True)
    kept.poll(complete=True)
    assert sent == ["k1", "k1"], "one at a time"
    # Sent again after 1, 2 and 4 seconds.
    for wait_s, times in ((0.5, 2), (0.6, 3), (1.5, 3), (0.6, 4), (4.1, 5), (7.0, 5)):
        clock.now_s += wait_s
        kept.poll(complete=True)
        assert sent == ["k1"] * times
    clock.now_s += 1.1
    kept.poll(complete=True)
    assert sent[5:] == ["k2"] and kept.unanswered == 2


def test_a_keyframe_that_was_missed_at_the_start_is_sent_again(clock: Clock) -> None:
    kept, sent, _ = delivery(10)
    kept.offer(1, "k1", complete=True)
    kept.poll(complete=True)
    assert sent == ["k1"]
    clock.now_s += 1.1
    kept.poll(complete=True)
    assert sent == ["k1", "k1"]


def test_a_keyframe_is_missed_if_a_later_one_is_fused_before_it(clock: Clock) -> None:
    kept, sent, _ = delivery(10)
    for stamp in (1, 2, 3, 4):
        clock.now_s += 0.1
        kept.offer(stamp, f"k{stamp}", complete=True)
    # One that is dropped had its answer early; nothing is known of those before it.
    kept.answered(2, fused=False)
    kept.poll(complete=True)
    assert len(sent) == 4
    kept.answered(3, fused=True)
    kept.offer(5, "k5", complete=True)
    kept.poll(complete=True)
    assert sent[4:] == ["k1"], "before anything new"
    kept.answered(1, fused=True)
    kept.poll(complete=True)
    assert sent[4:] == ["k1", "k5"]


def test_slow_stages_are_waited_for(clock: Clock) -> None:
    kept, sent, _ = delivery(10)
    kept.offer(1, "k1", complete=True)
    clock.now_s += 0.9
    kept.answered(1, fused=True)
    clock.now_s += 5.0
    kept.offer(2, "k2", complete=True)
    for wait_s, times in ((1.5, 1), (0.4, 2)):
        clock.now_s += wait_s
        kept.poll(complete=True)
        assert sent == ["k1"] + ["k2"] * times


def test_stages_that_never_answer_lose_nothing_that_is_told(clock: Clock) -> None:
    kept, sent, lost = delivery()
    for stamp in range(9):
        kept.offer(stamp, f"k{stamp}", complete=True)
    assert len(sent) == 9 and lost == []
    # They are asked about one keyframe, and no more.
    for _ in range(1000):
        clock.now_s += 0.5
        kept.poll(complete=True)
    assert sent[9:] == ["k6"] * 3
    kept.offer(9, "k9", complete=True)
    assert sent[-1] == "k9"
