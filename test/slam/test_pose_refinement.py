"""Given poses: kept while images agree, refined when they do not, left aside when they are odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.data.frame import Frame, FrameReader
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.evaluation.trajectory.errors import ate_rmse, rpe
from e2e_slam_ros.evaluation.trajectory.noisy_poses import NoisyPoses
from e2e_slam_ros.slam.pipeline import SlamPipeline
from e2e_slam_ros.slam.result import PoseFacts
from e2e_slam_ros.tracking.state import TrackedPose, TrackingState

CPU = torch.device("cpu")
Change = Callable[[int, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def rooms(shared_data: Path) -> FrameReader:
    return open_reader(shared_data / "hololens" / "rooms_000")


def system(**values: object) -> tuple[SlamPipeline, list[str]]:
    """A lock-step pipeline, and what it says of the given poses."""
    config = {"runtime.offline": True, "depth.source": "sensor"}
    pipeline = SlamPipeline(Config().with_values({**config, **values}), CPU)
    said: list[str] = []
    if pipeline.refinement is not None:
        pipeline.refinement.on_notice = lambda kind, text: said.append(f"{kind}: {text}")
    return pipeline, said


def run(pipeline: SlamPipeline, frames: list[Frame]) -> list[TrackedPose]:
    """Refine and map frames in order."""
    assert pipeline.refinement is not None
    found = []
    for one in frames:
        tracked = pipeline.refinement.track(one)
        found.append(tracked)
        if tracked.T_map_camera is None:
            continue
        located = replace(one, T_map_camera=tracked.T_map_camera)
        wanted = pipeline.refinement.needs_mapping and tracked.keyframe is not None
        decision = pipeline.choose_keyframe(located, wanted)
        if decision.is_keyframe:
            pipeline.map_keyframe(located, decision)
    return found


def changed(reader: FrameReader, count: int, change: Change, first: int = 100) -> list[Frame]:
    frames = []
    for i in range(count):
        one = reader[first + i]
        assert one.T_map_camera is not None
        frames.append(replace(one, T_map_camera=change(i, one.T_map_camera)))
    return frames


def poses(frames: list[Frame]) -> np.ndarray:
    return np.stack([one.T_map_camera for one in frames])


def test_the_limit_of_disagreement_can_be_changed_while_it_runs(rooms: FrameReader) -> None:
    pipeline, said = system(**{"pose.disagreement_px": 1e6})
    noisy = NoisyPoses(rooms, 0.03, 1.0)
    run(pipeline, [noisy[i] for i in range(100, 112)])
    assert said == []
    pipeline.configure(pipeline.config.with_values({"pose.disagreement_px": 2.0}))
    run(pipeline, [noisy[i] for i in range(112, 124)])
    assert len(said) == 1 and "images disagree with the given poses" in said[0]


def test_poses_that_agree_with_the_images_stay_as_they_are(rooms: FrameReader) -> None:
    pipeline, said = system()
    frames = [rooms[i] for i in range(100, 130)]
    found = run(pipeline, frames)
    for tracked, one in zip(found, frames, strict=True):
        assert tracked.T_map_camera is one.T_map_camera
    assert pipeline.refinement is not None and not pipeline.refinement.refines and said == []
    assert pipeline.refinement.facts == PoseFacts("tracking", "given", "poses", 0.0)


def test_noise_is_taken_off_and_the_map_follows(rooms: FrameReader) -> None:
    pipeline, said = system()
    noisy = NoisyPoses(rooms, 0.03, 1.0)
    frames, true = [noisy[i] for i in range(100, 140)], [rooms[i] for i in range(100, 140)]
    run(pipeline, frames)
    assert pipeline.refinement is not None
    found = poses([pipeline.refinement.refreshed(one) for one in frames])
    before, after = ate_rmse(poses(frames), poses(true)), ate_rmse(found, poses(true))
    assert before is not None and after is not None and after < 0.6 * before
    motion = rpe(found, poses(true))
    assert motion is not None and motion.rotation_rmse_deg < 1.0
    facts = pipeline.refinement.facts
    assert (facts.poses, facts.scale_source) == ("refined", "depth_topic")
    assert len(said) == 1 and "images disagree with the given poses" in said[0]
    # Keyframes in the memory are where the tracker has them, to within what is worth a move (1 cm)
    # and what the last adjustment changed after the last move.
    stamps = {one.stamp_ns: i for i, one in enumerate(frames)}
    for item in pipeline.keyframes.recent()[2:]:
        there = found[stamps[item.keyframe.stamp_ns]]
        assert np.linalg.norm(there[:3, 3] - item.keyframe.T_map_camera[:3, 3].numpy()) < 0.012
        assert item.keyframe.tracked_sigma_rad is not None


def test_the_same_input_gives_the_same_poses(rooms: FrameReader) -> None:
    noisy = NoisyPoses(rooms, 0.03, 1.0)
    frames = [noisy[i] for i in range(100, 112)]
    twice = [[t.T_map_camera for t in run(system()[0], frames)] for _ in range(2)]
    np.testing.assert_array_equal(np.stack(twice[0]), np.stack(twice[1]))


def test_off_leaves_everything_alone() -> None:
    assert system(**{"pose.refine": "off"})[0].refinement is None


def test_odometry_of_zeros_is_not_used(rooms: FrameReader) -> None:
    pipeline, said = system(**{"pose.source": "odometry"})
    frames = changed(rooms, 30, lambda i, T: np.eye(4))
    found = run(pipeline, frames)
    assert any("stand still while the picture moves" in text for text in said)
    # The images move the camera: the map is not piled up in one place.
    true = poses([rooms[100 + i] for i in range(30)])
    there = np.stack([t.T_map_camera for t in found[12:] if t.T_map_camera is not None])
    assert len(there) == 18
    path = np.linalg.norm(np.diff(there[:, :3, 3], axis=0), axis=1).sum()
    assert path == pytest.approx(
        np.linalg.norm(np.diff(true[12:, :3, 3], axis=0), axis=1).sum(), rel=0.15
    )


def test_a_jump_that_images_do_not_show_is_not_followed(rooms: FrameReader) -> None:
    pipeline, said = system()
    aside = np.eye(4)
    aside[:3, 3] = 2.0, 0.0, 1.0
    frames = changed(rooms, 30, lambda i, T: aside @ T if i >= 15 else T)
    found = run(pipeline, frames)
    assert any("jumped by 2.2" in text for text in said)
    there = np.stack([t.T_map_camera for t in found if t.T_map_camera is not None])
    true = poses([rooms[100 + i] for i in range(30)])
    assert len(there) == 30
    assert np.linalg.norm(there[:, :3, 3] - true[:, :3, 3], axis=1).max() < 0.15


def test_another_cameras_calibration_is_named(rooms: FrameReader) -> None:
    pipeline, said = system(**{"pose.refine": "on"})
    frames = [
        replace(one, camera=replace(one.camera, fx=1.25 * one.camera.fx, fy=1.25 * one.camera.fy))
        for one in (rooms[i] for i in range(100, 145))
    ]
    run(pipeline, frames)
    named = [text for text in said if text.startswith("calibration")]
    assert len(named) == 1 and "0.8" in named[0] and "camera_info" in named[0]


def test_a_good_calibration_is_not_doubted(rooms: FrameReader) -> None:
    pipeline, said = system(**{"pose.refine": "on"})
    run(pipeline, [rooms[i] for i in range(100, 140)])
    assert said == []


def test_dark_images_go_on_with_the_given_poses(rooms: FrameReader) -> None:
    pipeline, _ = system(**{"pose.refine": "on"})
    frames = [rooms[i] for i in range(100, 124)]
    dark = [replace(one, image=np.zeros_like(one.image)) for one in frames[10:14]]
    found = run(pipeline, [*frames[:10], *dark, *frames[14:]])
    there = np.stack([t.T_map_camera for t in found if t.T_map_camera is not None])
    assert len(there) == 24
    assert np.linalg.norm((there - poses(frames))[:, :3, 3], axis=1).max() < 0.1


def test_a_pose_that_is_not_finite_goes_on_to_who_refuses_it(rooms: FrameReader) -> None:
    pipeline, _ = system(**{"pose.refine": "on"})
    assert pipeline.refinement is not None
    bad = replace(rooms[100], T_map_camera=np.full((4, 4), np.nan))
    tracked = pipeline.refinement.track(bad)
    assert tracked.T_map_camera is not None and np.isnan(tracked.T_map_camera).all()


def test_odometry_as_prior_carries_on_where_images_cannot(rooms: FrameReader) -> None:
    pipeline, _ = system(**{"pose.source": "visual", "tracking.prior": "odometry"})
    assert pipeline.tracking is None and pipeline.refinement is not None
    frames = [rooms[i] for i in range(100, 120)]
    missing = [
        replace(one, T_map_camera=None) if i in (8, 9) else one for i, one in enumerate(frames)
    ]
    found = run(pipeline, missing)
    assert all(tracked.T_map_camera is not None for tracked in found)
    assert found[-1].state is TrackingState.TRACKING
    there = np.stack([t.T_map_camera for t in found if t.T_map_camera is not None])
    assert np.linalg.norm((there - poses(frames))[:, :3, 3], axis=1).max() < 0.1


def test_a_prior_beside_given_poses_is_refused() -> None:
    with pytest.raises(ConfigError, match="tracking.prior.*got.*expected.*;"):
        system(**{"tracking.prior": "odometry"})
