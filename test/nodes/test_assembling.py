from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from e2e_slam_ros.config.errors import E2ESlamError, PoseError
from e2e_slam_ros.nodes.camera_frame import CameraFrame
from e2e_slam_ros.nodes.conversions import camera_info_message, image_message
from e2e_slam_ros.nodes.frame_assembler import FrameAssembler
from e2e_slam_ros.nodes.pose_buffer import PoseBuffer
from e2e_slam_ros.nodes.stamps import ns_to_stamp
from synthetic import CAMERA, textured_image

SECOND = 1_000_000_000
TOLERANCE = 50_000_000


def moved(x: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = x
    return matrix


class Poses:
    """A pose source that answers from a buffer."""

    wanted = "a pose"
    required = True
    in_odom = False
    sigma = None

    def __init__(self) -> None:
        self.buffer = PoseBuffer()
        self.restarts = 0

    def pose(self, stamp_ns: int, camera_frame: str, last_chance: bool) -> np.ndarray | None:
        return self.buffer.at(stamp_ns, TOLERANCE, last_chance)

    def passed(self, stamp_ns: int) -> bool:
        return self.buffer.passed(stamp_ns)

    def restart(self, stamp_ns: int) -> None:
        self.restarts += 1
        self.buffer.restart(stamp_ns)

    def clear(self) -> None:
        self.buffer.clear()


class Sink:
    """Remembers what the assembler says."""

    def __init__(self) -> None:
        self.frames: list[CameraFrame] = []
        self.refused: list[tuple[int, str]] = []
        self.duplicates: list[int] = []
        self.notices: list[str] = []
        self.jumps = 0

    def on_frame(self, frame: CameraFrame) -> None:
        self.frames.append(frame)

    def on_refused(self, stamp_ns: int, kind: str, error: E2ESlamError) -> None:
        self.refused.append((stamp_ns, kind))

    def on_duplicate(self, stamp_ns: int) -> None:
        self.duplicates.append(stamp_ns)

    def on_notice(self, kind: str, text: str) -> None:
        self.notices.append(kind)

    def on_time_jump(self, stamp_ns: int) -> None:
        self.jumps += 1


class Bench:
    """An assembler with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 0.0
        self.poses, self.sink = Poses(), Sink()
        self.assembler = FrameAssembler(self.poses, self.sink, "", 0.1, lambda: self.time)

    def image(self, stamp_ns: int, encoding: str = "rgb8") -> None:
        msg = image_message(textured_image(), "rgb8", ns_to_stamp(stamp_ns), "lens")
        msg.encoding = encoding
        self.assembler.add_image(msg, 0)

    def info(self, stamp_ns: int) -> None:
        self.assembler.add_info(camera_info_message(CAMERA, ns_to_stamp(stamp_ns), "lens"))

    def pose(self, stamp_ns: int, x: float = 0.0) -> None:
        self.poses.buffer.put(stamp_ns, moved(x))
        self.assembler.poll()

    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.assembler.poll()


@pytest.fixture
def bench() -> Iterator[Bench]:
    yield Bench()


@pytest.mark.parametrize("order", ["image info pose", "pose image info", "info pose image"])
def test_a_frame_is_complete_in_any_order(bench: Bench, order: str) -> None:
    for part in order.split():
        assert not bench.sink.frames
        getattr(bench, part)(SECOND)
    (frame,) = bench.sink.frames
    assert frame.camera == CAMERA and frame.frame_id == "lens" and frame.stamp_ns == SECOND
    assert bench.assembler.waiting == 0 and not bench.sink.refused


def test_an_image_without_a_pose_is_refused_when_patience_ends(bench: Bench) -> None:
    bench.info(SECOND)
    bench.image(SECOND)
    bench.wait(0.09)
    assert not bench.sink.refused
    bench.wait(0.02)
    assert bench.sink.refused == [(SECOND, "no_pose")]


def test_an_image_without_camera_info_is_refused_as_such(bench: Bench) -> None:
    bench.pose(SECOND)
    bench.image(SECOND)
    bench.wait(0.2)
    assert bench.sink.refused == [(SECOND, "no_camera_info")]


def test_one_camera_info_serves_all_images_at_once(bench: Bench) -> None:
    bench.info(SECOND)
    for index in range(60):
        bench.pose(2 * SECOND + index)
        bench.image(2 * SECOND + index)
    assert len(bench.sink.frames) == 60 and not bench.sink.refused


def test_a_camera_whose_calibration_changes_waits_for_its_own(bench: Bench) -> None:
    bench.info(SECOND)
    zoomed = replace(CAMERA, fx=2 * CAMERA.fx, fy=2 * CAMERA.fy)
    for stamp_ns, camera in ((2 * SECOND, zoomed), (4 * SECOND, CAMERA)):
        bench.pose(stamp_ns)
        bench.assembler.add_info(camera_info_message(camera, ns_to_stamp(stamp_ns), "lens"))
    bench.pose(5 * SECOND)
    bench.image(5 * SECOND)
    assert not bench.sink.frames
    bench.wait(0.2)
    assert len(bench.sink.frames) == 1


def test_stamps_that_are_no_times_are_counted_each(bench: Bench) -> None:
    bench.info(SECOND)
    for stamp_ns in (0, 0, 0):
        bench.pose(stamp_ns)
        bench.image(stamp_ns)
    # A sequence may begin at zero.
    assert len(bench.sink.frames) == 1 and bench.sink.notices == ["stamp"] * 2
    bench.sink.frames.clear()
    for stamp_ns in (SECOND, 10**18, 2 * SECOND):
        bench.pose(stamp_ns)
        bench.image(stamp_ns)
    assert bench.sink.refused == [(10**18, "stamp")]
    assert [frame.stamp_ns for frame in bench.sink.frames] == [SECOND, 2 * SECOND]
    assert bench.sink.jumps == 0


def test_a_clock_that_was_set_goes_on(bench: Bench) -> None:
    bench.info(SECOND)
    for stamp_ns in (SECOND, 10**18, 10**18 + 10**8, 10**18 + 2 * 10**8):
        bench.pose(stamp_ns)
        bench.image(stamp_ns)
    assert len(bench.sink.frames) == 3 and bench.sink.refused == [(10**18, "stamp")]


def test_a_missing_pose_names_both_frames(bench: Bench) -> None:
    errors: list[str] = []
    bench.sink.on_refused = lambda stamp, kind, error: errors.append(str(error))
    bench.assembler._camera_frame = "camera_optical_frame"
    bench.info(SECOND)
    bench.image(SECOND)
    bench.wait(0.2)
    (said,) = errors
    assert "'camera_optical_frame', which is frames.camera; the images are of 'lens'" in said


def test_frames_keep_their_order(bench: Bench) -> None:
    for second in (1, 2, 3):
        bench.info(second * SECOND)
        bench.image(second * SECOND)
    for second in (1, 3, 2):
        bench.pose(second * SECOND)
    stamps = [frame.stamp_ns // SECOND for frame in bench.sink.frames]
    # The pose of 3 says that none of 2 is coming: its own arrives too late.
    assert stamps == [1, 3] and bench.sink.refused == [(2 * SECOND, "no_pose")]


def test_what_waits_is_bounded(bench: Bench) -> None:
    for index in range(40):
        bench.image(SECOND + index)
    assert bench.assembler.waiting == 16
    assert [kind for _, kind in bench.sink.refused] == ["unsynchronised"] * 24


def test_an_unusable_pose_refuses_its_image_at_once(bench: Bench) -> None:
    bench.info(SECOND)
    bench.poses.buffer.put(SECOND, PoseError("not finite"))
    bench.image(SECOND)
    assert bench.sink.refused == [(SECOND, "pose")]


def test_an_unknown_encoding_refuses_its_image_only(bench: Bench) -> None:
    for second, encoding in ((1, "nonsense"), (2, "rgb8")):
        bench.info(second * SECOND)
        bench.pose(second * SECOND)
        bench.image(second * SECOND, encoding)
    assert bench.sink.refused == [(SECOND, "image")] and len(bench.sink.frames) == 1


def test_a_stamp_seen_before_is_a_duplicate(bench: Bench) -> None:
    bench.image(SECOND)
    bench.image(SECOND)
    assert bench.sink.duplicates == [SECOND] and bench.assembler.waiting == 1


def test_a_step_back_is_refused_and_a_jump_back_starts_again(bench: Bench) -> None:
    for stamp_ns in (10 * SECOND, 10 * SECOND - 1000, 2 * SECOND):
        bench.info(stamp_ns)
        bench.pose(stamp_ns)
        bench.image(stamp_ns)
    assert bench.sink.refused == [(10 * SECOND - 1000, "time_backwards")]
    assert [frame.stamp_ns for frame in bench.sink.frames] == [10 * SECOND, 2 * SECOND]
    assert bench.sink.jumps == bench.poses.restarts == 1


def test_after_a_jump_back_poses_of_the_last_round_do_not_end_the_wait(bench: Bench) -> None:
    for stamp_ns in (10 * SECOND, 2 * SECOND):
        bench.info(stamp_ns)
        bench.image(stamp_ns)
        bench.pose(stamp_ns)
    assert [frame.stamp_ns for frame in bench.sink.frames] == [10 * SECOND, 2 * SECOND]
