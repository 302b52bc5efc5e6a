"""Images against given motions: noise, poses that stand still, another camera's calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice
from e2e_slam_ros.evaluation.trajectory.noisy_poses import NoisyPoses
from e2e_slam_ros.simulation import ProceduralReader
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.focal_check import fit_focal
from e2e_slam_ros.tracking.image_agreement import ImageAgreement
from tracking.plane import frame, pose, walk
from tracking.test_bundle import LENS, problem


def verdict(frames: list[Frame]) -> ImageAgreement:
    agreement = ImageAgreement(limit_px=2.0)
    for one in frames:
        assert one.T_map_camera is not None
        agreement.observe(one, one.T_map_camera)
    return agreement


@pytest.fixture(scope="module")
def rooms(shared_data: Path) -> FrameReader:
    return open_reader(shared_data / "hololens" / "rooms_000")


def test_recorded_poses_agree_with_their_images(rooms: FrameReader) -> None:
    agreement = verdict([rooms[i] for i in range(100, 130)])
    assert not agreement.disagree and agreement.evidence < 1.0


def test_noise_of_3_cm_and_1_degree_is_seen_at_once(rooms: FrameReader) -> None:
    noisy = NoisyPoses(rooms, 0.03, 1.0)
    assert verdict([noisy[i] for i in range(100, 104)]).disagree


def test_poses_that_stand_still_while_the_picture_moves(rooms: FrameReader) -> None:
    still = [replace(rooms[i], T_map_camera=np.eye(4)) for i in range(100, 106)]
    assert verdict(still).disagree


def test_a_camera_that_stands_still_agrees_with_poses_that_do(wall: np.ndarray) -> None:
    assert verdict([frame(wall, i, pose()) for i in range(6)]).evidence == 0.0


def test_large_images_are_judged_as_small_ones_are() -> None:
    checks = {}
    for width, height in ((640, 360), (1286, 722)):
        reader = ProceduralReader(frames=60, width=width, height=height)
        frames = [reader[index] for index in range(0, 8, 2)]
        agreement = ImageAgreement(limit_px=2.0)
        checks[width] = [agreement.observe(one, one.T_map_camera) for one in frames][-1]
        assert not agreement.disagree and agreement._lens.camera.width < 640
        assert verdict([replace(one, T_map_camera=np.eye(4)) for one in frames]).disagree
    small, large = checks.values()
    assert small is not None and large is not None and large.error_px < 0.5
    assert large.flow_px == pytest.approx(small.flow_px, rel=0.2)


def test_a_picture_without_corners_says_nothing() -> None:
    grey = np.full((240, 320), 128, np.uint8)
    agreement = ImageAgreement(limit_px=2.0)
    for i, T in enumerate(walk(4)):
        one = replace(frame(grey, i, T), image=np.full((240, 320, 3), 128, np.uint8))
        assert agreement.observe(one, T) is None
    assert not agreement.disagree


def test_a_gap_in_time_and_another_camera_say_nothing(wall: np.ndarray) -> None:
    agreement = ImageAgreement(limit_px=2.0)
    first, second = frame(wall, 0, pose()), frame(wall, 1, pose(x=0.3))
    agreement.observe(first, np.eye(4))
    late = replace(second, stamp_ns=first.stamp_ns + 5_000_000_000)
    assert agreement.observe(late, np.eye(4)) is None
    other = replace(second, stamp_ns=late.stamp_ns + 1, camera=replace(late.camera, fx=300.0))
    assert agreement.observe(other, np.eye(4)) is None


def test_a_frame_that_was_not_compared_is_the_last_one_all_the_same(wall: np.ndarray) -> None:
    poses = walk(3)
    first, second, third = (frame(wall, i, T) for i, T in enumerate(poses))
    agreement, whole = ImageAgreement(limit_px=2.0), ImageAgreement(limit_px=2.0)
    agreement.observe(first, poses[0])
    agreement.skip(second, poses[1])
    expected = [
        whole.observe(one, T) for one, T in zip((first, second, third), poses, strict=True)
    ]
    assert agreement.observe(third, poses[2]) == expected[2]
    # Another camera in between: two images of different cameras are never compared.
    narrow = replace(second.camera, width=160)
    other = replace(
        second, image=second.image[:, :160], camera=narrow, stamp_ns=third.stamp_ns + 1
    )
    agreement.skip(other, poses[1])
    back = replace(third, stamp_ns=other.stamp_ns + 1)
    assert agreement.observe(back, poses[2]) is None


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_the_focal_length_that_fits_is_found(factor: float) -> None:
    truth, start = problem(noise=0.5)
    wrong = replace(start, focal=LENS.focal * factor)
    fit = fit_focal(wrong)
    assert fit is not None
    assert fit.factor == pytest.approx(1.0 / factor, rel=0.03)
    assert fit.is_off == (factor != 1.0)


def test_noise_is_the_same_each_time_and_its_size_is_right(rooms: FrameReader) -> None:
    part = FrameSlice(rooms, 0, 40)
    noisy, again = NoisyPoses(part, 0.03, 1.0, seed=3), NoisyPoses(part, 0.03, 1.0, seed=3)
    moved = []
    for i in range(40):
        T, same, true = noisy[i].T_map_camera, again[i].T_map_camera, part[i].T_map_camera
        assert T is not None and same is not None and true is not None
        np.testing.assert_array_equal(T, same)
        moved.append(rigid.log(rigid.inverse(true) @ T))
    sigma = np.std(moved, axis=0)
    np.testing.assert_allclose(sigma[:3], 0.03, rtol=0.5)
    np.testing.assert_allclose(sigma[3:], np.radians(1.0), rtol=0.5)
