"""When a frame becomes a keyframe."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from e2e_slam_ros.config import KeyframeConfig
from e2e_slam_ros.data.keyframe import KeyframeDecision
from e2e_slam_ros.slam.keyframe_rule import KeyframeRule, overlap_share, rotation_angle_deg
from synthetic import CAMERA, pose

CONFIG = KeyframeConfig(parallax=0.06, rotation_deg=12.0, min_parallax=0.01, max_interval_s=5.0)
DEPTH_M = 2.0


def rule(maps_pure_rotation: bool = True) -> KeyframeRule:
    made = KeyframeRule(CONFIG, maps_pure_rotation)
    assert made.decide(0, pose().numpy(), CAMERA, 1.0).reason == "first"
    made.mapped(0, DEPTH_M, np.array([[0.0, 0.0, DEPTH_M]]))
    return made


def decision(
    made: KeyframeRule, T: npt.NDArray[np.float64], stamp_s: float = 0.1, sharp: float = 1.0
) -> KeyframeDecision:
    return made.decide(round(stamp_s * 1e9), T, CAMERA, sharp)


def test_a_turn_on_the_spot_far_from_the_origin_has_no_translation() -> None:
    # The published code subtracted the two translation vectors of world-to-camera poses, which
    # a pure rotation away from the origin changes by metres.
    made = KeyframeRule(CONFIG, True)
    made.decide(0, pose(x=5.0, z=3.0).numpy(), CAMERA, 1.0)
    made.mapped(0, DEPTH_M, np.array([[0.0, 0.0, DEPTH_M]]))
    answer = decision(made, pose(x=5.0, z=3.0, yaw_deg=20.0).numpy())
    assert answer.parallax == pytest.approx(0.0, abs=1e-12)
    assert answer.rotation_deg == pytest.approx(20.0)
    assert not answer.has_parallax and answer.reason == "pure rotation"


def test_parallax_is_translation_over_scene_depth() -> None:
    answer = decision(rule(), pose(x=0.13).numpy())
    assert answer.parallax == pytest.approx(0.065)
    assert answer.is_keyframe and answer.reason == "parallax" and answer.has_parallax
    assert not decision(rule(), pose(x=0.11).numpy()).is_keyframe


def test_a_far_scene_needs_a_longer_way() -> None:
    made = rule()
    made.mapped(0, 8.0, np.array([[0.0, 0.0, 8.0]]))
    assert not decision(made, pose(x=0.13).numpy()).is_keyframe
    assert decision(made, pose(x=0.5).numpy()).is_keyframe


def test_a_camera_that_stands_still_never_gets_a_second_keyframe() -> None:
    made = rule()
    for second in range(1, 100):
        answer = decision(made, pose().numpy(), stamp_s=float(second))
        assert not answer.is_keyframe and answer.reason == "too near"


def test_time_makes_a_keyframe_of_a_camera_that_moved() -> None:
    made = rule()
    assert not decision(made, pose(x=0.05).numpy(), stamp_s=4.0).is_keyframe
    late = decision(made, pose(x=0.05).numpy(), stamp_s=5.5)
    assert late.is_keyframe and late.reason == "time"


def test_pure_rotation_is_mapped_only_where_depth_is_measured() -> None:
    turned = pose(yaw_deg=15.0).numpy()
    assert decision(rule(maps_pure_rotation=True), turned).is_keyframe
    assert not decision(rule(maps_pure_rotation=False), turned).is_keyframe
    moved = pose(x=0.03, yaw_deg=15.0).numpy()
    answer = decision(rule(maps_pure_rotation=False), moved)
    assert answer.is_keyframe and answer.reason == "rotation" and answer.has_parallax


def test_a_blurred_frame_waits_until_it_is_overdue() -> None:
    made = rule()
    blurred = decision(made, pose(x=0.2).numpy(), sharp=0.1)
    assert not blurred.is_keyframe and blurred.reason == "blurred"
    assert decision(made, pose(x=0.2).numpy(), stamp_s=6.0, sharp=0.1).is_keyframe


def test_lost_overlap_makes_a_keyframe() -> None:
    # Points at the right edge leave the image with a small turn to the left.
    made = rule()
    edge = np.column_stack([np.linspace(0.7, 1.0, 20), np.zeros(20), np.full(20, DEPTH_M)])
    made.mapped(0, DEPTH_M, edge)
    answer = decision(made, pose(x=0.03, yaw_deg=-10.0).numpy())
    assert answer.is_keyframe and answer.reason == "overlap"


def test_a_withdrawn_keyframe_is_replaced_by_the_next_frame() -> None:
    made = rule()
    assert decision(made, pose(x=0.2).numpy(), stamp_s=1.0).is_keyframe
    assert not decision(made, pose(x=0.2).numpy(), stamp_s=1.1).is_keyframe
    made.withdraw(1_000_000_000)
    assert decision(made, pose(x=0.2).numpy(), stamp_s=1.2).is_keyframe


def test_withdrawing_an_older_keyframe_changes_nothing() -> None:
    made = rule()
    decision(made, pose(x=0.2).numpy(), stamp_s=1.0)
    made.withdraw(0)
    assert not decision(made, pose(x=0.2).numpy(), stamp_s=1.1).is_keyframe


def test_two_failures_in_a_row_leave_no_failed_keyframe_as_the_reference() -> None:
    made = rule()
    decision(made, pose(x=0.2).numpy(), stamp_s=1.0)
    decision(made, pose(x=0.4).numpy(), stamp_s=2.0)
    made.withdraw(1_000_000_000)  # mapped later than the next was chosen
    made.withdraw(2_000_000_000)
    # The last mapped keyframe is the reference again.
    assert made.reference is not None and made.reference.stamp_ns == 0
    assert decision(made, pose(x=0.2).numpy(), stamp_s=3.0).reason == "parallax"


def test_depth_of_an_older_keyframe_is_ignored() -> None:
    made = rule()
    decision(made, pose(x=0.2).numpy(), stamp_s=1.0)
    made.mapped(0, 100.0, np.array([[0.0, 0.0, 100.0]]))
    assert decision(made, pose(x=0.4).numpy(), stamp_s=2.0).is_keyframe


@pytest.mark.parametrize("angle", [0.0, 1e-6, 0.5, 90.0, 179.9])
def test_rotation_angles_are_exact(angle: float) -> None:
    R: npt.NDArray[np.float64] = pose(yaw_deg=angle).numpy()[:3, :3]
    assert rotation_angle_deg(R) == pytest.approx(angle, abs=1e-9)


def test_overlap_counts_the_points_still_in_view() -> None:
    grid = np.array([[x, 0.0, 2.0] for x in (-0.9, -0.3, 0.3, 0.9)])
    assert overlap_share(grid, np.eye(4), CAMERA) == 1.0
    assert overlap_share(grid, pose(x=0.6).numpy(), CAMERA) == 0.75
    assert overlap_share(grid, pose(yaw_deg=180.0).numpy(), CAMERA) == 0.0
    assert overlap_share(None, np.eye(4), CAMERA) == 1.0


def test_only_unmapped_keyframes_and_the_last_mapped_one_are_kept() -> None:
    made = rule()
    for second in (1, 2, 3):
        decision(made, pose(x=0.2 * second).numpy(), stamp_s=float(second))
    made.mapped(2_000_000_000)
    for stamp_ns in (3_000_000_000, 1_000_000_000):
        made.withdraw(stamp_ns)
    assert made.reference is not None and made.reference.stamp_ns == 2_000_000_000
