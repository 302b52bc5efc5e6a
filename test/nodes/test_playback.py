from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.config.errors import ConfigError, DataError, E2ESlamError
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.nodes.dataset_player import unused_sentence
from e2e_slam_ros.nodes.playback import Playback
from e2e_slam_ros.nodes.player_options import PlayerOptions
from synthetic import frame, pose


class Reader:
    """Frames 50 ms apart; those in ``broken`` cannot be read."""

    name = "test"
    report = ReaderReport()

    def __init__(self, count: int, broken: tuple[int, ...] = ()) -> None:
        self.count, self.broken = count, broken

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Frame:
        if index in self.broken:
            raise DataError(f"frame {index} is unreadable")
        return frame(index, pose(), stamp_s=index * 0.05)


class Publisher:
    """Stands for the topics; may answer like a SLAM node."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, int]] = []
        self.answer_from = 1
        self.playback: Playback | None = None

    def messages(self, frame: Frame) -> SimpleNamespace:
        return SimpleNamespace(stamp_ns=frame.stamp_ns)

    def send(self, messages: SimpleNamespace) -> None:
        self.sent.append((time.monotonic(), messages.stamp_ns))
        times = sum(stamp == messages.stamp_ns for _, stamp in self.sent)
        if self.playback is not None and times >= self.answer_from:
            threading.Timer(0.005, self.playback.answer, [messages.stamp_ns]).start()


def playback(reader: Reader, **options: object) -> tuple[Playback, Publisher, list[str]]:
    publisher, warnings = Publisher(), []
    values = {"progress": False, **options}
    made = Playback(reader, publisher, PlayerOptions(**values), warnings.append)
    return made, publisher, warnings


def test_real_time_keeps_the_recorded_intervals_at_the_rate() -> None:
    play, publisher, _ = playback(Reader(9), rate=2.0)
    report = play.run()
    assert report.sent == 9
    first, last = publisher.sent[0][0], publisher.sent[-1][0]
    assert last - first == pytest.approx(8 * 0.05 / 2.0, abs=0.1)


def test_lock_step_waits_for_each_answer() -> None:
    play, publisher, _ = playback(Reader(5), lockstep=True)
    publisher.playback = play
    report = play.run()
    assert (report.sent, report.resent) == (5, 0)
    gaps = [b[0] - a[0] for a, b in zip(publisher.sent, publisher.sent[1:], strict=False)]
    assert min(gaps) >= 0.004


def test_a_frame_without_an_answer_is_sent_again_and_said() -> None:
    play, publisher, warnings = playback(Reader(2), lockstep=True, timeout_s=0.05)
    publisher.playback, publisher.answer_from = play, 3
    report = play.run()
    assert (report.sent, report.resent) == (2, 4)
    assert len(warnings) == 4 and "sending the frame again" in warnings[0]


def test_a_side_that_is_slow_once_is_given_more_time_afterwards() -> None:
    play, publisher, warnings = playback(Reader(4), lockstep=True, timeout_s=0.05)

    def send(messages: SimpleNamespace) -> None:
        # The first frame takes 0.3 s, the others 0.08 s: learning takes its time.
        delay = 0.3 if not publisher.sent else 0.08
        new = all(stamp != messages.stamp_ns for _, stamp in publisher.sent)
        publisher.sent.append((time.monotonic(), messages.stamp_ns))
        if new:
            threading.Timer(delay, play.answer, [messages.stamp_ns]).start()

    publisher.send = send  # type: ignore[method-assign]
    report = play.run()
    assert report.sent == 4
    later = {stamp for _, stamp in publisher.sent if stamp > 0}
    assert len(later) == 3 == sum(stamp > 0 for _, stamp in publisher.sent), "each is sent once"
    assert len(warnings) == report.resent > 0
    assert "learns" in warnings[0]


def test_lock_step_gives_up_with_a_reason() -> None:
    play, _, _ = playback(Reader(2), lockstep=True, timeout_s=0.02, give_up_s=0.05)
    with pytest.raises(E2ESlamError, match="no answer on `processed`"):
        play.run()


def test_unreadable_frames_are_left_out_and_said_once() -> None:
    play, publisher, warnings = playback(Reader(6, broken=(1, 2, 5)), rate=100.0)
    report = play.run()
    assert (report.sent, report.unreadable) == (3, 3)
    assert [stamp // 50_000_000 for _, stamp in publisher.sent] == [0, 3, 4]
    assert len(warnings) == 1 and "frame 1" in warnings[0]


def test_what_is_not_used_is_not_given_as_a_share_of_frames() -> None:
    # 45 unusable lines in a list of poses, beside 40 images of which 38 are there.
    report = ReaderReport(listed=40)
    report.skip("pose not finite or zero quaternion in groundtruth.txt", 45)
    report.skip("missing colour image", 2)
    assert unused_sentence(report, 38) == (
        "38 frames to play; not used: pose not finite or zero quaternion in groundtruth.txt "
        "(45 times); missing colour image (2 times)"
    )


def test_a_sequence_without_a_readable_frame_is_an_error() -> None:
    play, _, _ = playback(Reader(3, broken=(0, 1, 2)), rate=100.0)
    with pytest.raises(DataError, match="no readable frame"):
        play.run()


def test_a_pause_shifts_the_rest() -> None:
    play, publisher, _ = playback(Reader(5), rate=1.0)
    play.pause(True)
    threading.Timer(0.3, play.pause, [False]).start()
    start = time.monotonic()
    play.run()
    assert publisher.sent[0][0] - start > 0.25
    assert publisher.sent[-1][0] - publisher.sent[0][0] == pytest.approx(0.2, abs=0.1)


def test_stop_ends_it_from_another_thread() -> None:
    play, _, _ = playback(Reader(1000), rate=1.0)
    threading.Timer(0.1, play.stop).start()
    start = time.monotonic()
    report = play.run()
    assert time.monotonic() - start < 2.0 and 0 < report.sent < 20


@pytest.mark.parametrize("options", [{"rate": 0.0}, {"rate": float("nan")}, {"timeout_s": -1.0}])
def test_times_and_rates_must_be_positive(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="positive"):
        PlayerOptions(**options)
