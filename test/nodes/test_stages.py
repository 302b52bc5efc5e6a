"""The split system with a stage that is missing, comes back, or refuses."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.nodes import keyframe_delivery
from e2e_slam_ros.nodes.keyframe_delivery import KeyframeDelivery
from e2e_slam_ros.nodes.keyframe_results import KeyframeFate
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
            wait_for(
                lambda node=node: "mapper_node is missing" in peer.levels[node][1],
                f"ERROR of {node}",
                LEASE_S,
            )
            assert peer.levels[node][0] == 2
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


def test_what_comes_at_once_after_a_silence_is_mapped(ros_domain: int, tmp_path: Path) -> None:
    # As behind a link that is cut: the stages seem to be there, and hear nothing for a while.
    nodes = [(name, SETTINGS) for name in NAMES]
    cut_s, meanwhile = 4.0, 16
    with peer_in(ros_domain) as peer, running(tmp_path, nodes) as ends:
        wait_for_stages(peer)
        peer.send_good(1.0)
        wait_for(lambda: fact(peer, "keyframe_node", "fused_behind") == 1, "the first")
        for end in ends[1:]:
            end.process.send_signal(signal.SIGSTOP)
        for index in range(meanwhile):
            peer.send(*peer.messages(2.0 + index, x=0.02 * index))
            time.sleep(cut_s / meanwhile)
        for end in ends[1:]:
            end.process.send_signal(signal.SIGCONT)
        known = 1 + meanwhile
        wait_for(lambda: fact(peer, "keyframe_node", "fused_behind") == known, "all", 30.0)
        wait_for(lambda: fact(peer, "mapper_node", "keyframes") == known, "all in the map")
        wait_for(lambda: fact(peer, "keyframe_node", "unanswered") == 0, "no other")
        assert fact(peer, "keyframe_node", "dropped_behind") == 0
        assert all(peer.problems(name) == {} for name in NAMES)


def test_keyframes_that_are_not_answered_in_time_are_counted_and_named(
    ros_domain: int, tmp_path: Path
) -> None:
    few = SETTINGS | {"runtime.kept_keyframes": 5}
    sent = 12
    with peer_in(ros_domain) as peer, running(tmp_path, [(name, few) for name in NAMES]) as ends:
        wait_for_stages(peer)
        peer.send_good(1.0)
        wait_for(lambda: fact(peer, "keyframe_node", "fused_behind") == 1, "the first")
        for end in ends[1:]:
            end.process.send_signal(signal.SIGSTOP)
        for index in range(sent):
            peer.send(*peer.messages(2.0 + index, x=0.02 * index))
            time.sleep(0.25)
        wait_for(lambda: peer.problems("keyframe_node").get("keyframe_lost", 0) == sent - 5, "7")
        wait_for(lambda: peer.levels["/keyframe_node"][0] == 2, "the error", 20.0)
        message = peer.levels["/keyframe_node"][1]
        for part in ("no answer to a keyframe", "expected", "5 keyframes are kept, at most 5"):
            assert part in message
        for end in ends[1:]:
            end.process.send_signal(signal.SIGCONT)
        wait_for(lambda: fact(peer, "keyframe_node", "unanswered") == 0, "the answers", 30.0)
        names = ("fused_behind", "dropped_behind", "refused_behind")
        settled = sum(fact(peer, "keyframe_node", name) for name in names)
        lost = peer.problems("keyframe_node")["keyframe_lost"]
        assert settled + lost == fact(peer, "keyframe_node", "keyframes") == 1 + sent
        assert fact(peer, "keyframe_node", "fused_behind") >= 6


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
    made = KeyframeDelivery(sent.append, lost.append, lambda stamp: lost.append(-stamp), places)
    return made, sent, lost


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
        kept.answered(stamp, KeyframeFate.FUSED)
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
    kept.answered(2, KeyframeFate.DROPPED)
    kept.poll(complete=True)
    assert len(sent) == 4
    kept.answered(3, KeyframeFate.FUSED)
    kept.offer(5, "k5", complete=True)
    kept.poll(complete=True)
    assert sent[4:] == ["k1"], "before anything new"
    kept.answered(1, KeyframeFate.FUSED)
    kept.poll(complete=True)
    assert sent[4:] == ["k1", "k5"]


def test_slow_stages_are_waited_for(clock: Clock) -> None:
    kept, sent, _ = delivery(10)
    kept.offer(1, "k1", complete=True)
    clock.now_s += 0.9
    kept.answered(1, KeyframeFate.FUSED)
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
    assert kept.kept == 0 and kept.quiet_s == 0.0


def test_what_is_dropped_after_a_silence_is_sent_again(clock: Clock) -> None:
    kept, sent, lost = delivery(10)
    for stamp in (1, 2, 3, 4):
        kept.offer(stamp, f"k{stamp}", complete=True)
    # All of them arrive at once, and a live stage works on the newest.
    clock.now_s += 3.0
    assert kept.quiet_s == 0.0, "nobody has answered yet, and nobody may"
    for stamp in (2, 3):
        assert not kept.answered(stamp, KeyframeFate.DROPPED)
    assert kept.answered(1, KeyframeFate.FUSED)
    for stamp in (2, 3, 4):
        kept.poll(complete=True)
        assert sent[-1] == f"k{stamp}"
        assert kept.answered(stamp, KeyframeFate.FUSED)
        assert not kept.answered(stamp, KeyframeFate.FUSED), "the copy that came late"
    kept.poll(complete=True)
    assert len(sent) == 7 and kept.unanswered == 0 and lost == []
    # In a stage that is slow, and not silent, a newer keyframe is worth more.
    kept.offer(5, "k5", complete=True)
    kept.offer(6, "k6", complete=True)
    assert kept.answered(5, KeyframeFate.DROPPED)


def test_a_long_silence_costs_no_keyframe(clock: Clock) -> None:
    kept, sent, lost = delivery(100)
    kept.offer(0, "k0", complete=True)
    kept.answered(0, KeyframeFate.FUSED)
    for stamp in range(1, 31):
        kept.offer(stamp, f"k{stamp}", complete=True)
        clock.now_s += 1.0
        kept.poll(complete=True)
    assert kept.kept == 30 and kept.quiet_s == 30.0
    assert set(sent) == {f"k{stamp}" for stamp in range(31)}, "each is sent when it is made"
    # The middleware kept the newest ones.
    for stamp in range(28, 31):
        kept.answered(stamp, KeyframeFate.FUSED)
    assert kept.quiet_s == 0.0
    sent.clear()
    while kept.unanswered:
        kept.poll(complete=True)
        kept.answered(int(sent[-1][1:]), KeyframeFate.FUSED)
    assert sent == [f"k{stamp}" for stamp in range(1, 28)] and lost == []


def test_a_keyframe_that_is_never_answered_is_given_up_and_named(clock: Clock) -> None:
    kept, sent, lost = delivery(100)
    for stamp in range(60):
        kept.offer(stamp, f"k{stamp}", complete=True)
        for _ in range(4):
            clock.now_s += 0.3
            kept.poll(complete=True)
            done = {int(name[1:]) for name in sent} - {0}
            for other in done:
                kept.answered(other, KeyframeFate.FUSED)
    assert lost == [0] and kept.unanswered == 0 and sent.count("k0") < 20


def test_stages_slower_than_the_camera_do_not_lag_for_ever(clock: Clock) -> None:
    kept, sent, lost = delivery(100)
    for stamp in range(1, 31):
        kept.offer(stamp, f"k{stamp}", complete=False)
    kept.again()
    newest = 30
    lags, seen = [], len(sent)
    for _ in range(400):
        # Three come while one is mapped, and a stage keeps the newest.
        for _ in range(3):
            newest += 1
            kept.offer(newest, f"k{newest}", complete=True)
        clock.now_s += 0.5
        kept.poll(complete=True)
        *older, mapped = (int(name[1:]) for name in sent[seen:])
        seen = len(sent)
        lost += [-stamp for stamp in older if kept.answered(stamp, KeyframeFate.DROPPED)]
        kept.answered(mapped, KeyframeFate.FUSED)
        lags.append(newest - mapped)
    assert [int(name[1:]) for name in sent[30:60]] == list(range(1, 31)), "what was kept, first"
    assert max(lags[40:]) < 20
    dropped = {-stamp for stamp in lost}
    assert min(dropped) > 30
    mapped = {int(name[1:]) for name in sent}
    assert mapped | dropped | set(range(newest - 20, newest + 1)) == set(range(1, newest + 1))
